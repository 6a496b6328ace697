//! What this counter holds copies of: one list of the kinds of rows.
//!
//! From the list follow how an image of head office's is filed, and [`Ground`], the rows that operations lie over. A kind
//! is a line here and a row type that implements [`Copied`], and [`Overlaid`] where operations are about it.

#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm))]

mod rows;

use counterfoil_domain::{
    coupons::{Coupon, Template},
    ids::{MemberId, OperationId},
    people::{Clerk, Member, Store},
    pickup_codes::PickupPolicy,
    pickups::Order,
    points::{Account, earning::EarningRule},
    products::Product,
    sales::Sale,
    tokens::TokenKey,
    transition::{Row, State, Subject},
};
use counterfoil_protocol::{
    questions::LookupRequest,
    sync::{Image, StoreLimits},
};
pub use rows::template_id;
use serde::Serialize;

use crate::error::Result;

/// A row that this counter holds a copy of.
pub trait Copied: Serialize {
    /// The word of its kind in the database.
    const ENTITY: &'static str;
    /// Whose it is.
    const WHOSE: Whose;

    /// What finds it, as bytes.
    fn id(&self) -> Vec<u8>;
    /// What people type to find it, or what it belongs to.
    fn lookup(&self) -> Option<String> {
        None
    }
    /// Another of these.
    fn lookup2(&self) -> Option<String> {
        None
    }
    /// Its text in the database.
    ///
    /// # Errors
    /// The serializer's.
    fn image(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// Whose a row is: what goes when the device is revoked, and what is forgotten with its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The chain's: it says nothing of anybody who buys there.
    Chain,
    /// It says something of people who buy: a revoked device must not keep it.
    People,
    /// Such a row that is forgotten with the member whose id is its [`Copied::lookup2`], but at the store that this field
    /// of it names.
    Member { kept_by: &'static str },
}

/// A row that operations lie over. Its id is that of its [`Subject`].
pub trait Overlaid: Copied + Row {
    /// Whether it shows this very operation's effect: head office applied it, and the row came before the outcome did.
    fn shows(&self, operation: OperationId) -> bool;
    /// A row that shows this operation's effect, as it was before it: what the operation does to its other rows begins
    /// there. `None` = there was none.
    fn before(self, operation: OperationId) -> Option<Self>;
    /// Its member.
    fn member(&self) -> Option<MemberId> {
        None
    }
    /// What head office is asked so that this copy is brought in line; `None` = there is nothing to ask about it.
    fn question(key: Self::Key) -> Option<LookupRequest>;
}

/// An image as the database has it.
#[derive(Debug)]
pub struct Filed {
    /// The word of its kind.
    pub entity: &'static str,
    /// What finds it.
    pub id: Vec<u8>,
    /// See [`Copied::lookup`].
    pub lookup: Option<String>,
    /// See [`Copied::lookup2`].
    pub lookup2: Option<String>,
    /// Its text.
    pub image: String,
}

fn filed<C: Copied>(row: &C) -> Result<Filed> {
    Ok(Filed {
        entity: C::ENTITY,
        id: row.id(),
        lookup: row.lookup(),
        lookup2: row.lookup2(),
        image: row.image()?,
    })
}

/// The words of what a revoked device must not keep.
pub fn personal() -> impl Iterator<Item = &'static str> {
    let personal = KINDS.iter().filter(|(_, whose)| *whose != Whose::Chain);
    personal.map(|(entity, _)| *entity)
}

/// The words of what is forgotten with its member, and the field that names the store which keeps it.
pub fn theirs() -> impl Iterator<Item = (&'static str, &'static str)> {
    KINDS.iter().filter_map(|(entity, whose)| match whose {
        Whose::Member { kept_by } => Some((*entity, *kept_by)),
        Whose::Chain | Whose::People => None,
    })
}

macro_rules! copies {
    (
        overlaid { $( $Subject:ident $subjects:ident: $SRow:ty; )+ }
        held { $( $Held:ident: $HRow:ty; )+ }
    ) => {
        /// An image as the database has it.
        ///
        /// # Errors
        /// The serializer's.
        pub fn file(image: &Image) -> Result<Filed> {
            match image {
                $( Image::$Subject(row) => filed(row), )+
                $( Image::$Held(row) => filed(row), )+
            }
        }

        /// What operations may be about: the subject that an image shows.
        pub fn subject_of(image: &Image) -> Option<Subject> {
            match image {
                $( Image::$Subject(row) => Some(Subject::$Subject(row.key())), )+
                $( Image::$Held(_) => None, )+
            }
        }

        /// Whether operations lie over rows of the kind with this word.
        pub fn is_overlaid(word: &str) -> bool {
            [$( <$SRow>::ENTITY, )+].contains(&word)
        }

        /// What head office tells of such a row.
        #[cfg(test)]
        pub fn image_of(subject: Subject, state: &State) -> Option<Image> {
            match subject {
                $( Subject::$Subject(id) => state.$subjects.get(&id).cloned().flatten().map(Image::$Subject), )+
            }
        }

        /// The word of each kind, and whose its rows are.
        const KINDS: &[(&str, Whose)] = &[
            $( (<$SRow>::ENTITY, <$SRow>::WHOSE), )+
            $( (<$HRow>::ENTITY, <$HRow>::WHOSE), )+
        ];

        /// See [`Overlaid::question`].
        pub fn question_about(subject: Subject) -> Option<LookupRequest> {
            match subject {
                $( Subject::$Subject(key) => <$SRow>::question(key), )+
            }
        }

        /// Rows are filed by what they are and looked for by what operations are about: one word for both.
        #[cfg(test)]
        #[test]
        fn subjects_are_filed_by_their_own_words() {
            $( {
                let key = <$SRow as Row>::Key::from_bytes(&[7; 16]).unwrap();
                assert_eq!(<$SRow>::ENTITY, Subject::$Subject(key).word());
            } )+
        }

        /// A row that operations can lie over; `None` = head office does not know it yet.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Ground {
            $( #[doc = "Of this kind of subject."] $Subject(Option<$SRow>), )+
        }

        impl Ground {
            /// Reads a stored row.
            ///
            /// # Errors
            /// The deserializer's.
            pub fn read(subject: Subject, text: &str) -> Result<Self> {
                Ok(match subject {
                    $( Subject::$Subject(_) => Self::$Subject(serde_json::from_str(text)?), )+
                })
            }

            /// The row as it is stored.
            ///
            /// # Errors
            /// The serializer's.
            pub fn write(&self) -> Result<String> {
                Ok(match self {
                    $( Self::$Subject(row) => serde_json::to_string(row)?, )+
                })
            }

            /// See [`Overlaid::shows`].
            pub fn shows(&self, operation: OperationId) -> bool {
                match self {
                    $( Self::$Subject(row) => row.as_ref().is_some_and(|row| row.shows(operation)), )+
                }
            }

            /// See [`Overlaid::before`].
            pub fn before(&self, operation: OperationId) -> Self {
                match self.clone() {
                    $( Self::$Subject(row) => Self::$Subject(row.and_then(|row| row.before(operation))), )+
                }
            }

            /// Puts the row where the transition finds it.
            pub fn put(self, subject: Subject, state: &mut State) {
                match (self, subject) {
                    $( (Self::$Subject(row), Subject::$Subject(id)) => {
                        // Where members were seen is head office's business; here nothing follows from it.
                        if let Some(member) = row.as_ref().and_then(Overlaid::member) {
                            state.members.insert(member, None);
                        }
                        state.$subjects.insert(id, row);
                    } )+
                    // A row is read by its subject, so it is of that kind.
                    $( (Self::$Subject(_), _) => {} )+
                }
            }

            /// The row as the transition left it.
            pub fn take(subject: Subject, state: &State) -> Option<Self> {
                match subject {
                    $( Subject::$Subject(id) => state.$subjects.get(&id).cloned().map(Self::$Subject), )+
                }
            }
        }
    };
}

copies! {
    // What operations are about.
    overlaid {
        Coupon coupons: Coupon;
        Order orders: Order;
        Sale sales: Sale;
        Account accounts: Account;
    }
    // What they only read.
    held {
        Store: Store;
        Clerk: Clerk;
        Member: Member;
        Template: Template;
        Product: Product;
        TokenKey: TokenKey;
        EarningRule: EarningRule;
        PickupPolicy: PickupPolicy;
        Limits: StoreLimits;
    }
}
