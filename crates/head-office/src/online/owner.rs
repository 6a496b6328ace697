//! Who knows whether an order was paid.

use std::{future::Future, pin::Pin, sync::Arc};

use counterfoil_domain::{ids::TenantId, text::without_mark, transition::online::OnlineOrder};
use serde::{Deserialize, Serialize};

use super::rows::{ORDER_PAYMENT, Overdue};
use crate::{
    db::{Db, DbError},
    site::{self, Caller},
};

/// What became of an order's payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payment {
    /// It was paid.
    Paid,
    /// It was not paid and will not be.
    Failed,
    /// Nobody knows yet.
    Unknown,
}

/// Who is asked; set once what is due at its time is done here.
pub type Asking = std::sync::OnceLock<Arc<dyn OrderOwner>>;

/// The owner of orders. Whatever goes wrong on the way is [`Payment::Unknown`]: nothing is unlocked on a guess.
pub trait OrderOwner: std::fmt::Debug + Send + Sync {
    /// What became of this order's payment.
    fn payment<'a>(
        &'a self,
        tenant: TenantId,
        order: &'a Overdue,
    ) -> Pin<Box<dyn Future<Output = Payment> + Send + 'a>>;
}

/// The tenant's own site, asked over HTTP.
#[derive(Debug)]
pub struct SiteOwner {
    db: Arc<Db>,
    caller: Caller,
}

#[derive(Serialize)]
struct Question<'a> {
    kind: &'static str,
    order: &'a str,
    order_freeze: counterfoil_domain::ids::FreezeId,
    amount: i64,
    deadline: i64,
}

#[derive(Deserialize)]
struct Reply {
    payment: Payment,
}

impl SiteOwner {
    /// Asks through this caller.
    pub fn new(db: Arc<Db>, caller: Caller) -> Self {
        Self { db, caller }
    }

    async fn ask(&self, tenant: TenantId, order: &Overdue) -> Result<Payment, DbError> {
        let webhook = {
            let mut connection = self.db.reader().acquire().await?;
            site::rows::webhook(&mut connection, tenant).await?
        };
        let Some(webhook) = webhook else {
            return Ok(Payment::Unknown);
        };
        let question = Question {
            kind: order.kind,
            order: &order.number,
            order_freeze: order.id,
            amount: order.amount,
            deadline: order.deadline,
        };
        let body = serde_json::to_vec(&question).map_err(|error| DbError::config(error.to_string()))?;
        Ok(match self.caller.post(&webhook, order.id.0, body).await {
            Ok(answer) => {
                serde_json::from_slice(without_mark(&answer)).map_or(Payment::Unknown, |reply: Reply| reply.payment)
            }
            Err(error) => {
                tracing::warn!(%error, "an order's owner does not answer");
                Payment::Unknown
            }
        })
    }
}

impl OrderOwner for SiteOwner {
    fn payment<'a>(
        &'a self,
        tenant: TenantId,
        order: &'a Overdue,
    ) -> Pin<Box<dyn Future<Output = Payment> + Send + 'a>> {
        Box::pin(async move {
            self.ask(tenant, order).await.unwrap_or_else(|error| {
                tracing::error!(%error, "an order's owner can't be asked");
                Payment::Unknown
            })
        })
    }
}

impl From<&OnlineOrder> for Overdue {
    fn from(order: &OnlineOrder) -> Self {
        Self {
            kind: ORDER_PAYMENT,
            id: order.id,
            number: order.number.clone(),
            amount: order.amount,
            deadline: order.deadline,
            asks: order.asks,
        }
    }
}
