//! `counterfoil quote FILE`

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use counterfoil_domain::settlement::{document, quote};
use counterfoil_domain::text::without_mark;
use serde_json::json;

use super::Ending;

/// Largest document read; one with every line, coupon and list full is far smaller.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Work out what a basket costs with its coupons and points, and print one JSON line.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  counterfoil quote basket.json\n  counterfoil quote --lines baskets.jsonl\n  cat basket.json | counterfoil quote -"
)]
pub struct QuoteArgs {
    /// A JSON document; - reads standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// One document on each line, e.g. --lines baskets.jsonl; a bad one gets an error as its answer, and the others
    /// are answered
    #[arg(long)]
    pub lines: bool,
}

/// Answers every document of the file, or of standard input, on a line of its own.
pub fn run(args: &QuoteArgs, input: &mut dyn BufRead, out: &mut dyn Write) -> Ending {
    let mut file;
    let input: &mut dyn BufRead = if args.file == Path::new("-") {
        input
    } else {
        match File::open(&args.file) {
            Ok(opened) => {
                file = BufReader::new(opened);
                &mut file
            }
            Err(error) => return unreadable(&error, out),
        }
    };
    let end = if args.lines { Some(b'\n') } else { None };
    let mut ending = Ending::Done;
    loop {
        let document = match next(input, end) {
            Ok(Some(document)) => document,
            Ok(None) => return ending,
            Err(error) => return unreadable(&error, out),
        };
        if args.lines && !document.too_large && without_mark(&document.text).trim_ascii().is_empty() {
            continue;
        }
        let (line, answered) = answer(&document);
        if !answered {
            ending = Ending::BadInput;
        }
        if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
            return Ending::Failed;
        }
        if !args.lines {
            return ending;
        }
    }
}

struct Document {
    text: Vec<u8>,
    too_large: bool,
}

/// The next document: up to the end of its line, or of the input. What is beyond the limit is read past, not kept.
fn next(input: &mut dyn BufRead, end: Option<u8>) -> io::Result<Option<Document>> {
    let mut text = Vec::new();
    let mut limited = (&mut *input).take(MAX_BYTES + 1);
    match end {
        Some(end) => limited.read_until(end, &mut text)?,
        None => limited.read_to_end(&mut text)?,
    };
    if end.is_some() && text.is_empty() {
        return Ok(None);
    }
    let too_large = text.len() as u64 > MAX_BYTES;
    if too_large
        && let Some(end) = end
        && text.last() != Some(&end)
    {
        input.skip_until(end)?;
    }
    Ok(Some(Document { text, too_large }))
}

/// The answer, and whether it is one.
fn answer(document: &Document) -> (String, bool) {
    if document.too_large {
        let message = format!("expected a document of at most {MAX_BYTES} bytes");
        return (error("too_large", "$", &message), false);
    }
    let answer = document::read(&document.text).and_then(|basket| quote(&basket));
    match answer {
        Ok(answer) => match serde_json::to_string(&answer) {
            Ok(line) => (line, true),
            Err(failed) => (error("internal", "$", &failed.to_string()), false),
        },
        Err(refused) => (error(refused.code, &refused.path, &refused.message), false),
    }
}

fn error(code: &str, path: &str, message: &str) -> String {
    json!({"error": {"code": code, "path": path, "message": message}}).to_string()
}

fn unreadable(failed: &io::Error, out: &mut dyn Write) -> Ending {
    let line = error(
        "file_unreadable",
        "$",
        &format!("expected a file that can be read: {failed}"),
    );
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => Ending::BadInput,
        Err(_) => Ending::Failed,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::*;

    const BASKET: &str = r#"{"currency": "CNY", "at": "2026-11-11T12:00:00+08:00",
        "lines": [{"id": "1", "sku": "A", "unit_price": 1000, "quantity": 1}],
        "coupons": [{"id": "c", "status": "available", "rule": {"kind": "amount_off", "amount": 100}}]}"#;

    fn quoted(file: &Path, lines: bool, input: &[u8]) -> (Vec<Value>, Ending) {
        let mut out = Vec::new();
        let file = file.to_owned();
        let ending = run(&QuoteArgs { file, lines }, &mut &*input, &mut out);
        let text = String::from_utf8(out).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines, ending)
    }

    #[test]
    fn one_document_from_a_file_or_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("basket.json");
        fs::write(&file, BASKET).unwrap();
        for (file, input) in [(file.as_path(), ""), (Path::new("-"), BASKET)] {
            let (lines, ending) = quoted(file, false, input.as_bytes());
            assert_eq!((lines.len(), ending), (1, Ending::Done));
            assert_eq!(lines[0]["payable"], 900);
        }
    }

    #[test]
    fn a_bad_line_does_not_keep_the_others_from_being_answered() {
        let good = BASKET.replace('\n', " ");
        let wrong = good.replace("\"quantity\": 1", "\"quantity\": 0");
        let input = format!("{good}\n{{\n\n{wrong}\r\n{good}");
        let (lines, ending) = quoted(Path::new("-"), true, input.as_bytes());
        assert_eq!((lines.len(), ending), (4, Ending::BadInput));
        assert_eq!((&lines[0]["payable"], &lines[3]["payable"]), (&json!(900), &json!(900)));
        assert_eq!(lines[1]["error"]["code"], "malformed");
        assert_eq!(lines[2]["error"]["path"], "$.lines[0].quantity");
        assert!(lines[2]["error"]["message"].is_string());
    }

    #[test]
    fn a_byte_order_mark_before_a_document_is_skipped() {
        let marked = format!("\u{feff}{}", BASKET.replace('\n', " "));
        let (lines, ending) = quoted(Path::new("-"), false, marked.as_bytes());
        assert_eq!((&lines[0]["payable"], ending), (&json!(900), Ending::Done));
        // Files with a mark each, put one behind the other.
        let input = format!("{marked}\r\n{marked}\n\u{feff}\r\n");
        let (lines, ending) = quoted(Path::new("-"), true, input.as_bytes());
        assert_eq!((lines.len(), ending), (2, Ending::Done));
        assert!(lines.iter().all(|line| line["payable"] == 900));
        // Two are not one.
        let (lines, ending) = quoted(Path::new("-"), false, format!("\u{feff}{marked}").as_bytes());
        assert_eq!(
            (&lines[0]["error"]["code"], ending),
            (&json!("malformed"), Ending::BadInput)
        );
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let folder = tempfile::tempdir().unwrap();
        for (file, lines, input, code) in [
            (folder.path().join("none.json"), false, Vec::new(), "file_unreadable"),
            (folder.path().to_owned(), true, Vec::new(), "file_unreadable"),
            ("-".into(), false, Vec::new(), "malformed"),
            ("-".into(), false, b"{}\n{}".to_vec(), "malformed"),
            ("-".into(), true, b"\xff".to_vec(), "malformed"),
            ("-".into(), true, vec![b' '; 17 << 20], "too_large"),
        ] {
            let (answers, ending) = quoted(&file, lines, &input);
            assert_eq!((answers.len(), ending), (1, Ending::BadInput), "{code}");
            assert_eq!(answers[0]["error"]["code"], code);
            assert_eq!(answers[0]["error"]["path"], "$");
        }
    }
}
