//! What a look-up showed.

use counterfoil_domain::{
    coupons::{Coupon, Template},
    pickups::Order,
};
use counterfoil_protocol::operation::Evidence;
use tokio::sync::Mutex as AsyncMutex;

use super::{PresentedBy, Receipt};

/// What was shown.
#[derive(Debug, Clone)]
pub enum Shown {
    /// A coupon and its rule.
    Coupon {
        coupon: Box<Coupon>,
        template: Box<Template>,
        /// Only its token is known; head office's row of it is not here.
        by_token_only: bool,
    },
    /// A pickup order.
    Order { order: Box<Order> },
}

/// One showing.
#[derive(Debug)]
pub struct Ticket {
    /// What.
    pub shown: Shown,
    /// What the customer presented.
    pub evidence: Evidence,
    /// Who stands there, when known.
    pub presented_by: PresentedBy,
    /// The receipt, once it is confirmed. Locked while it is being confirmed.
    pub done: AsyncMutex<Option<Receipt>>,
}
