//! What counters of earlier versions said is answered today as it was answered then.

use std::path::Path;

#[tokio::test]
async fn every_recording_is_answered_as_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded");
    let mut recordings: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    recordings.sort();
    assert!(!recordings.is_empty());
    for recording in recordings {
        match counterfoil_sim::replay(&recording).await {
            Ok((requests, operations)) => assert!(
                requests >= 100 && operations >= 50,
                "{}: {requests} requests, {operations} operations",
                recording.display()
            ),
            Err(error) => panic!("{}: {error:#}", recording.display()),
        }
    }
}
