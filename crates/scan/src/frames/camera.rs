//! The machine's cameras. A camera can't move between threads, so each one lives in a thread of its own, which keeps
//! only the newest frame: decoding is slower than the camera, and an old frame helps nobody.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nokhwa::utils::{CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType};

use super::luma::luma;
use super::{CameraError, Frame, FrameSource};

const OPENING: Duration = Duration::from_secs(8);
const CLOSING: Duration = Duration::from_secs(1);
/// Cameras give a few broken frames while they warm up; this many in a row are a fault.
const BROKEN_FRAMES: u32 = 30;

/// What `luma` can read.
const FORMATS: [FrameFormat; 6] = [
    FrameFormat::MJPEG,
    FrameFormat::YUYV,
    FrameFormat::NV12,
    FrameFormat::GRAY,
    FrameFormat::RAWRGB,
    FrameFormat::RAWBGR,
];

/// A camera as people choose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraInfo {
    pub index: u32,
    pub name: String,
}

/// The cameras of this machine by index; an empty list when there are none.
pub fn cameras() -> Result<Vec<CameraInfo>, CameraError> {
    ask_permission();
    let backend = nokhwa::native_api_backend()
        .ok_or_else(|| CameraError::Unavailable("no camera system for this platform".to_owned()))?;
    let mut cameras: Vec<CameraInfo> = catch_unwind(|| nokhwa::query(backend))
        .unwrap_or_else(|_| Err(nokhwa::NokhwaError::GeneralError("the list failed".to_owned())))
        .map_err(|error| CameraError::Unavailable(error.to_string()))?
        .iter()
        .filter_map(|camera| {
            Some(CameraInfo {
                index: camera.index().as_index().ok()?,
                name: camera.human_name(),
            })
        })
        .collect();
    cameras.sort_by_key(|camera| camera.index);
    Ok(cameras)
}

/// macOS wants to be asked before anything else; elsewhere this does nothing.
fn ask_permission() {
    if !nokhwa::nokhwa_check() {
        nokhwa::nokhwa_initialize(|granted| tracing::debug!(granted, "camera permission"));
    }
}

/// An open camera. Dropping it stops the camera.
#[derive(Debug)]
pub struct Camera {
    shared: Arc<Shared>,
    closed: Receiver<()>,
}

#[derive(Debug, Default)]
struct Shared {
    slot: Mutex<Slot>,
    news: Condvar,
    stop: AtomicBool,
}

#[derive(Debug, Default)]
struct Slot {
    frame: Option<Frame>,
    /// Why there will be no more.
    end: Option<CameraError>,
}

