//! What `verify` checks here: claims and what members have had.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 180,
        name: "claims",
        counted: "SELECT COUNT(*) FROM claims",
        broken: &[
            "SELECT k.member AS id, 'a claim names a coupon that is not its member''s' AS what
             FROM claims k LEFT JOIN coupons c ON c.tenant = k.tenant AND c.id = k.coupon LEFT JOIN members m ON m.tenant = k.tenant AND m.id = k.member
             WHERE k.coupon IS NOT NULL AND (c.id IS NULL OR c.member IS NULL OR c.member <> COALESCE(m.merged_into, k.member) OR c.template <> k.template)",
            "SELECT coupon AS id, 'it was claimed twice' AS what FROM claims WHERE coupon IS NOT NULL GROUP BY tenant, coupon HAVING COUNT(*) > 1",
            "SELECT c.id AS id, 'it was given without a claim' AS what
             FROM coupons c LEFT JOIN batches b ON b.tenant = c.tenant AND b.id = c.batch
                 LEFT JOIN (SELECT tenant, coupon FROM claims WHERE coupon IS NOT NULL GROUP BY tenant, coupon) AS k ON k.tenant = c.tenant AND k.coupon = c.id
             WHERE COALESCE(b.purpose, '') = 'claim' AND c.version > 0 AND k.coupon IS NULL",
        ],
    },
    Rule {
        place: 190,
        name: "holdings",
        counted: "SELECT COUNT(*) FROM holdings",
        broken: &[
            "SELECT h.member AS id, CAST(h.taken AS TEXT) || ' taken, and ' || CAST(COALESCE(k.coupons, 0) AS TEXT) || ' claims say so' AS what
             FROM holdings h LEFT JOIN (SELECT c.tenant AS tenant, COALESCE(m.merged_into, c.member) AS member, c.template AS template, COUNT(*) AS coupons FROM claims c
                     LEFT JOIN members m ON m.tenant = c.tenant AND m.id = c.member WHERE c.coupon IS NOT NULL GROUP BY c.tenant, COALESCE(m.merged_into, c.member), c.template) AS k
                 ON k.tenant = h.tenant AND k.member = h.member AND k.template = h.template
             WHERE h.taken <> COALESCE(k.coupons, 0)",
            "SELECT DISTINCT k.member AS id, 'they claimed, and nobody counted it' AS what
             FROM claims k LEFT JOIN members m ON m.tenant = k.tenant AND m.id = k.member
                 LEFT JOIN holdings h ON h.tenant = k.tenant AND h.member = COALESCE(m.merged_into, k.member) AND h.template = k.template
             WHERE k.coupon IS NOT NULL AND h.member IS NULL",
        ],
    },
];
