//! Reminds members of coupons that are about to end, once a day: only the rows of the day are read.

use std::{collections::BTreeMap, sync::Arc};

use counterfoil_domain::{
    coupons::{Coupon, Standing, Template},
    ids::{CouponId, MemberId, MessageId, Place, TemplateId, TenantId},
    time::{DAY, Millis},
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::AnyConnection;

use super::{
    days::{self, Due, What},
    rows,
};
use crate::{
    app::App,
    db::DbError,
    members,
    messages::{
        Words,
        notify::{Notice, Notifier},
        reminding::{Counts, Reminder, remind},
    },
    site,
};

/// Rows at once.
const PAGE: i64 = 500;
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
            remind_of(app, notifiers, tenant, rows, now, &mut counts).await?;
        }
    }
    Ok(counts)
}

async fn remind_of(
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
    let mut telling = Vec::new();
    for due in rows {
        match known.notice(&due, now) {
            Some(notice) => telling.push(Reminder {
                of: due,
                notice,
                told: due.told,
                tries: due.tries,
                ends_at: due.expires_at,
            }),
            None => {
                counts.skipped += 1;
                done.push(due);
            }
        }
    }
    let (sent, again) = remind(notifiers, tenant, telling, now, app.random.as_ref()).await;
    counts.sent += sent.len() as u64;
    counts.failed += again.len() as u64;
    done.extend(sent);
    let mut lease = app.db.lease_behind().await?;
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
        let members = members::rows::contacts(connection, tenant, &owners).await?;
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
