//! Reminds members of coupons that are about to end, once a day: only the rows of the day are read.

use std::{collections::BTreeMap, sync::Arc};

use counterfoil_domain::{
    coupons::{Coupon, Standing, Template},
    ids::{CouponId, MemberId, MessageId, Place, TemplateId, TenantId},
    time::{DAY, HOUR, MINUTE, Millis},
    words::Word,
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Row};

use super::{
    days::{self, Due, What},
    rows,
};
use crate::{
    app::App,
    db::{
        DbError,
        batch::{Text, fetch, id},
    },
    messages::{
        Words,
        notify::{Notice, Notifier},
    },
    retry, site,
};

/// Rows at once.
const PAGE: i64 = 500;
/// First wait after a failure.
const FIRST: Millis = 5 * MINUTE;
/// Longest wait.
const MOST: Millis = 6 * HOUR;
/// After so many failures somebody should look.
pub const ALERT_AFTER: i64 = 5;

const MEMBERS: Text = Text::new(
    "SELECT id, number, email FROM members WHERE tenant = $1 AND id IN (",
    ")",
);

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Members were told by every channel.
    pub sent: u64,
    /// Some channel did not take it: tried again later.
    pub failed: u64,
    /// Nobody needs to be reminded: the coupon was used, or has ended.
    pub skipped: u64,
}

/// Reminds, at most some `limit` members a tenant.
///
/// # Errors
/// The database's. What was not done is done by the next sweep.
pub async fn sweep(app: &App, notifiers: &[Arc<dyn Notifier>], now: Millis, limit: i64) -> Result<Counts, DbError> {
    let tenants = {
        let mut connection = app.db.reader().acquire().await?;
        site::rows::tenants(&mut connection).await?
    };
    let mut counts = Counts::default();
    for tenant in tenants {
        let (mut after, mut left) = (None, limit);
        while left > 0 {
            let page = left.min(PAGE);
            let rows = {
                let mut connection = app.db.reader().acquire().await?;
                days::due(&mut connection, tenant, What::Remind, now, after, page).await?
            };
            let Some(last) = rows.last() else { break };
            after = Some((last.day, last.coupon));
            left -= page;
            remind(app, notifiers, tenant, rows, now, &mut counts).await?;
        }
    }
    Ok(counts)
}

async fn remind(
    app: &App,
    notifiers: &[Arc<dyn Notifier>],
    tenant: TenantId,
    rows: Vec<Due>,
    now: Millis,
    counts: &mut Counts,
) -> Result<(), DbError> {
    let mut known = {
        let mut connection = app.db.reader().acquire().await?;
        Known::load(&mut connection, tenant, &rows).await?
    };
    let mut done = Vec::new();
    let mut telling: Vec<(Due, Notice, bool)> = Vec::new();
    for due in rows {
        match known.notice(&due, now) {
            Some(notice) => telling.push((due, notice, true)),
            None => {
                counts.skipped += 1;
                done.push(due);
            }
        }
    }
    for notifier in notifiers {
        let channel = notifier.channel();
        let places: Vec<usize> = (0..telling.len())
            .filter(|place| {
                telling
                    .get(*place)
                    .is_some_and(|(due, ..)| due.told & channel.bit() == 0)
            })
            .collect();
        let notices: Vec<Notice> = places
            .iter()
            .filter_map(|place| telling.get(*place).map(|(_, notice, _)| notice.clone()))
            .collect();
        if notices.is_empty() {
            continue;
        }
        let told = notifier.tell(tenant, &notices).await;
        for (place, told) in places.into_iter().zip(told) {
            let Some((due, _, complete)) = telling.get_mut(place) else {
                continue;
            };
            match told {
                Ok(()) => due.told |= channel.bit(),
                Err(error) => {
                    tracing::warn!(%error, channel = channel.as_str(), tries = due.tries + 1, "a reminder was not sent");
                    metrics::counter!("counterfoil_not_told_total", "channel" => channel.as_str()).increment(1);
                    *complete = false;
                }
            }
        }
    }
    let mut again = Vec::new();
    for (mut due, _, complete) in telling {
        if complete {
            counts.sent += 1;
            done.push(due);
            continue;
        }
        counts.failed += 1;
        let wait = retry::after(due.tries, FIRST, MOST, app.random.as_ref());
        due.tries += 1;
        if due.tries >= ALERT_AFTER {
            metrics::counter!("counterfoil_alerts_total", "what" => "reminder_not_sent").increment(1);
        }
        // A reminder of something that has ended helps nobody: then the row moves on.
        again.push((due, now.saturating_add(wait).min(due.expires_at)));
    }
    let mut lease = app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    days::move_on(&mut transaction, tenant, &done).await?;
    days::try_again(&mut transaction, tenant, &again).await?;
    transaction.commit("coupons.remind").await?;
    Ok(())
}

