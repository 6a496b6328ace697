//! What is this, and may it be honoured? The local copy first; head office where the local copy can't say yes.

use counterfoil_domain::{
    coupons::{Coupon, CouponState, Template},
    ids::{BatchId, CouponId, MemberId, OrderId, StoreId},
    time::Millis,
    tokens::{Bearer, Token, TokenError},
    transition::DeviceStatus,
    verdict::Reason,
};
use counterfoil_protocol::questions::LookupRequest;
use ed25519_dalek::VerifyingKey;
use sqlx::SqliteConnection;
use uuid::Uuid;

use super::{
    Decision, DeskAction, Input, PresentedBy, Thing, Verdict,
    ask::ask,
    judge::{self, Judgement, Setting},
    reasons::explain,
    ticket::{Shown, Ticket},
};
use crate::{
    ambient::random_bytes,
    error::{Error, Result},
    guessing,
    identity::{self, Identity},
    inner::Inner,
    journal,
    replica::{self, Held},
};

/// What to look for.
#[derive(Debug, Clone)]
pub enum Sought {
    CouponCode(String),
    PickupCode(String),
    Coupon(CouponId, Token),
    Order(OrderId),
    Member(MemberId),
    MemberNumber(String),
    Phone(String),
}

/// What was found.
#[derive(Debug)]
struct Found {
    subject: Thing,
    judged: Judgement,
    shown: Option<Shown>,
    /// Head office may know better than the local copy.
    doubtful: bool,
}

impl Sought {
    pub fn question(&self) -> LookupRequest {
        match self {
            Self::CouponCode(code) => LookupRequest::CouponCode(code.clone()),
            Self::PickupCode(code) => LookupRequest::PickupCode(code.clone()),
            Self::Coupon(id, _) => LookupRequest::Coupon(*id),
            Self::Order(id) => LookupRequest::Order(*id),
            Self::Member(id) => LookupRequest::Member(*id),
            Self::MemberNumber(number) => LookupRequest::MemberNumber(number.clone()),
            Self::Phone(phone) => LookupRequest::Phone(phone.clone()),
        }
    }

    /// Whether trying could find one that is somebody else's: a token can't be guessed, and a number of a member is
    /// worth nothing.
    fn is_guessable(&self) -> bool {
        matches!(self, Self::CouponCode(_) | Self::PickupCode(_))
    }
}

/// Looks something up.
pub async fn look_up(inner: &Inner, scanned: &Input, presented_by: PresentedBy) -> Result<Verdict> {
    let mut db = inner.db.read().await?;
    let who = identity::load(&mut db).await?;
    if who.device_status == DeviceStatus::Revoked {
        return Err(Error::DeviceRevoked);
    }
    let now = inner.clock.now();
    let sought = match recognise(&mut db, scanned, &who, now).await? {
        Ok(sought) => sought,
        Err(reason) => {
            let unsure = matches!(reason, Reason::UnknownKey);
            let decision = if unsure {
                Decision::Unconfirmed
            } else {
                Decision::Refuse
            };
            return unknown(&mut db, scanned, decision, reason, now).await;
        }
    };
    if sought.is_guessable()
        && let Some(reason) = barred(inner, &mut db).await?
    {
        return unknown(&mut db, scanned, Decision::Refuse, reason, now).await;
    }
    let setting = Setting {
        who: &who,
        now,
        online: inner.may_ask(),
        presented_by,
    };
    let mut found = find(&mut db, &sought, setting).await?;
    let doubtful = found.as_ref().is_none_or(|found| found.doubtful);
    let mut answered = false;
    if doubtful && setting.online {
        drop(db);
        answered = ask(inner, &who, &sought.question()).await?;
        db = inner.db.read().await?;
    }
    if doubtful {
        let setting = Setting {
            online: inner.may_ask(),
            ..setting
        };
        found = find(&mut db, &sought, setting).await?;
        if found.is_none()
            && let Sought::Coupon(id, token) = &sought
            && !answered
        {
            found = Some(by_token(&mut db, *id, token, setting).await?);
        }
    }
    if found.is_none() && sought.is_guessable() {
        drop(db);
        let clerk = inner.session.current(inner.clock.monotonic(), false);
        guessing::note(inner, &who, clerk.as_ref(), scanned.text()).await?;
        db = inner.db.read().await?;
    }
    match found {
        Some(found) => show(inner, &mut db, found, scanned, presented_by, now).await,
        None if answered => unknown(&mut db, scanned, Decision::Refuse, Reason::UnknownCode, now).await,
        None => unknown(&mut db, scanned, Decision::Unconfirmed, Reason::UnknownOffline, now).await,
    }
}

