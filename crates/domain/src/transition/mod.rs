//! The pure transition: what a command does to the rows it touches.
//!
//! Both sides run *prefetch, decide, store*: they load the rows behind a command's keys into a [`State`], call
//! [`decide`] (head office) or [`effect`] (either side), absorb the [`Changes`] so that the next command of the group
//! sees them, and store all of them in one transaction. A refusal changes nothing. A key that was not loaded is
//! asked for with [`NeedKeys`]; nothing here guesses that a row does not exist.

mod claims;
mod effects;
#[cfg(test)]
mod effects_tests;
#[cfg(test)]
mod ends_tests;
mod expiry;
mod freezes;
#[cfg(test)]
mod freezes_tests;
mod journal;
#[cfg(test)]
mod journal_tests;
pub mod online;
#[cfg(test)]
mod online_tests;
mod sales;
#[cfg(test)]
mod sales_tests;
#[cfg(test)]
mod surplus_tests;
#[cfg(test)]
mod testing;
mod told;
#[cfg(test)]
mod told_tests;
mod uses;
#[cfg(test)]
mod uses_tests;
#[cfg(test)]
mod words_tests;

use std::{collections::BTreeMap, sync::Arc};

pub use claims::{
    Audience, Batch, BatchStatus, Claim, ClaimKey, Given, Grant, Holding, LimitCounts, NotClaimable, Offer, Part,
    Terms, Verdict, judge,
};
pub use effects::effect;
pub use expiry::Swept;
pub use journal::isolate;
use online::{AskedOrder, End, OnlineOrder, OnlineStatus, Taken};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    coupons::{Coupon, Template},
    ids::{
        BatchId, ClerkId, CouponId, DeviceId, FreezeId, GrantId, MemberId, OperationId, OrderId, StoreId, TemplateId,
    },
    operations::{Action, ExceptionKind, Outcome, Times},
    people::Member,
    pickups::Order,
    sales::Sale,
    time::Millis,
    verdict::Reason,
};

/// SHA-256 of an operation's canonical bytes.
pub type Fingerprint = [u8; 32];

/// A row that a command reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A device.
    Device(DeviceId),
    /// An operation by its id.
    Operation(OperationId),
    /// An operation by its place in a journal.
    Position(DeviceId, i64, i64),
    /// A template version.
    Template(TemplateId, i64),
    /// A coupon.
    Coupon(CouponId),
    /// A pickup order.
    Order(OrderId),
    /// A member.
    Member(MemberId),
    /// A freeze.
    Freeze(FreezeId),
    /// What can be claimed of a template, and the batches it is taken from.
    Offer(TemplateId),
    /// A batch.
    Batch(BatchId),
    /// What a member has had of a template.
    Holding(MemberId, TemplateId),
    /// A claim by its name.
    Claim(MemberId, ClaimKey),
    /// A grant, and its batch and offer.
    Grant(GrantId),
    /// A member's part in a grant.
    Part(GrantId, MemberId),
    /// A sale, by the operation that settled it.
    Sale(OperationId),
    /// An order placed online.
    Online(FreezeId),
}

/// Rows that must be loaded before the command can be decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rows are missing: {0:?}")]
pub struct NeedKeys(pub Vec<Key>);

/// The thing an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Subject {
    /// A coupon.
    Coupon(CouponId),
    /// A pickup order.
    Order(OrderId),
    /// A sale, by the operation that settled it.
    Sale(OperationId),
}

/// Whether a device may work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceStatus {
    /// It works.
    Active,
    /// Its journal forked: a person decides.
    Frozen,
    /// It was revoked: what it still delivers is quarantined.
    Revoked,
}

impl DeviceStatus {
    /// The word in databases and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Frozen => "frozen",
            Self::Revoked => "revoked",
        }
    }
    /// Reads [`DeviceStatus::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Active, Self::Frozen, Self::Revoked]
            .into_iter()
            .find(|status| status.as_str() == word)
    }
}

