//! The adapter against the sandbox carrier, in every way that carriers fail.

use std::{sync::Arc, time::Duration};

use counterfoil_domain::time::Millis;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    Carrier, CarrierError, Consignment, Goods, Line, Progress, Tracked,
    sandbox::{self, Sandbox, Shown},
    web,
};
use crate::clock::{ManualClock, SystemRandom};

const NOW: Millis = 1_795_000_000_000;
const TOKEN: &str = "very-secret";

struct Place {
    url: Url,
    client: reqwest::Client,
    clock: Arc<ManualClock>,
    stopping: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

async fn place() -> Place {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let (clock, stopping) = (Arc::new(ManualClock::at(NOW)), CancellationToken::new());
    let (of_server, stop) = (clock.clone(), stopping.clone());
    tokio::spawn(async move { sandbox::serve(listener, of_server, &SystemRandom, Some(TOKEN), stop).await });
    Place {
        url,
        client: web::client().unwrap(),
        clock,
        stopping,
    }
}

impl Place {
    fn adapter(&self) -> Sandbox {
        let token = Zeroizing::new(TOKEN.to_owned());
        Sandbox::new(self.url.clone(), token, self.client.clone())
    }

    fn line(&self, patience: u64) -> Line {
        let carrier = Arc::new(self.adapter());
        Line::new(carrier, self.clock.clone(), Duration::from_millis(patience))
    }

    async fn control(&self, path: &str, body: Value) {
        let url = self.url.join(path).unwrap();
        let response = self.client.post(url).json(&body).send().await.unwrap();
        assert!(response.status().is_success());
    }

    async fn shown(&self) -> Shown {
        let url = self.url.join("control").unwrap();
        self.client.get(url).send().await.unwrap().json().await.unwrap()
    }
}

fn consignment() -> Consignment {
    Consignment {
        recipient: "王小明".into(),
        phone: "13800001234".into(),
        region: "上海市黄浦区".into(),
        street: "人民大道 1 号".into(),
        goods: vec![Goods {
            name: "豆".into(),
            quantity: 2,
        }],
    }
}

fn tracked(number: &str) -> Tracked {
    Tracked {
        company: "sandbox".into(),
        number: number.into(),
        phone: "13800001234".into(),
    }
}

#[tokio::test]
async fn a_waybill_is_ordered_found_labelled_tracked_and_cancelled() {
    let place = place().await;
    let line = place.line(60_000);
    let number = line.order("a.1", &consignment()).await.unwrap();
    assert_eq!(line.order("a.1", &consignment()).await, Ok(number.clone()));
    let other = line.order("b.1", &consignment()).await.unwrap();
    assert_eq!(line.find("a.1").await, Ok(vec![number.clone()]));
    assert_eq!(line.find("c.1").await, Ok(vec![]));
    let label = line.label(&number).await.unwrap();
    assert_eq!(label.media_type, "image/svg+xml");
    assert!(String::from_utf8(label.bytes).unwrap().contains(&number));
    let report = line.track(&tracked(&number)).await.unwrap();
    assert_eq!((report.progress, report.newest()), (Progress::InTransit, Some(NOW)));
    let event = json!({"number": other, "progress": "collected", "text": "已揽收", "at": NOW + 5});
    place.control("control/events", event).await;
    let report = line.track(&tracked(&other)).await.unwrap();
    assert_eq!((report.progress, report.newest()), (Progress::Collected, Some(NOW + 5)));
    for _ in 0..2 {
        assert_eq!(line.cancel(&number).await, Ok(()));
    }
    assert_eq!(line.find("a.1").await, Ok(vec![]));
    assert_eq!(
        line.cancel(&other).await,
        Err(CarrierError::Refused("collected".into()))
    );
    assert_eq!(line.cancel("SB1").await, Ok(()));
    // A number that would be a path is none.
    assert!(line.cancel("../control/release").await.is_err());
}

#[tokio::test]
async fn every_fault_is_told_for_what_it_is() {
    let place = place().await;
    let line = place.line(60_000);
    let fault = async |what: &str| {
        place
            .control("control", json!({"faults": [{"of": "order", "what": what}]}))
            .await;
        line.order(what, &consignment()).await
    };
    for (what, does) in [("fail", 0), ("html", 0), ("lose", 1)] {
        assert!(matches!(fault(what).await, Err(CarrierError::Unclear(_))), "{what}");
        assert_eq!(line.find(what).await.unwrap().len(), does, "{what}");
    }
    let refused = Err(CarrierError::Refused("not_served".into()));
    assert_eq!(fault("refuse").await, refused);
    assert!(fault("slow").await.is_ok());
    let second = fault("twice").await.unwrap();
    let found = line.find("twice").await.unwrap();
    assert_eq!((found.len(), &found[1]), (2, &second));
    // A page where a label should be.
    place
        .control("control", json!({"faults": [{"of": "label", "what": "html"}]}))
        .await;
    assert!(matches!(line.label(&second).await, Err(CarrierError::Unclear(_))));
}

#[tokio::test]
async fn what_hangs_is_done_when_it_goes_on_though_nobody_waits() {
    let place = place().await;
    place
        .control(
            "control",
            json!({"dedupe": false, "faults": [{"of": "order", "what": "hang"}, {"of": "find", "what": "hang"}]}),
        )
        .await;
    let line = place.line(60_000);
    let first = tokio::spawn(async move { line.order("a.1", &consignment()).await });
    let hanging = async || place.shown().await.hanging;
    while hanging().await == 0 {
        tokio::task::yield_now().await;
    }
    let line = place.line(50);
    assert_eq!(line.find("a.1").await, Err(CarrierError::Unclear("no answer in time")));
    let line = place.line(60_000);
    assert_eq!(line.find("a.1").await, Ok(vec![]));
    let second = line.order("a.1", &consignment()).await.unwrap();
    place.control("control/release", json!({})).await;
    let first = first.await.unwrap().unwrap();
    assert_eq!(line.find("a.1").await, Ok(vec![second, first]));
}

#[tokio::test]
async fn who_is_not_there_is_left_alone_after_a_while() {
    let place = place().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let token = Zeroizing::new(TOKEN.to_owned());
    let gone = Sandbox::new(
        format!("http://{nobody}/").parse().unwrap(),
        token,
        place.client.clone(),
    );
    let line = Line::new(Arc::new(gone), place.clock.clone(), Duration::from_secs(60));
    for _ in 0..5 {
        assert_eq!(line.find("a.1").await, Err(CarrierError::Unreached));
    }
    assert!(line.is_left_alone());
    assert_eq!(line.find("a.1").await, Err(CarrierError::LeftAlone));
    place.clock.advance(30_000);
    assert_eq!(line.find("a.1").await, Err(CarrierError::Unreached));
    assert_eq!(line.find("a.1").await, Err(CarrierError::LeftAlone));
}

#[tokio::test]
async fn secrets_are_in_no_error_and_in_nothing_printed() {
    let place = place().await;
    let wrong = Zeroizing::new("another-secret".to_owned());
    let stranger = Sandbox::new(place.url.clone(), wrong, place.client.clone());
    let error = stranger.find("a.1").await.unwrap_err();
    assert_eq!(error, CarrierError::Refused("unauthenticated".into()));
    for printed in [
        format!("{stranger:?} {error:?} {error}"),
        format!("{:?}", place.line(1)),
    ] {
        for secret in ["another-secret", TOKEN, "127.0.0.1"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }
}
