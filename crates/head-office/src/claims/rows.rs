//! SQL of offers, batches, holdings, claims and grants, as the engine needs it.
//!
//! A group of claims costs one statement a table. The order of locks: grants are only read, then batches, holdings,
//! coupons; a claim's coupon is nobody's before, so no other transaction waits for it.

use std::collections::BTreeMap;

use counterfoil_domain::{
    code_policy::Form,
    coupons::Coupon,
    ids::{BatchId, CouponId, MemberId, TemplateId, TenantId},
    time::{DAY, Millis},
    transition::{Batch, BatchStatus, Claim, ClaimKey, Holding, Terms},
    words::Word,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use crate::{
    coupons::terms,
    db::batch::select_by_id,
    db::{
        DbError,
        batch::{self, Text, execute_all, fetch, hash, id, id_or_null},
    },
};

const SELECT_TERMS: Text = Text::new(
    "SELECT id, template_version, status, claim_from, claim_until, member_limit, limit_counts, valid_from, valid_until, valid_days FROM templates WHERE tenant = $1 AND status <> 'draft' AND id IN (",
    ") ORDER BY id, template_version DESC",
);
const SELECT_OPEN: Text = Text::new(
    "SELECT id, template, template_version, size, made, claimed, status FROM batches WHERE tenant = $1 AND purpose = 'claim' AND status <> 'closed' AND claimed < size AND template IN (",
    ")",
);
const SELECT_BATCHES: Text =
    select_by_id!("SELECT id, template, template_version, size, made, claimed, status FROM batches");
const UPDATE_BATCHES: Text = Text::new(
    "UPDATE batches SET size = v.column4, made = v.column5, claimed = v.column6 FROM (VALUES ",
    ") AS v WHERE batches.tenant = $1 AND batches.id = v.column1 AND batches.made = v.column2 AND batches.claimed = v.column3",
);
const SELECT_HOLDINGS: Text = Text::new(
    "SELECT member, template, taken, version FROM holdings WHERE tenant = $1 AND (member, template) IN (VALUES ",
    ") ORDER BY member, template",
);
const SELECT_HELD: Text = Text::new(
    "SELECT member, template, valid_until, COUNT(*) AS coupons FROM coupons WHERE tenant = $1 AND state IN ('available', 'frozen') AND member IN (",
    ") GROUP BY member, template, valid_until",
);
const INSERT_HOLDINGS: Text = Text::new(
    "INSERT INTO holdings (tenant, member, template, taken, version) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const UPDATE_HOLDINGS: Text = Text::new(
    "UPDATE holdings SET taken = v.column4, version = v.column5 FROM (VALUES ",
    ") AS v WHERE holdings.tenant = $1 AND holdings.member = v.column1 AND holdings.template = v.column2 AND holdings.version = v.column3",
);
const SELECT_CLAIMS: Text = Text::new(
    "SELECT member, key, template, coupon, reasons FROM claims WHERE tenant = $1 AND (member, key) IN (VALUES ",
    ")",
);
const INSERT_CLAIMS: Text = Text::new(
    "INSERT INTO claims (tenant, member, key, template, coupon, reasons, at) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const GIVE: Text = Text::new(
    "UPDATE coupons SET member = v.column2, home_store = v.column3, valid_from = v.column4, valid_until = v.column5, version = 1 FROM (VALUES ",
    ") AS v WHERE coupons.tenant = $1 AND coupons.id = v.column1 AND coupons.version = 0 RETURNING id, code",
);
const SELECT_FORMS: Text = Text::new(
    "SELECT b.id AS id, b.code_form AS code_form, t.code_key AS code_key FROM batches b JOIN tenants t ON t.tenant = b.tenant WHERE b.tenant = $1 AND b.id IN (",
    ")",
);

/// Loads what templates say about giving their coupons out: versions that are no drafts, the newest first.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load_terms(
    connection: &mut AnyConnection,
    tenant: TenantId,
    templates: &[TemplateId],
) -> Result<BTreeMap<TemplateId, Vec<Terms>>, DbError> {
    let mut all: BTreeMap<TemplateId, Vec<Terms>> = BTreeMap::new();
    let found = fetch(connection, SELECT_TERMS, "", tenant, templates, |b, id| {
        b.bytes(id.bytes());
    })
    .await?;
    for terms in found.read(|row| Ok((id(row, "id", TemplateId::from_bytes)?, terms::read(row)?))) {
        let (template, terms) = terms?;
        all.entry(template).or_default().push(terms);
    }
    Ok(all)
}

