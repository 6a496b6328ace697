//! Where a counter's database is: its folder, its file, and what is taken away again when it can't be opened.

use std::{
    fs::{File, OpenOptions},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::{FILE_NAME, Fault};
use crate::error::{Error, Result};

/// Held while a process opens the database.
const OPENING: &str = "open.lock";
/// What SQLite keeps beside the database's file while it is open.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What was not there before somebody tried to open a database.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Innermost last.
    folders: Vec<PathBuf>,
    file: Option<PathBuf>,
    lock: Option<PathBuf>,
}

impl Made {
    /// Makes what is missing of folder and file.
    pub(super) fn make(&mut self, folder: &Path) -> Result<()> {
        let missing: Vec<PathBuf> = folder
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .map(Path::to_owned)
            .collect();
        self.folders.extend(missing.into_iter().rev());
        make_folder(folder)?;
        let path = folder.join(FILE_NAME);
        if make_file(&path)? {
            self.file = Some(path);
        }
        Ok(())
    }

    /// Opens the file whose lock is held while the database is opened.
    pub(super) fn lock(&mut self, folder: &Path) -> Result<(PathBuf, File)> {
        let path = folder.join(OPENING);
        let was_there = path.exists();
        let file = lock_file(&path)?;
        if !was_there {
            self.lock = Some(path.clone());
        }
        Ok((path, file))
    }

    /// Takes it away again. A folder in which there is something else stays.
    pub(super) fn take_away(self) {
        let files = self.file.into_iter().flat_map(|file| {
            BESIDE.into_iter().chain([""]).map(move |suffix| {
                let mut name = file.as_os_str().to_owned();
                name.push(suffix);
                PathBuf::from(name)
            })
        });
        for file in files.chain(self.lock) {
            if let Err(error) = std::fs::remove_file(&file)
                && error.kind() != ErrorKind::NotFound
            {
                tracing::warn!(%error, file = %file.display(), "this file is left behind");
            }
        }
        for folder in self.folders.iter().rev() {
            match std::fs::remove_dir(folder) {
                Ok(()) => {}
                // It could not be made.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidFilename) => {}
                Err(_) => return,
            }
        }
    }
}

/// A file's name as SQLite reads nothing else into it: `file:` before a name would make it a URI.
pub(crate) fn as_a_file(path: &Path) -> PathBuf {
    if path.is_relative() {
        Path::new(".").join(path)
    } else {
        path.to_owned()
    }
}

/// Opens a file for its lock only.
pub(crate) fn lock_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    private(&mut options);
    options.open(path).map_err(|error| read_only_or(error, path))
}

fn read_only_or(error: std::io::Error, path: &Path) -> Error {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Error::database(Fault::ReadOnly, format!("{}: {error}", path.display()))
        }
        _ => Error::file(format!("opening {}", path.display()))(error),
    }
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}
#[cfg(not(unix))]
fn private(_options: &mut OpenOptions) {}

/// Makes the data folder, for its owner only.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder).map_err(|error| read_only_or(error, folder))
}

/// SQLite's log and index take the mode of the database's file, so it is made here. True when it was.
///
/// One that is marked as read-only is left alone: SQLite would make an index beside it with the same mark, and that would
/// still be in the way once the file can be written.
fn make_file(path: &Path) -> Result<bool> {
    if let Ok(found) = std::fs::metadata(path) {
        return match found.permissions().readonly() {
            true => Err(Error::database(
                Fault::ReadOnly,
                format!("{} is read-only", path.display()),
            )),
            false => Ok(false),
        };
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    match options.open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(read_only_or(error, path)),
    }
}
