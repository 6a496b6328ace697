//! Who gets which pickup code.
//!
//! Candidates are drawn in batches that double, and one query a shard tells which of them are free; the unique index decides
//! when the order is stored. Where five batches found nothing, the shard is nearly full, and its codes are gone through in
//! their order: it is full only when none is free.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::{
    ids::{OrderId, TenantId},
    pickup_codes::{PickupPolicy, Shard},
    pickups::Order,
    time::Millis,
};
use sqlx::AnyConnection;

use super::rows;
use crate::{
    clock::Random,
    db::DbError,
    deed::{AdminError, fresh},
};

/// Candidates of the first query; each further one doubles them.
const FIRST_CANDIDATES: usize = 4;
/// Queries before the shard is gone through: 4, 8, 16, 32, 64 candidates.
const QUERIES: u32 = 5;
/// Codes that are looked at at once where a shard is gone through: few at first, since one in a hundred may be free, then
/// twice as many each time, up to so many.
const FIRST_STRIDE: u64 = 256;
const LONGEST_STRIDE: u64 = 8_192;

/// Where numbers come from that codes are drawn with.
pub trait Candidates: Send {
    /// The next one.
    ///
    /// # Errors
    /// The source's.
    fn next(&mut self) -> Result<u64, DbError>;
}

/// Numbers of the system's randomness.
#[derive(Debug)]
pub struct FromSystem<'a>(pub &'a dyn Random);

impl Candidates for FromSystem<'_> {
    fn next(&mut self) -> Result<u64, DbError> {
        Ok(u64::from_be_bytes(fresh(self.0)?))
    }
}

/// What issuing codes took, for those who measure it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Queries for free ones.
    pub queries: u64,
}

/// Codes for new orders of a tenant, by its policy. Order by order a code of its own shard; where codes are numbers, the
/// order's own number if it has the form of one.
///
/// # Errors
/// [`AdminError::CodesFull`] when a shard has no free code; else the driver's.
pub async fn issue(
    connection: &mut AnyConnection,
    tenant: TenantId,
    policy: &PickupPolicy,
    orders: &[(OrderId, &str)],
    candidates: &mut dyn Candidates,
    now: Millis,
) -> Result<(Vec<String>, Taken), AdminError> {
    let mut issuing = Issuing {
        connection,
        tenant,
        policy,
        candidates,
        promised: BTreeSet::new(),
        codes: vec![None; orders.len()],
        taken: Taken::default(),
    };
    let of_numbers = issuing.of_numbers(orders).await?;
    let mut waiting: BTreeMap<Shard, Vec<usize>> = BTreeMap::new();
    for (at, ((id, _), code)) in orders.iter().zip(of_numbers).enumerate() {
        match code {
            Some(code) => issuing.give(at, code),
            None => waiting.entry(id.shard()).or_default().push(at),
        }
    }
    for (shard, mut waiting) in waiting {
        for query in 0..QUERIES {
            issuing.draw(shard, &mut waiting, FIRST_CANDIDATES << query).await?;
            if waiting.is_empty() {
                break;
            }
        }
        if !waiting.is_empty() {
            rows::forget_rested_of(issuing.connection, tenant, shard, now).await?;
            issuing.go_through(shard, waiting).await?;
        }
    }
    let taken = issuing.taken;
    let codes: Option<Vec<String>> = issuing.codes.into_iter().collect();
    Ok((codes.ok_or(AdminError::CodesFull)?, taken))
}

struct Issuing<'a> {
    connection: &'a mut AnyConnection,
    tenant: TenantId,
    policy: &'a PickupPolicy,
    candidates: &'a mut dyn Candidates,
    /// Codes that this transaction is about to store itself.
    promised: BTreeSet<String>,
    codes: Vec<Option<String>>,
    taken: Taken,
}

