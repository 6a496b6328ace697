//! SQL of products and their barcodes.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::{
    ids::TenantId,
    products::{Product, barcode, folded},
    time::Millis,
};
use sqlx::{AnyConnection, Row, any::AnyRow};
use uuid::Uuid;

use crate::{
    db::batch::select_by_id,
    db::{
        DbError,
        batch::{Text, execute, execute_all, fetch, uuid},
        found::read_of,
        upgrade::folded_names,
    },
};

const COLUMNS: &str =
    "id, sku, name_zh, name_en, category, merchant, unit_price, currency, picture, active, version FROM products";
const SELECT: Text = select_by_id!(
    "SELECT id, sku, name_zh, name_en, category, merchant, unit_price, currency, picture, active, version FROM products"
);
const SELECT_BY_SKU: Text = Text::new(
    "SELECT id, sku, name_zh, name_en, category, merchant, unit_price, currency, picture, active, version FROM products WHERE tenant = $1 AND sku IN (",
    ")",
);
// Put in order here: for the sake of an order in the statement SQLite would read all of a chain's rows.
const SELECT_BARCODES: Text = Text::new(
    "SELECT barcode, product FROM product_barcodes WHERE tenant = $1 AND product IN (",
    ")",
);
const SELECT_FOLDED: Text = Text::new(
    "SELECT sku, folded_sku FROM products WHERE tenant = $1 AND folded_sku IN (",
    ")",
);
const SELECT_HOLDERS: Text = Text::new(
    "SELECT form, product FROM product_barcodes WHERE tenant = $1 AND form IN (",
    ")",
);
const INSERT: Text = Text::new(
    "INSERT INTO products (tenant, id, sku, name_zh, name_en, category, merchant, unit_price, currency, picture, active, created_at, changed_at, version, folded_sku, folded_names) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const UPDATE: Text = Text::new(
    "UPDATE products SET name_zh = v.column3, name_en = v.column4, category = v.column5, merchant = v.column6, unit_price = v.column7, currency = v.column8, picture = v.column9, active = v.column10, changed_at = v.column11, version = v.column12, folded_names = v.column13 FROM (VALUES ",
    ") AS v WHERE products.tenant = $1 AND products.id = v.column1 AND products.version = v.column2",
);
const DELETE_BARCODES: Text = Text::new("DELETE FROM product_barcodes WHERE tenant = $1 AND product IN (", ")");
const INSERT_BARCODES: Text = Text::new(
    "INSERT INTO product_barcodes (tenant, barcode, product, form) VALUES ",
    " ON CONFLICT DO NOTHING",
);

fn read(row: &AnyRow) -> Result<(Uuid, Product), DbError> {
    let product = Product {
        sku: row.try_get("sku")?,
        barcodes: Vec::new(),
        name_zh: row.try_get("name_zh")?,
        name_en: row.try_get("name_en")?,
        category: row.try_get("category")?,
        merchant: row.try_get("merchant")?,
        unit_price: row.try_get("unit_price")?,
        currency: row.try_get("currency")?,
        picture: row.try_get("picture")?,
        active: row.try_get::<i64, _>("active")? != 0,
        version: row.try_get("version")?,
    };
    Ok((uuid(row, "id")?, product))
}

/// The same with their barcodes.
async fn with_barcodes(
    connection: &mut AnyConnection,
    tenant: TenantId,
    mut products: Vec<(Uuid, Product)>,
) -> Result<Vec<(Uuid, Product)>, DbError> {
    let ids: Vec<Uuid> = products.iter().map(|(id, _)| *id).collect();
    let mut barcodes: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    let found = fetch(connection, SELECT_BARCODES, "", tenant, &ids, |b, id| {
        b.bytes(id.as_bytes());
    });
    for row in &found.await? {
        let of = barcodes.entry(uuid(row, "product")?).or_default();
        of.push(row.try_get("barcode")?);
    }
    for (id, product) in &mut products {
        product.barcodes = barcodes.remove(id).unwrap_or_default();
        product.barcodes.sort_unstable();
    }
    Ok(products)
}

/// Loads products by the ids of their rows.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, Product)>, DbError> {
    let rows = fetch(connection, SELECT, "", tenant, ids, |b, id| {
        b.bytes(id.as_bytes());
    })
    .await?;
    let products = rows.read(read).collect::<Result<_, _>>()?;
    with_barcodes(connection, tenant, products).await
}

