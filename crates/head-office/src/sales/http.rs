//! Routes of quotes and sales.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};
use counterfoil_domain::{
    coupons::Coupon,
    ids::{CouponId, OperationId, StoreId, TenantId},
    sales::{ReturnPolicy, Sale},
    settlement::{
        self, Budget, InputError, Policy, document,
        returns::{self, Method, ReturnError, Units},
    },
};
use counterfoil_protocol::problem::{Code, FieldError, Problem};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    described::BasketForm,
    quoting::Quoting,
    quoting::{Allowance, Asked},
    rows,
};
use crate::{
    app::App,
    coupons,
    db::DbError,
    http::{ApiError, Body, Gone, Operator, Page, Paging, Path, Person, Query, did_not_come},
};

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(quote))
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(preview))
}

fn refused(error: &InputError) -> ApiError {
    let code = match error.code {
        "malformed" => Code::Malformed,
        _ => Code::Invalid,
    };
    one_field(code, &error.path, error.code, &error.message)
}

fn one_field(problem: Code, field: &str, code: &str, message: &str) -> ApiError {
    Problem {
        errors: vec![FieldError {
            field: field.to_owned(),
            code: code.to_owned(),
            message: message.to_owned(),
        }],
        ..Problem::new(problem)
    }
    .into()
}

/// Quote a basket.
///
/// Takes the document of `counterfoil quote` and gives its answer; changes nothing. `errors[0]` of a refusal names the
/// place, as `$.lines[2].quantity`, and the code of the same command. Who has too many expensive ones under way at a time is
/// `rate_limited`.
#[utoipa::path(
    post, path = "/v1/quotes", tag = "sales", operation_id = "quote_basket",
    request_body = BasketForm,
    responses(
        (status = 200, description = "The quote", body = Object),
        (status = 429, description = "`rate_limited`: this caller has as many quotes, or expensive ones, under way as may be"),
        (status = 503, description = "`busy`: no core became free in time"),
    ),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]), ("member" = []))
)]
async fn quote(
    State(app): State<Arc<App>>,
    // Anybody with a token: a quote reads nothing but its document, so it tells nobody anything. Counters quote by
    // themselves.
    person: Person,
    gone: Gone,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<settlement::Answer>, ApiError> {
    let body = body.map_err(did_not_come)?;
    let work =
        move |budget: &Budget<'_>| document::read(&body).and_then(|basket| settlement::quote_within(&basket, budget));
    let asked = Asked {
        caller: person.actor,
        allowance: if person.is_member {
            Allowance::MEMBER
        } else {
            Allowance::OPERATOR
        },
        gone: &gone,
        clock: app.clock.as_ref(),
    };
    let answer = app.own.of::<Quoting>().run(asked, work).await?;
    answer.map(Json).map_err(|error| refused(&error))
}

/// A sale.
#[derive(Debug, Serialize, ToSchema)]
struct SaleView {
    /// The operation that settled it.
    #[schema(value_type = Uuid)]
    id: OperationId,
    /// Where.
    #[schema(value_type = Uuid)]
    store: StoreId,
    /// When, UTC ms.
    at: i64,
    /// Whose basket it was.
    #[schema(value_type = Option<Uuid>)]
    member: Option<counterfoil_domain::ids::MemberId>,
    /// ISO 4217 code of the amounts.
    currency: String,
    /// What the till took, minor units.
    payable: i64,
    /// Money that went back since, minor units.
    paid_back: i64,
    /// How it was paid.
    tender: String,
    /// The till's receipt number.
    receipt: String,
    /// The operation that undid it.
    #[schema(value_type = Option<Uuid>)]
    voided_by: Option<OperationId>,
    /// What was sold: each line with what was paid for it and what went back of it.
    #[schema(value_type = Vec<Object>)]
    lines: Vec<counterfoil_domain::sales::SoldLine>,
    /// What was taken off, in the order of application.
    #[schema(value_type = Vec<Object>)]
    coupons: Vec<counterfoil_domain::sales::SoldCoupon>,
}

impl From<Sale> for SaleView {
    fn from(sale: Sale) -> Self {
        Self {
            paid_back: sale.paid_back(),
            id: sale.id,
            store: sale.store,
            at: sale.at,
            member: sale.member,
            currency: sale.currency,
            payable: sale.payable,
            tender: sale.tender,
            receipt: sale.receipt,
            voided_by: sale.voided_by,
            lines: sale.lines,
            coupons: sale.coupons,
        }
    }
}

/// Which sales.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Of this store.
    store: Option<Uuid>,
    /// `next` of the page before.
    after: Option<String>,
    /// Most rows, up to 200.
    limit: Option<u32>,
}

/// Sales, latest first.
#[utoipa::path(
    get, path = "/v1/sales", tag = "sales", operation_id = "list_sales", params(Which),
    responses((status = 200, description = "A page", body = Page<SaleView>)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(which): Query<Which>,
) -> Result<Json<Page<SaleView>>, ApiError> {
    let paging = Paging::<OperationId>::read(which.after.as_deref(), which.limit)?;
    let mut snapshot = app.db.snapshot().await?;
    let store = which.store.map(StoreId);
    let sales = rows::list(&mut snapshot, operator.tenant, store, paging.after, paging.rows()).await?;
    let views = sales.into_iter().map(SaleView::from).collect();
    Ok(Json(paging.page(views, |view: &SaleView| view.id)))
}

async fn one(connection: &mut AnyConnection, tenant: TenantId, id: Uuid) -> Result<Sale, ApiError> {
    let found = rows::load(connection, tenant, &[OperationId(id)], "").await?.pop();
    found.ok_or_else(ApiError::not_found)
}

