//! Who this counter is: one row, written at enrolment, and how far it has read.

use std::collections::BTreeSet;

use counterfoil_domain::{
    ids::{DeviceId, HistoryId, Place, TenantId},
    offline::ClockState,
    people::Store,
    time::{Millis, SECOND},
    transition::DeviceStatus,
    words::Word,
};
use counterfoil_protocol::{
    enrolment::EnrolResponse,
    sync::{Cursor, reader},
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use crate::{
    db::{Database, Fault},
    error::{Error, Result},
};

/// So many epochs may have been opened since this counter last heard of one.
const MOST_EPOCHS_MISSED: i64 = 100;
/// End of the year 9999: no clock of a head office is there.
const LATEST: Millis = 253_402_300_799_999;

/// What a clock of head office says, if it can be so.
fn believed(server_time: Millis) -> Option<Millis> {
    (0..=LATEST).contains(&server_time).then_some(server_time)
}

/// The row.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The chain.
    pub tenant: TenantId,
    /// The shop.
    pub store: Store,
    /// This device.
    pub device: DeviceId,
    /// Head office's address.
    pub address: String,
    /// Epoch of the journal that new operations go to.
    pub epoch: i64,
    /// As head office last said.
    pub device_status: DeviceStatus,
    /// The history that the cursor belongs to.
    pub history_id: HistoryId,
    /// How far the feeds were read.
    pub cursor: Cursor,
    /// Under which generation they are read.
    pub generation: i64,
    /// Whether that generation is not complete yet.
    pub resyncing: bool,
    /// Latest time ever seen.
    pub clock_high_water: Millis,
    /// Last complete pull, by this device's clock.
    pub last_pull: Option<Millis>,
    /// Last answer of any kind, by this device's clock.
    pub last_contact: Option<Millis>,
    /// This device's clock minus head office's.
    pub skew: Option<Millis>,
    /// Head office's clock when last heard.
    pub server_time: Millis,
    /// The store's place, as it was told at enrolment.
    pub place: Place,
}

impl Identity {
    /// The clock for the offline rules.
    pub fn clock(&self, now: Millis) -> ClockState {
        ClockState {
            now,
            high_water: self.clock_high_water,
            last_pull: self.last_pull,
            skew: self.skew,
        }
    }

    /// Head office's time as this device knows it: what validity is judged by and requests are signed with.
    pub fn true_time(&self, now: Millis) -> Millis {
        now.saturating_sub(self.skew.unwrap_or(0))
    }
}

const COLUMNS: &str = "SELECT tenant, store, device, address, epoch, device_status, history_id, tenant_seq, tenant_mark, \
     store_seq, store_mark, generation, resyncing, clock_high_water, last_pull, last_contact, skew, server_time, place \
     FROM identity";

fn read(row: &SqliteRow) -> Result<Identity> {
    let status: String = row.try_get(5)?;
    Ok(Identity {
        tenant: TenantId::from_bytes(row.try_get(0)?)?,
        store: serde_json::from_str(row.try_get(1)?)?,
        device: DeviceId::from_bytes(row.try_get(2)?)?,
        address: row.try_get(3)?,
        epoch: row.try_get(4)?,
        device_status: DeviceStatus::parse(&status)
            .ok_or_else(|| Error::database(Fault::Corrupt, format!("device status {status}")))?,
        history_id: HistoryId::from_bytes(row.try_get(6)?)?,
        cursor: Cursor {
            tenant_seq: row.try_get(7)?,
            tenant_mark: row.try_get(8)?,
            store_seq: row.try_get(9)?,
            store_mark: row.try_get(10)?,
        },
        generation: row.try_get(11)?,
        resyncing: row.try_get::<i64, _>(12)? != 0,
        clock_high_water: row.try_get(13)?,
        last_pull: row.try_get(14)?,
        last_contact: row.try_get(15)?,
        skew: row.try_get(16)?,
        server_time: row.try_get(17)?,
        place: Place::try_from(row.try_get::<i64, _>(18)?)
            .map_err(|error| Error::database(Fault::Corrupt, error.to_string()))?,
    })
}

