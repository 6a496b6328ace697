//! What `verify` checks here: pickup orders and their codes.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 120,
        name: "collected_orders",
        counted: "SELECT COUNT(*) FROM orders WHERE state = 'collected'",
        broken: &["SELECT r.id AS id, CASE WHEN o.id IS NULL THEN 'no such operation holds it' ELSE 'the operation that holds it did not collect it' END AS what
             FROM orders r LEFT JOIN operations o ON o.tenant = r.tenant AND o.id = r.holder
             WHERE r.state = 'collected' AND (o.id IS NULL OR COALESCE(o.subject_kind, '') <> 'order' OR o.subject IS NULL OR o.subject <> r.id
                 OR o.outcome = 'quarantined' OR r.held_where IS NULL OR o.store <> r.held_where)"],
    },
    Rule {
        place: 140,
        name: "pickup_codes",
        counted: "SELECT COUNT(*) FROM orders WHERE state = 'ready'",
        broken: &[
            "SELECT r.id AS id, 'it waits, and its code is not its own' AS what
             FROM orders r LEFT JOIN pickup_codes p ON p.tenant = r.tenant AND p.shard = r.shard AND p.code = r.code
             WHERE r.state = 'ready' AND (p.code IS NULL OR p.order_id <> r.id OR p.rests_until IS NOT NULL)",
            "SELECT p.order_id AS id, 'a code names it that is not its own' AS what
             FROM pickup_codes p LEFT JOIN orders r ON r.tenant = p.tenant AND r.shard = p.shard AND r.id = p.order_id
             WHERE r.id IS NULL OR r.code <> p.code",
            "SELECT r.id AS id, 'it waits no more, and its code does not rest' AS what
             FROM pickup_codes p JOIN orders r ON r.tenant = p.tenant AND r.shard = p.shard AND r.id = p.order_id
             WHERE r.state <> 'ready' AND p.rests_until IS NULL",
        ],
    },
    Rule {
        place: 141,
        name: "order_numbers",
        counted: "SELECT COUNT(*) FROM order_numbers",
        broken: &[
            "SELECT r.id AS id, 'its number does not lead to it' AS what
             FROM orders r LEFT JOIN order_numbers n ON n.tenant = r.tenant AND n.number = r.number
             WHERE n.order_id IS NULL OR n.order_id <> r.id",
            "SELECT n.order_id AS id, 'a number leads to it that is neither its own nor its code' AS what
             FROM order_numbers n LEFT JOIN orders r ON r.tenant = n.tenant AND r.shard = n.shard AND r.id = n.order_id
             WHERE r.id IS NULL OR (r.number <> n.number AND r.code <> n.number)",
        ],
    },
];
