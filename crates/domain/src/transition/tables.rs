//! The tables: one list of the rows that commands read and change, and of the facts that they leave behind.
//!
//! From the list follow [`Key`], [`State`] with its look-ups, [`Changes`] and how they are absorbed, [`Subject`] and
//! [`Entity`]. A table is a line here and a row type that implements [`Row`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    Applied, Arrival, Batch, Card, Case, Claim, Closed, CouponEntry, Device, Excused, Freeze, Given, Grant, Holding,
    Numbered, Offer, Part, Position, Recorded, Stored,
    online::{OnlineOrder, Taken},
    subjects::About,
};
use crate::{
    coupons::{Coupon, Template},
    gifts::{Exchange, Gift, Had},
    ids::{NotAnId, Place, StoreId},
    outbox::Outgoing,
    people::Member,
    pickups::Order,
    points::{Account, Earning, Posted, Spent, earning::EarningRule},
    sales::Sale,
    stock::{Moved, Stock},
};

/// A row of a table: what finds it, and what a conditional write of it compares with.
pub trait Row: Clone {
    /// What finds it.
    type Key: Copy + Ord + Debug;
    /// What changes with every stored change of it; `()` for rows that are never changed.
    type Version: Copy + Debug;

    /// What finds this one.
    fn key(&self) -> Self::Key;
    /// Where this one stands.
    fn version(&self) -> Self::Version;
    /// Whether commands may see it: a row that nobody is to know of does not exist for them.
    fn is_there(&self) -> bool {
        true
    }
}

/// Something that a command leaves behind and that no command reads: it is stored, or told to somebody.
pub trait Fact {
    /// What later commands of the group have to see of it.
    fn absorbed(&self, _state: &mut State) {}
}

impl<R: Row> Row for Arc<R> {
    type Key = R::Key;
    type Version = R::Version;
    fn key(&self) -> R::Key {
        R::key(self)
    }
    fn version(&self) -> R::Version {
        R::version(self)
    }
    fn is_there(&self) -> bool {
        R::is_there(self)
    }
}

/// Rows that must be loaded before the command can be decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rows are missing: {0:?}")]
pub struct NeedKeys(pub Vec<Key>);

#[derive(Debug, Clone)]
struct Slot<R: Row> {
    row: Option<R>,
    /// The version that storage has; `None` = storage has no such row.
    loaded: Option<R::Version>,
    changed: bool,
}

/// The rows of one table: as they are now, at which version they were loaded, and which of them changed since. A key
/// whose row is `None` was looked for and does not exist.
#[derive(Debug, Clone)]
pub struct Rows<R: Row> {
    slots: BTreeMap<R::Key, Slot<R>>,
    wanted: BTreeSet<R::Key>,
}

impl<R: Row> Default for Rows<R> {
    fn default() -> Self {
        Self {
            slots: BTreeMap::new(),
            wanted: BTreeSet::new(),
        }
    }
}

impl<R: Row> Rows<R> {
    /// Takes a row in as storage has it; `None` = storage was asked and has none.
    pub fn insert(&mut self, key: R::Key, row: Option<R>) {
        self.wanted.remove(&key);
        let slot = Slot {
            loaded: row.as_ref().map(R::version),
            row,
            changed: false,
        };
        self.slots.insert(key, slot);
    }

    /// Takes a row in that storage has.
    pub fn found(&mut self, row: R) {
        self.insert(row.key(), Some(row));
    }