/// The row, if the counter is enrolled.
pub async fn find(db: &mut SqliteConnection) -> Result<Option<Identity>> {
    sqlx::query(COLUMNS)
        .fetch_optional(db)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// The row of a counter that must be enrolled.
pub async fn load(db: &mut SqliteConnection) -> Result<Identity> {
    find(db).await?.ok_or(Error::NotEnrolled)
}

/// Writes the row at enrolment.
pub async fn create(db: &mut SqliteConnection, address: &str, place: &EnrolResponse, now: Millis) -> Result<()> {
    let server_time = believed(place.server_time).unwrap_or(now);
    sqlx::query(
        "INSERT INTO identity (one, tenant, store, device, address, epoch, device_status, history_id, \
         clock_high_water, last_contact, skew, server_time, place) \
         VALUES (1, ?, ?, ?, ?, ?, 'active', ?, ?, ?, ?, ?, ?)",
    )
    .bind(place.tenant.bytes().as_slice())
    .bind(serde_json::to_string(&place.store)?)
    .bind(place.device.bytes().as_slice())
    .bind(address)
    .bind(next_epoch(1, place.epoch))
    .bind(place.history_id.bytes().as_slice())
    .bind(now)
    .bind(now)
    .bind(now.saturating_sub(server_time))
    .bind(server_time)
    .bind(place.place.number())
    .execute(db)
    .await?;
    Ok(())
}

/// Head office was heard: what its clock says, and that ours is what it is.
pub async fn heard(db: &mut SqliteConnection, now: Millis, server_time: Millis) -> Result<()> {
    let Some(server_time) = believed(server_time) else {
        sqlx::query("UPDATE identity SET last_contact = ?")
            .bind(now)
            .execute(db)
            .await?;
        return Ok(());
    };
    // Head office's clock vouches for ours: a jump forward that was put right must not bar the counter for years.
    sqlx::query("UPDATE identity SET last_contact = ?1, skew = ?2, server_time = ?3, clock_high_water = ?1")
        .bind(now)
        .bind(now.saturating_sub(server_time))
        .bind(server_time)
        .execute(db)
        .await?;
    Ok(())
}

/// The clock's mark moves forward only, and not for every little step: each costs a statement.
pub async fn saw_time(db: &mut SqliteConnection, who: &Identity, now: Millis) -> Result<()> {
    if now.saturating_sub(who.clock_high_water) < SECOND {
        return Ok(());
    }
    sqlx::query("UPDATE identity SET clock_high_water = ?1 WHERE clock_high_water < ?1")
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// The epoch that this device goes on in when head office names one: a later one, but not one so late that nobody could
/// ever open a later one still. Head office opens one at a time, and this counter may have missed some.
pub fn next_epoch(own: i64, named: i64) -> i64 {
    if named > own.saturating_add(MOST_EPOCHS_MISSED) {
        tracing::error!(
            own,
            named,
            "head office names an epoch that can't be: this counter stays in its own"
        );
        return own;
    }
    own.max(named)
}

/// What head office says of this device. A later epoch is one that a person opened after a fork.
pub async fn set_device(db: &mut SqliteConnection, status: DeviceStatus, epoch: i64) -> Result<()> {
    sqlx::query(
        "UPDATE identity SET device_status = ?1, epoch = MAX(epoch, ?2) WHERE device_status <> ?1 OR epoch < ?2",
    )
    .bind(status.as_str())
    .bind(epoch)
    .execute(db)
    .await?;
    Ok(())
}

/// Moves the cursor at the end of a page.
pub async fn set_cursor(db: &mut SqliteConnection, cursor: &Cursor) -> Result<()> {
    sqlx::query("UPDATE identity SET tenant_seq = ?, tenant_mark = ?, store_seq = ?, store_mark = ?")
        .bind(cursor.tenant_seq)
        .bind(cursor.tenant_mark)
        .bind(cursor.store_seq)
        .bind(cursor.store_mark)
        .execute(db)
        .await?;
    Ok(())
}

/// Rows of these kinds were passed by that do not read here.
pub async fn note_unread(db: &mut SqliteConnection, kinds: &[String]) -> Result<()> {
    for kind in kinds.iter().collect::<BTreeSet<_>>() {
        sqlx::query(
            "INSERT INTO unread (entity, reader) VALUES (?1, ?2) ON CONFLICT (entity) DO UPDATE SET reader = ?2",
        )
        .bind(kind)
        .bind(reader())
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// The kinds of rows that were passed by since the feeds were last read from zero.
pub async fn unread(db: &mut SqliteConnection) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar("SELECT entity FROM unread ORDER BY entity")
        .fetch_all(db)
        .await?)
}

/// Whether rows were passed by that another program could not read: this one may.
async fn may_read_more(db: &mut SqliteConnection) -> Result<bool> {
    Ok(
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM unread WHERE reader <> ?)")
            .bind(reader())
            .fetch_one(db)
            .await?,
    )
}

/// At the start of a program: reads everything again, where an earlier program passed by what this one may understand.
pub async fn read_what_was_unread(db: &Database) -> Result<()> {
    if !may_read_more(&mut *db.read().await?).await? {
        return Ok(());
    }
    let mut writer = db.write().await;
    let mut tx = writer.begin().await?;
    // Another process of the same folder may have been first.
    if may_read_more(&mut tx).await?
        && let Some(who) = find(&mut tx).await?
    {
        tracing::info!("this program may understand rows that the last one could not: everything is read again");
        begin_resync(&mut tx, who.history_id).await?;
        tx.commit("unread").await?;
    }
    Ok(())
}

/// Begins to read the feeds from zero, under a new generation. What could not be read is met again.
pub async fn begin_resync(db: &mut SqliteConnection, history: HistoryId) -> Result<()> {
    sqlx::query("DELETE FROM unread").execute(&mut *db).await?;
    sqlx::query(
        "UPDATE identity SET history_id = ?, tenant_seq = 0, tenant_mark = 0, store_seq = 0, store_mark = 0, \
         generation = generation + 1, resyncing = 1",
    )
    .bind(history.bytes().as_slice())
    .execute(db)
    .await?;
    Ok(())
}

/// The feeds are read to their end.
pub async fn pulled_all(db: &mut SqliteConnection, now: Millis) -> Result<()> {
    sqlx::query("UPDATE identity SET last_pull = ?, resyncing = 0")
        .bind(now)
        .execute(db)
        .await?;
    Ok(())
}

/// The store's own name changed.
pub async fn set_store(db: &mut SqliteConnection, store: &Store) -> Result<()> {
    sqlx::query("UPDATE identity SET store = ?")
        .bind(serde_json::to_string(store)?)
        .execute(db)
        .await?;
    Ok(())
}
