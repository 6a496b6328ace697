//! A database that can't grow: a clear answer, nothing lost, nothing half done, and on it goes when there is room.

use counterfoil_domain::operations::Outcome;
use counterfoil_protocol::{
    paths,
    questions::{LookupRequest, LookupResponse},
};

use super::{code_of, office};
use crate::common::{On, START};

/// Enough for the file to need more pages than it has.
const OPERATIONS: usize = 150;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_head_office_says_so_and_takes_everything_later() {
    let office = office(On::Sqlite, OPERATIONS).await;
    let mut counter = office.chain.counter().await;
    let journal: Vec<String> = office
        .chain
        .coupons
        .iter()
        .map(|coupon| counter.seal(office.chain.redeem(*coupon, None), START))
        .collect();
    office.chain.app.db.fill_the_disk(true).await.unwrap();
    assert_eq!(
        code_of(office.sync(&counter, &journal).await),
        (503, "storage_unavailable".into())
    );
    // Not one of them was half taken, and whoever only reads is answered.
    for table in [
        "SELECT COUNT(*) FROM operations",
        "SELECT COUNT(*) FROM coupon_entries",
        "SELECT COUNT(*) FROM coupons WHERE state <> 'available'",
        "SELECT last_seq FROM devices",
    ] {
        assert_eq!(office.chain.number(table).await, 0, "{table}");
    }
    let read = office
        .post::<_, LookupResponse>(
            &counter,
            paths::LOOKUPS,
            &LookupRequest::Coupon(office.chain.coupons[0]),
        )
        .await;
    assert_eq!(read.unwrap().rows.len(), 3);
    assert_eq!(office.sync(&counter, &[]).await.unwrap().device.last_applied_seq, 0);

    office.chain.app.db.fill_the_disk(false).await.unwrap();
    let response = office.sync(&counter, &journal).await.unwrap();
    assert_eq!(response.outcomes.len(), OPERATIONS);
    assert!(
        response
            .outcomes
            .iter()
            .all(|ended| ended.outcome == Outcome::Applied && !ended.replayed)
    );
    let again = office.sync(&counter, &journal).await.unwrap();
    assert!(again.outcomes.iter().all(|ended| ended.replayed));
}