/// Loads products by their article numbers.
///
/// # Errors
/// As [`load`].
pub async fn by_sku(
    connection: &mut AnyConnection,
    tenant: TenantId,
    skus: &[&str],
) -> Result<Vec<(Uuid, Product)>, DbError> {
    let rows = fetch(connection, SELECT_BY_SKU, "", tenant, skus, |b, sku| {
        b.text(sku);
    })
    .await?;
    let products = rows.read(read).collect::<Result<_, _>>()?;
    with_barcodes(connection, tenant, products).await
}

/// Which products barcodes of these forms belong to.
///
/// # Errors
/// As [`load`].
pub async fn holders(
    connection: &mut AnyConnection,
    tenant: TenantId,
    forms: &[&str],
) -> Result<BTreeMap<String, Uuid>, DbError> {
    fetch(connection, SELECT_HOLDERS, "", tenant, forms, |b, form| {
        b.text(form);
    })
    .await?
    .read(|row| Ok((row.try_get("form")?, uuid(row, "product")?)))
    .collect()
}

/// Article numbers that fold to these, by what they fold to.
///
/// # Errors
/// As [`load`].
pub async fn by_folded_sku(
    connection: &mut AnyConnection,
    tenant: TenantId,
    folded: &[&str],
) -> Result<BTreeMap<String, Vec<String>>, DbError> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let rows = fetch(connection, SELECT_FOLDED, "", tenant, folded, |b, folded| {
        b.text(folded);
    });
    for row in &rows.await? {
        found
            .entry(row.try_get("folded_sku")?)
            .or_default()
            .push(row.try_get("sku")?);
    }
    found.values_mut().for_each(|skus| skus.sort_unstable());
    Ok(found)
}

/// What a list of products is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'w> {
    /// A part of the sku or of a name, or a whole barcode; empty = all.
    pub text: &'w str,
    /// Also those no longer sold.
    pub inactive: bool,
    /// The sku after which the page begins.
    pub after: &'w str,
    /// Most products of it.
    pub limit: i64,
}

/// A page of products in the order of their skus.
///
/// # Errors
/// As [`load`].
pub async fn list(
    connection: &mut AnyConnection,
    tenant: TenantId,
    wanted: Wanted<'_>,
) -> Result<Vec<(Uuid, Product)>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} WHERE tenant = $1 AND sku > $2 AND (active = 1 OR $3 = 1) AND ($4 = '' OR folded_sku LIKE $4 ESCAPE '!' OR folded_names LIKE $4 ESCAPE '!' OR id IN (SELECT product FROM product_barcodes WHERE tenant = $1 AND (form = $5 OR barcode = $6))) ORDER BY sku LIMIT $7"
    );
    let folded = folded(wanted.text);
    let mut pattern = String::new();
    if !folded.is_empty() {
        pattern.push('%');
        for c in folded.chars() {
            if matches!(c, '%' | '_' | '!') {
                pattern.push('!');
            }
            pattern.push(c);
        }
        pattern.push('%');
    }
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(tenant.bytes().to_vec())
        .bind(wanted.after.to_owned())
        .bind(i64::from(wanted.inactive))
        .bind(pattern)
        .bind(barcode::form(wanted.text))
        // Where one number is two products', one of them is found by how it is written.
        .bind(barcode::kept(wanted.text))
        .bind(wanted.limit)
        .fetch_all(&mut *connection)
        .await?;
    let products = rows
        .iter()
        .map(|row| read_of("products", &["id"], row, read))
        .collect::<Result<_, _>>()?;
    with_barcodes(connection, tenant, products).await
}

/// Puts barcodes down for products that have none in the database; false when one belongs to another product.
async fn insert_barcodes(
    connection: &mut AnyConnection,
    tenant: TenantId,
    products: &[(Uuid, &Product)],
) -> Result<bool, DbError> {
    let mut rows: Vec<(String, &str, Uuid)> = products
        .iter()
        .flat_map(|(id, product)| {
            let codes = product.barcodes.iter();
            codes.map(|code| (barcode::form(code), code.as_str(), *id))
        })
        .collect();
    // Of a product that has a number in two spellings, one is enough.
    rows.sort_unstable();
    rows.dedup_by(|a, b| (&a.0, a.2) == (&b.0, b.2));
    let inserted = execute(connection, INSERT_BARCODES, tenant, &rows, |b, (form, code, id)| {
        b.text(code).bytes(id.as_bytes()).text(form);
    });
    Ok(inserted.await? == rows.len() as u64)
}