/// A device and the head of its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Which.
    pub id: DeviceId,
    /// Where it stands.
    pub store: StoreId,
    /// May it work.
    pub status: DeviceStatus,
    /// The epoch of its journal, from 1; a fork closes one and opens the next.
    pub epoch: i64,
    /// Last applied sequence number of that epoch, 0 = none.
    pub last_seq: i64,
    /// Fingerprint of that operation; of an epoch's beginning see [`genesis`].
    pub last_hash: Fingerprint,
    /// Last instant at which it had nothing left to deliver and pulled.
    pub settled_at: Option<Millis>,
    /// Grows by one with every stored change.
    pub version: i64,
}

/// What the first operation of the first epoch names as its predecessor.
pub const fn genesis() -> Fingerprint {
    [0; 32]
}

/// An operation as it arrives: its place in the journal, and what it says, already read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its id.
    pub id: OperationId,
    /// Who made it.
    pub device: DeviceId,
    /// Epoch of the journal.
    pub epoch: i64,
    /// Place in the journal, from 1, gapless.
    pub seq: i64,
    /// Fingerprint of its predecessor.
    pub prev_hash: Fingerprint,
    /// Its own fingerprint.
    pub fingerprint: Fingerprint,
    /// The clerk or manager who did it.
    pub actor: Option<ClerkId>,
    /// The device's clock when it happened.
    pub occurred_at: Millis,
    /// What happened; `None` when the payload does not read here.
    pub action: Option<Action>,
    /// Its exact bytes, which are stored as they came.
    pub body: Arc<[u8]>,
}

/// An operation as head office has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its id.
    pub id: OperationId,
    /// Who made it.
    pub device: DeviceId,
    /// Epoch of the journal.
    pub epoch: i64,
    /// Place in the journal.
    pub seq: i64,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What it is about.
    pub subject: Option<Subject>,
    /// How it ended.
    pub outcome: Outcome,
}

/// What became of a freeze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FreezeStatus {
    /// Head office said yes, until then.
    Granted { until: Millis },
    /// Head office said no, and why.
    Refused { reasons: Vec<Reason> },
    /// Its owner gave it back, perhaps before it ever arrived.
    Cancelled,
}

/// A question for a freeze, and its answer. The answer is stored, so asking again gives the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// Made by who asks.
    pub id: FreezeId,
    /// Who asked.
    pub device: DeviceId,
    /// What for; `None` when it was cancelled before it arrived.
    pub subject: Option<Subject>,
    /// When it was asked.
    pub asked_at: Millis,
    /// The answer.
    pub status: FreezeStatus,
}

/// A case: a person must look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The operation that broke a rule.
    pub operation: OperationId,
    /// Which rule.
    pub kind: ExceptionKind,
    /// The store that bears the loss.
    pub store: StoreId,
    /// What it is about.
    pub subject: Option<Subject>,
    /// The loss, minor units.
    pub loss: i64,
}

/// One line of a coupon's own record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouponEntry {
    /// Which coupon.
    pub coupon: CouponId,
    /// The coupon's version after it: the line's number.
    pub version: i64,
    /// What happened: `redeemed`, `voided`, `returned`, `frozen`, `unfrozen`, `expired`.
    pub what: &'static str,
    /// When, by the clock of whoever did it.
    pub at: Millis,
    /// Where.
    pub store: StoreId,
    /// On which device.
    pub device: DeviceId,
    /// By whom.
    pub actor: Option<ClerkId>,
    /// The operation or freeze behind it.
    pub source: uuid::Uuid,
}

/// A row that others must hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entity {
    /// A coupon changed.
    Coupon(CouponId),
    /// A pickup order changed.
    Order(OrderId),
    /// A member changed.
    Member(MemberId),
    /// A store holds a member from now on: it has to hear of them and of all their coupons.
    Card(MemberId),
    /// A sale was settled, returned in part or voided.
    Sale(OperationId),
}