    /// Takes a row in that storage has at this version.
    pub fn found_at(&mut self, version: R::Version, row: R) {
        let key = row.key();
        self.insert(key, Some(row));
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.loaded = Some(version);
        }
    }

    /// Takes a row in as it is after a change.
    pub fn write(&mut self, row: R) {
        let key = row.key();
        match self.slots.get_mut(&key) {
            Some(slot) => {
                slot.row = Some(row);
                slot.changed = true;
            }
            None => {
                let slot = Slot {
                    row: Some(row),
                    loaded: None,
                    changed: true,
                };
                self.slots.insert(key, slot);
            }
        }
    }

    /// The row, if it was looked for.
    pub fn get(&self, key: &R::Key) -> Option<&Option<R>> {
        self.slots.get(key).map(|slot| &slot.row)
    }

    /// The row, if it was looked for, to be seen otherwise from now on without being stored.
    pub fn get_mut(&mut self, key: &R::Key) -> Option<&mut Option<R>> {
        self.slots.get_mut(key).map(|slot| &mut slot.row)
    }

    /// All rows that there are, to be seen otherwise from now on without being stored.
    pub fn loaded_mut(&mut self) -> impl Iterator<Item = &mut R> {
        self.slots.values_mut().filter_map(|slot| slot.row.as_mut())
    }

    /// Whether the row was looked for.
    pub fn contains_key(&self, key: &R::Key) -> bool {
        self.slots.contains_key(key)
    }

    /// Notes that a row was looked for and does not exist, unless it is known.
    pub fn note_missing(&mut self, key: R::Key) {
        if !self.slots.contains_key(&key) {
            self.insert(key, None);
        }
    }

    /// All that were looked for, by their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&R::Key, &Option<R>)> {
        self.slots.iter().map(|(key, slot)| (key, &slot.row))
    }

    /// All that were looked for.
    pub fn values(&self) -> impl Iterator<Item = &Option<R>> {
        self.slots.values().map(|slot| &slot.row)
    }

    /// Asks for a row, unless it was looked for before.
    pub fn want(&mut self, key: R::Key) {
        if !self.slots.contains_key(&key) {
            self.wanted.insert(key);
        }
    }

    /// The keys that were asked for and not looked for yet, sorted.
    pub fn wanted(&self) -> impl Iterator<Item = &R::Key> {
        self.wanted.iter()
    }

    /// Takes the keys that were asked for and not looked for yet, sorted. They count as looked for from now on.
    pub fn take_wanted(&mut self) -> Vec<R::Key> {
        let wanted: Vec<R::Key> = std::mem::take(&mut self.wanted).into_iter().collect();
        for key in &wanted {
            self.insert(*key, None);
        }
        wanted
    }

    /// Rows that changed and that storage has, each with the version that it has there.
    pub fn changed(&self) -> Vec<(R::Version, &R)> {
        let changed = self.slots.values().filter(|slot| slot.changed);
        changed
            .filter_map(|slot| Some((slot.loaded?, slot.row.as_ref()?)))
            .collect()
    }

    /// Rows that are new.
    pub fn added(&self) -> Vec<&R> {
        let added = self.slots.values().filter(|slot| slot.changed && slot.loaded.is_none());
        added.filter_map(|slot| slot.row.as_ref()).collect()
    }

    /// Rows that changed or are new.
    pub fn written(&self) -> Vec<&R> {
        let written = self.slots.values().filter(|slot| slot.changed);
        written.filter_map(|slot| slot.row.as_ref()).collect()
    }

    fn look_up(&self, key: R::Key, name: impl FnOnce(R::Key) -> Key) -> Result<Option<&R>, NeedKeys> {
        match self.slots.get(&key) {
            Some(slot) => Ok(slot.row.as_ref().filter(|row| row.is_there())),
            None => Err(NeedKeys(vec![name(key)])),
        }
    }
}

/// The same rows; where they came from does not matter.
impl<R: Row + PartialEq> PartialEq for Rows<R> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// Rows as storage has them.
impl<R: Row> FromIterator<R> for Rows<R> {
    fn from_iter<I: IntoIterator<Item = R>>(found: I) -> Self {
        let mut rows = Self::default();
        found.into_iter().for_each(|row| rows.found(row));
        rows
    }
}

impl<R: Row> std::ops::Index<&R::Key> for Rows<R> {
    type Output = Option<R>;
    fn index(&self, key: &R::Key) -> &Option<R> {
        &self.slots[key].row
    }
}

