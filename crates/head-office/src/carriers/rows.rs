//! SQL of which carriers a chain has.

use counterfoil_domain::{ids::TenantId, time::Millis, words::Word};
use reqwest::Url;
use sqlx::{AnyConnection, Row, any::AnyRow};
use zeroize::Zeroizing;

use super::setting::{Adapter, Setting};
use crate::{
    db::{DbError, batch::id},
    site,
};

const SELECT: &str =
    "SELECT edition, url, account, secret, salt, callback FROM carriers WHERE tenant = $1 AND adapter = $2";

fn read(row: &AnyRow, adapter: Adapter) -> Result<Setting, DbError> {
    let url = |column: &'static str, text: String| Url::parse(&text).map_err(|_| DbError::Decode { column });
    let secret = |column: &'static str| -> Result<Zeroizing<String>, DbError> {
        let bytes: Vec<u8> = row.try_get(column)?;
        String::from_utf8(bytes)
            .map(Zeroizing::new)
            .map_err(|_| DbError::Decode { column })
    };
    let address: String = row.try_get("url")?;
    let callback: Option<String> = row.try_get("callback")?;
    Ok(Setting {
        adapter,
        edition: row
            .try_get::<Vec<u8>, _>("edition")?
            .try_into()
            .map_err(|_| DbError::Decode { column: "edition" })?,
        url: site::address(&address).map_err(|_| DbError::Decode { column: "url" })?,
        account: row.try_get("account")?,
        secret: secret("secret")?,
        salt: secret("salt")?,
        callback: callback.map(|text| url("callback", text)).transpose()?,
    })
}

/// How the tenant reaches this carrier, if it does.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn setting(
    connection: &mut AnyConnection,
    tenant: TenantId,
    adapter: Adapter,
) -> Result<Option<Setting>, DbError> {
    let row = sqlx::query(SELECT)
        .bind(tenant.bytes().to_vec())
        .bind(adapter.as_str().to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(|row| read(row, adapter)).transpose()
}

/// The tenant with this code, and the salt of what Kuaidi100 tells it.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn salt(
    connection: &mut AnyConnection,
    code: &str,
) -> Result<Option<(TenantId, Zeroizing<String>)>, DbError> {
    let row = sqlx::query(
        "SELECT t.tenant AS tenant, c.salt AS salt FROM tenants t JOIN carriers c ON c.tenant = t.tenant AND c.adapter = 'kuaidi100' WHERE t.code = $1",
    )
    .bind(code.to_owned())
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let salt = String::from_utf8(row.try_get("salt")?).map_err(|_| DbError::Decode { column: "salt" })?;
        Ok((id(&row, "tenant", TenantId::from_bytes)?, Zeroizing::new(salt)))
    })
    .transpose()
}

/// The code of a tenant.
///
/// # Errors
/// The driver's.
pub async fn code(connection: &mut AnyConnection, tenant: TenantId) -> Result<String, DbError> {
    Ok(sqlx::query_scalar("SELECT code FROM tenants WHERE tenant = $1")
        .bind(tenant.bytes().to_vec())
        .fetch_one(connection)
        .await?)
}

/// Which carriers the tenant has, and where each is.
///
/// # Errors
/// The driver's.
pub async fn list(connection: &mut AnyConnection, tenant: TenantId) -> Result<Vec<(String, String)>, DbError> {
    sqlx::query("SELECT adapter, url FROM carriers WHERE tenant = $1 ORDER BY adapter")
        .bind(tenant.bytes().to_vec())
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| Ok((row.try_get("adapter")?, row.try_get("url")?)))
        .collect()
}

/// Sets how the tenant reaches a carrier.
///
/// # Errors
/// The driver's.
pub async fn set(
    connection: &mut AnyConnection,
    tenant: TenantId,
    setting: &Setting,
    now: Millis,
) -> Result<(), DbError> {
    sqlx::query(
        "INSERT INTO carriers (tenant, adapter, edition, url, account, secret, salt, callback, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant, adapter) DO UPDATE SET edition = excluded.edition, url = excluded.url, account = excluded.account, secret = excluded.secret, salt = excluded.salt, callback = excluded.callback, created_at = excluded.created_at",
    )
    .bind(tenant.bytes().to_vec())
    .bind(setting.adapter.as_str().to_owned())
    .bind(setting.edition.to_vec())
    .bind(setting.url.as_str().to_owned())
    .bind(setting.account.clone())
    .bind(setting.secret.as_bytes().to_vec())
    .bind(setting.salt.as_bytes().to_vec())
    .bind(setting.callback.as_ref().map(|url| url.as_str().to_owned()))
    .bind(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets a carrier; whether there was one.
///
/// # Errors
/// The driver's.
pub async fn drop(connection: &mut AnyConnection, tenant: TenantId, adapter: Adapter) -> Result<bool, DbError> {
    let gone = sqlx::query("DELETE FROM carriers WHERE tenant = $1 AND adapter = $2")
        .bind(tenant.bytes().to_vec())
        .bind(adapter.as_str().to_owned())
        .execute(connection)
        .await?;
    Ok(gone.rows_affected() == 1)
}
