//! What `verify` checks here: coupons beside their templates.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 230,
        name: "templates",
        counted: "SELECT COUNT(*) FROM coupons",
        broken: &[
            "SELECT c.id AS id, 'its batch is missing or of another template' AS what
             FROM coupons c LEFT JOIN batches b ON b.tenant = c.tenant AND b.id = c.batch
             WHERE b.id IS NULL OR b.template <> c.template OR b.template_version <> c.template_version",
            "SELECT c.id AS id, 'its template is missing or was never published' AS what
             FROM coupons c LEFT JOIN templates t ON t.tenant = c.tenant AND t.id = c.template AND t.template_version = c.template_version
             WHERE t.id IS NULL OR t.status = 'draft'",
        ],
    },
];
