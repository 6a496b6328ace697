//! One group of commands: load, decide, store, commit.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use counterfoil_domain::{
    coupons::{Coupon, Template},
    ids::{CouponId, DeviceId, FreezeId, MemberId, OperationId, OrderId, StoreId, TemplateId, TenantId},
    planted,
    time::Millis,
    transition::{
        Answer, Arrival, Changes, Command, Device, Entity, Key, NeedKeys, State, decide, isolate, online::OnlineOrder,
    },
};
use sqlx::AnyConnection;

use super::{Answered, Errand, Parts, Refusal, Settled, TRIES, claims};
use crate::{
    coupons,
    db::{self, DbError, Trouble},
    members, online, pickups, sales, site, stores,
    sync::{
        feed::{self, Item},
        rows,
    },
};

/// Most rounds of loading what turned out to be needed.
const ROUNDS: usize = 4;
/// How often an operation may fail for an unknown reason before it is set aside.
const SUSPECTED: u32 = 3;
/// Operations of which that is kept.
const SUSPECTS: usize = 1_000;
/// Template versions kept in memory; they never change once published.
const TEMPLATES: usize = 10_000;

/// The writer's own things.
pub(super) struct Writer {
    parts: Parts,
    settled: Settled,
    templates: HashMap<(TenantId, TemplateId, i64), Arc<Template>>,
    suspects: HashMap<(TenantId, OperationId), Suspected>,
    /// Pieces of groups that went through.
    done: u64,
}

/// How often an operation failed alone for a reason that nobody knows, and how much had gone through by the last time.
#[derive(Default)]
struct Suspected {
    times: u32,
    at: Option<u64>,
}

/// What to do differently on another try.
#[derive(Default)]
struct Care {
    /// Look every operation's id up first: somebody was first with one of them.
    look_up_ids: bool,
    /// Set the operation, which stands alone, aside: it can't be stored with its effect.
    isolate: Option<Isolate>,
}

/// How an operation is set aside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Isolate {
    /// What its own freezes held is let go of.
    Releasing,
    /// Nothing but the operation itself is touched.
    Bare,
}

/// Whether it may be the rows of one command that are to blame, so that narrowing down helps: not the connection, the
/// disk or a lock.
fn blames_rows(error: &DbError) -> bool {
    match error {
        DbError::RowCount { .. } | DbError::Answered | DbError::Decode { .. } | DbError::Config(_) => true,
        DbError::Sqlx(sqlx::Error::Database(_)) => {
            matches!(error.trouble(), Trouble::Constraint | Trouble::Slow | Trouble::Other)
        }
        _ => false,
    }
}

/// The operation, where it stands alone.
fn alone(errands: &[Errand]) -> Option<&Arrival> {
    match errands {
        [
            Errand {
                command: Command::Operation(arrival),
                ..
            },
        ] => Some(arrival),
        _ => None,
    }
}

/// A decided group, coalesced: one row a key, with the version it was loaded at.
#[derive(Default)]
struct Work {
    answers: Vec<(Answer, Option<Device>)>,
    changes: Changes,
    devices: BTreeSet<DeviceId>,
    coupons: BTreeSet<CouponId>,
    orders: BTreeSet<OrderId>,
    members: BTreeSet<MemberId>,
    freezes: BTreeSet<FreezeId>,
    sales: BTreeSet<OperationId>,
    online: BTreeSet<FreezeId>,
    stored: Vec<counterfoil_domain::transition::Stored>,
    branches: Vec<Arrival>,
    claims: claims::Work,
    news: BTreeMap<StoreId, Vec<Item>>,
    /// Stores that hold a member from now on.
    cards: BTreeSet<(StoreId, MemberId)>,
}

/// Versions as loaded: what a conditional update compares with.
#[derive(Default)]
struct Loaded {
    devices: BTreeMap<DeviceId, i64>,
    coupons: BTreeMap<CouponId, i64>,
    orders: BTreeMap<OrderId, i64>,
    members: BTreeMap<MemberId, i64>,
    claims: claims::Loaded,
    sales: BTreeMap<OperationId, i64>,
    online: BTreeMap<FreezeId, i64>,
}

