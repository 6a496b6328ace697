//! Members in millions: a member's coupons by state among ten million coupons, and a message to ten million members.
//!
//! The rows are made inside the database. A member's coupons lie far apart, as they do when coupons are claimed over
//! time. `COUNTERFOIL_BENCH_COUPONS` and `COUNTERFOIL_BENCH_MEMBERS` say how many.

use std::time::Instant;

use anyhow::Context;
use counterfoil_domain::{
    coupons::Standing,
    ids::{MemberId, MessageId},
};
use counterfoil_head_office::{
    messages::{self, Message, Words},
    testing::{Chain, HOUR, On, START, chain, random10},
    wallet::mine,
};
use sqlx::AssertSqlSafe;

use crate::{
    Latencies, disk,
    engine::{name, settle},
    report,
};

const TEN_MILLION: i64 = 10_000_000;
/// Coupons that a member has on average.
const EACH: i64 = 10;
/// Rows made in one transaction.
const STEP: i64 = 500_000;
const LOOKS: usize = 5_000;

fn wanted(name: &str) -> anyhow::Result<i64> {
    let Ok(text) = std::env::var(name) else {
        return Ok(TEN_MILLION);
    };
    let count: i64 = text.parse().with_context(|| format!("{name} is a number"))?;
    Ok(count.max(1_000))
}

/// How an engine writes 16 bytes made of a number, and 18 digits.
struct Spelling {
    id: fn(&str) -> String,
    digits: fn(&str) -> String,
}

fn spelling(on: On) -> Spelling {
    match on {
        On::Sqlite => Spelling {
            id: |number| format!("unhex(printf('%032x', {number}))"),
            digits: |number| format!("printf('%018d', {number})"),
        },
        On::Postgres => Spelling {
            id: |number| format!("decode(lpad(to_hex({number}), 32, '0'), 'hex')"),
            digits: |number| format!("lpad(CAST({number} AS TEXT), 18, '0')"),
        },
    }
}

/// The id that [`Spelling::id`] makes.
fn member(number: i64) -> anyhow::Result<MemberId> {
    Ok(MemberId::from_bytes(&u128::try_from(number)?.to_be_bytes())?)
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        i64::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }
}

