//! Routes of members' sessions.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use counterfoil_domain::{ids::MemberId, time::Millis, words::Word};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    rows,
    sessions::{self, Link},
};
use crate::{
    app::App,
    http::caller::Tokens,
    http::{ApiError, Body, MemberSession, caller::Address},
};

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(begin, end)).routes(routes!(who))
}

/// A link that the shop's own site signed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignedLink {
    /// Code of the chain.
    tenant: String,
    /// Number of the member.
    member: String,
    /// When the link ends, UTC ms; at most ten minutes ahead.
    expires: Millis,
    /// HMAC-SHA256 of "counterfoil link 1", tenant, expires and member, joined by line feeds, with the tenant's link
    /// key: 64 hexadecimal digits.
    signature: String,
}

/// A session that began.
#[derive(Debug, Serialize, ToSchema)]
struct Session {
    /// Goes into `Authorization: Bearer`.
    token: String,
    /// The member's id.
    #[schema(value_type = uuid::Uuid)]
    member: MemberId,
    /// When the session ends, UTC ms.
    expires_at: Millis,
}

/// Sign a member in.
///
/// Trades the link that the shop's own site signed for a session of an hour.
#[utoipa::path(
    post, path = "/v1/member/sessions", tag = "members", operation_id = "begin_session",
    request_body = SignedLink,
    responses((status = 201, description = "The session", body = Session)),
    // Anybody: the link itself says who it is.
    security(())
)]
async fn begin(
    State(app): State<Arc<App>>,
    Address(address): Address,
    Body(link): Body<SignedLink>,
) -> Result<(StatusCode, Json<Session>), ApiError> {
    app.own.of::<Tokens>().may_try(address)?;
    let asked = Link {
        tenant: &link.tenant,
        member: &link.member,
        expires: link.expires,
    };
    let (token, session) = sessions::begin(&app, &asked, &link.signature).await.map_err(|error| {
        if error.0.code == Code::LinkInvalid.as_str() {
            return app.own.of::<Tokens>().failed(address, Code::LinkInvalid);
        }
        error
    })?;
    let answer = Session {
        token,
        member: session.member,
        expires_at: session.expires_at,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Sign out.
///
/// Ends the session whose token is shown.
#[utoipa::path(
    delete, path = "/v1/member/sessions", tag = "members", operation_id = "end_session",
    responses((status = 204, description = "It has ended")),
    security(("member" = []))
)]
async fn end(State(app): State<Arc<App>>, session: MemberSession) -> Result<StatusCode, ApiError> {
    sessions::end(&app, &session).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a member sees of themselves.
#[derive(Debug, Serialize, ToSchema)]
struct Myself {
    /// Their id.
    #[schema(value_type = uuid::Uuid)]
    id: MemberId,
    /// Membership number.
    number: String,
    /// Name.
    name: String,
}

/// Whose session it is.
#[utoipa::path(
    get, path = "/v1/member", tag = "members", operation_id = "show_myself",
    responses((status = 200, description = "The member", body = Myself)),
    security(("member" = []))
)]
async fn who(State(app): State<Arc<App>>, session: MemberSession) -> Result<Json<Myself>, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    let found = rows::load(&mut snapshot, session.tenant, &[session.member], "")
        .await?
        .pop();
    let (_, member) = found.ok_or_else(|| ApiError::new(Code::Unauthenticated))?;
    Ok(Json(Myself {
        id: member.id,
        number: member.number,
        name: member.name,
    }))
}