impl Writer {
    pub(super) fn new(parts: Parts, settled: Settled) -> Self {
        Self {
            parts,
            settled,
            templates: HashMap::new(),
            suspects: HashMap::new(),
            done: 0,
        }
    }

    /// Does a group, and answers each of its commands. A trouble that blames nobody is tried again. What keeps failing is
    /// narrowed down by halving the group until the culprit stands alone: an operation is then quarantined, at the latest
    /// when it has come back a few times, and the rest goes through.
    pub(super) async fn work(&mut self, tenant: TenantId, errands: &[Errand]) -> Vec<Result<Answered, Refusal>> {
        let mut answers = Vec::with_capacity(errands.len());
        let mut pieces = self.apart(tenant, errands);
        while let Some(piece) = pieces.pop() {
            match self.persist(tenant, piece).await {
                Ok(done) => {
                    self.done += 1;
                    answers.extend(done.into_iter().map(Ok));
                }
                Err(error) if blames_rows(&error) && piece.len() > 1 => {
                    let (first, second) = piece.split_at(piece.len() / 2);
                    pieces.push(second);
                    pieces.push(first);
                }
                Err(error) => {
                    if matches!(error, DbError::Answered) {
                        tracing::debug!(%error, "who asked is given that answer");
                    } else {
                        tracing::error!(%error, commands = piece.len(), "a group of commands failed");
                        metrics::counter!("counterfoil_alerts_total", "what" => "group_failed").increment(1);
                    }
                    let refusal = Refusal::from(error.trouble());
                    answers.extend(piece.iter().map(|_| Err(refusal)));
                }
            }
        }
        answers
    }

