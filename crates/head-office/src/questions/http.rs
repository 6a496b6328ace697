//! Routes of freezes and look-ups.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use counterfoil_domain::{
    coupons::Coupon,
    ids::{FreezeId, StoreId},
    pickups::Order,
    transition::{Answer, AskFreeze, CancelFreeze, Command, DeviceStatus},
};
use counterfoil_protocol::{
    problem::Code,
    questions::{FreezeRequest, FreezeResponse, LookupRequest, LookupResponse},
    sync::{Image, Row},
};

use sqlx::AnyConnection;

use super::guessing::{self, Typed};
use crate::{
    app::App,
    coupons,
    feed::{
        Item,
        images::{Gallery, Viewer},
    },
    grants,
    http::{ApiError, IdempotencyKey, SignedRequest, barred},
    members, pickups,
};

/// `POST /v1/freezes`.
///
/// # Errors
/// Problems of the signature, of the key, and `idempotency_key_reused`.
pub async fn freeze(
    State(app): State<Arc<App>>,
    IdempotencyKey(key): IdempotencyKey,
    request: SignedRequest,
) -> Result<Json<FreezeResponse>, ApiError> {
    let asked: FreezeRequest = request.read()?;
    if key != asked.id.to_string() {
        return Err(ApiError::detailed(
            Code::Malformed,
            "the Idempotency-Key is not the freeze's id",
        ));
    }
    let command = Command::Freeze(AskFreeze {
        amounts: asked.amounts,
        id: asked.id,
        device: request.device,
        subject: asked.subject,
        presented_by: asked.presented_by,
        now: request.now,
    });
    decide(&app, &request, command).await
}

/// `DELETE /v1/freezes/{id}`.
///
/// # Errors
/// Problems of the signature.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: SignedRequest,
) -> Result<Json<FreezeResponse>, ApiError> {
    let id: FreezeId = id
        .parse()
        .map_err(|_| ApiError::detailed(Code::Malformed, "the id is not a UUID"))?;
    let command = Command::CancelFreeze(CancelFreeze {
        id,
        device: request.device,
        now: request.now,
    });
    decide(&app, &request, command).await
}

async fn decide(app: &App, request: &SignedRequest, command: Command) -> Result<Json<FreezeResponse>, ApiError> {
    let mut answers = app.engine.submit(request.tenant, vec![command]).await?;
    let answer = answers.pop().ok_or_else(ApiError::internal)?.answer;
    match answer {
        Answer::Granted { until } => Ok(Json(FreezeResponse::Granted { until })),
        // An empty list of reasons is a handler that failed, not a refusal.
        Answer::Refused { reasons } if !reasons.is_empty() => Ok(Json(FreezeResponse::Refused { reasons })),
        Answer::Cancelled => Ok(Json(FreezeResponse::Cancelled)),
        Answer::AnotherQuestion => Err(ApiError::new(Code::IdempotencyKeyReused)),
        Answer::DeviceBarred { status } => Err(barred(status)),
        Answer::UnknownDevice => Err(ApiError::new(Code::BadSignature)),
        // An answer to another kind of command.
        _ => Err(ApiError::internal()),
    }
}

/// `POST /v1/lookups`.
///
/// # Errors
/// Problems of the signature; `rate_limited` after too many typed questions about what does not exist.
pub async fn look_up(State(app): State<Arc<App>>, request: SignedRequest) -> Result<Json<LookupResponse>, ApiError> {
    let mut asked: LookupRequest = request.read()?;
    let typed = match Typed::of(&asked) {
        Some((typed, true)) => Some(typed),
        Some((_, false)) => {
            active(&mut *app.db.snapshot().await?, &request).await?;
            return Ok(Json(LookupResponse {
                server_time: request.now,
                rows: Vec::new(),
            }));
        }
        None => None,
    };
    let _turn = match typed {
        Some(_) => Some(app.own.of::<super::guessing::Turns>().take(request.device).await),
        None => None,
    };
    if let LookupRequest::Member(member) = &mut asked {
        let mut snapshot = app.db.snapshot().await?;
        active(&mut snapshot, &request).await?;
        *member = members::rows::current(&mut snapshot, request.tenant, *member)
            .await?
            .unwrap_or(*member);
        drop(snapshot);
        super::members::seen(&app, request.tenant, *member, request.store).await?;
    }
    let rows = find(&app, &request, asked, typed).await?;
    if let Some(typed) = typed
        && rows.is_empty()
    {
        guessing::note(&app, request.tenant, request.device, request.store, typed, request.now).await?;
    }
    Ok(Json(LookupResponse {
        server_time: request.now,
        rows,
    }))
}

