//! Waiting for what comes, or never: no test waits for ever.

use std::time::Duration;

/// What it gets: this only ends a test that has failed.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks.
const GLANCE: Duration = Duration::from_millis(5);

/// Waits for it, but not for ever.
pub async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it never came")
}

/// Looks again and again until it is so, but not for ever.
pub async fn until(is_so: impl AsyncFn() -> bool) {
    let comes = async {
        while !is_so().await {
            tokio::time::sleep(GLANCE).await;
        }
    };
    in_time(comes).await;
}
