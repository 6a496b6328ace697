//! Who is at the counter, and how the app stands.

use counterfoil_domain::ids::ClerkId;

use super::{App, id};
use crate::problem::Result;
use crate::view::{AppState, ClerkView};

#[tauri::command]
#[specta::specta]
pub async fn app_state(app: App<'_>) -> Result<AppState> {
    app.state().await
}

#[tauri::command]
#[specta::specta]
pub async fn clerks(app: App<'_>) -> Result<Vec<ClerkView>> {
    let people = app.counter().await?.clerks().await?;
    Ok(people.iter().map(ClerkView::from).collect())
}

#[tauri::command]
#[specta::specta]
pub async fn sign_in(app: App<'_>, clerk_id: String, pin: String) -> Result<AppState> {
    app.counter().await?.sign_in(id(&clerk_id, ClerkId)?, &pin).await?;
    app.state().await
}

#[tauri::command]
#[specta::specta]
pub async fn sign_out(app: App<'_>) -> Result<AppState> {
    app.counter().await?.sign_out();
    app.state().await
}

/// Ends the lock of somebody who typed too much that was wrong, PINs and codes; null = of the whole counter.
#[tauri::command]
#[specta::specta]
pub async fn lift_lock(
    app: App<'_>,
    clerk_id: Option<String>,
    manager_id: String,
    manager_pin: String,
) -> Result<AppState> {
    let clerk = clerk_id.as_deref().map(|text| id(text, ClerkId)).transpose()?;
    let manager = id(&manager_id, ClerkId)?;
    let counter = app.counter().await?;
    counter.lift_guessing(clerk, manager, &manager_pin).await?;
    app.state().await
}
