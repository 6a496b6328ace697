//! What products are found by, written beside their copies.

use counterfoil_domain::products::{Product, barcode, folded};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::error::Result;

/// Products in one statement.
const ROWS: usize = 200;

type Copied = (Vec<u8>, String);

/// Indexes those of these copies of products that changed; triggers took away what was found of them before.
pub(crate) async fn index(db: &mut SqliteConnection, ids: &[&[u8]]) -> Result<()> {
    for ids in ids.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(format!("{MISSING} AND r.id IN ("));
        let mut list = query.separated(", ");
        for id in ids {
            list.push_bind(*id);
        }
        query.push(")");
        let copies: Vec<Copied> = query.build_query_as().fetch_all(&mut *db).await?;
        write(db, &copies).await?;
    }
    Ok(())
}

/// Whether there are copies of products that nothing finds: another version of the program left them.
pub(crate) async fn is_missing(db: &mut SqliteConnection) -> Result<bool> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT EXISTS ({MISSING})"));
    Ok(sqlx::query_scalar(sql).fetch_one(db).await?)
}

/// Indexes every copy that nothing finds.
pub(crate) async fn complete(db: &mut SqliteConnection) -> Result<()> {
    loop {
        let sql = sqlx::AssertSqlSafe(format!("{MISSING} LIMIT {ROWS}"));
        let copies: Vec<Copied> = sqlx::query_as(sql).fetch_all(&mut *db).await?;
        if copies.is_empty() {
            return Ok(());
        }
        write(db, &copies).await?;
    }
}

const MISSING: &str = "SELECT r.id, r.image FROM replica r WHERE r.entity = 'product' AND NOT EXISTS \
    (SELECT 1 FROM products p WHERE p.id = r.id)";

async fn write(db: &mut SqliteConnection, copies: &[Copied]) -> Result<()> {
    if copies.is_empty() {
        return Ok(());
    }
    let mut products: Vec<(&[u8], Product)> = Vec::with_capacity(copies.len());
    for (id, image) in copies {
        products.push((id.as_slice(), serde_json::from_str(image)?));
    }
    QueryBuilder::<Sqlite>::new("INSERT INTO products (id, sku, name_zh, name_en, active) ")
        .push_values(&products, |mut values, (id, product)| {
            values
                .push_bind(*id)
                .push_bind(folded(&product.sku))
                .push_bind(folded(&product.name_zh))
                .push_bind(folded(&product.name_en))
                .push_bind(i64::from(product.active));
        })
        .build()
        .execute(&mut *db)
        .await?;
    let barcodes: Vec<(&[u8], &String)> = products
        .iter()
        .flat_map(|(id, product)| product.barcodes.iter().map(|code| (*id, code)))
        .collect();
    // A product may have twenty of them.
    for barcodes in barcodes.chunks(ROWS * 10) {
        QueryBuilder::<Sqlite>::new("INSERT OR IGNORE INTO product_barcodes (form, id, beginning) ")
            .push_values(barcodes, |mut values, (id, code)| {
                values
                    .push_bind(barcode::form(code))
                    .push_bind(*id)
                    .push_bind(barcode::beginning(&folded(&barcode::kept(code))).to_owned());
            })
            .build()
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}
