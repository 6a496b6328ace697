//! What `verify` checks here: jobs.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 210,
        name: "jobs",
        counted: "SELECT COUNT(*) FROM jobs",
        broken: &[
            "SELECT j.id AS id, CAST(j.done AS TEXT) || ' done, and its batch has ' || CAST(COALESCE(b.made, -1) AS TEXT) AS what
             FROM jobs j LEFT JOIN batches b ON b.tenant = j.tenant AND b.id = j.subject
             WHERE j.kind = 'batch' AND (b.id IS NULL OR b.made <> j.done OR b.size <> j.total)",
            "SELECT id, 'it is done, and ' || CAST(done AS TEXT) || ' of ' || CAST(total AS TEXT) || ' are' AS what FROM jobs WHERE status = 'done' AND done <> total",
        ],
    },
];
