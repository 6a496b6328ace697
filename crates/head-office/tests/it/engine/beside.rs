//! What goes on beside the writer: another process, and the tending of the database.

use std::sync::Arc;

use counterfoil_domain::{
    ids::FreezeId,
    transition::{Answer, AskFreeze, Command, Subject},
};
use counterfoil_head_office::{
    App,
    clock::{Clock, SystemRandom},
};

use crate::common::{Chain, Counter, On, START, chain, in_time, random10};

counterfoil_head_office::on_both! {
    two_processes_race_for_the_same_coupons,
    the_database_is_tended_beside_the_writer,
}

async fn race(chain: &Chain, app: Arc<App>, counter: &Counter) -> usize {
    let mut granted = 0;
    for coupons in chain.coupons.chunks(20) {
        let commands = coupons
            .iter()
            .map(|id| {
                Command::Freeze(AskFreeze {
                    amounts: counterfoil_domain::points::Amounts::default(),
                    id: FreezeId::new(START, random10()),
                    device: counter.device,
                    subject: Subject::Coupon(*id),
                    presented_by: None,
                    now: chain.clock.now(),
                })
            })
            .collect();
        let answers = app.engine.submit(chain.tenant, commands).await.unwrap();
        granted += answers
            .iter()
            .filter(|answered| matches!(answered.answer, Answer::Granted { .. }))
            .count();
    }
    granted
}

async fn two_processes_race_for_the_same_coupons(on: On) {
    let chain = chain(on, 400).await;
    let other = App::open(&chain.fresh.url, chain.clock.clone(), Arc::new(SystemRandom))
        .await
        .unwrap();
    let (first, second) = (chain.counter().await, chain.counter().await);
    let (a, b) = tokio::join!(race(&chain, chain.app.clone(), &first), race(&chain, other, &second));
    assert_eq!(a + b, 400, "{a} + {b}");
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM coupons WHERE state = 'frozen'")
            .await,
        400
    );
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM freezes WHERE status = 'granted'")
            .await,
        400
    );
}

/// SQLite's log is folded back into the file; PostgreSQL learns of a table that has grown.
async fn the_database_is_tended_beside_the_writer(on: On) {
    let chain = chain(on, 1_000).await;
    let db = &chain.app.db;
    match on {
        On::Sqlite => {
            let file = chain.fresh.url.strip_prefix("sqlite:").unwrap();
            let length = || std::fs::metadata(file).unwrap().len();
            let before = length();
            db.tend().await.unwrap();
            assert!(length() > before + 1_000 * 100, "{before} and then {}", length());
        }
        On::Postgres => {
            let known = "SELECT CAST(reltuples AS BIGINT) FROM pg_class WHERE relname = 'coupons'";
            assert!(chain.number(known).await <= 0);
            let learns = async {
                while chain.number(known).await < 1_000 {
                    // The server counts rows when a connection has ended a transaction, and not each time.
                    db.lease()
                        .await
                        .unwrap()
                        .begin()
                        .await
                        .unwrap()
                        .commit("test")
                        .await
                        .unwrap();
                    db.tend().await.unwrap();
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            };
            in_time(learns).await;
        }
    }
}
