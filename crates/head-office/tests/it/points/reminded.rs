//! Members are reminded of points that end.

use counterfoil_domain::points::earning::EarningRule;
use counterfoil_head_office::{messages::reminding::Counts, outside::Outside, points::reminders::sweep};

use super::{gift, holds, members, posted, publish, rule, spend};
use crate::{
    api::Api,
    common::{Chain, HOUR, On, START, chain},
};

counterfoil_head_office::on_both! {
    members_are_reminded_once_of_what_is_left,
}

const DAY: i64 = 24 * HOUR;

async fn remind(chain: &Chain, now: i64) -> Counts {
    let outside = Outside::new(&chain.app, None).unwrap();
    sweep(&chain.app, &outside.notifiers, now, 1_000).await.unwrap()
}

fn counts(sent: u64, skipped: u64) -> Counts {
    Counts {
        sent,
        skipped,
        failed: 0,
    }
}

async fn members_are_reminded_once_of_what_is_left(on: On) {
    let chain = chain(on, 0).await;
    publish(&chain, EarningRule { ..rule() }).await;
    let others = members(&chain, 2).await;
    let end = START + 10 * DAY;
    posted(&chain, gift(&chain, chain.member, "a", 300, Some(end))).await;
    posted(&chain, gift(&chain, chain.member, "b", 50, Some(end))).await;
    posted(&chain, gift(&chain, chain.member, "never", 7, None)).await;
    posted(&chain, spend(&chain, chain.member, "x", 100)).await;
    // This one has nothing left by then, and that one was given too late to be reminded.
    posted(&chain, gift(&chain, others[0], "c", 40, Some(end))).await;
    posted(&chain, spend(&chain, others[0], "y", 40)).await;
    posted(&chain, gift(&chain, others[1], "d", 40, Some(START + 2 * DAY))).await;
    assert_eq!(chain.number("SELECT COUNT(*) FROM point_days").await, 2);
    holds(&chain).await;

    assert_eq!(remind(&chain, end - 3 * DAY - 1).await, counts(0, 0));
    assert_eq!(remind(&chain, end - 3 * DAY).await, counts(1, 1));
    assert_eq!(remind(&chain, end - 3 * DAY).await, counts(0, 0));
    assert_eq!(chain.number("SELECT COUNT(*) FROM point_days").await, 0);
    let member = Api::new(&chain, chain.session("M1").await);
    let (_, page) = member.get("/v1/member/messages").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!(page["items"][0]["kind"], "points_expiring");
    let body = page["items"][0]["body_zh"].as_str().unwrap();
    // Ten days after START, in Shanghai.
    assert!(body.contains("250 积分") && body.contains("2026-11-28"), "{body}");
    // More with the same end, within those days: nobody is told of the same end twice.
    chain.clock.advance(8 * DAY);
    posted(&chain, gift(&chain, chain.member, "e", 5, Some(end))).await;
    assert_eq!(remind(&chain, START + 9 * DAY).await, counts(0, 0));
    holds(&chain).await;
}
