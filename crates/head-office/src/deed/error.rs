//! Why something was not added or decided.

use crate::db::DbError;

/// An error of the commands that add and decide.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The name is taken.
    #[error("the {what} {name} exists already")]
    Taken {
        /// What it is the name of.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// What was named does not exist.
    #[error("{0}")]
    NotFound(String),
    /// A value has not the form it needs.
    #[error("{field} must be {wanted}")]
    Malformed {
        /// Which value.
        field: &'static str,
        /// What it must be.
        wanted: String,
    },
    /// The PIN has not the form it needs.
    #[error("a PIN is 6 to 12 digits")]
    Pin,
    /// The PIN could not be hashed.
    #[error("the PIN could not be hashed")]
    Hash,
    /// Every pickup code that was tried is taken.
    #[error("every pickup code that was tried is taken: too many orders wait")]
    CodesFull,
    /// The template's end stops claims and grants.
    #[error("the template is over: nothing of it is given any more")]
    TemplateOver,
    /// There is no room for so many coupons of one kind on one day.
    #[error("there are no coupon codes left for this template today")]
    CouponsFull,
    /// It is shown once, when it is made.
    #[error("the tenant has a link key already; it was shown when it was made. --rotate makes another one")]
    LinkKeyExists,
    /// The device stands so that this can't be decided.
    #[error("the device is {status}; {hint}")]
    DeviceStatus {
        /// How it stands.
        status: &'static str,
        /// What that means.
        hint: &'static str,
    },
}

impl AdminError {
    pub(crate) fn malformed(field: &'static str, wanted: impl Into<String>) -> Self {
        Self::Malformed {
            field,
            wanted: wanted.into(),
        }
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Db(_) => "database",
            Self::Taken { .. } => "taken",
            Self::NotFound(_) => "not_found",
            Self::Malformed { .. } => "malformed",
            Self::Pin => "pin_malformed",
            Self::Hash => "internal",
            Self::CodesFull => "pickup_codes_full",
            Self::TemplateOver => "template_over",
            Self::CouponsFull => "coupon_codes_full",
            Self::LinkKeyExists => "link_key_exists",
            Self::DeviceStatus { .. } => "device_status",
        }
    }

    /// Whether another input would have helped.
    pub fn is_input(&self) -> bool {
        matches!(
            self,
            Self::Taken { .. }
                | Self::NotFound(_)
                | Self::Malformed { .. }
                | Self::Pin
                | Self::TemplateOver
                | Self::LinkKeyExists
                | Self::DeviceStatus { .. }
        )
    }
}
