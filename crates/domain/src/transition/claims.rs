//! Claims and grants: how a coupon comes to its member.
//!
//! A claim takes the next coupon of a batch that was made beforehand; a grant makes one in the grant's own batch. Both
//! are decided here on rows that the caller holds locked: the batch says what is left, the holding what the member
//! has had. See docs/adr/0009-claims-and-grants.md.

use serde::{Deserialize, Serialize};

use super::{Answer, Changes, Decide, Entity, Fact, Key, NeedKeys, Row, Rows, State};
use crate::{
    coupons::{Coupon, CouponState},
    ids::{BatchId, CouponId, GrantId, MemberId, TemplateId},
    people::Member,
    time::{DAY, Millis},
};

/// The name of a claim: 16 bytes of the hash of what the member's program called it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey(pub [u8; 16]);

/// One reason why a member can't have a coupon of a template. Serialised with its stable `code`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum NotClaimable {
    /// There is no such offer.
    NotOffered,
    /// The template was taken back.
    Retired,
    /// It can be claimed later.
    ClaimNotStarted { at: Millis },
    /// It could be claimed until then.
    ClaimOver { at: Millis },
    /// Its coupons are no longer valid.
    ValidityOver { at: Millis },
    /// The member has had, or holds, as many as a member may.
    LimitReached { limit: i64, counts: LimitCounts },
    /// All are given.
    OutOfStock,
    /// There is no such member.
    UnknownMember,
    /// The grant is for others.
    NotListed,
    /// The grant is paused or over.
    GrantNotOpen,
}

/// What a member's limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum LimitCounts {
    /// Every coupon ever claimed.
    Taken,
    /// Those still held: available or frozen, and not past their time.
    Held,
}

/// What a template version says about giving its coupons out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The version.
    pub version: i64,
    /// False once it was taken back.
    pub published: bool,
    /// First instant at which it may be claimed.
    pub claim_from: Option<Millis>,
    /// First instant at which it may be claimed, or granted, no more.
    pub claim_until: Option<Millis>,
    /// How many a member may have; 0 = any number.
    pub member_limit: i64,
    /// What that limit counts.
    pub limit_counts: LimitCounts,
    /// Begin of the validity, where it is fixed.
    pub valid_from: Option<Millis>,
    /// End of the validity, where it is fixed.
    pub valid_until: Option<Millis>,
    /// Days of validity after the claim, where it is not.
    pub valid_days: Option<i64>,
}

impl Terms {
    /// The validity of a coupon given now.
    pub fn validity(&self, now: Millis) -> (Option<Millis>, Option<Millis>) {
        match self.valid_days {
            Some(days) => (self.valid_from, Some(now.saturating_add(days.saturating_mul(DAY)))),
            None => (self.valid_from, self.valid_until),
        }
    }

    /// Whether it has ended: nothing of it is claimed or granted any more. Coupons given before keep their validity.
    pub fn is_over(&self, now: Millis) -> bool {
        let mut reasons = Vec::new();
        self.ended(now, &mut reasons);
        !reasons.is_empty()
    }

    /// The end of its coupons' validity, where that is fixed and has come: none are made any more.
    pub fn validity_over(&self, now: Millis) -> Option<Millis> {
        match self.valid_days {
            None => self.valid_until.filter(|until| now >= *until),
            Some(_) => None,
        }
    }

    /// What stops claims and grants alike: a template's end.
    pub(super) fn ended(&self, now: Millis, reasons: &mut Vec<NotClaimable>) {
        if !self.published {
            reasons.push(NotClaimable::Retired);
        }
        if let Some(at) = self.claim_until
            && now >= at
        {
            reasons.push(NotClaimable::ClaimOver { at });
        }
        if let Some(at) = self.validity_over(now) {
            reasons.push(NotClaimable::ValidityOver { at });
        }
    }
}

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum BatchStatus {
    /// Its codes are being made.
    Making,
    /// All of them are there.
    Ready,
    /// Nothing more is given out of it.
    Closed,
}

/// A numbered issue of a template version. Its coupons' ids follow from their positions, see [`BatchId::coupon`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Which.
    pub id: BatchId,
    /// Of which template.
    pub template: TemplateId,
    /// Of which version of it.
    pub template_version: i64,
    /// How many it is to have.
    pub size: i64,
    /// How many there are: the positions before this one.
    pub made: i64,
    /// How many were given to members: the positions before this one.
    pub claimed: i64,
    /// Where it stands.
    pub status: BatchStatus,
}

