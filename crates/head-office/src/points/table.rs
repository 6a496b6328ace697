//! Accounts within a group, and what belongs to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use counterfoil_domain::{
    ids::{FreezeId, MemberId, TenantId},
    points::{Asset, Lot, Posted, earning::EarningRule},
    transition::State,
};
use sqlx::AnyConnection;

use super::{
    days,
    rows::{self, LotNow},
};
use crate::{
    db::DbError,
    engine::tables::{Loading, Place, Storing, Table},
};

/// Most versions of rules that are kept: more are looked up again.
const KEPT: usize = 1_000;

/// Accounts with their lots, holds, entries and shares; what was spent for and earned with one thing; the rule.
#[derive(Debug, Default)]
pub struct Accounts {
    /// Versions never change.
    rules: BTreeMap<(TenantId, i64), Arc<EarningRule>>,
}

#[async_trait]
impl Table for Accounts {
    fn place(&self) -> Place {
        Place::Accounts
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let Loading {
            connection,
            tenant,
            lock,
            state,
            ..
        } = loading;
        let wanted = state.accounts.take_wanted();
        if !wanted.is_empty() {
            for account in rows::load(connection, tenant, &wanted, lock).await? {
                state.accounts.found(account);
            }
        }
        let wanted = state.spents.take_wanted();
        if !wanted.is_empty() {
            for spent in rows::load_spents(connection, tenant, &wanted).await? {
                state.spents.found(spent);
            }
        }
        let wanted = state.earnings.take_wanted();
        if !wanted.is_empty() {
            for earning in rows::load_earnings(connection, tenant, &wanted).await? {
                state.earnings.found(earning);
            }
        }
        let wanted = state.recorded.take_wanted();
        if !wanted.is_empty() {
            for recorded in rows::load_recorded(connection, tenant, &wanted).await? {
                state.recorded.found(recorded);
            }
        }
        let mut unknown = Vec::new();
        for version in state.earning_rules.take_wanted() {
            match self.rules.get(&(tenant, version)) {
                Some(rule) => state.earning_rules.found(Arc::clone(rule)),
                None => unknown.push(version),
            }
        }
        if !unknown.is_empty() {
            if self.rules.len() > KEPT {
                self.rules.clear();
            }
            for rule in rows::load_rules(connection, tenant, &unknown).await? {
                self.rules.insert((tenant, rule.version), Arc::clone(&rule));
                state.earning_rules.found(rule);
            }
        }
        Ok(())
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let Storing {
            connection,
            tenant,
            state,
            facts,
            ..
        } = storing;
        let changed = state.accounts.changed();
        if !changed.is_empty() {
            rows::update(connection, tenant, &changed).await?;
        }
        let added = state.accounts.added();
        if !added.is_empty() {
            rows::insert(connection, tenant, &added).await?;
        }
        let made = store_posted(connection, tenant, state, &facts.posted).await?;
        days::insert(connection, tenant, &made).await?;
        let back: Vec<_> = state.spents.written();
        if !back.is_empty() {
            rows::give_back(connection, tenant, &back).await?;
        }
        let changed = state.earnings.changed();
        if !changed.is_empty() {
            rows::update_earnings(connection, tenant, &changed).await?;
        }
        let added = state.earnings.added();
        if !added.is_empty() {
            rows::insert_earnings(connection, tenant, &added).await?;
        }
        Ok(())
    }
}

/// Stores entries, and the lots and holds that they touched as they are in `state`; the lots that are new.
///
/// # Errors
/// The driver's, and [`DbError::RowCount`] when something of it is not as it was loaded.
pub(crate) async fn store_posted(
    connection: &mut AnyConnection,
    tenant: TenantId,
    state: &State,
    posted: &[Posted],
) -> Result<Vec<LotNow>, DbError> {
    if posted.is_empty() {
        return Ok(Vec::new());
    }
    let touched = Touched::of(posted);
    let made = touched.lots(state, true);
    rows::insert_lots(connection, tenant, &made).await?;
    rows::update_lots(connection, tenant, &touched.lots(state, false)).await?;
    let (there, gone) = touched.holds(state);
    rows::delete_holds(connection, tenant, &gone).await?;
    rows::insert_holds(connection, tenant, &there).await?;
    rows::insert_entries(connection, tenant, posted).await?;
    rows::insert_shares(connection, tenant, posted).await?;
    Ok(made)
}

/// The lots and holds that a group's entries touched.
struct Touched {
    /// Each as it was made, where it was made in this group.
    lots: BTreeMap<(MemberId, Asset, i64), Option<Lot>>,
    holds: BTreeSet<(MemberId, Asset, FreezeId)>,
}

impl Touched {
    fn of(posted: &[Posted]) -> Self {
        let mut touched = Self {
            lots: BTreeMap::new(),
            holds: BTreeSet::new(),
        };
        for posted in posted {
            let (member, asset) = (posted.member, posted.asset);
            if let Some(lot) = posted.entry.lot {
                touched.lots.insert((member, asset, lot.number), Some(lot));
            }
            for share in &posted.entry.shares {
                touched.lots.entry((member, asset, share.lot)).or_insert(None);
            }
            touched
                .holds
                .extend(posted.entry.hold.map(|hold| (member, asset, hold)));
        }
        touched
    }

    /// Lots as they are now, those that were made in this group or the others.
    fn lots(&self, state: &State, made: bool) -> Vec<LotNow> {
        let lots = self.lots.iter().filter(|(_, new)| new.is_some() == made);
        lots.map(|(&(member, asset, number), new)| {
            let account = state.accounts.get(&member).and_then(Option::as_ref);
            let open = account.and_then(|account| account.ledger(asset).lots.iter().find(|lot| lot.number == number));
            LotNow {
                member,
                asset,
                number,
                // What is no longer open has nothing left.
                free: open.map_or(0, |lot| lot.free),
                held: open.map_or(0, |lot| lot.held),
                made: *new,
            }
        })
        .collect()
    }

    /// Holds that are there now, and those that are not.
    fn holds<'s>(&self, state: &'s State) -> (Vec<rows::HoldNow<'s>>, Vec<rows::HoldKey>) {
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for &key in &self.holds {
            let (member, asset, id) = key;
            let account = state.accounts.get(&member).and_then(Option::as_ref);
            match account.and_then(|account| account.ledger(asset).held_by(id)) {
                Some(hold) => there.push((member, asset, hold)),
                None => gone.push(key),
            }
        }
        (there, gone)
    }
}
