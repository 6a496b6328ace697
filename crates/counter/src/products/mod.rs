//! Products: found by barcode, by sku, or by what people type of a name in either language.

use counterfoil_domain::products::Product;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::error::Result;

/// Most products of one answer.
const MOST: usize = 200;
/// Words looked at in what was typed.
const WORDS: usize = 8;

/// The product with this barcode or sku, also one that is no longer listed.
pub(crate) async fn by_barcode(db: &mut SqliteConnection, code: &str) -> Result<Option<Product>> {
    let code = plain(code);
    let found: Option<String> = sqlx::query_scalar(
        "SELECT r.image FROM products p JOIN replica r ON r.entity = 'product' AND r.id = p.id \
         WHERE p.id IN (SELECT id FROM product_barcodes WHERE barcode = ?1 UNION SELECT id FROM products WHERE sku = ?2) \
         ORDER BY p.active DESC, p.sku LIMIT 1",
    )
    .bind(&code)
    .bind(code.to_lowercase())
    .fetch_optional(db)
    .await?;
    Ok(found.map(|image| serde_json::from_str(&image)).transpose()?)
}

/// Products that are sold and that what was typed fits: every word of it occurs in the sku, a name or a barcode. Exact
/// skus and barcodes first, then what begins with it, then the rest by sku.
pub(crate) async fn find(db: &mut SqliteConnection, text: &str, limit: usize) -> Result<Vec<Product>> {
    let text = plain(text).to_lowercase();
    let mut words = text.split_whitespace().take(WORDS).peekable();
    if words.peek().is_none() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT r.image FROM products p JOIN replica r ON r.entity = 'product' AND r.id = p.id WHERE p.active = 1",
    );
    for word in words {
        query
            .push(" AND (instr(p.sku, ")
            .push_bind(word.to_owned())
            .push(") > 0 OR instr(p.name_zh, ")
            .push_bind(word.to_owned())
            .push(") > 0 OR instr(p.name_en, ")
            .push_bind(word.to_owned())
            // A piece of a barcode says nothing, but its beginning is typed when a scanner gives up.
            .push(
                ") > 0 OR EXISTS (SELECT 1 FROM product_barcodes b WHERE b.id = p.id AND substr(b.barcode, 1, length(",
            )
            .push_bind(word.to_owned())
            .push(")) = ")
            .push_bind(word.to_owned())
            .push("))");
    }
    query
        .push(" ORDER BY CASE WHEN p.sku = ")
        .push_bind(text.clone())
        .push(" OR EXISTS (SELECT 1 FROM product_barcodes b WHERE b.id = p.id AND b.barcode = ")
        .push_bind(text.clone())
        .push(") THEN 0 WHEN instr(p.sku, ")
        .push_bind(text.clone())
        .push(") = 1 THEN 1 WHEN instr(p.name_zh, ")
        .push_bind(text.clone())
        .push(") = 1 OR instr(p.name_en, ")
        .push_bind(text.clone())
        .push(") = 1 THEN 2 WHEN instr(' ' || p.name_en, ' ' || ")
        .push_bind(text)
        .push(") > 0 THEN 3 ELSE 4 END, p.sku LIMIT ")
        .push_bind(i64::try_from(limit.clamp(1, MOST)).unwrap_or(1));
    let found: Vec<String> = query.build_query_scalar().fetch_all(db).await?;
    found.iter().map(|image| Ok(serde_json::from_str(image)?)).collect()
}

/// Full-width characters to plain ones: an input method may have been left on.
fn plain(text: &str) -> String {
    text.trim()
        .chars()
        .map(|c| match c {
            '\u{3000}' => ' ',
            '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
            _ => c,
        })
        .collect()
}

#[cfg(test)]
mod tests;
