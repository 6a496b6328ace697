//! What `verify` checks here: coupons, their records, and the days on which they fall due.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 40,
        name: "redeemed_coupons",
        counted: "SELECT COUNT(*) FROM coupons WHERE state = 'redeemed'",
        broken: &["SELECT c.id AS id, CASE WHEN o.id IS NULL THEN 'no such operation holds it' ELSE 'the operation that holds it did not redeem it' END AS what
             FROM coupons c LEFT JOIN operations o ON o.tenant = c.tenant AND o.id = c.holder
                 LEFT JOIN order_freezes n ON n.tenant = c.tenant AND n.id = c.holder
             WHERE c.state = 'redeemed' AND n.id IS NULL AND (o.id IS NULL OR o.subject IS NULL OR o.outcome = 'quarantined' OR o.store <> c.held_where
                 OR NOT ((COALESCE(o.subject_kind, '') = 'coupon' AND o.subject = c.id)
                     OR (COALESCE(o.subject_kind, '') = 'sale' AND o.subject = o.id)))"],
    },
    Rule {
        place: 50,
        name: "redeemed_once",
        counted: "SELECT COUNT(*) FROM coupon_entries WHERE what IN ('redeemed', 'voided', 'returned')",
        broken: &["SELECT id, CASE WHEN what = 'redeemed' THEN 'redeemed twice' ELSE what || ' without being redeemed' END AS what FROM (
                 SELECT coupon AS id, what, LAG(what) OVER (PARTITION BY tenant, coupon ORDER BY version) AS earlier
                 FROM coupon_entries WHERE what IN ('redeemed', 'voided', 'returned')) AS steps
             WHERE (what = 'redeemed' AND COALESCE(earlier, 'voided') = 'redeemed') OR (what <> 'redeemed' AND COALESCE(earlier, '') <> 'redeemed')"],
    },
    Rule {
        place: 60,
        name: "redemption_entries",
        counted: "SELECT COUNT(*) FROM operations WHERE subject_kind = 'coupon'",
        broken: &[
            "SELECT e.coupon AS id, 'the operation behind its entry ' || CAST(e.version AS TEXT) || ' is missing or had no effect' AS what
             FROM coupon_entries e LEFT JOIN operations o ON o.tenant = e.tenant AND o.id = e.source
                 LEFT JOIN order_freezes n ON n.tenant = e.tenant AND n.id = e.source
             WHERE e.what IN ('redeemed', 'voided', 'returned') AND n.id IS NULL AND (o.id IS NULL OR o.outcome = 'quarantined' OR o.device <> e.device)",
            "SELECT e.coupon AS id, 'the operation behind its entry ' || CAST(e.version AS TEXT) || ' is about something else' AS what
             FROM coupon_entries e JOIN operations o ON o.tenant = e.tenant AND o.id = e.source
             WHERE e.what = 'redeemed' AND NOT (o.subject IS NOT NULL AND ((COALESCE(o.subject_kind, '') = 'coupon' AND o.subject = e.coupon)
                 OR (COALESCE(o.subject_kind, '') = 'sale' AND o.subject = o.id)))",
            "SELECT o.id AS id, 'it redeemed a coupon without an entry in the coupon''s record' AS what
             FROM operations o LEFT JOIN coupon_entries e ON e.tenant = o.tenant AND e.coupon = o.subject AND e.source = o.id AND e.what = 'redeemed'
             WHERE o.subject_kind = 'coupon' AND e.coupon IS NULL
                 AND (o.outcome = 'applied' OR (o.outcome = 'applied_with_exception' AND o.detail = 'late'))",
        ],
    },
    Rule {
        place: 70,
        name: "coupon_versions",
        counted: "SELECT COUNT(*) FROM coupons",
        broken: &[
            "SELECT c.id AS id, 'its record does not lead up to version ' || CAST(c.version AS TEXT) AS what FROM coupons c
             WHERE c.version > 1 AND c.version - 1 <> (SELECT COUNT(*) FROM coupon_entries e WHERE e.tenant = c.tenant AND e.coupon = c.id)",
            "SELECT e.coupon AS id, 'entry ' || CAST(e.version AS TEXT) || ' does not belong into its record' AS what
             FROM coupon_entries e LEFT JOIN coupons c ON c.tenant = e.tenant AND c.id = e.coupon
             WHERE c.id IS NULL OR e.version < 2 OR e.version > c.version",
        ],
    },
    Rule {
        place: 80,
        name: "coupon_states",
        counted: "SELECT COUNT(*) FROM coupons",
        broken: &[
            "SELECT c.id AS id, 'it is ' || c.state || ', and its last entry says ' || e.what AS what
             FROM coupons c JOIN coupon_entries e ON e.tenant = c.tenant AND e.coupon = c.id AND e.version = c.version
             WHERE NOT (e.what = 'moved' OR (c.state IN ('redeemed', 'frozen') AND e.what IN ('used_again', 'use_withdrawn'))
                 OR (c.state = 'redeemed' AND e.what = 'redeemed' AND e.source = c.holder)
                 OR (c.state = 'frozen' AND e.what = 'frozen' AND e.source = c.holder)
                 OR (c.state = 'expired' AND e.what = 'expired')
                 OR (c.state IN ('available', 'expired') AND e.what IN ('voided', 'returned', 'unfrozen')))",
            "SELECT id, 'it is ' || state || ' without an entry' AS what FROM coupons
             WHERE version = 1 AND state NOT IN ('available', 'expired')",
        ],
    },
    Rule {
        place: 240,
        name: "references",
        counted: "SELECT (SELECT COUNT(*) FROM coupons) + (SELECT COUNT(*) FROM orders) + (SELECT COUNT(*) FROM enrol_codes)",
        broken: &[
            "SELECT c.id AS id, 'the member of this coupon is missing' AS what
             FROM coupons c LEFT JOIN members m ON m.tenant = c.tenant AND m.id = c.member WHERE c.member IS NOT NULL AND m.id IS NULL",
            "SELECT c.id AS id, 'the home store of this coupon is missing' AS what
             FROM coupons c LEFT JOIN stores s ON s.tenant = c.tenant AND s.id = c.home_store WHERE c.home_store IS NOT NULL AND s.id IS NULL",
            "SELECT r.id AS id, 'the member of this order is missing' AS what
             FROM orders r LEFT JOIN members m ON m.tenant = r.tenant AND m.id = r.member WHERE r.member IS NOT NULL AND m.id IS NULL",
            "SELECT e.device AS id, 'an enrolment code brought this device in, and it is missing' AS what
             FROM enrol_codes e LEFT JOIN devices d ON d.tenant = e.tenant AND d.id = e.device WHERE e.device IS NOT NULL AND d.id IS NULL",
        ],
    },
    Rule {
        place: 260,
        name: "coupon_days",
        counted: "SELECT COUNT(*) FROM coupon_days",
        broken: &[
            "SELECT d.coupon AS id, 'its day is that of another coupon, member or end' AS what
             FROM coupon_days d LEFT JOIN coupons c ON c.tenant = d.tenant AND c.id = d.coupon
             WHERE c.id IS NULL OR c.valid_until IS NULL OR c.valid_until <> d.expires_at
                 OR COALESCE(c.member, d.coupon) <> COALESCE(d.member, d.coupon)",
            "SELECT coupon AS id, 'day ' || CAST(day AS TEXT) || ' does not fit its end' AS what FROM coupon_days
             WHERE (what = 'expire' AND day <> expires_at / 86400000) OR (what = 'remind' AND day <> expires_at / 86400000 - 3)",
            // By the days that fit its end; whatever is on another is told above.
            "SELECT d.coupon AS id, 'it has 2 days' AS what
             FROM coupon_days d JOIN coupon_days e ON e.tenant = d.tenant AND e.day = d.day + 3 AND e.coupon = d.coupon
             WHERE d.what = 'remind'",
            "SELECT c.id AS id, 'it was given and has an end, and no day' AS what FROM coupons c
             WHERE c.state = 'available' AND c.version > 0 AND c.valid_until IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM coupon_days d WHERE d.tenant = c.tenant AND d.day = c.valid_until / 86400000 AND d.coupon = c.id)
                 AND NOT EXISTS (SELECT 1 FROM coupon_days d WHERE d.tenant = c.tenant AND d.day = c.valid_until / 86400000 - 3 AND d.coupon = c.id)",
        ],
    },
];

#[cfg(test)]
mod tests {
    use counterfoil_domain::time::DAY;

    use crate::messages::reminding::REMIND_BEFORE;

    #[test]
    fn the_days_in_the_rules_are_those_that_are_written() {
        assert_eq!((DAY, REMIND_BEFORE / DAY, REMIND_BEFORE % DAY), (86_400_000, 3, 0));
    }
}