pub async fn recognise(
    db: &mut SqliteConnection,
    scanned: &Input,
    who: &Identity,
    now: Millis,
) -> Result<Result<Sought, Reason>> {
    Ok(match scanned {
        Input::CouponCode(code) => Ok(Sought::CouponCode(code.clone())),
        Input::PickupCode(code) => Ok(Sought::PickupCode(code.clone())),
        Input::MemberNumber(number) => Ok(Sought::MemberNumber(number.clone())),
        Input::Phone(phone) => Ok(Sought::Phone(phone.clone())),
        Input::Other(_) => Err(Reason::NotACode),
        Input::Token(text) => {
            let keys = replica::token_keys(db).await?;
            let key = |id: u32| {
                let held = keys.iter().find(|key| key.key_id == id)?;
                let mut bytes = [0u8; 32];
                hex::decode_to_slice(&held.public_key, &mut bytes).ok()?;
                VerifyingKey::from_bytes(&bytes).ok()
            };
            match Token::verify(text, who.true_time(now), key) {
                Ok(token) => bound_to(token, who.store.id),
                Err(TokenError::Malformed) => Err(Reason::MalformedCode),
                Err(TokenError::UnknownKey(_)) => Err(Reason::UnknownKey),
                Err(TokenError::BadSignature) => Err(Reason::BadSignature),
                Err(TokenError::Expired(at)) => Err(Reason::TokenExpired { at }),
                Err(TokenError::NotYet(_)) => Err(Reason::ClockWrong),
            }
        }
    })
}

fn bound_to(token: Token, here: StoreId) -> Result<Sought, Reason> {
    let elsewhere = token.store.filter(|store| *store != here);
    match (token.bearer, elsewhere) {
        (Bearer::Member(id), _) => Ok(Sought::Member(id)),
        (Bearer::Coupon { .. }, Some(_)) => Err(Reason::StoreNotAllowed),
        (Bearer::Coupon { coupon, .. }, None) => Ok(Sought::Coupon(coupon, token)),
        (Bearer::Pickup(_), Some(store)) => Err(Reason::OtherStore { store }),
        (Bearer::Pickup(id), None) => Ok(Sought::Order(id)),
    }
}

async fn find(db: &mut SqliteConnection, sought: &Sought, setting: Setting<'_>) -> Result<Option<Found>> {
    let here = setting.who.store.id;
    let member = match sought {
        Sought::CouponCode(code) => {
            return match replica::coupon_by_code(db, code).await? {
                Some(held) => found_coupon(db, held, setting).await.map(Some),
                None => Ok(None),
            };
        }
        Sought::Coupon(id, _) => {
            return match replica::coupon(db, *id).await? {
                Some(held) => found_coupon(db, held, setting).await.map(Some),
                None => Ok(None),
            };
        }
        Sought::PickupCode(code) => {
            return match replica::order_by_code(db, code, here).await? {
                Some(held) => found_order(db, held, setting).await.map(Some),
                None => Ok(None),
            };
        }
        Sought::Order(id) => {
            return match replica::order(db, *id).await? {
                Some(held) => found_order(db, held, setting).await.map(Some),
                None => Ok(None),
            };
        }
        Sought::Member(id) => replica::held_member(db, *id).await?,
        Sought::MemberNumber(number) => replica::member_by_number(db, number).await?,
        Sought::Phone(phone) => replica::member_by_phone(db, phone).await?,
    };
    Ok(member.map(|held| Found {
        subject: Thing::Member { member: held.row },
        judged: Judgement {
            decision: Decision::Info,
            reasons: Vec::new(),
        },
        shown: None,
        doubtful: held.asked,
    }))
}

