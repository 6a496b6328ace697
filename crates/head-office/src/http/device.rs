//! Who calls: a device that is known, at a time that can be; then its signature, which covers the body.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::HeaderMap,
};
use counterfoil_domain::{
    ids::{DeviceId, StoreId, TenantId},
    time::Millis,
};
use counterfoil_protocol::{
    problem::{Code, Problem},
    signing::{self, Signed},
};
use ed25519_dalek::VerifyingKey;
use serde::de::DeserializeOwned;

use super::ApiError;
use crate::{App, stores};

/// How long a request of an unknown device waits for its turn to be looked up.
const STRANGER_PATIENCE: Duration = Duration::from_secs(2);

/// A request whose signature is right: who sent it, and its body.
#[derive(Debug)]
pub struct SignedRequest {
    /// The chain.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
    /// Its store.
    pub store: StoreId,
    /// The body as it came.
    pub body: Bytes,
    /// Head office's clock when it came.
    pub now: Millis,
}

impl SignedRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// `malformed` with what the parser found and where.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body).map_err(|error| ApiError::detailed(Code::Malformed, error.to_string()))
    }
}

fn header<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, ApiError> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| ApiError::detailed(Code::BadSignature, format!("the header {name} is missing or malformed")))
}

impl FromRequest<Arc<App>> for SignedRequest {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let headers = request.headers();
        let tenant: TenantId = header(headers, signing::TENANT)?;
        let device: DeviceId = header(headers, signing::DEVICE)?;
        let time: Millis = header(headers, signing::TIME)?;
        let signature: String = header(headers, signing::SIGNATURE)?;
        let method = request.method().clone();
        let path = request
            .uri()
            .path_and_query()
            .map_or_else(String::new, ToString::to_string);
        let now = app.clock.now();
        // Whoever may not call is told before anything of the body is waited for.
        let (store, key) = device_key(app, tenant, device)
            .await?
            .ok_or_else(|| ApiError::new(Code::BadSignature))?;
        if time.abs_diff(now) > signing::TIME_WINDOW.unsigned_abs() {
            return Err(Problem {
                server_time: Some(now),
                ..Problem::new(Code::ClockSkew)
            }
            .into());
        }
        let body = Bytes::from_request(request, app)
            .await
            .map_err(|rejection| match rejection {
                BytesRejection::FailedToBufferBody(_) => ApiError::new(Code::TooLarge),
                _ => ApiError::new(Code::Malformed),
            })?;
        let signed = Signed {
            method: method.as_str(),
            path: &path,
            tenant,
            device,
            time,
            body: &body,
        };
        if !signed.verify(&key, &signature) {
            return Err(ApiError::new(Code::BadSignature));
        }
        Ok(Self {
            tenant,
            device,
            store,
            body,
            now,
        })
    }
}

async fn device_key(
    app: &App,
    tenant: TenantId,
    device: DeviceId,
) -> Result<Option<(StoreId, VerifyingKey)>, ApiError> {
    if let Some(known) = app.device_keys.get(&(tenant, device)) {
        return Ok(Some(known));
    }
    // After a restart every counter is a stranger once: they take turns, and only a flood of made-up ones is sent away.
    let Ok(Ok(_room)) = tokio::time::timeout(STRANGER_PATIENCE, app.strangers.acquire()).await else {
        return Err(ApiError::busy(1));
    };
    let mut snapshot = app.db.snapshot().await?;
    let Some((store, key)) = stores::rows::device_key(&mut snapshot, tenant, device).await? else {
        return Ok(None);
    };
    let Ok(key) = VerifyingKey::from_bytes(&key) else {
        return Ok(None);
    };
    app.device_keys.insert((tenant, device), (store, key));
    Ok(Some((store, key)))
}
