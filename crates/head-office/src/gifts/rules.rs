//! What `verify` checks here: exchanges, and what they took of points, stock and limits.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 290,
        name: "exchanges",
        counted: "SELECT COUNT(*) FROM exchanges",
        broken: &[
            "SELECT e.id AS id, 'it is ' || e.status || ' for ' || CAST(e.points AS TEXT) || ' points, and ' || CAST(COALESCE(t.entries, 0) AS TEXT) || ' entries took ' || CAST(COALESCE(0 - t.amount, 0) AS TEXT) AS what
             FROM exchanges e LEFT JOIN (SELECT tenant, source, COUNT(*) AS entries, CAST(SUM(amount) AS BIGINT) AS amount FROM ledger_entries
                     WHERE asset = 'points' AND source_of = 'exchange' AND kind IN ('spend', 'capture') GROUP BY tenant, source) AS t
                 ON t.tenant = e.tenant AND t.source = e.id
             WHERE (e.status IN ('confirmed', 'returned', 'lost') AND (COALESCE(t.entries, 0) <> 1 OR t.amount <> 0 - e.points))
                 OR (e.status IN ('awaiting_payment', 'cancelled') AND t.entries IS NOT NULL)",
            "SELECT e.id AS id, 'it is ' || e.status || ' for ' || CAST(e.points AS TEXT) || ' points, and ' || CAST(COALESCE(t.amount, 0) AS TEXT) || ' came back' AS what
             FROM exchanges e LEFT JOIN (SELECT tenant, source, CAST(SUM(amount) AS BIGINT) AS amount FROM ledger_entries
                     WHERE asset = 'points' AND source_of = 'exchange' AND kind = 'return' GROUP BY tenant, source) AS t
                 ON t.tenant = e.tenant AND t.source = e.id
             WHERE COALESCE(t.amount, 0) <> CASE WHEN e.status IN ('returned', 'lost') THEN e.points ELSE 0 END",
            "SELECT e.id AS id, 'it is ' || e.status || ', and holds ' || CAST(COALESCE(h.amount, 0) AS TEXT) || ' points' AS what
             FROM exchanges e LEFT JOIN ledger_holds h ON h.tenant = e.tenant AND h.member = e.member AND h.asset = 'points' AND h.hold = e.id
             WHERE COALESCE(h.amount, 0) <> CASE WHEN e.status = 'awaiting_payment' THEN e.points ELSE 0 END",
            "SELECT t.source AS id, 'an exchange that is missing took points' AS what
             FROM ledger_entries t LEFT JOIN exchanges e ON e.tenant = t.tenant AND e.id = t.source
             WHERE t.source_of = 'exchange' AND e.id IS NULL",
            "SELECT e.id AS id, 'it is ' || e.status || ', and the pickup order of its gift is missing or stands otherwise' AS what
             FROM exchanges e LEFT JOIN orders o ON o.tenant = e.tenant AND o.id = e.pickup
             WHERE e.pickup IS NOT NULL AND ((e.status = 'confirmed' AND (o.id IS NULL OR o.store <> e.location OR o.state = 'cancelled'))
                 OR (e.status = 'returned' AND (o.id IS NULL OR o.state NOT IN ('cancelled', 'returned')))
                 OR (e.status IN ('awaiting_payment', 'cancelled') AND o.id IS NOT NULL))",
        ],
    },
    Rule {
        place: 291,
        name: "exchanged_goods",
        counted: "SELECT COUNT(*) FROM stocks",
        broken: &[
            "SELECT s.id AS id, CAST(s.reserved AS TEXT) || ' are reserved, and ' || CAST(COALESCE(e.held, 0) AS TEXT) || ' exchanges await payment' AS what
             FROM stocks s LEFT JOIN (SELECT tenant, stock, COUNT(*) AS held FROM exchanges WHERE status = 'awaiting_payment' GROUP BY tenant, stock) AS e
                 ON e.tenant = s.tenant AND e.stock = s.id
             WHERE s.reserved <> COALESCE(e.held, 0)",
            "SELECT e.id AS id, 'it is ' || e.status || ', and ' || CAST(COALESCE(m.quantity, 0) AS TEXT) || ' of its gift moved' AS what
             FROM exchanges e LEFT JOIN (SELECT tenant, stock, source, CAST(SUM(quantity) AS BIGINT) AS quantity FROM stock_moves WHERE source IS NOT NULL GROUP BY tenant, stock, source) AS m
                 ON m.tenant = e.tenant AND m.stock = e.stock AND m.source = e.id
             WHERE COALESCE(m.quantity, 0) <> CASE WHEN e.status IN ('confirmed', 'lost') THEN -1 ELSE 0 END",
            "SELECT m.source AS id, 'an exchange that is missing moved goods' AS what
             FROM stock_moves m LEFT JOIN exchanges e ON e.tenant = m.tenant AND e.id = m.source
             WHERE m.kind = 'exchanged' AND e.id IS NULL",
        ],
    },
    Rule {
        place: 292,
        name: "gift_limits",
        counted: "SELECT COUNT(*) FROM gift_members",
        broken: &[
            "SELECT h.member AS id, 'it is noted that ' || CAST(h.taken AS TEXT) || ' of a gift were had, and there are ' || CAST(COALESCE(e.taken, 0) AS TEXT) AS what
             FROM gift_members h LEFT JOIN (SELECT tenant, member, gift, COUNT(*) AS taken FROM exchanges WHERE status IN ('awaiting_payment', 'confirmed') GROUP BY tenant, member, gift) AS e
                 ON e.tenant = h.tenant AND e.member = h.member AND e.gift = h.gift
             WHERE h.taken <> COALESCE(e.taken, 0)",
            "SELECT e.id AS id, 'nobody has noted that its member had its gift' AS what
             FROM exchanges e LEFT JOIN gift_members h ON h.tenant = e.tenant AND h.member = e.member AND h.gift = e.gift
             WHERE h.member IS NULL",
        ],
    },
];
