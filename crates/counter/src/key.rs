//! The device's private key, in a file beside the database.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

use crate::{
    ambient::{Random, random_bytes},
    error::{Error, Result},
};

/// Name of the private key's file in the data folder.
pub const KEY_FILE: &str = "device.key";

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
pub(crate) fn make_key(folder: &Path, random: &dyn Random) -> Result<SigningKey> {
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
