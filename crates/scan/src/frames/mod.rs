//! Where frames come from: a camera, a folder of pictures, a still. All are read the same way, so that what is done
//! with frames can be tested on machines without a camera.

mod camera;
mod luma;

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::time::Duration;

use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, ImageEncoder};
use thiserror::Error;

pub use camera::{Camera, CameraInfo, cameras};
pub use luma::{LumaError, luma};

use crate::picture::{PictureLimits, load};
use crate::prepare;

/// Widest preview, pixels.
const PREVIEW_WIDTH: u32 = 480;
const PREVIEW_QUALITY: u8 = 60;

/// One grey picture of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub grey: GrayImage,
    /// Counts up from 0; numbers that nobody asked for in time are skipped.
    pub number: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Error, strum::IntoStaticStr, strum::VariantNames)]
pub enum CameraError {
    /// There is no such camera, or it can't be opened (taken by another program, no permission).
    #[error("no camera to read from: {0}")]
    #[strum(serialize = "camera_unavailable")]
    Unavailable(String),
    /// It was opened, but gives no frames, or none that can be read.
    #[error("the camera stopped: {0}")]
    #[strum(serialize = "camera_failed")]
    Failed(String),
}

impl CameraError {
    /// Stable code for programs and for the sentence shown to people.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// Something that gives frames.
pub trait FrameSource: Send {
    /// The newest frame that was not given out yet, waiting at most so long for one. `None`: nothing new in that time.
    fn newest(&mut self, wait: Duration) -> Result<Option<Frame>, CameraError>;
}

/// The same picture for ever.
#[derive(Debug)]
pub struct Still {
    grey: GrayImage,
    next: u64,
}

impl Still {
    pub fn new(grey: GrayImage) -> Self {
        Still { grey, next: 0 }
    }
}

impl FrameSource for Still {
    fn newest(&mut self, _wait: Duration) -> Result<Option<Frame>, CameraError> {
        let number = self.next;
        self.next += 1;
        Ok(Some(Frame {
            grey: self.grey.clone(),
            number,
        }))
    }
}

/// The PNG and JPEG files of a folder by name, once; then nothing new.
#[derive(Debug)]
pub struct Folder {
    files: std::vec::IntoIter<PathBuf>,
    next: u64,
}

impl Folder {
    pub fn open(folder: &Path) -> Result<Self, CameraError> {
        let list = || -> io::Result<Vec<PathBuf>> {
            let mut files = Vec::new();
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                let extension = path.extension().map(|e| e.to_ascii_lowercase());
                if extension.is_some_and(|e| e == "png" || e == "jpg" || e == "jpeg") {
                    files.push(path);
                }
            }
            files.sort();
            Ok(files)
        };
        let files = list().map_err(|error| CameraError::Unavailable(error.to_string()))?;
        Ok(Folder {
            files: files.into_iter(),
            next: 0,
        })
    }
}

impl FrameSource for Folder {
    fn newest(&mut self, _wait: Duration) -> Result<Option<Frame>, CameraError> {
        let Some(file) = self.files.next() else {
            return Ok(None);
        };
        let failed = |error: String| CameraError::Failed(format!("{}: {error}", file.display()));
        let bytes = fs::read(&file).map_err(|error| failed(error.to_string()))?;
        let grey = load(&bytes, &PictureLimits::default()).map_err(|error| failed(error.to_string()))?;
        let number = self.next;
        self.next += 1;
        Ok(Some(Frame { grey, number }))
    }
}

/// A small grey JPEG of a frame for the viewfinder, at most 480 pixels wide.
pub fn preview(frame: &Frame) -> Result<Vec<u8>, CameraError> {
    let (width, height) = frame.grey.dimensions();
    let small;
    let grey = if width > PREVIEW_WIDTH {
        let scaled = u64::from(height) * u64::from(PREVIEW_WIDTH) / u64::from(width);
        small = prepare::shrink(&frame.grey, PREVIEW_WIDTH, (scaled as u32).max(1));
        &small
    } else {
        &frame.grey
    };
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, PREVIEW_QUALITY)
        .write_image(grey.as_raw(), grey.width(), grey.height(), image::ExtendedColorType::L8)
        .map_err(|error| CameraError::Failed(error.to_string()))?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    #[test]
    fn previews_are_small_pictures() {
        for (width, height, expected) in [(1280, 720, (480, 270)), (320, 240, (320, 240)), (5000, 1, (480, 1))] {
            let grey = GrayImage::from_pixel(width, height, Luma([90]));
            let bytes = preview(&Frame { grey, number: 0 }).unwrap();
            let read = load(&bytes, &PictureLimits::default()).unwrap();
            assert_eq!(read.dimensions(), expected);
            assert!(read.pixels().all(|p| p.0[0].abs_diff(90) < 4));
        }
    }

    #[test]
    fn a_still_goes_on_and_a_folder_ends() {
        let grey = GrayImage::from_pixel(3, 2, Luma([7]));
        let mut still = Still::new(grey.clone());
        for number in 0..3 {
            assert_eq!(still.newest(Duration::ZERO).unwrap().unwrap().number, number);
        }

        let folder = tempfile::tempdir().unwrap();
        grey.save(folder.path().join("b.png")).unwrap();
        GrayImage::from_pixel(1, 1, Luma([1]))
            .save(folder.path().join("a.PNG"))
            .unwrap();
        fs::write(folder.path().join("c.txt"), "not a picture").unwrap();
        fs::write(folder.path().join("d.jpg"), "not a picture either").unwrap();
        let mut source = Folder::open(folder.path()).unwrap();
        assert_eq!(source.newest(Duration::ZERO).unwrap().unwrap().grey.width(), 1);
        assert_eq!(source.newest(Duration::ZERO).unwrap().unwrap().grey, grey);
        assert_eq!(source.newest(Duration::ZERO).unwrap_err().code(), "camera_failed");
        assert_eq!(source.newest(Duration::ZERO).unwrap(), None);
        assert_eq!(
            Folder::open(&folder.path().join("none")).unwrap_err().code(),
            "camera_unavailable"
        );
    }
}
