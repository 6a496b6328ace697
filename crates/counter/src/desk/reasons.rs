//! Reasons as people are told them: the stable code and what a sentence needs to name.

use std::collections::BTreeMap;

use counterfoil_domain::{coupons::ONLINE_STORE, ids::StoreId, verdict::Reason};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::{error::Result, replica};

/// A reason with everything a sentence about it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// As the rules know it.
    #[serde(skip)]
    pub reason: Reason,
    /// The stable code.
    pub code: String,
    /// Times as UTC ms, amounts as minor units, stores as `store` (code), `store_zh` and `store_en`.
    pub params: BTreeMap<String, String>,
}

async fn name_store(db: &mut SqliteConnection, id: StoreId, params: &mut BTreeMap<String, String>) -> Result<()> {
    match replica::shop(db, id).await? {
        Some(store) => {
            params.insert("store".into(), store.code);
            params.insert("store_zh".into(), store.name_zh);
            params.insert("store_en".into(), store.name_en);
        }
        None if id == ONLINE_STORE => {
            params.insert("store".into(), "online".into());
            params.insert("store_zh".into(), "线上订单".into());
            params.insert("store_en".into(), "an online order".into());
        }
        None => {
            // A shop opened since the last pull: its id at least tells it from this one.
            params.insert("store".into(), id.to_string());
            params.insert("store_zh".into(), String::new());
            params.insert("store_en".into(), String::new());
        }
    }
    Ok(())
}

/// Explains every reason.
pub async fn explain(db: &mut SqliteConnection, reasons: Vec<Reason>) -> Result<Vec<Explained>> {
    let mut explained = Vec::with_capacity(reasons.len());
    for reason in reasons {
        let mut params = BTreeMap::new();
        let mut put = |name: &str, value: i64| params.insert(name.to_owned(), value.to_string());
        match reason {
            Reason::NotStarted { at } | Reason::OrderOverdue { at } | Reason::TokenExpired { at } => {
                put("at", at);
            }
            Reason::Expired { at } => {
                at.map(|at| put("at", at));
            }
            Reason::Frozen { until } => {
                put("until", until);
            }
            Reason::OverFloorLimit { limit }
            | Reason::OfflineCountLimit { limit }
            | Reason::OfflineAmountLimit { limit }
            | Reason::MemberOperationsLimit { limit } => {
                put("limit", limit);
            }
            Reason::GuessingLimited { device, until } => {
                put("until", until);
                params.insert("scope".into(), if device { "device" } else { "clerk" }.into());
            }
            Reason::PointsShort { available } | Reason::BalanceShort { available } => {
                put("available", available);
            }
            Reason::OfflineHoursLimit { hours } => {
                put("hours", hours);
            }
            Reason::Redeemed { at, store } | Reason::AlreadyCollected { at, store } => {
                put("at", at);
                name_store(db, store, &mut params).await?;
            }
            Reason::OtherStore { store } => name_store(db, store, &mut params).await?,
            Reason::UnknownCode
            | Reason::UnknownOffline
            | Reason::MalformedCode
            | Reason::HeldByOrder
            | Reason::NotOwner
            | Reason::StoreNotAllowed
            | Reason::OrderCancelled
            | Reason::OrderReturned
            | Reason::BadSignature
            | Reason::UnknownKey
            | Reason::OnlineOnly
            | Reason::NotHomeStore
            | Reason::ClockWrong
            | Reason::ConflictExpected
            | Reason::TemplateUnknown
            | Reason::NotACode => {}
        }
        let code = code(&reason);
        explained.push(Explained { reason, code, params });
    }
    Ok(explained)
}

/// The word that the reason is written with.
fn code(reason: &Reason) -> String {
    serde_json::to_value(reason)
        .ok()
        .and_then(|value| value.get("code").and_then(|code| code.as_str().map(str::to_owned)))
        .unwrap_or_default()
}
