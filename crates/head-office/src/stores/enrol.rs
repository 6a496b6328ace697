//! One-time codes, and what a new device gets for one.

use counterfoil_domain::{
    ids::{DeviceId, StoreId, TenantId},
    text::{clean, visible},
    time::Millis,
};
use counterfoil_protocol::{
    enrolment::{CODE_LASTS, EnrolRequest, EnrolResponse, normal_code},
    problem::Code,
};
use sha2::{Digest, Sha256};
use sqlx::Row;

use super::rows;
use crate::{
    app::App,
    clock::{self, Clock, Random},
    db::{self, Db, DbError, batch},
    deed::{Actor, Deed, NAME_CHARACTERS},
    http,
    http::ApiError,
};

/// Letters and digits that are not mistaken for each other (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 10 characters of 5 bits.
const CODE_CHARACTERS: usize = 10;

fn code_hash(code: &str) -> [u8; 32] {
    Sha256::digest(normal_code(code).as_bytes()).into()
}

/// Makes a one-time code for a new device of this store: 15 minutes, one use. Only its hash is stored.
///
/// # Errors
/// The database's.
pub async fn make_code(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    tenant: TenantId,
    store: StoreId,
) -> Result<String, DbError> {
    let bytes: [u8; CODE_CHARACTERS] = clock::bytes(random).map_err(|error| DbError::config(error.to_string()))?;
    let code: String = bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect();
    let now = clock.now();
    let mut lease = db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), now);
    sqlx::query(
        "INSERT INTO enrol_codes (code_hash, tenant, store, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(code_hash(&code).to_vec())
    .bind(tenant.bytes().to_vec())
    .bind(store.bytes().to_vec())
    .bind(now)
    .bind(now + CODE_LASTS)
    .execute(&mut *deed)
    .await?;
    deed.audit("enrol_code.made", &store.to_string()).await?;
    deed.commit("stores.make_code").await?;
    Ok(format!("{}-{}", &code[..5], &code[5..]))
}

/// Trades a code for a place. The same code with the same key again gives the same place.
///
/// # Errors
/// `malformed` when key or proof are wrong, `enrol_code_invalid` for every other reason, all alike.
pub async fn enrol(app: &App, request: &EnrolRequest) -> Result<EnrolResponse, ApiError> {
    let Some(key) = request.verified_key() else {
        return Err(ApiError::detailed(
            Code::Malformed,
            "the public key or the proof of holding it is wrong",
        ));
    };
    // One line, as those that people give a device here.
    let name: String = visible(&clean(&request.name).replace(['\n', '\t'], " "))
        .chars()
        .take(NAME_CHARACTERS)
        .collect();
    let now = app.clock.now();
    let hash = code_hash(&request.code);
    // A guess costs a read; the writer is for codes that exist.
    let known = sqlx::query("SELECT 1 FROM enrol_codes WHERE code_hash = $1").bind(hash.to_vec());
    if known
        .fetch_optional(app.db.reader())
        .await
        .map_err(DbError::from)?
        .is_none()
    {
        return Err(ApiError::new(Code::EnrolCodeInvalid));
    }
    let mut lease = app.db.lease().await?;
    let mut transaction = lease.begin().await.map_err(ApiError::from)?;
    let row = sqlx::query("SELECT tenant, store, expires_at, device FROM enrol_codes WHERE code_hash = $1")
        .bind(hash.to_vec())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(DbError::from)?;
    let refused = || ApiError::new(Code::EnrolCodeInvalid);
    let row = row.ok_or_else(refused)?;
    let tenant = batch::id(&row, "tenant", TenantId::from_bytes)?;
    let store = batch::id(&row, "store", StoreId::from_bytes)?;
    let expires_at: Millis = row.try_get("expires_at").map_err(DbError::from)?;
    let actor = Actor::of(tenant, "device");
    let mut deed = Deed::new(transaction, app.random.as_ref(), actor, now);
    let place = rows::place(&mut deed, tenant, store).await?;
    let used_by = batch::id_or_null(&row, "device", DeviceId::from_bytes)?;
    let device = match used_by {
        Some(device) => {
            let known = http::device_key(&mut deed, tenant, device).await?;
            if known.is_none_or(|(_, known, _)| known != key.to_bytes()) {
                return Err(refused());
            }
            device
        }
        None if now >= expires_at => return Err(refused()),
        None => {
            let random = clock::bytes(app.random.as_ref()).map_err(|_| ApiError::internal())?;
            let device = DeviceId::placed(place, now, random);
            let used = sqlx::query("UPDATE enrol_codes SET device = $1 WHERE code_hash = $2 AND device IS NULL")
                .bind(device.bytes().to_vec())
                .bind(hash.to_vec())
                .execute(&mut *deed)
                .await
                .map_err(DbError::from)?;
            if used.rows_affected() != 1 {
                return Err(refused());
            }
            rows::insert_device(&mut deed, tenant, device, store, &name, &key.to_bytes(), now).await?;
            deed.audit("device.enrolled", &device.to_string()).await?;
            device
        }
    };
    let store = rows::load_stores(&mut deed, tenant, &[store])
        .await?
        .pop()
        .ok_or_else(ApiError::internal)?;
    let known = rows::load_devices(&mut deed, tenant, &[device], "")
        .await?
        .pop()
        .ok_or_else(ApiError::internal)?;
    let history_id = db::history_of(&mut deed, tenant).await?;
    deed.commit("stores.enrol").await?;
    Ok(EnrolResponse {
        tenant,
        store: store.store,
        device,
        epoch: known.epoch,
        history_id,
        server_time: now,
        place,
    })
}
