//! Look something up, confirm what was shown, undo it.

use counterfoil_counter::Scanned;
use counterfoil_domain::ids::{ClerkId, OperationId};
use counterfoil_scan::{self as scan, Format, classify};

use super::{App, blocking, id};
use crate::picture;
use crate::problem::Result;
use crate::shell::Shell;
use crate::view::{Confirmation, PictureText, Receipt, Source, Verdict};

/// What the form of the text says it is.
fn recognise(shell: &Shell, text: &str, source: Source) -> Scanned {
    let source = match source {
        Source::Typed => scan::Source::Typed,
        Source::Pasted => scan::Source::Pasted,
        Source::Scanned => scan::Source::Scanned,
        // Eight digits may be a product or an order; the kind of symbol tells.
        Source::Camera => scan::Source::Symbol(shell.symbol_of(text).map_or(Format::QrCode, |symbol| symbol.format)),
    };
    match classify(text, source) {
        scan::Scanned::Coupon(code) => Scanned::CouponCode(code),
        scan::Scanned::Pickup(code) => Scanned::PickupCode(code),
        scan::Scanned::Token(text) => Scanned::Token(text),
        scan::Scanned::Member(number) => Scanned::MemberNumber(number),
        scan::Scanned::Phone(phone) => Scanned::Phone(phone),
        scan::Scanned::Product(text) | scan::Scanned::Enrolment(text) | scan::Scanned::Unknown(text) => {
            Scanned::Other(text)
        }
    }
}

#[tauri::command]
#[specta::specta]
pub async fn look_up(app: App<'_>, text: String, source: Source) -> Result<Verdict> {
    let (counter, _) = app.at_work().await?;
    let scanned = recognise(&app, &text, source);
    Ok((&counter.look_up(&scanned, None).await?).into())
}

#[tauri::command]
#[specta::specta]
pub async fn read_picture(app: App<'_>, base64: String) -> Result<PictureText> {
    let read = blocking(move || picture::read(&base64)).await?;
    app.keep_symbol(&read);
    Ok(PictureText {
        text: read.text,
        format: read.format.name().to_owned(),
    })
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
