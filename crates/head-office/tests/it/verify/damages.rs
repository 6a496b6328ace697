//! Ways to damage a table, and the checks that must find them.

/// A way to damage a table, and the checks that must find it. `$1` is 16 random bytes.
pub(super) struct Damage {
    pub(super) table: &'static str,
    pub(super) sql: &'static str,
    pub(super) found_by: &'static [&'static str],
}

const fn damage(table: &'static str, sql: &'static str, found_by: &'static [&'static str]) -> Damage {
    Damage { table, sql, found_by }
}

pub(super) const DAMAGES: &[Damage] = &[
    damage(
        "operations",
        "UPDATE operations SET body = $1 WHERE seq = 1",
        &["journal_chain"],
    ),
    damage(
        "operations",
        "UPDATE operations SET subject = $1 WHERE subject_kind = 'coupon'",
        &["journal_chain"],
    ),
    damage(
        "operations",
        "UPDATE operations SET seq = seq + 100 WHERE seq = 3",
        &["journal_chain", "journals_gapless"],
    ),
    damage(
        "operations",
        "DELETE FROM operations WHERE seq = 2 AND outcome = 'applied'",
        &["journals_gapless"],
    ),
    damage(
        "operations",
        "UPDATE operations SET id = $1 WHERE seq = 6",
        &["journal_chain"],
    ),
    damage(
        "operations",
        "UPDATE operations SET detail = 'late' WHERE outcome = 'applied' AND seq = 1",
        &["operation_outcomes"],
    ),
    damage(
        "operations",
        "UPDATE operations SET detail = NULL WHERE outcome = 'quarantined'",
        &["operation_outcomes"],
    ),
    damage(
        "operations",
        "UPDATE operations SET store = $1",
        &["operation_outcomes"],
    ),
    damage(
        "operations",
        "UPDATE operations SET outcome = 'applied', detail = NULL WHERE detail = 'double_redeem'",
        &["cases", "redemption_entries"],
    ),
    damage(
        "operations",
        "UPDATE operations SET outcome = 'quarantined', detail = 'handler_failed' WHERE subject_kind = 'coupon'",
        &["redeemed_coupons", "redemption_entries"],
    ),
    damage(
        "devices",
        "UPDATE devices SET last_seq = last_seq + 1",
        &["journal_heads"],
    ),
    damage("devices", "UPDATE devices SET last_seq = 0", &["journal_heads"]),
    damage("devices", "UPDATE devices SET last_hash = $1", &["journal_heads"]),
    damage("sales", "UPDATE sales SET receipt = 'another'", &["sales"]),
    damage(
        "coupons",
        "UPDATE coupons SET surplus = '[{\"operation\":\"00000000-0000-7000-8000-000000000001\",\"at\":1,\"store\":\"00000000-0000-7000-8000-000000000001\",\"device\":\"00000000-0000-7000-8000-000000000001\"}]' WHERE state = 'available'",
        &["surplus"],
    ),
    damage("branches", "UPDATE branches SET body = $1", &["branches"]),
    damage(
        "coupons",
        "UPDATE coupons SET holder = $1 WHERE state = 'redeemed'",
        &["redeemed_coupons", "coupon_states"],
    ),
    damage(
        "coupons",
        "UPDATE coupons SET state = 'available', holder = NULL, held_at = NULL, held_where = NULL WHERE state = 'redeemed'",
        &["coupon_states"],
    ),
    damage(
        "coupons",
        "UPDATE coupons SET state = 'available', holder = NULL, held_at = NULL, held_where = NULL WHERE state = 'frozen'",
        &["coupon_states"],
    ),
    damage(
        "coupons",
        "UPDATE coupons SET state = 'redeemed', holder = $1, held_at = 1, held_where = $1 WHERE version = 1",
        &["coupon_states", "redeemed_coupons"],
    ),
    damage(
        "coupons",
        "UPDATE coupons SET version = version + 1 WHERE state = 'redeemed'",
        &["coupon_versions"],
    ),
    damage(
        "coupons",
        "UPDATE coupons SET held_at = held_at + 1 WHERE state = 'frozen'",
        &["frozen_coupons"],
    ),
    damage("coupons", "UPDATE coupons SET template = $1", &["templates"]),
    damage("coupons", "UPDATE coupons SET batch = $1", &["templates", "batches"]),
    damage("coupons", "DELETE FROM coupons WHERE version = 1", &["batches"]),
    damage("coupons", "UPDATE coupons SET home_store = $1", &["references"]),
    damage(
        "coupon_entries",
        "UPDATE coupon_entries SET what = 'redeemed' WHERE what = 'voided'",
        &["redeemed_once", "coupon_states"],
    ),
    damage(
        "coupon_entries",
        "DELETE FROM coupon_entries WHERE what = 'redeemed'",
        &["redemption_entries", "coupon_versions", "redeemed_once"],
    ),
    damage(
        "coupon_entries",
        "DELETE FROM coupon_entries WHERE what = 'frozen'",
        &["coupon_versions"],
    ),
    damage(
        "coupon_entries",
        "UPDATE coupon_entries SET source = $1 WHERE what = 'redeemed'",
        &["redemption_entries", "coupon_states"],
    ),
    damage(
        "coupon_entries",
        "UPDATE coupon_entries SET version = version + 50",
        &["coupon_versions"],
    ),
    damage("templates", "UPDATE templates SET status = 'draft'", &["templates"]),
    damage(
        "batches",
        "UPDATE batches SET made = made - 1, claimed = 0",
        &["batches"],
    ),
    damage(
        "freezes",
        "DELETE FROM freezes WHERE status = 'granted'",
        &["frozen_coupons", "frozen_orders"],
    ),
    damage(
        "freezes",
        "UPDATE freezes SET status = 'cancelled' WHERE subject_kind = 'order'",
        &["frozen_orders"],
    ),
    damage(
        "freezes",
        "UPDATE freezes SET subject = $1 WHERE subject_kind = 'coupon'",
        &["frozen_coupons"],
    ),
    damage(
        "freezes",
        "UPDATE freezes SET until = NULL WHERE status = 'granted'",
        &["freezes"],
    ),
    damage("freezes", "UPDATE freezes SET reasons = NULL", &["freezes"]),
    damage(
        "orders",
        "UPDATE orders SET holder = $1 WHERE state = 'collected'",
        &["collected_orders", "collected_once"],
    ),
    damage(
        "orders",
        "UPDATE orders SET state = 'ready', holder = NULL, held_at = NULL, held_where = NULL WHERE state = 'collected'",
        &["collected_once"],
    ),
    damage(
        "orders",
        "UPDATE orders SET held_where = $1 WHERE state = 'collected'",
        &["collected_orders"],
    ),
    damage(
        "orders",
        "UPDATE orders SET code = '99999999' WHERE state = 'ready'",
        &["pickup_codes"],
    ),
    damage("orders", "UPDATE orders SET member = $1", &["references"]),
    damage("exceptions", "DELETE FROM exceptions", &["cases"]),
    damage("exceptions", "UPDATE exceptions SET kind = 'late'", &["cases"]),
    damage(
        "exceptions",
        "UPDATE exceptions SET operation = $1 WHERE kind = 'late'",
        &["cases"],
    ),
    damage(
        "exceptions",
        "UPDATE exceptions SET closed_at = 1 WHERE status = 'open'",
        &["cases"],
    ),
    damage("pickup_codes", "DELETE FROM pickup_codes", &["pickup_codes"]),
    damage(
        "pickup_codes",
        "UPDATE pickup_codes SET rests_until = NULL WHERE rests_until IS NOT NULL",
        &["pickup_codes"],
    ),
    damage("order_numbers", "DELETE FROM order_numbers", &["order_numbers"]),
    damage(
        "order_numbers",
        "UPDATE order_numbers SET number = number || 'X'",
        &["order_numbers"],
    ),
    damage(
        "order_numbers",
        "UPDATE order_numbers SET order_id = $1",
        &["order_numbers"],
    ),
    damage(
        "pickup_codes",
        "UPDATE pickup_codes SET rests_until = 5",
        &["pickup_codes"],
    ),
    damage(
        "order_freezes",
        "UPDATE order_freezes SET status = 'confirmed', ask_at = NULL, ended_at = 1 WHERE status = 'frozen'",
        &["order_freezes"],
    ),
    damage(
        "order_freezes",
        "DELETE FROM order_freezes",
        &[
            "order_freezes",
            "frozen_coupons",
            "redeemed_coupons",
            "redemption_entries",
        ],
    ),
    damage(
        "order_freeze_coupons",
        "DELETE FROM order_freeze_coupons",
        &["order_freezes"],
    ),
    damage(
        "order_freeze_coupons",
        "UPDATE order_freeze_coupons SET taken_by = $1, taken_at = 1",
        &["order_freezes"],
    ),
    damage("coupon_days", "DELETE FROM coupon_days", &["coupon_days"]),
    damage("coupon_days", "UPDATE coupon_days SET day = day + 1", &["coupon_days"]),
    damage("coupon_days", "UPDATE coupon_days SET member = $1", &["coupon_days"]),
    damage(
        "coupon_days",
        "UPDATE coupon_days SET expires_at = expires_at + 1",
        &["coupon_days"],
    ),
    damage("messages", "DELETE FROM messages", &["messages"]),
    damage(
        "message_heads",
        "UPDATE message_heads SET number = number + 1",
        &["messages"],
    ),
    damage("member_messages", "DELETE FROM member_messages", &["messages"]),
    damage("inboxes", "UPDATE inboxes SET number = 9", &["messages"]),
    damage("feed", "DELETE FROM feed WHERE number = 1", &["feeds"]),
    damage(
        "feed",
        "DELETE FROM feed WHERE number = (SELECT MAX(number) FROM feed)",
        &["feeds"],
    ),
    damage("feed_heads", "UPDATE feed_heads SET number = number + 1", &["feeds"]),
    damage("feed_heads", "DELETE FROM feed_heads", &["feeds"]),
    damage("members", "DELETE FROM members", &["references"]),
    damage(
        "enrol_codes",
        "INSERT INTO enrol_codes (code_hash, tenant, store, created_at, expires_at, device) SELECT $1, tenant, id, 0, 0, code_hash_of_nobody FROM (SELECT tenant, id, id AS code_hash_of_nobody FROM stores) AS s",
        &["references"],
    ),
    damage(
        "token_keys",
        "INSERT INTO token_keys (tenant, key_id, public_key, secret_key, created_at, version) SELECT tenant, 9, code_key, code_key, 0, 1 FROM tenants",
        &["token_keys"],
    ),
];
