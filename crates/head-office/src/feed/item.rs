//! What feeds tell of: one list of the kinds, each with its word and with what finds its rows.

use counterfoil_domain::{
    ids::{ClerkId, CouponId, KeyPart, MemberId, OperationId, OrderId, StoreId, TemplateId},
    transition::Entity,
};
use uuid::Uuid;

/// A line a kind: its word in the databases, its name here, what finds a row of it, and the entity that commands call it
/// by where they tell of it.
macro_rules! items {
    ($($(#[$doc:meta])* $word:literal => $name:ident($($part:ident: $of:ty),+) $(from $entity:ident)?,)+) => {
        /// A row that some counters hold a copy of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Item { $($(#[$doc])* $name($($of),+),)+ }

        impl Item {
            /// The word and the bytes of a line.
            pub(super) fn columns(&self) -> (&'static str, Vec<u8>) {
                let mut bytes = Vec::new();
                let word = match self {
                    $(Self::$name($($part),+) => { $($part.write(&mut bytes);)+ $word })+
                };
                (word, bytes)
            }

            /// Reads [`Item::columns`] back.
            pub fn parse(word: &str, mut bytes: &[u8]) -> Option<Self> {
                let item = match word {
                    $($word => Self::$name($(<$of>::take(&mut bytes)?),+),)+
                    _ => return None,
                };
                bytes.is_empty().then_some(item)
            }
        }

        impl From<Entity> for Item {
            fn from(entity: Entity) -> Self {
                match entity {
                    $($(Entity::$entity(id) => Self::$name(id),)?)+
                }
            }
        }
    };
}

items! {
    /// A store of the chain.
    "store" => Store(id: StoreId),
    /// What a store's counters may do offline.
    "limits" => Limits(id: StoreId),
    /// A clerk.
    "clerk" => Clerk(id: ClerkId),
    /// A member.
    "member" => Member(id: MemberId) from Member,
    /// A template version.
    "template" => Template(id: TemplateId, version: i64),
    /// A coupon.
    "coupon" => Coupon(id: CouponId) from Coupon,
    /// A pickup order.
    "order" => Order(id: OrderId) from Order,
    /// A public key of tokens.
    "token_key" => TokenKey(id: u32),
    /// A sale.
    "sale" => Sale(id: OperationId) from Sale,
    /// What a member has of points and stored value.
    "account" => Account(member: MemberId) from Account,
    /// A version of how pickup codes are made.
    "pickup_policy" => PickupPolicy(version: i64),
    /// A version of the rule of earning.
    "earning_rule" => EarningRule(version: i64),
    /// A product, by the id of its row.
    "product" => Product(id: Uuid),
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);

    /// Lines are stored, so neither words nor bytes ever change.
    #[test]
    fn every_line_is_what_it_was_and_reads_back() {
        let id = ID.as_bytes().as_slice();
        let version = [0, 0, 0, 0, 0, 0, 1, 2].as_slice();
        for (item, word, bytes) in [
            (Item::Store(StoreId(ID)), "store", id.to_vec()),
            (Item::Limits(StoreId(ID)), "limits", id.to_vec()),
            (Item::Clerk(ClerkId(ID)), "clerk", id.to_vec()),
            (Item::Member(MemberId(ID)), "member", id.to_vec()),
            (Item::Template(TemplateId(ID), 258), "template", [id, version].concat()),
            (Item::Coupon(CouponId(ID)), "coupon", id.to_vec()),
            (Item::Order(OrderId(ID)), "order", id.to_vec()),
            (Item::TokenKey(258), "token_key", vec![0, 0, 1, 2]),
            (Item::Sale(OperationId(ID)), "sale", id.to_vec()),
            (Item::Account(MemberId(ID)), "account", id.to_vec()),
            (Item::EarningRule(258), "earning_rule", version.to_vec()),
            (Item::Product(ID), "product", id.to_vec()),
        ] {
            assert_eq!(item.columns(), (word, bytes.clone()));
            assert_eq!(Item::parse(word, &bytes), Some(item));
            let longer = [bytes.as_slice(), &[0]].concat();
            assert_eq!(Item::parse(word, &longer), None, "{word}");
            assert_eq!(Item::parse(word, &bytes[1..]), None, "{word}");
            assert_eq!(Item::parse("xyzzy", &bytes), None);
        }
    }
}
