//! What was copied that is a picture. WebKitGTK gives a page the text of the clipboard, but neither a picture nor a file
//! copied in a file manager; the toolkit beneath it has both. Elsewhere the page gets them itself.

use std::path::PathBuf;

use tauri::AppHandle;

use crate::problem::Result;

/// A picture on the clipboard.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "the window is given it"))]
pub enum Copied {
    /// The bytes of a PNG.
    Picture(Vec<u8>),
    File(PathBuf),
    Nothing,
}

#[cfg(target_os = "linux")]
pub async fn copied(app: &AppHandle) -> Result<Copied> {
    use crate::problem::Problem;

    let (tell, told) = tokio::sync::oneshot::channel();
    app.run_on_main_thread(move || ask(tell)).map_err(Problem::internal)?;
    told.await.map_err(Problem::internal)
}

#[cfg(not(target_os = "linux"))]
pub async fn copied(_: &AppHandle) -> Result<Copied> {
    Ok(Copied::Nothing)
}

/// The owner of the clipboard may be slow or gone, so it is asked and not waited for.
#[cfg(target_os = "linux")]
fn ask(tell: tokio::sync::oneshot::Sender<Copied>) {
    use gtk::{gdk, glib};

    gtk::Clipboard::get(&gdk::SELECTION_CLIPBOARD).request_image(move |clipboard, picture| {
        // Fast rather than small: it is read at once.
        let png = picture.and_then(|picture| picture.save_to_bufferv("png", &[("compression", "1")]).ok());
        if let Some(png) = png {
            let _ = tell.send(Copied::Picture(png));
            return;
        }
        clipboard.request_uris(move |_, uris| {
            let file = uris.iter().find_map(|uri| glib::filename_from_uri(uri).ok());
            let _ = tell.send(file.map_or(Copied::Nothing, |(path, _)| Copied::File(path)));
        });
    });
}