/// What the notices of a page need to know.
struct Known {
    coupons: BTreeMap<CouponId, Coupon>,
    templates: BTreeMap<(TemplateId, i64), Arc<Template>>,
    members: BTreeMap<MemberId, (String, Option<String>)>,
    zone: TimeZone,
}

impl Known {
    async fn load(connection: &mut AnyConnection, tenant: TenantId, due: &[Due]) -> Result<Self, DbError> {
        let ids: Vec<CouponId> = due.iter().map(|due| due.coupon).collect();
        let coupons: BTreeMap<CouponId, Coupon> = rows::load(connection, tenant, &ids, "")
            .await?
            .into_iter()
            .map(|coupon| (coupon.id, coupon))
            .collect();
        let mut versions: Vec<(TemplateId, i64)> = coupons
            .values()
            .map(|coupon| (coupon.template, coupon.template_version))
            .collect();
        versions.sort_unstable();
        versions.dedup();
        let mut templates = BTreeMap::new();
        if !versions.is_empty() {
            for (_, template) in rows::load_templates(connection, tenant, &versions).await? {
                templates.insert((template.id, template.version), template);
            }
        }
        let mut owners: Vec<MemberId> = coupons.values().filter_map(|coupon| coupon.member).collect();
        owners.sort_unstable();
        owners.dedup();
        let mut members = BTreeMap::new();
        if !owners.is_empty() {
            let found = fetch(connection, MEMBERS, "", tenant, &owners, |b, id| {
                b.bytes(id.bytes());
            })
            .await?;
            for row in &found {
                let member = id(row, "id", MemberId::from_bytes)?;
                members.insert(member, (row.try_get("number")?, row.try_get("email")?));
            }
        }
        // Dates are those of the chain's first store; times of coupons are instants.
        let zone: Option<String> =
            sqlx::query_scalar("SELECT time_zone FROM stores WHERE tenant = $1 ORDER BY code LIMIT 1")
                .bind(tenant.bytes().to_vec())
                .fetch_optional(connection)
                .await?;
        Ok(Self {
            coupons,
            templates,
            members,
            zone: zone.and_then(|name| TimeZone::get(&name).ok()).unwrap_or(TimeZone::UTC),
        })
    }

    /// What to tell the coupon's member; nothing when it was used or has ended.
    fn notice(&mut self, due: &Due, now: Millis) -> Option<Notice> {
        let coupon = self.coupons.get(&due.coupon)?;
        if !matches!(coupon.standing(now), Standing::Available | Standing::Frozen) {
            return None;
        }
        let member = coupon.member?;
        let (number, email) = self.members.get(&member)?.clone();
        let template = self.templates.get(&(coupon.template, coupon.template_version))?;
        let until = coupon.valid_until?;
        // The last minute of its validity: an end at midnight is the evening before for people.
        let last = Timestamp::from_millisecond(until - 1).ok()?.to_zoned(self.zone.clone());
        let at = last.strftime("%Y-%m-%d %H:%M").to_string();
        Some(Notice {
            id: notice_id(due),
            kind: "coupon_expiring",
            member,
            number,
            email,
            words: words(&template.name_zh, &template.name_en, &at),
            data: json!({
                "coupon": coupon.id,
                "template": coupon.template,
                "expires_at": until,
            }),
            at: now,
        })
    }
}

fn words(name_zh: &str, name_en: &str, at: &str) -> Words {
    Words {
        title_zh: "优惠券即将到期".into(),
        title_en: "A coupon is about to end".into(),
        body_zh: format!("您的优惠券“{name_zh}”有效期至 {at}，请及时使用。"),
        body_en: format!("Your coupon \"{name_en}\" can be used until {at}."),
    }
}

/// The same for the same coupon and day, whenever it is tried.
fn notice_id(due: &Due) -> MessageId {
    let digest: [u8; 32] = Sha256::digest(due.coupon.bytes()).into();
    let mut random = [0u8; 10];
    random.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    let place = due.member.map_or(Place::ZERO, |member| member.place());
    MessageId::placed(place, due.day.saturating_mul(DAY), random)
}

#[cfg(test)]
mod tests {
    use counterfoil_protocol::problem::Code;

    use super::words;

    fn han(text: &str) -> bool {
        text.chars()
            .any(|sign| ('\u{3000}'..='\u{9fff}').contains(&sign) || ('\u{ff00}'..='\u{ffef}').contains(&sign))
    }

    #[test]
    fn what_head_office_says_is_in_one_language() {
        let words = words("", "", "2026-11-11 23:59");
        for zh in [&words.title_zh, &words.body_zh] {
            assert!(han(zh) && !zh.chars().any(|sign| sign.is_ascii_alphabetic()), "{zh}");
        }
        for en in [&words.title_en, &words.body_en] {
            assert!(!han(en), "{en}");
        }
        // Problems are for programs and in English; whoever shows one has its own sentence for the code.
        for code in Code::ALL {
            assert!(
                code.title().is_ascii() && code.title().ends_with('.'),
                "{}",
                code.title()
            );
        }
    }
}
