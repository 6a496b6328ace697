//! The basket: what it costs, and making a sale of it.

use counterfoil_counter as counter;

use super::App;
use crate::problem::Result;
use crate::view::{Basket, Opened, QuoteView, Settled};

#[tauri::command]
#[specta::specta]
pub async fn quote(app: App<'_>, basket: Basket) -> Result<QuoteView> {
    let (counter, _) = app.at_work().await?;
    Ok((&counter.quote(&basket.read()?).await?).into())
}

/// Before the till takes money: everything that the basket uses is held for it, and so much stored value, minor units. To be
/// opened again when `balance` changes and when the time of what is held is up.
#[tauri::command]
#[specta::specta]
pub async fn open_payment(app: App<'_>, ticket: String, balance: i64) -> Result<Opened> {
    let (counter, _) = app.at_work().await?;
    let opened = counter.open_payment(&ticket, balance).await?;
    Ok(Opened::of(&opened, app.locale()))
}

/// What is held for the basket is given back.
#[tauri::command]
#[specta::specta]
pub async fn close_payment(app: App<'_>, ticket: String) -> Result<()> {
    let (counter, _) = app.at_work().await?;
    counter.close_payment(&ticket).await?;
    Ok(())
}

/// `balance` = how much of it the member's stored value pays, minor units.
#[tauri::command]
#[specta::specta]
pub async fn settle(app: App<'_>, ticket: String, tender: String, receipt: String, balance: i64) -> Result<Settled> {
    let (counter, clerk) = app.at_work().await?;
    let tender = counter::Tender {
        tender,
        receipt,
        balance,
    };
    let settled = counter.settle(&ticket, &tender, clerk.id).await?;
    Ok(Settled::of(&settled, app.locale()))
}
