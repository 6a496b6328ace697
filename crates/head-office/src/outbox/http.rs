//! Routes of reliable messages: how each stands, and handing one over now.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use counterfoil_domain::{
    ids::{OutgoingId, TenantId},
    time::Millis,
    words::Word,
};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::rows;
use crate::{
    app::App,
    db::{DbError, batch::id},
    http::{ApiError, Asked, Nothing, Operator, Page, Paging, Path, Query},
};

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(retry))
}

/// Where a message stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, strum::IntoStaticStr, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
enum MessageStatus {
    /// It was never handed over.
    Pending,
    /// It was handed over, and is not confirmed.
    Sent,
    /// It is done.
    Confirmed,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only messages that stand so.
    #[param(inline)]
    status: Option<MessageStatus>,
    /// Only messages of this kind.
    #[param(max_length = 64)]
    topic: Option<String>,
    /// Only messages about this.
    #[param(max_length = 200)]
    key: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Most rows.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A message from one part of head office to another.
#[derive(Debug, Serialize, ToSchema)]
struct OutgoingMessage {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: OutgoingId,
    /// What kind of message it is.
    topic: String,
    /// What it is about. Messages of one topic and key are handed over one after the other.
    key: String,
    /// Its number among those of its topic and key.
    number: i64,
    /// What caused it.
    source: String,
    /// Where it stands.
    status: MessageStatus,
    /// How often it was handed over.
    tries: i64,
    /// When it is handed over next, UTC ms. Absent when it is confirmed, or waits for an earlier one of its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try_at: Option<Millis>,
    /// When operators were alerted because it is not confirmed, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    alerted_at: Option<Millis>,
    /// Why it was not done, the last time that it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// When it was written, UTC ms.
    created_at: Millis,
    /// When it was last handed over, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<Millis>,
    /// When it was confirmed, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<Millis>,
    /// JSON, as its consumer reads it. Absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

/// List messages between the parts of head office.
///
/// The latest first, without their bodies.
#[utoipa::path(
    get, path = "/v1/outbox", tag = "outbox", operation_id = "list_outbox", params(Wanted),
    responses((status = 200, description = "A page", body = Page<OutgoingMessage>)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<OutgoingMessage>>, ApiError> {
    let paging = Paging::<OutgoingId>::read(wanted.after.as_deref(), wanted.limit)?;
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let found = messages(&mut connection, operator.tenant, &wanted, paging.after, paging.rows()).await?;
    Ok(Json(paging.page(found, |last| last.id)))
}

/// Show a message between the parts of head office.
#[utoipa::path(
    get, path = "/v1/outbox/{id}", tag = "outbox", operation_id = "show_outbox",
    params(("id" = Uuid, Path, description = "The message")),
    responses((status = 200, description = "The message", body = OutgoingMessage)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn show(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<OutgoingId>,
) -> Result<Json<OutgoingMessage>, ApiError> {
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let message = message(&mut connection, operator.tenant, id).await?;
    message.map(Json).ok_or_else(ApiError::not_found)
}

/// Hand a message over now.
///
/// It is tried again by itself, too; this is for when the reason is gone and nobody wants to wait.
#[utoipa::path(
    post, path = "/v1/outbox/{id}/retry", tag = "outbox", operation_id = "retry_outbox",
    params(("id" = Uuid, Path, description = "The message")), request_body = Nothing,
    responses((status = 200, description = "It is handed over now", body = OutgoingMessage)),
    security(("operator" = ["admin", "operator", "warehouse"]))
)]
async fn retry(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<OutgoingId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    asked
        .decide(&app, operator.actor(), async |deed, Nothing {}| {
            let (tenant, now) = (deed.tenant(), deed.now());
            let before = message(deed, tenant, id).await?.ok_or_else(ApiError::not_found)?;
            if !rows::hasten(deed, tenant, id, now).await? {
                let why = match before.status {
                    MessageStatus::Confirmed => "it is confirmed",
                    MessageStatus::Pending | MessageStatus::Sent => "it waits for an earlier message of its key",
                };
                return Err(ApiError::detailed(Code::StateConflict, why));
            }
            deed.audit("outbox.retry", &id.to_string()).await?;
            deed.sends();
            let after = message(deed, tenant, id).await?.ok_or_else(ApiError::not_found)?;
            Ok((StatusCode::OK, after))
        })
        .await
}

macro_rules! columns {
    ($body:literal) => {
        concat!(
            "SELECT id, topic, key, number, source, ",
            $body,
            " AS body, status, tries, next_try_at, alerted_at, last_error, created_at, sent_at, confirmed_at FROM outbox WHERE tenant = $1"
        )
    };
}

fn read(row: &AnyRow) -> Result<OutgoingMessage, DbError> {
    let status: String = row.try_get("status")?;
    let body: String = row.try_get("body")?;
    Ok(OutgoingMessage {
        id: id(row, "id", OutgoingId::from_bytes)?,
        topic: row.try_get("topic")?,
        key: row.try_get("key")?,
        number: row.try_get("number")?,
        source: row.try_get("source")?,
        status: MessageStatus::parse(&status).ok_or(DbError::Decode { column: "status" })?,
        tries: row.try_get("tries")?,
        next_try_at: row.try_get("next_try_at")?,
        alerted_at: row.try_get("alerted_at")?,
        last_error: row.try_get("last_error")?,
        created_at: row.try_get("created_at")?,
        sent_at: row.try_get("sent_at")?,
        confirmed_at: row.try_get("confirmed_at")?,
        body: (!body.is_empty()).then_some(body),
    })
}

async fn messages(
    connection: &mut AnyConnection,
    tenant: TenantId,
    wanted: &Wanted,
    before: Option<OutgoingId>,
    rows: i64,
) -> Result<Vec<OutgoingMessage>, DbError> {
    let mut sql = columns!("''").to_owned();
    // Those that are not confirmed are few, and in an index of their own.
    match wanted.status {
        Some(MessageStatus::Confirmed) => sql.push_str(" AND status = 'confirmed'"),
        Some(MessageStatus::Pending) => sql.push_str(" AND status <> 'confirmed' AND status = 'pending'"),
        Some(MessageStatus::Sent) => sql.push_str(" AND status <> 'confirmed' AND status = 'sent'"),
        None => {}
    }
    let (topic, key) = (wanted.topic.as_ref(), wanted.key.as_ref());
    let texts: Vec<&String> = topic.into_iter().chain(key).collect();
    if topic.is_some() {
        sql.push_str(" AND topic = $4");
    }
    match (topic, key) {
        (Some(_), Some(_)) => sql.push_str(" AND key = $5"),
        (None, Some(_)) => sql.push_str(" AND key = $4"),
        (_, None) => {}
    }
    sql.push_str(" AND id < $2 ORDER BY id DESC LIMIT $3");
    let mut query = sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.bytes().to_vec())
        // No id is all ones: a version and a variant are in it.
        .bind(before.map_or_else(|| vec![0xff; 16], |id| id.bytes().to_vec()))
        .bind(rows);
    for text in texts {
        query = query.bind(text.clone());
    }
    query.fetch_all(connection).await?.iter().map(read).collect()
}

async fn message(
    connection: &mut AnyConnection,
    tenant: TenantId,
    message: OutgoingId,
) -> Result<Option<OutgoingMessage>, DbError> {
    let row = sqlx::query(concat!(columns!("body"), " AND id = $2"))
        .bind(tenant.bytes().to_vec())
        .bind(message.bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}
