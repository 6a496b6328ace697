//! What people and the chain's own site post to accounts.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use counterfoil_domain::{
    ids::{MemberId, TenantId},
    points::{Asset, Cause, LedgerError, Origin, Reason, Source},
    time::Millis,
    transition::{Answer, Command, Post, PostAnswer, Posting},
    words::Word,
};
use counterfoil_protocol::problem::{Code, Problem};
use futures_core::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::shown::AccountView;
use crate::{
    app::App,
    db::DbError,
    http::{ApiError, Asked, Begun, Fields, Operator, Told},
    members,
    points::{rows, source_of},
};

/// Longest name of what earns.
const NAME: usize = 64;
/// Longest word about why.
pub(super) const WHY: usize = 200;
/// How far back something may have been earned, and how far ahead by a clock that goes ahead.
const EARLIEST: Millis = 366 * counterfoil_domain::time::DAY;

/// What earns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// An order placed online, as a whole.
    Order,
    /// A line of one.
    OrderLine,
    /// A review.
    Review,
    /// A gift of the chain: so many points as it says.
    Gift,
}

impl Kind {
    fn origin(self) -> Origin {
        match self {
            Self::Order => Origin::Order,
            Self::OrderLine => Origin::OrderLine,
            Self::Review => Origin::Review,
            Self::Gift => Origin::Gift,
        }
    }

    fn reason(self) -> Reason {
        match self {
            Self::Order | Self::OrderLine => Reason::Purchase,
            Self::Review => Reason::Review,
            Self::Gift => Reason::Gift,
        }
    }
}

/// Something that earns points.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEarning {
    /// Number of the member.
    #[schema(min_length = 1, max_length = 64)]
    member: String,
    /// What it is.
    kind: Kind,
    /// Its own number or name: a thing earns once, whoever asks how often.
    #[schema(min_length = 1, max_length = 64)]
    id: String,
    /// Of an order or a line: what was paid for it otherwise than with points, minor units.
    #[serde(default)]
    #[schema(minimum = 0)]
    paid: i64,
    /// Of a line: its category.
    #[serde(default)]
    #[schema(max_length = 64)]
    category: Option<String>,
    /// Of a gift: how many points.
    #[serde(default)]
    #[schema(minimum = 1)]
    points: Option<i64>,
    /// Of a gift: the first instant at which they are over; absent = they do not end.
    #[serde(default)]
    ends_at: Option<Millis>,
    /// When it was earned, UTC ms, at most a year ago; absent = now.
    #[serde(default)]
    at: Option<Millis>,
}

/// What was posted.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct PostedView {
    /// How much there is more, or less.
    amount: i64,
    /// It was posted before: nothing has changed now.
    replayed: bool,
    /// What the member has now.
    account: AccountView,
}

