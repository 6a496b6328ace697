//! What is judged of pickup orders.

use std::collections::BTreeSet;

use anyhow::Result;
use counterfoil_domain::{ids::OrderId, pickups::OrderState};
use counterfoil_head_office::pickups;

use super::{Judged, Violations, balance::Standing};

/// The word of what operations say they used.
pub const ORDER: &str = "order";

/// As many cases as uses less one, for every order.
pub async fn uses(judged: &Judged<'_>) -> Result<Violations> {
    let mut uses = judged.journals.uses(ORDER);
    let mut snapshot = judged.app.db.snapshot().await?;
    let ids: Vec<OrderId> = uses.keys().copied().map(OrderId).collect();
    let mut violations = Violations::new();
    for order in pickups::rows::load(&mut snapshot, judged.world.base.tenant, &ids, "").await? {
        let holder = match order.state {
            OrderState::Collected { operation, .. } => Some(operation),
            _ => None,
        };
        let is = Standing {
            what: format!("order {}", order.number),
            holder,
            surplus: order.surplus.iter().map(|used| used.operation).collect(),
            perhaps: BTreeSet::new(),
            held: matches!(order.state, OrderState::Ready { freeze: Some(_) }),
            // Handed over in another store, it is an exception of its own.
            ends: None,
            owner: None,
        };
        violations.extend(
            judged
                .journals
                .balance(&is, &uses.remove(&order.id.0).unwrap_or_default()),
        );
    }
    Ok(violations)
}
