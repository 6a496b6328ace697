//! Template versions within a group.

use std::{collections::HashMap, sync::Arc};

use crate::{
    coupons::rows,
    db::DbError,
    engine::tables::{Loading, Place, Table},
};
use async_trait::async_trait;
use counterfoil_domain::{
    coupons::Template,
    ids::{TemplateId, TenantId},
};

/// Template versions. Commands read them only.
#[derive(Debug, Default)]
pub struct Templates {
    known: HashMap<(TenantId, TemplateId, i64), Arc<Template>>,
}

/// How many are kept in memory; they never change once published.
const KEPT: usize = 10_000;

#[async_trait]
impl Table for Templates {
    fn place(&self) -> Place {
        Place::Templates
    }

    async fn load(&mut self, loading: Loading<'_>) -> Result<(), DbError> {
        let Loading {
            connection,
            tenant,
            state,
            ..
        } = loading;
        let mut missing = Vec::new();
        for (id, version) in state.templates.take_wanted() {
            match self.known.get(&(tenant, id, version)) {
                Some(template) => state.templates.found(Arc::clone(template)),
                None => missing.push((id, version)),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        if self.known.len() > KEPT {
            self.known.clear();
        }
        for (_, template) in rows::load_templates(connection, tenant, &missing).await? {
            let key = (tenant, template.id, template.version);
            self.known.insert(key, Arc::clone(&template));
            state.templates.found(template);
        }
        Ok(())
    }
}