fn read_batch(row: &AnyRow) -> Result<Batch, DbError> {
    let status: String = row.try_get("status")?;
    Ok(Batch {
        id: id(row, "id", BatchId::from_bytes)?,
        template: id(row, "template", TemplateId::from_bytes)?,
        template_version: row.try_get("template_version")?,
        size: row.try_get("size")?,
        made: row.try_get("made")?,
        claimed: row.try_get("claimed")?,
        status: BatchStatus::parse(&status).ok_or(DbError::Decode { column: "status" })?,
    })
}

/// Loads the batches that these templates' coupons are claimed from: not closed, not all given. Who takes from them
/// locks them by id, together with all others, and looks again.
///
/// # Errors
/// As [`load_terms`].
pub async fn load_open_batches(
    connection: &mut AnyConnection,
    tenant: TenantId,
    templates: &[TemplateId],
) -> Result<Vec<Batch>, DbError> {
    let found = fetch(connection, SELECT_OPEN, "", tenant, templates, |b, id| {
        b.bytes(id.bytes());
    });
    let mut batches: Vec<Batch> = found.await?.read(read_batch).collect::<Result<_, _>>()?;
    // Here and not in the statement: SQLite would read all of a chain's batches for the sake of the order.
    batches.sort_unstable_by_key(|batch| batch.id);
    Ok(batches)
}

