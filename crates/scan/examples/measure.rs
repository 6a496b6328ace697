//! Measures decoding on folders of pictures, each turned four ways:
//! `cargo run -p counterfoil-scan --example measure -- DIR...`
//!
//! `N.png` or `N.jpg` counts as read when one of its symbols has the text of `N.txt` (or the bytes of `N.bin` as
//! Latin-1 or UTF-8). A picture without either must have no symbol. Prints one JSON line a folder; with `-v` as the
//! first argument also what was missed and what was read otherwise.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use counterfoil_scan::{Effort, PictureLimits, find, load};
use image::imageops::{rotate90, rotate180, rotate270};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    let verbose = arguments.next_if(|argument| argument == "-v").is_some();
    for folder in arguments {
        measure(Path::new(&folder), verbose)?;
    }
    Ok(())
}

fn measure(folder: &Path, verbose: bool) -> Result<(), Box<dyn Error>> {
    let mut files: Vec<_> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "png" || extension == "jpg")
        })
        .collect();
    files.sort();

    let (mut pictures, mut read, mut other) = (0, 0, 0);
    let mut times: Vec<Duration> = Vec::new();
    for file in files {
        let expected: Vec<String> = fs::read_to_string(file.with_extension("txt"))
            .ok()
            .into_iter()
            .chain(fs::read(file.with_extension("bin")).into_iter().flat_map(|bytes| {
                [
                    bytes.iter().map(|&byte| char::from(byte)).collect(),
                    String::from_utf8_lossy(&bytes).into_owned(),
                ]
            }))
            .collect();
        let grey = load(&fs::read(&file)?, &PictureLimits::default())?;
        let turned = [grey.clone(), rotate90(&grey), rotate180(&grey), rotate270(&grey)];
        for (picture, degrees) in turned.iter().zip([0, 90, 180, 270]) {
            let start = Instant::now();
            let found = find(picture, Effort::Thorough);
            times.push(start.elapsed());
            pictures += 1;
            let name = file.display();
            if found.iter().any(|symbol| expected.contains(&symbol.text)) {
                read += 1;
            } else if verbose && !expected.is_empty() {
                println!("missed {name} at {degrees}");
            }
            for symbol in found {
                if !expected.contains(&symbol.text) {
                    other += 1;
                    if verbose {
                        println!("other {name} at {degrees}: {} {:?}", symbol.format, symbol.text);
                    }
                }
            }
        }
    }
    times.sort();
    let milliseconds = |part: usize| {
        times
            .get(times.len() * part / 100)
            .map_or(0.0, |t| t.as_secs_f64() * 1e3)
    };
    println!(
        r#"{{"folder": {:?}, "pictures": {pictures}, "read": {read}, "other": {other}, "p50_ms": {:.1}, "p99_ms": {:.1}}}"#,
        folder.display().to_string(),
        milliseconds(50),
        milliseconds(99),
    );
    Ok(())
}
