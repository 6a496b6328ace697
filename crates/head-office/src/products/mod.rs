//! Products: the catalogue that every counter holds.

mod capability;
pub mod http;
pub mod image;
pub mod import;
pub mod rows;

pub use capability::CAPABILITY;

use counterfoil_domain::{
    ids::{self, TenantId},
    products::{Flaw, Product, barcode},
    time::Millis,
};
use sqlx::AnyConnection;
use uuid::Uuid;

use crate::{
    clock::Random,
    db::DbError,
    deed::Deed,
    feed::{Item, TENANT_FEED},
};

/// What became of a product that somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It stands so now; `fresh` when it is new.
    Stands {
        /// The product.
        product: Product,
        /// It was not there before.
        fresh: bool,
        /// Whether something changed.
        changed: bool,
    },
    /// It has another version than whoever wrote it has seen.
    ChangedMeanwhile {
        /// The version it has; 0 = there is none.
        version: i64,
    },
    /// Another product has one of its barcodes.
    BarcodeTaken {
        /// The barcode.
        barcode: String,
    },
    /// One of its barcodes is the sku of another product.
    BarcodeIsSku {
        /// That sku.
        sku: String,
    },
    /// Its sku is the barcode of another product.
    SkuIsBarcode,
    /// It is not acceptable.
    Flawed(Vec<Flaw>),
}

/// The word of a flaw for programs.
pub fn word(flaw: Flaw) -> String {
    serde_json::to_value(flaw)
        .ok()
        .and_then(|word| word.as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}

/// A new id of a product's row.
///
/// # Errors
/// When there is no randomness.
pub fn new_id(random: &dyn Random, now: Millis) -> Result<Uuid, DbError> {
    let random = crate::clock::bytes(random).map_err(|error| DbError::config(error.to_string()))?;
    Ok(ids::make(ids::Place::ZERO, now, random))
}

/// What is wrong with a product and was not before: what was acceptable once does not stand in the way of a change of
/// something else.
pub(crate) fn fresh_flaws(product: &Product, before: Option<&Product>) -> Vec<Flaw> {
    let mut flaws = product.flaws();
    if let Some(before) = before {
        let known = before.flaws();
        flaws.retain(|flaw| !known.contains(flaw));
    }
    flaws
}

/// What the product would take from another: a scan would mean the one or the other.
async fn clash(
    connection: &mut AnyConnection,
    tenant: TenantId,
    id: Uuid,
    before: Option<&Product>,
    product: &Product,
) -> Result<Option<Written>, DbError> {
    let known = before.map(Product::forms).unwrap_or_default();
    let own = barcode::form(&product.sku);
    let forms: Vec<String> = product
        .forms()
        .into_iter()
        .filter(|form| !known.contains(form))
        .collect();
    let mut asked: Vec<&str> = forms.iter().map(String::as_str).collect();
    if before.is_none() {
        asked.push(&own);
    }
    let holders = rows::holders(connection, tenant, &asked).await?;
    let taken = |form: &String| holders.get(form).is_some_and(|holder| *holder != id);
    if let Some(form) = forms.iter().find(|form| taken(form)) {
        let written = product.barcodes.iter().find(|code| barcode::form(code) == *form);
        let barcode = written.unwrap_or(form).clone();
        return Ok(Some(Written::BarcodeTaken { barcode }));
    }
    if before.is_none() && taken(&own) {
        return Ok(Some(Written::SkuIsBarcode));
    }
    let skus: Vec<&str> = forms.iter().flat_map(|form| barcode::spellings(form)).collect();
    let named = rows::by_sku(connection, tenant, &skus).await?;
    let other = named.into_iter().find(|(other, _)| *other != id);
    Ok(other.map(|(_, product)| Written::BarcodeIsSku { sku: product.sku }))
}

/// Writes one product over the version `seen`; 0 = it must be new. One that says the same stays as it is.
///
/// Roll back unless it [`Written::Stands`].
///
/// # Errors
/// The driver's.
pub async fn write(deed: &mut Deed<'_>, mut product: Product, seen: i64) -> Result<Written, DbError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let found = rows::by_sku(deed, tenant, &[&product.sku]).await?.pop();
    product = product.tidied();
    let flaws = fresh_flaws(&product, found.as_ref().map(|(_, before)| before));
    if !flaws.is_empty() {
        return Ok(Written::Flawed(flaws));
    }
    let version = found.as_ref().map_or(0, |(_, before)| before.version);
    if let Some((_, before)) = &found
        && before.says_the_same_as(&product)
    {
        return Ok(Written::Stands {
            product: before.clone(),
            fresh: false,
            changed: false,
        });
    }
    if version != seen {
        return Ok(Written::ChangedMeanwhile { version });
    }
    let id = match &found {
        Some((id, _)) => *id,
        None => new_id(deed.random(), now)?,
    };
    if let Some(clash) = clash(deed, tenant, id, found.as_ref().map(|(_, before)| before), &product).await? {
        return Ok(clash);
    }
    product.version = version + 1;
    if !rows::write(deed, tenant, &[(id, version, product.clone())], now).await? {
        return Ok(Written::ChangedMeanwhile { version });
    }
    deed.tell(TENANT_FEED, Item::Product(id));
    Ok(Written::Stands {
        product,
        fresh: version == 0,
        changed: true,
    })
}