/// Something earns points.
///
/// By the newest version of the rule, or, of a gift, as it says. The same thing earns once: again is answered as before.
#[utoipa::path(
    post, path = "/v1/points/earnings", tag = "points", operation_id = "earn_points", request_body = NewEarning,
    responses(
        (status = 201, description = "It has earned, if only nothing", body = PostedView),
        (status = 200, description = "It had earned before", body = PostedView),
        (status = 409, description = "`state_conflict`: it earned for another member or otherwise; `not_posted`: the reasons say why"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn earn(
    State(app): State<Arc<App>>,
    operator: Operator,
    asked: Asked<NewEarning>,
) -> Result<Response, ApiError> {
    let (once, new) = match asked.begin(&app, operator.actor()).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(once, new) => (once, new),
    };
    match earning(&app, &operator, new).await {
        Ok(command) => once.submit(&app, command, read).await,
        Err(refusal) => once.refuse(&app, refusal).await,
    }
}

async fn earning(app: &App, operator: &Operator, new: NewEarning) -> Result<Command, ApiError> {
    let now = app.clock.now();
    let at = new.at.unwrap_or(now);
    let mut fields = Fields::default();
    fields.text("id", &new.id, NAME);
    fields.range("paid", new.paid, 0..=i64::MAX);
    if let Some(category) = &new.category {
        fields.text("category", category, NAME);
    }
    fields.range("at", at, now.saturating_sub(EARLIEST)..=now);
    let is_gift = new.kind == Kind::Gift;
    match new.points {
        Some(points) if is_gift => fields.range("points", points, 1..=counterfoil_domain::points::MOST),
        Some(_) => fields.refuse("points", "not_here", "only a gift says how many"),
        None => fields.check(!is_gift, "points", "required", "a gift says how many"),
    }
    if let Some(ends_at) = new.ends_at {
        fields.check(is_gift, "ends_at", "not_here", "only a gift says when it ends");
        fields.check(ends_at > now, "ends_at", "out_of_range", "in the future");
    }
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let member = known(&mut connection, operator.tenant, &new.member, &mut fields).await?;
    let rule = rows::newest_rule(&mut connection, operator.tenant).await?;
    if !is_gift {
        fields.check(rule.is_some(), "kind", "no_rule", "no rule of earning is published");
    }
    fields.done()?;
    let origin = new.kind.origin();
    Ok(Command::Post(Post {
        member,
        asset: Asset::Points,
        what: Posting::Earn {
            amount: new.points,
            rule: rule.map(|rule| rule.version).filter(|_| !is_gift),
            paid: new.paid,
            category: new.category,
            at,
            ends_at: new.ends_at,
        },
        cause: cause(
            operator,
            new.kind.reason(),
            source_of(operator.tenant, origin, &new.id),
            new.id,
            now,
        ),
    }))
}

/// What of a thing that earned was refunded, or a review that was deleted.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTakeBack {
    /// What it is.
    kind: Kind,
    /// Its own number or name, as it earned.
    #[schema(min_length = 1, max_length = 64)]
    id: String,
    /// The refund's own number or name: it takes back once.
    #[schema(min_length = 1, max_length = 64)]
    refund: String,
    /// What stays paid for it, minor units; 0 = nothing of it stays.
    #[serde(default)]
    #[schema(minimum = 0)]
    stays: i64,
}

/// What earned was refunded.
///
/// Takes back all but what the rule by which it earned gives for what stays. What was spent meanwhile is owed.
#[utoipa::path(
    post, path = "/v1/points/refunds", tag = "points", operation_id = "take_points_back", request_body = NewTakeBack,
    responses(
        (status = 201, description = "It is taken back", body = PostedView),
        (status = 200, description = "It had been, or nothing is due", body = PostedView),
        (status = 404, description = "Nothing of this name has earned"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn take_back(
    State(app): State<Arc<App>>,
    operator: Operator,
    asked: Asked<NewTakeBack>,
) -> Result<Response, ApiError> {
    let (once, new) = match asked.begin(&app, operator.actor()).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(once, new) => (once, new),
    };
    match taking_back(&app, &operator, new).await {
        Ok(command) => once.submit(&app, command, read).await,
        Err(refusal) => once.refuse(&app, refusal).await,
    }
}

async fn taking_back(app: &App, operator: &Operator, new: NewTakeBack) -> Result<Command, ApiError> {
    let mut fields = Fields::default();
    fields.text("id", &new.id, NAME);
    fields.text("refund", &new.refund, NAME);
    fields.range("stays", new.stays, 0..=i64::MAX);
    fields.done()?;
    let tenant = operator.tenant;
    let earned = source_of(tenant, new.kind.origin(), &new.id);
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let known = rows::load_earnings(&mut connection, tenant, &[earned]).await?.pop();
    let member = known.ok_or_else(ApiError::not_found)?.member;
    // An order and a review may have one number, and their refunds too.
    let name = format!("{}\0{}\0{}", new.kind.origin().as_str(), new.id, new.refund);
    Ok(Command::Post(Post {
        member,
        asset: Asset::Points,
        what: Posting::TakeBack {
            earned,
            stays: new.stays,
        },
        cause: cause(
            operator,
            Reason::Returned,
            source_of(tenant, Origin::Return, &name),
            new.refund,
            app.clock.now(),
        ),
    }))
}

/// Money that a member pays in.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTopUp {
    /// Number of the member.
    #[schema(min_length = 1, max_length = 64)]
    member: String,
    /// How much, minor units.
    #[schema(minimum = 1)]
    amount: i64,
    /// Number of the receipt: it is paid in once.
    #[schema(min_length = 1, max_length = 64)]
    receipt: String,
}