/// The rows a group of commands may read. A key that maps to `None` was looked for and does not exist.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Devices.
    pub devices: BTreeMap<DeviceId, Option<Device>>,
    /// Operations by id.
    pub operations: BTreeMap<OperationId, Option<Applied>>,
    /// Operations by place.
    pub positions: BTreeMap<(DeviceId, i64, i64), Option<OperationId>>,
    /// Template versions.
    pub templates: BTreeMap<(TemplateId, i64), Option<Arc<Template>>>,
    /// Coupons.
    pub coupons: BTreeMap<CouponId, Option<Coupon>>,
    /// Pickup orders.
    pub orders: BTreeMap<OrderId, Option<Order>>,
    /// Members.
    pub members: BTreeMap<MemberId, Option<Member>>,
    /// Freezes.
    pub freezes: BTreeMap<FreezeId, Option<Freeze>>,
    /// Offers.
    pub offers: BTreeMap<TemplateId, Option<Offer>>,
    /// Batches of offers and grants.
    pub batches: BTreeMap<BatchId, Option<Batch>>,
    /// What members have had of templates.
    pub holdings: BTreeMap<(MemberId, TemplateId), Option<Holding>>,
    /// Claims by name.
    pub claims: BTreeMap<(MemberId, ClaimKey), Option<Claim>>,
    /// Grants.
    pub grants: BTreeMap<GrantId, Option<Grant>>,
    /// Members' parts in grants.
    pub parts: BTreeMap<(GrantId, MemberId), Option<Part>>,
    /// Sales, by the operations that settled them.
    pub sales: BTreeMap<OperationId, Option<Sale>>,
    /// Orders placed online.
    pub online: BTreeMap<FreezeId, Option<OnlineOrder>>,
}

fn loaded<K: Ord, V>(rows: &BTreeMap<K, Option<V>>, id: K, key: Key) -> Result<Option<&V>, NeedKeys> {
    rows.get(&id).map(Option::as_ref).ok_or_else(|| NeedKeys(vec![key]))
}

impl State {
    fn device(&self, id: DeviceId) -> Result<Option<&Device>, NeedKeys> {
        loaded(&self.devices, id, Key::Device(id))
    }
    fn operation(&self, id: OperationId) -> Result<Option<&Applied>, NeedKeys> {
        loaded(&self.operations, id, Key::Operation(id))
    }
    fn position(&self, device: DeviceId, epoch: i64, seq: i64) -> Result<Option<&OperationId>, NeedKeys> {
        loaded(&self.positions, (device, epoch, seq), Key::Position(device, epoch, seq))
    }
    fn template(&self, id: TemplateId, version: i64) -> Result<Option<&Template>, NeedKeys> {
        Ok(loaded(&self.templates, (id, version), Key::Template(id, version))?.map(Arc::as_ref))
    }
    /// A coupon that waits in its batch for somebody to claim it is nobody's, and does not exist for anything else.
    fn coupon(&self, id: CouponId) -> Result<Option<&Coupon>, NeedKeys> {
        Ok(loaded(&self.coupons, id, Key::Coupon(id))?.filter(|coupon| coupon.is_issued()))
    }
    fn order(&self, id: OrderId) -> Result<Option<&Order>, NeedKeys> {
        loaded(&self.orders, id, Key::Order(id))
    }
    fn member(&self, id: MemberId) -> Result<Option<&Member>, NeedKeys> {
        loaded(&self.members, id, Key::Member(id))
    }
    fn freeze(&self, id: FreezeId) -> Result<Option<&Freeze>, NeedKeys> {
        loaded(&self.freezes, id, Key::Freeze(id))
    }
    fn offer(&self, id: TemplateId) -> Result<Option<&Offer>, NeedKeys> {
        loaded(&self.offers, id, Key::Offer(id))
    }
    fn batch(&self, id: BatchId) -> Result<Option<&Batch>, NeedKeys> {
        loaded(&self.batches, id, Key::Batch(id))
    }
    fn holding(&self, member: MemberId, template: TemplateId) -> Result<Option<&Holding>, NeedKeys> {
        loaded(&self.holdings, (member, template), Key::Holding(member, template))
    }
    fn grant(&self, id: GrantId) -> Result<Option<&Grant>, NeedKeys> {
        loaded(&self.grants, id, Key::Grant(id))
    }
    fn part(&self, id: GrantId, member: MemberId) -> Result<Option<&Part>, NeedKeys> {
        loaded(&self.parts, (id, member), Key::Part(id, member))
    }
    fn sale(&self, id: OperationId) -> Result<Option<&Sale>, NeedKeys> {
        loaded(&self.sales, id, Key::Sale(id))
    }

    fn online(&self, id: FreezeId) -> Result<Option<&OnlineOrder>, NeedKeys> {
        loaded(&self.online, id, Key::Online(id))
    }

