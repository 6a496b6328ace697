//! What `verify` checks here: messages and the inbox.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 300,
        name: "outbox",
        counted: "SELECT COUNT(*) FROM outbox",
        broken: &[
            "SELECT id, 'it is ' || status || ' and was handed over ' || CAST(tries AS TEXT) || ' times' AS what FROM outbox WHERE (status = 'pending') <> (tries = 0) OR (tries = 0) <> (sent_at IS NULL)",
            "SELECT m.id AS id, 'it is handed over before number ' || CAST(e.number AS TEXT) || ' of its key is confirmed' AS what
             FROM outbox m JOIN outbox e ON e.tenant = m.tenant AND e.topic = m.topic AND e.key = m.key AND e.number = m.number - 1
             WHERE e.status <> 'confirmed' AND (m.status <> 'pending' OR m.next_try_at IS NOT NULL)",
            "SELECT m.id AS id, 'it waits for a message that is confirmed or gone' AS what
             FROM outbox m LEFT JOIN outbox e ON e.tenant = m.tenant AND e.topic = m.topic AND e.key = m.key AND e.number = m.number - 1 AND e.status <> 'confirmed'
             WHERE m.status <> 'confirmed' AND m.next_try_at IS NULL AND e.id IS NULL",
        ],
    },
    Rule {
        place: 301,
        name: "inbox",
        counted: "SELECT COUNT(*) FROM inbox",
        broken: &[
            "SELECT m.id AS id, 'it is confirmed, and has no line in the inbox' AS what
             FROM outbox m LEFT JOIN inbox i ON i.tenant = m.tenant AND i.consumer = m.topic AND i.message = m.id
             WHERE m.status = 'confirmed' AND m.in_inbox = 1 AND i.message IS NULL",
            "SELECT i.message AS id, 'it is a line of no message' AS what
             FROM inbox i LEFT JOIN outbox m ON m.tenant = i.tenant AND m.id = i.message AND m.topic = i.consumer
             WHERE m.id IS NULL",
        ],
    },
];
