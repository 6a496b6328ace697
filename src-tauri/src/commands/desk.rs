//! Look something up, confirm what was shown, undo it.

use counterfoil_domain::ids::{ClerkId, OperationId};

use super::{App, blocking, id};
use crate::clipboard::{self, Copied};
use crate::codes::Own;
use crate::finding;
use crate::picture::{self, Read};
use crate::problem::{Problem, Result};
use crate::shell::Shell;
use crate::view::{Confirmation, Found, PictureText, ProductView, Receipt, Source};

#[tauri::command]
#[specta::specta]
pub async fn look_up(app: App<'_>, text: String, source: Source) -> Result<Found> {
    let (counter, _) = app.at_work().await?;
    let form = finding::form_of(&app, &counter, &text, source).await?;
    finding::find(&counter, &text, form, source).await
}

/// The product that a text is the barcode of; looks for nobody.
#[tauri::command]
#[specta::specta]
pub async fn product_of(app: App<'_>, text: String) -> Result<Option<ProductView>> {
    let (counter, _) = app.at_work().await?;
    Ok(finding::product_of(&counter, &text).await?.as_ref().map(Into::into))
}

/// Every code in the picture.
#[tauri::command]
#[specta::specta]
pub async fn read_picture(app: App<'_>, base64: String) -> Result<Vec<PictureText>> {
    let read = blocking(move || picture::read(&base64)).await?;
    Ok(kept(&app, read))
}

/// Reads the picture on the clipboard, for windows that are not given it when it is pasted.
#[tauri::command]
#[specta::specta]
pub async fn read_pasted_picture(app: App<'_>, handle: tauri::AppHandle) -> Result<Vec<PictureText>> {
    let copied = clipboard::copied(&handle).await?;
    let read = blocking(move || match copied {
        Copied::Picture(png) => picture::read_bytes(&png),
        Copied::File(path) => picture::read_file(&path),
        Copied::Nothing => Err(Problem::new(
            Own::PictureWithoutCode,
            "there is no picture on the clipboard",
        )),
    });
    Ok(kept(&app, read.await?))
}

fn kept(app: &Shell, read: Vec<Read>) -> Vec<PictureText> {
    app.keep_symbols(&read);
    let texts = read.into_iter().map(|symbol| PictureText {
        text: symbol.text,
        format: symbol.format.name().to_owned(),
    });
    texts.collect()
}

#[tauri::command]
#[specta::specta]
pub async fn confirm(app: App<'_>, ticket: String) -> Result<Confirmation> {
    let (counter, clerk) = app.at_work().await?;
    let confirmation = counter.confirm(&ticket, clerk.id).await?;
    Ok(Confirmation::of(&confirmation, app.locale()))
}

#[tauri::command]
#[specta::specta]
pub async fn void_redemption(
    app: App<'_>,
    op_id: String,
    reason: String,
    manager_id: String,
    manager_pin: String,
) -> Result<Receipt> {
    let (counter, _) = app.at_work().await?;
    let operation = id(&op_id, OperationId)?;
    let manager = id(&manager_id, ClerkId)?;
    let receipt = counter.void(operation, &reason, manager, &manager_pin).await?;
    Ok(Receipt::of(&receipt, app.locale()))
}
