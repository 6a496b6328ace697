//! The lines to each tenant's carriers: made when first needed, and anew once a carrier was set anew.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use counterfoil_domain::{ids::TenantId, words::Word};
use reqwest::Client;

use super::{
    Carrier, Line, PATIENCE,
    kuaidi100::{Account, Kuaidi100},
    rows,
    sandbox::Sandbox,
    setting::{Adapter, Setting},
    web,
};
use crate::{app::App, db::DbError};

type Lines = HashMap<(TenantId, Adapter), ([u8; 16], Line)>;

/// Lines by tenant and adapter, each with the edition of its setting.
#[derive(Debug)]
pub struct Registry {
    lines: Mutex<Lines>,
    patience: Duration,
    /// Asked in place of whatever a setting names.
    given: Option<Arc<dyn Carrier>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::patient(PATIENCE)
    }
}

fn carrier(setting: Setting, client: Client) -> Arc<dyn Carrier> {
    match setting.adapter {
        Adapter::Sandbox => Arc::new(Sandbox::new(setting.url, setting.secret, client)),
        Adapter::Kuaidi100 => {
            let account = Account {
                url: setting.url,
                customer: setting.account,
                key: setting.secret,
                salt: setting.salt,
                callback: setting.callback,
            };
            Arc::new(Kuaidi100::new(account, client))
        }
    }
}

impl Registry {
    /// With lines on which an answer is waited for as long.
    pub fn patient(patience: Duration) -> Self {
        Self {
            lines: Mutex::default(),
            patience,
            given: None,
        }
    }

    /// With one carrier in place of whatever settings name: a simulated one.
    pub fn through(carrier: Arc<dyn Carrier>) -> Self {
        Self {
            given: Some(carrier),
            ..Self::default()
        }
    }

    async fn line(&self, app: &App, tenant: TenantId, adapter: Adapter) -> Result<Option<Line>, DbError> {
        let setting = {
            let mut connection = app.db.reader().acquire().await?;
            rows::setting(&mut connection, tenant, adapter).await?
        };
        let Some(setting) = setting else { return Ok(None) };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((edition, line)) = lines.get(&(tenant, adapter))
            && *edition == setting.edition
        {
            return Ok(Some(line.clone()));
        }
        let edition = setting.edition;
        let carrier = match &self.given {
            Some(given) => Arc::clone(given),
            None => carrier(setting, web::client().map_err(DbError::config)?),
        };
        let line = Line::new(carrier, Arc::clone(&app.clock), self.patience);
        lines.insert((tenant, adapter), (edition, line.clone()));
        Ok(Some(line))
    }

    /// The carrier that waybills are ordered at, and its name, if the tenant has one.
    ///
    /// # Errors
    /// The database's.
    pub async fn ordering(&self, app: &App, tenant: TenantId) -> Result<Option<(&'static str, Line)>, DbError> {
        let line = self.line(app, tenant, Adapter::Sandbox).await?;
        Ok(line.map(|line| (Adapter::Sandbox.as_str(), line)))
    }

    /// Who knows where the parcels of this carrier are: itself, or the aggregator.
    ///
    /// # Errors
    /// The database's.
    pub async fn tracking(&self, app: &App, tenant: TenantId, carrier: &str) -> Result<Option<Line>, DbError> {
        let adapter = Adapter::parse(carrier).unwrap_or(Adapter::Kuaidi100);
        self.line(app, tenant, adapter).await
    }
}
