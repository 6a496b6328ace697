//! What is done to a member's account by itself.

use counterfoil_counter as counter;
use counterfoil_domain::{ids::MemberId, points::Asset};

use super::{App, id};
use crate::problem::Result;
use crate::view::{MemberCard, Receipt, StatementView, ToppedUp};

/// A member pays money in. `amount` is what was typed: `100`, `12.50`.
#[tauri::command]
#[specta::specta]
pub async fn top_up(app: App<'_>, member: String, amount: String, tender: String, receipt: String) -> Result<ToppedUp> {
    let (counter, clerk) = app.at_work().await?;
    let member = id(&member, MemberId)?;
    let paid = counter::PaidIn {
        member,
        amount,
        tender,
        receipt,
    };
    let receipt = counter.top_up(&paid, clerk.id).await?;
    let card = counter.member_card(member).await?;
    Ok(ToppedUp {
        receipt: Receipt::of(&receipt, app.locale()),
        member: card.as_ref().map(MemberCard::from),
    })
}

/// A part of a member's statement, newest line first: of stored value, else of points; only lines before a number, where
/// one is given.
#[tauri::command]
#[specta::specta]
pub async fn statement(app: App<'_>, member: String, balance: bool, before: Option<i64>) -> Result<StatementView> {
    let (counter, _) = app.at_work().await?;
    let asset = if balance { Asset::Balance } else { Asset::Points };
    let said = counter.statement(id(&member, MemberId)?, asset, before).await?;
    Ok(StatementView::of(&said))
}
