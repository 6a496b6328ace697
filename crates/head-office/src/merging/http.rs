//! The route by which members are merged.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use counterfoil_domain::ids::MemberId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Merged;
use crate::{
    app::App,
    deed::Deed,
    http::{ApiError, Asked, Operator, Path},
};

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(merge))
}

/// With whom a member is one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MergeInto {
    /// Number of the member who has everything from then on.
    #[schema(min_length = 1, max_length = 64)]
    into: String,
}

/// Members who are one.
#[derive(Debug, Serialize, ToSchema)]
struct MergedMembers {
    /// Who is no member of their own any more.
    #[schema(value_type = uuid::Uuid)]
    merged: MemberId,
    /// Who has everything.
    #[schema(value_type = uuid::Uuid)]
    into: MemberId,
}

/// Merge a member into another.
///
/// They are one person: points, stored value, debts, coupons, holds, orders, exchanges, parcels, addresses and messages are
/// the other one's from now on, and the number finds the other one. It is not undone.
#[utoipa::path(
    post, path = "/v1/members/{number}/merge", tag = "members", operation_id = "merge_member", request_body = MergeInto,
    params(("number" = String, Path, description = "Number of the member who is merged")),
    responses(
        (status = 200, description = "They are one", body = MergedMembers),
        (status = 404, description = "No member has this number"),
        (status = 409, description = "`state_conflict`: they are one already, or were merged before; `changed_meanwhile`: ask again"),
    ),
    security(("operator" = ["admin"]))
)]
async fn merge(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(number): Path<String>,
    asked: Asked<MergeInto>,
) -> Result<Response, ApiError> {
    let lock = app.db.dialect().lock_suffix();
    let by = operator.id.0;
    let effect = async |deed: &mut Deed<'_>, with: MergeInto| {
        let Merged { from, into } = super::merge(deed, lock, by, &number, &with.into).await?;
        Ok((StatusCode::OK, MergedMembers { merged: from, into }))
    };
    asked.decide(&app, operator.actor(), effect).await
}
