//! A panic is an error like others, and is never taken for an answer.

use crate::codes::Code;
use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use tokio::task::JoinError;

use super::Error;

fn panicked(payload: &(dyn Any + Send)) -> Error {
    let words = payload
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(code = Code::Panicked.as_str(), %words, "a part of the program failed");
    Error::Panicked(words)
}

impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        match error.try_into_panic() {
            Ok(payload) => panicked(&*payload),
            Err(cancelled) => Self::Internal(cancelled.to_string()),
        }
    }
}

/// What `work` comes to, or that it panicked. What it held is dropped by then: a transaction is rolled back.
pub(crate) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let mut work = pin!(work);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(payload) => Poll::Ready(Err(panicked(&*payload))),
        },
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_a_code_of_its_own() {
        assert_eq!(caught(async { 1 }).await.unwrap(), 1);
        let failed = caught(async {
            tokio::task::yield_now().await;
            panic!("no such line");
        });
        let error: Error = failed.await.unwrap_err();
        assert_eq!(error.code(), "panicked");
        assert_eq!(error.to_string(), "a part of the program failed: no such line");
        let joined = tokio::task::spawn_blocking(|| panic!("{}", "no such row")).await;
        assert_eq!(Error::from(joined.unwrap_err()).code(), "panicked");
    }
}
