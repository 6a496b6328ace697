//! A chain in large numbers, made inside the database, of which every rule of `verify` holds.

use counterfoil_domain::{
    ids::{CouponId, MemberId},
    time::DAY,
};

use super::{Chain, On, START, chain};

/// When its coupons end.
pub const MANY_END: i64 = START - START % DAY + 40 * DAY;
/// Rows of one statement.
const STEP: i64 = 100_000;
/// Operations of one push.
const PUSH: usize = 200;

/// How an engine writes what is made of a number.
#[derive(Debug, Clone, Copy)]
pub struct Spelling(pub On);

impl Spelling {
    fn bytes(self, digits: usize, number: &str) -> String {
        match self.0 {
            On::Sqlite => format!("unhex(printf('%0{digits}x', {number}))"),
            On::Postgres => format!("decode(lpad(to_hex(CAST({number} AS BIGINT)), {digits}, '0'), 'hex')"),
        }
    }
    /// 16 bytes.
    pub fn id(self, number: &str) -> String {
        self.bytes(32, number)
    }
    /// 32 bytes.
    pub fn hash(self, number: &str) -> String {
        self.bytes(64, number)
    }
    /// 18 digits.
    pub fn digits(self, number: &str) -> String {
        match self.0 {
            On::Sqlite => format!("printf('%018d', {number})"),
            On::Postgres => format!("lpad(CAST({number} AS TEXT), 18, '0')"),
        }
    }
    /// These bytes.
    pub fn literal(self, bytes: &[u8]) -> String {
        match self.0 {
            On::Sqlite => format!("x'{}'", hex::encode(bytes)),
            On::Postgres => format!("decode('{}', 'hex')", hex::encode(bytes)),
        }
    }
}

/// The coupon whose id is made of this number.
pub fn nth_coupon(number: i64) -> CouponId {
    CouponId::from_bytes(&i128::from(number).to_be_bytes()).unwrap()
}

/// The member whose id is made of this number.
pub fn nth_member(number: i64) -> MemberId {
    MemberId::from_bytes(&i128::from(number).to_be_bytes()).unwrap()
}

impl Chain {
    /// Inserts rows `1..=count`: `into` names table and columns, `select` the values for the number `i`.
    pub async fn fill(&self, on: On, count: i64, into: &str, select: &str) {
        let mut from = 1;
        while from <= count {
            let upto = (from + STEP - 1).min(count);
            let patience = match on {
                On::Sqlite => "",
                On::Postgres => "SET LOCAL statement_timeout = 0;",
            };
            self.run(format!(
                "{patience} WITH RECURSIVE n(i) AS (SELECT CAST({from} AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {upto}) INSERT INTO {into} SELECT {select} FROM n"
            ))
            .await;
            from = upto + 1;
        }
    }
}

