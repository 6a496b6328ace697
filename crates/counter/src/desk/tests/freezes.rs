//! Head office's word: how long it counts, what is no word, and that it is given back.

use std::sync::{Arc, Mutex};

use counterfoil_domain::{coupons::FREEZE_LASTS, time::SECOND};
use counterfoil_protocol::{
    problem::{Code, Problem},
    questions::FreezeResponse,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// A head office that gives these answers in turn, the last one again and again, and notes what it was asked.
async fn scripted(shop: &Shop, answers: Vec<(u16, String)>) -> Arc<Mutex<Vec<String>>> {
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
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        for n in 0.. {
            let (mut line, _) = listener.accept().await.unwrap();
            let mut text = String::new();
            let mut buffer = [0; 4096];
            loop {
                let read = line.read(&mut buffer).await.unwrap();
                assert!(read > 0, "hung up in the middle: {text}");
                text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head
                    .lines()
                    .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
                    .unwrap_or(0);
                if body.len() >= length {
                    break;
                }
            }
            heard.lock().unwrap().push(text.lines().next().unwrap().to_owned());
            let (status, body) = answers.get(n).or(answers.last()).unwrap();
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            line.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    asked
}

fn yes(answer: &FreezeResponse) -> (u16, String) {
    (200, serde_json::to_string(answer).unwrap())
}

fn no(code: Code) -> (u16, String) {
    (code.status(), serde_json::to_string(&Problem::new(code)).unwrap())
}

fn granted(left: Millis) -> (u16, String) {
    yes(&FreezeResponse::Granted { until: NOW + left })
}

async fn confirmed(answers: Vec<(u16, String)>, scanned: &Input) -> (Confirmation, Shop, Arc<Mutex<Vec<String>>>) {
    let mut office = HeadOffice::new(3, 0);
    let shop = Shop::of(&mut office).await;
    let asked = scripted(&shop, answers).await;
    let verdict = see(&shop, scanned).await;
    assert_eq!(verdict.decision, Decision::Honour);
    let done = confirm(&shop.inner, &verdict.ticket.unwrap(), clerk_id(1))
        .await
        .unwrap();
    (done, shop, asked)
}

#[tokio::test]
async fn a_freeze_that_has_lapsed_or_is_about_to_is_no_word() {
    let gone = yes(&FreezeResponse::Cancelled);
    for (answer, delivery) in [
        (granted(FREEZE_LASTS), Delivery::Confirmed),
        (granted(31 * SECOND), Delivery::Confirmed),
        (granted(30 * SECOND), Delivery::ToBeDelivered),
        (granted(-SECOND), Delivery::ToBeDelivered),
        (gone.clone(), Delivery::ToBeDelivered),
    ] {
        let (done, shop, _) = confirmed(vec![answer.clone()], &code(&coupon(0, 1))).await;
        assert!(
            matches!(&done, Confirmation::Done(receipt) if receipt.delivery == delivery),
            "{answer:?} {done:?}"
        );
        let usage = crate::status::limits_usage(&mut shop.inner.db.read().await.unwrap(), NOW)
            .await
            .unwrap();
        assert_eq!(
            usage.count,
            i64::from(delivery == Delivery::ToBeDelivered),
            "{answer:?}"
        );
    }
    // What may not be honoured alone is not refused by head office either: there is only no word.
    for answer in [granted(SECOND), gone] {
        let (done, shop, _) = confirmed(vec![answer.clone()], &code(&coupon(2, 2))).await;
        let Confirmation::Refused(verdict) = done else {
            panic!("{answer:?} {done:?}")
        };
        assert_eq!(
            (verdict.decision, codes(&verdict)),
            (Decision::Unconfirmed, vec!["online_only"]),
            "{answer:?}"
        );
        assert_eq!(journaled(&shop).await, 0);
    }
}

#[tokio::test]
async fn a_freeze_is_given_back_until_head_office_takes_it() {
    let patient = async |answers: Vec<(u16, String)>, times: usize| {
        let (done, _shop, asked) = confirmed(answers, &code(&coupon(2, 2))).await;
        assert!(matches!(done, Confirmation::Refused(_)));
        tokio::time::sleep(std::time::Duration::from_millis(2_800)).await;
        let asked = asked.lock().unwrap().clone();
        assert!(asked[0].starts_with("POST"), "{asked:?}");
        assert!(asked[1..].iter().all(|line| line.starts_with("DELETE")), "{asked:?}");
        assert_eq!(asked.len() - 1, times, "{asked:?}");
    };
    let cancelled = yes(&FreezeResponse::Cancelled);
    let again = |code| patient(vec![granted(SECOND), no(code), cancelled.clone()], 2);
    tokio::join!(
        again(Code::Busy),
        again(Code::Internal),
        again(Code::StorageUnavailable),
        again(Code::ClockSkew),
        patient(vec![granted(SECOND), no(Code::BadSignature)], 1),
        patient(vec![granted(SECOND), cancelled.clone()], 1),
    );
}