    /// Notes that a row was looked for and does not exist.
    pub fn note_missing(&mut self, key: Key) {
        match key {
            Key::Device(id) => drop(self.devices.entry(id).or_insert(None)),
            Key::Operation(id) => drop(self.operations.entry(id).or_insert(None)),
            Key::Position(device, epoch, seq) => drop(self.positions.entry((device, epoch, seq)).or_insert(None)),
            Key::Template(id, version) => drop(self.templates.entry((id, version)).or_insert(None)),
            Key::Coupon(id) => drop(self.coupons.entry(id).or_insert(None)),
            Key::Order(id) => drop(self.orders.entry(id).or_insert(None)),
            Key::Member(id) => drop(self.members.entry(id).or_insert(None)),
            Key::Freeze(id) => drop(self.freezes.entry(id).or_insert(None)),
            Key::Offer(id) => drop(self.offers.entry(id).or_insert(None)),
            Key::Batch(id) => drop(self.batches.entry(id).or_insert(None)),
            Key::Holding(member, template) => drop(self.holdings.entry((member, template)).or_insert(None)),
            Key::Claim(member, key) => drop(self.claims.entry((member, key)).or_insert(None)),
            Key::Grant(id) => drop(self.grants.entry(id).or_insert(None)),
            Key::Part(grant, member) => drop(self.parts.entry((grant, member)).or_insert(None)),
            Key::Sale(id) => drop(self.sales.entry(id).or_insert(None)),
            Key::Online(id) => drop(self.online.entry(id).or_insert(None)),
        }
    }

    /// Takes the changes of one command in, so that the next one sees them.
    pub fn absorb(&mut self, changes: &Changes) {
        for coupon in &changes.coupons {
            self.coupons.insert(coupon.id, Some(coupon.clone()));
        }
        for order in &changes.orders {
            self.orders.insert(order.id, Some(order.clone()));
        }
        for member in &changes.members {
            self.members.insert(member.id, Some(member.clone()));
        }
        for freeze in &changes.freezes {
            self.freezes.insert(freeze.id, Some(freeze.clone()));
        }
        for batch in &changes.batches {
            self.batches.insert(batch.id, Some(batch.clone()));
        }
        for holding in &changes.holdings {
            self.holdings
                .insert((holding.member, holding.template), Some(holding.clone()));
        }
        for claim in &changes.claims {
            self.claims.insert((claim.member, claim.key), Some(claim.clone()));
        }
        for (grant, member, coupon) in &changes.parts {
            self.parts.insert((*grant, *member), Some(Part::Given(*coupon)));
        }
        for sale in &changes.sales {
            self.sales.insert(sale.id, Some(sale.clone()));
        }
        for order in &changes.online {
            self.online.insert(order.id, Some(order.clone()));
        }
        for taken in &changes.taken {
            // Where the order is known here, it has to hear of it as its row will.
            if let Some(Some(order)) = self.online.get_mut(&taken.order) {
                for held in &mut order.coupons {
                    if held.coupon == taken.coupon {
                        held.taken = Some((taken.operation, taken.at));
                    }
                }
            }
        }
        if let Some(device) = &changes.device {
            self.devices.insert(device.id, Some(device.clone()));
        }
        if let Some(stored) = &changes.stored {
            let applied = &stored.applied;
            self.operations.insert(applied.id, Some(applied.clone()));
            self.positions
                .insert((applied.device, applied.epoch, applied.seq), Some(applied.id));
        }
    }
}

/// An operation that goes into head office's copy of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What later commands need to know of it.
    pub applied: Applied,
    /// As it arrived.
    pub arrival: Arrival,
    /// Where it was made.
    pub store: StoreId,
}

