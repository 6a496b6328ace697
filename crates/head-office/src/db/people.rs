//! People and counters who wait for something to be written, before whom work in the background stands back.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

/// How long the background waits for them at most: it goes on under any load, and a message is handed over in time.
const PATIENCE: Duration = Duration::from_millis(30);

/// How many wait.
#[derive(Debug, Clone, Default)]
pub struct People(Arc<watch::Sender<usize>>);

/// That somebody waits, until this is dropped.
#[derive(Debug)]
pub struct Waiting(Arc<watch::Sender<usize>>);

impl People {
    /// Somebody waits.
    pub fn waiting(&self) -> Waiting {
        self.0.send_modify(|count| *count += 1);
        Waiting(Arc::clone(&self.0))
    }

    /// Waits until nobody does, or for as long as the background's patience lasts.
    pub(super) async fn gone(&self) {
        let mut people = self.0.subscribe();
        // Either end of this wait is the sign to go on.
        let _ = tokio::time::timeout(PATIENCE, people.wait_for(|count| *count == 0)).await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Future, ready},
        pin::{Pin, pin},
    };

    use super::*;

    async fn goes(background: Pin<&mut impl Future<Output = ()>>) -> bool {
        tokio::select! {
            biased;
            () = background => true,
            () = ready(()) => false,
        }
    }

    #[tokio::test]
    async fn the_background_goes_when_nobody_waits_and_when_its_patience_ends() {
        let people = People::default();
        assert!(goes(pin!(people.gone())).await);
        let (one, other) = (people.waiting(), people.waiting());
        let mut background = pin!(people.gone());
        assert!(!goes(background.as_mut()).await);
        drop(one);
        assert!(!goes(background.as_mut()).await);
        drop(other);
        assert!(goes(background).await);
        let _stays = people.waiting();
        people.gone().await;
    }
}
