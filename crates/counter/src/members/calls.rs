//! What others call of members.

use counterfoil_domain::ids::MemberId;

use super::{MemberAnswer, MemberCard};
use crate::{desk::Input, error::Result, inner::Counter};

impl Counter {
    /// Who is this, and which coupons do they have? `scanned` is a membership number, a phone number or a member's
    /// token. Head office is asked when the local copy has nobody.
    ///
    /// # Errors
    /// As [`Counter::look_up`].
    pub async fn find_member(&self, scanned: &Input) -> Result<MemberAnswer> {
        super::find(&self.0, scanned).await
    }

    /// The card of a member who is in the local copy.
    ///
    /// # Errors
    /// `not_enrolled`, and those of the database.
    pub async fn member_card(&self, member: MemberId) -> Result<Option<MemberCard>> {
        super::local_card(&self.0, member).await
    }
}
