//! Disks that are set back to older copies, and copies that live on.

use anyhow::Result;
use counterfoil_domain::{ids::OperationId, time::DAY};
use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::Kind;
use crate::{
    base::{FILE, till_folder},
    step::Making,
    world::{World, copy_folder, replace_folder},
};

/// The word of the faults.
const RESTORE: &str = "restore";

/// Head office's database is copied away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackUp;

impl Kind for BackUp {
    const WEIGHT: u32 = 4;
    const FAULT: Option<&'static str> = Some(RESTORE);

    fn make(_: &mut Making<'_>, _: usize) -> Self {
        Self
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let Some(app) = world.app() else {
            return Ok("down".into());
        };
        let copy = world.folder.path().join("backup.db");
        if copy.exists() {
            std::fs::remove_file(&copy)?;
        }
        let sql = format!("VACUUM INTO '{}'", copy.display());
        let mut reader = app.db.reader().acquire().await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *reader).await?;
        world.backup = Some(world.time.now());
        Ok(String::new())
    }
}

/// Head office's database is replaced by the last copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore;

impl Kind for Restore {
    const WEIGHT: u32 = 3;
    const FAULT: Option<&'static str> = Some(RESTORE);

    fn make(_: &mut Making<'_>, _: usize) -> Self {
        Self
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        // Counters keep what they delivered for 90 days: an older backup has lost something for good.
        let recent = world.backup.is_some_and(|at| world.time.now() - at < 80 * DAY);
        if !recent {
            return Ok("no backup".into());
        }
        world.stop_office().await;
        for ending in ["", "-wal", "-shm"] {
            let file = world.folder.path().join(format!("{FILE}{ending}"));
            if file.exists() {
                std::fs::remove_file(file)?;
            }
        }
        std::fs::copy(world.folder.path().join("backup.db"), world.office_file())?;
        world.office_doom.revive();
        world.net.forget_outcomes();
        world.asked.clear();
        world.restored += 1;
        world.unsettled += 1;
        // The backup is of the history that was then.
        world.history = None;
        world.count("restore_office");
        world.start_office().await?;
        Ok("restored".into())
    }
}

fn copy_of(world: &World, place: usize) -> std::path::PathBuf {
    world.folder.path().join(format!("copy-{place}"))
}

/// A counter's folder is copied away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyTill {
    till: usize,
}

impl Kind for CopyTill {
    const WEIGHT: u32 = 5;
    const FAULT: Option<&'static str> = Some(RESTORE);

    fn make(_: &mut Making<'_>, till: usize) -> Self {
        Self { till }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let place = self.till % world.tills.len();
        if world.tills[place].retired {
            return Ok("retired".into());
        }
        world.stop_till(place).await?;
        let to = copy_of(world, place);
        if to.exists() {
            std::fs::remove_dir_all(&to)?;
        }
        copy_folder(&world.tills[place].folder, &to)?;
        world.tills[place].copied = Some(world.tills[place].done.iter().copied().collect());
        world.start_till(place).await?;
        Ok(String::new())
    }
}

/// A counter's folder is replaced by its last copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTillBack {
    till: usize,
}

impl Kind for SetTillBack {
    const WEIGHT: u32 = 2;
    const FAULT: Option<&'static str> = Some(RESTORE);

    fn make(_: &mut Making<'_>, till: usize) -> Self {
        Self { till }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let place = self.till % world.tills.len();
        let Some(copied) = world.tills[place].copied.clone() else {
            return Ok("no copy".into());
        };
        if world.tills[place].retired {
            return Ok("retired".into());
        }
        world.stop_till(place).await?;
        // What was on that disk alone is gone with it.
        let lost = pending(&world.tills[place].folder).await?;
        world.gone.extend(lost);
        replace_folder(&copy_of(world, place), &world.tills[place].folder)?;
        let since: Vec<OperationId> = world.tills[place]
            .done
            .iter()
            .filter(|operation| !copied.contains(operation))
            .copied()
            .collect();
        world.fragile.extend(since);
        world.tills[place].done.retain(|operation| copied.contains(operation));
        world.tills[place].torn = true;
        world.count("restore_till");
        world.start_till(place).await?;
        Ok("set back".into())
    }
}

/// The operations of a counter's folder that wait to be delivered.
async fn pending(folder: &std::path::Path) -> Result<Vec<OperationId>> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("counter.sqlite"));
    let mut db = sqlx::ConnectOptions::connect(&options).await?;
    let rows = sqlx::query("SELECT op_id FROM journal WHERE state = 'pending' ORDER BY epoch, seq")
        .fetch_all(&mut db)
        .await?;
    sqlx::Connection::close(db).await?;
    rows.iter()
        .map(|row| Ok(OperationId::from_bytes(&row.try_get::<Vec<u8>, _>(0)?)?))
        .collect()
}

/// A counter's folder is copied onto another machine, which works as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clone {
    till: usize,
}

impl Kind for Clone {
    const WEIGHT: u32 = 2;
    const FAULT: Option<&'static str> = Some("clone");

    fn make(_: &mut Making<'_>, till: usize) -> Self {
        Self { till }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let place = self.till % world.tills.len();
        // Two at most: each is a whole counter.
        if world.tills[place].retired || world.tills.len() > 9 {
            return Ok("no".into());
        }
        world.stop_till(place).await?;
        let to = till_folder(world.folder.path(), world.tills.len());
        copy_folder(&world.tills[place].folder, &to)?;
        let store = world.tills[place].store;
        let done = world.tills[place].done.clone();
        world.start_till(place).await?;
        let twin = world.add_till(to, store).await?;
        world.tills[twin].done = done;
        world.tills[place].torn = true;
        world.tills[twin].torn = true;
        world.count("clone");
        Ok(format!("{twin} is a copy of {place}"))
    }
}
