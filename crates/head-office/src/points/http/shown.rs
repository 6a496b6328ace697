//! Accounts and statements as they are shown.

use std::sync::Arc;

use axum::{Json, extract::State};
use counterfoil_domain::{
    coupons::ONLINE_DEVICE,
    ids::{MemberId, StoreId, TenantId},
    points::{Account, Asset, Ledger, Source},
    time::Millis,
    words::Word,
};
use counterfoil_protocol::{
    problem::Code,
    questions::{STATEMENT_LINES, StatementLine, StatementRequest, StatementResponse, StatementShare},
};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    db::DbError,
    http::{ApiError, MemberSession, Operator, Page, Paging, Path, Query, SignedRequest},
    members,
    points::rows,
};

/// What a member has.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct AccountView {
    /// Points.
    points: LedgerView,
    /// Stored value, minor units.
    balance: LedgerView,
}

/// What a member has of one asset.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct LedgerView {
    /// May be spent.
    available: i64,
    /// Pinned by holds.
    held: i64,
    /// Earned, and not to be spent yet.
    pending: i64,
    /// Owed: taken back after it was spent. Whatever becomes available settles it first.
    debt: i64,
    /// What is there, in the order in which it is spent.
    lots: Vec<LotView>,
    /// Holds that are neither captured nor released.
    holds: Vec<HoldView>,
}

/// What was earned together.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct LotView {
    /// The number of the entry that made it.
    number: i64,
    /// How much it was at first.
    amount: i64,
    /// What nobody has spent or pinned.
    free: i64,
    /// What holds have pinned.
    held: i64,
    /// When it was earned.
    earned_at: Millis,
    /// From when it may be spent; absent = it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_at: Option<Millis>,
    /// The first instant at which it is over; absent = it does not end.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<Millis>,
}

/// A hold.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct HoldView {
    /// How much.
    amount: i64,
    /// When it lapses by itself; absent where an order placed online or an exchange decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Millis>,
}

impl AccountView {
    /// As it is at an instant, whatever the sweep has written yet.
    pub(super) fn at(account: &Account, now: Millis) -> Self {
        Self {
            points: LedgerView::of(&account.points.at(now)),
            balance: LedgerView::of(&account.balance.at(now)),
        }
    }
}

impl LedgerView {
    fn of(ledger: &Ledger) -> Self {
        let sums = ledger.balances();
        Self {
            available: sums.available,
            held: sums.held,
            pending: sums.pending,
            debt: sums.debt,
            lots: ledger
                .lots
                .iter()
                .map(|lot| LotView {
                    number: lot.number,
                    amount: lot.amount,
                    free: lot.free,
                    held: lot.held,
                    earned_at: lot.earned_at,
                    ready_at: lot.ready_at,
                    ends_at: lot.ends_at,
                })
                .collect(),
            holds: ledger
                .holds
                .iter()
                .map(|hold| HoldView {
                    amount: hold.amount(),
                    until: (hold.device != ONLINE_DEVICE).then_some(hold.until),
                })
                .collect(),
        }
    }
}

/// One line of a statement.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct EntryView {
    /// Its number within the ledger.
    number: i64,
    /// `earn`, `spend`, `expire`, `hold`, `capture`, `release`, `return` or `adjust`.
    kind: &'static str,
    /// Why: `purchase`, `review`, `gift`, `top_up`, `adjustment`, `opening`, `exchange`, `returned`, `voided`,
    /// `cancelled`, `lapsed`, `ended`, `debt_settled`, `merged` or `not_shipped`.
    reason: &'static str,
    /// `pending`: what it earned may not be spent yet; `open`: what it holds is held; `booked`.
    state: &'static str,
    /// From what kind of thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_kind: Option<&'static str>,
    /// From which.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<uuid::Uuid>,
    /// In the words of who caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// When it took effect.
    at: Millis,
    /// In which store.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    store: Option<StoreId>,
    /// Change of what there is less what is owed.
    amount: i64,
    /// Change of what is owed.
    debt_change: i64,
    /// The lots that it changed.
    lots: Vec<ShareView>,
    /// The balances after it.
    after: BalancesView,
}

/// What a line changed of a lot.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ShareView {
    /// The lot, by the number of the line that made it.
    lot: i64,
    /// Change of what is free.
    free: i64,
    /// Change of what is pinned.
    held: i64,
    /// Of what was spent: how much went back since.
    #[serde(skip_serializing_if = "is_zero")]
    given_back: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(amount: &i64) -> bool {
    *amount == 0
}

/// Balances.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
struct BalancesView {
    available: i64,
    held: i64,
    pending: i64,
    debt: i64,
}

/// Which lines are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// `points`, which is also what is meant where nothing is said, or `balance`.
    asset: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Lines in the page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// What a member has of points and stored value.
#[utoipa::path(
    get, path = "/v1/members/{number}/account", tag = "points", operation_id = "show_account",
    params(("number" = String, Path, description = "Number of the member")),
    responses(
        (status = 200, description = "The account", body = AccountView),
        (status = 404, description = "No member has this number"),
    ),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
pub(super) async fn account(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(number): Path<String>,
) -> Result<Json<AccountView>, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    let member = of_number(&mut snapshot, operator.tenant, &number).await?;
    show(&mut snapshot, operator.tenant, member, app.clock.now()).await
}

