//! Pending operations laid over head office's rows.
//!
//! A row that an operation of this counter touches keeps what head office sent as its base; what the desk sees is the
//! base with the operations done to it once more, by the same transition that head office runs. Here it never
//! refuses: where an operation no longer fits, it is marked as a conflict to be expected. An operation leaves the
//! overlay when the cursor has passed the number in the feed that its outcome came with.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::{
    coupons::{Coupon, CouponState},
    ids::{BatchId, DeviceId, OperationId, StoreId},
    operations::{Action, Outcome, RedeemCoupon, Times, VoidRedemption},
    pickups::{Order, OrderState},
    planted,
    sales::{Sale, UsedCoupon},
    transition::{Applied, Changes, Doing, NeedKeys, State, Subject, effect, genesis},
};
use counterfoil_protocol::operation::open;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use crate::{
    db::Fault,
    error::{Error, Result},
    journal::{Place, outcome_of},
    replica::{Key, NOTHING},
};

/// How often an operation may need rows that are not here.
const ROUNDS: usize = 8;

/// Where this counter stands.
#[derive(Debug, Clone, Copy)]
pub struct Here {
    /// The device.
    pub device: DeviceId,
    /// Its store.
    pub store: StoreId,
}

/// An operation that lies over a row.
#[derive(Debug, Clone)]
pub struct Laid {
    /// Its place.
    pub place: Place,
    /// What, by whom, when.
    pub doing: Doing,
    /// What happened.
    pub action: Action,
    /// How it ended, once that is known.
    pub outcome: Option<Outcome>,
}

/// A row that operations can lie over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ground {
    /// A coupon.
    Coupon(Coupon),
    /// A pickup order.
    Order(Order),
    /// A sale; `None` = head office does not know it yet.
    Sale(Option<Box<Sale>>),
}

impl Ground {
    fn read(subject: Subject, text: &str) -> Result<Self> {
        Ok(match subject {
            Subject::Coupon(_) => Self::Coupon(serde_json::from_str(text)?),
            Subject::Order(_) => Self::Order(serde_json::from_str(text)?),
            Subject::Sale(_) => Self::Sale(serde_json::from_str(text)?),
        })
    }

    fn write(&self) -> Result<String> {
        Ok(match self {
            Self::Coupon(row) => serde_json::to_string(row)?,
            Self::Order(row) => serde_json::to_string(row)?,
            Self::Sale(row) => serde_json::to_string(row)?,
        })
    }

    /// Whether the row shows this very operation's effect: head office applied it, and the row came before the
    /// outcome did. A sale does not name the operations by which something came back of it:
    /// until the outcome of such a one is known it may be seen twice, which promises nobody too much.
    fn shows(&self, operation: OperationId) -> bool {
        match self {
            Self::Sale(row) => row
                .as_ref()
                .is_some_and(|row| row.id == operation || row.voided_by == Some(operation)),
            Self::Coupon(row) => matches!(row.state, CouponState::Redeemed { operation: by, .. } if by == operation),
            Self::Order(row) => matches!(row.state, OrderState::Collected { operation: by, .. } if by == operation),
        }
    }

    fn into_state(self, state: &mut State) {
        match self {
            Self::Coupon(row) => {
                if let Some(member) = row.member {
                    // Where members were seen is head office's business; here nothing follows from it.
                    state.members.insert(member, None);
                }
                state.coupons.insert(row.id, Some(row));
            }
            Self::Order(row) => {
                if let Some(member) = row.member {
                    state.members.insert(member, None);
                }
                state.orders.insert(row.id, Some(row));
            }
            Self::Sale(Some(row)) => {
                state.sales.insert(row.id, Some(*row));
            }
            Self::Sale(None) => {}
        }
    }

    fn from_state(subject: Subject, state: &State) -> Option<Self> {
        match subject {
            Subject::Coupon(id) => state.coupons.get(&id).cloned().flatten().map(Self::Coupon),
            Subject::Order(id) => state.orders.get(&id).cloned().flatten().map(Self::Order),
            Subject::Sale(id) => Some(Self::Sale(state.sales.get(&id).cloned().flatten().map(Box::new))),
        }
    }
}

