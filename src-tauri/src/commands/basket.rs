//! The basket: what it costs, and making a sale of it.

use counterfoil_counter as counter;

use super::App;
use crate::problem::Result;
use crate::view::{Basket, QuoteView, Settled};

#[tauri::command]
#[specta::specta]
pub async fn quote(app: App<'_>, basket: Basket) -> Result<QuoteView> {
    let (counter, _) = app.at_work().await?;
    Ok((&counter.quote(&basket.read()?).await?).into())
}

#[tauri::command]
#[specta::specta]
pub async fn settle(app: App<'_>, ticket: String, tender: String, receipt: String) -> Result<Settled> {
    let (counter, clerk) = app.at_work().await?;
    let tender = counter::Tender {
        tender,
        receipt,
        balance: 0,
    };
    let settled = counter.settle(&ticket, &tender, clerk.id).await?;
    Ok(Settled::of(&settled, app.locale()))
}
