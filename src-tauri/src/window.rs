//! The one window: told of every change, shown again when called, kept in the tray while head office is inside.

use std::sync::Arc;
use std::time::Duration;

use tauri::{AppHandle, Manager, WindowEvent};
use tauri_specta::Event;

use crate::instance::Instance;
use crate::shell::Shell;
use crate::tray;
use crate::view::{AppState, StateChanged};

/// For what changes without anybody saying so: the desk locks itself, a second start calls.
const GLANCE: Duration = Duration::from_secs(1);
/// As named in tauri.conf.json.
pub const MAIN: &str = "main";

/// Tells the window of every change, for as long as the app runs.
pub async fn watch(app: AppHandle, shell: Arc<Shell>, instance: Instance) {
    if let Err(problem) = shell.sign_in_for_demo().await {
        tracing::warn!(%problem, "the demo's sign-in");
    }
    let mut last: Option<AppState> = None;
    let mut changes = shell.counter().await.ok().map(|counter| counter.changes());
    loop {
        let news = async {
            match &mut changes {
                Some(changes) => drop(changes.changed().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = news => {}
            () = shell.changed.notified() => {}
            () = tokio::time::sleep(GLANCE) => {}
        }
        if instance.was_called() {
            show(&app);
        }
        let Some(counter) = shell.opened().await else {
            continue;
        };
        changes.get_or_insert_with(|| counter.changes());
        let state = match shell.state().await {
            Ok(state) => state,
            Err(problem) => {
                tracing::warn!(%problem, "the state can't be read");
                continue;
            }
        };
        if last.as_ref() == Some(&state) {
            continue;
        }
        if shell.is_head_office().await {
            tray::show(&app, state.locale);
        }
        if let Err(error) = StateChanged(state.clone()).emit(&app) {
            tracing::debug!(%error, "the window was not told");
        }
        last = Some(state);
    }
}

/// Brings the window to the front.
pub fn show(app: &AppHandle) {
    if let Some(window) = app.get_webview_window(MAIN) {
        let shown = window
            .show()
            .and_then(|()| window.unminimize())
            .and_then(|()| window.set_focus());
        if let Err(error) = shown {
            tracing::debug!(%error, "the window did not come to the front");
        }
    }
}

/// Closing leaves head office running when it can be reached again from the tray.
pub fn on_event(window: &tauri::Window, event: &WindowEvent) {
    if let WindowEvent::CloseRequested { api, .. } = event
        && tray::is_shown(window.app_handle())
    {
        match window.hide() {
            Ok(()) => api.prevent_close(),
            Err(error) => tracing::debug!(%error, "the window did not hide"),
        }
    }
}