/// An operation about several rows as one of them sees it: a coupon sees its own redemption or its own return, a sale
/// sees its coupons as they must have been. What the others say is laid over them.
fn as_seen_by(subject: Subject, operation: &Laid, state: &mut State) -> Action {
    match (&operation.action, subject) {
        (Action::SettleSale(settled), Subject::Coupon(id)) => {
            match settled.coupons.iter().find(|used| used.coupon == id) {
                Some(used) => Action::RedeemCoupon(RedeemCoupon {
                    coupon: id,
                    template: used.template,
                    template_version: used.template_version,
                    worth: used.discount,
                    member: settled.member,
                    freeze: used.freeze,
                }),
                None => operation.action.clone(),
            }
        }
        (Action::ReturnSale(back), Subject::Coupon(_)) => Action::VoidRedemption(VoidRedemption {
            target: back.target,
            reason: String::new(),
            approved_by: back.approved_by,
        }),
        (Action::SettleSale(settled), Subject::Sale(_)) => {
            for used in &settled.coupons {
                let coupon = stand_in(used, CouponState::Available);
                state.coupons.insert(used.coupon, Some(coupon));
            }
            if let Some(member) = settled.member {
                state.members.insert(member, None);
            }
            operation.action.clone()
        }
        (Action::ReturnSale(_) | Action::VoidRedemption(_), Subject::Sale(id)) => {
            state.sales.note_missing(id);
            let sale = state.sales[&id].clone();
            for sold in sale.iter().flat_map(|sale| &sale.coupons) {
                let redeemed = CouponState::Redeemed {
                    operation: id,
                    at: operation.doing.times.occurred_at,
                    store: operation.doing.store,
                };
                let coupon = stand_in(&sold.used, redeemed);
                state.coupons.insert(coupon.id, Some(coupon));
            }
            operation.action.clone()
        }
        _ => operation.action.clone(),
    }
}

fn stand_in(used: &UsedCoupon, state: CouponState) -> Coupon {
    Coupon {
        id: used.coupon,
        code: String::new(),
        member: None,
        template: used.template,
        template_version: used.template_version,
        batch: BatchId(Uuid::nil()),
        home_store: None,
        valid_from: None,
        valid_until: None,
        state,
        // Version 0 would be one that waits in its batch for a member.
        version: 1,
        surplus: Vec::new(),
        told: Vec::new(),
    }
}

/// What a row looks like with the operations laid over, and which of them are expected to end in an exception.
///
/// `undone` are operations that a void among `laid` undoes and that are not among `laid` themselves.
pub fn lay_over(
    subject: Subject,
    base: Ground,
    laid: &[Laid],
    undone: &[Applied],
) -> Result<(Ground, BTreeSet<Place>)> {
    let mut state = State::default();
    let mut conflicts = BTreeSet::new();
    base.clone().into_state(&mut state);
    for applied in undone {
        state.operations.insert(applied.id, Some(applied.clone()));
    }
    for operation in laid {
        let id = operation.doing.operation;
        if matches!(operation.outcome, Some(Outcome::Quarantined { .. })) {
            continue;
        }
        let shown = Ground::from_state(subject, &state).is_some_and(|ground| ground.shows(id));
        let forecast = if shown {
            Outcome::Applied
        } else {
            let action = as_seen_by(subject, operation, &mut state);
            if let Action::VoidRedemption(VoidRedemption { target, .. }) = action {
                state.operations.note_missing(target);
            }
            let (outcome, changes) = forecast_of(&mut state, &action, &operation.doing)?;
            state.absorb(&changes);
            outcome
        };
        if operation.outcome.is_none() && forecast != Outcome::Applied {
            conflicts.insert(operation.place);
        }
        state.operations.insert(
            id,
            Some(Applied {
                id,
                device: operation.doing.device,
                epoch: operation.place.epoch,
                seq: operation.place.seq,
                fingerprint: genesis(),
                subject: Some(subject),
                outcome: operation.outcome.unwrap_or(forecast),
            }),
        );
    }
    let image = Ground::from_state(subject, &state).unwrap_or(base);
    Ok((image, conflicts))
}

/// What an operation does here. A row that it would need besides is not held at this counter: then there is none.
fn forecast_of(state: &mut State, action: &Action, doing: &Doing) -> Result<(Outcome, Changes)> {
    for _ in 0..ROUNDS {
        match effect(state, action, doing) {
            Ok(done) => return Ok(done),
            Err(NeedKeys(keys)) => keys.into_iter().for_each(|key| state.note_missing(key)),
        }
    }
    Err(Error::Internal("an operation needs ever more rows".into()))
}