/// What one command changes: whole rows as they are afterwards, versions already grown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Coupons.
    pub coupons: Vec<Coupon>,
    /// Pickup orders.
    pub orders: Vec<Order>,
    /// Members seen at a new store.
    pub members: Vec<Member>,
    /// Freezes asked for or cancelled.
    pub freezes: Vec<Freeze>,
    /// Sales settled, returned or voided.
    pub sales: Vec<Sale>,
    /// Orders placed online that took a step.
    pub online: Vec<OnlineOrder>,
    /// Coupons that a counter honoured although an order held them.
    pub taken: Vec<Taken>,
    /// Lines for coupons' own records.
    pub entries: Vec<CouponEntry>,
    /// New cases.
    pub cases: Vec<Case>,
    /// Operations whose case is closed: they were voided, or their use counts after all.
    pub closed_cases: Vec<OperationId>,
    /// Operations whose case stays open for less: one of their coupons broke nothing after all.
    pub excused: Vec<(OperationId, i64)>,
    /// The device and its journal's head.
    pub device: Option<Device>,
    /// The operation itself, with its outcome.
    pub stored: Option<Stored>,
    /// An operation of a second branch, kept for a person to look at.
    pub branch: Option<Arrival>,
    /// Batches that gave coupons out.
    pub batches: Vec<Batch>,
    /// What members have had.
    pub holdings: Vec<Holding>,
    /// Claims, refused ones too.
    pub claims: Vec<Claim>,
    /// Coupons that came to a member.
    pub given: Vec<Given>,
    /// Members who have their part of a grant.
    pub parts: Vec<(GrantId, MemberId, CouponId)>,
    /// Who must hear of which row.
    pub feed: Vec<(StoreId, Entity)>,
}

/// What head office is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every command is an operation: a box would be an allocation for each"
)]
pub enum Command {
    /// An operation arrived in a push.
    Operation(Arrival),
    /// A device asks for a freeze.
    Freeze {
        id: FreezeId,
        device: DeviceId,
        subject: Subject,
        presented_by: Option<MemberId>,
        now: Millis,
    },
    /// A device gives a freeze back.
    CancelFreeze {
        id: FreezeId,
        device: DeviceId,
        now: Millis,
    },
    /// A member claims a coupon.
    Claim {
        member: MemberId,
        template: TemplateId,
        key: ClaimKey,
    },
    /// A member gets their part of a grant.
    TakeGrant { grant: GrantId, member: MemberId },
    /// An order placed online asks for its coupons.
    FreezeOrder { asked: Arc<AskedOrder>, now: Millis },
    /// An order placed online was paid, came to nothing, or is refunded.
    EndOrder {
        id: FreezeId,
        /// Its number, where that is how it was named.
        number: Option<String>,
        end: End,
        /// The operator; `None` = head office itself, told by the order's owner.
        by: Option<Uuid>,
        now: Millis,
    },
    /// A coupon's time is up.
    ExpireCoupon { coupon: CouponId, now: Millis },
    /// A freeze may have lapsed over which something was used all the same.
    Lapse { subject: Subject, now: Millis },
    /// A member stands in a store: it holds them from now on.
    Seen { member: MemberId, store: StoreId },
}

impl Command {
    /// The rows it is sure to read. More may turn out to be needed: see [`NeedKeys`].
    pub fn keys(&self) -> Vec<Key> {
        match self {
            Self::Operation(arrival) => {
                let mut keys = vec![Key::Device(arrival.device)];
                match &arrival.action {
                    Some(Action::RedeemCoupon { coupon, .. }) => keys.push(Key::Coupon(*coupon)),
                    Some(Action::CollectOrder { order, .. }) => keys.push(Key::Order(*order)),
                    Some(Action::VoidRedemption { target, .. }) => keys.push(Key::Operation(*target)),
                    Some(Action::SettleSale(settled)) => {
                        keys.extend(settled.coupons.iter().map(|used| Key::Coupon(used.coupon)));
                        keys.extend(settled.member.map(Key::Member));
                    }
                    Some(Action::ReturnSale(back)) => {
                        keys.push(Key::Sale(back.target));
                        keys.extend(back.coupons.iter().copied().map(Key::Coupon));
                    }
                    Some(Action::FailedAttempt { .. }) | None => {}
                }
                let freezes = arrival.action.as_ref().map(Action::freezes).unwrap_or_default();
                keys.extend(freezes.into_iter().map(Key::Freeze));
                keys
            }
            Self::Freeze {
                id, device, subject, ..
            } => {
                vec![Key::Device(*device), Key::Freeze(*id), subject.key()]
            }
            Self::CancelFreeze { id, device, .. } => vec![Key::Device(*device), Key::Freeze(*id)],
            Self::Claim { member, template, .. } => claims::claim_keys(*member, *template),
            Self::TakeGrant { grant, member } => claims::grant_keys(*grant, *member),
            Self::FreezeOrder { asked, .. } => {
                let mut keys = vec![Key::Online(asked.id)];
                keys.extend(asked.coupons.iter().filter_map(|named| named.coupon.map(Key::Coupon)));
                keys
            }
            Self::EndOrder { id, .. } => vec![Key::Online(*id)],
            Self::ExpireCoupon { coupon, .. } => vec![Key::Coupon(*coupon)],
            Self::Lapse { subject, .. } => vec![subject.key()],
            Self::Seen { member, .. } => vec![Key::Member(*member)],
        }
    }
}

