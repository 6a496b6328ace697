//! Adjustments by hand: small ones by one person, larger ones by two.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use counterfoil_domain::{
    points::{Amounts, Asset, MOST, Origin, Reason, Source},
    time::{DAY, Millis},
    transition::{Command, Post, Posting},
    words::Word,
};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::posting::{self, WHY, known};
use crate::{
    app::App,
    db::DbError,
    deed::Deed,
    http::{ApiError, Asked, Begun, Fields, Nothing, Operator, Page, Paging, Path, Query},
    points::{
        rows::{self, Adjustment, AdjustmentStatus},
        source_of,
    },
};

/// An adjustment that is asked for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAdjustment {
    /// Number of the member.
    #[schema(min_length = 1, max_length = 64)]
    member: String,
    /// `points` or `balance`.
    asset: String,
    /// How much more; below zero: less, of what is available.
    amount: i64,
    /// Why.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// An adjustment.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct AdjustmentView {
    /// Its id.
    id: Uuid,
    /// The member's id.
    member: Uuid,
    /// `points` or `balance`.
    asset: &'static str,
    /// How much more, or less.
    amount: i64,
    /// Why.
    reason: String,
    /// `waiting` for a second person, `approved`, or `refused`.
    status: &'static str,
    /// Who asked.
    asked_by: Uuid,
    /// When.
    asked_at: Millis,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<Uuid>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<Millis>,
}

impl From<Adjustment> for AdjustmentView {
    fn from(adjustment: Adjustment) -> Self {
        Self {
            id: adjustment.id,
            member: adjustment.member.0,
            asset: adjustment.asset.as_str(),
            amount: adjustment.amount,
            reason: adjustment.reason,
            status: adjustment.status.as_str(),
            asked_by: adjustment.asked_by,
            asked_at: adjustment.asked_at,
            decided_by: adjustment.decided.map(|(by, _)| by),
            decided_at: adjustment.decided.map(|(_, at)| at),
        }
    }
}

/// Which adjustments are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only those that stand so: `waiting`, `approved` or `refused`.
    status: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Adjustments in the page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Adjustments, by id.