/// One sale.
#[utoipa::path(
    get, path = "/v1/sales/{id}", tag = "sales", operation_id = "show_sale", params(("id" = Uuid, Path, description = "The operation that settled it")),
    responses((status = 200, description = "The sale", body = SaleView)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn get(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<Uuid>,
) -> Result<Json<SaleView>, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    Ok(Json(one(&mut snapshot, operator.tenant, id).await?.into()))
}

/// What is to come back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReturnAsked {
    /// Units of lines of the sale.
    #[schema(value_type = Vec<UnitsAsked>)]
    lines: Vec<Units>,
    /// `keep`: what stays keeps its discount. `requote`: what stays is quoted again.
    #[serde(default)]
    #[schema(value_type = String)]
    policy: ReturnPolicy,
}

/// Units of one line.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described")]
struct UnitsAsked {
    /// Place of the line in the sale, from 0.
    line: i64,
    /// How many, at least 1.
    quantity: i64,
}

/// What a return would do.
#[derive(Debug, Serialize, ToSchema)]
struct ReturnView {
    /// Money back, minor units.
    refund: i64,
    /// Line by line: its place, units, money back.
    #[schema(value_type = Vec<Object>)]
    lines: Vec<counterfoil_domain::sales::ReturnLine>,
    /// Coupons that go back to their member.
    coupons: Vec<CouponBack>,
}

/// A coupon that goes back.
#[derive(Debug, Serialize, ToSchema)]
struct CouponBack {
    /// Which.
    #[schema(value_type = Uuid)]
    coupon: CouponId,
    /// `available`, or `expired` when its time is over.
    state: String,
}

/// Preview a return.
///
/// What returning these units would give back: money by line, coupons. Changes nothing; counters return by an operation.
#[utoipa::path(
    post, path = "/v1/sales/{id}/returns/preview", tag = "sales", operation_id = "preview_return",
    params(("id" = Uuid, Path, description = "The operation that settled the sale")),
    request_body = ReturnAsked,
    responses((status = 200, description = "What it would give back", body = ReturnView)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn preview(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<Uuid>,
    gone: Gone,
    asked: Result<Body<ReturnAsked>, ApiError>,
) -> Result<Json<ReturnView>, ApiError> {
    // Who may not ask learns nothing of what a question looks like.
    let Body(asked) = asked?;
    let mut snapshot = app.db.snapshot().await?;
    let sale = one(&mut snapshot, operator.tenant, id).await?;
    let used: Vec<CouponId> = sale.coupons.iter().map(|sold| sold.used.coupon).collect();
    let used = coupons::rows::load(&mut snapshot, operator.tenant, &used, "").await?;
    let rules = rules(&mut snapshot, operator.tenant, &sale, &used, app.clock.now()).await?;
    snapshot.rollback().await.map_err(DbError::from)?;
    let reckon = move |budget: &Budget<'_>| {
        let policy = Policy::default();
        let method = match asked.policy {
            ReturnPolicy::Keep => Method::Keep,
            ReturnPolicy::Requote => Method::Requote {
                coupons: &rules,
                policy: &policy,
            },
        };
        returns::preview_within(&sale, &asked.lines, method, budget)
    };
    let who = Asked {
        caller: operator.actor(),
        allowance: Allowance::OPERATOR,
        gone: &gone,
        clock: app.clock.as_ref(),
    };
    let back = app.own.of::<Quoting>().run(who, reckon).await?;
    let back = back.map_err(|error| match &error {
        ReturnError::Unsound | ReturnError::SaleVoided => ApiError::detailed(Code::StateConflict, error.to_string()),
        ReturnError::NothingReturned => one_field(Code::Invalid, "lines", "nothing_returned", &error.to_string()),
        ReturnError::BadLine { .. } => one_field(Code::Invalid, "lines", "bad_line", &error.to_string()),
        ReturnError::BadQuantity { .. } => one_field(Code::Invalid, "lines", "bad_quantity", &error.to_string()),
        ReturnError::NotQuoted(inner) => refused(inner),
    })?;
    let now = app.clock.now();
    let given_back = back.coupons.iter().map(|id| CouponBack {
        coupon: *id,
        state: used
            .iter()
            .find(|coupon| coupon.id == *id)
            .map_or("available", |coupon| match coupon.state_when_given_back(now) {
                counterfoil_domain::coupons::CouponState::Expired => "expired",
                _ => "available",
            })
            .to_owned(),
    });
    Ok(Json(ReturnView {
        refund: back.refund,
        coupons: given_back.collect(),
        lines: back.lines,
    }))
}

/// The rules of a sale's coupons, for a new quote.
async fn rules(
    connection: &mut AnyConnection,
    tenant: TenantId,
    sale: &Sale,
    used: &[Coupon],
    now: i64,
) -> Result<Vec<settlement::Coupon>, DbError> {
    let mut wanted: Vec<_> = sale
        .coupons
        .iter()
        .map(|sold| (sold.used.template, sold.used.template_version))
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let templates = coupons::rows::load_templates(connection, tenant, &wanted).await?;
    let rule = |coupon: &Coupon| {
        let of = |template: &counterfoil_domain::coupons::Template| {
            (template.id, template.version) == (coupon.template, coupon.template_version)
        };
        let (_, template) = templates.iter().find(|(_, template)| of(template))?;
        Some(coupon.for_quote(template, now))
    };
    Ok(used.iter().filter_map(rule).collect())
}
