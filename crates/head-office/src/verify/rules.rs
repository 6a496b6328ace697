//! Invariants that SQL can say. Each statement finds what breaks one: `id` of a row and `what` is wrong with it.
//!
//! A statement reads one table as a whole, once, and finds the rows that belong to each of its rows by a key, or sums up
//! another table that it also reads once. SQLite knows nothing of how many rows there are: where it might begin at the
//! other end, and read a whole chain's coupons for each batch, the join is an outer one and its condition bears NULL, so
//! that it can't. The test `plans` looks at what both engines make of it.

/// An invariant.
pub(super) struct Rule {
    pub name: &'static str,
    /// How many rows it is about.
    pub counted: &'static str,
    /// What breaks it.
    pub broken: &'static [&'static str],
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "journals_gapless",
        counted: "SELECT COUNT(*) FROM operations",
        broken: &["SELECT device AS id, 'epoch ' || CAST(epoch AS TEXT) || ': ' || CAST(COUNT(*) AS TEXT) || ' operations up to number ' || CAST(MAX(seq) AS TEXT) AS what
             FROM operations WHERE COALESCE(detail, '') <> 'closed_epoch'
             GROUP BY tenant, device, epoch HAVING MIN(seq) <> 1 OR MAX(seq) <> COUNT(*)"],
    },
    Rule {
        name: "journal_heads",
        counted: "SELECT COUNT(*) FROM devices",
        broken: &[
            "SELECT d.id AS id, 'its head is not its last operation' AS what
             FROM devices d LEFT JOIN operations o ON o.tenant = d.tenant AND o.device = d.id AND o.epoch = d.epoch AND o.seq = d.last_seq
             WHERE d.last_seq > 0 AND (o.id IS NULL OR o.fingerprint <> d.last_hash)",
            "SELECT d.id AS id, 'there are operations behind its head' AS what FROM devices d
             WHERE EXISTS (SELECT 1 FROM operations o WHERE o.tenant = d.tenant AND o.device = d.id AND o.epoch = d.epoch AND o.seq > d.last_seq)",
            "SELECT d.id AS id, 'there are operations of an epoch to come' AS what FROM devices d
             WHERE EXISTS (SELECT 1 FROM operations o WHERE o.tenant = d.tenant AND o.device = d.id AND o.epoch > d.epoch)",
        ],
    },
    Rule {
        name: "operation_outcomes",
        counted: "SELECT COUNT(*) FROM operations",
        broken: &[
            "SELECT id, 'outcome ' || outcome || ' with detail ' || COALESCE(detail, 'none') AS what FROM operations
             WHERE NOT ((outcome = 'applied' AND detail IS NULL)
                 OR (outcome = 'applied_with_exception' AND COALESCE(detail, '') IN ('double_redeem', 'redeem_while_frozen', 'double_pickup', 'late', 'state_conflict'))
                 OR (outcome = 'quarantined' AND COALESCE(detail, '') IN ('unreadable', 'device_revoked', 'closed_epoch', 'handler_failed')))",
            "SELECT o.id AS id, 'its device or store is missing' AS what
             FROM operations o LEFT JOIN devices d ON d.tenant = o.tenant AND d.id = o.device LEFT JOIN stores s ON s.tenant = o.tenant AND s.id = o.store
             WHERE d.id IS NULL OR s.id IS NULL",
            "SELECT o.id AS id, 'its epoch is not closed' AS what
             FROM operations o JOIN devices d ON d.tenant = o.tenant AND d.id = o.device
             WHERE o.detail = 'closed_epoch' AND o.epoch >= d.epoch",
        ],
    },
    Rule {
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
        name: "redeemed_once",
        counted: "SELECT COUNT(*) FROM coupon_entries WHERE what IN ('redeemed', 'voided', 'returned')",
        broken: &["SELECT id, CASE WHEN what = 'redeemed' THEN 'redeemed twice' ELSE what || ' without being redeemed' END AS what FROM (
                 SELECT coupon AS id, what, LAG(what) OVER (PARTITION BY tenant, coupon ORDER BY version) AS earlier
                 FROM coupon_entries WHERE what IN ('redeemed', 'voided', 'returned')) AS steps
             WHERE (what = 'redeemed' AND COALESCE(earlier, 'voided') = 'redeemed') OR (what <> 'redeemed' AND COALESCE(earlier, '') <> 'redeemed')"],
    },
    Rule {
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
        name: "coupon_states",
        counted: "SELECT COUNT(*) FROM coupons",
        broken: &[
            "SELECT c.id AS id, 'it is ' || c.state || ', and its last entry says ' || e.what AS what
             FROM coupons c JOIN coupon_entries e ON e.tenant = c.tenant AND e.coupon = c.id AND e.version = c.version
             WHERE NOT ((c.state IN ('redeemed', 'frozen') AND e.what IN ('used_again', 'use_withdrawn'))
                 OR (c.state = 'redeemed' AND e.what = 'redeemed' AND e.source = c.holder)
                 OR (c.state = 'frozen' AND e.what = 'frozen' AND e.source = c.holder)
                 OR (c.state = 'expired' AND e.what = 'expired')
                 OR (c.state IN ('available', 'expired') AND e.what IN ('voided', 'returned', 'unfrozen')))",
            "SELECT id, 'it is ' || state || ' without an entry' AS what FROM coupons
             WHERE version = 1 AND state NOT IN ('available', 'expired')",
        ],
    },
    Rule {
        name: "frozen_coupons",
        counted: "SELECT COUNT(*) FROM coupons WHERE state = 'frozen'",
        broken: &["SELECT c.id AS id, CASE WHEN f.id IS NULL THEN 'no such freeze holds it' ELSE 'the freeze that holds it is another one' END AS what
             FROM coupons c LEFT JOIN freezes f ON f.tenant = c.tenant AND f.id = c.holder
                 LEFT JOIN order_freezes n ON n.tenant = c.tenant AND n.id = c.holder
             WHERE c.state = 'frozen' AND n.id IS NULL AND (f.id IS NULL OR f.status <> 'granted' OR COALESCE(f.subject_kind, '') <> 'coupon' OR f.subject IS NULL
                 OR f.subject <> c.id OR f.device <> c.held_where OR f.until IS NULL OR f.until <> c.held_at)"],
    },
    Rule {
        name: "frozen_orders",
        counted: "SELECT COUNT(*) FROM orders WHERE state = 'ready' AND holder IS NOT NULL",
        broken: &["SELECT r.id AS id, CASE WHEN f.id IS NULL THEN 'no such freeze holds it' ELSE 'the freeze that holds it is another one' END AS what
             FROM orders r LEFT JOIN freezes f ON f.tenant = r.tenant AND f.id = r.holder
             WHERE r.state = 'ready' AND r.holder IS NOT NULL AND (f.id IS NULL OR f.status <> 'granted' OR COALESCE(f.subject_kind, '') <> 'order'
                 OR f.subject IS NULL OR f.subject <> r.id OR r.held_where IS NULL OR f.device <> r.held_where OR f.until IS NULL OR r.held_at IS NULL OR f.until <> r.held_at)"],
    },
    Rule {
        name: "freezes",
        counted: "SELECT COUNT(*) FROM freezes",
        broken: &["SELECT f.id AS id, 'it is ' || f.status || ', and its answer is incomplete' AS what
             FROM freezes f LEFT JOIN devices d ON d.tenant = f.tenant AND d.id = f.device
             WHERE d.id IS NULL OR (f.status = 'granted' AND (f.until IS NULL OR f.subject IS NULL)) OR (f.status = 'refused' AND f.reasons IS NULL)"],
    },
    Rule {
        name: "collected_orders",
        counted: "SELECT COUNT(*) FROM orders WHERE state = 'collected'",
        broken: &["SELECT r.id AS id, CASE WHEN o.id IS NULL THEN 'no such operation holds it' ELSE 'the operation that holds it did not collect it' END AS what
             FROM orders r LEFT JOIN operations o ON o.tenant = r.tenant AND o.id = r.holder
             WHERE r.state = 'collected' AND (o.id IS NULL OR COALESCE(o.subject_kind, '') <> 'order' OR o.subject IS NULL OR o.subject <> r.id
                 OR o.outcome = 'quarantined' OR r.held_where IS NULL OR o.store <> r.held_where)"],
    },
    Rule {
        name: "cases",
        counted: "SELECT COUNT(*) FROM exceptions",
        broken: &[
            "SELECT o.id AS id, 'it ended in an exception without such a case' AS what
             FROM operations o LEFT JOIN exceptions x ON x.tenant = o.tenant AND x.operation = o.id
             WHERE o.outcome = 'applied_with_exception' AND (x.operation IS NULL OR x.kind <> o.detail OR x.store <> o.store)",
            "SELECT x.operation AS id, 'there is a case, and the operation did not end in an exception' AS what
             FROM exceptions x LEFT JOIN operations o ON o.tenant = x.tenant AND o.id = x.operation
             WHERE o.id IS NULL OR o.outcome <> 'applied_with_exception'",
            "SELECT operation AS id, 'the case is ' || status || ', which does not fit the time it was closed at' AS what FROM exceptions
             WHERE (status = 'open' AND closed_at IS NOT NULL) OR (status <> 'open' AND closed_at IS NULL)",
        ],
    },
    Rule {
        name: "pickup_codes",
        counted: "SELECT COUNT(*) FROM orders WHERE state = 'ready'",
        broken: &[
            "SELECT r.id AS id, 'it waits, and its code is not its own' AS what
             FROM orders r LEFT JOIN pickup_codes p ON p.tenant = r.tenant AND p.code = r.code
             WHERE r.state = 'ready' AND (p.code IS NULL OR p.order_id <> r.id OR p.rests_until IS NOT NULL)",
            "SELECT p.order_id AS id, 'a code names it that is not its own' AS what
             FROM pickup_codes p LEFT JOIN orders r ON r.tenant = p.tenant AND r.id = p.order_id
             WHERE r.id IS NULL OR r.code <> p.code",
        ],
    },
    Rule {
        name: "feeds",
        counted: "SELECT COUNT(*) FROM feed",
        broken: &[
            "SELECT h.store AS id, CAST(COALESCE(f.lines, 0) AS TEXT) || ' lines up to number ' || CAST(COALESCE(f.last, 0) AS TEXT) || ', and the head says ' || CAST(h.number AS TEXT) AS what
             FROM feed_heads h LEFT JOIN (SELECT tenant, store, COUNT(*) AS lines, MIN(number) AS first, MAX(number) AS last FROM feed GROUP BY tenant, store) AS f
                 ON f.tenant = h.tenant AND f.store = h.store
             WHERE COALESCE(f.lines, 0) <> h.number OR COALESCE(f.last, 0) <> h.number OR COALESCE(f.first, 1) <> 1",
            "SELECT DISTINCT f.store AS id, 'there are lines without a head' AS what
             FROM feed f WHERE NOT EXISTS (SELECT 1 FROM feed_heads h WHERE h.tenant = f.tenant AND h.store = f.store)",
        ],
    },
    Rule {
        name: "batches",
        counted: "SELECT COUNT(*) FROM batches",
        broken: &["SELECT b.id AS id, 'size ' || CAST(b.size AS TEXT) || ', made ' || CAST(b.made AS TEXT) || ', claimed ' || CAST(b.claimed AS TEXT) || '; coupons: ' || CAST(COALESCE(c.coupons, 0) AS TEXT) AS what
             FROM batches b LEFT JOIN (SELECT tenant, batch, COUNT(*) AS coupons FROM coupons GROUP BY tenant, batch) AS c ON c.tenant = b.tenant AND c.batch = b.id
             WHERE b.claimed < 0 OR b.claimed > b.made OR b.made > b.size OR b.made <> COALESCE(c.coupons, 0)"],
    },
    Rule {
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
        name: "claims",
        counted: "SELECT COUNT(*) FROM claims",
        broken: &[
            "SELECT k.member AS id, 'a claim names a coupon that is not its member''s' AS what
             FROM claims k LEFT JOIN coupons c ON c.tenant = k.tenant AND c.id = k.coupon
             WHERE k.coupon IS NOT NULL AND (c.id IS NULL OR c.member IS NULL OR c.member <> k.member OR c.template <> k.template)",
            "SELECT coupon AS id, 'it was claimed twice' AS what FROM claims WHERE coupon IS NOT NULL GROUP BY tenant, coupon HAVING COUNT(*) > 1",
            "SELECT c.id AS id, 'it was given without a claim' AS what
             FROM coupons c LEFT JOIN batches b ON b.tenant = c.tenant AND b.id = c.batch
                 LEFT JOIN (SELECT tenant, coupon FROM claims WHERE coupon IS NOT NULL GROUP BY tenant, coupon) AS k ON k.tenant = c.tenant AND k.coupon = c.id
             WHERE COALESCE(b.purpose, '') = 'claim' AND c.version > 0 AND k.coupon IS NULL",
        ],
    },
    Rule {
        name: "holdings",
        counted: "SELECT COUNT(*) FROM holdings",
        broken: &[
            "SELECT h.member AS id, CAST(h.taken AS TEXT) || ' taken, and ' || CAST(COALESCE(k.coupons, 0) AS TEXT) || ' claims say so' AS what
             FROM holdings h LEFT JOIN (SELECT tenant, member, template, COUNT(*) AS coupons FROM claims WHERE coupon IS NOT NULL GROUP BY tenant, member, template) AS k
                 ON k.tenant = h.tenant AND k.member = h.member AND k.template = h.template
             WHERE h.taken <> COALESCE(k.coupons, 0)",
            "SELECT DISTINCT k.member AS id, 'they claimed, and nobody counted it' AS what
             FROM claims k LEFT JOIN holdings h ON h.tenant = k.tenant AND h.member = k.member AND h.template = k.template
             WHERE k.coupon IS NOT NULL AND h.member IS NULL",
        ],
    },
    Rule {
        name: "grants",
        counted: "SELECT COUNT(*) FROM grants",
        broken: &[
            "SELECT p.member AS id, 'the coupon of their part of a grant is not theirs, or not of the grant' AS what
             FROM grant_members p JOIN grants g ON g.tenant = p.tenant AND g.id = p.grant_id LEFT JOIN coupons c ON c.tenant = p.tenant AND c.id = p.coupon
             WHERE p.coupon IS NOT NULL AND (c.id IS NULL OR c.batch <> g.batch OR c.member IS NULL OR c.member <> p.member)",
            "SELECT g.id AS id, CAST(b.claimed AS TEXT) || ' coupons, and ' || CAST(COALESCE(p.given, 0) AS TEXT) || ' members have theirs' AS what
             FROM grants g JOIN batches b ON b.tenant = g.tenant AND b.id = g.batch
                 LEFT JOIN (SELECT tenant, grant_id, COUNT(coupon) AS given FROM grant_members GROUP BY tenant, grant_id) AS p ON p.tenant = g.tenant AND p.grant_id = g.id
             WHERE b.claimed <> COALESCE(p.given, 0)",
        ],
    },
    Rule {
        name: "jobs",
        counted: "SELECT COUNT(*) FROM jobs",
        broken: &[
            "SELECT j.id AS id, CAST(j.done AS TEXT) || ' done, and its batch has ' || CAST(COALESCE(b.made, -1) AS TEXT) AS what
             FROM jobs j LEFT JOIN batches b ON b.tenant = j.tenant AND b.id = j.subject
             WHERE j.kind = 'batch' AND (b.id IS NULL OR b.made <> j.done OR b.size <> j.total)",
            "SELECT id, 'it is done, and ' || CAST(done AS TEXT) || ' of ' || CAST(total AS TEXT) || ' are' AS what FROM jobs WHERE status = 'done' AND done <> total",
        ],
    },
    Rule {
        name: "code_counters",
        counted: "SELECT COUNT(*) FROM code_counters",
        broken: &["SELECT c.tenant AS id, 'the counter of ' || c.head || ' stands at ' || CAST(c.next AS TEXT) || ', and more codes were made' AS what
             FROM code_counters c JOIN (SELECT tenant, code_head, MAX(first_counter + size) AS made FROM batches
                     WHERE first_counter IS NOT NULL GROUP BY tenant, code_head) AS b ON b.tenant = c.tenant AND b.code_head = c.head
             WHERE c.next < b.made"],
    },
    Rule {
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
    Rule {
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
];
