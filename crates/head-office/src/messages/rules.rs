//! What `verify` checks here: messages.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 270,
        name: "messages",
        counted: "SELECT (SELECT COUNT(*) FROM messages) + (SELECT COUNT(*) FROM member_messages)",
        broken: &[
            "WITH to_all AS MATERIALIZED (SELECT tenant, COUNT(*) AS numbered, MAX(number) AS last FROM messages WHERE number IS NOT NULL GROUP BY tenant)
             SELECT h.tenant AS id, CAST(COALESCE(m.numbered, 0) AS TEXT) || ' messages to all up to number ' || CAST(COALESCE(m.last, 0) AS TEXT) || ', and the head says ' || CAST(h.number AS TEXT) AS what
             FROM message_heads h LEFT JOIN to_all m ON m.tenant = h.tenant
             WHERE COALESCE(m.numbered, 0) <> h.number OR COALESCE(m.last, 0) <> h.number",
            "SELECT DISTINCT m.tenant AS id, 'there are messages to all without a head' AS what
             FROM messages m WHERE m.number IS NOT NULL AND NOT EXISTS (SELECT 1 FROM message_heads h WHERE h.tenant = m.tenant)",
            "SELECT o.member AS id, 'a message of this member, or the member, is missing' AS what
             FROM member_messages o LEFT JOIN messages m ON m.tenant = o.tenant AND m.id = o.message
                 LEFT JOIN members p ON p.tenant = o.tenant AND p.id = o.member
             WHERE m.id IS NULL OR p.id IS NULL",
            "SELECT i.member AS id, 'this member has looked further than was sent' AS what
             FROM inboxes i LEFT JOIN message_heads h ON h.tenant = i.tenant WHERE i.number > COALESCE(h.number, 0)",
            // Few are to all, beside those to members by name.
            "WITH to_all AS MATERIALIZED (SELECT tenant, id, number, sent_at FROM messages WHERE number IS NOT NULL)
             SELECT i.member AS id, 'this member has looked, and has no row of a message to all' AS what
             FROM inboxes i JOIN members p ON p.tenant = i.tenant AND p.id = i.member
                 JOIN to_all m ON m.tenant = i.tenant AND m.number <= i.number AND m.sent_at >= p.created_at
                 LEFT JOIN member_messages o ON o.tenant = i.tenant AND o.member = i.member AND o.message = m.id
             WHERE o.message IS NULL",
        ],
    },
];