impl Issuing<'_> {
    fn give(&mut self, at: usize, code: String) {
        self.promised.insert(code.clone());
        if let Some(place) = self.codes.get_mut(at) {
            *place = Some(code);
        }
    }

    /// The codes that are the orders' own numbers, where codes are numbers. A number that is written otherwise than its code,
    /// and whose code leads to another order, gives none.
    async fn of_numbers(&mut self, orders: &[(OrderId, &str)]) -> Result<Vec<Option<String>>, DbError> {
        let mut codes: Vec<Option<String>> = orders
            .iter()
            .map(|(_, number)| self.policy.code_of_number(number))
            .collect();
        let own: BTreeSet<&str> = orders.iter().map(|(_, number)| *number).collect();
        let others: Vec<String> = codes
            .iter()
            .flatten()
            .filter(|code| !own.contains(code.as_str()))
            .cloned()
            .collect();
        if others.is_empty() && codes.iter().all(Option::is_none) {
            return Ok(codes);
        }
        let taken = if others.is_empty() {
            BTreeSet::new()
        } else {
            self.taken.queries += 1;
            rows::taken_numbers(self.connection, self.tenant, &others).await?
        };
        let mut given = BTreeSet::new();
        for (code, (_, number)) in codes.iter_mut().zip(orders) {
            let is_own = code.as_deref() == Some(*number);
            let free = code.as_ref().is_some_and(|code| {
                is_own || (!taken.contains(code) && !own.contains(code.as_str()) && given.insert(code.clone()))
            });
            if !free {
                *code = None;
            }
        }
        Ok(codes)
    }

    async fn taken(&mut self, shard: Shard, codes: &[String]) -> Result<BTreeSet<String>, DbError> {
        self.taken.queries += 1;
        if self.policy.is_number() {
            return rows::taken_numbers(self.connection, self.tenant, codes).await;
        }
        rows::taken_codes(self.connection, self.tenant, shard, codes).await
    }

    /// One batch, of so many candidates for each who waits.
    async fn draw(&mut self, shard: Shard, waiting: &mut Vec<usize>, each: usize) -> Result<(), DbError> {
        let mut drawn = BTreeSet::new();
        let mut codes = Vec::with_capacity(waiting.len() * each);
        for _ in 0..waiting.len() * each {
            let draw = self.policy.draw(self.candidates.next()?);
            let Some(code) = self.policy.code(shard, draw) else {
                return Err(DbError::config(format!(
                    "no code of the policy is in shard {}",
                    shard.number()
                )));
            };
            if !self.promised.contains(&code) && drawn.insert(code.clone()) {
                codes.push(code);
            }
        }
        let taken = self.taken(shard, &codes).await?;
        let mut free = codes.into_iter().filter(|code| !taken.contains(code));
        while let Some(at) = waiting.last().copied() {
            let Some(code) = free.next() else {
                break;
            };
            self.give(at, code);
            waiting.pop();
        }
        Ok(())
    }

    /// Goes through all codes of the shard in their order, from one that is drawn and round.
    async fn go_through(&mut self, shard: Shard, mut waiting: Vec<usize>) -> Result<(), DbError> {
        let room = self.policy.room();
        let start = self.policy.draw(self.candidates.next()?);
        let mut stride = FIRST_STRIDE;
        for (mut from, until) in [(start, room), (0, start)] {
            while from < until {
                let end = until.min(from.saturating_add(stride));
                stride = (stride * 2).min(LONGEST_STRIDE);
                let (Some(first), Some(last)) = (self.policy.code(shard, from), self.policy.code(shard, end - 1))
                else {
                    return Ok(());
                };
                self.taken.queries += 1;
                let between = (first.as_str(), last.as_str());
                let taken = if self.policy.is_number() {
                    rows::numbers_between(self.connection, self.tenant, between).await?
                } else {
                    rows::taken_between(self.connection, self.tenant, shard, between).await?
                };
                for draw in from..end {
                    let Some(at) = waiting.last().copied() else {
                        return Ok(());
                    };
                    let code = self.policy.code(shard, draw);
                    if let Some(code) = code.filter(|code| !taken.contains(code) && !self.promised.contains(code)) {
                        self.give(at, code);
                        waiting.pop();
                    }
                }
                if waiting.is_empty() {
                    return Ok(());
                }
                from = end;
            }
        }
        Ok(())
    }
}

/// Stores new orders that have their codes.
///
/// # Errors
/// [`DbError::RowCount`] when a number or a code is taken: nothing may be kept then.
pub(crate) async fn store(
    connection: &mut AnyConnection,
    tenant: TenantId,
    policy: &PickupPolicy,
    orders: &[Order],
    now: Millis,
) -> Result<(), DbError> {
    rows::insert(connection, tenant, orders, now).await?;
    if policy.is_number() {
        // What is typed leads to the order, also where it is written otherwise than its number.
        let others = orders.iter().filter(|order| order.code != order.number);
        let others: Vec<(&str, OrderId)> = others.map(|order| (order.code.as_str(), order.id)).collect();
        if !others.is_empty() {
            rows::insert_numbers(connection, tenant, &others).await?;
        }
    }
    Ok(())
}