fn doubtful<T>(held: &Held<T>, judged: &Judgement) -> bool {
    !held.touched && (held.asked || matches!(judged.decision, Decision::Refuse))
}

async fn found_coupon(db: &mut SqliteConnection, held: Held<Coupon>, setting: Setting<'_>) -> Result<Found> {
    let coupon = &held.row;
    let template = replica::template(db, coupon.template, coupon.template_version).await?;
    let member = match coupon.member {
        Some(id) => replica::member(db, id).await?,
        None => None,
    };
    let judged = judge::coupon(db, coupon, template.as_ref(), setting).await?;
    let shown = template.clone().map(|template| Shown::Coupon {
        coupon: Box::new(coupon.clone()),
        template: Box::new(template),
        by_token_only: false,
    });
    Ok(Found {
        doubtful: doubtful(&held, &judged),
        subject: Thing::Coupon {
            coupon: Box::new(held.row),
            template: template.map(Box::new),
            member,
        },
        judged,
        shown,
    })
}

async fn found_order(
    db: &mut SqliteConnection,
    held: Held<counterfoil_domain::pickups::Order>,
    setting: Setting<'_>,
) -> Result<Found> {
    let member = match held.row.member {
        Some(id) => replica::member(db, id).await?,
        None => None,
    };
    let store = replica::shop(db, held.row.store).await?;
    let judged = judge::order(db, &held.row, setting).await?;
    Ok(Found {
        doubtful: doubtful(&held, &judged),
        shown: Some(Shown::Order {
            order: Box::new(held.row.clone()),
        }),
        subject: Thing::Order {
            order: Box::new(held.row),
            member,
            store,
        },
        judged,
    })
}

/// A coupon of which only a valid token is here goes by its template's policy. Its validity and its owner are head
/// office's to check on arrival; what this counter did with it before is known here.
pub fn coupon_of_token(id: CouponId, token: &Token) -> Option<Coupon> {
    let Bearer::Coupon {
        template,
        template_version,
        ..
    } = token.bearer
    else {
        return None;
    };
    Some(Coupon {
        id,
        code: String::new(),
        member: None,
        template,
        template_version: i64::from(template_version),
        batch: BatchId(Uuid::nil()),
        home_store: token.store,
        valid_from: None,
        valid_until: None,
        state: CouponState::Available,
        version: 0,
        surplus: Vec::new(),
        told: Vec::new(),
    })
}

/// The state of such a coupon as far as this counter's own journal tells.
pub async fn own_state(db: &mut SqliteConnection, id: CouponId, store: StoreId) -> Result<CouponState> {
    Ok(match journal::own_redemption(db, id).await? {
        Some((operation, at)) => CouponState::Redeemed { operation, at, store },
        None => CouponState::Available,
    })
}

async fn by_token(db: &mut SqliteConnection, id: CouponId, token: &Token, setting: Setting<'_>) -> Result<Found> {
    let mut coupon = coupon_of_token(id, token).ok_or_else(|| Error::Internal("not a coupon's token".into()))?;
    coupon.state = own_state(db, id, setting.who.store.id).await?;
    let template = replica::template(db, coupon.template, coupon.template_version).await?;
    let mut judged = judge::coupon(db, &coupon, template.as_ref(), setting).await?;
    if judged.reasons == [Reason::TemplateUnknown] {
        judged.decision = Decision::Unconfirmed;
    }
    let shown = template.clone().map(|template| Shown::Coupon {
        coupon: Box::new(coupon.clone()),
        template: Box::new(template),
        by_token_only: true,
    });
    Ok(Found {
        subject: Thing::Coupon {
            coupon: Box::new(coupon),
            template: template.map(Box::new),
            member: None,
        },
        judged,
        shown,
        doubtful: false,
    })
}

