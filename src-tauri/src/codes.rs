//! Every word that the screens turn into a sentence, from where it is declared. `bindings` hands them to the front end,
//! whose compiler misses the sentence of a new one.

use std::collections::BTreeSet;

use counterfoil_domain::operations::{ExceptionKind, QuarantineReason};
use counterfoil_domain::{settlement, verdict, words::Word};
use counterfoil_protocol::problem;
use counterfoil_scan::PictureError;
use counterfoil_scan::frames::CameraError;
use strum::{VariantArray, VariantNames};

/// In the order of the alphabet, each once.
type Words = BTreeSet<&'static str>;

/// What can go wrong, in the app's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Own {
    /// Nothing that reads was found in it.
    PictureWithoutCode,
}

/// Why nobody was found, where a number of a person was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Nobody {
    UnknownMember,
    UnknownMemberOffline,
}

/// A word for what went wrong.
pub trait Code {
    fn word(self) -> &'static str;
}

impl Code for Own {
    fn word(self) -> &'static str {
        self.into()
    }
}

impl Code for counterfoil_counter::Code {
    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Code for problem::Code {
    fn word(self) -> &'static str {
        self.as_str()
    }
}

/// What can go wrong, here, at the counter or at head office.
pub fn problems() -> Words {
    let head_office = problem::Code::ALL.iter().map(|code| code.as_str());
    let words = [
        Own::VARIANTS,
        counterfoil_counter::Code::VARIANTS,
        PictureError::VARIANTS,
        CameraError::VARIANTS,
    ];
    head_office.chain(words.into_iter().flatten().copied()).collect()
}

/// What speaks against honouring something.
pub fn reasons() -> Words {
    let words = [verdict::Reason::VARIANTS, Nobody::VARIANTS];
    words.into_iter().flatten().copied().collect()
}

/// What speaks against a coupon in a basket.
pub fn quote_reasons() -> Words {
    settlement::Reason::VARIANTS.iter().copied().collect()
}

/// Why a delivered operation needs a person: what it broke, or why it was set aside.
pub fn exceptions() -> Words {
    let broken = ExceptionKind::VARIANTS.iter().map(|kind| kind.as_str());
    let set_aside = QuarantineReason::VARIANTS.iter().map(|reason| reason.as_str());
    broken.chain(set_aside).collect()
}

#[cfg(test)]
mod tests {
    use counterfoil_domain::ids::StoreId;
    use serde::Serialize;
    use uuid::Uuid;

    use super::*;

    /// The word as it travels.
    fn code(of: &impl Serialize) -> String {
        serde_json::to_value(of).unwrap()["code"].as_str().unwrap().to_owned()
    }

    #[test]
    fn words_are_those_that_travel() {
        use settlement::Reason as Quoted;
        use verdict::Reason;
        let store = StoreId(Uuid::nil());
        for reason in [
            Reason::NotACode,
            Reason::Redeemed { at: 1, store },
            Reason::MemberOperationsLimit { limit: 1 },
            Reason::GuessingLimited { device: true, until: 1 },
        ] {
            assert!(reasons().contains(code(&reason).as_str()), "{reason:?}");
        }
        for reason in [
            Quoted::NoLineInScope,
            Quoted::BelowThreshold { short_by: 1 },
            Quoted::ExcludedBy { coupons: Vec::new() },
        ] {
            assert_eq!(<&str>::from(&reason), code(&reason));
            assert!(quote_reasons().contains(code(&reason).as_str()), "{reason:?}");
        }
    }

    #[test]
    fn all_who_have_words_are_heard() {
        for word in [
            "link_expired",
            "wrong_pin",
            "picture_too_large",
            "camera_failed",
            "picture_without_code",
        ] {
            assert!(problems().contains(word), "{word}");
        }
        for word in ["double_redeem", "closed_epoch"] {
            assert!(exceptions().contains(word), "{word}");
        }
        assert!(reasons().contains("unknown_member_offline"));
    }
}
