//! A line to a head office in memory: real HTTP, as many questions at once as are asked.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize},
};

use counterfoil_domain::transition::{AskFreeze, CancelFreeze, Subject};
use counterfoil_protocol::{
    paths,
    questions::{FreezeRequest, FreezeResponse, LookupResponse},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Barrier,
};

use super::*;

/// The line, and what was asked over it.
#[derive(Debug)]
pub struct Line {
    pub office: Mutex<HeadOffice>,
    /// `POST /v1/freezes`, ...
    pub asked: Mutex<Vec<String>>,
    /// Questions about these are never answered.
    pub deaf: Mutex<Vec<Subject>>,
    /// Questions under way, and the most there were at once.
    pub at_once: AtomicUsize,
    pub most: AtomicUsize,
    /// Freezes are answered when so many are there.
    pub together: Mutex<Option<Arc<Barrier>>>,
    pub broken: AtomicBool,
}

impl Line {
    /// A line between this shop and this head office.
    pub async fn of(shop: &Shop, office: HeadOffice) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let mut writer = shop.inner.db.write().await;
        let mut tx = writer.begin().await.unwrap();
        sqlx::query("UPDATE identity SET address = ?")
            .bind(address)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit("test").await.unwrap();
        let line = Arc::new(Self {
            office: Mutex::new(office),
            asked: Mutex::default(),
            deaf: Mutex::default(),
            at_once: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            together: Mutex::default(),
            broken: AtomicBool::new(false),
        });
        let served = Arc::clone(&line);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let served = Arc::clone(&served);
                tokio::spawn(async move { served.serve(stream).await });
            }
        });
        line
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut text = String::new();
        let mut buffer = [0; 8192];
        loop {
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            if read == 0 {
                return;
            }
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() < length {
                continue;
            }
            let first = head.lines().next().unwrap().to_owned();
            let body = body.to_owned();
            text.clear();
            self.asked
                .lock()
                .unwrap()
                .push(first.trim_end_matches(" HTTP/1.1").to_owned());
            let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            let answer = self.answer(&first, &body).await;
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            let Some(answer) = answer else {
                // Whoever asked gives up first.
                std::future::pending::<()>().await;
                return;
            };
            let answer = answer.to_string();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, first: &str, body: &str) -> Option<Value> {
        if self.broken.load(Ordering::SeqCst) {
            return None;
        }
        if first.starts_with(&format!("POST {}", paths::FREEZES)) {
            let question: FreezeRequest = serde_json::from_str(body).unwrap();
            let together = self.together.lock().unwrap().clone();
            if let Some(together) = together {
                together.wait().await;
            }
            let command = |office: &HeadOffice| {
                Command::Freeze(AskFreeze {
                    amounts: question.amounts,
                    id: question.id,
                    device: device(1),
                    subject: question.subject,
                    presented_by: question.presented_by,
                    now: office.now,
                })
            };
            let answer = {
                let mut office = self.office.lock().unwrap();
                let command = command(&office);
                office.ask(&command)
            };
            if self.deaf.lock().unwrap().contains(&question.subject) {
                return None;
            }
            let response = match answer {
                Answer::Granted { until } => FreezeResponse::Granted { until },
                Answer::Refused { reasons } => FreezeResponse::Refused { reasons },
                other => panic!("{other:?}"),
            };
            return Some(serde_json::to_value(response).unwrap());
        }
        if let Some(id) = first.strip_prefix("DELETE /v1/freezes/") {
            let id = id.split_whitespace().next().unwrap().parse().unwrap();
            let mut office = self.office.lock().unwrap();
            let command = Command::CancelFreeze(CancelFreeze {
                id,
                device: device(1),
                now: office.now,
            });
            office.ask(&command);
            return Some(serde_json::to_value(FreezeResponse::Cancelled).unwrap());
        }
        if first.starts_with(&format!("POST {}", paths::LOOKUPS)) {
            let office = self.office.lock().unwrap();
            let response = LookupResponse {
                server_time: office.now,
                rows: office.look(&serde_json::from_str(body).unwrap()),
            };
            return Some(serde_json::to_value(response).unwrap());
        }
        None
    }

    /// How often this was asked.
    pub fn count(&self, what: &str) -> usize {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|asked| asked.starts_with(what))
            .count()
    }

    /// Waits until nothing is frozen at head office any more.
    pub async fn nothing_frozen(&self) {
        for _ in 0..1_000 {
            let frozen = {
                let office = self.office.lock().unwrap();
                let coupons = office.state.coupons.values().flatten();
                coupons
                    .filter(|coupon| matches!(coupon.state, CouponState::Frozen { .. }))
                    .count()
            };
            if frozen == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("a freeze was not given back");
    }
}
