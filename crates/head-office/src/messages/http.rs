//! Routes of messages.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use counterfoil_domain::{
    ids::{MemberId, MessageId},
    text::cleaned,
    time::Millis,
    typed,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Message, Words, rows};
use crate::{
    app::App,
    deed::Deed,
    http::{ApiError, Asked, Body, Fields, MemberSession, Nothing, Operator, Page, Paging, Path, Query},
    members,
};

/// Longest title.
const TITLE: usize = 100;
/// Longest text.
const BODY: usize = 4_000;
/// Members that one message may name.
const LISTED: usize = 1_000;

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(send, sent))
        .routes(routes!(mine))
        .routes(routes!(unread))
        .routes(routes!(read_all))
        .routes(routes!(read_one))
        .routes(routes!(set_email))
}

/// A message to members.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    /// Title in Chinese.
    #[schema(min_length = 1, max_length = 100)]
    title_zh: String,
    /// Title in English.
    #[schema(min_length = 1, max_length = 100)]
    title_en: String,
    /// Text in Chinese.
    #[schema(min_length = 1, max_length = 4000)]
    body_zh: String,
    /// Text in English.
    #[schema(min_length = 1, max_length = 4000)]
    body_en: String,
    /// Numbers of the members it is for; absent: for every member there is now.
    #[schema(min_items = 1, max_items = 1000)]
    members: Option<Vec<String>>,
}

/// A message that was sent.
#[derive(Debug, Serialize, ToSchema)]
struct SentMessage {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: MessageId,
    /// Title in Chinese.
    title_zh: String,
    /// Title in English.
    title_en: String,
    /// Text in Chinese.
    body_zh: String,
    /// Text in English.
    body_en: String,
    /// Whether it went to all members.
    to_all: bool,
    /// When.
    sent_at: Millis,
    /// The operator who sent it.
    sent_by: Option<uuid::Uuid>,
}

impl From<rows::Sent> for SentMessage {
    fn from(sent: rows::Sent) -> Self {
        let rows::Sent { message, to_all } = sent;
        Self {
            id: message.id,
            title_zh: message.words.title_zh,
            title_en: message.words.title_en,
            body_zh: message.words.body_zh,
            body_en: message.words.body_en,
            to_all,
            sent_at: message.sent_at,
            sent_by: message.sent_by,
        }
    }
}

/// Send a message.
///
/// Its text is stored once, however many members it is for. A member who registers later does not get it.
#[utoipa::path(
    post, path = "/v1/messages", tag = "messages", operation_id = "send_message", request_body = NewMessage,
    responses((status = 201, description = "It is sent", body = SentMessage)),
    security(("operator" = ["admin", "operator"]))
)]
async fn send(State(app): State<Arc<App>>, operator: Operator, asked: Asked<NewMessage>) -> Result<Response, ApiError> {
    asked
        .decide(&app, operator.actor(), async |deed, new| {
            send_in(deed, &operator, new).await
        })
        .await
}

