//! Who wakes those that hand over messages. The messages themselves are in the database, and nowhere else: whoever is not
//! woken finds them a little later.

use std::fmt::Debug;

use tokio::sync::watch;

/// Wakes those that hand over messages.
pub trait Broker: Debug + Send + Sync {
    /// Messages were committed.
    fn ring(&self);
    /// Hears what is rung from now on.
    fn bell(&self) -> Bell;
}

/// Hears that messages were committed.
#[derive(Debug)]
pub struct Bell(pub watch::Receiver<u64>);

impl Bell {
    /// Waits until it was rung since it was last heard.
    pub async fn rung(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody rings any more.
            std::future::pending().await
        }
    }
}

/// Within this process.
#[derive(Debug, Default)]
pub struct InProcess(watch::Sender<u64>);

impl Broker for InProcess {
    fn ring(&self) {
        self.0.send_modify(|times| *times = times.wrapping_add(1));
    }
    fn bell(&self) -> Bell {
        Bell(self.0.subscribe())
    }
}
