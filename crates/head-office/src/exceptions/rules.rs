//! What `verify` checks here: cases.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 130,
        name: "cases",
        counted: "SELECT COUNT(*) FROM exceptions",
        broken: &[
            "SELECT o.id AS id, 'it ended in an exception without such a case' AS what
             FROM operations o LEFT JOIN exceptions x ON x.tenant = o.tenant AND x.operation = o.id AND x.kind = o.detail
             WHERE o.outcome = 'applied_with_exception' AND (x.operation IS NULL OR x.store <> o.store)",
            "SELECT x.operation AS id, 'there is a case, and the operation did not end in an exception' AS what
             FROM exceptions x LEFT JOIN operations o ON o.tenant = x.tenant AND o.id = x.operation
             WHERE o.id IS NULL OR o.outcome <> 'applied_with_exception'",
            "SELECT operation AS id, 'the case is ' || status || ', which does not fit the time it was closed at' AS what FROM exceptions
             WHERE (status = 'open' AND closed_at IS NOT NULL) OR (status <> 'open' AND closed_at IS NULL)",
        ],
    },
];