/// What can be claimed of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The template.
    pub template: TemplateId,
    /// Its versions, the newest first; drafts are not among them.
    pub terms: Vec<Terms>,
    /// Its batches for claiming that are not closed and not all given, in the order in which they are used up.
    pub batches: Vec<BatchId>,
}

/// What one member has had of one template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Whose.
    pub member: MemberId,
    /// Of what.
    pub template: TemplateId,
    /// How many they ever claimed; what was granted to them is not counted.
    pub taken: i64,
    /// How many they hold now, however they came by them. Not stored: a stored number would have to follow every
    /// redemption, void, return and expiry, which would put one more row on the hot path of redemptions and be wrong
    /// whenever time alone ends a coupon. It is counted from the coupons, for templates that limit what is held, while
    /// this row is locked: other claims of this member wait, and everything else can only lower it, but for a void,
    /// which gives back what was theirs before.
    pub held: i64,
    /// Grows by one with every stored change; 0 = not stored yet.
    pub version: i64,
}

impl Holding {
    /// Of who has had nothing so far.
    pub fn none(member: MemberId, template: TemplateId) -> Self {
        Self {
            member,
            template,
            taken: 0,
            held: 0,
            version: 0,
        }
    }
}

/// A claim and how it ended. A refusal is kept too, so that asking again gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose.
    pub member: MemberId,
    /// Its name.
    pub key: ClaimKey,
    /// What was asked for.
    pub template: TemplateId,
    /// The coupon, or why there is none.
    pub ended: Result<CouponId, Vec<NotClaimable>>,
}

/// A coupon on its way to its member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The coupon; its code is known to the database (a claim) or made when it is stored (a grant).
    pub coupon: Coupon,
    /// The grant it is part of; `None` = claimed.
    pub grant: Option<GrantId>,
}

/// What a member would hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes: the next coupon of this batch, under these terms.
    Take(BatchId, Terms),
    /// Coupons are being made at this moment: neither yes nor no.
    Wait,
    /// No, and every reason why.
    No(Vec<NotClaimable>),
}

/// Whether this member may claim now: the newest version that they may have, else why not the newest one.
pub fn judge(offer: Option<&Offer>, batches: &Rows<Batch>, holding: &Holding, now: Millis) -> Verdict {
    let mut against = None;
    let mut wait = false;
    for terms in offer.iter().flat_map(|offer| &offer.terms) {
        let mut reasons = Vec::new();
        if let Some(at) = terms.claim_from
            && now < at
        {
            reasons.push(NotClaimable::ClaimNotStarted { at });
        }
        terms.ended(now, &mut reasons);
        let counted = match terms.limit_counts {
            LimitCounts::Taken => holding.taken,
            LimitCounts::Held => holding.held,
        };
        if terms.member_limit > 0 && counted >= terms.member_limit {
            reasons.push(NotClaimable::LimitReached {
                limit: terms.member_limit,
                counts: terms.limit_counts,
            });
        }
        let mut coming = false;
        let mut stock = None;
        for batch in offer
            .iter()
            .flat_map(|offer| &offer.batches)
            .filter_map(|id| batches.get(id)?.as_ref())
            .filter(|batch| batch.template_version == terms.version && batch.status != BatchStatus::Closed)
        {
            if batch.claimed < batch.made {
                stock = stock.or(Some(batch.id));
            } else {
                coming |= batch.made < batch.size;
            }
        }
        match stock {
            Some(batch) if reasons.is_empty() => return Verdict::Take(batch, terms.clone()),
            None if coming => wait |= reasons.is_empty(),
            None => reasons.push(NotClaimable::OutOfStock),
            Some(_) => {}
        }
        if !reasons.is_empty() {
            against.get_or_insert(reasons);
        }
    }
    if wait {
        return Verdict::Wait;
    }
    Verdict::No(against.unwrap_or_else(|| vec![NotClaimable::NotOffered]))
}

impl Row for Offer {
    type Key = TemplateId;
    type Version = ();
    fn key(&self) -> TemplateId {
        self.template
    }
    fn version(&self) {}
}

impl Row for Batch {
    type Key = BatchId;
    /// What is made and what is claimed: both only grow.
    type Version = (i64, i64);
    fn key(&self) -> BatchId {
        self.id
    }
    fn version(&self) -> (i64, i64) {
        (self.made, self.claimed)
    }
}

