//! How long a still takes, on a folder of pictures that somebody names: each upright and turned three times, and read as
//! `counterfoil scan` reads it.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use counterfoil_scan::{Effort, PictureLimits, decode_with};
use image::{DynamicImage, ImageFormat};

use crate::report;

/// All pictures of the folder and of the folders in it.
fn pictures(folder: &Path, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))? {
        let path = entry?.path();
        let kind = path.extension().and_then(|kind| kind.to_str());
        if path.is_dir() {
            pictures(&path, into)?;
        } else if matches!(kind, Some("png" | "jpg" | "jpeg")) {
            into.push(path);
        }
    }
    Ok(())
}

fn turned(picture: &DynamicImage) -> [DynamicImage; 4] {
    [
        picture.clone(),
        picture.rotate90(),
        picture.rotate180(),
        picture.rotate270(),
    ]
}

/// Prints the times of a still, and in how many of them something was read.
pub fn measure(folder: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    pictures(folder, &mut files)?;
    files.sort();
    let mut times: Vec<Duration> = Vec::new();
    let mut read = 0;
    for file in &files {
        let picture = image::open(file).with_context(|| format!("{} can't be read", file.display()))?;
        for turned in turned(&picture) {
            let mut bytes = Cursor::new(Vec::new());
            turned.write_to(&mut bytes, ImageFormat::Png)?;
            let begun = Instant::now();
            let found = decode_with(bytes.get_ref(), &PictureLimits::default(), Effort::Thorough)?;
            times.push(begun.elapsed());
            read += usize::from(!found.is_empty());
        }
    }
    anyhow::ensure!(!times.is_empty(), "there are no pictures in {}", folder.display());
    times.sort_unstable();
    let stills = times.len() as u64;
    let at = |share: f64| times[((times.len() as f64 * share) as usize).min(times.len() - 1)].as_secs_f64() * 1e3;
    report("pictures.still.p50", at(0.5), "ms", "lower", stills);
    report("pictures.still.p99", at(0.99), "ms", "lower", stills);
    report("pictures.still.longest", at(1.0), "ms", "lower", stills);
    report("pictures.read", read as f64, "stills", "higher", stills);
    Ok(())
}
