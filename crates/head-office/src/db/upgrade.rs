//! What a migration can't say in SQL: columns that the program computes, for the rows that were there before them.

use std::collections::BTreeSet;

use counterfoil_domain::{
    ids::TenantId,
    products::{barcode, folded},
};
use sqlx::{AnyConnection, Row, any::AnyRow};
use tracing::warn;

use super::{
    DbError,
    batch::{self, Text, execute, fetch},
};

/// Rows of one statement.
const ROWS: i64 = 500;

const FOLD: Text = Text::new(
    "UPDATE products SET folded_sku = v.column2, folded_names = v.column3 FROM (VALUES ",
    ") AS v WHERE products.tenant = $1 AND products.id = v.column1 AND products.folded_sku IS NULL",
);
const FORM: Text = Text::new(
    "UPDATE product_barcodes SET form = v.column2 FROM (VALUES ",
    ") AS v WHERE product_barcodes.tenant = $1 AND product_barcodes.barcode = v.column1 AND product_barcodes.form IS NULL",
);
const TAKEN: Text = Text::new("SELECT form FROM product_barcodes WHERE tenant = $1 AND form IN (", ")");

/// What both names of a product are found by.
pub fn folded_names(name_zh: &str, name_en: &str) -> String {
    format!("{}\n{}", folded(name_zh), folded(name_en))
}

/// Whether there is something to do.
pub(super) async fn is_needed(connection: &mut AnyConnection) -> Result<bool, DbError> {
    let products = sqlx::query("SELECT 1 FROM products WHERE folded_sku IS NULL LIMIT 1")
        .fetch_optional(&mut *connection)
        .await?;
    let barcodes = sqlx::query("SELECT 1 FROM product_barcodes WHERE form IS NULL LIMIT 1")
        .fetch_optional(connection)
        .await?;
    Ok(products.is_some() || barcodes.is_some())
}

/// Does it.
pub(super) async fn complete(connection: &mut AnyConnection) -> Result<(), DbError> {
    while fold(connection).await? {}
    while form(connection).await? {}
    Ok(())
}

/// The rows of the tenant that the first is of: a statement is about one.
fn of_one_tenant(rows: &[AnyRow]) -> Result<Option<(TenantId, &[AnyRow])>, DbError> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let tenant = batch::id(first, "tenant", TenantId::from_bytes)?;
    let mut theirs = 0;
    for row in rows {
        if batch::id(row, "tenant", TenantId::from_bytes)? != tenant {
            break;
        }
        theirs += 1;
    }
    Ok(rows.get(..theirs).map(|rows| (tenant, rows)))
}

async fn fold(connection: &mut AnyConnection) -> Result<bool, DbError> {
    let rows = sqlx::query(
        "SELECT tenant, id, sku, name_zh, name_en FROM products WHERE folded_sku IS NULL ORDER BY tenant, id LIMIT $1",
    )
    .bind(ROWS)
    .fetch_all(&mut *connection)
    .await?;
    let Some((tenant, rows)) = of_one_tenant(&rows)? else {
        return Ok(false);
    };
    let mut folds: Vec<(Vec<u8>, String, String)> = Vec::with_capacity(rows.len());
    for row in rows {
        let names = folded_names(row.try_get("name_zh")?, row.try_get("name_en")?);
        folds.push((row.try_get("id")?, folded(row.try_get("sku")?), names));
    }
    execute(connection, FOLD, tenant, &folds, |b, (id, sku, names)| {
        b.bytes(id).text(sku).text(names);
    })
    .await?;
    Ok(true)
}

/// A number that two products have stays with the one that is sold, then with the older one.
async fn form(connection: &mut AnyConnection) -> Result<bool, DbError> {
    let rows = sqlx::query(
        "SELECT b.tenant, b.barcode, p.sku FROM product_barcodes b JOIN products p ON p.tenant = b.tenant AND p.id = b.product WHERE b.form IS NULL ORDER BY b.tenant, p.active DESC, p.created_at, p.id, b.barcode LIMIT $1",
    )
    .bind(ROWS)
    .fetch_all(&mut *connection)
    .await?;
    let Some((tenant, rows)) = of_one_tenant(&rows)? else {
        return Ok(false);
    };
    let mut codes: Vec<(String, String, String)> = Vec::with_capacity(rows.len());
    for row in rows {
        let code: String = row.try_get("barcode")?;
        let form = barcode::form(&code);
        codes.push((code, form, row.try_get("sku")?));
    }
    let mut taken = BTreeSet::new();
    for row in &fetch(connection, TAKEN, "", tenant, &codes, |b, (_, form, _)| {
        b.text(form);
    })
    .await?
    {
        taken.insert(row.try_get::<String, _>("form")?);
    }
    for (code, form, sku) in &mut codes {
        if !taken.insert(form.clone()) {
            warn!(barcode = %code, %sku, "this barcode is another product's too, written otherwise; give it to one of them");
            *form = format!(" {code}");
        }
    }
    execute(connection, FORM, tenant, &codes, |b, (code, form, _)| {
        b.text(code).text(form);
    })
    .await?;
    Ok(true)
}