async fn run(chain: &Chain, sql: String) -> anyhow::Result<()> {
    let mut lease = chain.app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    if chain.fresh.url.starts_with("postgres") {
        sqlx::query("SET LOCAL statement_timeout = 0")
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    transaction.commit("test").await?;
    Ok(())
}

fn hex(bytes: &[u8], on: On) -> String {
    match on {
        On::Sqlite => format!("x'{}'", hex::encode(bytes)),
        On::Postgres => format!("decode('{}', 'hex')", hex::encode(bytes)),
    }
}

async fn make(chain: &Chain, on: On, members: i64, coupons: i64) -> anyhow::Result<i64> {
    let Spelling { id, digits } = spelling(on);
    let tenant = hex(chain.tenant.bytes(), on);
    let (template, store) = (hex(chain.template.bytes(), on), hex(chain.store.bytes(), on));
    let numbers = |from: i64, upto: i64| {
        format!("WITH RECURSIVE n(i) AS (SELECT CAST({from} AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {upto})")
    };
    let mut from = 1;
    while from <= members {
        let upto = (from + STEP - 1).min(members);
        let rows = numbers(from, upto);
        let (id, number) = (id("i"), digits("i"));
        run(chain, format!("INSERT INTO members (tenant, id, number, name, phone, recent_stores, created_at, version) {rows} SELECT {tenant}, {id}, {number}, 'x', {number}, {store}, {START}, 1 FROM n")).await?;
        from = upto + 1;
    }
    // An index is built faster from all rows at once than row by row.
    run(chain, "DROP INDEX coupons_by_member".into()).await?;
    let owners = (coupons / EACH).clamp(1, members);
    let (past, ahead) = (START - HOUR, START + 1_000 * HOUR);
    let mut from = 1;
    while from <= coupons {
        let upto = (from + STEP - 1).min(coupons);
        let rows = numbers(from, upto);
        let (id, code, owner) = (id("i"), digits("i"), id(&format!("(i % {owners}) + 1")));
        // Of ten: six available, two whose time is over, one used, one held.
        run(chain, format!("INSERT INTO coupons (tenant, id, code, member, template, template_version, batch, valid_until, state, holder, held_at, held_where, version) {rows} SELECT {tenant}, {id}, {code}, {owner}, {template}, 1, {tenant}, CASE WHEN (i / {owners}) % 10 IN (6, 7) THEN {past} ELSE {ahead} END, CASE (i / {owners}) % 10 WHEN 8 THEN 'redeemed' WHEN 9 THEN 'frozen' ELSE 'available' END, CASE WHEN (i / {owners}) % 10 IN (8, 9) THEN {id} END, CASE WHEN (i / {owners}) % 10 IN (8, 9) THEN {ahead} END, CASE WHEN (i / {owners}) % 10 IN (8, 9) THEN {store} END, 1 FROM n")).await?;
        from = upto + 1;
    }
    run(
        chain,
        "CREATE INDEX coupons_by_member ON coupons (tenant, member)".into(),
    )
    .await?;
    settle(chain, on).await?;
    Ok(owners)
}

/// Prints a member's coupons by state, and what a message to everybody costs.
pub async fn measure(on: On) -> anyhow::Result<()> {
    let (coupons, members) = (
        wanted("COUNTERFOIL_BENCH_COUPONS")?,
        wanted("COUNTERFOIL_BENCH_MEMBERS")?,
    );
    let chain = chain(on, 0).await;
    let title = format!("members.{}", name(on));
    eprintln!("{title}: making {members} members and {coupons} coupons");
    let begun = Instant::now();
    let owners = make(&chain, on, members, coupons).await?;
    eprintln!("{title}: made in {:.0} s", begun.elapsed().as_secs_f64());
    disk(&format!("{title}.disk_sync"))?;

    let mut numbers = Numbers(7);
    let states = [
        Standing::Available,
        Standing::Frozen,
        Standing::Redeemed,
        Standing::Expired,
    ];
    let mut latencies = Latencies::default();
    let mut found = 0;
    for n in 0..LOOKS {
        let owner = member(numbers.below(owners) + 1)?;
        let begun = Instant::now();
        let mut connection = chain.app.db.reader().acquire().await?;
        let page = mine::page(
            &mut connection,
            chain.tenant,
            owner,
            states.get(n % states.len()).copied(),
            START,
            None,
            51,
        )
        .await?;
        drop(connection);
        latencies.add(begun.elapsed());
        found += page.len();
    }
    anyhow::ensure!(found > 0, "nobody has a coupon");
    latencies.report(&format!("{title}.coupons_by_state_of_{coupons}"));

    let message = Message {
        id: MessageId::new(START + HOUR, random10()),
        kind: "news".into(),
        words: Words {
            title_zh: "春季上新".into(),
            title_en: "New in spring".into(),
            body_zh: "新品已到店。".into(),
            body_en: "The new drinks are here.".into(),
        },
        sent_at: START + HOUR,
        sent_by: None,
    };
    let begun = Instant::now();
    {
        let mut lease = chain.app.db.lease().await?;
        let mut transaction = lease.begin().await?;
        messages::send_to_all(&mut transaction, chain.tenant, &message).await?;
        transaction.commit("test").await?;
    }
    report(
        &format!("{title}.message_to_{members}"),
        begun.elapsed().as_secs_f64() * 1e3,
        "ms",
        "lower",
        1,
    );
    let (mut unread, mut first, mut again) = (Latencies::default(), Latencies::default(), Latencies::default());
    for _ in 0..LOOKS / 5 {
        let who = member(numbers.below(members) + 1)?;
        let now = START + 2 * HOUR;
        let begun = Instant::now();
        messages::unread(&chain.app.db, chain.tenant, who).await?;
        unread.add(begun.elapsed());
        let begun = Instant::now();
        messages::look(&chain.app.db, chain.tenant, who, now, None, 51).await?;
        first.add(begun.elapsed());
        let begun = Instant::now();
        let page = messages::look(&chain.app.db, chain.tenant, who, now, None, 51).await?;
        again.add(begun.elapsed());
        anyhow::ensure!(page.len() == 1, "the message did not arrive");
    }
    unread.report(&format!("{title}.unread"));
    // Writes the member's own row, once.
    first.report(&format!("{title}.first_look"));
    again.report(&format!("{title}.look"));
    chain.app.db.close().await;
    Ok(())
}