impl Row for Holding {
    type Key = (MemberId, TemplateId);
    type Version = i64;
    fn key(&self) -> (MemberId, TemplateId) {
        (self.member, self.template)
    }
    fn version(&self) -> i64 {
        self.version
    }
}

impl Row for Claim {
    type Key = (MemberId, ClaimKey);
    type Version = ();
    fn key(&self) -> (MemberId, ClaimKey) {
        (self.member, self.key)
    }
    fn version(&self) {}
}

impl Fact for Given {}

/// A member claims a coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimCoupon {
    /// Who.
    pub member: MemberId,
    /// Of which template.
    pub template: TemplateId,
    /// The claim's name.
    pub key: ClaimKey,
}

impl Decide for ClaimCoupon {
    fn keys(&self) -> Vec<Key> {
        vec![
            Key::Offer(self.template),
            Key::Holding((self.member, self.template)),
            Key::Member(self.member),
        ]
    }

    fn names(&self) -> Vec<Key> {
        vec![Key::Claim((self.member, self.key))]
    }

    fn decide(&self, state: &State, now: Millis) -> Result<(Answer, Changes), NeedKeys> {
        let Self { member, template, key } = *self;
        let mut changes = Changes::default();
        // Only claims known to this group are looked at here: the primary key finds the others, and then the group is
        // decided again with them loaded.
        if let Some(Some(known)) = state.claims.get(&(member, key)) {
            let answer = match &known.ended {
                _ if known.template != template => Answer::AnotherQuestion,
                Ok(coupon) => Answer::Given {
                    coupon: *coupon,
                    replayed: true,
                },
                Err(reasons) => Answer::NotGiven {
                    reasons: reasons.clone(),
                    replayed: true,
                },
            };
            return Ok((answer, changes));
        }
        let Some(person) = state.member(member)? else {
            return Ok((no(vec![NotClaimable::UnknownMember]), changes));
        };
        let none = Holding::none(member, template);
        let holding = state.holding((member, template))?.unwrap_or(&none);
        let ended = match judge(state.offer(template)?, &state.batches, holding, now) {
            Verdict::Wait => return Ok((Answer::ComeBack, changes)),
            Verdict::No(reasons) => Err(reasons),
            Verdict::Take(batch, terms) => {
                let Some(batch) = state.batch(batch)? else {
                    return Ok((no(vec![NotClaimable::NotOffered]), changes));
                };
                let Ok(position) = u32::try_from(batch.claimed) else {
                    return Ok((no(vec![NotClaimable::OutOfStock]), changes));
                };
                let coupon = issue(batch, position, person, &terms, now);
                changes.batches.push(Batch {
                    claimed: batch.claimed + 1,
                    ..batch.clone()
                });
                changes.holdings.push(Holding {
                    taken: holding.taken.saturating_add(1),
                    held: holding.held.saturating_add(1),
                    version: holding.version + 1,
                    ..holding.clone()
                });
                Ok(hand_over(coupon, None, person, &mut changes))
            }
        };
        let answer = match &ended {
            Ok(coupon) => Answer::Given {
                coupon: *coupon,
                replayed: false,
            },
            Err(reasons) => no(reasons.clone()),
        };
        changes.claims.push(Claim {
            member,
            key,
            template,
            ended,
        });
        Ok((answer, changes))
    }
}

pub(super) fn no(reasons: Vec<NotClaimable>) -> Answer {
    Answer::NotGiven {
        reasons,
        replayed: false,
    }
}

pub(super) fn issue(batch: &Batch, position: u32, person: &Member, terms: &Terms, now: Millis) -> Coupon {
    let (valid_from, valid_until) = terms.validity(now);
    Coupon {
        id: batch.id.coupon(position),
        code: String::new(),
        member: Some(person.id),
        template: batch.template,
        template_version: batch.template_version,
        batch: batch.id,
        home_store: person.recent_stores.first().copied(),
        valid_from,
        valid_until,
        state: CouponState::Available,
        version: Coupon::ISSUED,
        surplus: Vec::new(),
        told: Vec::new(),
    }
}

/// Every store that holds the member hears of their new coupon.
pub(super) fn hand_over(coupon: Coupon, grant: Option<GrantId>, person: &Member, changes: &mut Changes) -> CouponId {
    let id = coupon.id;
    changes
        .feed
        .extend(person.recent_stores.iter().map(|store| (*store, Entity::Coupon(id))));
    changes.given.push(Given { coupon, grant });
    id
}

#[cfg(test)]
mod tests;
