//! Claims and grants within a group: what is loaded before they are decided, what is stored afterwards.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::{
    coupons::Coupon,
    ids::{BatchId, CouponId, GrantId, MemberId, TemplateId, TenantId},
    time::Millis,
    transition::{BatchStatus, Changes, Claim, ClaimKey, Given, LimitCounts, Offer, Part, State},
};
use sqlx::AnyConnection;

use crate::{
    claims::rows,
    coupons::{self, codes},
    db::DbError,
};

/// What claims and grants want to read.
#[derive(Default)]
pub(super) struct Wanted {
    pub offers: Vec<TemplateId>,
    pub batches: Vec<BatchId>,
    pub holdings: Vec<(MemberId, TemplateId)>,
    pub claims: Vec<(MemberId, ClaimKey)>,
    pub grants: Vec<GrantId>,
    pub parts: Vec<(GrantId, MemberId)>,
}

/// What conditional writes compare with.
#[derive(Default)]
pub(super) struct Loaded {
    /// `made` and `claimed`.
    batches: BTreeMap<BatchId, (i64, i64)>,
    holdings: BTreeMap<(MemberId, TemplateId), i64>,
    due: BTreeSet<(GrantId, MemberId)>,
}

/// What the claims and grants of a group changed.
#[derive(Default)]
pub(super) struct Work {
    batches: BTreeSet<BatchId>,
    holdings: BTreeSet<(MemberId, TemplateId)>,
    claims: Vec<Claim>,
    given: Vec<Given>,
    parts: Vec<(GrantId, MemberId, CouponId)>,
}

impl Work {
    pub(super) fn take(&mut self, changes: &mut Changes) {
        self.batches.extend(changes.batches.iter().map(|batch| batch.id));
        self.holdings.extend(
            changes
                .holdings
                .iter()
                .map(|holding| (holding.member, holding.template)),
        );
        self.claims.append(&mut changes.claims);
        self.given.append(&mut changes.given);
        self.parts.append(&mut changes.parts);
    }
}

/// Loads the rows and locks them, in the one order that everybody keeps to: batches, then holdings.
pub(super) async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    mut wanted: Wanted,
    state: &mut State,
    loaded: &mut Loaded,
    now: Millis,
    lock: &'static str,
) -> Result<(), DbError> {
    if !wanted.claims.is_empty() {
        for key in &wanted.claims {
            state.claims.insert(*key, None);
        }
        for claim in rows::load_claims(connection, tenant, &wanted.claims).await? {
            state.claims.insert((claim.member, claim.key), Some(claim));
        }
    }
    if !wanted.grants.is_empty() {
        wanted.grants.sort_unstable();
        wanted.grants.dedup();
        for id in &wanted.grants {
            state.grants.insert(*id, None);
        }
        for grant in rows::load_grants(connection, tenant, &wanted.grants).await? {
            wanted.offers.push(grant.template);
            wanted.batches.push(grant.batch);
            state.grants.insert(grant.id, Some(grant));
        }
    }
    let offers: BTreeSet<TemplateId> = wanted
        .offers
        .into_iter()
        .filter(|id| !state.offers.contains_key(id))
        .collect();
    let offers: Vec<TemplateId> = offers.into_iter().collect();
    let mut open: BTreeSet<BatchId> = BTreeSet::new();
    if !offers.is_empty() {
        let mut terms = rows::load_terms(connection, tenant, &offers).await?;
        for id in &offers {
            let offer = terms.remove(id).map(|terms| Offer {
                terms,
                batches: Vec::new(),
            });
            state.offers.insert(*id, offer);
        }
        // A grant needs a template's terms alone; only claims take from its batches.
        let claimed: BTreeSet<TemplateId> = wanted.holdings.iter().map(|(_, template)| *template).collect();
        let claimed: Vec<TemplateId> = claimed.into_iter().collect();
        if !claimed.is_empty() {
            for batch in rows::load_open_batches(connection, tenant, &claimed).await? {
                wanted.batches.push(batch.id);
                open.insert(batch.id);
            }
        }
    }
    let batches: BTreeSet<BatchId> = wanted
        .batches
        .into_iter()
        .filter(|id| !state.batches.contains_key(id))
        .collect();
    let batches: Vec<BatchId> = batches.into_iter().collect();
    if !batches.is_empty() {
        for id in &batches {
            state.batches.insert(*id, None);
        }
        for batch in rows::load_batches(connection, tenant, &batches, lock).await? {
            loaded.batches.insert(batch.id, (batch.made, batch.claimed));
            state.batches.insert(batch.id, Some(batch));
        }
    }
    for id in open {
        // It may have been closed or used up before it was ours.
        let Some(Some(batch)) = state.batches.get(&id) else {
            continue;
        };
        if batch.status != BatchStatus::Closed
            && batch.claimed < batch.size
            && let Some(Some(offer)) = state.offers.get_mut(&batch.template)
        {
            offer.batches.push(id);
        }
    }
    if !wanted.holdings.is_empty() {
        wanted.holdings.sort_unstable();
        wanted.holdings.dedup();
        let limits_held = |template: &TemplateId| {
            matches!(state.offers.get(template), Some(Some(offer)) if offer.terms.iter().any(
                |terms| terms.member_limit > 0 && terms.limit_counts == LimitCounts::Held))
        };
        let counted: Vec<_> = wanted
            .holdings
            .iter()
            .copied()
            .filter(|(_, template)| limits_held(template))
            .collect();
        for key in &wanted.holdings {
            state.holdings.insert(*key, None);
        }
        for (key, holding) in rows::load_holdings(connection, tenant, &wanted.holdings, &counted, now, lock).await? {
            loaded.holdings.insert(key, holding.version);
            state.holdings.insert(key, Some(holding));
        }
    }
    if !wanted.parts.is_empty() {
        for key in &wanted.parts {
            state.parts.insert(*key, None);
        }
        for (key, part) in rows::load_parts(connection, tenant, &wanted.parts).await? {
            if part == Part::Due {
                loaded.due.insert(key);
            }
            state.parts.insert(key, Some(part));
        }
    }
    Ok(())
}

