//! SQLite's write-ahead log, read as a power cut leaves it (<https://www.sqlite.org/fileformat2.html#walformat>).

use std::path::{Path, PathBuf};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The whole log beside a database.
pub struct Log {
    bytes: Vec<u8>,
    page: usize,
}

/// The file that the log of this database is in.
pub fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// How long the log of this database is by now.
pub fn length(database: &Path) -> usize {
    usize::try_from(std::fs::metadata(beside(database)).unwrap().len()).unwrap()
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().unwrap())
}

impl Log {
    /// Reads the log of a database that no process writes.
    pub fn read(database: &Path) -> Self {
        let bytes = std::fs::read(beside(database)).unwrap();
        let page = usize::try_from(word(&bytes[8..12])).unwrap();
        Self { bytes, page }
    }

    /// Where each commit ends.
    pub fn commits(&self) -> Vec<usize> {
        let salts = &self.bytes[16..24];
        self.bytes[HEADER..]
            .chunks_exact(self.frame())
            .enumerate()
            // What follows is left from before the log began anew.
            .take_while(|(_, frame)| &frame[8..16] == salts)
            // Only the last frame of a transaction says how large the database is.
            .filter(|(_, frame)| word(&frame[4..8]) > 0)
            .map(|(n, _)| HEADER + (n + 1) * self.frame())
            .collect()
    }

    /// How many bytes a frame takes.
    pub fn frame(&self) -> usize {
        FRAME_HEADER + self.page
    }

    /// What is left when so many bytes had reached the disk.
    pub fn cut(&self, at: usize) -> Vec<u8> {
        self.bytes[..at].to_vec()
    }

    /// What is left when so many bytes had reached the disk, without the sector in the middle of the last frame: disks
    /// write in no order.
    pub fn torn(&self, at: usize) -> Vec<u8> {
        let mut bytes = self.cut(at);
        let middle = at - self.page / 2;
        bytes[middle..middle + 512].fill(0);
        bytes
    }
}
