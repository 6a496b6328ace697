//! Grants: coupons that the chain gives without being asked. A grant makes a coupon in its own batch when a member gets
//! theirs. See docs/adr/0009-claims-and-grants.md.

use serde::{Deserialize, Serialize};

use super::{
    Answer, Batch, Changes, Decide, Key, NeedKeys, NotClaimable, Row, State,
    claims::{hand_over, issue, no},
};
use crate::{
    ids::{BatchId, CouponId, GrantId, MemberId, TemplateId},
    time::Millis,
};

/// Whom a grant is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Audience {
    /// Members of a list.
    List,
    /// Everybody who was a member when it was made.
    All,
}

/// Coupons that the chain gives without being asked: one to each member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Which.
    pub id: GrantId,
    /// Of which template.
    pub template: TemplateId,
    /// Of which version of it.
    pub template_version: i64,
    /// The batch that its coupons are made in, one at a time.
    pub batch: BatchId,
    /// For whom.
    pub audience: Audience,
    /// False while it is paused, and when it is over.
    pub open: bool,
}

/// A member's part in a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The grant.
    pub grant: GrantId,
    /// The member.
    pub member: MemberId,
    /// The coupon that was given; `None` = on the list, nothing given yet.
    pub given: Option<CouponId>,
}

impl Row for Grant {
    type Key = GrantId;
    type Version = ();
    fn key(&self) -> GrantId {
        self.id
    }
    fn version(&self) {}
}

impl Row for Part {
    type Key = (GrantId, MemberId);
    type Version = ();
    fn key(&self) -> (GrantId, MemberId) {
        (self.grant, self.member)
    }
    fn version(&self) {}
}

/// A member gets their part of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeGrant {
    /// The grant.
    pub grant: GrantId,
    /// Who.
    pub member: MemberId,
}

impl Decide for TakeGrant {
    fn keys(&self) -> Vec<Key> {
        vec![
            Key::Grant(self.grant),
            Key::Part((self.grant, self.member)),
            Key::Member(self.member),
        ]
    }

    fn decide(&self, state: &State, now: Millis) -> Result<(Answer, Changes), NeedKeys> {
        let Self { grant: id, member } = *self;
        let mut changes = Changes::default();
        let Some(grant) = state.grant(id)? else {
            return Ok((no(vec![NotClaimable::NotOffered]), changes));
        };
        match state.part((id, member))? {
            Some(Part {
                given: Some(coupon), ..
            }) => {
                let answer = Answer::Given {
                    coupon: *coupon,
                    replayed: true,
                };
                return Ok((answer, changes));
            }
            None if grant.audience == Audience::List => return Ok((no(vec![NotClaimable::NotListed]), changes)),
            Some(Part { given: None, .. }) | None => {}
        }
        let Some(person) = state.member(member)? else {
            return Ok((no(vec![NotClaimable::UnknownMember]), changes));
        };
        let mut reasons = Vec::new();
        if !grant.open {
            reasons.push(NotClaimable::GrantNotOpen);
        }
        let terms = state
            .offer(grant.template)?
            .and_then(|offer| offer.terms.iter().find(|terms| terms.version == grant.template_version));
        match terms {
            None => reasons.push(NotClaimable::NotOffered),
            Some(terms) => terms.ended(now, &mut reasons),
        }
        let batch = state.batch(grant.batch)?;
        let (Some(terms), Some(batch), true) = (terms, batch, reasons.is_empty()) else {
            if reasons.is_empty() {
                reasons.push(NotClaimable::NotOffered);
            }
            return Ok((no(reasons), changes));
        };
        let Ok(position) = u32::try_from(batch.made) else {
            return Ok((no(vec![NotClaimable::OutOfStock]), changes));
        };
        let coupon = issue(batch, position, person, terms, now);
        changes.batches.push(Batch {
            size: batch.size + 1,
            made: batch.made + 1,
            claimed: batch.claimed + 1,
            ..batch.clone()
        });
        let coupon = hand_over(coupon, Some(id), person, &mut changes);
        changes.parts.push(Part {
            grant: id,
            member,
            given: Some(coupon),
        });
        Ok((
            Answer::Given {
                coupon,
                replayed: false,
            },
            changes,
        ))
    }
}
