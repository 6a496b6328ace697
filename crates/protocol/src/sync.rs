//! `POST /v1/sync`: push and pull in one request.

use counterfoil_domain::{
    coupons::{Coupon, Template},
    ids::{HistoryId, OperationId, StoreId},
    offline::OfflineLimits,
    operations::Outcome,
    people::{Clerk, Member, Store},
    pickup_codes::PickupPolicy,
    pickups::Order,
    points::{Account, earning::EarningRule},
    products::Product,
    sales::Sale,
    time::Millis,
    tokens::TokenKey,
    transition::DeviceStatus,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::value::RawValue;
use strum::VariantNames as _;

use crate::VERSION;

/// Longest wait of a long poll, ms.
pub const LONGEST_WAIT: Millis = 25_000;
/// Most rows of a page.
pub const PAGE_ROWS: i64 = 1_000;
/// Longest word of a kind that is kept, characters.
const LONGEST_KIND: usize = 40;

/// How far a counter has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Feed for what concerns every store of the tenant.
    pub tenant_seq: i64,
    /// A random mark of the commit that gave `tenant_seq`: after a restore from a backup the same number has another
    /// mark, and head office sees that it has lost a piece of its history.
    pub tenant_mark: i64,
    /// Feed of the device's own store.
    pub store_seq: i64,
    /// As `tenant_mark`.
    pub store_mark: i64,
}

/// The question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SyncRequest {
    /// [`crate::VERSION`].
    pub protocol: u32,
    /// The history that the cursor belongs to.
    pub history_id: HistoryId,
    /// How far the device has read.
    pub cursor: Cursor,
    /// The device's epoch.
    pub epoch: i64,
    /// Highest sequence number of this epoch whose outcome the device holds.
    pub acknowledged_seq: i64,
    /// Operations in order, each as its canonical text; at most [`crate::PUSH_OPERATIONS`].
    #[serde(default)]
    pub operations: Vec<Box<RawValue>>,
    /// Whether more operations wait behind these.
    #[serde(default)]
    pub more_waiting: bool,
    /// Most rows wanted; 0 = push only.
    #[serde(default)]
    pub page_rows: i64,
    /// How long to wait for news when there are none, ms, at most [`LONGEST_WAIT`].
    #[serde(default)]
    pub wait: Millis,
    /// Version of the program.
    #[serde(default)]
    pub app_version: String,
}

/// How one operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationOutcome {
    /// Epoch of its place.
    pub epoch: i64,
    /// Its place.
    pub seq: i64,
    /// Its id.
    pub op_id: OperationId,
    /// How.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// It had ended so before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// Number in the store's feed by which its effect is to be seen.
    pub feed: i64,
}

/// Why the rest of a push was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stopped", rename_all = "snake_case")]
pub enum Stopped {
    /// Operations are missing.
    Gap { expected_seq: i64 },
    /// The journal forked; the device is frozen.
    Fork,
}

/// What head office holds of the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// May it work.
    pub status: DeviceStatus,
    /// Its epoch.
    pub epoch: i64,
    /// Last applied sequence number of that epoch, of the same snapshot as the page.
    pub last_applied_seq: i64,
}

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SyncResponse {
    /// The history this belongs to.
    pub history_id: HistoryId,
    /// Head office's clock, UTC ms.
    pub server_time: Millis,
    /// The device as head office sees it.
    pub device: DeviceView,
    /// One for each operation taken, in order.
    pub outcomes: Vec<OperationOutcome>,
    /// Why the rest was not taken.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// What changed; absent when no rows were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Page>,
}

/// A piece of the feeds. It is read row by row: one that an older program does not understand stops none of the others.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "SentPage")]
pub struct Page {
    /// Rows as they are now.
    pub rows: Vec<Row>,
    /// Of each row that does not read here, the word of its kind: it takes a newer program. Never sent.
    #[serde(skip)]
    pub unread: Vec<String>,
    /// Where the device stands after it.
    pub cursor: Cursor,
    /// Whether there is more at once.
    pub more: bool,
}

/// A page as it travels.
#[derive(Deserialize)]
struct SentPage {
    rows: Vec<Box<RawValue>>,
    cursor: Cursor,
    more: bool,
}

impl From<SentPage> for Page {
    fn from(sent: SentPage) -> Self {
        let mut page = Self {
            cursor: sent.cursor,
            more: sent.more,
            ..Self::default()
        };
        for row in sent.rows {
            match serde_json::from_str(row.get()) {
                Ok(row) => page.rows.push(row),
                Err(_) => page.unread.push(kind_of(&row).unwrap_or_default()),
            }
        }
        page
    }
}

/// The word of a row's kind, if it says one; no longer than any word is.
fn kind_of(row: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Kind {
        entity: String,
    }
    let Kind { entity } = serde_json::from_str(row.get()).ok()?;
    Some(entity.chars().take(LONGEST_KIND).collect())
}

/// Reads rows that were asked for, but for those of a kind that nobody here knows: nobody here asked for them. A row of a
/// known kind that does not read is an error, since leaving it out would say that there is none.
pub(crate) fn rows_of_known_kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Row>, D::Error> {
    let mut rows = Vec::new();
    for row in Vec::<Box<RawValue>>::deserialize(deserializer)? {
        match serde_json::from_str(row.get()) {
            Ok(row) => rows.push(row),
            Err(error) => match kind_of(&row) {
                Some(kind) if !Image::VARIANTS.contains(&kind.as_str()) => {}
                _ => return Err(D::Error::custom(error)),
            },
        }
    }
    Ok(rows)
}

/// What this program can read: another text, and what could not be read may be read now.
pub fn reader() -> String {
    format!("{} {VERSION} {}", env!("CARGO_PKG_VERSION"), Image::VARIANTS.join(" "))
}

/// A row with its version: an older one never overwrites a newer one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Grows with every change of the row.
    pub version: i64,
    /// The row.
    #[serde(flatten)]
    pub image: Image,
}

/// What a counter holds a copy of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, strum::VariantNames)]
#[serde(tag = "entity", content = "row", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Image {
    /// A shop of the chain.
    Store(Store),
    /// A person at this store.
    Clerk(Clerk),
    /// A member seen at this store.
    Member(Member),
    /// A template version.
    Template(Template),
    /// A coupon of such a member.
    Coupon(Coupon),
    /// A pickup order of this store.
    Order(Order),
    /// A sale of this store, or one that was returned here.
    Sale(Sale),
    /// What such a member has of points and stored value.
    Account(Account),
    /// A version of the chain's rule of earning.
    EarningRule(EarningRule),
    /// A version of how the chain's pickup codes are made.
    PickupPolicy(PickupPolicy),
    /// A product of the chain.
    Product(Product),
    /// A public key that tokens are signed with.
    TokenKey(TokenKey),
    /// What this store's counters may do offline.
    Limits(StoreLimits),
}

/// What a store's counters may do offline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreLimits {
    /// For which store.
    pub store: StoreId,
    /// How much.
    pub limits: OfflineLimits,
}