async fn send_in(
    deed: &mut Deed<'_>,
    operator: &Operator,
    new: NewMessage,
) -> Result<(StatusCode, SentMessage), ApiError> {
    let words = Words {
        title_zh: cleaned(new.title_zh.trim()),
        title_en: cleaned(new.title_en.trim()),
        body_zh: cleaned(&new.body_zh),
        body_en: cleaned(&new.body_en),
    };
    let mut fields = Fields::default();
    fields.text("title_zh", &words.title_zh, TITLE);
    fields.text("title_en", &words.title_en, TITLE);
    for (field, text) in [("body_zh", &words.body_zh), ("body_en", &words.body_en)] {
        // Lines may be broken in a longer text.
        fields.text(field, &text.replace(['\n', '\t'], " "), BODY);
    }
    if let Some(members) = &new.members {
        fields.check(
            (1..=LISTED).contains(&members.len()),
            "members",
            "out_of_range",
            "1 to 1000 members",
        );
    }
    fields.done()?;
    let (tenant, now) = (deed.tenant(), deed.now());
    let message = Message {
        id: MessageId::new(now, deed.fresh()?),
        kind: "news".into(),
        words,
        sent_at: now,
        sent_by: Some(operator.id.0),
    };
    match &new.members {
        None => super::send_to_all(deed, tenant, &message).await?,
        Some(numbers) => {
            let mut wanted: Vec<String> = numbers.iter().map(|number| typed::member_number(number)).collect();
            wanted.sort_unstable();
            wanted.dedup();
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            let found = members::rows::ids_by_number(deed, tenant, &wanted).await?;
            let mut fields = Fields::default();
            fields.check(
                found.len() == wanted.len(),
                "members",
                "unknown",
                "not every number is a member's",
            );
            fields.done()?;
            // Two numbers may be one person's, whose members were merged.
            let mut members: Vec<MemberId> = found.into_iter().map(|(_, member)| member).collect();
            members.sort_unstable();
            members.dedup();
            super::send_to(deed, tenant, &message, &members).await?;
        }
    }
    deed.audit("message.sent", &message.id.to_string()).await?;
    let to_all = new.members.is_none();
    Ok((StatusCode::CREATED, rows::Sent { message, to_all }.into()))
}

/// Which page is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WhichPage {
    /// `next` of the page before.
    after: Option<String>,
    /// Messages in the page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Messages that people have sent, newest first.
#[utoipa::path(
    get, path = "/v1/messages", tag = "messages", operation_id = "list_messages", params(WhichPage),
    responses((status = 200, description = "A page of messages", body = Page<SentMessage>)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn sent(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<WhichPage>,
) -> Result<Json<Page<SentMessage>>, ApiError> {
    let paging = Paging::<MessageId>::read(wanted.after.as_deref(), wanted.limit)?;
    let mut snapshot = app.db.snapshot().await?;
    let found = rows::sent(&mut snapshot, operator.tenant, paging.after, paging.rows()).await?;
    let views: Vec<SentMessage> = found.into_iter().map(SentMessage::from).collect();
    Ok(Json(paging.page(views, |message| message.id)))
}

/// A message as its member sees it.
#[derive(Debug, Serialize, ToSchema)]
struct MyMessage {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: MessageId,
    /// What it is about: `news`, `coupon_expiring`.
    kind: String,
    /// Title in Chinese.
    title_zh: String,
    /// Title in English.
    title_en: String,
    /// Text in Chinese.
    body_zh: String,
    /// Text in English.
    body_en: String,
    /// When it was sent.
    sent_at: Millis,
    /// When it was read; absent until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    read_at: Option<Millis>,
}

impl From<rows::Mine> for MyMessage {
    fn from(mine: rows::Mine) -> Self {
        Self {
            id: mine.id,
            kind: mine.kind,
            title_zh: mine.words.title_zh,
            title_en: mine.words.title_en,
            body_zh: mine.words.body_zh,
            body_en: mine.words.body_en,
            sent_at: mine.sent_at,
            read_at: mine.read_at,
        }
    }
}

/// A member's messages, newest first.
#[utoipa::path(
    get, path = "/v1/member/messages", tag = "members", operation_id = "list_my_messages", params(WhichPage),
    responses((status = 200, description = "A page of messages", body = Page<MyMessage>)),
    security(("member" = []))
)]
async fn mine(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Query(wanted): Query<WhichPage>,
) -> Result<Json<Page<MyMessage>>, ApiError> {
    let paging = Paging::<MessageId>::read(wanted.after.as_deref(), wanted.limit)?;
    let now = app.clock.now();
    let found = super::look(
        &app.db,
        session.tenant,
        session.member,
        now,
        paging.after,
        paging.rows(),
    )
    .await?;
    let views: Vec<MyMessage> = found.into_iter().map(MyMessage::from).collect();
    Ok(Json(paging.page(views, |message| message.id)))
}

