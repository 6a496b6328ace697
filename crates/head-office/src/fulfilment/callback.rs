//! What Kuaidi100 tells by itself.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::Method,
    response::{IntoResponse, Response},
    routing::post,
};
use counterfoil_domain::typed;
use counterfoil_protocol::problem::Code;
use serde_json::json;
use url::form_urlencoded;

use super::{rows, tracking};
use crate::{
    app::App,
    carriers::{self, kuaidi100},
    http::{Allowed, ApiError, Aside, Path, did_not_come},
};

/// Longest body: a report of a parcel that was on its way for long.
const BODY_BYTES: usize = 512 * 1024;

/// The path of what is told.
pub const PATH: &str = "/v1/callbacks/kuaidi100/{tenant}";

/// Anybody may call it; only what is signed with the chain's own salt has any effect.
pub const ASIDE: Aside = Aside {
    method: Method::POST,
    path: PATH,
    allowed: Allowed::Anybody,
    answer: || post(told).layer(DefaultBodyLimit::max(BODY_BYTES)),
};

async fn told(
    State(app): State<Arc<App>>,
    Path(code): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body.map_err(did_not_come)?;
    let (mut param, mut sign) = (None, String::new());
    for (name, value) in form_urlencoded::parse(&body) {
        match &*name {
            "param" => param = Some(value.into_owned()),
            "sign" => sign = value.into_owned(),
            _ => {}
        }
    }
    let param = param.ok_or_else(|| ApiError::detailed(Code::Malformed, "a form with param and sign is expected"))?;
    let mut reader = app.db.reader().acquire().await.map_err(crate::db::DbError::from)?;
    let known = carriers::rows::salt(&mut reader, &code).await?;
    // Who is not known and who is not signed for are told alike.
    let Some((tenant, _)) = known.filter(|(_, salt)| kuaidi100::is_signed(&param, salt, &sign)) else {
        return Err(ApiError::detailed(
            Code::BadSignature,
            "the report is not signed with this chain's salt",
        ));
    };
    let (told, report) = kuaidi100::read_push(&param)
        .ok_or_else(|| ApiError::detailed(Code::Malformed, "param is no report of a waybill"))?;
    let number = typed::waybill(&told.nu);
    let named = (told.com.as_str(), number.as_str());
    let storable = !told.com.contains('\0') && !number.contains('\0');
    let known = if storable {
        rows::waybill(&mut reader, tenant, named.0, named.1).await?
    } else {
        None
    };
    drop(reader);
    let Some(waybill) = known else {
        return Err(ApiError::detailed(Code::NotFound, "no parcel has this waybill"));
    };
    let mut lease = app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    let now = app.clock.now();
    // What is older than what is held changes nothing, and is no error: it was told.
    tracking::write(&mut transaction, tenant, named, waybill.subscribed, &report, now).await?;
    transaction.commit("tracking.callback").await?;
    let taken = json!({ "result": true, "returnCode": "200", "message": "成功" });
    Ok(Json(taken).into_response())
}