async fn operations_over(db: &mut SqliteConnection, key: &Key, here: Here) -> Result<Vec<(Laid, bool)>> {
    let rows = sqlx::query(
        "SELECT j.epoch, j.seq, j.body, j.outcome, j.detail, t.conflict FROM touches t \
         JOIN journal j ON j.epoch = t.epoch AND j.seq = t.seq WHERE t.entity = ? AND t.id = ? ORDER BY t.epoch, t.seq",
    )
    .bind(key.entity)
    .bind(key.id.as_slice())
    .fetch_all(db)
    .await?;
    let mut laid = Vec::with_capacity(rows.len());
    for row in &rows {
        let (_, arrival) = open(0, row.try_get(2)?)
            .map_err(|error| Error::database(Fault::Corrupt, format!("a journaled operation: {error}")))?;
        let Some(action) = arrival.action else { continue };
        laid.push((
            Laid {
                place: Place {
                    epoch: row.try_get(0)?,
                    seq: row.try_get(1)?,
                },
                doing: Doing {
                    operation: arrival.id,
                    device: here.device,
                    store: here.store,
                    actor: arrival.actor,
                    times: Times {
                        occurred_at: arrival.occurred_at,
                        received_at: arrival.occurred_at,
                        settled_at: None,
                    },
                },
                action,
                outcome: outcome_of(row.try_get(3)?, row.try_get(4)?)?,
            },
            row.try_get::<i64, _>(5)? != 0,
        ));
    }
    Ok(laid)
}

/// An operation of this journal as a void of what it did to this row needs to see it.
async fn applied(
    db: &mut SqliteConnection,
    id: OperationId,
    device: DeviceId,
    subject: Subject,
) -> Result<Option<Applied>> {
    let row = sqlx::query("SELECT epoch, seq, outcome, detail FROM journal WHERE op_id = ?")
        .bind(id.bytes().as_slice())
        .fetch_optional(db)
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Applied {
        id,
        device,
        epoch: row.try_get(0)?,
        seq: row.try_get(1)?,
        fingerprint: genesis(),
        subject: Some(subject),
        outcome: outcome_of(row.try_get(2)?, row.try_get(3)?)?.unwrap_or(Outcome::Applied),
    }))
}

