//! The one camera that is open, if any, and what the last symbol was.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use counterfoil_scan::frames::{self, CameraError, Folder, FrameSource, preview};
use counterfoil_scan::{Effort, find};

use crate::picture::Read;
use crate::problem::{Problem, Result};

/// Names a folder of pictures that counts as one more camera, for machines without one.
pub const FOLDER_VARIABLE: &str = "COUNTERFOIL_CAMERA_FOLDER";
const FOLDER_INDEX: u32 = 1_000;
/// The screen asks again at once, so that it can also close the camera in between.
const WAIT: Duration = Duration::from_millis(400);

type Source = Arc<Mutex<Box<dyn FrameSource>>>;

/// What one look through the camera gave.
#[derive(Debug, Default)]
pub struct Seen {
    /// A small JPEG as a data address.
    pub preview: Option<String>,
    /// The first symbol in it.
    pub symbol: Option<Read>,
}

/// The camera of the window.
#[derive(Default)]
pub struct Viewfinder {
    source: Mutex<Option<Source>>,
}

impl std::fmt::Debug for Viewfinder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Viewfinder").finish_non_exhaustive()
    }
}

fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from)
}

/// What there is to choose from. Blocks.
pub fn cameras() -> Result<Vec<(u32, String)>> {
    let mut list: Vec<_> = match frames::cameras() {
        Ok(cameras) => cameras.into_iter().map(|camera| (camera.index, camera.name)).collect(),
        Err(error) if folder().is_none() => return Err(error.into()),
        Err(_) => Vec::new(),
    };
    if let Some(folder) = folder() {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        list.push((FOLDER_INDEX, name.unwrap_or_else(|| "folder".to_owned())));
    }
    Ok(list)
}

impl Viewfinder {
    fn slot(&self) -> MutexGuard<'_, Option<Source>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a camera in place of the one before. Blocks until it runs or refuses.
    pub fn open(&self, index: u32) -> Result<()> {
        self.close();
        let source: Box<dyn FrameSource> = match folder() {
            Some(folder) if index == FOLDER_INDEX => Box::new(Folder::open(&folder)?),
            _ => Box::new(frames::Camera::open(index)?),
        };
        *self.slot() = Some(Arc::new(Mutex::new(source)));
        Ok(())
    }

    /// Lets the camera go. Blocks until the device is free, or a second has passed.
    pub fn close(&self) {
        let source = self.slot().take();
        drop(source);
    }

    /// The newest frame, and the code in it. Blocks for at most half a second or so.
    pub fn look(&self) -> Result<Seen> {
        let source = self
            .slot()
            .clone()
            .ok_or_else(|| Problem::from(CameraError::Failed("it is not open".to_owned())))?;
        let frame = source.lock().unwrap_or_else(PoisonError::into_inner).newest(WAIT)?;
        let Some(frame) = frame else {
            return Ok(Seen::default());
        };
        let picture = BASE64_STANDARD.encode(preview(&frame)?);
        let symbol = find(&frame.grey, Effort::Quick).into_iter().next().map(Read::from);
        Ok(Seen {
            preview: Some(format!("data:image/jpeg;base64,{picture}")),
            symbol,
        })
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_scan::frames::Still;
    use counterfoil_scan::render::{QrStyle, picture};

    use super::*;

    #[test]
    fn a_frame_gives_its_preview_and_its_code() {
        let viewfinder = Viewfinder::default();
        assert_eq!(viewfinder.look().unwrap_err().code, "camera_failed");
        let still = Still::new(picture("40718826", &QrStyle::default()).unwrap());
        *viewfinder.slot() = Some(Arc::new(Mutex::new(Box::new(still))));
        let seen = viewfinder.look().unwrap();
        assert_eq!(seen.symbol.unwrap().text, "40718826");
        assert!(seen.preview.unwrap().starts_with("data:image/jpeg;base64,/9j/"));
        viewfinder.close();
        assert!(viewfinder.look().is_err());
    }

    #[test]
    fn a_camera_that_is_not_there_is_said() {
        assert_eq!(
            Viewfinder::default().open(4_000_000).unwrap_err().code,
            "camera_unavailable"
        );
    }
}
