//! What `verify` checks here: nothing is left to a member who was merged.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[Rule {
    place: 350,
    name: "merged_members",
    counted: "SELECT COUNT(*) FROM members WHERE merged_into IS NOT NULL",
    broken: &[
        "SELECT m.id AS id, 'they were merged into nobody, or into somebody who was merged' AS what
         FROM members m LEFT JOIN members k ON k.tenant = m.tenant AND k.id = m.merged_into
         WHERE m.merged_into IS NOT NULL AND (k.id IS NULL OR k.merged_into IS NOT NULL)",
        "SELECT m.id AS id, 'they were merged, and their account has something' AS what
         FROM members m LEFT JOIN accounts a ON a.tenant = m.tenant AND a.member = m.id
         WHERE m.merged_into IS NOT NULL AND (a.member IS NULL OR a.merged_into IS NULL OR a.merged_into <> m.merged_into
             OR a.points_available + a.points_held + a.points_pending + a.points_debt
                 + a.balance_available + a.balance_held + a.balance_pending + a.balance_debt > 0)",
        "SELECT a.member AS id, 'its account was merged, and they were not' AS what
         FROM accounts a JOIN members m ON m.tenant = a.tenant AND m.id = a.member
         WHERE a.merged_into IS NOT NULL AND m.merged_into IS NULL",
        "SELECT c.id AS id, 'it is a coupon of somebody who was merged' AS what
         FROM members m JOIN coupons c ON c.tenant = m.tenant AND c.member = m.id WHERE m.merged_into IS NOT NULL",
        "SELECT o.id AS id, 'it is an order of somebody who was merged' AS what
         FROM members m JOIN orders o ON o.tenant = m.tenant AND o.member = m.id WHERE m.merged_into IS NOT NULL",
        "SELECT e.id AS id, 'it is an exchange of somebody who was merged' AS what
         FROM members m JOIN exchanges e ON e.tenant = m.tenant AND e.member = m.id WHERE m.merged_into IS NOT NULL",
    ],
}];
