//! The state of the app as a whole.

use counterfoil_counter as counter;
use counterfoil_domain::people::{Role, Store};
use serde::{Deserialize, Serialize};
use specta::Type;
use tauri_specta::Event;

use crate::problem::Problem;
use crate::settings::{Locale, ScannerSettings, Settings};

/// Which of the three screens is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    FirstStart,
    SignIn,
    Desk,
}

/// Where head office is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    Connected,
    SingleShop,
    Demo,
}

/// Everything that is shown beside the work itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct AppState {
    pub phase: Phase,
    pub mode: Option<Mode>,
    pub store: Option<StoreView>,
    pub clerk: Option<ClerkView>,
    pub link: LinkView,
    pub queue: QueueCounts,
    pub limits: Option<LimitsView>,
    pub locale: Locale,
    pub scanner: ScannerSettings,
    pub version: String,
    pub notice: Option<Problem>,
}

/// Sent to the window whenever the state changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type, Event)]
pub struct StateChanged(pub AppState);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct StoreView {
    pub id: String,
    pub code: String,
    pub name_zh: String,
    pub name_en: String,
    pub time_zone: String,
}

impl From<&Store> for StoreView {
    fn from(store: &Store) -> Self {
        Self {
            id: store.id.to_string(),
            code: store.code.clone(),
            name_zh: store.name_zh.clone(),
            name_en: store.name_en.clone(),
            time_zone: store.time_zone.clone(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum RoleView {
    Clerk,
    Manager,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ClerkView {
    pub id: String,
    pub name: String,
    pub role: RoleView,
    /// UTC ms.
    pub locked_until: Option<i64>,
}

impl From<&counter::Person> for ClerkView {
    fn from(person: &counter::Person) -> Self {
        Self {
            id: person.id.to_string(),
            name: person.name.clone(),
            role: match person.role {
                Role::Clerk => RoleView::Clerk,
                Role::Manager => RoleView::Manager,
            },
            locked_until: person.locked_until,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum LinkState {
    Connecting,
    Online,
    Offline,
}

/// The line to head office. Times are UTC ms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct LinkView {
    pub state: LinkState,
    pub since: Option<i64>,
    pub last_contact: Option<i64>,
    /// This machine's clock minus head office's, when that is worth a warning.
    pub clock_skew_ms: Option<i64>,
    /// Whether this app delivers; otherwise another process does.
    pub drains: bool,
    pub problem: Option<Problem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct QueueCounts {
    pub pending: i64,
    pub delivered: i64,
    pub exceptions: i64,
}

/// What was done alone, and how much may be. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct LimitsView {
    pub count: i64,
    pub max_count: i64,
    pub amount: i64,
    pub max_amount: i64,
    pub hours: i64,
    pub max_hours: i64,
    pub currency: String,
}

impl From<&counter::LimitsUsage> for LimitsView {
    fn from(limits: &counter::LimitsUsage) -> Self {
        Self {
            count: limits.count,
            max_count: limits.max_count,
            amount: limits.amount,
            max_amount: limits.max_amount,
            hours: limits.hours,
            max_hours: limits.max_hours,
            currency: limits.currency.clone(),
        }
    }
}

impl AppState {
    /// What is shown of a counter.
    pub fn of(
        status: &counter::Status,
        clerk: Option<&counter::Person>,
        mode: Mode,
        settings: &Settings,
        notice: Option<Problem>,
    ) -> Self {
        let placed = status.placed.as_ref();
        let phase = match (placed, clerk) {
            (None, _) => Phase::FirstStart,
            (Some(_), None) => Phase::SignIn,
            (Some(_), Some(_)) => Phase::Desk,
        };
        Self {
            phase,
            mode: placed.map(|_| mode),
            store: placed.map(|placed| StoreView::from(&placed.store)),
            clerk: clerk.filter(|_| placed.is_some()).map(ClerkView::from),
            link: LinkView {
                state: match status.link.state {
                    counter::LinkState::Connecting => LinkState::Connecting,
                    counter::LinkState::Online => LinkState::Online,
                    counter::LinkState::Offline => LinkState::Offline,
                },
                since: status.link.since,
                last_contact: placed.and_then(|placed| placed.last_contact),
                clock_skew_ms: placed.and_then(|placed| placed.clock_skew),
                drains: status.drains,
                problem: status
                    .link
                    .problem
                    .as_ref()
                    .map(|(code, detail)| Problem::said(code, detail)),
            },
            queue: QueueCounts {
                pending: status.queue.pending,
                delivered: status.queue.delivered,
                exceptions: status.queue.exceptions,
            },
            limits: placed.map(|placed| LimitsView::from(&placed.limits)),
            locale: settings.locale,
            scanner: settings.scanner.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            notice,
        }
    }
}
