//! The columns of rows that counters hold copies of: who was told of them, and the uses that were one too many.

use counterfoil_domain::{ids::StoreId, surplus::Surplus};
use sqlx::{Row, any::AnyRow};

use super::DbError;

const ID: usize = 16;

/// Reads store ids of 16 bytes in a row; nothing is none.
///
/// # Errors
/// [`DbError::Decode`].
pub fn read(row: &AnyRow) -> Result<Vec<StoreId>, DbError> {
    let bytes: Option<Vec<u8>> = row.try_get("told")?;
    bytes
        .unwrap_or_default()
        .chunks(ID)
        .map(|id| StoreId::from_bytes(id).map_err(|_| DbError::Decode { column: "told" }))
        .collect()
}

/// Writes what [`read`] reads.
pub fn stores(stores: &[StoreId]) -> Option<Vec<u8>> {
    (!stores.is_empty()).then(|| stores.iter().flat_map(|store| *store.bytes()).collect())
}

/// Reads the uses that were one too many; nothing is none.
///
/// # Errors
/// [`DbError::Decode`].
pub fn read_surplus(row: &AnyRow) -> Result<Vec<Surplus>, DbError> {
    let text: Option<String> = row.try_get("surplus")?;
    text.map_or(Ok(Vec::new()), |text| {
        serde_json::from_str(&text).map_err(|_| DbError::Decode { column: "surplus" })
    })
}

/// Writes what [`read_surplus`] reads.
pub fn surplus(uses: &[Surplus]) -> Option<String> {
    (!uses.is_empty()).then(|| serde_json::to_string(uses).unwrap_or_default())
}
