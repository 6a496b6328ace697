//! What was sold today, and what comes back of it.

use std::sync::Arc;

use counterfoil_counter as counter;
use counterfoil_domain::ids::{ClerkId, OperationId};

use super::{App, blocking, id};
use crate::problem::Result;
use crate::settings::Locale;
use crate::slips;
use crate::view::{Receipt, ReturnLine, ReturnPolicy, ReturnPreview, SaleRow, SaleView, Slip};

/// Those of today, in the store's zone, newest first.
#[tauri::command]
#[specta::specta]
pub async fn sales(app: App<'_>) -> Result<Vec<SaleRow>> {
    let (counter, _) = app.at_work().await?;
    let sales = counter.sales(None).await?;
    let locale = app.locale();
    Ok(sales.iter().map(|sale| SaleRow::of(sale, locale)).collect())
}

#[tauri::command]
#[specta::specta]
pub async fn sale(app: App<'_>, op_id: String) -> Result<SaleView> {
    let (counter, _) = app.at_work().await?;
    let sale = counter.sale(id(&op_id, OperationId)?).await?;
    Ok(SaleView::of(&sale, app.locale()))
}

#[tauri::command]
#[specta::specta]
pub async fn return_preview(
    app: App<'_>,
    op_id: String,
    lines: Vec<ReturnLine>,
    policy: ReturnPolicy,
) -> Result<ReturnPreview> {
    let (counter, _) = app.at_work().await?;
    let lines: Vec<_> = lines.into_iter().map(Into::into).collect();
    let preview = counter
        .return_preview(id(&op_id, OperationId)?, &lines, policy.into())
        .await?;
    Ok(ReturnPreview::of(&preview, app.locale()))
}

/// `refund` is what the preview said.
#[tauri::command]
#[specta::specta]
#[expect(clippy::too_many_arguments, reason = "what a manager approves, word by word")]
pub async fn return_sale(
    app: App<'_>,
    op_id: String,
    lines: Vec<ReturnLine>,
    policy: ReturnPolicy,
    refund: i64,
    reason: String,
    manager_id: String,
    manager_pin: String,
) -> Result<Receipt> {
    let (counter, _) = app.at_work().await?;
    let operation = id(&op_id, OperationId)?;
    let manager = id(&manager_id, ClerkId)?;
    let lines: Vec<_> = lines.into_iter().map(Into::into).collect();
    let receipt = counter
        .return_sale(operation, &lines, policy.into(), refund, &reason, manager, &manager_pin)
        .await?;
    Ok(Receipt::of(&receipt, app.locale()))
}

/// Writes the slip as PDF, opens it, and says where it is.
#[tauri::command]
#[specta::specta]
pub async fn slip(app: App<'_>, op_id: String) -> Result<Slip> {
    let (counter, _) = app.at_work().await?;
    let operation = id(&op_id, OperationId)?;
    let language = match app.locale() {
        Locale::ZhCn => counter::Language::Zh,
        Locale::En => counter::Language::En,
    };
    let pdf = counter.slip(operation, language).await?;
    let shell = Arc::clone(&app);
    let path = blocking(move || slips::keep(shell.folder(), &operation.to_string(), &pdf)).await?;
    slips::show(&path);
    Ok(Slip {
        path: path.display().to_string(),
    })
}