#[utoipa::path(
    get, path = "/v1/points/adjustments", tag = "points", operation_id = "list_adjustments", params(Wanted),
    responses((status = 200, description = "A page", body = Page<AdjustmentView>)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<AdjustmentView>>, ApiError> {
    let paging = Paging::<Uuid>::read(wanted.after.as_deref(), wanted.limit)?;
    let status = match wanted.status.as_deref() {
        None => None,
        Some(word) => Some(AdjustmentStatus::parse(word).ok_or_else(|| ApiError::detailed(Code::Malformed, "status"))?),
    };
    let mut snapshot = app.db.snapshot().await?;
    let found = rows::adjustments(&mut snapshot, operator.tenant, status, paging.after, paging.rows()).await?;
    let items = found.into_iter().map(AdjustmentView::from).collect();
    Ok(Json(paging.page(items, |last| last.id)))
}

/// Adjust a member's account.
///
/// Up to what one person may adjust alone of one member in 24 hours (`adjusted_alone` of the rule of earning) it is posted at
/// once; more waits for a second person.
#[utoipa::path(
    post, path = "/v1/points/adjustments", tag = "points", operation_id = "adjust_points", request_body = NewAdjustment,
    responses(
        (status = 201, description = "It is posted", body = posting::PostedView),
        (status = 202, description = "It waits for a second person", body = AdjustmentView),
        (status = 409, description = "`not_posted`: the reasons say why"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn ask(
    State(app): State<Arc<App>>,
    operator: Operator,
    asked: Asked<NewAdjustment>,
) -> Result<Response, ApiError> {
    let (once, new) = match asked.begin(&app, operator.actor()).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(once, new) => (once, new),
    };
    // The same question asked again is the same adjustment.
    let id = source_of(
        operator.tenant,
        Origin::Adjustment,
        &format!("{}\0{}", operator.id.0, once.key()),
    )
    .id;
    let (adjustment, alone) = match checked(&app, &operator, id, new).await {
        Ok(checked) => checked,
        Err(refusal) => return once.refuse(&app, refusal).await,
    };
    if alone {
        let command = post(&operator, &adjustment, app.clock.now());
        return once.submit(&app, command, posting::read).await;
    }
    let mut lease = app.db.lease().await?;
    let mut deed = once.deed(&app, &mut lease).await?;
    let answer = waits(&mut deed, adjustment).await;
    once.settle(&app, deed, answer).await
}

async fn waits(deed: &mut Deed<'_>, adjustment: Adjustment) -> Result<(StatusCode, AdjustmentView), ApiError> {
    let tenant = deed.tenant();
    rows::insert_adjustment(deed, tenant, &adjustment).await?;
    deed.audit("adjustment.asked", &detail(&adjustment)).await?;
    Ok((StatusCode::ACCEPTED, adjustment.into()))
}

async fn checked(app: &App, operator: &Operator, id: Uuid, new: NewAdjustment) -> Result<(Adjustment, bool), ApiError> {
    let now = app.clock.now();
    let mut fields = Fields::default();
    fields.text("reason", &new.reason, WHY);
    fields.check(
        new.amount != 0 && (-MOST..=MOST).contains(&new.amount),
        "amount",
        "out_of_range",
        "not 0, and at most 1000000000000000",
    );
    let asset = Asset::parse(&new.asset);
    fields.check(asset.is_some(), "asset", "unknown", "`points` or `balance`");
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let member = known(&mut connection, operator.tenant, &new.member, &mut fields).await?;
    let rule = rows::newest_rule(&mut connection, operator.tenant).await?;
    fields.done()?;
    let asset = asset.unwrap_or(Asset::Points);
    let limits = rule.map_or_else(Amounts::default, |rule| rule.adjusted_alone);
    let limit = match asset {
        Asset::Points => limits.points,
        Asset::Balance => limits.balance,
    };
    // Many small ones are one large one.
    let since = now.saturating_sub(DAY);
    let before = rows::adjusted_since(&mut connection, operator.tenant, (member, asset), operator.id.0, since).await?;
    let adjustment = Adjustment {
        id,
        member,
        asset,
        amount: new.amount,
        reason: new.reason,
        status: AdjustmentStatus::Waiting,
        asked_by: operator.id.0,
        asked_at: now,
        decided: None,
    };
    Ok((adjustment, new.amount.abs().saturating_add(before) <= limit))
}

fn detail(adjustment: &Adjustment) -> String {
    format!("{} {} {}", adjustment.id, adjustment.asset.as_str(), adjustment.amount)
}

fn post(operator: &Operator, adjustment: &Adjustment, now: Millis) -> Command {
    let source = Source {
        of: Origin::Adjustment,
        id: adjustment.id,
    };
    Command::Post(Post {
        member: adjustment.member,
        asset: adjustment.asset,
        what: Posting::Adjust(adjustment.amount),
        cause: posting::cause(operator, Reason::Adjustment, source, adjustment.reason.clone(), now),
    })
}

/// Approve an adjustment that somebody else asked for.
#[utoipa::path(
    post, path = "/v1/points/adjustments/{id}/approve", tag = "points", operation_id = "approve_adjustment",
    request_body = Nothing, params(("id" = Uuid, Path, description = "The adjustment")),
    responses(
        (status = 201, description = "It is posted", body = posting::PostedView),
        (status = 404, description = "There is no such adjustment"),
        (status = 403, description = "`forbidden`: you asked for it yourself"),
        (status = 409, description = "`state_conflict`: it was decided otherwise; `not_posted`: the reasons say why"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn approve(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<Uuid>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    let once = match asked.begin(&app, operator.actor()).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(once, Nothing {}) => once,
    };
    let approved = async {
        let mut lease = app.db.lease().await?;
        let transaction = lease.begin().await?;
        let mut deed = Deed::new(transaction, app.random.as_ref(), operator.actor(), app.clock.now());
        let adjustment = decide(&mut deed, &operator, id, AdjustmentStatus::Approved).await?;
        deed.commit("adjustment.approve").await?;
        Ok::<_, ApiError>(adjustment)
    };
    let adjustment = match approved.await {
        Ok(adjustment) => adjustment,
        Err(refusal) => return once.refuse(&app, refusal).await,
    };
    // Approved and not posted, because we died between the two: asked again it is posted.
    let command = post(&operator, &adjustment, app.clock.now());
    once.submit(&app, command, posting::read).await
}

/// Refuse an adjustment that somebody asked for.
#[utoipa::path(
    post, path = "/v1/points/adjustments/{id}/refuse", tag = "points", operation_id = "refuse_adjustment",
    request_body = Nothing, params(("id" = Uuid, Path, description = "The adjustment")),
    responses(
        (status = 200, description = "It is refused", body = AdjustmentView),
        (status = 404, description = "There is no such adjustment"),
        (status = 409, description = "`state_conflict`: it was approved"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn refuse(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<Uuid>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    let once = match asked.begin(&app, operator.actor()).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(once, Nothing {}) => once,
    };
    let mut lease = app.db.lease().await?;
    let mut deed = once.deed(&app, &mut lease).await?;
    let refused = decide(&mut deed, &operator, id, AdjustmentStatus::Refused).await;
    let answer = refused.map(|adjustment| (StatusCode::OK, AdjustmentView::from(adjustment)));
    once.settle(&app, deed, answer).await
}

/// Decides an adjustment once. Deciding it again the same way is answered as it stands: by the same person, or, where it is
/// approved, by anybody who may approve it.
async fn decide(
    deed: &mut Deed<'_>,
    operator: &Operator,
    id: Uuid,
    to: AdjustmentStatus,
) -> Result<Adjustment, ApiError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let found = rows::adjustment(deed, tenant, id).await?;
    let found = found.ok_or_else(ApiError::not_found)?;
    if found.status == to && found.decided.is_some_and(|(by, _)| by == operator.id.0) {
        return Ok(found);
    }
    // What is approved is posted once, whoever asks again: the account may not have had enough, or we died before.
    let is_approved = (found.status, to) == (AdjustmentStatus::Approved, AdjustmentStatus::Approved);
    if is_approved && found.asked_by != operator.id.0 {
        return Ok(found);
    }
    if found.status != AdjustmentStatus::Waiting {
        return Err(ApiError::detailed(
            Code::StateConflict,
            format!("the adjustment is {}", found.status.as_str()),
        ));
    }
    if to == AdjustmentStatus::Approved && found.asked_by == operator.id.0 {
        return Err(ApiError::detailed(Code::Forbidden, "somebody else has to approve it"));
    }
    if !rows::decide_adjustment(deed, tenant, id, to, (operator.id.0, now)).await? {
        return Err(ApiError::new(Code::ChangedMeanwhile));
    }
    let decided = Adjustment {
        status: to,
        decided: Some((operator.id.0, now)),
        ..found
    };
    let action = match to {
        AdjustmentStatus::Approved => "adjustment.approved",
        _ => "adjustment.refused",
    };
    deed.audit(action, &detail(&decided)).await?;
    Ok(decided)
}
