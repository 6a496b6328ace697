//! What `verify` checks here: freezes and what they hold.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 90,
        name: "frozen_coupons",
        counted: "SELECT COUNT(*) FROM coupons WHERE state = 'frozen'",
        broken: &["SELECT c.id AS id, CASE WHEN f.id IS NULL THEN 'no such freeze holds it' ELSE 'the freeze that holds it is another one' END AS what
             FROM coupons c LEFT JOIN freezes f ON f.tenant = c.tenant AND f.id = c.holder
                 LEFT JOIN order_freezes n ON n.tenant = c.tenant AND n.id = c.holder
             WHERE c.state = 'frozen' AND n.id IS NULL AND (f.id IS NULL OR f.status <> 'granted' OR COALESCE(f.subject_kind, '') <> 'coupon' OR f.subject IS NULL
                 OR f.subject <> c.id OR f.device <> c.held_where OR f.until IS NULL OR f.until <> c.held_at)"],
    },
    Rule {
        place: 100,
        name: "frozen_orders",
        counted: "SELECT COUNT(*) FROM orders WHERE state = 'ready' AND holder IS NOT NULL",
        broken: &["SELECT r.id AS id, CASE WHEN f.id IS NULL THEN 'no such freeze holds it' ELSE 'the freeze that holds it is another one' END AS what
             FROM orders r LEFT JOIN freezes f ON f.tenant = r.tenant AND f.id = r.holder
             WHERE r.state = 'ready' AND r.holder IS NOT NULL AND (f.id IS NULL OR f.status <> 'granted' OR COALESCE(f.subject_kind, '') <> 'order'
                 OR f.subject IS NULL OR f.subject <> r.id OR r.held_where IS NULL OR f.device <> r.held_where OR f.until IS NULL OR r.held_at IS NULL OR f.until <> r.held_at)"],
    },
    Rule {
        place: 110,
        name: "freezes",
        counted: "SELECT COUNT(*) FROM freezes",
        broken: &["SELECT f.id AS id, 'it is ' || f.status || ', and its answer is incomplete' AS what
             FROM freezes f LEFT JOIN devices d ON d.tenant = f.tenant AND d.id = f.device
             WHERE d.id IS NULL OR (f.status = 'granted' AND (f.until IS NULL OR f.subject IS NULL)) OR (f.status = 'refused' AND f.reasons IS NULL)"],
    },
];