/// What the member who is signed in has.
#[utoipa::path(
    get, path = "/v1/member/account", tag = "members", operation_id = "show_my_account",
    responses((status = 200, description = "The account", body = AccountView)),
    security(("member" = []))
)]
pub(super) async fn my_account(
    State(app): State<Arc<App>>,
    session: MemberSession,
) -> Result<Json<AccountView>, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    show(&mut snapshot, session.tenant, session.member, app.clock.now()).await
}

async fn show(
    snapshot: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    now: Millis,
) -> Result<Json<AccountView>, ApiError> {
    let found = rows::load(snapshot, tenant, &[member], "").await?.pop();
    let account = found.unwrap_or_else(|| Account::new(member));
    Ok(Json(AccountView::at(&account, now)))
}

/// A member's statement, newest line first.
#[utoipa::path(
    get, path = "/v1/members/{number}/ledger", tag = "points", operation_id = "list_ledger",
    params(("number" = String, Path, description = "Number of the member"), Wanted),
    responses(
        (status = 200, description = "A page of lines", body = Page<EntryView>),
        (status = 404, description = "No member has this number"),
    ),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
pub(super) async fn statement(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(number): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<EntryView>>, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    let member = of_number(&mut snapshot, operator.tenant, &number).await?;
    lines(&mut snapshot, operator.tenant, member, &wanted, app.clock.now()).await
}

/// The statement of the member who is signed in, newest line first.
#[utoipa::path(
    get, path = "/v1/member/ledger", tag = "members", operation_id = "list_my_ledger", params(Wanted),
    responses((status = 200, description = "A page of lines", body = Page<EntryView>)),
    security(("member" = []))
)]
pub(super) async fn my_statement(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<EntryView>>, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    lines(&mut snapshot, session.tenant, session.member, &wanted, app.clock.now()).await
}

async fn lines(
    snapshot: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    wanted: &Wanted,
    now: Millis,
) -> Result<Json<Page<EntryView>>, ApiError> {
    let paging = Paging::<i64>::read(wanted.after.as_deref(), wanted.limit)?;
    let asset = asset("asset", wanted.asset.as_deref())?;
    let found = rows::statement(snapshot, tenant, (member, asset), paging.after, paging.rows()).await?;
    let items = found.into_iter().map(|line| view(line, now)).collect();
    Ok(Json(paging.page(items, |last: &EntryView| last.number)))
}

/// Reads the word of an asset; nothing is points.
pub(super) fn asset(field: &str, word: Option<&str>) -> Result<Asset, ApiError> {
    match word {
        None => Ok(Asset::Points),
        Some(word) => Asset::parse(word)
            .ok_or_else(|| ApiError::detailed(Code::Malformed, format!("{field}: `points` or `balance`"))),
    }
}

/// Whether a line is `pending`, `open` or `booked`.
fn state(line: &rows::Line, now: Millis) -> &'static str {
    if line.ready_at.is_some_and(|at| at > now) {
        "pending"
    } else if line.is_open {
        "open"
    } else {
        "booked"
    }
}

/// `POST /v1/statements`: a part of a member's statement, for a counter where they stand.
///
/// # Errors
/// Problems of the signature, and `not_found`.
pub(crate) async fn to_counter(
    State(app): State<Arc<App>>,
    request: SignedRequest,
) -> Result<Json<StatementResponse>, ApiError> {
    let asked: StatementRequest = request.read()?;
    let mut snapshot = app.db.snapshot().await?;
    let known = members::rows::load(&mut snapshot, request.tenant, &[asked.member], "").await?;
    if known.is_empty() {
        return Err(ApiError::not_found());
    }
    let whose = (asked.member, asked.asset);
    let found = rows::statement(
        &mut snapshot,
        request.tenant,
        whose,
        asked.before,
        STATEMENT_LINES.into(),
    )
    .await?;
    let lines = found.into_iter().map(|line| StatementLine {
        number: line.number,
        kind: line.kind.as_str().to_owned(),
        reason: line.reason.as_str().to_owned(),
        state: state(&line, request.now).to_owned(),
        note: line.note,
        at: line.at,
        amount: line.amount,
        after: line.after,
        lots: line
            .shares
            .iter()
            .map(|share| StatementShare {
                lot: share.lot,
                amount: share.free + share.held,
            })
            .collect(),
    });
    Ok(Json(StatementResponse {
        server_time: request.now,
        lines: lines.collect(),
    }))
}

fn view(line: rows::Line, now: Millis) -> EntryView {
    let state = state(&line, now);
    let source: Option<Source> = line.source;
    EntryView {
        number: line.number,
        kind: line.kind.as_str(),
        reason: line.reason.as_str(),
        state,
        source_kind: source.map(|source| source.of.as_str()),
        source: source.map(|source| source.id),
        note: line.note,
        at: line.at,
        store: line.store,
        amount: line.amount,
        debt_change: line.owed,
        lots: line
            .shares
            .into_iter()
            .map(|share| ShareView {
                lot: share.lot,
                free: share.free,
                held: share.held,
                given_back: share.given_back,
            })
            .collect(),
        after: BalancesView {
            available: line.after.available,
            held: line.after.held,
            pending: line.after.pending,
            debt: line.after.debt,
        },
    }
}

/// The member with this number.
pub(super) async fn of_number(
    connection: &mut AnyConnection,
    tenant: TenantId,
    number: &str,
) -> Result<MemberId, ApiError> {
    let found: Result<_, DbError> = members::rows::by_number(connection, tenant, number).await;
    Ok(found?.ok_or_else(ApiError::not_found)?.id)
}