macro_rules! tables {
    (
        subjects { $( $(#[$s_doc:meta])* $Subject:ident $subject:ident, $subjects:ident: $SRow:ty; )+ }
        told { $( $(#[$t_doc:meta])* $Told:ident $told:ident, $tolds:ident: $TRow:ty; )+ }
        others { $( $(#[$o_doc:meta])* $Other:ident $other:ident, $others:ident: $ORow:ty; )+ }
        facts { $( $(#[$f_doc:meta])* $facts:ident: $Fact:ty; )+ }
    ) => {
        tables! { @rows $( $(#[$s_doc])* $Subject $subject $subjects $SRow; )+
            $( $(#[$t_doc])* $Told $told $tolds $TRow; )+ $( $(#[$o_doc])* $Other $other $others $ORow; )+
            @facts $( $(#[$f_doc])* $facts $Fact; )+ }

        /// The thing an operation is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(tag = "kind", content = "id", rename_all = "snake_case")]
        pub enum Subject {
            $( $(#[$s_doc])* $Subject(<$SRow as Row>::Key), )+
        }

        impl Subject {
            /// The key of its row.
            pub fn key(self) -> Key {
                match self {
                    $( Self::$Subject(key) => Key::$Subject(key), )+
                }
            }

            /// The word of its kind in databases and messages.
            pub fn word(self) -> &'static str {
                match self {
                    $( Self::$Subject(_) => stringify!($subject), )+
                }
            }

            /// Its id.
            pub fn bytes(&self) -> &[u8; 16] {
                match self {
                    $( Self::$Subject(key) => key.bytes(), )+
                }
            }

            /// The place that its id says.
            pub fn place(self) -> Place {
                match self {
                    $( Self::$Subject(key) => key.place(), )+
                }
            }

            /// Reads [`Subject::word`] and [`Subject::bytes`] back; `None` = no kind is called so here.
            ///
            /// # Errors
            /// [`NotAnId`] when the bytes are none.
            pub fn read(word: &str, id: &[u8]) -> Result<Option<Self>, NotAnId> {
                $( if word == stringify!($subject) {
                    return <$SRow as Row>::Key::from_bytes(id).map(|key| Some(Self::$Subject(key)));
                } )+
                Ok(None)
            }

            pub(crate) fn about(&self) -> &dyn About {
                match self {
                    $( Self::$Subject(key) => key, )+
                }
            }
        }

        /// A row that others must hear of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Entity {
            $( $(#[$s_doc])* $Subject(<$SRow as Row>::Key), )+
            $( $(#[$t_doc])* $Told(<$TRow as Row>::Key), )+
        }

        impl Entity {
            /// What operations are about, if they are about such a row.
            pub fn subject(self) -> Option<Subject> {
                match self {
                    $( Self::$Subject(key) => Some(Subject::$Subject(key)), )+
                    $( Self::$Told(_) => None, )+
                }
            }
        }
    };
    (
        @rows $( $(#[$doc:meta])* $Name:ident $name:ident $rows:ident $Row:ty; )+
        @facts $( $(#[$f_doc:meta])* $facts:ident $Fact:ty; )+
    ) => {
        /// A row that a command reads.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Key {
            $( $(#[$doc])* $Name(<$Row as Row>::Key), )+
        }

        /// The rows that a group of commands may read.
        #[derive(Debug, Clone, Default)]
        pub struct State {
            $( $(#[$doc])* pub $rows: Rows<$Row>, )+
        }

        impl State {
            $( $(#[$doc])*
            ///
            /// # Errors
            /// [`NeedKeys`] when it was not looked for.
            pub fn $name(&self, key: <$Row as Row>::Key) -> Result<Option<&$Row>, NeedKeys> {
                self.$rows.look_up(key, Key::$Name)
            } )+

            /// Whether a row was looked for.
            pub fn knows(&self, key: Key) -> bool {
                match key {
                    $( Key::$Name(key) => self.$rows.contains_key(&key), )+
                }
            }

            /// Asks for a row, unless it was looked for before.
            pub fn want(&mut self, key: Key) {
                match key {
                    $( Key::$Name(key) => self.$rows.want(key), )+
                }
            }

            /// Notes that a row was looked for and does not exist, unless it is known.
            pub fn note_missing(&mut self, key: Key) {
                match key {
                    $( Key::$Name(key) => self.$rows.note_missing(key), )+
                }
            }

            /// Takes the changes of one command in, so that the next one sees them.
            pub fn absorb(&mut self, changes: &Changes) {
                $( for row in &changes.$rows { self.$rows.write(row.clone()); } )+
                $( for fact in &changes.$facts { fact.absorbed(self); } )+
            }
        }

        /// What one command changes: whole rows as they are afterwards, versions already grown, and facts.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Changes {
            $( $(#[$doc])* pub $rows: Vec<$Row>, )+
            $( $(#[$f_doc])* pub $facts: Vec<$Fact>, )+
            /// Who must hear of which row.
            pub feed: Vec<(StoreId, Entity)>,
        }

        impl Changes {
            /// Moves the facts of another command, and who hears of what, behind one's own. Its rows are the state's, see
            /// [`State::absorb`].
            pub fn append_facts(&mut self, more: &mut Self) {
                self.feed.append(&mut more.feed);
                $( self.$facts.append(&mut more.$facts); )+
            }
        }
    };
}

tables! {
    // What operations are about. Counters hold copies of these rows and hear of every change.
    subjects {
        /// A coupon.
        Coupon coupon, coupons: Coupon;
        /// A pickup order.
        Order order, orders: Order;
        /// A sale, by the operation that settled it.
        Sale sale, sales: Sale;
        /// What a member has of points and stored value.
        Account account, accounts: Account;
    }
    // What else counters hold copies of.
    told {
        /// A member.
        Member member, members: Member;
    }
    others {
        /// A device.
        Device device, devices: Device;
        /// An operation by its id.
        Operation operation, operations: Applied;
        /// An operation by its place in a journal.
        Position position, positions: Position;
        /// A template version.
        Template template, templates: Arc<Template>;
        /// A freeze.
        Freeze freeze, freezes: Freeze;
        /// What can be claimed of a template, and the batches it is taken from.
        Offer offer, offers: Offer;
        /// A batch.
        Batch batch, batches: Batch;
        /// What a member has had of a template.
        Holding holding, holdings: Holding;
        /// A claim by its name, a refused one too.
        Claim claim, claims: Claim;
        /// A grant, and its batch and offer.
        Grant grant, grants: Grant;
        /// A member's part in a grant.
        Part part, parts: Part;
        /// An order placed online.
        Online online, online: OnlineOrder;
        /// A version of the rule of earning.
        EarningRule earning_rule, earning_rules: Arc<EarningRule>;
        /// What was spent for one thing.
        Spent spent, spents: Spent;
        /// What was earned with one thing.
        Earning earning, earnings: Earning;
        /// The entry that one thing has left.
        Recorded recorded, recorded: Recorded;
        /// A gift.
        Gift gift, gifts: Gift;
        /// What a member has had of a gift.
        Had had, hads: Had;
        /// A member's exchange of points for a gift.
        Exchange exchange, exchanges: Exchange;
        /// How much of an article there is at a location.
        Stock stock, stocks: Stock;
        /// Which order is known by a number.
        OrderNumber order_number, order_numbers: Numbered;
    }
    facts {
        /// Operations for head office's copy of the journal.
        stored: Stored;
        /// Operations of a second branch, kept for a person to look at.
        branches: Arrival;
        /// Coupons that a counter honoured although an order held them.
        taken: Taken;
        /// Lines for coupons' own records.
        entries: CouponEntry;
        /// New cases.
        cases: Case;
        /// Losses of earlier operations, beside those that their cases have by the same rule.
        more_cases: Case;
        /// Cases that are closed: their operations were voided, or a use counts after all.
        closed_cases: Closed;
        /// Cases that stay open for less: one of the coupons broke nothing after all.
        excused: Excused;
        /// Coupons that came to a member.
        given: Given;
        /// Stores that hold a member from now on.
        cards: Card;
        /// Entries of members' ledgers.
        posted: Posted;
        /// Movements of stock.
        moved: Moved;
        /// Messages that are handed over for sure.
        outgoing: Outgoing;
    }
}
