//! Stock: what lies in stores and warehouses, and how it moved.
//!
//! What may be done to it is `domain::stock`; here are its rows, and how people set it right.

mod capability;
pub mod http;
pub mod rows;
mod rules;
pub mod table;

pub use capability::CAPABILITY;

use counterfoil_domain::{
    ids::{LocationId, StockId},
    stock::{MoveCause, Stock, StockError},
};

use crate::{db::DbError, deed::Deed};

/// What people say of what is on hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// So many are there.
    Counted(
        /// How many, >= 0.
        i64,
    ),
    /// So many more, or fewer, are there.
    Changed(
        /// How many.
        i64,
    ),
}

/// Sets right what is on hand. What changes nothing leaves no movement behind, but for a count.
///
/// # Errors
/// The driver's; [`DbError::RowCount`] when another process made the row in this very moment. `Ok(Err(_))` when it can't
/// be so, and nothing was changed.
pub async fn set_right(
    deed: &mut Deed<'_>,
    lock: &'static str,
    (location, sku): (LocationId, &str),
    said: Said,
    cause: MoveCause,
) -> Result<Result<Stock, StockError>, DbError> {
    let tenant = deed.tenant();
    let id = StockId::of(location, sku);
    let known = rows::load(deed, tenant, &[id], lock).await?.pop();
    let before = known.as_ref().map(|stock| stock.version);
    let mut stock = known.unwrap_or_else(|| Stock::none(location, sku));
    let change = match said {
        Said::Counted(on_hand) => on_hand - stock.on_hand,
        Said::Changed(change) => change,
    };
    let moved = match stock.change(change, cause) {
        Ok(moved) => moved,
        Err(error) => return Ok(Err(error)),
    };
    match before {
        Some(version) => rows::update(deed, tenant, &[(version, &stock)]).await?,
        None => rows::insert(deed, tenant, &[&stock]).await?,
    }
    rows::insert_moves(deed, tenant, &[moved]).await?;
    Ok(Ok(stock))
}
