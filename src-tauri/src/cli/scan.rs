//! `counterfoil scan FILE...`

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use counterfoil_scan::{Effort, PictureError, PictureLimits, Symbol, decode_with};
use serde::Serialize;

use super::Ending;

/// Find the codes in pictures and print one JSON line for each picture.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  counterfoil scan coupon.png shelf.jpg\n\nFormats: QRCode MicroQRCode RMQRCode DataMatrix EAN13 EAN8 UPCA UPCE Code128 Code39 ITF.\nA UPC-A code is reported as the EAN13 that it is, with a leading 0."
)]
pub struct ScanArgs {
    /// PNG or JPEG files, at most 25 MB and 80 megapixels each
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Line {
    file: String,
    symbols: Vec<Symbol>,
    /// Reading the file and finding the codes, milliseconds.
    ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Scans the files in order; one that can't be read doesn't keep the others from being scanned.
pub fn scan(files: &[PathBuf], out: &mut dyn Write) -> Ending {
    let limits = PictureLimits::default();
    let mut ending = Ending::Done;
    for file in files {
        let start = Instant::now();
        let result = read(file, &limits).and_then(|bytes| {
            decode_with(&bytes, &limits, Effort::Thorough).map_err(|error| (error.code(), error.to_string()))
        });
        let ms = (start.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
        let (symbols, error, detail) = match result {
            Ok(symbols) => (symbols, None, None),
            Err((code, detail)) => {
                ending = Ending::BadInput;
                (Vec::new(), Some(code), Some(detail))
            }
        };
        let line = Line {
            file: file.display().to_string(),
            symbols,
            ms,
            error,
            detail,
        };
        let written = serde_json::to_writer(&mut *out, &line)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out));
        if written.and_then(|()| out.flush()).is_err() {
            return Ending::Failed;
        }
    }
    ending
}

/// Reads no more than the limit, whatever the file says of its size: it may be a pipe or a device.
fn read(file: &Path, limits: &PictureLimits) -> Result<Vec<u8>, (&'static str, String)> {
    let unreadable = |error: io::Error| ("file_unreadable", error.to_string());
    let mut bytes = Vec::new();
    File::open(file)
        .map_err(unreadable)?
        .take(limits.max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > limits.max_bytes {
        let error = PictureError::TooLarge {
            actual: bytes.len() as u64,
            limit: limits.max_bytes,
            unit: "bytes",
        };
        return Err((error.code(), error.to_string()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use counterfoil_scan::render::{QrStyle, png};
    use serde_json::Value;

    use super::*;

    fn lines(files: &[PathBuf]) -> (Vec<Value>, Ending) {
        let mut out = Vec::new();
        let ending = scan(files, &mut out);
        let text = String::from_utf8(out).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines, ending)
    }

    #[test]
    fn a_line_for_every_file_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("code.png"), png("12345607", &QrStyle::default()).unwrap()).unwrap();
        fs::write(at("text.png"), "no picture").unwrap();
        fs::write(at("large.png"), vec![0; 40_000_000]).unwrap();

        let (lines, ending) = lines(&[at("text.png"), at("none.png"), at("large.png"), at("code.png")]);
        assert_eq!(ending, Ending::BadInput);
        assert_eq!(lines[0]["error"], "picture_unreadable");
        assert_eq!(lines[1]["error"], "file_unreadable");
        assert_eq!(lines[2]["error"], "picture_too_large");
        let code = &lines[3];
        assert!(code.get("error").is_none() && code["ms"].is_number());
        assert!(code["file"].as_str().unwrap().ends_with("code.png"));
        assert_eq!(code["symbols"][0]["format"], "QRCode");
        assert_eq!(code["symbols"][0]["text"], "12345607");
        assert_eq!(code["symbols"][0]["corners"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn a_picture_without_a_code_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("white.png");
        // A picture of one white pixel.
        let white = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU\x00\x00\x00\x0aIDATx\x9cc\xf8\x0f\x00\x01\x01\x01\x00\xb18\xf6\x14\x00\x00\x00\x00IEND\xaeB`\x82";
        fs::write(&file, white).unwrap();
        let (lines, ending) = lines(&[file]);
        assert_eq!(ending, Ending::Done);
        assert_eq!(lines[0]["symbols"], Value::Array(Vec::new()));
    }

    #[test]
    fn a_closed_pipe_ends_it() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert_eq!(scan(&[PathBuf::from("none.png")], &mut Closed), Ending::Failed);
    }
}
