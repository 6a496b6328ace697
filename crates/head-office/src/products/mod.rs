//! Products: the catalogue that every counter holds.

pub mod http;
pub mod import;
pub mod rows;

use std::collections::BTreeMap;

use counterfoil_domain::{
    ids::{StoreId, TenantId},
    products::{Flaw, Product},
    time::Millis,
};
use sqlx::AnyConnection;
use uuid::Uuid;

use crate::{
    App,
    clock::Random,
    db::DbError,
    sync::feed::{self, Item, TENANT_FEED},
};

/// What became of a product that somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every answer is the product, and one is made a request"
)]
pub enum Written {
    /// It stands so now; `fresh` when it is new.
    Stands {
        /// The product.
        product: Product,
        /// It was not there before.
        fresh: bool,
        /// Where the tenant's feed stands, when something changed.
        feed: Option<i64>,
    },
    /// It has another version than whoever wrote it has seen.
    ChangedMeanwhile {
        /// The version it has; 0 = there is none.
        version: i64,
    },
    /// Another product has one of its barcodes.
    BarcodeTaken,
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
    // Its own type would say no more than that it is one: nothing else refers to it.
    Ok(StoreId::new(now, random).0)
}

/// Tells every counter of these products; where the tenant's feed stands afterwards.
///
/// # Errors
/// The driver's.
pub async fn tell(
    connection: &mut AnyConnection,
    random: &dyn Random,
    tenant: TenantId,
    ids: impl Iterator<Item = Uuid>,
) -> Result<Option<i64>, DbError> {
    let items: Vec<Item> = ids.map(Item::Product).collect();
    if items.is_empty() {
        return Ok(None);
    }
    let mut mark = [0u8; 8];
    random
        .fill(&mut mark)
        .map_err(|error| DbError::config(error.to_string()))?;
    let news = BTreeMap::from([(TENANT_FEED, items)]);
    let heads = feed::append(connection, tenant, &news, i64::from_be_bytes(mark)).await?;
    Ok(heads.get(&TENANT_FEED).copied())
}

/// Writes one product over the version `seen`; 0 = it must be new. One that says the same stays as it is.
///
/// Roll back unless it [`Written::Stands`].
///
/// # Errors
/// The driver's.
pub async fn write(
    connection: &mut AnyConnection,
    app: &App,
    tenant: TenantId,
    mut product: Product,
    seen: i64,
) -> Result<Written, DbError> {
    let flaws = product.flaws();
    if !flaws.is_empty() {
        return Ok(Written::Flawed(flaws));
    }
    let now = app.clock.now();
    let found = rows::by_sku(connection, tenant, &[&product.sku]).await?.pop();
    let version = found.as_ref().map_or(0, |(_, before)| before.version);
    if let Some((_, before)) = &found
        && before.says_the_same_as(&product)
    {
        return Ok(Written::Stands {
            product: before.clone(),
            fresh: false,
            feed: None,
        });
    }
    if version != seen {
        return Ok(Written::ChangedMeanwhile { version });
    }
    let id = match &found {
        Some((id, _)) => *id,
        None => new_id(app.random.as_ref(), now)?,
    };
    let codes: Vec<&str> = product.barcodes.iter().map(String::as_str).collect();
    let holders = rows::holders(connection, tenant, &codes).await?;
    if holders.values().any(|holder| *holder != id) {
        return Ok(Written::BarcodeTaken);
    }
    product.version = version + 1;
    if !rows::write(connection, tenant, &[(id, version, product.clone())], now).await? {
        return Ok(Written::ChangedMeanwhile { version });
    }
    let feed = tell(connection, app.random.as_ref(), tenant, std::iter::once(id)).await?;
    Ok(Written::Stands {
        product,
        fresh: version == 0,
        feed,
    })
}
