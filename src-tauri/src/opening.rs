//! Opening databases.

use std::future::Future;

use tokio::runtime::Handle;

use crate::problem::Result;

/// Runs what opens a database, on a thread of its own.
///
/// It brings the schema up to date, and of that future the compiler can't tell that it may move between threads
/// (sqlx's `Acquire` is not general enough for it), which futures of commands must.
pub async fn apart<T, F>(open: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let runtime = Handle::current();
    Ok(tokio::task::spawn_blocking(move || runtime.block_on(open())).await?)
}