/// Refuses a device that may not ask.
async fn active(snapshot: &mut AnyConnection, request: &SignedRequest) -> Result<(), ApiError> {
    let device = crate::stores::rows::load_devices(snapshot, request.tenant, &[request.device], "").await?;
    match device.first() {
        Some(device) if device.status == DeviceStatus::Active => Ok(()),
        Some(device) => Err(barred(device.status)),
        None => Err(ApiError::new(Code::BadSignature)),
    }
}

async fn find(
    app: &App,
    request: &SignedRequest,
    asked: LookupRequest,
    typed: Option<Typed>,
) -> Result<Vec<Row>, ApiError> {
    let tenant = request.tenant;
    let mut snapshot = app.db.snapshot().await?;
    active(&mut snapshot, request).await?;
    if let Some(typed) = typed {
        guessing::check(&mut snapshot, tenant, request.device, typed, request.now).await?;
    }
    let member = match &asked {
        LookupRequest::Member(id) => Some(*id),
        LookupRequest::MemberNumber(number) => {
            let member = members::rows::by_number(&mut snapshot, tenant, number).await?;
            member.map(|member| member.id)
        }
        LookupRequest::Phone(phone) => {
            let member = members::rows::by_phone(&mut snapshot, tenant, phone).await?;
            member.map(|member| member.id)
        }
        _ => None,
    };
    let mut items = Vec::new();
    if let Some(member) = member {
        drop(snapshot);
        if let Err(error) = grants::show_up(app, tenant, member).await {
            // Theirs waits until the next time; the look-up does not.
            tracing::warn!(%error, "a member was not given what was granted to all");
        }
        // A snapshot of before would not see what they just got.
        snapshot = app.db.snapshot().await?;
        items = coupons::card::with_templates(&mut snapshot, tenant, member).await?;
    }
    match asked {
        LookupRequest::CouponCode(code) => {
            push_coupon(&mut items, coupons::rows::by_code(&mut snapshot, tenant, &code).await?);
        }
        LookupRequest::Coupon(id) => {
            push_coupon(
                &mut items,
                coupons::rows::load(&mut snapshot, tenant, &[id], "").await?.pop(),
            );
        }
        LookupRequest::PickupCode(code) => {
            push_order(&mut items, pickups::rows::by_code(&mut snapshot, tenant, &code).await?);
        }
        LookupRequest::Order(id) => {
            push_order(
                &mut items,
                pickups::rows::load(&mut snapshot, tenant, &[id], "").await?.pop(),
            );
        }
        LookupRequest::Member(_) | LookupRequest::MemberNumber(_) | LookupRequest::Phone(_) => {}
    }
    let viewer = Viewer {
        store: request.store,
        device: request.device,
        now: request.now,
    };
    let mut rows = app
        .own
        .of::<Gallery>()
        .load(&mut snapshot, tenant, &items, viewer)
        .await?;
    hide_of_other_stores(&mut rows, request.store);
    Ok(rows)
}

/// Of an order that waits elsewhere a counter does not learn whose it is.
fn hide_of_other_stores(rows: &mut Vec<Row>, store: StoreId) {
    let elsewhere = rows
        .iter()
        .any(|row| matches!(&row.image, Image::Order(order) if order.store != store));
    if elsewhere {
        rows.retain(|row| !matches!(row.image, Image::Member(_)));
    }
}

/// What a coupon refers to goes before it.
fn push_coupon(items: &mut Vec<Item>, coupon: Option<Coupon>) {
    if let Some(coupon) = coupon {
        items.push(Item::Template(coupon.template, coupon.template_version));
        items.extend(coupon.member.map(Item::Member));
        items.push(Item::Coupon(coupon.id));
    }
}

fn push_order(items: &mut Vec<Item>, order: Option<Order>) {
    if let Some(order) = order {
        items.extend(order.member.map(Item::Member));
        items.push(Item::Store(order.store));
        items.push(Item::Order(order.id));
    }
}
