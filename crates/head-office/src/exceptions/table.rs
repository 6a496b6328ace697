//! Cases within a group.

use std::collections::{BTreeMap, btree_map::Entry};

use super::rows;
use crate::{
    db::DbError,
    engine::tables::{Place, Storing, Table},
};
use async_trait::async_trait;
use counterfoil_domain::{
    ids::OperationId,
    operations::ExceptionKind,
    transition::{Case, Excused},
};

/// What a case is found by.
type Key = (OperationId, ExceptionKind);

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
        if !facts.more_cases.is_empty() {
            let mut cases: BTreeMap<Key, Case> = BTreeMap::new();
            for case in &facts.more_cases {
                match cases.entry((case.operation, case.kind)) {
                    Entry::Vacant(place) => {
                        place.insert(case.clone());
                    }
                    Entry::Occupied(mut known) => {
                        let loss = &mut known.get_mut().loss;
                        *loss = loss.saturating_add(case.loss);
                    }
                }
            }
            let cases: Vec<_> = cases.into_values().collect();
            rows::add_to_cases(connection, tenant, &cases, now).await?;
        }
        if !facts.excused.is_empty() {
            let mut sums: BTreeMap<Key, i64> = BTreeMap::new();
            for excused in &facts.excused {
                let sum = sums.entry((excused.operation, excused.kind)).or_default();
                *sum = sum.saturating_add(excused.loss);
            }
            let sums = sums
                .into_iter()
                .map(|((operation, kind), loss)| Excused { operation, kind, loss });
            rows::excuse_cases(connection, tenant, &sums.collect::<Vec<_>>()).await?;
        }
        if !facts.closed_cases.is_empty() {
            rows::close_cases(connection, tenant, &facts.closed_cases, now).await?;
        }
        Ok(())
    }
}