    /// The group in pieces, the last one first, in which every suspect stands alone: one that takes as long as it may
    /// each time must not make the others wait for the whole search again.
    fn apart<'c>(&self, tenant: TenantId, errands: &'c [Errand]) -> Vec<&'c [Errand]> {
        let suspected = |errand: &Errand| match &errand.command {
            Command::Operation(arrival) => self.suspects.contains_key(&(tenant, arrival.id)),
            _ => false,
        };
        if self.suspects.is_empty() {
            return vec![errands];
        }
        let mut pieces: Vec<&[Errand]> = errands
            .chunk_by(|one, next| !suspected(one) && !suspected(next))
            .collect();
        pieces.reverse();
        pieces
    }

    async fn persist(&mut self, tenant: TenantId, errands: &[Errand]) -> Result<Vec<Answered>, DbError> {
        let mut care = Care::default();
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match self.attempt(tenant, errands, &care).await {
                Ok(answers) => return Ok(answers),
                Err(error) => error,
            };
            let short = matches!(error, DbError::RowCount { .. });
            // What was answered stays answered.
            let again = error.trouble() == Trouble::Again && !matches!(error, DbError::Answered);
            if again && tries < TRIES {
                tracing::debug!(%error, tries, "a group is done again");
                care.look_up_ids |= short;
                if !short {
                    let wait = std::time::Duration::from_millis(5 << tries.min(6));
                    self.parts.clock.sleep(wait).await;
                }
                continue;
            }
            // One that stands alone and still fails is kept without effect, so that its journal goes on: a known culprit
            // at once, another one when it has come back a few times.
            let operation = match alone(errands) {
                Some(arrival) if blames_rows(&error) => arrival,
                _ => return Err(error),
            };
            if matches!(error.trouble(), Trouble::Slow | Trouble::Other)
                && self.suspect(tenant, operation.id) < SUSPECTED
            {
                return Err(error);
            }
            match care.isolate {
                None => care.isolate = Some(Isolate::Releasing),
                Some(Isolate::Releasing) => care.isolate = Some(Isolate::Bare),
                Some(Isolate::Bare) => return Err(error),
            }
            tries = 0;
            tracing::error!(%error, operation = %operation.id, "an operation can't be stored; it is set aside");
        }
    }

    /// Counts how often this operation failed for a reason that nobody knows. While nothing else goes through either, it
    /// is not the operation's fault.
    fn suspect(&mut self, tenant: TenantId, operation: OperationId) -> u32 {
        if self.suspects.len() > SUSPECTS {
            self.suspects.clear();
        }
        let done = self.done;
        let suspected = self.suspects.entry((tenant, operation)).or_default();
        if suspected.at.replace(done) != Some(done) {
            suspected.times += 1;
        }
        suspected.times
    }

    async fn attempt(&mut self, tenant: TenantId, errands: &[Errand], care: &Care) -> Result<Vec<Answered>, DbError> {
        let db = Arc::clone(&self.parts.db);
        let mut lease = db.lease().await?;
        let result = async {
            let mut transaction = lease.begin().await?;
            let result = self.in_transaction(&mut transaction, tenant, errands, care).await?;
            transaction.commit("group").await?;
            Ok::<_, DbError>(result)
        }
        .await;
        let (answers, heads) = match result {
            Ok(done) => done,
            Err(error) => {
                // A full disk rolls back by itself, a lost connection leaves an unknown commit behind: in both cases the
                // connection's own idea of its transaction is wrong, so the next lease connects anew. What blames the
                // rows leaves the connection as it was.
                let of_rows = matches!(error, DbError::RowCount { .. } | DbError::Answered);
                if !matches!(error.trouble(), Trouble::Constraint) && !of_rows {
                    lease.discard();
                }
                return Err(error);
            }
        };
        drop(lease);
        for (store, number) in heads {
            self.parts.watch.moved(tenant, store, number);
        }
        Ok(answers)
    }

    async fn in_transaction(
        &mut self,
        connection: &mut AnyConnection,
        tenant: TenantId,
        errands: &[Errand],
        care: &Care,
    ) -> Result<(Vec<Answered>, BTreeMap<StoreId, i64>), DbError> {
        let now = self.parts.clock.now();
        let mut keys: BTreeSet<Key> = match (care.isolate, alone(errands)) {
            // Whatever it is about may be what does not read.
            (Some(Isolate::Bare), Some(arrival)) => [Key::Device(arrival.device)].into(),
            _ => errands.iter().flat_map(|errand| errand.command.keys()).collect(),
        };
        if care.look_up_ids {
            keys.extend(errands.iter().filter_map(|errand| match &errand.command {
                Command::Operation(arrival) => Some(Key::Operation(arrival.id)),
                Command::Claim { member, key, .. } => Some(Key::Claim(*member, *key)),
                _ => None,
            }));
        }
        let mut state = State::default();
        let mut loaded = Loaded::default();
        let mut rounds = 0;
        let work = loop {
            self.load(connection, tenant, &mut keys, &mut state, &mut loaded, now)
                .await?;
            match decide_all(state.clone(), errands, care, now) {
                Ok(work) => break work,
                Err(NeedKeys(more)) => {
                    rounds += 1;
                    if rounds > ROUNDS {
                        return Err(DbError::config(format!("keys are still missing: {more:?}")));
                    }
                    keys.extend(more);
                }
            }
        };
        let (work, state) = work;
        let (heads, mut given) = self.store(connection, tenant, &work, &state, &loaded, now).await?;
        let history = db::history_of(connection, tenant).await?;
        let mut answers = Vec::with_capacity(work.answers.len());
        for ((answer, device), errand) in work.answers.into_iter().zip(errands) {
            let kept = match &errand.keep {
                Some(keep) => Some(keep.keep(connection, tenant, &answer).await?),
                None => None,
            };
            let feed = match (&answer, &device) {
                (Answer::Done { .. }, Some(device)) => match heads.get(&device.store) {
                    Some(number) => *number,
                    None => feed::head(connection, tenant, device.store).await?.number,
                },
                _ => 0,
            };
            let given = match &answer {
                Answer::Given {
                    coupon,
                    replayed: false,
                } => given.remove(coupon).map(Box::new),
                _ => None,
            };
            answers.push(Answered {
                answer,
                feed,
                device,
                given,
                kept,
                history,
            });
        }
        Ok((answers, heads))
    }

    /// Loads the rows behind the keys, and the rows that those are sure to need: a coupon's and an order's member, a
    /// voided operation's subject. `keys` is empty afterwards.
    async fn load(
        &mut self,
        connection: &mut AnyConnection,
        tenant: TenantId,
        keys: &mut BTreeSet<Key>,
        state: &mut State,
        loaded: &mut Loaded,
        now: Millis,
    ) -> Result<(), DbError> {
        let lock = self.parts.db.dialect().lock_suffix();
        let mut wanted = Wanted::default();
        for key in std::mem::take(keys) {
            wanted.add(key);
        }
        // The order of the tables is the same everywhere, and each statement locks in the order of its keys.
        if !wanted.devices.is_empty() {
            for id in &wanted.devices {
                state.devices.insert(*id, None);
            }
            for mut device in stores::rows::load_devices(connection, tenant, &wanted.devices, lock).await? {
                loaded.devices.insert(device.id, device.version);
                device.settled_at = device.settled_at.max(self.settled.get(device.id));
                state.devices.insert(device.id, Some(device));
            }
        }
        let mut found = Vec::new();
        if !wanted.positions.is_empty() {
            for place in &wanted.positions {
                state.positions.insert(*place, None);
            }
            found.extend(rows::load_positions(connection, tenant, &wanted.positions).await?);
        }
        if !wanted.operations.is_empty() {
            for id in &wanted.operations {
                state.operations.insert(*id, None);
            }
            found.extend(rows::load(connection, tenant, &wanted.operations).await?);
        }
        for applied in found {
            if let Some(subject) = applied.subject {
                wanted.add_unless_known(subject.key(), state);
            }
            state
                .positions
                .insert((applied.device, applied.epoch, applied.seq), Some(applied.id));
            state.operations.insert(applied.id, Some(applied));
        }
        let of_claims = std::mem::take(&mut wanted.claims);
        claims::load(connection, tenant, of_claims, state, &mut loaded.claims, now, lock).await?;
        if !wanted.sales.is_empty() {
            for id in &wanted.sales {
                state.sales.insert(*id, None);
            }
            for sale in sales::rows::load(connection, tenant, &wanted.sales, lock).await? {
                loaded.sales.insert(sale.id, sale.version);
                for sold in &sale.coupons {
                    wanted.add_unless_known(Key::Coupon(sold.used.coupon), state);
                }
                state.sales.insert(sale.id, Some(sale));
            }
        }
        if !wanted.online.is_empty() {
            for id in &wanted.online {
                state.online.insert(*id, None);
            }
            for order in online::rows::load(connection, tenant, &wanted.online, lock).await? {
                loaded.online.insert(order.id, order.version);
                for held in &order.coupons {
                    wanted.add_unless_known(Key::Coupon(held.coupon), state);
                }
                state.online.insert(order.id, Some(order));
            }
        }
        if !wanted.coupons.is_empty() {
            for id in &wanted.coupons {
                state.coupons.insert(*id, None);
            }
            for coupon in coupons::rows::load(connection, tenant, &wanted.coupons, lock).await? {
                loaded.coupons.insert(coupon.id, coupon.version);
                if let Some(member) = coupon.member {
                    wanted.add_unless_known(Key::Member(member), state);
                }
                state.coupons.insert(coupon.id, Some(coupon));
            }
        }
        if !wanted.orders.is_empty() {
            for id in &wanted.orders {
                state.orders.insert(*id, None);
            }
            for order in pickups::rows::load(connection, tenant, &wanted.orders, lock).await? {
                loaded.orders.insert(order.id, order.version);
                if let Some(member) = order.member {
                    wanted.add_unless_known(Key::Member(member), state);
                }
                state.orders.insert(order.id, Some(order));
            }
        }
        if !wanted.freezes.is_empty() {
            for id in &wanted.freezes {
                state.freezes.insert(*id, None);
            }
            for freeze in rows::load_freezes(connection, tenant, &wanted.freezes, lock).await? {
                state.freezes.insert(freeze.id, Some(freeze));
            }
        }
        wanted.members.sort_unstable();
        wanted.members.dedup();
        if !wanted.members.is_empty() {
            for id in &wanted.members {
                state.members.insert(*id, None);
            }
            for (version, member) in members::rows::load(connection, tenant, &wanted.members, lock).await? {
                loaded.members.insert(member.id, version);
                state.members.insert(member.id, Some(member));
            }
        }
        self.load_templates(connection, tenant, &wanted.templates, state).await
    }

    async fn load_templates(
        &mut self,
        connection: &mut AnyConnection,
        tenant: TenantId,
        wanted: &[(TemplateId, i64)],
        state: &mut State,
    ) -> Result<(), DbError> {
        let mut missing = Vec::new();
        for &(id, version) in wanted {
            match self.templates.get(&(tenant, id, version)) {
                Some(template) => {
                    state.templates.insert((id, version), Some(Arc::clone(template)));
                }
                None => {
                    state.templates.insert((id, version), None);
                    missing.push((id, version));
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        if self.templates.len() > TEMPLATES {
            self.templates.clear();
        }
        for (_, template) in coupons::rows::load_templates(connection, tenant, &missing).await? {
            let key = (template.id, template.version);
            self.templates.insert((tenant, key.0, key.1), Arc::clone(&template));
            state.templates.insert(key, Some(template));
        }
        Ok(())
    }

    async fn store(
        &self,
        connection: &mut AnyConnection,
        tenant: TenantId,
        work: &Work,
        state: &State,
        loaded: &Loaded,
        now: Millis,
    ) -> Result<(BTreeMap<StoreId, i64>, BTreeMap<CouponId, Coupon>), DbError> {
        let devices: Vec<(i64, &Device)> = changed(&work.devices, &state.devices, &loaded.devices);
        if !devices.is_empty() {
            stores::rows::update_devices(connection, tenant, &devices).await?;
        }
        if !work.stored.is_empty() {
            rows::insert(connection, tenant, &work.stored, now).await?;
        }
        let given = claims::store(connection, tenant, &work.claims, state, &loaded.claims, now).await?;
        let sales = changed(&work.sales, &state.sales, &loaded.sales);
        if !sales.is_empty() {
            sales::rows::update(connection, tenant, &sales).await?;
        }
        let sales: Vec<_> = work
            .sales
            .iter()
            .filter(|id| !loaded.sales.contains_key(id))
            .filter_map(|id| state.sales.get(id)?.as_ref())
            .collect();
        if !sales.is_empty() {
            sales::rows::insert(connection, tenant, &sales).await?;
        }
        let coupons = changed(&work.coupons, &state.coupons, &loaded.coupons);
        if !coupons.is_empty() {
            coupons::rows::update(connection, tenant, &coupons).await?;
        }
        if !work.changes.entries.is_empty() {
            coupons::rows::insert_entries(connection, tenant, &work.changes.entries).await?;
        }
        let orders = changed(&work.orders, &state.orders, &loaded.orders);
        if !orders.is_empty() {
            pickups::rows::update(connection, tenant, &orders).await?;
        }
        let members = changed(&work.members, &state.members, &loaded.members);
        if !members.is_empty() {
            members::rows::update_stores(connection, tenant, &members).await?;
        }
        let freezes: Vec<_> = work
            .freezes
            .iter()
            .filter_map(|id| state.freezes.get(id)?.clone())
            .collect();
        if !freezes.is_empty() {
            rows::store_freezes(connection, tenant, &freezes).await?;
        }
        if !work.online.is_empty() {
            store_online(connection, tenant, work, state, loaded).await?;
        }
        if !work.changes.taken.is_empty() {
            online::rows::mark_taken(connection, tenant, &work.changes.taken).await?;
            let random = self.parts.random.as_ref();
            site::notices::taken(connection, random, tenant, &work.changes.taken, now).await?;
        }
        if !work.changes.cases.is_empty() {
            rows::insert_cases(connection, tenant, &work.changes.cases, now).await?;
        }
        if !work.changes.excused.is_empty() {
            let mut sums: BTreeMap<OperationId, i64> = BTreeMap::new();
            for (operation, amount) in &work.changes.excused {
                let sum = sums.entry(*operation).or_default();
                *sum = sum.saturating_add(*amount);
            }
            let sums: Vec<_> = sums.into_iter().collect();
            rows::excuse_cases(connection, tenant, &sums).await?;
        }
        if !work.changes.closed_cases.is_empty() {
            rows::close_cases(connection, tenant, &work.changes.closed_cases, now).await?;
        }
        if !work.branches.is_empty() {
            rows::insert_branches(connection, tenant, &work.branches, now).await?;
        }
        let mut news = work.news.clone();
        for (store, member) in &work.cards {
            let card = members::card::items(connection, tenant, *member).await?;
            news.entry(*store).or_default().extend(card);
        }
        if news.is_empty() {
            return Ok((BTreeMap::new(), given));
        }
        let mut mark = [0u8; 8];
        self.parts
            .random
            .fill(&mut mark)
            .map_err(|error| DbError::config(error.to_string()))?;
        let heads = feed::append(connection, tenant, &news, i64::from_be_bytes(mark)).await?;
        Ok((heads, given))
    }
}

async fn store_online(
    connection: &mut AnyConnection,
    tenant: TenantId,
    work: &Work,
    state: &State,
    loaded: &Loaded,
) -> Result<(), DbError> {
    let changed = changed(&work.online, &state.online, &loaded.online);
    if !changed.is_empty() {
        online::rows::update(connection, tenant, &changed).await?;
    }
    let all: Vec<&OnlineOrder> = work
        .online
        .iter()
        .filter_map(|id| state.online.get(id)?.as_ref())
        .collect();
    let new: Vec<&OnlineOrder> = all
        .iter()
        .filter(|order| !loaded.online.contains_key(&order.id))
        .copied()
        .collect();
    if !new.is_empty() {
        online::rows::insert(connection, tenant, &new).await?;
    }
    let held: Vec<(FreezeId, CouponId)> = all
        .iter()
        .flat_map(|order| order.coupons.iter().map(|held| (order.id, held.coupon)))
        .collect();
    if !held.is_empty() {
        online::rows::insert_coupons(connection, tenant, &held).await?;
    }
    Ok(())
}

fn changed<'s, K: Ord + Copy, V>(
    ids: &BTreeSet<K>,
    rows: &'s BTreeMap<K, Option<V>>,
    loaded: &BTreeMap<K, i64>,
) -> Vec<(i64, &'s V)> {
    ids.iter()
        .filter_map(|id| Some((*loaded.get(id)?, rows.get(id)?.as_ref()?)))
        .collect()
}

#[derive(Default)]
struct Wanted {
    devices: Vec<DeviceId>,
    operations: Vec<OperationId>,
    positions: Vec<(DeviceId, i64, i64)>,
    templates: Vec<(TemplateId, i64)>,
    coupons: Vec<CouponId>,
    orders: Vec<OrderId>,
    members: Vec<MemberId>,
    freezes: Vec<FreezeId>,
    claims: claims::Wanted,
    sales: Vec<OperationId>,
    online: Vec<FreezeId>,
}

impl Wanted {
    fn add(&mut self, key: Key) {
        match key {
            Key::Device(id) => self.devices.push(id),
            Key::Operation(id) => self.operations.push(id),
            Key::Position(device, epoch, seq) => self.positions.push((device, epoch, seq)),
            Key::Template(id, version) => self.templates.push((id, version)),
            Key::Coupon(id) => self.coupons.push(id),
            Key::Order(id) => self.orders.push(id),
            Key::Member(id) => self.members.push(id),
            Key::Freeze(id) => self.freezes.push(id),
            Key::Offer(id) => self.claims.offers.push(id),
            Key::Batch(id) => self.claims.batches.push(id),
            Key::Holding(member, template) => self.claims.holdings.push((member, template)),
            Key::Claim(member, key) => self.claims.claims.push((member, key)),
            Key::Grant(id) => self.claims.grants.push(id),
            Key::Part(grant, member) => self.claims.parts.push((grant, member)),
            Key::Sale(id) => self.sales.push(id),
            Key::Online(id) => self.online.push(id),
        }
    }

    fn add_unless_known(&mut self, key: Key, state: &State) {
        let known = match key {
            Key::Coupon(id) => state.coupons.contains_key(&id) || self.coupons.contains(&id),
            Key::Order(id) => state.orders.contains_key(&id) || self.orders.contains(&id),
            Key::Member(id) => state.members.contains_key(&id),
            Key::Sale(id) => state.sales.contains_key(&id) || self.sales.contains(&id),
            _ => false,
        };
        if !known {
            self.add(key);
        }
    }
}

/// Decides every command on the rows, each seeing what the ones before it changed.
fn decide_all(mut state: State, errands: &[Errand], care: &Care, now: Millis) -> Result<(Work, State), NeedKeys> {
    let mut work = Work::default();
    let mut missing = Vec::new();
    for Errand { command, .. } in errands {
        let decided = match (command, care.isolate) {
            (Command::Operation(arrival), Some(how)) => isolate(&state, arrival, now, how == Isolate::Releasing),
            _ => match catch_unwind(AssertUnwindSafe(|| decide(&state, command, now))) {
                Ok(decided) => decided,
                Err(_) => match command {
                    // The handler panicked. The operation is a fact all the same: it is kept, without effect.
                    Command::Operation(arrival) => isolate(&state, arrival, now, true),
                    _ => {
                        tracing::error!("deciding a command panicked");
                        Ok((Answer::Failed, Changes::default()))
                    }
                },
            },
        };
        // All that is missing is asked for at once; what was decided after the first gap is decided again.
        let (answer, changes) = match decided {
            Ok(decided) => decided,
            Err(NeedKeys(more)) => {
                missing.extend(more);
                continue;
            }
        };
        state.absorb(&changes);
        let device = match command {
            Command::Operation(arrival) => state.devices.get(&arrival.device).cloned().flatten(),
            _ => None,
        };
        work.take(answer, device, changes);
    }
    if missing.is_empty() {
        Ok((work, state))
    } else {
        Err(NeedKeys(missing))
    }
}

impl Work {
    fn take(&mut self, answer: Answer, device: Option<Device>, mut changes: Changes) {
        self.claims.take(&mut changes);
        self.answers.push((answer, device));
        self.devices.extend(changes.device.iter().map(|device| device.id));
        self.coupons.extend(changes.coupons.iter().map(|coupon| coupon.id));
        self.orders.extend(changes.orders.iter().map(|order| order.id));
        self.members.extend(changes.members.iter().map(|member| member.id));
        self.freezes.extend(changes.freezes.iter().map(|freeze| freeze.id));
        self.sales.extend(changes.sales.iter().map(|sale| sale.id));
        self.online.extend(changes.online.iter().map(|order| order.id));
        self.changes.taken.extend(changes.taken);
        self.changes.entries.extend(changes.entries);
        self.changes.cases.extend(changes.cases);
        self.changes.closed_cases.extend(changes.closed_cases);
        self.changes.excused.extend(changes.excused);
        self.stored.extend(changes.stored);
        self.branches.extend(changes.branch);
        for (store, entity) in changes.feed {
            let item = match entity {
                Entity::Coupon(id) => Item::Coupon(id),
                Entity::Order(id) => Item::Order(id),
                Entity::Member(id) => Item::Member(id),
                Entity::Sale(id) => Item::Sale(id),
                Entity::Card(id) => {
                    self.cards.insert((store, id));
                    continue;
                }
            };
            let items = self.news.entry(store).or_default();
            // One line a row and commit is enough: a page carries the row as it is when it is read.
            if items.last() != Some(&item) && planted!("news_lost", items.len() < 2, true) {
                items.push(item);
            }
        }
    }
}
