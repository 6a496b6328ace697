//! What this installation remembers.

use super::App;
use crate::problem::Result;
use crate::settings::Locale;
use crate::view::AppState;

#[tauri::command]
#[specta::specta]
pub async fn set_locale(app: App<'_>, locale: Locale) -> Result<AppState> {
    app.settings.change(|settings| settings.locale = locale)?;
    app.changed.notify_one();
    app.state().await
}