impl Shared {
    /// The slot is whole at every moment, so a thread that died holding it left nothing half done.
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, frame: Frame) {
        self.slot().frame = Some(frame);
        self.news.notify_all();
    }

    fn end(&self, error: CameraError) {
        self.slot().end.get_or_insert(error);
        self.news.notify_all();
    }

    fn newest(&self, wait: Duration) -> Result<Option<Frame>, CameraError> {
        let deadline = Instant::now() + wait;
        let mut slot = self.slot();
        loop {
            if let Some(frame) = slot.frame.take() {
                return Ok(Some(frame));
            }
            if let Some(error) = &slot.end {
                return Err(error.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            (slot, _) = self
                .news
                .wait_timeout(slot, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Camera {
    /// Opens the camera of that index and waits until it runs or refuses.
    pub fn open(index: u32) -> Result<Self, CameraError> {
        if !cameras()?.iter().any(|camera| camera.index == index) {
            return Err(CameraError::Unavailable(format!("there is no camera {index}")));
        }
        Self::run(move |opened, shared| capture(index, &opened, &shared))
    }

    fn run(
        work: impl FnOnce(SyncSender<Result<(), CameraError>>, Arc<Shared>) + Send + 'static,
    ) -> Result<Self, CameraError> {
        let shared = Arc::new(Shared::default());
        let (opened, answer) = mpsc::sync_channel(1);
        let (closing, closed) = mpsc::sync_channel::<()>(1);
        let inside = Arc::clone(&shared);
        thread::Builder::new()
            .name("camera".to_owned())
            .spawn(move || {
                // Dropped when the thread ends, however it ends.
                let _closing = closing;
                let _ended = EndOnDrop(Arc::clone(&inside));
                work(opened, inside);
            })
            .map_err(|error| CameraError::Unavailable(error.to_string()))?;
        let camera = Camera { shared, closed };
        match answer.recv_timeout(OPENING) {
            Ok(Ok(())) => Ok(camera),
            Ok(Err(error)) => Err(error),
            Err(RecvTimeoutError::Timeout) => Err(CameraError::Failed("it did not open in time".to_owned())),
            Err(RecvTimeoutError::Disconnected) => Err(CameraError::Failed("its driver gave up".to_owned())),
        }
    }
}

impl FrameSource for Camera {
    fn newest(&mut self, wait: Duration) -> Result<Option<Frame>, CameraError> {
        self.shared.newest(wait)
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wait for the device to be free again, but not for a driver that hangs: its thread is left behind.
        let _ = self.closed.recv_timeout(CLOSING);
    }
}

struct EndOnDrop(Arc<Shared>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end(CameraError::Failed("its driver gave up".to_owned()));
    }
}

fn capture(index: u32, opened: &SyncSender<Result<(), CameraError>>, shared: &Shared) {
    let mut camera = match start(index) {
        Ok(camera) => camera,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    let _ = opened.send(Ok(()));
    let mut number = 0;
    let mut broken = 0;
    while !shared.stop.load(Ordering::Relaxed) {
        let frame = camera
            .frame()
            .map_err(|error| error.to_string())
            .and_then(|buffer| luma(&buffer).map_err(|error| error.to_string()));
        match frame {
            Ok(grey) => {
                broken = 0;
                shared.put(Frame { grey, number });
                number += 1;
            }
            Err(error) => {
                broken += 1;
                tracing::debug!(%error, broken, "a camera frame was lost");
                if broken == BROKEN_FRAMES {
                    shared.end(CameraError::Failed(error));
                    break;
                }
                // A device that was pulled out answers at once, again and again.
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
    if let Err(error) = camera.stop_stream() {
        tracing::debug!(%error, "the camera did not stop cleanly");
    }
}

/// Asks for 1280x720 or near it, enough for a code at arm's length, then for whatever the camera has.
fn start(index: u32) -> Result<nokhwa::Camera, CameraError> {
    let near = |width, height, format| RequestedFormatType::Closest(CameraFormat::new_from(width, height, format, 30));
    let wishes = [
        near(1280, 720, FrameFormat::MJPEG),
        near(1280, 720, FrameFormat::YUYV),
        near(640, 480, FrameFormat::YUYV),
        near(640, 480, FrameFormat::MJPEG),
        RequestedFormatType::None,
    ];
    let mut refusal = String::new();
    for wish in wishes {
        let request = RequestedFormat::with_formats(wish, &FORMATS);
        let opened = nokhwa::Camera::new(CameraIndex::Index(index), request)
            .and_then(|mut camera| camera.open_stream().map(|()| camera));
        match opened {
            Ok(camera) => return Ok(camera),
            Err(error) => refusal = error.to_string(),
        }
    }
    Err(CameraError::Unavailable(refusal))
}

#[cfg(test)]
mod tests {
    use image::GrayImage;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    fn frame(number: u64) -> Frame {
        Frame {
            grey: GrayImage::new(1, 1),
            number,
        }
    }

    #[test]
    fn a_camera_that_is_not_there_is_unavailable() {
        let error = Camera::open(4_000_000).map(|_| ()).unwrap_err();
        assert_eq!(error.code(), "camera_unavailable");
    }

    #[test]
    fn only_the_newest_frame_is_kept() {
        let (done, wait) = mpsc::sync_channel(0);
        let mut camera = Camera::run(move |opened, shared| {
            opened.send(Ok(())).unwrap();
            (0..50).for_each(|number| shared.put(frame(number)));
            done.send(()).unwrap();
            while !shared.stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
        })
        .unwrap();
        wait.recv_timeout(LONG).unwrap();
        assert_eq!(camera.newest(LONG).unwrap().unwrap().number, 49);
        assert_eq!(camera.newest(Duration::from_millis(5)).unwrap(), None);
    }

    #[test]
    fn dropping_stops_the_thread() {
        let (told, stopped) = mpsc::sync_channel(1);
        let camera = Camera::run(move |opened, shared| {
            opened.send(Ok(())).unwrap();
            while !shared.stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            told.send(()).unwrap();
        })
        .unwrap();
        drop(camera);
        stopped.recv_timeout(LONG).unwrap();
    }

    #[test]
    fn a_refusal_and_a_driver_that_dies_are_told_apart() {
        let refused = Camera::run(|opened, _| {
            opened.send(Err(CameraError::Unavailable("busy".to_owned()))).unwrap();
        });
        assert_eq!(refused.map(|_| ()).unwrap_err().code(), "camera_unavailable");

        let died = Camera::run(|opened, _| drop(opened));
        assert_eq!(died.map(|_| ()).unwrap_err().code(), "camera_failed");

        let mut later = Camera::run(|opened, shared| {
            opened.send(Ok(())).unwrap();
            shared.put(frame(0));
        })
        .unwrap();
        assert_eq!(later.newest(LONG).unwrap().unwrap().number, 0);
        assert_eq!(later.newest(LONG).unwrap_err().code(), "camera_failed");
    }
}
