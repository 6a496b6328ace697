//! What the window can call. Each command unpacks its arguments, makes one call and maps the answer.

pub mod basket;
pub mod camera;
pub mod desk;
pub mod first_start;
pub mod members;
pub mod queue;
pub mod sales;
pub mod session;
pub mod settings;

use std::sync::Arc;

use counterfoil_protocol::problem::Code;
use uuid::Uuid;

use crate::problem::{Problem, Result};
use crate::shell::Shell;

/// The app behind the window, as Tauri hands it to commands.
pub type App<'a> = tauri::State<'a, Arc<Shell>>;

/// An id as it crosses from the screens.
pub fn id<T>(text: &str, make: impl FnOnce(Uuid) -> T) -> Result<T> {
    Uuid::parse_str(text)
        .map(make)
        .map_err(|error| Problem::new(Code::Malformed, format!("not an id: {error}")))
}

/// What keeps a processor busy goes to a thread of its own, away from the clerk's clicks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}
