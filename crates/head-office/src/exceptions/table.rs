//! Cases within a group.

use std::collections::BTreeMap;

use super::rows;
use crate::{
    db::DbError,
    engine::tables::{Place, Storing, Table},
};
use async_trait::async_trait;
use counterfoil_domain::ids::OperationId;

/// Cases.
#[derive(Debug)]
pub struct Exceptions;

#[async_trait]
impl Table for Exceptions {
    fn place(&self) -> Place {
        Place::Exceptions
    }

    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let Storing {
            connection,
            tenant,
            now,
            facts,
            ..
        } = storing;
        if !facts.cases.is_empty() {
            rows::insert_cases(connection, tenant, &facts.cases, now).await?;
        }
        if !facts.excused.is_empty() {
            let mut sums: BTreeMap<OperationId, i64> = BTreeMap::new();
            for excused in &facts.excused {
                let sum = sums.entry(excused.operation).or_default();
                *sum = sum.saturating_add(excused.loss);
            }
            let sums: Vec<_> = sums.into_iter().collect();
            rows::excuse_cases(connection, tenant, &sums).await?;
        }
        if !facts.closed_cases.is_empty() {
            rows::close_cases(connection, tenant, &facts.closed_cases, now).await?;
        }
        Ok(())
    }
}
