//! Points and stored value at the desk: what a member has, as head office last told it and this counter's own operations
//! have changed it.

use counterfoil_domain::{
    ids::{MemberId, OperationId},
    points::{Account, Balances, Lot, MOST, earning::EarningRule},
    time::Millis,
};
use counterfoil_protocol::questions::LookupRequest;
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::{
    copies::{Copied, Overlaid, Whose},
    error::Result,
    replica::{self, Held},
};

/// Points or stored value that a member has, earned together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenLot {
    /// How much is left of it.
    pub amount: i64,
    /// From when it may be spent; `None` = it may.
    pub ready_at: Option<Millis>,
    /// The first instant at which it is over; `None` = it does not end.
    pub ends_at: Option<Millis>,
}

/// What a member has, as this counter knows it at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountCard {
    /// Points.
    pub points: Balances,
    /// Stored value, minor units.
    pub balance: Balances,
    /// Of points, what is left of each lot, in the order in which they are spent.
    pub lots: Vec<OpenLot>,
}

impl AccountCard {
    /// Of an account at this instant.
    pub(crate) fn of(account: &Account, now: Millis) -> Self {
        let points = account.points.at(now);
        let lots = points.lots.iter().map(|lot| OpenLot {
            amount: lot.free + lot.held,
            ready_at: lot.ready_at,
            ends_at: lot.ends_at,
        });
        Self {
            points: points.balances(),
            balance: account.balance.balances_at(now),
            lots: lots.collect(),
        }
    }
}

/// A member's account, as far as it is here.
pub(crate) async fn account(db: &mut SqliteConnection, member: MemberId) -> Result<Option<Held<Account>>> {
    replica::get(db, member.bytes()).await
}

/// The versions of the chain's rule that are here, the oldest first.
pub(crate) async fn rules(db: &mut SqliteConnection) -> Result<Vec<EarningRule>> {
    replica::all(db).await
}

/// The newest of them.
pub(crate) async fn newest_rule(db: &mut SqliteConnection) -> Result<Option<EarningRule>> {
    replica::last(db).await
}

/// One of them.
pub(crate) async fn rule(db: &mut SqliteConnection, version: i64) -> Result<Option<EarningRule>> {
    let held: Option<Held<EarningRule>> = replica::get(db, &version.to_be_bytes()).await?;
    Ok(held.map(|held| held.row))
}

impl Copied for Account {
    const ENTITY: &'static str = "account";
    // No field names a store: it goes with its member.
    const WHOSE: Whose = Whose::Member { kept_by: "store" };
    fn id(&self) -> Vec<u8> {
        self.member.bytes().to_vec()
    }
    fn lookup2(&self) -> Option<String> {
        Some(self.member.to_string())
    }
}

impl Overlaid for Account {
    fn shows(&self, operation: OperationId) -> bool {
        self.latest.contains(&operation)
    }
    /// What it was before is not known, but that there was enough: head office took it.
    fn before(mut self, _: OperationId) -> Option<Self> {
        for ledger in [&mut self.points, &mut self.balance] {
            let free = ledger.room().clamp(0, MOST);
            ledger.lots.push(Lot {
                number: i64::MAX,
                amount: free,
                free,
                held: 0,
                earned_at: 0,
                ready_at: None,
                ends_at: None,
                source: None,
            });
        }
        Some(self)
    }
    /// It comes with its member.
    fn question(key: MemberId) -> Option<LookupRequest> {
        Some(LookupRequest::Member(key))
    }
}

impl Copied for EarningRule {
    const ENTITY: &'static str = "earning_rule";
    const WHOSE: Whose = Whose::Chain;
    fn id(&self) -> Vec<u8> {
        self.version.to_be_bytes().to_vec()
    }
}
