//! One HTTP/1.1 message, as bytes: enough to know where it ends.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

const HEAD_ENDS: &[u8] = b"\r\n\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Reads a whole message; `None` when the other side closed between two of them.
pub async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    let head = loop {
        if let Some(at) = find(&message, HEAD_ENDS) {
            break at + HEAD_ENDS.len();
        }
        if more(from, &mut message).await? == 0 {
            return if message.is_empty() { Ok(None) } else { Err(cut()) };
        }
    };
    let lines = String::from_utf8_lossy(&message[..head]).to_ascii_lowercase();
    let header = |name: &str| {
        lines
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    if header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        while !message[head..].ends_with(LAST_CHUNK) {
            if more(from, &mut message).await? == 0 {
                return Err(cut());
            }
        }
        return Ok(Some(message));
    }
    let length: usize = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while message.len() < head + length {
        if more(from, &mut message).await? == 0 {
            return Err(cut());
        }
    }
    Ok(Some(message))
}

async fn more(from: &mut (impl AsyncRead + Unpin), message: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 16 * 1024];
    let count = from.read(&mut buffer).await?;
    message.extend_from_slice(&buffer[..count]);
    Ok(count)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn cut() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
