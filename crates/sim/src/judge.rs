//! What must hold once faults have stopped. Judged by a plain reading of what is in the databases: journals are read
//! operation by operation into ordered maps, and what they come to is compared with what head office and the counters
//! say.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use counterfoil_counter::Turn;
use counterfoil_domain::{
    ids::{CouponId, DeviceId, MemberId, OperationId, OrderId},
    operations::{Action, CollectOrder, RedeemCoupon, VoidRedemption},
    time::{MINUTE, Millis, SECOND},
    transition::DeviceStatus,
};
use counterfoil_head_office::{
    App, capabilities, coupons, feed::Item, feed::images::Viewer, members, pickups, sales, stores, verify,
};
use counterfoil_protocol::{operation::open, sync::Image};
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, Row};

use crate::{base::till_folder, perform, world::World};

/// Rounds in which everything has to be delivered.
const ROUNDS: usize = 30;
/// Exchanges of one counter in a round: a resync reads a page at a time.
const TURNS: usize = 40;

/// Whatever breaks a rule, in words.
pub type Violations = Vec<String>;

/// What must hold after every step.
pub async fn step(world: &mut World) -> Result<Option<String>> {
    let Some(app) = world.app() else { return Ok(None) };
    let history = app.db.history_of(world.base.tenant).await?;
    let before = world.history.replace((history, world.restored));
    // A history begins because a database was restored, and for no other reason.
    Ok(match before {
        Some((old, _)) if old != history && world.unsettled == 0 => {
            Some(format!("history {history} began, and nothing was restored"))
        }
        Some((old, _)) if old != history => {
            world.unsettled -= 1;
            None
        }
        _ => None,
    })
}

/// Ends all faults, lets everybody deliver and read, and judges.
pub async fn finale(world: &mut World) -> Result<Violations> {
    let mut violations = Violations::new();
    world.net.heal();
    // Nobody ends any more, whatever was begun.
    world.office_doom.disarm();
    world.start_office().await?;
    if let Some(app) = world.app() {
        app.db.fill_the_disk(false).await?;
    }
    world.net.deliver_late().await;
    for place in 0..world.tills.len() {
        world.set_clock(place, 0);
        world.tills[place].doom.disarm();
        world.start_till(place).await?;
        if let Some(counter) = world.counter(place) {
            counter.fill_the_disk(false).await?;
        }
    }
    // Counters' freezes lapse.
    world.pass(10 * MINUTE).await;
    if let Err(left) = quiet(world).await? {
        violations.push(format!("not everything was delivered: {left}"));
    }
    perform::sweep(world).await?;
    world.pass(MINUTE).await;
    if let Err(left) = quiet(world).await? {
        violations.push(format!("not everything was read: {left}"));
    }
    violations.extend(world.net.changed());

    let app = world.app().context("head office is up")?;
    verify::verify(&app.db, |check| {
        for broken in &check.broken {
            violations.push(format!("verify {}: {} {}", check.check, broken.id, broken.what));
        }
    })
    .await?;
    let journals = Journals::read(&app).await?;
    violations.extend(delivered(world, &journals, &excused(world).await?));
    violations.extend(journals.uses(&app, world).await?);
    violations.extend(journals.without_right(world));
    if world.faults.is_calm() {
        for (operation, exception) in &journals.exceptions {
            violations.push(format!("{operation} ended in {exception}, and nothing ever went wrong"));
        }
    }
    violations.extend(copies(world, &app, &journals).await?);
    Ok(violations)
}

/// Counters of which nothing more is demanded: a revoked one whose journal forked is for nobody to decide, and one that has
/// delivered asks no more, so that it does not hear of a restore. What they have is theirs, and would have no effect.
async fn excused(world: &World) -> Result<BTreeSet<usize>> {
    let mut excused = BTreeSet::new();
    let Some(app) = world.app() else { return Ok(excused) };
    let mut snapshot = app.db.snapshot().await?;
    for (place, till) in world.tills.iter().enumerate() {
        let known = stores::rows::load_devices(&mut snapshot, world.base.tenant, &[till.device], "").await?;
        let revoked = known.iter().any(|device| device.status == DeviceStatus::Revoked);
        if revoked && (till.torn || world.restored > 0) {
            excused.insert(place);
        }
    }
    Ok(excused)
}