/// Stores what was decided; the coupons that were given, with their codes.
pub(super) async fn store(
    connection: &mut AnyConnection,
    tenant: TenantId,
    work: &Work,
    state: &State,
    loaded: &Loaded,
    now: Millis,
) -> Result<BTreeMap<CouponId, Coupon>, DbError> {
    let batches: Vec<_> = work
        .batches
        .iter()
        .filter_map(|id| Some((*loaded.batches.get(id)?, state.batches.get(id)?.as_ref()?)))
        .collect();
    if !batches.is_empty() {
        rows::update_batches(connection, tenant, &batches).await?;
    }
    let holdings: Vec<_> = work
        .holdings
        .iter()
        .filter_map(|key| {
            let version = loaded.holdings.get(key).copied().unwrap_or(0);
            Some((version, state.holdings.get(key)?.as_ref()?))
        })
        .collect();
    if !holdings.is_empty() {
        rows::store_holdings(connection, tenant, &holdings).await?;
    }
    let mut given: BTreeMap<CouponId, Coupon> = BTreeMap::new();
    let claimed: Vec<&Coupon> = work
        .given
        .iter()
        .filter(|given| given.grant.is_none())
        .map(|given| &given.coupon)
        .collect();
    if !claimed.is_empty() {
        let mut codes = rows::give(connection, tenant, &claimed).await?;
        for coupon in claimed {
            let code = codes.remove(&coupon.id).unwrap_or_default();
            given.insert(coupon.id, Coupon { code, ..coupon.clone() });
        }
    }
    let granted = with_codes(connection, tenant, work).await?;
    if !granted.is_empty() {
        let inserted = coupons::rows::insert(connection, tenant, &granted).await?;
        if inserted != granted.len() as u64 {
            return Err(DbError::RowCount {
                table: "coupons",
                expected: granted.len() as u64,
                found: inserted,
            });
        }
        given.extend(granted.into_iter().map(|coupon| (coupon.id, coupon)));
    }
    coupons::days::insert(connection, tenant, given.values(), now).await?;
    if !work.claims.is_empty() {
        rows::insert_claims(connection, tenant, &work.claims, now).await?;
    }
    if !work.parts.is_empty() {
        let (due, new): (Vec<_>, Vec<_>) = work
            .parts
            .iter()
            .copied()
            .partition(|(grant, member, _)| loaded.due.contains(&(*grant, *member)));
        rows::store_parts(connection, tenant, &due, &new, now).await?;
    }
    Ok(given)
}

/// The coupons of grants, each with the next code of its batch's form.
async fn with_codes(connection: &mut AnyConnection, tenant: TenantId, work: &Work) -> Result<Vec<Coupon>, DbError> {
    let mut by_batch: BTreeMap<BatchId, Vec<&Coupon>> = BTreeMap::new();
    for given in work.given.iter().filter(|given| given.grant.is_some()) {
        by_batch.entry(given.coupon.batch).or_default().push(&given.coupon);
    }
    if by_batch.is_empty() {
        return Ok(Vec::new());
    }
    let batches: Vec<BatchId> = by_batch.keys().copied().collect();
    let forms = rows::load_forms(connection, tenant, &batches).await?;
    let full = || DbError::config("there are no codes left for this grant");
    let mut granted = Vec::new();
    for (batch, coupons) in by_batch {
        let (form, key) = forms.get(&batch).ok_or(DbError::Decode { column: "code_form" })?;
        let first = codes::reserve(connection, tenant, form, coupons.len() as u64)
            .await
            .map_err(|error| match error {
                codes::NoCode::Db(error) => error,
                codes::NoCode::Full => full(),
            })?;
        for (counter, coupon) in (first..).zip(coupons) {
            let code = form.code(key, counter).ok_or_else(full)?;
            granted.push(Coupon { code, ..coupon.clone() });
        }
    }
    // Inserts are sorted by key, as everywhere.
    granted.sort_by_key(|coupon| coupon.id);
    Ok(granted)
}