/// A coupon that is laid beside a basket.
#[derive(Debug, Clone)]
pub struct Presented {
    /// As it stands here.
    pub coupon: Coupon,
    /// Its rule.
    pub template: Template,
    /// Only its token is known; head office's row of it is not here.
    pub by_token_only: bool,
}

/// Finds a coupon that is presented beside a basket: here, else at head office. `Err` = what else it is, or why not.
pub async fn present(
    inner: &Inner,
    scanned: &Input,
    presented_by: PresentedBy,
) -> Result<Result<Presented, Box<Verdict>>> {
    let mut db = inner.db.read().await?;
    let who = identity::load(&mut db).await?;
    let now = inner.clock.now();
    let sought = match recognise(&mut db, scanned, &who, now).await? {
        Ok(sought @ (Sought::CouponCode(_) | Sought::Coupon(..))) => sought,
        // Not a coupon, or nothing at all: a look-up says what it is.
        Ok(_) | Err(_) => {
            drop(db);
            return Ok(Err(Box::new(look_up(inner, scanned, presented_by).await?)));
        }
    };
    let known = match &sought {
        Sought::Coupon(id, _) => replica::coupon(&mut db, *id).await?,
        Sought::CouponCode(code) if barred(inner, &mut db).await?.is_none() => {
            replica::coupon_by_code(&mut db, code).await?
        }
        _ => None,
    };
    drop(db);
    let (coupon, by_token_only) = match known {
        Some(held) => (held.row, false),
        None => {
            let verdict = look_up(inner, scanned, presented_by).await?;
            match verdict.subject {
                Thing::Coupon { coupon, .. } => {
                    let known = replica::coupon(&mut *inner.db.read().await?, coupon.id).await?;
                    (*coupon, known.is_none())
                }
                _ => return Ok(Err(Box::new(verdict))),
            }
        }
    };
    let mut db = inner.db.read().await?;
    match replica::template(&mut db, coupon.template, coupon.template_version).await? {
        Some(template) => Ok(Ok(Presented {
            coupon,
            template,
            by_token_only,
        })),
        None => {
            let verdict = unknown(&mut db, scanned, Decision::Refuse, Reason::TemplateUnknown, now).await?;
            Ok(Err(Box::new(verdict)))
        }
    }
}

/// Why typed codes are not looked up at the moment, if so.
async fn barred(inner: &Inner, db: &mut SqliteConnection) -> Result<Option<Reason>> {
    let clerk = inner.session.current(inner.clock.monotonic(), false);
    guessing::against(db, inner, clerk.as_ref().map(|clerk| clerk.id)).await
}

pub async fn unknown(
    db: &mut SqliteConnection,
    scanned: &Input,
    decision: Decision,
    reason: Reason,
    now: Millis,
) -> Result<Verdict> {
    Ok(Verdict {
        ticket: None,
        decision,
        subject: Thing::Unknown {
            text: scanned.text().chars().take(200).collect(),
        },
        reasons: explain(db, vec![reason]).await?,
        action: None,
        shown_at: now,
    })
}

async fn show(
    inner: &Inner,
    db: &mut SqliteConnection,
    found: Found,
    scanned: &Input,
    presented_by: PresentedBy,
    now: Millis,
) -> Result<Verdict> {
    let may = matches!(found.judged.decision, Decision::Honour | Decision::HonourOffline);
    let (ticket, action) = match found.shown.filter(|_| may) {
        None => (None, None),
        Some(shown) => {
            let action = match &shown {
                Shown::Coupon { .. } => DeskAction::Redeem,
                Shown::Order { .. } => DeskAction::Collect,
            };
            let name = hex::encode(random_bytes::<16>(&*inner.random)?);
            let ticket = Ticket {
                shown,
                evidence: scanned.evidence(),
                presented_by,
                done: Default::default(),
            };
            inner.tickets.keep(name.clone(), ticket, inner.clock.monotonic());
            (Some(name), Some(action))
        }
    };
    Ok(Verdict {
        ticket,
        decision: found.judged.decision,
        subject: found.subject,
        reasons: explain(db, found.judged.reasons).await?,
        action,
        shown_at: now,
    })
}