/// Computes one row again from its base and the operations over it.
pub async fn renew(db: &mut SqliteConnection, key: &Key, here: Here, generation: i64) -> Result<()> {
    let Some(subject) = key.subject()? else { return Ok(()) };
    let row = sqlx::query(
        "SELECT COALESCE(base, image), base IS NULL, image, generation FROM replica WHERE entity = ? AND id = ?",
    )
    .bind(key.entity)
    .bind(key.id.as_slice())
    .fetch_optional(&mut *db)
    .await?;
    // A coupon known by its token only: its row comes with a page.
    let Some(row) = row else { return Ok(()) };
    let (base_text, bare, image_text): (String, bool, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let laid = operations_over(db, key, here).await?;
    if laid.is_empty() {
        if base_text == NOTHING {
            // Head office set the sale aside and has no row of it.
            sqlx::query("DELETE FROM replica WHERE entity = ? AND id = ?")
                .bind(key.entity)
                .bind(key.id.as_slice())
                .execute(db)
                .await?;
            return Ok(());
        }
        if row.try_get::<i64, _>(3)? < generation {
            // The feed, read from zero, no longer mentions it; it was kept for the operation's sake.
            sqlx::query("DELETE FROM replica WHERE entity = ? AND id = ? AND NOT EXISTS (SELECT 1 FROM identity WHERE resyncing = 1)")
                .bind(key.entity)
                .bind(key.id.as_slice())
                .execute(&mut *db)
                .await?;
        }
        sqlx::query("UPDATE replica SET image = COALESCE(base, image), base = NULL WHERE entity = ? AND id = ?")
            .bind(key.entity)
            .bind(key.id.as_slice())
            .execute(db)
            .await?;
        return Ok(());
    }
    let (laid, marked): (Vec<Laid>, Vec<bool>) = laid.into_iter().unzip();
    let mut undone = Vec::new();
    for operation in &laid {
        let target = match &operation.action {
            Action::VoidRedemption(VoidRedemption { target, .. }) => Some(*target),
            Action::ReturnSale(back) => Some(back.target),
            _ => None,
        };
        let Some(target) = target else { continue };
        if laid.iter().any(|other| other.doing.operation == target) {
            continue;
        }
        match applied(db, target, here.device, subject).await? {
            Some(target) => undone.push(target),
            // A sale of another counter of this store, of which something comes back here: it was done, as far as is
            // known here.
            None if matches!(operation.action, Action::ReturnSale(_)) => undone.push(Applied {
                id: target,
                device: here.device,
                epoch: 0,
                seq: 0,
                fingerprint: genesis(),
                subject: Some(subject),
                outcome: Outcome::Applied,
            }),
            None => {}
        }
    }
    let (image, conflicts) = lay_over(subject, Ground::read(subject, &base_text)?, &laid, &undone)?;
    let image = image.write()?;
    if bare || image != image_text {
        sqlx::query("UPDATE replica SET image = ?, base = ? WHERE entity = ? AND id = ?")
            .bind(image)
            .bind(base_text)
            .bind(key.entity)
            .bind(key.id.as_slice())
            .execute(&mut *db)
            .await?;
    }
    for (operation, marked) in laid.iter().zip(marked) {
        let conflict = conflicts.contains(&operation.place);
        if conflict != marked {
            sqlx::query("UPDATE touches SET conflict = ? WHERE entity = ? AND id = ? AND epoch = ? AND seq = ?")
                .bind(i64::from(conflict))
                .bind(key.entity)
                .bind(key.id.as_slice())
                .bind(operation.place.epoch)
                .bind(operation.place.seq)
                .execute(&mut *db)
                .await?;
            sqlx::query(
                "UPDATE journal SET conflict = EXISTS (SELECT 1 FROM touches t WHERE t.epoch = ?1 AND t.seq = ?2 \
                 AND t.conflict = 1) WHERE epoch = ?1 AND seq = ?2 AND state = 'pending'",
            )
            .bind(operation.place.epoch)
            .bind(operation.place.seq)
            .execute(&mut *db)
            .await?;
        }
    }
    Ok(())
}

/// Computes those of the rows again that operations lie over.
pub async fn renew_touched(db: &mut SqliteConnection, keys: &[Key], here: Here, generation: i64) -> Result<()> {
    let rows = sqlx::query("SELECT DISTINCT entity, id FROM touches")
        .fetch_all(&mut *db)
        .await?;
    let mut touched: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for row in &rows {
        touched.entry(row.try_get(0)?).or_default().insert(row.try_get(1)?);
    }
    for key in keys {
        if touched.get(key.entity).is_some_and(|ids| ids.contains(&key.id)) {
            renew(db, key, here, generation).await?;
        }
    }
    Ok(())
}

/// Computes every touched row again, as after a rewind.
pub async fn renew_all(db: &mut SqliteConnection, here: Here, generation: i64) -> Result<()> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as("SELECT DISTINCT entity, id FROM touches")
        .fetch_all(&mut *db)
        .await?;
    for (entity, id) in rows {
        if let Some(key) = Key::read(&entity, id) {
            renew(db, &key, here, generation).await?;
        }
    }
    Ok(())
}

/// Lets go of the operations whose effect the cursor has passed. Call it at the end of the feed only: a row that changed
/// again since is told of there, not where the operation was.
pub async fn release(db: &mut SqliteConnection, store_seq: i64, here: Here, generation: i64) -> Result<()> {
    // CROSS JOIN: SQLite keeps this order. The other way round it reads the whole journal.
    let rows: Vec<(String, Vec<u8>, i64, i64)> = sqlx::query_as(
        "SELECT t.entity, t.id, t.epoch, t.seq FROM touches t CROSS JOIN journal j ON j.epoch = t.epoch AND j.seq = t.seq \
         WHERE j.state = 'settled' AND j.feed <= ?",
    )
    .bind(planted!("overlay_kept", -1, store_seq))
    .fetch_all(&mut *db)
    .await?;
    let mut freed = BTreeSet::new();
    for (entity, id, epoch, seq) in rows {
        sqlx::query("DELETE FROM touches WHERE epoch = ? AND seq = ?")
            .bind(epoch)
            .bind(seq)
            .execute(&mut *db)
            .await?;
        freed.extend(Key::read(&entity, id));
    }
    for key in freed {
        renew(db, &key, here, generation).await?;
    }
    Ok(())
}
