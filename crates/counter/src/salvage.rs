//! After a damaged database file.
use crate::error::Result;
use std::path::Path;
/// What was saved.
#[derive(Debug)]
pub struct Salvaged {}
/// Saves.
pub async fn salvage(_folder: &Path) -> Result<Salvaged> {
    Ok(Salvaged {})
}
