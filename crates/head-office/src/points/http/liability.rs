//! What the chain owes its members, by the month in which it ends.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use counterfoil_domain::points::{Asset, earning::last_month};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    db::DbError,
    http::{ApiError, Operator},
    points::rows,
};

/// What members have that ends in one month.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Owed {
    /// The last month in which it may be used, as `2027-01`; absent = it does not end.
    #[serde(skip_serializing_if = "Option::is_none")]
    month: Option<String>,
    /// What may be spent.
    available: i64,
    /// What is held for something.
    held: i64,
    /// What may not be spent yet.
    pending: i64,
}

/// What the chain owes of one asset: points, or stored value in minor units.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct OwedOf {
    /// By month, the first one first; what does not end comes last.
    months: Vec<Owed>,
    /// Of all of them together.
    total: i64,
    /// What members owe the chain.
    debt: i64,
}

/// What the chain owes its members now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Liability {
    /// As of this instant, UTC ms.
    at: i64,
    /// Points.
    points: OwedOf,
    /// Stored value, minor units.
    balance: OwedOf,
}

/// What the chain owes its members, by the month in which it ends.
///
/// The sum of all open lots. What has ended counts no more, whether it is written down yet or not; the month is the chain's
/// own, by the zone of its rule of earning (UTC while it has none).
#[utoipa::path(
    get, path = "/v1/points/liability", tag = "points", operation_id = "show_liability",
    responses((status = 200, description = "What is owed", body = Liability)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
pub(super) async fn liability(State(app): State<Arc<App>>, operator: Operator) -> Result<Json<Liability>, ApiError> {
    let (tenant, now) = (operator.tenant, app.clock.now());
    let mut snapshot = app.db.snapshot().await?;
    let rule = rows::newest_rule(&mut snapshot, tenant).await?;
    let lots = rows::open_lots(&mut snapshot, tenant, now).await?;
    let debts = rows::debts(&mut snapshot, tenant).await?;
    drop(snapshot);
    let of = |asset: Asset| -> Result<OwedOf, DbError> {
        let mut months: BTreeMap<(bool, Option<String>), Owed> = BTreeMap::new();
        for lot in lots.iter().filter(|lot| lot.asset == asset) {
            let month = lot.ends_at.and_then(|at| last_month(rule.as_ref(), at));
            let owed = months.entry((month.is_none(), month.clone())).or_default();
            owed.month = month;
            owed.available = owed.available.saturating_add(lot.available);
            owed.held = owed.held.saturating_add(lot.held);
            owed.pending = owed.pending.saturating_add(lot.pending);
        }
        let months: Vec<Owed> = months.into_values().collect();
        let sum = |owed: &Owed| owed.available.saturating_add(owed.held).saturating_add(owed.pending);
        Ok(OwedOf {
            total: months.iter().map(sum).fold(0, i64::saturating_add),
            months,
            debt: debts.get(&asset).copied().unwrap_or(0),
        })
    };
    Ok(Json(Liability {
        at: now,
        points: of(Asset::Points)?,
        balance: of(Asset::Balance)?,
    }))
}
