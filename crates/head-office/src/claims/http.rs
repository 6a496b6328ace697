//! Routes of claims: what a member may have, and having it.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use counterfoil_domain::{
    coupons::Coupon,
    ids::{CouponId, MemberId, TemplateId, TenantId},
    time::Millis,
    transition::{
        Answer, Batch, ClaimCoupon, ClaimKey, Command, Holding, LimitCounts, NotClaimable, Offer, Rows, Terms, Verdict,
        judge,
    },
};
use counterfoil_protocol::problem::{Code, Problem};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{admission::Admission, rows};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::{
    app::App,
    coupons,
    db::DbError,
    grants::{self, ShowUp},
    http::{ApiError, Body, IdempotencyKey, MemberSession, Page, Paging, Query},
};

/// Members whose rate is kept before those that are quiet are forgotten.
const MEMBERS: usize = 100_000;

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(claim)).routes(routes!(claimable))
}

/// What is claimed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewClaim {
    /// A coupon of this template.
    #[schema(value_type = Uuid)]
    template: TemplateId,
}

/// The member's new coupon.
#[derive(Debug, Serialize, ToSchema)]
struct Claimed {
    /// Its id.
    #[schema(value_type = Uuid)]
    coupon: CouponId,
    /// The code to type or print.
    code: String,
    /// Of which template.
    #[schema(value_type = Uuid)]
    template: TemplateId,
    /// Of which version of it.
    template_version: i64,
    /// First instant of its validity, UTC ms; absent = at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_from: Option<Millis>,
    /// First instant after its validity, UTC ms; absent = none.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<Millis>,
}

impl From<Coupon> for Claimed {
    fn from(coupon: Coupon) -> Self {
        Self {
            coupon: coupon.id,
            code: coupon.code,
            template: coupon.template,
            template_version: coupon.template_version,
            valid_from: coupon.valid_from,
            valid_until: coupon.valid_until,
        }
    }
}

impl From<ShowUp> for ApiError {
    fn from(error: ShowUp) -> Self {
        match error {
            ShowUp::Db(error) => error.into(),
            ShowUp::Engine(refusal) => refusal.into(),
        }
    }
}

/// Claims of one member in a minute.
const CLAIMS: NonZeroU32 = NonZeroU32::new(120).unwrap();

/// How often members claim.
#[derive(Debug)]
struct Limit(DefaultKeyedRateLimiter<MemberId>);

impl Default for Limit {
    fn default() -> Self {
        Self(RateLimiter::keyed(Quota::per_minute(CLAIMS)))
    }
}

/// Claim a coupon.
///
/// It is the member's, durably, when this answers 201. `not_claimable` tells every reason; `busy` is neither yes nor
/// no: ask again with the same key.
#[utoipa::path(
    post, path = "/v1/member/claims", tag = "members", operation_id = "claim_coupon", request_body = NewClaim,
    responses(
        (status = 201, description = "The coupon", body = Claimed),
        (status = 409, description = "The reasons why not"),
        (status = 503, description = "Neither yes nor no; see Retry-After"),
    ),
    security(("member" = []))
)]
async fn claim(
    State(app): State<Arc<App>>,
    session: MemberSession,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<NewClaim>,
) -> Result<(StatusCode, Json<Claimed>), ApiError> {
    let limit = &app.own.of::<Limit>().0;
    if limit.check_key(&session.member).is_err() {
        if limit.len() > MEMBERS {
            limit.retain_recent();
        }
        let limited = Problem {
            retry_after: Some(1),
            ..Problem::new(Code::RateLimited)
        };
        return Err(limited.into());
    }
    let _room = app.own.of::<Admission>().admit(session.tenant)?;
    // What was granted to everybody counts among what they hold.
    grants::show_up(&app, session.tenant, session.member).await?;
    let mut name = [0u8; 16];
    name.copy_from_slice(&Sha256::digest(key.as_bytes())[..16]);
    let command = Command::Claim(ClaimCoupon {
        member: session.member,
        template: new.template,
        key: ClaimKey(name),
    });
    let mut answers = app.engine.submit(session.tenant, vec![command]).await?;
    let answered = answers.pop().ok_or_else(ApiError::internal)?;
    let coupon = match (answered.answer, answered.given) {
        (Answer::Given { .. }, Some(coupon)) => *coupon,
        (Answer::Given { coupon, .. }, None) => {
            let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
            let mut found = coupons::rows::load(&mut reader, session.tenant, &[coupon], "").await?;
            found.pop().ok_or_else(ApiError::internal)?
        }
        (Answer::NotGiven { reasons, .. }, _) => return Err(refused(&reasons)),
        (Answer::ComeBack, _) => return Err(ApiError::busy(1)),
        (Answer::AnotherQuestion, _) => return Err(ApiError::new(Code::IdempotencyKeyReused)),
        _ => return Err(ApiError::internal()),
    };
    Ok((StatusCode::CREATED, Json(coupon.into())))
}

fn refused(reasons: &[NotClaimable]) -> ApiError {
    Problem {
        reasons: reasons
            .iter()
            .filter_map(|reason| serde_json::to_value(reason).ok())
            .collect(),
        ..Problem::new(Code::NotClaimable)
    }
    .into()
}

