//! Uses beyond the one that counts. A coupon is good for one use and an order is handed over once; counters that could
//! not ask anybody may do it again, and what left the shop has left it. Each such use has a case, so there are always as
//! many cases as there are uses less one; where the use that counts goes away, the first of the others takes its place
//! and its case is closed.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ClerkId, DeviceId, OperationId, StoreId},
    operations::ExceptionKind,
    time::Millis,
};

/// A use that does not count, for as long as another one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surplus {
    /// The operation; of an order placed online what stands for it.
    pub operation: OperationId,
    /// When, by the clock of whoever did it.
    pub at: Millis,
    /// Where.
    pub store: StoreId,
    /// On which device.
    pub device: DeviceId,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<ClerkId>,
    /// Whether the operation settled a sale.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sale: bool,
    /// A rule that it broke besides: its case stays when it comes to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broke: Option<ExceptionKind>,
}