/// Lets every counter exchange until nothing is left; the counters that could not finish otherwise.
async fn quiet(world: &mut World) -> Result<Result<(), String>> {
    let mut left = String::new();
    let excused = excused(world).await?;
    for _ in 0..ROUNDS {
        left.clear();
        for place in 0..world.tills.len() {
            perform::decide(world, place, false).await?;
            for _ in 0..TURNS {
                let Some(counter) = world.counter(place) else { break };
                match counter.sync_turn().await {
                    Ok(Turn::Asked { more: true }) => {}
                    Ok(_) => break,
                    Err(error) => {
                        left.push_str(&format!("{place}: {} ", error.code()));
                        break;
                    }
                }
            }
            let Some(counter) = world.counter(place) else { continue };
            let status = counter.status().await?;
            let waits = status.queue.pending > 0;
            let behind = status
                .placed
                .is_some_and(|placed| placed.resyncing && placed.device_status == DeviceStatus::Active);
            if (waits || behind) && !excused.contains(&place) {
                left.push_str(&format!(
                    "till {place}: {} wait, resyncing {behind}, {:?}; ",
                    status.queue.pending, status.link.problem
                ));
            }
        }
        world.pass(35 * SECOND).await;
        if left.is_empty() {
            // Once more, so that everybody has read what the last one wrote.
            for place in 0..world.tills.len() {
                for _ in 0..TURNS {
                    let Some(counter) = world.counter(place) else { break };
                    if !matches!(counter.sync_turn().await, Ok(Turn::Asked { more: true })) {
                        break;
                    }
                }
            }
            return Ok(Ok(()));
        }
    }
    Ok(Err(left))
}

/// A use of something by an operation, or by an order placed online.
#[derive(Debug, Clone)]
struct Used {
    by: OperationId,
    at: Millis,
}

/// What the journals at head office say.
#[derive(Debug, Default)]
struct Journals {
    known: BTreeSet<OperationId>,
    exceptions: BTreeMap<OperationId, String>,
    /// What has its effect, by device.
    effective: Vec<(DeviceId, OperationId)>,
    actions: BTreeMap<OperationId, (DeviceId, Millis, Action)>,
}

impl Journals {
    async fn read(app: &App) -> Result<Self> {
        let mut journals = Self::default();
        let mut snapshot = app.db.snapshot().await?;
        for row in sqlx::query("SELECT id, outcome, detail, body FROM operations ORDER BY id")
            .fetch_all(&mut *snapshot)
            .await?
        {
            let id = OperationId::from_bytes(&row.try_get::<Vec<u8>, _>("id")?)?;
            journals.known.insert(id);
            let outcome: String = row.try_get("outcome")?;
            if outcome == "applied_with_exception" {
                journals.exceptions.insert(id, row.try_get("detail")?);
            }
            if outcome == "quarantined" {
                continue;
            }
            let body: Vec<u8> = row.try_get("body")?;
            let (_, arrival) = open(0, std::str::from_utf8(&body)?)?;
            journals.effective.push((arrival.device, id));
            if let Some(action) = arrival.action {
                journals
                    .actions
                    .insert(id, (arrival.device, arrival.occurred_at, action));
            }
        }
        for row in sqlx::query("SELECT body FROM branches")
            .fetch_all(&mut *snapshot)
            .await?
        {
            let body: Vec<u8> = row.try_get("body")?;
            journals.known.insert(open(0, std::str::from_utf8(&body)?)?.1.id);
        }
        Ok(journals)
    }

    /// What has no right to an effect: what a device delivers once it is revoked, and what gives away less than nothing.
    fn without_right(&self, world: &World) -> Violations {
        let after = self.effective.iter().filter(|(device, operation)| {
            let known = world.revoked.get(device);
            known.is_some_and(|known| !known.contains(operation))
        });
        let mut violations: Violations = after
            .map(|(device, operation)| format!("{operation} of revoked device {device} has its effect"))
            .collect();
        for (id, (.., action)) in &self.actions {
            if let Action::RedeemCoupon(RedeemCoupon { worth, .. }) = action
                && *worth < 0
            {
                violations.push(format!("{id} gives away {worth}"));
            }
        }
        violations
    }

