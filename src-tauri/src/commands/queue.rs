//! What waits, what was delivered, what became an exception.

use super::App;
use crate::problem::Result;
use crate::view::{AppState, QueueRow, place_of, state_of};

const PAGE: i64 = 50;

#[tauri::command]
#[specta::specta]
pub async fn queue(app: App<'_>, state: Option<String>, before_seq: Option<i64>) -> Result<Vec<QueueRow>> {
    let (counter, _) = app.at_work().await?;
    let state = state_of(state.as_deref())?;
    let before = before_seq.map(|seq| place_of(seq, app.last_place()));
    let entries = counter.queue(state, before, PAGE).await?;
    app.keep_place(entries.last().map(|entry| entry.place).or(before));
    let locale = app.locale();
    entries.iter().map(|entry| QueueRow::of(entry, locale)).collect()
}

#[tauri::command]
#[specta::specta]
pub async fn sync_now(app: App<'_>) -> Result<AppState> {
    app.sync_now().await
}
