//! The camera as a second way to scan.

use std::sync::Arc;

use super::{App, blocking};
use crate::camera;
use crate::problem::Result;
use crate::view::{CameraFrame, CameraView};

#[tauri::command]
#[specta::specta]
pub async fn cameras() -> Result<Vec<CameraView>> {
    let cameras = blocking(camera::cameras).await?;
    Ok(cameras
        .into_iter()
        .map(|(index, name)| CameraView { index, name })
        .collect())
}

#[tauri::command]
#[specta::specta]
pub async fn open_camera(app: App<'_>, index: u32) -> Result<()> {
    let shell = Arc::clone(&app);
    blocking(move || shell.viewfinder.open(index)).await
}

#[tauri::command]
#[specta::specta]
pub async fn camera_frame(app: App<'_>) -> Result<CameraFrame> {
    let shell = Arc::clone(&app);
    let seen = blocking(move || shell.viewfinder.look()).await?;
    if let Some(symbol) = &seen.symbol {
        app.keep_symbols(std::slice::from_ref(symbol));
    }
    Ok(CameraFrame {
        preview: seen.preview,
        text: seen.symbol.map(|symbol| symbol.text),
    })
}

#[tauri::command]
#[specta::specta]
pub async fn close_camera(app: App<'_>) -> Result<()> {
    let shell = Arc::clone(&app);
    blocking(move || {
        shell.viewfinder.close();
        Ok(())
    })
    .await
}
