//! `counterfoil qr TEXT --out FILE`

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use counterfoil_scan::render::{QrStyle, RenderError, png, svg};
use serde_json::json;

use super::Ending;

/// Draw a text as a QR code.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  counterfoil qr 12345607 --out pickup.png")]
pub struct QrArgs {
    /// The text, at most 2,331 bytes
    pub text: String,
    /// Where to write it; the ending says how: .png or .svg. An existing file is replaced
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Side of one module in pixels, e.g. --module 4 for a small picture
    #[arg(long, default_value_t = QrStyle::default().module, value_name = "N")]
    pub module: u32,
}

impl QrArgs {
    pub fn style(&self) -> QrStyle {
        QrStyle {
            module: self.module,
            ..QrStyle::default()
        }
    }
}

/// Draws the text, writes the file and prints one JSON line: `{"file", "bytes"}`.
pub fn qr(text: &str, file: &Path, style: &QrStyle, out: &mut dyn Write, messages: &mut dyn Write) -> Ending {
    let bytes = match draw(text, file, style) {
        Ok(bytes) => bytes,
        Err(message) => {
            let _ = writeln!(messages, "counterfoil qr: {message}");
            return Ending::BadInput;
        }
    };
    if let Err(error) = fs::write(file, &bytes) {
        let _ = writeln!(messages, "counterfoil qr: {}: {error}", file.display());
        return Ending::Failed;
    }
    let line = json!({ "file": file.display().to_string(), "bytes": bytes.len() });
    match writeln!(out, "{line}") {
        Ok(()) => Ending::Done,
        Err(_) => Ending::Failed,
    }
}

fn draw(text: &str, file: &Path, style: &QrStyle) -> Result<Vec<u8>, String> {
    let ending = file
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    let refused = |error: RenderError| format!("{} ({})", error, error.code());
    match ending.as_deref() {
        Some("png") => png(text, style).map_err(refused),
        Some("svg") => svg(text, style).map(String::into_bytes).map_err(refused),
        _ => Err("--out must end in .png or .svg".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_scan::decode;

    use super::*;

    fn run(text: &str, file: &Path) -> (Ending, String, String) {
        let (mut out, mut messages) = (Vec::new(), Vec::new());
        let ending = qr(text, file, &QrStyle::default(), &mut out, &mut messages);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (ending, text(out), text(messages))
    }

    #[test]
    fn what_it_writes_can_be_scanned() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("code.PNG");
        let (ending, out, messages) = run("券 100120260712345678", &file);
        assert_eq!((ending, messages.as_str()), (Ending::Done, ""));
        assert!(out.ends_with("}\n") && out.contains("code.PNG"));
        assert_eq!(
            decode(&fs::read(&file).unwrap()).unwrap()[0].text,
            "券 100120260712345678"
        );

        let file = folder.path().join("code.svg");
        assert_eq!(run("12345607", &file).0, Ending::Done);
        assert!(fs::read_to_string(&file).unwrap().contains("<svg"));
    }

    #[test]
    fn what_cannot_be_drawn_is_said_and_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for (text, name) in [
            ("1", "code.gif"),
            ("1", "code"),
            ("", "code.png"),
            (&"x".repeat(3_000), "code.svg"),
        ] {
            let (ending, out, messages) = run(text, &folder.path().join(name));
            assert_eq!((ending, out.as_str()), (Ending::BadInput, ""));
            assert!(messages.starts_with("counterfoil qr: "));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(run("1", &folder.path().join("no/such/folder.png")).0, Ending::Failed);
    }
}