/// So many coupons, a multiple of 40: half of them claimed by members, a quarter printed, a quarter granted; one in 20
/// redeemed, and one in 200 redeemed twice; an order, and a freeze that was refused, for every ten.
pub async fn many(on: On, coupons: i64) -> Chain {
    let chain = chain(on, 0).await;
    let spell = Spelling(on);
    let [tenant, template, store] = [
        chain.tenant.bytes().as_slice(),
        chain.template.bytes(),
        chain.store.bytes(),
    ]
    .map(|id| spell.literal(id));
    let members = coupons / 4;
    let (id, code) = (spell.id("i"), spell.digits("i"));
    let fill = async |count: i64, into: &str, select: String| {
        chain.fill(on, count, into, &format!("{tenant}, {select}")).await;
    };
    fill(
        members,
        "members (tenant, id, number, name, phone, recent_stores, created_at, version)",
        format!("{id}, {code}, 'x', {code}, {store}, {START}, 1"),
    )
    .await;

    let half = coupons / 2;
    for (batch, size, claimed, purpose) in [
        (1, half, half, "claim"),
        (2, members, 0, "print"),
        (3, members, members, "grant"),
    ] {
        let batch = spell.id(&batch.to_string());
        fill(
            1,
            "batches (tenant, id, template, template_version, size, made, claimed, status, created_at, purpose, code_form)",
            format!("{batch}, {template}, 1, {size}, {size}, {claimed}, 'ready', {START}, '{purpose}', '{{}}'"),
        )
        .await;
    }
    let batch = spell.id(&format!(
        "CASE WHEN i <= {half} THEN 1 WHEN i <= {half} + {members} THEN 2 ELSE 3 END"
    ));
    // A member's claims lie far apart, as they do when they come over time.
    let member = format!(
        "CASE WHEN i <= {half} THEN {} WHEN i > {half} + {members} THEN {} END",
        spell.id(&format!("(i % {members}) + 1")),
        spell.id(&format!("i - {half} - {members}"))
    );
    fill(
        coupons,
        "coupons (tenant, id, code, member, template, template_version, batch, valid_until, state, version)",
        format!("{id}, {code}, {member}, {template}, 1, {batch}, {MANY_END}, 'available', 1"),
    )
    .await;
    let (last, remind) = (MANY_END / DAY, MANY_END / DAY - 3);
    let printed = format!("i > {half} AND i <= {half} + {members}");
    fill(
        coupons,
        "coupon_days (tenant, day, coupon, member, what, expires_at, status, told, tries, next_try_at)",
        format!("CASE WHEN {printed} THEN {last} ELSE {remind} END, {id}, {member}, CASE WHEN {printed} THEN 'expire' ELSE 'remind' END, {MANY_END}, 'pending', 0, 0, {START}"),
    )
    .await;
    fill(
        half,
        "claims (tenant, member, key, template, coupon, at)",
        format!(
            "{}, {id}, {template}, {id}, {START}",
            spell.id(&format!("(i % {members}) + 1"))
        ),
    )
    .await;
    fill(
        members,
        "holdings (tenant, member, template, taken, version)",
        format!("{id}, {template}, 2, 1"),
    )
    .await;
    let grant = spell.id("3");
    fill(
        1,
        "grants (tenant, id, template, template_version, batch, audience, status, members, created_at)",
        format!("{grant}, {template}, 1, {grant}, 'list', 'closed', {members}, {START}"),
    )
    .await;
    fill(
        members,
        "grant_members (tenant, grant_id, member, coupon, given_at)",
        format!(
            "{grant}, {id}, {}, {START}",
            spell.id(&format!("i + {half} + {members}"))
        ),
    )
    .await;
    fill(
        coupons / 10,
        "orders (tenant, shard, id, number, code, store, collector, lines, state, created_at, version)",
        format!("0, {id}, {code}, {code}, {store}, 'x', '[]', 'ready', {START}, 1"),
    )
    .await;
    fill(
        coupons / 10,
        "order_numbers (tenant, number, shard, order_id)",
        format!("{code}, 0, {id}"),
    )
    .await;
    fill(
        coupons / 10,
        "pickup_codes (tenant, shard, code, order_id)",
        format!("0, {code}, {id}"),
    )
    .await;
    let (mut first, mut second) = (chain.counter().await, chain.counter().await);
    let device = spell.literal(first.device.bytes());
    fill(
        coupons / 10,
        "freezes (tenant, id, device, asked_at, status, reasons)",
        format!("{id}, {device}, {START}, 'refused', '[]'"),
    )
    .await;
    if on == On::Postgres {
        // What its own housekeeping would have done by the time that there are so many.
        chain.run("ANALYZE").await;
    }
    let redeemed: Vec<i64> = (half + 1..=half + coupons / 20).collect();
    for (counter, coupons) in [
        (&mut first, redeemed.clone()),
        (&mut second, redeemed.into_iter().step_by(10).collect()),
    ] {
        for coupons in coupons.chunks(PUSH) {
            let made: Vec<_> = coupons
                .iter()
                .map(|n| counter.make(chain.redeem(nth_coupon(*n), None), START))
                .collect();
            chain.push(&made).await;
        }
    }
    chain
}
