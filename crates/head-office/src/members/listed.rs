//! Routes by which operators look at members.

use std::sync::Arc;

use axum::{Json, extract::State};
use counterfoil_domain::{
    ids::{MemberId, StoreId},
    people::{Member, OperatorRole, mask_name, mask_phone},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::rows;
use crate::{
    app::App,
    db::DbError,
    http::{ApiError, Operator, Page, Paging, Path, Query},
};

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only members with this phone number.
    #[param(max_length = 32)]
    phone: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Most rows.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A member. Auditors see name and phone masked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
struct MemberView {
    /// Their id.
    #[schema(value_type = Uuid)]
    id: MemberId,
    /// Membership number.
    number: String,
    /// Name.
    name: String,
    /// Phone number.
    phone: String,
    /// Where they were seen, latest first.
    #[schema(value_type = Vec<Uuid>)]
    recent_stores: Vec<StoreId>,
}

fn view(member: Member, operator: &Operator) -> MemberView {
    let masked = operator.role == OperatorRole::Auditor;
    MemberView {
        id: member.id,
        number: member.number,
        name: if masked { mask_name(&member.name) } else { member.name },
        phone: if masked {
            mask_phone(&member.phone)
        } else {
            member.phone
        },
        recent_stores: member.recent_stores,
    }
}

/// List members.
///
/// By id: who joined first comes first.
#[utoipa::path(
    get, path = "/v1/members", tag = "members", operation_id = "list_members", params(Wanted),
    responses((status = 200, description = "A page", body = Page<MemberView>)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<MemberView>>, ApiError> {
    let paging = Paging::<MemberId>::read(wanted.after.as_deref(), wanted.limit)?;
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let found = rows::after(
        &mut connection,
        operator.tenant,
        wanted.phone.as_deref(),
        paging.after,
        paging.rows(),
    )
    .await?;
    let items = found.into_iter().map(|member| view(member, &operator)).collect();
    Ok(Json(paging.page(items, |last| last.id)))
}

/// Show a member.
#[utoipa::path(
    get, path = "/v1/members/{number}", tag = "members", operation_id = "show_member",
    params(("number" = String, Path, description = "Number of the member")),
    responses((status = 200, description = "The member", body = MemberView)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn show(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(number): Path<String>,
) -> Result<Json<MemberView>, ApiError> {
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let found = rows::by_number(&mut connection, operator.tenant, &number).await?;
    let member = found.ok_or_else(ApiError::not_found)?;
    Ok(Json(view(member, &operator)))
}