/// A member pays money in.
///
/// The same receipt is paid in once: again is answered as before.
#[utoipa::path(
    post, path = "/v1/points/top-ups", tag = "points", operation_id = "top_up", request_body = NewTopUp,
    responses(
        (status = 201, description = "It is paid in", body = PostedView),
        (status = 200, description = "It had been", body = PostedView),
        (status = 409, description = "`state_conflict`: the receipt was for somebody else or another amount"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn top_up(
    State(app): State<Arc<App>>,
    operator: Operator,
    asked: Asked<NewTopUp>,
) -> Result<Response, ApiError> {
    let (once, new) = match asked.begin(&app, operator.actor()).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(once, new) => (once, new),
    };
    match topping_up(&app, &operator, new).await {
        Ok(command) => once.submit(&app, command, read).await,
        Err(refusal) => once.refuse(&app, refusal).await,
    }
}

async fn topping_up(app: &App, operator: &Operator, new: NewTopUp) -> Result<Command, ApiError> {
    let now = app.clock.now();
    let mut fields = Fields::default();
    fields.text("receipt", &new.receipt, NAME);
    fields.range("amount", new.amount, 1..=counterfoil_domain::points::MOST);
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let member = known(&mut connection, operator.tenant, &new.member, &mut fields).await?;
    fields.done()?;
    Ok(Command::Post(Post {
        member,
        asset: Asset::Balance,
        what: Posting::Earn {
            amount: Some(new.amount),
            rule: None,
            paid: 0,
            category: None,
            at: now,
            ends_at: None,
        },
        cause: cause(
            operator,
            Reason::TopUp,
            source_of(operator.tenant, Origin::TopUp, &new.receipt),
            new.receipt,
            now,
        ),
    }))
}

pub(super) fn cause(operator: &Operator, reason: Reason, source: Source, note: String, at: Millis) -> Cause {
    Cause {
        reason,
        source: Some(source),
        at,
        store: None,
        actor: Some(operator.id.0),
        note: Some(Arc::from(note)),
    }
}

/// The member with this number, noted where there is none.
pub(super) async fn known(
    connection: &mut AnyConnection,
    tenant: TenantId,
    number: &str,
    fields: &mut Fields,
) -> Result<MemberId, DbError> {
    let found = members::rows::by_number(connection, tenant, number).await?;
    fields.check(found.is_some(), "member", "unknown", "no member has this number");
    Ok(found.map_or(MemberId(uuid::Uuid::nil()), |member| member.id))
}

/// What a command that posts comes to.
pub(super) fn read<'c>(_: &'c mut AnyConnection, _: TenantId, answer: &'c Answer) -> BoxFuture<'c, Told<PostedView>> {
    Box::pin(async move {
        let Answer::Posted(answer) = answer else {
            return Ok(Err(ApiError::internal()));
        };
        Ok(match answer {
            PostAnswer::Posted {
                amount,
                replayed,
                account,
            } => {
                let status = if *replayed { StatusCode::OK } else { StatusCode::CREATED };
                let view = PostedView {
                    amount: *amount,
                    replayed: *replayed,
                    // It was brought up to date just now.
                    account: AccountView::at(account, Millis::MIN),
                };
                Ok((status, view))
            }
            PostAnswer::Refused(error) => Err(refused(*error)),
            PostAnswer::UnknownMember => Err(ApiError::not_found()),
            PostAnswer::UnknownRule => Err(ApiError::internal()),
            PostAnswer::NothingEarned => Err(ApiError::not_found()),
            PostAnswer::AnotherEarning => Err(ApiError::detailed(
                Code::StateConflict,
                "the same name was used for another member or for something else",
            )),
        })
    })
}

/// Why the ledger did not take it.
pub(crate) fn refused(error: LedgerError) -> ApiError {
    Problem {
        reasons: serde_json::to_value(error).into_iter().collect(),
        ..Problem::new(Code::NotPosted).detail(error.to_string())
    }
    .into()
}
