//! Reminds members of points that are about to end, once a day: only the rows of the day are read.

use std::{collections::BTreeMap, sync::Arc};

use counterfoil_domain::{
    ids::{MemberId, MessageId, TenantId},
    points::earning::EarningRule,
    time::Millis,
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    days::{self, Due},
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
            let due = {
                let mut connection = app.db.reader().acquire().await?;
                days::due(&mut connection, tenant, now, after, page).await?
            };
            let Some(last) = due.last() else { break };
            after = Some(*last);
            left -= page;
            remind_of(app, notifiers, tenant, due, now, &mut counts).await?;
        }
    }
    Ok(counts)
}

async fn remind_of(
    app: &App,
    notifiers: &[Arc<dyn Notifier>],
    tenant: TenantId,
    due: Vec<Due>,
    now: Millis,
    counts: &mut Counts,
) -> Result<(), DbError> {
    let mut ids: Vec<MemberId> = due.iter().map(|due| due.member).collect();
    ids.sort_unstable();
    ids.dedup();
    let (ending, people, rule) = {
        let mut connection = app.db.reader().acquire().await?;
        let ending: BTreeMap<_, _> = days::ending(&mut connection, tenant, &ids).await?.into_iter().collect();
        let people = members::rows::contacts(&mut connection, tenant, &ids).await?;
        let rule = rows::newest_rule(&mut connection, tenant).await?;
        (ending, people, rule)
    };
    let (mut done, mut reminders) = (Vec::new(), Vec::new());
    for due in due {
        let left = ending.get(&(due.member, due.ends_at)).copied().unwrap_or(0);
        let contact = people.get(&due.member).filter(|_| left > 0 && due.ends_at > now);
        match contact.and_then(|(number, email)| notice(&due, left, number, email.as_deref(), rule.as_ref(), now)) {
            None => {
                counts.skipped += 1;
                done.push(due);
            }
            Some(notice) => reminders.push(Reminder {
                of: due,
                notice,
                told: due.told,
                tries: due.tries,
                ends_at: due.ends_at,
            }),
        }
    }
    let (sent, again) = remind(notifiers, tenant, reminders, now, app.random.as_ref()).await;
    counts.sent += sent.len() as u64;
    counts.failed += again.len() as u64;
    done.extend(sent);
    let mut lease = app.db.lease_behind().await?;
    let mut transaction = lease.begin().await?;
    days::remove(&mut transaction, tenant, &done).await?;
    days::try_again(&mut transaction, tenant, &again).await?;
    transaction.commit("points.remind").await
}

fn notice(
    due: &Due,
    left: i64,
    number: &str,
    email: Option<&str>,
    rule: Option<&EarningRule>,
    now: Millis,
) -> Option<Notice> {
    // Days are those of the rule of earning, which ends points with them.
    let zone = rule.and_then(|rule| TimeZone::get(&rule.time_zone).ok());
    let last = Timestamp::from_millisecond(due.ends_at - 1).ok()?;
    let last = last.to_zoned(zone.unwrap_or(TimeZone::UTC)).date();
    let digest: [u8; 32] = Sha256::new()
        .chain_update(due.member.bytes())
        .chain_update(due.ends_at.to_be_bytes())
        .finalize()
        .into();
    let mut random = [0; 10];
    random.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Some(Notice {
        // The same for the same member and end, whenever it is tried.
        id: MessageId::placed(due.member.place(), days::instant(due), random),
        kind: "points_expiring",
        member: due.member,
        number: number.to_owned(),
        email: email.map(str::to_owned),
        words: Words {
            title_zh: "积分即将到期".into(),
            title_en: "Points are about to end".into(),
            body_zh: format!("您有 {left} 积分有效期至 {last}，请及时使用。"),
            body_en: format!("{left} of your points can be used until {last}."),
        },
        data: json!({ "points": left, "expires_at": due.ends_at }),
        at: now,
    })
}
