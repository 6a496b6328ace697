//! A new counter trades a one-time code for its place in a store.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use counterfoil_protocol::{
    enrolment::{EnrolRequest, EnrolResponse},
    paths,
};
use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::{
    Inner,
    ambient::{Random, random_bytes},
    db,
    error::{Error, Result},
    http::{Failure, parse_address},
    identity,
};

/// Name of the private key's file in the data folder.
pub const KEY_FILE: &str = "device.key";
const TIMEOUT: Duration = Duration::from_secs(10);
/// A lost answer is asked for again: the same code and key get the same answer.
const TRIES: u32 = 3;

fn key_path(folder: &Path) -> PathBuf {
    folder.join(KEY_FILE)
}

/// The device's private key, if it has one.
pub fn load_key(folder: &Path) -> Result<Option<SigningKey>> {
    let path = key_path(folder);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(format!("reading {}", path.display()))(error)),
    };
    let mut bytes = Zeroizing::new([0u8; 32]);
    hex::decode_to_slice(text.trim(), bytes.as_mut_slice()).map_err(|error| Error::Key(error.to_string()))?;
    Ok(Some(SigningKey::from_bytes(&bytes)))
}

/// Makes a key and brings it safely to disk, whole or not at all, before anybody hears of it.
fn make_key(folder: &Path, random: &dyn Random) -> Result<SigningKey> {
    let bytes = Zeroizing::new(random_bytes::<32>(random)?);
    let path = key_path(folder);
    let fresh = folder.join("device.key.new");
    let written = (|| {
        let _ = std::fs::remove_file(&fresh);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut file = options.open(&fresh)?;
        file.write_all(Zeroizing::new(hex::encode(*bytes)).as_bytes())?;
        file.sync_all()?;
        drop(file);
        std::fs::rename(&fresh, &path)?;
        sync_folder(folder)
    })();
    written.map_err(Error::file(format!("writing {}", path.display())))?;
    Ok(SigningKey::from_bytes(&bytes))
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Enrols this counter.
pub(crate) async fn enrol(inner: &Arc<Inner>, address: &str, code: &str, name: &str) -> Result<()> {
    let url = parse_address(address)?;
    if identity::find(&mut *inner.db.read().await?).await?.is_some() {
        return Err(Error::AlreadyEnrolled);
    }
    db::make_folder(&inner.folder)?;
    let key = match load_key(&inner.folder)? {
        Some(key) => key,
        None => make_key(&inner.folder, &*inner.random)?,
    };
    let request = EnrolRequest {
        code: code.trim().to_owned(),
        public_key: hex::encode(key.verifying_key().to_bytes()),
        proof: EnrolRequest::prove(code, &key),
        name: name.to_owned(),
        app_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut tries = 1;
    let place: EnrolResponse = loop {
        match inner.http.post_unsigned(&url, paths::ENROL, &request, TIMEOUT).await {
            Ok(place) => break place,
            Err(Failure::Unanswered(why)) if why.may_have_arrived() && tries < TRIES => tries += 1,
            Err(failure) => return Err(failure.into()),
        }
    };
    let mut writer = inner.db.write().await;
    let mut tx = writer.begin().await?;
    if identity::find(&mut tx).await?.is_some() {
        return Err(Error::AlreadyEnrolled);
    }
    identity::create(&mut tx, url.as_str(), &place, inner.clock.now()).await?;
    tx.commit("enrol").await?;
    drop(writer);
    inner.set_key(key);
    tracing::info!(device = %place.device, store = %place.store.code, "enrolled");
    inner.wake.notify_one();
    inner.changed();
    Ok(())
}
