//! Which carriers a chain has, said on head office's command line.

use counterfoil_domain::{ids::TenantId, words::Word};
use reqwest::Url;
use zeroize::Zeroizing;

use super::rows;
use crate::{
    clock::{Clock, Random},
    db::Db,
    deed::{Actor, AdminError, Deed, fresh},
    site,
};

/// Longest secret and longest account.
const CHARACTERS: usize = 200;

/// A way to speak to carriers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumString, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Adapter {
    /// The carrier of our own, to try everything with.
    Sandbox,
    /// Kuaidi100, which tracks the waybills of others.
    Kuaidi100,
}

/// How a tenant reaches a carrier.
#[derive(Clone)]
pub struct Setting {
    /// Which.
    pub adapter: Adapter,
    /// Another one each time it is set.
    pub edition: [u8; 16],
    /// Where.
    pub url: Url,
    /// Who we are there; empty where that needs no word.
    pub account: String,
    /// What proves it.
    pub secret: Zeroizing<String>,
    /// What signs what they tell by themselves.
    pub salt: Zeroizing<String>,
    /// Where they tell it.
    pub callback: Option<Url>,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setting")
            .field("adapter", &self.adapter)
            .finish_non_exhaustive()
    }
}

/// What is said of a carrier.
#[derive(Debug, Clone, Copy)]
pub struct NewSetting<'a> {
    /// Which.
    pub adapter: Adapter,
    /// Where.
    pub url: &'a str,
    /// Who we are there.
    pub account: &'a str,
    /// What proves it.
    pub secret: &'a Zeroizing<String>,
    /// Where this head office is reached from outside, so that the carrier can tell of changes by itself.
    pub public: Option<&'a str>,
}

/// The path at which Kuaidi100 tells a tenant of changes.
pub fn callback_path(code: &str) -> String {
    format!("/v1/callbacks/kuaidi100/{code}")
}

/// Sets how a tenant reaches a carrier.
///
/// # Errors
/// [`AdminError`] when the address is none that is called, or a word does not fit.
pub async fn set(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    tenant: TenantId,
    new: &NewSetting<'_>,
) -> Result<(), AdminError> {
    let url = site::address(new.url).map_err(|what| AdminError::malformed("url", what))?;
    for (field, text) in [("customer", new.account), ("secret", new.secret.as_str())] {
        if text.len() > CHARACTERS || text.chars().any(char::is_control) {
            return Err(AdminError::malformed(field, "at most 200 printable characters"));
        }
    }
    if new.adapter == Adapter::Kuaidi100 && (new.account.is_empty() || new.secret.is_empty()) {
        return Err(AdminError::malformed(
            "customer and secret",
            "those that Kuaidi100 gave",
        ));
    }
    let now = clock.now();
    let mut lease = db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), now);
    let callback = match new.public {
        None => None,
        Some(public) => {
            let mut url = site::address(public).map_err(|what| AdminError::malformed("public", what))?;
            let code = rows::code(&mut deed, tenant).await?;
            url.set_path(&callback_path(&code));
            url.set_query(None);
            Some(url)
        }
    };
    let setting = Setting {
        adapter: new.adapter,
        edition: fresh(random)?,
        url,
        account: new.account.to_owned(),
        secret: new.secret.clone(),
        salt: Zeroizing::new(hex::encode(fresh::<16>(random)?)),
        callback,
    };
    rows::set(&mut deed, tenant, &setting, now).await?;
    // The address may hold a secret: the audit log has only its host.
    let detail = format!(
        "{} {}",
        new.adapter.as_str(),
        setting.url.host_str().unwrap_or_default()
    );
    deed.audit("carrier.set", &detail).await?;
    deed.commit("admin.set_carrier").await?;
    Ok(())
}

/// Forgets a carrier: it is asked nothing any more.
///
/// # Errors
/// [`AdminError::NotFound`] when the tenant has none of this kind.
pub async fn drop(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    tenant: TenantId,
    adapter: Adapter,
) -> Result<(), AdminError> {
    let mut lease = db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), clock.now());
    if !rows::drop(&mut deed, tenant, adapter).await? {
        return Err(AdminError::NotFound(format!(
            "there is no carrier {}",
            adapter.as_str()
        )));
    }
    deed.audit("carrier.dropped", adapter.as_str()).await?;
    deed.commit("admin.drop_carrier").await?;
    Ok(())
}
