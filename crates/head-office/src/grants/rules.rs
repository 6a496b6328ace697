//! What `verify` checks here: grants.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 200,
        name: "grants",
        counted: "SELECT COUNT(*) FROM grants",
        broken: &[
            "SELECT p.member AS id, 'the coupon of their part of a grant is not theirs, or not of the grant' AS what
             FROM grant_members p JOIN grants g ON g.tenant = p.tenant AND g.id = p.grant_id LEFT JOIN coupons c ON c.tenant = p.tenant AND c.id = p.coupon LEFT JOIN members m ON m.tenant = p.tenant AND m.id = p.member
             WHERE p.coupon IS NOT NULL AND (c.id IS NULL OR c.batch <> g.batch OR c.member IS NULL OR c.member <> COALESCE(m.merged_into, p.member))",
            "SELECT g.id AS id, CAST(b.claimed AS TEXT) || ' coupons, and ' || CAST(COALESCE(p.given, 0) AS TEXT) || ' members have theirs' AS what
             FROM grants g JOIN batches b ON b.tenant = g.tenant AND b.id = g.batch
                 LEFT JOIN (SELECT tenant, grant_id, COUNT(coupon) AS given FROM grant_members GROUP BY tenant, grant_id) AS p ON p.tenant = g.tenant AND p.grant_id = g.id
             WHERE b.claimed <> COALESCE(p.given, 0)",
        ],
    },
];
