//! What this installation remembers.

use super::App;
use crate::problem::Result;
use crate::settings::{Locale, ScannerSettings};
use crate::view::AppState;

#[tauri::command]
#[specta::specta]
pub async fn set_locale(app: App<'_>, locale: Locale) -> Result<AppState> {
    app.settings.change(|settings| settings.locale = locale)?;
    app.changed.notify_one();
    app.state().await
}

#[tauri::command]
#[specta::specta]
pub async fn set_scanner(app: App<'_>, scanner: ScannerSettings) -> Result<AppState> {
    app.settings.change(|settings| settings.scanner = scanner.sound())?;
    app.changed.notify_one();
    app.state().await
}
