//! What `verify` checks here: batches and the codes made for them.

use crate::db::rule::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        place: 160,
        name: "batches",
        counted: "SELECT COUNT(*) FROM batches",
        broken: &["SELECT b.id AS id, 'size ' || CAST(b.size AS TEXT) || ', made ' || CAST(b.made AS TEXT) || ', claimed ' || CAST(b.claimed AS TEXT) || '; coupons: ' || CAST(COALESCE(c.coupons, 0) AS TEXT) AS what
             FROM batches b LEFT JOIN (SELECT tenant, batch, COUNT(*) AS coupons FROM coupons GROUP BY tenant, batch) AS c ON c.tenant = b.tenant AND c.batch = b.id
             WHERE b.claimed < 0 OR b.claimed > b.made OR b.made > b.size OR b.made <> COALESCE(c.coupons, 0)"],
    },
    Rule {
        place: 170,
        name: "batches_given",
        counted: "SELECT COUNT(*) FROM batches",
        broken: &[
            "SELECT b.id AS id, CAST(b.claimed AS TEXT) || ' are given, and members hold ' || CAST(COALESCE(c.coupons, 0) AS TEXT) AS what
             FROM batches b LEFT JOIN (SELECT tenant, batch, COUNT(*) AS coupons FROM coupons WHERE member IS NOT NULL GROUP BY tenant, batch) AS c ON c.tenant = b.tenant AND c.batch = b.id
             WHERE b.purpose <> 'print' AND b.code_form IS NOT NULL AND b.claimed <> COALESCE(c.coupons, 0)",
            "SELECT id, 'it is ready, and not all are made' AS what FROM batches WHERE status = 'ready' AND made <> size",
            "SELECT c.id AS id, 'it waits in a batch that nobody claims from, or has an owner already' AS what
             FROM coupons c JOIN batches b ON b.tenant = c.tenant AND b.id = c.batch
             WHERE c.version = 0 AND (b.purpose <> 'claim' OR c.member IS NOT NULL OR c.state <> 'available')",
        ],
    },
    Rule {
        place: 220,
        name: "code_counters",
        counted: "SELECT COUNT(*) FROM code_counters",
        broken: &["SELECT c.tenant AS id, 'the counter of ' || c.head || ' stands at ' || CAST(c.next AS TEXT) || ', and more codes were made' AS what
             FROM code_counters c JOIN (SELECT tenant, code_head, MAX(first_counter + size) AS made FROM batches
                     WHERE first_counter IS NOT NULL GROUP BY tenant, code_head) AS b ON b.tenant = c.tenant AND b.code_head = c.head
             WHERE c.next < b.made"],
    },
];