/// How much is unread.
#[derive(Debug, Serialize, ToSchema)]
struct Unread {
    /// Messages that were not read, those included that were not looked at.
    unread: i64,
}

/// How many messages a member has not read.
#[utoipa::path(
    get, path = "/v1/member/messages/unread", tag = "members", operation_id = "count_unread_messages",
    responses((status = 200, description = "How many", body = Unread)),
    security(("member" = []))
)]
async fn unread(State(app): State<Arc<App>>, session: MemberSession) -> Result<Json<Unread>, ApiError> {
    let unread = super::unread(&app.db, session.tenant, session.member).await?;
    Ok(Json(Unread { unread }))
}

/// Mark a message as read. Again: nothing more happens.
#[utoipa::path(
    post, path = "/v1/member/messages/{id}/read", tag = "members", operation_id = "read_message", request_body = Nothing,
    params(("id" = uuid::Uuid, Path, description = "The message")),
    responses(
        (status = 200, description = "It is read; what is left", body = Unread),
        (status = 404, description = "The member has no such message"),
    ),
    security(("member" = []))
)]
async fn read_one(
    State(app): State<Arc<App>>,
    Path(id): Path<MessageId>,
    session: MemberSession,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    let (tenant, member, now) = (session.tenant, session.member, app.clock.now());
    super::arrive(&app.db, tenant, member, now).await?;
    asked
        .decide(&app, session.actor(), async |deed, Nothing {}| {
            if !rows::read(deed, tenant, member, id, now).await? {
                return Err(ApiError::not_found());
            }
            let unread = rows::unread(deed, tenant, member).await?;
            Ok((StatusCode::OK, Unread { unread }))
        })
        .await
}

/// Mark every message as read.
#[utoipa::path(
    post, path = "/v1/member/messages/read", tag = "members", operation_id = "read_all_messages", request_body = Nothing,
    responses((status = 200, description = "All are read; what is left", body = Unread)),
    security(("member" = []))
)]
async fn read_all(
    State(app): State<Arc<App>>,
    session: MemberSession,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    let (tenant, member, now) = (session.tenant, session.member, app.clock.now());
    super::arrive(&app.db, tenant, member, now).await?;
    asked
        .decide(&app, session.actor(), async |deed, Nothing {}| {
            rows::read_all(deed, tenant, member, now).await?;
            let unread = rows::unread(deed, tenant, member).await?;
            Ok((StatusCode::OK, Unread { unread }))
        })
        .await
}

/// Where a member is reminded by mail.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Email {
    /// The address; null for none.
    #[schema(required, max_length = 254)]
    email: Option<String>,
}

/// Say where a member is reminded by mail.
///
/// The shop's own site has made sure that the address is theirs.
#[utoipa::path(
    put, path = "/v1/members/{number}/email", tag = "members", operation_id = "set_member_email", request_body = Email,
    params(("number" = String, Path, description = "Number of the member")),
    responses(
        (status = 204, description = "It is kept"),
        (status = 404, description = "No member has this number"),
        (status = 422, description = "`invalid`: it is no address"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
async fn set_email(
    State(app): State<Arc<App>>,
    Path(number): Path<String>,
    operator: Operator,
    Body(new): Body<Email>,
) -> Result<StatusCode, ApiError> {
    let mut fields = Fields::default();
    if let Some(email) = &new.email {
        fields.text("email", email, 254);
        fields.check(
            email.parse::<lettre::Address>().is_ok(),
            "email",
            "malformed",
            "an e-mail address",
        );
    }
    fields.done()?;
    let mut lease = app.db.lease().await?;
    let mut deed = Deed::new(
        lease.begin().await?,
        app.random.as_ref(),
        operator.actor(),
        app.clock.now(),
    );
    let Some(member) = rows::set_email(&mut deed, operator.tenant, &number, new.email).await? else {
        return Err(ApiError::not_found());
    };
    deed.audit("member.email_set", &member.to_string()).await?;
    deed.commit("messages.set_email").await?;
    Ok(StatusCode::NO_CONTENT)
}
