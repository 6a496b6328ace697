//! A site on this machine that hears what it is sent.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Heard = Arc<Mutex<Vec<(HashMap<String, String>, String)>>>;

/// A site on this machine: keeps what it is sent, and answers what it is told to.
pub(super) struct Site {
    pub(super) url: String,
    heard: Heard,
    answer: Arc<Mutex<(u16, String)>>,
}

pub(super) async fn a_site() -> Site {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let heard = Heard::default();
    let answer = Arc::new(Mutex::new((200, "{}".to_owned())));
    let site = Site {
        url,
        heard: Arc::clone(&heard),
        answer: Arc::clone(&answer),
    };
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = Vec::new();
            let mut buffer = [0u8; 4096];
            let (headers, body) = loop {
                let count = stream.read(&mut buffer).await.unwrap();
                text.extend_from_slice(&buffer[..count]);
                let all = String::from_utf8_lossy(&text).into_owned();
                if let Some((head, body)) = all.split_once("\r\n\r\n") {
                    let headers: HashMap<String, String> = head
                        .lines()
                        .skip(1)
                        .filter_map(|line| line.split_once(": "))
                        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                        .collect();
                    let length: usize = headers["content-length"].parse().unwrap();
                    if body.len() >= length {
                        break (headers, body.to_owned());
                    }
                }
                assert!(count > 0);
            };
            heard.lock().unwrap().push((headers, body));
            let (status, answer) = answer.lock().unwrap().clone();
            let location = if (300..400).contains(&status) {
                "location: http://127.0.0.1:1/elsewhere\r\n"
            } else {
                ""
            };
            let reply = format!(
                "HTTP/1.1 {status} x\r\n{location}content-length: {}\r\nconnection: close\r\n\r\n{answer}",
                answer.len()
            );
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    site
}

impl Site {
    pub(super) fn answers(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }
    pub(super) fn heard(&self) -> Vec<(HashMap<String, String>, String)> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}
