//! Many rows of every table that grows, whether they fit together or not.

use counterfoil_head_office::testing::{Chain, HOUR, On, START, Spelling};

/// So many more rows of each.
pub async fn of_everything(chain: &Chain, on: On, rows: i64) {
    let spell = Spelling(on);
    let [tenant, template, store] = [
        chain.tenant.bytes().as_slice(),
        chain.template.bytes(),
        chain.store.bytes(),
    ]
    .map(|id| spell.literal(id));
    // Numbers that nothing else has.
    let (id, hash, digits) = (
        spell.id("i + 90000000"),
        spell.hash("i + 90000000"),
        spell.digits("i + 90000000"),
    );
    let member = spell.id("i");
    let device = spell.id("77");
    let (one, later) = (spell.hash("1"), START + 1_000 * HOUR);
    chain
        .fill(
            on,
            1,
            "webhooks (tenant, url, secret, created_at)",
            &format!("{tenant}, 'http://127.0.0.1:9/', {one}, {START}"),
        )
        .await;
    // Other chains, and one of some size.
    chain
        .fill(
            on,
            50,
            "tenants (tenant, code, name, currency, code_key, created_at)",
            &format!("{id}, {digits}, 'x', 'CNY', {hash}, {START}"),
        )
        .await;
    chain.fill(on, 100, "stores (tenant, id, code, name_zh, name_en, time_zone, max_count, max_amount, max_each, max_per_member, max_hours, created_at, version)", &format!("{tenant}, {id}, {digits}, 'x', 'x', 'UTC', 0, 0, 0, 0, 0, {START}, 1")).await;
    let tables: &[(&str, String)] = &[
        (
            "outbox (tenant, id, topic, key, number, source, body, status, next_try_at, created_at)",
            format!("{id}, 'x', {digits}, 1, {digits}, '{{}}', 'pending', {START} + i, {START}"),
        ),
        (
            "inbox (tenant, consumer, message, done_at)",
            format!("'x', {id}, {START}"),
        ),
        (
            "accounts (tenant, member, version, points_available, points_held, points_pending, points_debt, points_entries, balance_available, balance_held, balance_pending, balance_debt, balance_entries, earned_day, earned, due_at)",
            format!("{member}, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, {START} + i"),
        ),
        (
            "ledger_lots (tenant, member, asset, lot, amount, free, held, earned_at, ends_at)",
            format!("{member}, CASE i % 2 WHEN 0 THEN 'points' ELSE 'balance' END, 1, 1, 1, 0, {START}, {START} + i"),
        ),
        (
            "point_days (tenant, day, member, ends_at, told, tries, next_try_at)",
            format!("({START} + i - 259200000) / 86400000, {member}, {START} + i, 0, 0, {START} + i - 259200000"),
        ),
        (
            "ledger_holds (tenant, member, asset, hold, device, until, amount, pins)",
            format!("{member}, CASE i % 2 WHEN 0 THEN 'points' ELSE 'balance' END, {id}, {device}, {later}, 1, '[]'"),
        ),
        (
            "ledger_entries (tenant, member, asset, entry, kind, reason, source_of, source, at, amount, owed, available, held, pending, debt)",
            format!(
                "{member}, CASE i % 2 WHEN 0 THEN 'points' ELSE 'balance' END, 1, 'earn', 'gift', 'gift', {id}, {START}, 1, 0, 1, 0, 0, 0"
            ),
        ),
        (
            "ledger_shares (tenant, member, asset, entry, lot, free, held)",
            format!("{member}, CASE i % 2 WHEN 0 THEN 'points' ELSE 'balance' END, 1, 1, 1, 0"),
        ),
        (
            "earnings (tenant, source_of, source, member, entry, amount, taken_back, rule, paid, at)",
            format!("'gift', {id}, {member}, 1, 1, 0, 0, 0, {START}"),
        ),
        (
            "operations (tenant, device, epoch, seq, id, store, subject_kind, subject, fingerprint, received_at, outcome, detail, body)",
            format!(
                "{device}, 1, i, {id}, {store}, CASE i % 3 WHEN 0 THEN 'coupon' WHEN 1 THEN 'order' ELSE 'sale' END, {id}, {hash}, {START}, CASE i % 5 WHEN 0 THEN 'applied_with_exception' ELSE 'applied' END, NULL, {id}"
            ),
        ),
        (
            "branches (tenant, device, fingerprint, epoch, seq, received_at, body)",
            format!("{device}, {hash}, 1, i, {START}, {id}"),
        ),
        (
            "exceptions (tenant, operation, kind, store, loss, status, opened_at)",
            format!("{id}, 'late', {store}, 1, 'open', {START}"),
        ),
        (
            "sales (tenant, id, store, device, at, currency, lines, coupons, payable, paid_back, units, units_back, tender, receipt, version)",
            format!("{id}, {store}, {device}, {START}, 'CNY', '[]', '[]', 0, 0, 0, 0, 'cash', 'x', 1"),
        ),
        (
            "coupon_entries (tenant, coupon, version, what, at, store, device, source)",
            format!("{id}, 2, 'redeemed', {START}, {store}, {device}, {id}"),
        ),
        (
            "order_freezes (tenant, id, number, status, question, amount, deadline, asked_at, asked_by, ask_at, asks, version)",
            format!("{id}, {digits}, 'frozen', 'q', 1, {START}, {START}, {id}, {START} + i, 0, 1"),
        ),
        ("order_freeze_coupons (tenant, order_id, coupon)", format!("{id}, {id}")),
        (
            "notices (tenant, id, kind, body, status, tries, next_try_at, created_at)",
            format!("{id}, 'order', '{{}}', 'pending', 0, {START} + i, {START}"),
        ),
        (
            "messages (tenant, id, number, kind, title_zh, title_en, body_zh, body_en, sent_at)",
            // One in a hundred is to all.
            format!("{id}, CASE WHEN i % 100 = 0 THEN i / 100 END, 'news', 'x', 'x', 'x', 'x', {START}"),
        ),
        (
            "member_messages (tenant, member, message, arrived_at)",
            format!("{member}, {id}, {START}"),
        ),
        ("inboxes (tenant, member, number)", format!("{member}, i % 50")),
        (
            "idempotency (tenant, actor, key, request_hash, status, body, created_at)",
            format!("{digits}, {digits}, {hash}, 200, '{{}}', {START} + i"),
        ),
        (
            "member_sessions (tenant, token_hash, member, created_at, expires_at)",
            format!("{hash}, {member}, {START}, {later} + i"),
        ),
        (
            "claims (tenant, member, key, template, reasons, at)",
            format!("{member}, {id}, {template}, '[]', {START} + i"),
        ),
        (
            "audit (tenant, id, at, actor, action, detail)",
            format!("{id}, {START}, 'x', 'x', '{{}}'"),
        ),
        (
            "feed (tenant, store, number, entity, id, mark)",
            format!("{id}, i, 'coupon', {id}, 1"),
        ),
        (
            "lookup_misses (tenant, device, what, day, store, misses)",
            format!("{id}, 'code', 1, {store}, 1"),
        ),
        (
            "batches (tenant, id, template, template_version, size, made, claimed, status, created_at, purpose, code_head, first_counter, code_form)",
            format!("{id}, {template}, 1, 0, 0, 0, 'closed', {START}, 'claim', {digits}, 1, '{{}}'"),
        ),
        ("code_counters (tenant, head, next)", format!("{digits}, 0")),
        (
            "grants (tenant, id, template, template_version, batch, audience, status, members, created_at)",
            format!("{id}, {template}, 1, {id}, 'list', 'closed', 0, {START}"),
        ),
        (
            "jobs (tenant, id, kind, subject, status, done, total, detail, lease_until, created_at, updated_at, version)",
            format!("{id}, 'batch', {id}, 'done', 0, 1, '{{}}', 0, {START}, {START}, 1"),
        ),
        (
            "enrol_codes (tenant, code_hash, store, created_at, expires_at)",
            format!("{hash}, {store}, {START}, {START}"),
        ),
        (
            "stocks (tenant, id, location, sku, on_hand, reserved, moves, version)",
            format!("{id}, {store}, {digits}, 5, 1, 1, 1"),
        ),
        (
            "stock_moves (tenant, stock, number, kind, quantity, on_hand, source, at)",
            format!("{id}, 1, 'exchanged', -1, 5, {id}, {START}"),
        ),
        (
            "gifts (tenant, id, sku, name_zh, name_en, points, money, worth, member_limit, given, status, created_at, version)",
            format!("{id}, {digits}, 'x', 'x', 1, 1, 1, 1, 'collected', 'published', {START}, 1"),
        ),
        (
            "gift_members (tenant, member, gift, taken, version)",
            format!("{member}, {id}, 1, 1"),
        ),
        (
            "exchanges (tenant, id, member, gift, stock, location, sku, name_zh, name_en, points, money, worth, pickup, status, asked_at, deadline, ask_at, asks, version)",
            format!(
                "{id}, {member}, {id}, {id}, {store}, {digits}, 'x', 'x', 1, 1, 1, {id}, 'awaiting_payment', {START}, {START}, {START} + i, 0, 1"
            ),
        ),
        (
            "addresses (tenant, id, member, recipient, phone, region, street, created_at)",
            format!("{id}, {member}, 'x', 'x', 'x', 'x', {START}"),
        ),
        (
            "shipments (tenant, id, kind, source, member, recipient, phone, region, street, parcels, created_at)",
            format!("{id}, 'purchase', {digits}, {member}, 'x', 'x', 'x', 'x', 1, {START}"),
        ),
        (
            "shipment_lines (tenant, shipment, line, sku, name, ordered, in_parcels)",
            format!("{id}, 0, 'x', 'x', 1, 1"),
        ),
        (
            "parcels (tenant, id, shipment, number, generation, state, changed_at)",
            format!("{id}, {id}, 1, 1, 'waiting', {START}"),
        ),
        ("parcel_lines (tenant, parcel, line, quantity)", format!("{id}, 0, 1")),
        (
            "parcel_generations (tenant, parcel, generation, errand, errand_at, tries, turn)",
            format!("{id}, 1, 'order', {START} + i, 0, 0"),
        ),
        (
            "waybills (tenant, carrier, number, parcel, generation, status, created_at, event_count, events, track_at, subscribed)",
            format!("'shunfeng', {digits}, {id}, 1, 'live', {START}, 0, '[]', {START} + i, 0"),
        ),
        (
            "products (tenant, id, sku, name_zh, name_en, unit_price, currency, active, created_at, changed_at, version)",
            format!("{id}, {digits}, 'x', 'x', 1, 'CNY', 1, {START}, {START}, 1"),
        ),
        ("product_barcodes (tenant, barcode, product)", format!("{digits}, {id}")),
    ];
    for (into, select) in tables {
        chain.fill(on, rows, into, &format!("{tenant}, {select}")).await;
    }
    if on == On::Postgres {
        chain.run("ANALYZE").await;
    }
}
