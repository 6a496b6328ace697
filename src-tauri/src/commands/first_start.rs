//! The three ways to begin.

use super::App;
use crate::problem::Result;
use crate::single_shop::Plan;
use crate::view::{AppState, DemoHints};

#[tauri::command]
#[specta::specta]
pub async fn connect(app: App<'_>, address: String, code: String) -> Result<AppState> {
    app.connect(&address, &code).await
}

#[tauri::command]
#[specta::specta]
pub async fn start_single_shop(
    app: App<'_>,
    shop_name: String,
    manager_name: String,
    manager_pin: String,
) -> Result<AppState> {
    let plan = Plan::SingleShop {
        shop_name: &shop_name,
        manager_name: &manager_name,
        manager_pin: &manager_pin,
    };
    app.start_inside(plan).await
}

#[tauri::command]
#[specta::specta]
pub async fn start_demo(app: App<'_>) -> Result<AppState> {
    app.start_inside(Plan::Demo).await
}

#[tauri::command]
#[specta::specta]
pub async fn demo_hints(app: App<'_>) -> Result<Option<DemoHints>> {
    app.hints().await
}
