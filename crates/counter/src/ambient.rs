//! Time and randomness come in from outside: here is the one place where the real ones are taken.

use std::{
    fmt::Debug,
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

use counterfoil_domain::time::Millis;

/// What time it is.
pub trait Clock: Debug + Send + Sync {
    /// Now, UTC milliseconds, as the device's clock says.
    fn now(&self) -> Millis;
    /// Milliseconds since boot; never goes back.
    fn monotonic(&self) -> Millis;
    /// Milliseconds that went by since some moment, those in which the machine slept among them; never goes back.
    fn awake_or_asleep(&self) -> Millis {
        self.monotonic()
    }
    /// Which boot [`Clock::monotonic`] counts from.
    fn boot_id(&self) -> String;
    /// Ends when so much time has gone by.
    #[expect(clippy::disallowed_methods, reason = "the one place where time is waited for")]
    fn sleep(&self, time: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(time))
    }
}

/// The future of [`Clock::sleep`].
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where random bytes come from.
pub trait Random: Debug + Send + Sync {
    /// Fills the buffer.
    ///
    /// # Errors
    /// When the operating system gives none.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct NoRandomness;

/// `N` random bytes.
///
/// # Errors
/// [`NoRandomness`].
pub fn random_bytes<const N: usize>(random: &dyn Random) -> Result<[u8; N], NoRandomness> {
    let mut buffer = [0u8; N];
    random.fill(&mut buffer)?;
    Ok(buffer)
}

/// The machine's own clock and source of randomness.
#[derive(Debug, Clone)]
pub struct System {
    started: Instant,
    uptime_at_start: Millis,
    boot_id: String,
}

impl System {
    /// Looks up which boot this is.
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    pub fn new() -> Self {
        let uptime = uptime();
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()
            .map(|text| text.trim().to_owned());
        let (uptime_at_start, boot_id) = match (uptime, boot_id) {
            (Some(uptime), Some(boot_id)) => (uptime, boot_id),
            // Systems that don't name their boot: each process counts as one.
            _ => (0, format!("process-{}", hex_of_random())),
        };
        Self {
            started: Instant::now(),
            uptime_at_start,
            boot_id,
        }
    }
}

/// Linux counts the time in which the machine slept too.
fn uptime() -> Option<Millis> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some((seconds * 1000.0) as Millis)
}

#[expect(clippy::disallowed_methods, reason = "the one place where randomness is taken")]
fn hex_of_random() -> String {
    let mut bytes = [0u8; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => hex::encode(bytes),
        Err(_) => std::process::id().to_string(),
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for System {
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    fn now(&self) -> Millis {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .ok()
            .and_then(|since| Millis::try_from(since.as_millis()).ok())
            .unwrap_or(0)
    }

    fn monotonic(&self) -> Millis {
        let elapsed = Millis::try_from(self.started.elapsed().as_millis()).unwrap_or(Millis::MAX);
        self.uptime_at_start.saturating_add(elapsed)
    }

    fn awake_or_asleep(&self) -> Millis {
        uptime().unwrap_or_else(|| self.monotonic())
    }

    fn boot_id(&self) -> String {
        self.boot_id.clone()
    }
}

impl Random for System {
    #[expect(clippy::disallowed_methods, reason = "the one place where randomness is taken")]
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(buffer).map_err(|_| NoRandomness)
    }
}