/// A template that can be claimed, or why it can't.
#[derive(Debug, Serialize, ToSchema)]
struct ClaimableView {
    /// Its id.
    #[schema(value_type = Uuid)]
    template: TemplateId,
    /// Its newest version.
    template_version: i64,
    /// Chinese name.
    name_zh: String,
    /// English name.
    name_en: String,
    /// What it takes off, as in the settlement contract.
    rule: serde_json::Value,
    /// Whether this member may claim one now.
    claimable: bool,
    /// If not, every reason why; each has a stable `code`. Empty while coupons are being made: ask again.
    reasons: Vec<serde_json::Value>,
    /// How many are left.
    left: i64,
    /// Until when it can be claimed, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    claim_until: Option<Millis>,
    /// Days of validity after the claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_days: Option<i64>,
    /// Fixed end of the validity, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<Millis>,
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page, at most 200.
    limit: Option<u32>,
}

/// What the member may claim.
///
/// Every template that is or was offered: those that may be claimed now, and the others with every reason why not.
#[utoipa::path(
    get, path = "/v1/member/claimable", tag = "members", operation_id = "list_claimable", params(Which),
    responses((status = 200, description = "A page of templates", body = Page<ClaimableView>)),
    security(("member" = []))
)]
async fn claimable(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Query(which): Query<Which>,
) -> Result<Json<Page<ClaimableView>>, ApiError> {
    let paging = Paging::<TemplateId>::read(which.after.as_deref(), which.limit)?;
    grants::show_up(&app, session.tenant, session.member).await?;
    let now = app.clock.now();
    let mut snapshot = app.db.snapshot().await?;
    let ids = rows::offered_after(&mut snapshot, session.tenant, paging.after, paging.rows()).await?;
    let mut views = Vec::new();
    if !ids.is_empty() {
        let offers = offers(&mut snapshot, session.tenant, &ids).await?;
        let holdings = holdings(&mut snapshot, session.tenant, session.member, &offers.0, now).await?;
        let newest: Vec<_> = offers
            .0
            .iter()
            .filter_map(|(id, offer)| Some((*id, offer.terms.first()?.version)))
            .collect();
        for (_, template) in coupons::rows::load_templates(&mut snapshot, session.tenant, &newest).await? {
            let Some((offer, terms)) = offers.0.get(&template.id).and_then(|it| Some((it, it.terms.first()?))) else {
                continue;
            };
            let none = Holding::none(session.member, template.id);
            let holding = holdings.get(&(session.member, template.id)).unwrap_or(&none);
            let verdict = judge(Some(offer), &offers.1, holding, now);
            let mine = offer.batches.iter().filter_map(|id| offers.1.get(id)?.as_ref());
            views.push(ClaimableView {
                template: template.id,
                template_version: template.version,
                name_zh: template.name_zh.clone(),
                name_en: template.name_en.clone(),
                rule: serde_json::to_value(&template.rule).unwrap_or_default(),
                claimable: matches!(verdict, Verdict::Take(..)),
                reasons: match &verdict {
                    Verdict::No(reasons) => reasons.iter().filter_map(|it| serde_json::to_value(it).ok()).collect(),
                    Verdict::Take(..) | Verdict::Wait => Vec::new(),
                },
                left: mine.map(|batch| batch.made - batch.claimed).sum(),
                claim_until: terms.claim_until,
                valid_days: terms.valid_days,
                valid_until: terms.valid_until,
            });
        }
        views.sort_by_key(|view| view.template);
    }
    Ok(Json(paging.page(views, |last| last.template)))
}

type Offers = (BTreeMap<TemplateId, Offer>, Rows<Batch>);

async fn offers(connection: &mut sqlx::AnyConnection, tenant: TenantId, ids: &[TemplateId]) -> Result<Offers, DbError> {
    let terms: BTreeMap<TemplateId, Vec<Terms>> = rows::load_terms(connection, tenant, ids).await?;
    let mut offers: BTreeMap<TemplateId, Offer> = terms
        .into_iter()
        .map(|(id, terms)| {
            let batches = Vec::new();
            let template = id;
            (
                id,
                Offer {
                    template,
                    terms,
                    batches,
                },
            )
        })
        .collect();
    let mut batches = Rows::default();
    for batch in rows::load_open_batches(connection, tenant, ids).await? {
        if let Some(offer) = offers.get_mut(&batch.template) {
            offer.batches.push(batch.id);
        }
        batches.found(batch);
    }
    Ok((offers, batches))
}

async fn holdings(
    connection: &mut sqlx::AnyConnection,
    tenant: TenantId,
    member: MemberId,
    offers: &BTreeMap<TemplateId, Offer>,
    now: Millis,
) -> Result<BTreeMap<(MemberId, TemplateId), Holding>, DbError> {
    let wanted: Vec<_> = offers.keys().map(|id| (member, *id)).collect();
    let counted: Vec<_> = offers
        .iter()
        .filter(|(_, offer)| offer.terms.iter().any(|terms| terms.limit_counts == LimitCounts::Held))
        .map(|(id, _)| (member, *id))
        .collect();
    rows::load_holdings(connection, tenant, &wanted, &counted, now, "").await
}
