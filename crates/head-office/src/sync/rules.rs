//! What `verify` checks here: journals and feeds.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 10,
        name: "journals_gapless",
        counted: "SELECT COUNT(*) FROM operations",
        broken: &["SELECT device AS id, 'epoch ' || CAST(epoch AS TEXT) || ': ' || CAST(COUNT(*) AS TEXT) || ' operations up to number ' || CAST(MAX(seq) AS TEXT) AS what
             FROM operations WHERE COALESCE(detail, '') <> 'closed_epoch'
             GROUP BY tenant, device, epoch HAVING MIN(seq) <> 1 OR MAX(seq) <> COUNT(*)"],
    },
    Rule {
        place: 20,
        name: "journal_heads",
        counted: "SELECT COUNT(*) FROM devices",
        broken: &[
            "SELECT d.id AS id, 'its head is not its last operation' AS what
             FROM devices d LEFT JOIN operations o ON o.tenant = d.tenant AND o.device = d.id AND o.epoch = d.epoch AND o.seq = d.last_seq
             WHERE d.last_seq > 0 AND (o.id IS NULL OR o.fingerprint <> d.last_hash)",
            "SELECT d.id AS id, 'there are operations behind its head' AS what FROM devices d
             WHERE EXISTS (SELECT 1 FROM operations o WHERE o.tenant = d.tenant AND o.device = d.id AND o.epoch = d.epoch AND o.seq > d.last_seq)",
            "SELECT d.id AS id, 'there are operations of an epoch to come' AS what FROM devices d
             WHERE EXISTS (SELECT 1 FROM operations o WHERE o.tenant = d.tenant AND o.device = d.id AND o.epoch > d.epoch)",
        ],
    },
    Rule {
        place: 30,
        name: "operation_outcomes",
        counted: "SELECT COUNT(*) FROM operations",
        broken: &[
            "SELECT id, 'outcome ' || outcome || ' with detail ' || COALESCE(detail, 'none') AS what FROM operations
             WHERE NOT ((outcome = 'applied' AND detail IS NULL)
                 OR (outcome = 'applied_with_exception' AND COALESCE(detail, '') IN ('double_redeem', 'redeem_while_frozen', 'double_pickup', 'late', 'points_short', 'balance_short', 'state_conflict'))
                 OR (outcome = 'quarantined' AND COALESCE(detail, '') IN ('unreadable', 'device_revoked', 'closed_epoch', 'handler_failed')))",
            "SELECT o.id AS id, 'its device or store is missing' AS what
             FROM operations o LEFT JOIN devices d ON d.tenant = o.tenant AND d.id = o.device LEFT JOIN stores s ON s.tenant = o.tenant AND s.id = o.store
             WHERE d.id IS NULL OR s.id IS NULL",
            "SELECT o.id AS id, 'its epoch is not closed' AS what
             FROM operations o JOIN devices d ON d.tenant = o.tenant AND d.id = o.device
             WHERE o.detail = 'closed_epoch' AND o.epoch >= d.epoch",
        ],
    },
    Rule {
        place: 150,
        name: "feeds",
        counted: "SELECT COUNT(*) FROM feed",
        broken: &[
            "SELECT h.store AS id, CAST(COALESCE(f.lines, 0) AS TEXT) || ' lines up to number ' || CAST(COALESCE(f.last, 0) AS TEXT) || ', and the head says ' || CAST(h.number AS TEXT) AS what
             FROM feed_heads h LEFT JOIN (SELECT tenant, store, COUNT(*) AS lines, MIN(number) AS first, MAX(number) AS last FROM feed GROUP BY tenant, store) AS f
                 ON f.tenant = h.tenant AND f.store = h.store
             WHERE COALESCE(f.lines, 0) <> h.number OR COALESCE(f.last, 0) <> h.number OR COALESCE(f.first, 1) <> 1",
            "SELECT DISTINCT f.store AS id, 'there are lines without a head' AS what
             FROM feed f WHERE NOT EXISTS (SELECT 1 FROM feed_heads h WHERE h.tenant = f.tenant AND h.store = f.store)",
        ],
    },
];