impl Subject {
    /// The key of its row.
    pub fn key(self) -> Key {
        match self {
            Self::Coupon(id) => Key::Coupon(id),
            Self::Order(id) => Key::Order(id),
            Self::Sale(id) => Key::Sale(id),
        }
    }
}

/// What head office answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The operation ended so; `replayed` when it had ended so before.
    Done { outcome: Outcome, replayed: bool },
    /// Operations are missing before this one.
    Gap { expected: i64 },
    /// The journal has two branches; the device is frozen from now on.
    Fork,
    /// The freeze is granted until then, for this much worth.
    Granted { until: Millis },
    /// The freeze is refused.
    Refused { reasons: Vec<Reason> },
    /// The freeze is given back, or was none.
    Cancelled,
    /// The member has this coupon; `replayed` when it was given before.
    Given { coupon: CouponId, replayed: bool },
    /// The member gets none, and why; `replayed` when that was said before.
    NotGiven { reasons: Vec<NotClaimable>, replayed: bool },
    /// Neither yes nor no: the coupons are being made at this moment.
    ComeBack,
    /// The same id was used for another question.
    AnotherQuestion,
    /// The device may not ask: it is frozen or revoked.
    DeviceBarred { status: DeviceStatus },
    /// No such device.
    UnknownDevice,
    /// The order placed online, as it stands afterwards.
    Order(Box<OnlineOrder>),
    /// The number was used for an order that asked for something else.
    OrderTaken,
    /// The order has ended otherwise, so this step does not fit.
    OrderEnded { status: OnlineStatus },
    /// No order of this number or id has asked for coupons.
    UnknownOrder,
    /// What became of a coupon whose time is up.
    Swept(Swept),
    /// It is noted.
    Noted,
    /// Deciding it panicked, so nothing was decided: neither a yes nor a no.
    Failed,
}

/// Decides one command on the loaded rows. Changes nothing itself.
///
/// # Errors
/// [`NeedKeys`] when a row that matters was not loaded; load it and decide again.
pub fn decide(state: &State, command: &Command, received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
    match command {
        Command::Operation(arrival) => journal::arrive(state, arrival, received_at),
        Command::Freeze {
            id,
            device,
            subject,
            presented_by,
            now,
        } => freezes::ask(state, *id, *device, *subject, *presented_by, *now),
        Command::CancelFreeze { id, device, now } => freezes::cancel(state, *id, *device, *now),
        Command::Claim { member, template, key } => claims::claim(state, *member, *template, *key, received_at),
        Command::TakeGrant { grant, member } => claims::take_grant(state, *grant, *member, received_at),
        Command::FreezeOrder { asked, now } => online::freeze(state, asked, *now),
        Command::EndOrder {
            id,
            number,
            end,
            by,
            now,
        } => online::end(state, *id, number.as_deref(), *end, *by, *now),
        Command::ExpireCoupon { coupon, now } => expiry::expire(state, *coupon, *now),
        Command::Lapse { subject, now } => expiry::lapse(state, *subject, *now),
        Command::Seen { member, store } => {
            let mut changes = Changes::default();
            told::seen(state, *member, *store, &mut changes)?;
            Ok((Answer::Noted, changes))
        }
    }
}

/// Who does it, where, when: what an effect needs to know besides the rows.
#[derive(Debug, Clone, Copy)]
pub struct Doing {
    /// The operation.
    pub operation: OperationId,
    /// On which device.
    pub device: DeviceId,
    /// In which store.
    pub store: StoreId,
    /// By whom.
    pub actor: Option<ClerkId>,
    /// When.
    pub times: Times,
}
