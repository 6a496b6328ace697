//! What a person decides about a device. Another process may serve it meanwhile: conditional updates decide.

use counterfoil_domain::{
    ids::{DeviceId, StoreId, TenantId},
    transition::{Device, DeviceStatus},
    words::Word,
};
use ed25519_dalek::VerifyingKey;

use super::rows;
use crate::{
    clock::{Clock, Random},
    db::{Db, DbError, batch::id},
    deed::{Actor, AdminError, Deed, check_name, taken},
};

/// A device after a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// How it stands.
    pub status: DeviceStatus,
    /// Epoch of its journal.
    pub epoch: i64,
    /// False when it stood so before.
    pub changed: bool,
}

/// Revokes a device for ever: what it still delivers is quarantined.
///
/// # Errors
/// [`AdminError`].
pub async fn revoke(db: &Db, clock: &dyn Clock, random: &dyn Random, device: DeviceId) -> Result<Decided, AdminError> {
    decide(db, clock, random, device, "device.revoked", |device| {
        if device.status == DeviceStatus::Revoked {
            return Ok(false);
        }
        device.status = DeviceStatus::Revoked;
        Ok(true)
    })
    .await
}

/// Lets a device whose journal forked go on in a new epoch. The head of the old one stays: what the device has not
/// delivered of it is quarantined.
///
/// # Errors
/// [`AdminError::DeviceStatus`] when its journal has not forked.
pub async fn new_epoch(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    device: DeviceId,
) -> Result<Decided, AdminError> {
    decide(db, clock, random, device, "device.new_epoch", |device| {
        match device.status {
            DeviceStatus::Active => Err(AdminError::DeviceStatus {
                status: device.status.as_str(),
                hint: "only a device whose journal has forked, or has a hole (--damaged), needs a new epoch",
            }),
            _ => begin_epoch(device),
        }
    })
    .await
}

/// The same for a device that lost a part of its journal before that was delivered: head office waits in vain for what
/// is missing, and what follows it could not be delivered otherwise.
///
/// # Errors
/// [`AdminError::DeviceStatus`] when it is revoked.
pub async fn new_epoch_of_damaged(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    device: DeviceId,
) -> Result<Decided, AdminError> {
    decide(db, clock, random, device, "device.new_epoch", begin_epoch).await
}

fn begin_epoch(device: &mut Device) -> Result<bool, AdminError> {
    if device.status == DeviceStatus::Revoked {
        return Err(AdminError::DeviceStatus {
            status: device.status.as_str(),
            hint: "enrol it anew with `device enrol-code`",
        });
    }
    device.status = DeviceStatus::Active;
    device.epoch += 1;
    device.last_seq = 0;
    Ok(true)
}

/// A device that this database has lost: it was enrolled after the backup that the database was restored from.
#[derive(Debug, Clone)]
pub struct LostDevice<'a> {
    /// Its id, as its own `doctor` says it.
    pub id: DeviceId,
    /// Where it stands.
    pub store: StoreId,
    /// Its public key in hex, as its own `doctor` says it.
    pub public_key: &'a str,
    /// What people call it.
    pub name: &'a str,
}

/// Takes such a device up again. Its journal is expected from its first operation on, and it has all of it: it is
/// younger than the backup, and delivered operations are kept for 90 days.
///
/// # Errors
/// [`AdminError::Taken`] when the device is known, [`AdminError::Malformed`] when the key is none.
pub async fn readmit(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    tenant: TenantId,
    lost: &LostDevice<'_>,
) -> Result<Decided, AdminError> {
    check_name("name", lost.name)?;
    let mut key = [0u8; 32];
    hex::decode_to_slice(lost.public_key.trim(), &mut key)
        .ok()
        .and_then(|()| VerifyingKey::from_bytes(&key).ok())
        .filter(|key| !key.is_weak())
        .ok_or_else(|| {
            AdminError::malformed("public-key", "64 hexadecimal digits, as the counter's doctor says them")
        })?;
    let now = clock.now();
    let mut lease = db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), now);
    rows::insert_device(&mut deed, tenant, lost.id, lost.store, lost.name, &key, now)
        .await
        .map_err(|error| taken(error, "device", &lost.id.to_string()))?;
    let detail = lost.id.to_string();
    deed.audit("device.readmitted", &detail).await?;
    deed.commit("admin.readmit").await?;
    Ok(Decided {
        status: DeviceStatus::Active,
        epoch: 1,
        changed: true,
    })
}

async fn decide(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    device: DeviceId,
    action: &'static str,
    change: impl Fn(&mut Device) -> Result<bool, AdminError>,
) -> Result<Decided, AdminError> {
    let mut lease = db.lease().await?;
    let mut transaction = lease.begin().await?;
    let tenant = sqlx::query("SELECT tenant FROM devices WHERE id = $1")
        .bind(device.bytes().to_vec())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(DbError::from)?
        .map(|row| id(&row, "tenant", TenantId::from_bytes))
        .transpose()?
        .ok_or_else(|| AdminError::NotFound(format!("there is no device {device}")))?;
    let mut deed = Deed::new(transaction, random, Actor::admin(tenant), clock.now());
    // Locked, so that the version can't change between this read and the update.
    let lock = db.dialect().lock_suffix();
    let mut found = rows::load_devices(&mut deed, tenant, &[device], lock)
        .await?
        .pop()
        .ok_or(DbError::Decode { column: "id" })?;
    let loaded = found.version;
    let changed = change(&mut found)?;
    if changed {
        found.version += 1;
        let updated = sqlx::query(
            "UPDATE devices SET status = $1, epoch = $2, last_seq = $3, version = $4 WHERE tenant = $5 AND id = $6 AND version = $7",
        )
        .bind(found.status.as_str().to_owned())
        .bind(found.epoch)
        .bind(found.last_seq)
        .bind(found.version)
        .bind(tenant.bytes().to_vec())
        .bind(device.bytes().to_vec())
        .bind(loaded)
        .execute(&mut *deed)
        .await
        .map_err(DbError::from)?
        .rows_affected();
        if updated != 1 {
            return Err(DbError::RowCount {
                table: "devices",
                expected: 1,
                found: updated,
            }
            .into());
        }
        let detail = device.to_string();
        deed.audit(action, &detail).await?;
        deed.commit("admin.decide").await?;
    }
    Ok(Decided {
        status: found.status,
        epoch: found.epoch,
        changed,
    })
}