/// Products to be written, and the version of the row that each replaces; 0 = it is new.
pub type Changed = (Uuid, i64, Product);

/// Writes products with their barcodes, all of them or none: roll back when this is not true.
///
/// # Errors
/// The driver's. `Ok(false)` when a product changed meanwhile, or a barcode belongs to another product.
pub async fn write(
    connection: &mut AnyConnection,
    tenant: TenantId,
    products: &[Changed],
    now: Millis,
) -> Result<bool, DbError> {
    let mut new: Vec<&Changed> = products.iter().filter(|(_, replaced, _)| *replaced == 0).collect();
    let mut old: Vec<&Changed> = products.iter().filter(|(_, replaced, _)| *replaced > 0).collect();
    new.sort_unstable_by_key(|(id, ..)| *id);
    old.sort_unstable_by_key(|(id, ..)| *id);
    let inserted = execute_all(connection, "products", INSERT, tenant, &new, |b, (id, _, product)| {
        b.bytes(id.as_bytes())
            .text(&product.sku)
            .text(&product.name_zh)
            .text(&product.name_en)
            .text_or_null(product.category.as_deref())
            .text_or_null(product.merchant.as_deref())
            .number(product.unit_price)
            .text(&product.currency)
            .text_or_null(product.picture.as_deref())
            .number(i64::from(product.active))
            .number(now)
            .number(now)
            .number(product.version)
            .text(&folded(&product.sku))
            .text(&folded_names(&product.name_zh, &product.name_en));
    })
    .await;
    if !all_there(inserted)? {
        return Ok(false);
    }
    let updated = execute_all(
        connection,
        "products",
        UPDATE,
        tenant,
        &old,
        |b, (id, replaced, product)| {
            b.bytes(id.as_bytes())
                .number(*replaced)
                .text(&product.name_zh)
                .text(&product.name_en)
                .text_or_null(product.category.as_deref())
                .text_or_null(product.merchant.as_deref())
                .number(product.unit_price)
                .text(&product.currency)
                .text_or_null(product.picture.as_deref())
                .number(i64::from(product.active))
                .number(now)
                .number(product.version)
                .text(&folded_names(&product.name_zh, &product.name_en));
        },
    )
    .await;
    if !all_there(updated)? {
        return Ok(false);
    }
    let stand = barcodes_stand(connection, tenant, &old).await?;
    old.retain(|(id, ..)| !stand.contains(id));
    execute(connection, DELETE_BARCODES, tenant, &old, |b, (id, ..)| {
        b.bytes(id.as_bytes());
    })
    .await?;
    let written = products.iter().filter(|(id, ..)| !stand.contains(id));
    let named: Vec<(Uuid, &Product)> = written.map(|(id, _, product)| (*id, product)).collect();
    insert_barcodes(connection, tenant, &named).await
}

/// Which of these products have their barcodes already: those stay as they are, also where a number of them should be
/// another's.
async fn barcodes_stand(
    connection: &mut AnyConnection,
    tenant: TenantId,
    old: &[&Changed],
) -> Result<BTreeSet<Uuid>, DbError> {
    let mut found: BTreeMap<Uuid, BTreeSet<String>> = BTreeMap::new();
    let rows = fetch(connection, SELECT_BARCODES, "", tenant, old, |b, (id, ..)| {
        b.bytes(id.as_bytes());
    });
    for row in &rows.await? {
        let of = found.entry(uuid(row, "product")?).or_default();
        of.insert(row.try_get("barcode")?);
    }
    let stands = |(id, _, product): &&&Changed| {
        let wanted: BTreeSet<&String> = product.barcodes.iter().collect();
        let has = found.get(id);
        has.map_or(wanted.is_empty(), |has| wanted.into_iter().eq(has.iter()))
    };
    Ok(old.iter().filter(stands).map(|(id, ..)| *id).collect())
}

/// Whether a conditional statement found all of its rows.
fn all_there(done: Result<(), DbError>) -> Result<bool, DbError> {
    match done {
        Ok(()) => Ok(true),
        Err(DbError::RowCount { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