/// Loads batches by id.
///
/// # Errors
/// As [`load_terms`].
pub async fn load_batches(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[BatchId],
    lock: &'static str,
) -> Result<Vec<Batch>, DbError> {
    fetch(connection, SELECT_BATCHES, lock, tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(read_batch)
    .collect()
}

/// Stores batches that gave coupons out, each with the numbers it was loaded with.
///
/// # Errors
/// [`DbError::RowCount`] when one of them has moved since.
pub async fn update_batches(
    connection: &mut AnyConnection,
    tenant: TenantId,
    batches: &[((i64, i64), &Batch)],
) -> Result<(), DbError> {
    execute_all(
        connection,
        "batches",
        UPDATE_BATCHES,
        tenant,
        batches,
        |b, ((made, claimed), batch)| {
            b.bytes(batch.id.bytes())
                .number(*made)
                .number(*claimed)
                .number(batch.size)
                .number(batch.made)
                .number(batch.claimed);
        },
    )
    .await
}

/// Loads what members have had of templates; what they hold now is counted for those in `held` alone.
///
/// # Errors
/// As [`load_terms`].
pub async fn load_holdings(
    connection: &mut AnyConnection,
    tenant: TenantId,
    wanted: &[(MemberId, TemplateId)],
    counted: &[(MemberId, TemplateId)],
    now: Millis,
    lock: &'static str,
) -> Result<BTreeMap<(MemberId, TemplateId), Holding>, DbError> {
    let mut holdings: BTreeMap<_, Holding> = fetch(
        connection,
        SELECT_HOLDINGS,
        lock,
        tenant,
        wanted,
        |b, (member, template)| {
            b.bytes(member.bytes()).bytes(template.bytes());
        },
    )
    .await?
    .read(|row| {
        let holding = Holding {
            member: id(row, "member", MemberId::from_bytes)?,
            template: id(row, "template", TemplateId::from_bytes)?,
            taken: row.try_get("taken")?,
            held: 0,
            version: row.try_get("version")?,
        };
        Ok(((holding.member, holding.template), holding))
    })
    .collect::<Result<_, _>>()?;
    if counted.is_empty() {
        return Ok(holdings);
    }
    // A statement of its own after the lock: it sees what whoever held the lock before has committed.
    let mut members: Vec<MemberId> = counted.iter().map(|(member, _)| *member).collect();
    members.dedup();
    for row in &fetch(connection, SELECT_HELD, "", tenant, &members, |b, member| {
        b.bytes(member.bytes());
    })
    .await?
    {
        let key = (
            id(row, "member", MemberId::from_bytes)?,
            id(row, "template", TemplateId::from_bytes)?,
        );
        let until: Option<Millis> = row.try_get("valid_until")?;
        if counted.contains(&key) && until.is_none_or(|until| now < until) {
            holdings.entry(key).or_insert_with(|| Holding::none(key.0, key.1)).held +=
                row.try_get::<i64, _>("coupons")?;
        }
    }
    Ok(holdings)
}

/// Stores what members have had, each with the version it was loaded at, 0 = it is new.
///
/// # Errors
/// [`DbError::RowCount`] when somebody was first.
pub async fn store_holdings(
    connection: &mut AnyConnection,
    tenant: TenantId,
    holdings: &[(i64, &Holding)],
) -> Result<(), DbError> {
    let (new, known): (Vec<_>, Vec<_>) = holdings.iter().copied().partition(|(loaded, _)| *loaded == 0);
    if !new.is_empty() {
        execute_all(
            connection,
            "holdings",
            INSERT_HOLDINGS,
            tenant,
            &new,
            |b, (_, holding)| {
                b.bytes(holding.member.bytes())
                    .bytes(holding.template.bytes())
                    .number(holding.taken)
                    .number(holding.version);
            },
        )
        .await?;
    }
    if known.is_empty() {
        return Ok(());
    }
    execute_all(
        connection,
        "holdings",
        UPDATE_HOLDINGS,
        tenant,
        &known,
        |b, (loaded, holding)| {
            b.bytes(holding.member.bytes())
                .bytes(holding.template.bytes())
                .number(*loaded)
                .number(holding.taken)
                .number(holding.version);
        },
    )
    .await
}

/// Loads claims by name.
///
/// # Errors
/// As [`load_terms`].
pub async fn load_claims(
    connection: &mut AnyConnection,
    tenant: TenantId,
    keys: &[(MemberId, ClaimKey)],
) -> Result<Vec<Claim>, DbError> {
    fetch(connection, SELECT_CLAIMS, "", tenant, keys, |b, (member, key)| {
        b.bytes(member.bytes()).bytes(&key.0);
    })
    .await?
    .read(|row| {
        let key: Vec<u8> = row.try_get("key")?;
        let ended = match id_or_null(row, "coupon", CouponId::from_bytes)? {
            Some(coupon) => Ok(coupon),
            None => Err(batch::json(row, "reasons")?),
        };
        Ok(Claim {
            member: id(row, "member", MemberId::from_bytes)?,
            key: ClaimKey(key.try_into().map_err(|_| DbError::Decode { column: "key" })?),
            template: id(row, "template", TemplateId::from_bytes)?,
            ended,
        })
    })
    .collect()
}

/// Stores claims and how they ended.
///
/// # Errors
/// [`DbError::RowCount`] when one of this name exists.
pub async fn insert_claims(
    connection: &mut AnyConnection,
    tenant: TenantId,
    claims: &[&Claim],
    now: Millis,
) -> Result<(), DbError> {
    let mut rows = Vec::with_capacity(claims.len());
    for claim in claims {
        let reasons = match &claim.ended {
            Ok(_) => None,
            Err(reasons) => Some(serde_json::to_string(reasons).map_err(|_| DbError::Decode { column: "reasons" })?),
        };
        rows.push((claim, reasons));
    }
    execute_all(
        connection,
        "claims",
        INSERT_CLAIMS,
        tenant,
        &rows,
        |b, (claim, reasons)| {
            b.bytes(claim.member.bytes())
                .bytes(&claim.key.0)
                .bytes(claim.template.bytes())
                .bytes_or_null(claim.ended.as_ref().ok().map(|coupon| &coupon.bytes()[..]))
                .text_or_null(reasons.as_deref())
                .number(now);
        },
    )
    .await
}

/// Hands coupons that waited in their batches to their members; their codes.
///
/// # Errors
/// [`DbError::RowCount`] when one of them does not wait any more.
pub async fn give(
    connection: &mut AnyConnection,
    tenant: TenantId,
    coupons: &[&Coupon],
) -> Result<BTreeMap<CouponId, String>, DbError> {
    let rows = fetch(connection, GIVE, "", tenant, coupons, |b, coupon| {
        b.bytes(coupon.id.bytes())
            .bytes_or_null(coupon.member.as_ref().map(|id| &id.bytes()[..]))
            .bytes_or_null(coupon.home_store.as_ref().map(|id| &id.bytes()[..]))
            .number_or_null(coupon.valid_from)
            .number_or_null(coupon.valid_until);
    })
    .await?;
    let mut codes = BTreeMap::new();
    for row in &rows {
        codes.insert(id(row, "id", CouponId::from_bytes)?, row.try_get("code")?);
    }
    if codes.len() == coupons.len() {
        return Ok(codes);
    }
    Err(DbError::RowCount {
        table: "coupons",
        expected: coupons.len() as u64,
        found: codes.len() as u64,
    })
}

/// How long a refusal is kept for who asks again.
pub const REFUSALS_KEPT: Millis = 7 * DAY;
/// Refusals forgotten at once.
const FORGOTTEN: i64 = 2_000;

/// Forgets refusals that nobody asks for any more; true when there may be more of them.
///
/// # Errors
/// The driver's.
pub async fn forget_refusals(connection: &mut AnyConnection, now: Millis) -> Result<bool, DbError> {
    let gone = sqlx::query("DELETE FROM claims WHERE (tenant, member, key) IN (SELECT tenant, member, key FROM claims WHERE coupon IS NULL AND at < $1 LIMIT $2)")
        .bind(now - REFUSALS_KEPT)
        .bind(FORGOTTEN)
        .execute(connection)
        .await?
        .rows_affected();
    Ok(i64::try_from(gone).unwrap_or(0) == FORGOTTEN)
}

/// The form of batches' codes and the key behind them.
///
/// # Errors
/// The driver's, and [`DbError::Decode`], also when a batch has no form.
pub async fn load_forms(
    connection: &mut AnyConnection,
    tenant: TenantId,
    batches: &[BatchId],
) -> Result<BTreeMap<BatchId, (Form, [u8; 32])>, DbError> {
    fetch(connection, SELECT_FORMS, "", tenant, batches, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(|row| {
        let form = batch::json(row, "code_form")?;
        Ok((id(row, "id", BatchId::from_bytes)?, (form, hash(row, "code_key")?)))
    })
    .collect()
}

/// The templates behind `after` that members can or could claim, in order.
///
/// # Errors
/// The driver's.
pub async fn offered_after(
    connection: &mut AnyConnection,
    tenant: TenantId,
    after: Option<TemplateId>,
    limit: i64,
) -> Result<Vec<TemplateId>, DbError> {
    let after = after.map_or(vec![0; 16], |id| id.bytes().to_vec());
    sqlx::query("SELECT DISTINCT template FROM batches WHERE tenant = $1 AND template > $2 AND purpose = 'claim' ORDER BY template LIMIT $3")
        .bind(tenant.bytes().to_vec())
        .bind(after)
        .bind(limit)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| id(row, "template", TemplateId::from_bytes))
        .collect()
}
