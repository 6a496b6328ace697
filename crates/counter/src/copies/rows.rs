//! The first rows of the list. What comes later says it in a folder of its own.

use counterfoil_domain::{
    coupons::{Coupon, CouponState, Template},
    ids::{CouponId, MemberId, OperationId, OrderId, TemplateId},
    people::{Clerk, Member, Store},
    pickups::{Order, OrderState},
    products::Product,
    sales::Sale,
    tokens::TokenKey,
};
use counterfoil_protocol::{questions::LookupRequest, sync::StoreLimits};

use super::{Copied, Overlaid, Whose};

/// What finds a template version.
pub fn template_id(id: TemplateId, version: i64) -> Vec<u8> {
    let mut bytes = id.bytes().to_vec();
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes
}

impl Copied for Coupon {
    const ENTITY: &'static str = "coupon";
    const WHOSE: Whose = Whose::Member { kept_by: "home_store" };
    fn id(&self) -> Vec<u8> {
        self.id.bytes().to_vec()
    }
    fn lookup(&self) -> Option<String> {
        Some(self.code.clone())
    }
    fn lookup2(&self) -> Option<String> {
        self.member.map(|member| member.to_string())
    }
}

impl Overlaid for Coupon {
    fn shows(&self, operation: OperationId) -> bool {
        matches!(self.state, CouponState::Redeemed { operation: by, .. } if by == operation)
    }
    fn before(self, _: OperationId) -> Option<Self> {
        Some(Self {
            state: CouponState::Available,
            ..self
        })
    }
    fn member(&self) -> Option<MemberId> {
        self.member
    }
    fn question(key: CouponId) -> Option<LookupRequest> {
        Some(LookupRequest::Coupon(key))
    }
}

impl Copied for Order {
    const ENTITY: &'static str = "order";
    const WHOSE: Whose = Whose::Member { kept_by: "store" };
    fn id(&self) -> Vec<u8> {
        self.id.bytes().to_vec()
    }
    fn lookup(&self) -> Option<String> {
        Some(self.code.clone())
    }
    fn lookup2(&self) -> Option<String> {
        self.member.map(|member| member.to_string())
    }
}

impl Overlaid for Order {
    fn shows(&self, operation: OperationId) -> bool {
        matches!(self.state, OrderState::Collected { operation: by, .. } if by == operation)
    }
    fn before(self, _: OperationId) -> Option<Self> {
        Some(Self {
            state: OrderState::Ready { freeze: None },
            ..self
        })
    }
    fn member(&self) -> Option<MemberId> {
        self.member
    }
    fn question(key: OrderId) -> Option<LookupRequest> {
        Some(LookupRequest::Order(key))
    }
}

impl Copied for Sale {
    const ENTITY: &'static str = "sale";
    const WHOSE: Whose = Whose::People;
    fn id(&self) -> Vec<u8> {
        self.id.bytes().to_vec()
    }
    fn lookup(&self) -> Option<String> {
        Some(self.receipt.clone())
    }
}

impl Overlaid for Sale {
    /// A sale does not name the operations by which something came back of it: until the outcome of such a one is known
    /// it may be seen twice, which promises nobody too much.
    fn shows(&self, operation: OperationId) -> bool {
        self.id == operation || self.voided_by == Some(operation)
    }
    fn before(self, operation: OperationId) -> Option<Self> {
        (self.id != operation).then_some(Self {
            voided_by: None,
            ..self
        })
    }
    /// A sale is a fact.
    fn question(_: OperationId) -> Option<LookupRequest> {
        None
    }
}

impl Copied for Store {
    const ENTITY: &'static str = "store";
    const WHOSE: Whose = Whose::Chain;
    fn id(&self) -> Vec<u8> {
        self.id.bytes().to_vec()
    }
}

impl Copied for Clerk {
    const ENTITY: &'static str = "clerk";
    const WHOSE: Whose = Whose::Chain;
    fn id(&self) -> Vec<u8> {
        self.id.bytes().to_vec()
    }
    fn lookup(&self) -> Option<String> {
        Some(self.store.to_string())
    }
}

impl Copied for Member {
    const ENTITY: &'static str = "member";
    const WHOSE: Whose = Whose::People;
    fn id(&self) -> Vec<u8> {
        self.id.bytes().to_vec()
    }
    fn lookup(&self) -> Option<String> {
        Some(self.number.clone())
    }
    fn lookup2(&self) -> Option<String> {
        Some(self.phone.clone())
    }
}

impl Copied for Template {
    const ENTITY: &'static str = "template";
    const WHOSE: Whose = Whose::Chain;
    fn id(&self) -> Vec<u8> {
        template_id(self.id, self.version)
    }
}

impl Copied for Product {
    const ENTITY: &'static str = "product";
    const WHOSE: Whose = Whose::Chain;
    fn id(&self) -> Vec<u8> {
        self.sku.as_bytes().to_vec()
    }
}

impl Copied for TokenKey {
    const ENTITY: &'static str = "token_key";
    const WHOSE: Whose = Whose::Chain;
    fn id(&self) -> Vec<u8> {
        self.key_id.to_be_bytes().to_vec()
    }
}

impl Copied for StoreLimits {
    const ENTITY: &'static str = "limits";
    const WHOSE: Whose = Whose::Chain;
    fn id(&self) -> Vec<u8> {
        self.store.bytes().to_vec()
    }
    fn image(&self) -> serde_json::Result<String> {
        serde_json::to_string(&self.limits)
    }
}