    /// Who was undone: a void counts on the device that did it, and once.
    fn voided(&self) -> BTreeSet<OperationId> {
        let mut voided = BTreeSet::new();
        for (device, _, action) in self.actions.values() {
            if let Action::VoidRedemption(VoidRedemption { target, .. }) = action
                && self.actions.get(target).is_some_and(|(by, ..)| by == device)
            {
                voided.insert(*target);
            }
        }
        voided
    }

    /// A store in which something was used was told of it, whoever it belongs to.
    async fn told(&self, world: &World, app: &App, place: usize, copy: &Copy) -> Result<Violations> {
        let store = world.tills[place].store;
        let here: BTreeSet<DeviceId> = world
            .tills
            .iter()
            .filter(|till| till.store == store)
            .map(|till| till.device)
            .collect();
        let mut coupons_used = BTreeSet::new();
        for (id, (device, _, action)) in &self.actions {
            // What nobody had, because a restore took the claim of it back, was not used, and nobody was told of it.
            let no_use = self.exceptions.get(id).is_some_and(|kind| kind == "state_conflict");
            if no_use || !here.contains(device) {
                continue;
            }
            match action {
                Action::RedeemCoupon(RedeemCoupon { coupon, .. }) => coupons_used.extend([*coupon]),
                Action::SettleSale(settled) => coupons_used.extend(settled.coupons.iter().map(|used| used.coupon)),
                _ => {}
            }
        }
        let ids: Vec<CouponId> = coupons_used.into_iter().collect();
        let mut snapshot = app.db.snapshot().await?;
        // What a restore lost, nobody can be told of.
        let known = coupons::rows::load(&mut snapshot, world.base.tenant, &ids, "").await?;
        Ok(known
            .iter()
            .filter(|coupon| {
                let key = ("coupon".to_owned(), coupon.id.bytes().to_vec());
                copy.get(&key).is_none_or(|(_, asked)| *asked)
            })
            .map(|coupon| format!("till {place} was not told of coupon {}, used in its store", coupon.code))
            .collect())
    }

