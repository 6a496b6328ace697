//! Products: found by barcode, by sku, or by what people type of a name in either language.

mod index;

use counterfoil_domain::products::{Meant, Product, barcode, folded, meant};
pub(crate) use index::{complete, index, is_missing};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::error::Result;

/// Most products of one answer.
const MOST: usize = 200;
/// Words looked at in what was typed.
const WORDS: usize = 8;

/// Which product a text means, by the rule of [`meant`]; also one that is no longer listed.
pub(crate) async fn named(db: &mut SqliteConnection, text: &str) -> Result<Option<Meant>> {
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT image FROM replica WHERE entity = 'product' AND id IN \
         (SELECT id FROM product_barcodes WHERE form = ?1 UNION SELECT id FROM products WHERE sku = ?2)",
    )
    .bind(barcode::form(text))
    .bind(folded(text))
    .fetch_all(db)
    .await?;
    let products = found
        .iter()
        .map(|image| serde_json::from_str(image))
        .collect::<Result<Vec<Product>, _>>()?;
    Ok(meant(text, &products))
}

/// Products that are sold and that what was typed fits: every word of it occurs in the sku, a name or a barcode. Exact
/// skus and barcodes first, then what begins with it, then the rest by sku.
pub(crate) async fn find(db: &mut SqliteConnection, text: &str, limit: usize) -> Result<Vec<Product>> {
    let form = barcode::form(text);
    let text = folded(text);
    let mut words = text.split_whitespace().take(WORDS).peekable();
    if words.peek().is_none() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT r.image FROM products p JOIN replica r ON r.entity = 'product' AND r.id = p.id WHERE p.active = 1 \
         AND (EXISTS (SELECT 1 FROM product_barcodes b WHERE b.id = p.id AND b.form = ",
    );
    query.push_bind(form.clone()).push(") OR (TRUE");
    for word in words {
        query
            .push(" AND (instr(p.sku, ")
            .push_bind(word.to_owned())
            .push(") > 0 OR instr(p.name_zh, ")
            .push_bind(word.to_owned())
            .push(") > 0 OR instr(p.name_en, ")
            .push_bind(word.to_owned())
            .push(") > 0");
        // A piece of a barcode says nothing, but its beginning is typed when a scanner gives up.
        let beginning = barcode::beginning(word);
        if !beginning.is_empty() {
            query
                .push(" OR EXISTS (SELECT 1 FROM product_barcodes b WHERE b.id = p.id AND instr(b.beginning, ")
                .push_bind(beginning.to_owned())
                .push(") = 1)");
        }
        query.push(" OR EXISTS (SELECT 1 FROM product_barcodes b WHERE b.id = p.id AND b.form = ");
        query.push_bind(barcode::form(word)).push("))");
    }
    query
        .push(")) ORDER BY CASE WHEN p.sku = ")
        .push_bind(text.clone())
        .push(" OR EXISTS (SELECT 1 FROM product_barcodes b WHERE b.id = p.id AND b.form = ")
        .push_bind(form)
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

#[cfg(test)]
mod tests;
