//! Who calls: a device that is known, at a time that can be; then its signature, which covers the body.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, request::Parts},
};
use counterfoil_domain::{
    ids::{DeviceId, StoreId, TenantId},
    text::without_mark,
    time::Millis,
    transition::DeviceStatus,
};
use counterfoil_protocol::{
    problem::{Code, Problem},
    signing::{self, Signed},
};
use ed25519_dalek::VerifyingKey;
use serde::de::DeserializeOwned;

use super::{ApiError, caller::BELIEVED, input, who};
use tokio::sync::Semaphore;

use crate::app::App;

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
        serde_json::from_slice(without_mark(&self.body))
            .map_err(|error| ApiError::detailed(Code::Malformed, error.to_string()))
    }
}

fn header<T: std::str::FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, ApiError> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| ApiError::detailed(Code::BadSignature, format!("the header {name} is missing or malformed")))
}

/// What is known about a device. Its store and key never change.
#[derive(Debug, Clone)]
pub struct KnownDevice {
    store: StoreId,
    key: VerifyingKey,
    status: DeviceStatus,
    read_at: Millis,
}

/// A request whose head is in order: its device is known and may call here, at a time that can be. Its signature covers
/// the body, so it is checked once that has come.
#[derive(Debug, Clone)]
pub(super) struct Announced {
    pub(super) tenant: TenantId,
    pub(super) device: DeviceId,
    known: KnownDevice,
    time: Millis,
    signature: String,
    now: Millis,
}

/// Whether the device that a request's head names may call; `active` = only if it is neither frozen nor revoked.
///
/// # Errors
/// `bad_signature`, `clock_skew`, `device_frozen`, `device_revoked`, `busy`, and the database's.
pub(super) async fn announced(app: &App, parts: &Parts, active: bool) -> Result<Announced, ApiError> {
    let headers = &parts.headers;
    let tenant: TenantId = header(headers, signing::TENANT)?;
    let device: DeviceId = header(headers, signing::DEVICE)?;
    let time: Millis = header(headers, signing::TIME)?;
    let signature: String = header(headers, signing::SIGNATURE)?;
    let now = app.clock.now();
    let known = known(app, tenant, device, active, now)
        .await?
        .ok_or_else(|| ApiError::new(Code::BadSignature))?;
    if time.abs_diff(now) > signing::TIME_WINDOW.unsigned_abs() {
        return Err(Problem {
            server_time: Some(now),
            ..Problem::new(Code::ClockSkew)
        }
        .into());
    }
    if active && known.status != DeviceStatus::Active {
        return Err(barred(known.status));
    }
    Ok(Announced {
        tenant,
        device,
        known,
        time,
        signature,
        now,
    })
}

/// Devices whose public keys are kept in memory.
const DEVICES: u64 = 100_000;
/// Requests of devices that are not known yet, at once: fewer than there are readers.
const STRANGERS: usize = 3;

/// What is known about devices.
#[derive(Debug)]
struct Devices {
    known: moka::sync::Cache<(TenantId, DeviceId), KnownDevice>,
    /// Room for requests of devices that are not known yet: each costs a read before anything is proven.
    strangers: Semaphore,
}

impl Default for Devices {
    fn default() -> Self {
        Self {
            known: moka::sync::Cache::new(DEVICES),
            strangers: Semaphore::new(STRANGERS),
        }
    }
}

/// The problem of a device that may not ask.
pub fn barred(status: DeviceStatus) -> ApiError {
    ApiError::new(match status {
        DeviceStatus::Revoked => Code::DeviceRevoked,
        DeviceStatus::Frozen | DeviceStatus::Active => Code::DeviceFrozen,
    })
}

impl FromRequest<Arc<App>> for SignedRequest {
    type Rejection = ApiError;

    async fn from_request(mut request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        // Only where the route's description says that devices call.
        let announced: Announced = request
            .extensions_mut()
            .remove()
            .ok_or_else(|| ApiError::new(Code::Forbidden))?;
        let Announced {
            tenant,
            device,
            known,
            time,
            signature,
            now,
        } = announced;
        let method = request.method().clone();
        let path = request
            .uri()
            .path_and_query()
            .map_or_else(String::new, ToString::to_string);
        let body = input::bytes(request, app).await?;
        let signed = Signed {
            method: method.as_str(),
            path: &path,
            tenant,
            device,
            time,
            body: &body,
        };
        if !signed.verify(&known.key, &signature) {
            return Err(ApiError::new(Code::BadSignature));
        }
        Ok(Self {
            tenant,
            device,
            store: known.store,
            body,
            now,
        })
    }
}

/// A device as the database has it, or had it lately. Where the status matters only a good one is believed, and only for
/// a moment: the engine decides on its own row.
async fn known(
    app: &App,
    tenant: TenantId,
    device: DeviceId,
    active: bool,
    now: Millis,
) -> Result<Option<KnownDevice>, ApiError> {
    let known = app.own.of::<Devices>().known.get(&(tenant, device));
    let was_active = known.as_ref().is_some_and(|known| known.status == DeviceStatus::Active);
    if let Some(known) = known {
        let is_fresh = was_active && (0..BELIEVED).contains(&(now - known.read_at));
        if is_fresh || !active {
            return Ok(Some(known));
        }
    }
    // After a restart every counter is a stranger once: they take turns, and only a flood of made-up ones is sent away.
    let _room = if was_active {
        None
    } else {
        match tokio::time::timeout(STRANGER_PATIENCE, app.own.of::<Devices>().strangers.acquire()).await {
            Ok(Ok(room)) => Some(room),
            _ => return Err(ApiError::busy(1)),
        }
    };
    let mut snapshot = app.db.snapshot().await?;
    let Some((store, key, status)) = who::device_key(&mut snapshot, tenant, device).await? else {
        return Ok(None);
    };
    let Ok(key) = VerifyingKey::from_bytes(&key) else {
        return Ok(None);
    };
    let known = KnownDevice {
        store,
        key,
        status,
        read_at: now,
    };
    app.own.of::<Devices>().known.insert((tenant, device), known.clone());
    Ok(Some(known))
}