    /// As many cases as uses less one, for every coupon and every order.
    async fn uses(&self, app: &App, world: &World) -> Result<Violations> {
        let voided = self.voided();
        let mut of_coupons: BTreeMap<CouponId, Vec<Used>> = BTreeMap::new();
        let mut of_orders: BTreeMap<OrderId, Vec<Used>> = BTreeMap::new();
        let mut given_back: BTreeSet<(OperationId, CouponId)> = BTreeSet::new();
        // A return with a case may have come before its sale did, or after all had gone back.
        let mut perhaps: BTreeSet<(OperationId, CouponId)> = BTreeSet::new();
        for (id, (_, _, action)) in &self.actions {
            if let Action::ReturnSale(back) = action {
                let brought = back.coupons.iter().map(|coupon| (back.target, *coupon));
                match self.exceptions.contains_key(id) {
                    true => perhaps.extend(brought),
                    false => given_back.extend(brought),
                }
            }
        }
        for (id, (_, at, action)) in &self.actions {
            if voided.contains(id) {
                continue;
            }
            let used = Used { by: *id, at: *at };
            match action {
                Action::RedeemCoupon(RedeemCoupon { coupon, .. }) => of_coupons.entry(*coupon).or_default().push(used),
                Action::CollectOrder(CollectOrder { order, .. }) => of_orders.entry(*order).or_default().push(used),
                Action::SettleSale(settled) => {
                    for coupon in &settled.coupons {
                        if !given_back.contains(&(*id, coupon.coupon)) {
                            of_coupons.entry(coupon.coupon).or_default().push(used.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        let mut snapshot = app.db.snapshot().await?;
        let online = "SELECT h.coupon, n.id, n.ended_at FROM order_freezes n JOIN order_freeze_coupons h ON h.tenant = n.tenant AND h.order_id = n.id WHERE n.status = 'confirmed'";
        for row in sqlx::query(online).fetch_all(&mut *snapshot).await? {
            let coupon = CouponId::from_bytes(&row.try_get::<Vec<u8>, _>("coupon")?)?;
            of_coupons.entry(coupon).or_default().push(Used {
                by: OperationId::from_bytes(&row.try_get::<Vec<u8>, _>("id")?)?,
                at: row.try_get("ended_at")?,
            });
        }
        let mut open_cases = BTreeSet::new();
        for row in sqlx::query("SELECT operation FROM exceptions WHERE status <> 'voided'")
            .fetch_all(&mut *snapshot)
            .await?
        {
            open_cases.insert(OperationId::from_bytes(&row.try_get::<Vec<u8>, _>("operation")?)?);
        }
        let mut violations = Violations::new();
        let tenant = world.base.tenant;
        let ids: Vec<CouponId> = of_coupons.keys().copied().collect();
        for coupon in coupons::rows::load(&mut snapshot, tenant, &ids, "").await? {
            let holder = match coupon.state {
                counterfoil_domain::coupons::CouponState::Redeemed { operation, .. } => Some(operation),
                _ => None,
            };
            let held = matches!(coupon.state, counterfoil_domain::coupons::CouponState::Frozen { .. });
            let uses = of_coupons.remove(&coupon.id).unwrap_or_default();
            let is = Standing {
                what: format!("coupon {}", coupon.code),
                holder,
                surplus: coupon.surplus.iter().map(|used| used.operation).collect(),
                perhaps: perhaps
                    .iter()
                    .filter(|(_, other)| *other == coupon.id)
                    .map(|(id, _)| *id)
                    .collect(),
                held,
                ends: Some(coupon.valid_until.unwrap_or(Millis::MAX)),
                owner: coupon.member,
            };
            violations.extend(self.balance(&is, &uses, &open_cases));
        }
        let ids: Vec<OrderId> = of_orders.keys().copied().collect();
        for order in pickups::rows::load(&mut snapshot, tenant, &ids, "").await? {
            let holder = match order.state {
                counterfoil_domain::pickups::OrderState::Collected { operation, .. } => Some(operation),
                _ => None,
            };
            let held = matches!(
                order.state,
                counterfoil_domain::pickups::OrderState::Ready { freeze: Some(_) }
            );
            let uses = of_orders.remove(&order.id).unwrap_or_default();
            let is = Standing {
                what: format!("order {}", order.number),
                holder,
                surplus: order.surplus.iter().map(|used| used.operation).collect(),
                perhaps: BTreeSet::new(),
                held,
                // Handed over in another store, it is an exception of its own.
                ends: None,
                owner: None,
            };
            violations.extend(self.balance(&is, &uses, &open_cases));
        }
        Ok(violations)
    }
}

/// What head office says of a coupon or an order.
struct Standing {
    what: String,
    holder: Option<OperationId>,
    surplus: BTreeSet<OperationId>,
    /// Sales whose use may have gone back.
    perhaps: BTreeSet<OperationId>,
    /// A freeze is on it still.
    held: bool,
    /// Its use alone may have broken a rule besides: when it was used, or by whom it was presented.
    ends: Option<Millis>,
    owner: Option<MemberId>,
}

impl Journals {
    fn balance(&self, is: &Standing, uses: &[Used], cases: &BTreeSet<OperationId>) -> Violations {
        let what = &is.what;
        let mut violations = Violations::new();
        let known: BTreeSet<OperationId> = is.holder.into_iter().chain(is.surplus.iter().copied()).collect();
        // Nobody had the coupon when it was used, so that it could not be: that has a case, and is no use. It may have
        // been claimed before a restore, and by somebody else since.
        let no_use = |by: &OperationId| {
            cases.contains(by) && self.exceptions.get(by).is_some_and(|kind| kind == "state_conflict")
        };
        let uses: Vec<&Used> = uses
            .iter()
            .filter(|used| known.contains(&used.by) || !(no_use(&used.by) || is.perhaps.contains(&used.by)))
            .collect();
        let by: BTreeSet<OperationId> = uses.iter().map(|used| used.by).collect();
        if by != known {
            violations.push(format!("{what}: used by {by:?}, and head office says {known:?}"));
        }
        if is.holder.is_none() && !is.held && !is.surplus.is_empty() {
            violations.push(format!("{what}: used, and belongs to nobody"));
        }
        for used in &uses {
            let has_case = cases.contains(&used.by);
            if Some(used.by) != is.holder {
                // An order placed online that came second was promised its coupon: it has no case.
                if !has_case && self.known.contains(&used.by) {
                    violations.push(format!("{what}: {} is one use too many without a case", used.by));
                }
                continue;
            }
            let sale = matches!(self.actions.get(&used.by), Some((.., Action::SettleSale(_))));
            let late = is.ends.is_none_or(|end| used.at >= end - 10 * MINUTE);
            // Claimed by somebody else since a restore took the claim back.
            let foreign = match self.actions.get(&used.by) {
                Some((.., Action::RedeemCoupon(RedeemCoupon { member, .. }))) => {
                    member.is_some() && is.owner.is_some() && *member != is.owner
                }
                _ => false,
            };
            let too_many = self
                .exceptions
                .get(&used.by)
                .is_some_and(|kind| ["double_redeem", "redeem_while_frozen", "double_pickup"].contains(&kind.as_str()));
            if has_case && too_many && !sale && !late && !foreign {
                let kind = self.exceptions.get(&used.by);
                violations.push(format!(
                    "{what}: {} is the use that counts, and has a case ({kind:?}); uses {uses:?}, beside it {:?}",
                    used.by, is.surplus
                ));
            }
        }
        violations
    }
}

/// Everything that a clerk was told is done is at head office, unless the only disk it was on was set back.
fn delivered(world: &World, journals: &Journals, excused: &BTreeSet<usize>) -> Violations {
    world
        .acknowledged
        .iter()
        .filter(|(operation, _)| !journals.known.contains(operation) && !world.gone.contains(operation))
        .filter(|(operation, told)| {
            world.restored == 0 || !(world.fragile.contains(operation) || excused.contains(&told.till))
        })
        .map(|(operation, told)| format!("{} {operation} of till {} is lost", told.what, told.till))
        .collect()
}

type Copy = BTreeMap<(String, Vec<u8>), (Value, bool)>;

/// A counter's rows: the image, and whether it was only asked for.
async fn held(folder: &std::path::Path) -> Result<Copy> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("counter.sqlite"));
    let mut db = options.connect().await?;
    let rows = sqlx::query(
        "SELECT entity, id, image, asked FROM replica WHERE entity IN ('coupon', 'order', 'sale', 'member') ORDER BY entity, id",
    )
    .fetch_all(&mut db)
    .await?;
    db.close().await?;
    let mut copy = Copy::new();
    for row in &rows {
        let image: Value = serde_json::from_str(&row.try_get::<String, _>("image")?)?;
        let asked: i64 = row.try_get("asked")?;
        copy.insert((row.try_get("entity")?, row.try_get("id")?), (image, asked != 0));
    }
    Ok(copy)
}

/// A counter's own freeze is told to nobody and is over after five minutes: lapsed, it is none.
fn without_lapsed(mut image: Value, now: Millis) -> Value {
    if image["state"] == "frozen" && image["until"].as_i64().is_some_and(|until| until <= now) {
        image["state"] = "available".into();
        for field in ["freeze", "until", "device"] {
            if let Some(row) = image.as_object_mut() {
                row.remove(field);
            }
        }
    }
    if image["state"] == "ready"
        && image["freeze"]["until"].as_i64().is_some_and(|until| until <= now)
        && let Some(row) = image.as_object_mut()
    {
        row.remove("freeze");
    }
    if let Some(row) = image.as_object_mut() {
        // A step that is told to nobody counts all the same.
        row.remove("version");
    }
    image
}

/// Every counter holds what head office has, of what it holds; and a new counter that reads everything from the
/// beginning holds the same.
async fn copies(world: &mut World, app: &App, journals: &Journals) -> Result<Violations> {
    let mut violations = Violations::new();
    let places = world.tills.len();
    let mut fresh = BTreeMap::new();
    for store in 0..world.base.stores.len() {
        let code = stores::enrol::make_code(
            &app.db,
            app.clock.as_ref(),
            app.random.as_ref(),
            world.base.tenant,
            world.base.stores[store],
        )
        .await?;
        let folder = till_folder(world.folder.path(), 100 + store);
        world.new_till(folder, store, &code).await?;
        fresh.insert(store, world.tills.len() - 1);
    }
    // Whoever joined is told of; everybody reads to the end.
    if let Err(left) = quiet(world).await? {
        violations.push(format!("a new counter could not read everything: {left}"));
    }
    let now = world.time.now();
    for place in 0..world.tills.len() {
        world.stop_till(place).await?;
    }
    for place in 0..places {
        let till = &world.tills[place];
        let (store, device) = (till.store, till.device);
        let mut snapshot = app.db.snapshot().await?;
        let known = stores::rows::load_devices(&mut snapshot, world.base.tenant, &[device], "").await?;
        drop(snapshot);
        if till.retired || known.first().is_none_or(|device| device.status != DeviceStatus::Active) {
            continue;
        }
        let copy = held(&till.folder).await?;
        violations.extend(true_to(world, app, place, &copy, now).await?);
        violations.extend(journals.told(world, app, place, &copy).await?);
        let anew = held(&world.tills[fresh[&store]].folder).await?;
        violations.extend(alike(place, &copy, &anew, now));
    }
    Ok(violations)
}

async fn true_to(world: &World, app: &App, place: usize, copy: &Copy, now: Millis) -> Result<Violations> {
    let mut violations = Violations::new();
    let tenant = world.base.tenant;
    let viewer = Viewer {
        store: world.store(place),
        device: world.tills[place].device,
        now,
    };
    let mut snapshot = app.db.snapshot().await?;
    let mut items = Vec::new();
    for (entity, id) in copy.keys() {
        items.push(match entity.as_str() {
            "coupon" => Item::Coupon(CouponId::from_bytes(id)?),
            "order" => Item::Order(OrderId::from_bytes(id)?),
            "sale" => Item::Sale(OperationId::from_bytes(id)?),
            _ => Item::Member(MemberId::from_bytes(id)?),
        });
    }
    let mut truth: BTreeMap<(String, Vec<u8>), Value> = BTreeMap::new();
    for row in capabilities::gallery()
        .load(&mut snapshot, tenant, &items, viewer)
        .await?
    {
        let (entity, id, image) = match row.image {
            Image::Coupon(row) => ("coupon", row.id.bytes().to_vec(), serde_json::to_value(row)?),
            Image::Order(row) => ("order", row.id.bytes().to_vec(), serde_json::to_value(row)?),
            Image::Sale(row) => ("sale", row.id.bytes().to_vec(), serde_json::to_value(row)?),
            Image::Member(row) => ("member", row.id.bytes().to_vec(), serde_json::to_value(row)?),
            _ => continue,
        };
        truth.insert((entity.to_owned(), id), image);
    }
    for (key, (image, asked)) in copy {
        // What was only asked for may have changed without a word.
        if *asked {
            continue;
        }
        let Some(right) = truth.get(key) else {
            violations.push(format!("till {place} holds a {} that does not exist", key.0));
            continue;
        };
        let (image, right) = (without_lapsed(image.clone(), now), without_lapsed(right.clone(), now));
        if image != right {
            violations.push(format!("till {place} holds a stale {}: {image} and is {right}", key.0));
        }
    }
    // What its store holds by right.
    let store = world.store(place);
    for (member, number) in &world.base.members {
        let found = members::rows::load(&mut snapshot, tenant, &[*member], "").await?;
        if !found.iter().any(|(_, member)| member.recent_stores.contains(&store)) {
            continue;
        }
        if !copy.contains_key(&("member".to_owned(), member.bytes().to_vec())) {
            violations.push(format!("till {place} does not hold member {number}"));
        }
        for coupon in coupons::rows::of_member(&mut snapshot, tenant, *member, 200).await? {
            if !copy.contains_key(&("coupon".to_owned(), coupon.id.bytes().to_vec())) {
                violations.push(format!(
                    "till {place} does not hold coupon {} of member {number}",
                    coupon.code
                ));
            }
        }
    }
    for sale in sales::rows::list(&mut snapshot, tenant, Some(store), None, 500).await? {
        if !copy.contains_key(&("sale".to_owned(), sale.id.bytes().to_vec())) {
            violations.push(format!("till {place} does not hold sale {}", sale.id));
        }
    }
    Ok(violations)
}

fn alike(place: usize, copy: &Copy, anew: &Copy, now: Millis) -> Violations {
    let mut violations = Violations::new();
    for (key, (image, asked)) in copy {
        if *asked {
            continue;
        }
        match anew.get(key) {
            None => violations.push(format!("till {place} holds a {} that the feed does not lead to", key.0)),
            Some((other, _)) => {
                let (image, other) = (without_lapsed(image.clone(), now), without_lapsed(other.clone(), now));
                // Each device sees its own freezes.
                if image != other && image["state"] != "frozen" {
                    violations.push(format!("till {place} holds {image}, and read anew it is {other}"));
                }
            }
        }
    }
    for key in anew.keys() {
        if !copy.contains_key(key) {
            violations.push(format!("till {place} lacks a {} that the feed leads to", key.0));
        }
    }
    violations
}
