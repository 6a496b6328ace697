//! Claims within a group: what members ask for, what there is, and what they get.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use counterfoil_domain::{
    coupons::Coupon,
    ids::{BatchId, TemplateId, TenantId},
    transition::{BatchStatus, Given, LimitCounts, Offer},
};
use sqlx::AnyConnection;

use super::rows;
use crate::{
    coupons::{self, codes},
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};

/// Claims by name.
#[derive(Debug)]
pub struct Claims;

#[async_trait]
impl Table for Claims {
    fn place(&self) -> Place {
        Place::Claims
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let wanted = loading.state.claims.take_wanted();
        if !wanted.is_empty() {
            for claim in rows::load_claims(loading.connection, loading.tenant, &wanted).await? {
                loading.state.claims.found(claim);
            }
        }
        Ok(())
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let added = storing.state.claims.added();
        if !added.is_empty() {
            rows::insert_claims(storing.connection, storing.tenant, &added, storing.now).await?;
        }
        Ok(())
    }
}

/// What can be claimed, with the batches that are open. Commands read it only.
#[derive(Debug)]
pub struct Offers;

#[async_trait]
impl Table for Offers {
    fn place(&self) -> Place {
        Place::Offers
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let wanted = loading.state.offers.take_wanted();
        if wanted.is_empty() {
            return Ok(());
        }
        for (template, terms) in rows::load_terms(loading.connection, loading.tenant, &wanted).await? {
            loading.state.offers.found(Offer {
                template,
                terms,
                batches: Vec::new(),
            });
        }
        // A grant needs a template's terms alone; only claims take from its batches.
        let claimed: BTreeSet<TemplateId> = loading.state.holdings.wanted().map(|(_, template)| *template).collect();
        let claimed: Vec<TemplateId> = claimed.into_iter().collect();
        if claimed.is_empty() {
            return Ok(());
        }
        // Which they are is looked up here, and held with all other batches: closed or used up by then, it is none.
        for batch in rows::load_open_batches(loading.connection, loading.tenant, &claimed).await? {
            if let Some(Some(offer)) = loading.state.offers.get_mut(&batch.template) {
                offer.batches.push(batch.id);
            }
            loading.state.batches.want(batch.id);
        }
        Ok(())
    }
}

/// Batches that coupons are given out of.
#[derive(Debug)]
pub struct Batches;

#[async_trait]
impl Table for Batches {
    fn place(&self) -> Place {
        Place::Batches
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let wanted = loading.state.batches.take_wanted();
        if !wanted.is_empty() {
            for batch in rows::load_batches(loading.connection, loading.tenant, &wanted, loading.lock).await? {
                loading.state.batches.found(batch);
            }
            let batches = &loading.state.batches;
            let open = |id: &BatchId| {
                matches!(batches.get(id), Some(Some(batch))
                    if batch.status != BatchStatus::Closed && batch.claimed < batch.size)
            };
            for offer in loading.state.offers.loaded_mut() {
                offer.batches.retain(open);
            }
        }
        Ok(())
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let changed = storing.state.batches.changed();
        if !changed.is_empty() {
            rows::update_batches(storing.connection, storing.tenant, &changed).await?;
        }
        Ok(())
    }
}

/// What members have had of templates, and the coupons that they are given.
#[derive(Debug)]
pub struct Holdings;

#[async_trait]
impl Table for Holdings {
    fn place(&self) -> Place {
        Place::Holdings
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let Loading {
            connection,
            tenant,
            lock,
            now,
            state,
        } = loading;
        let wanted = state.holdings.take_wanted();
        if wanted.is_empty() {
            return Ok(());
        }
        let limits_held = |template: &TemplateId| {
            matches!(state.offers.get(template), Some(Some(offer)) if offer.terms.iter().any(
                |terms| terms.member_limit > 0 && terms.limit_counts == LimitCounts::Held))
        };
        let counted = wanted.iter().copied();
        let counted: Vec<_> = counted.filter(|(_, template)| limits_held(template)).collect();
        let holdings = rows::load_holdings(connection, tenant, &wanted, &counted, now, lock).await?;
        for holding in holdings.into_values() {
            state.holdings.found(holding);
        }
        Ok(())
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let Storing {
            connection,
            tenant,
            now,
            state,
            facts,
            told,
            ..
        } = storing;
        let mut written = state.holdings.changed();
        written.extend(state.holdings.added().into_iter().map(|holding| (0, holding)));
        if !written.is_empty() {
            rows::store_holdings(connection, tenant, &written).await?;
        }
        if facts.given.is_empty() {
            return Ok(());
        }
        let claimed = facts.given.iter().filter(|given| given.grant.is_none());
        let claimed: Vec<&Coupon> = claimed.map(|given| &given.coupon).collect();
        if !claimed.is_empty() {
            let mut codes = rows::give(connection, tenant, &claimed).await?;
            for coupon in claimed {
                let code = codes.remove(&coupon.id).unwrap_or_default();
                told.given.insert(coupon.id, Coupon { code, ..coupon.clone() });
            }
        }
        let granted = with_codes(connection, tenant, &facts.given).await?;
        if !granted.is_empty() {
            let inserted = coupons::rows::insert(connection, tenant, &granted).await?;
            if inserted != granted.len() as u64 {
                return Err(DbError::RowCount {
                    table: "coupons",
                    expected: granted.len() as u64,
                    found: inserted,
                });
            }
            told.given.extend(granted.into_iter().map(|coupon| (coupon.id, coupon)));
        }
        coupons::days::insert(connection, tenant, told.given.values(), now).await?;
        Ok(())
    }
}

/// The coupons of grants, each with the next code of its batch's form.
async fn with_codes(connection: &mut AnyConnection, tenant: TenantId, given: &[Given]) -> Result<Vec<Coupon>, DbError> {
    let mut by_batch: BTreeMap<BatchId, Vec<&Coupon>> = BTreeMap::new();
    for given in given.iter().filter(|given| given.grant.is_some()) {
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
