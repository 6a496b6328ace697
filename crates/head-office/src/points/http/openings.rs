//! Taking over what members had in another system.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::HeaderMap,
};
use counterfoil_domain::{
    ids::{MemberId, TenantId},
    points::{Asset, Cause, Earning, Reason, Source},
    time::Millis,
    transition::{Answer, Command, Post, PostAnswer, Posting},
};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    db::DbError,
    deed::Deed,
    engine::Refusal,
    http::{ApiError, Operator, Query, did_not_come},
    members,
    points::{
        opening::{self, Opening, Said},
        rows,
    },
    products::{
        http::{Reading, charset},
        import::{RowError, Unread, rows_of},
    },
    tenants,
};

/// Errors that are shown.
const SHOWN: usize = 200;
/// Lots that are posted at once.
const AT_ONCE: usize = 200;

/// Whether it is only looked through.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Whether it is done; otherwise the file is only looked through.
    #[serde(default)]
    apply: bool,
    /// Encoding of the text, as for products.
    charset: Option<String>,
}

/// What a file of opening balances comes to.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct OpeningReport {
    /// Whether it was done.
    applied: bool,
    /// Lots that are new.
    new: u64,
    /// Lots that were taken over before, as they stand in the file.
    same: u64,
    /// Points of the new ones.
    points: i64,
    /// Stored value of the new ones, minor units.
    balance: i64,
    /// Lines with something wrong. A file with errors is not applied.
    wrong: u64,
    /// Some of what is wrong.
    errors: Vec<RowError>,
}

/// Take opening balances over.
///
/// A CSV or XLSX file, at most 20,000 lines, with columns `member` (their number), `amount` (points, or money as 12.50), and, if
/// wanted, `asset` (`points` or `balance`) and `ends` (the last day, as 2027-01-31). Each line is a lot of its own. A line
/// is known by its member, asset and end: the same file again changes nothing, and another amount is refused with its line.
/// Nothing is done while anything is wrong; what was interrupted is completed by the same file.
#[utoipa::path(
    post, path = "/v1/points/openings", tag = "points", operation_id = "open_balances", params(Wanted),
    request_body(content(
        (String = "text/csv"),
        (crate::products::http::Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    )),
    responses(
        (status = 200, description = "What the file does, or would do", body = OpeningReport),
    ),
    security(("operator" = ["admin"]))
)]
pub(super) async fn open(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<OpeningReport>, ApiError> {
    let body = body.map_err(did_not_come)?;
    let unread = |why: Unread| ApiError::detailed(Code::Malformed, why.to_string());
    let reading = Reading {
        charset: wanted.charset,
    };
    let named = charset(&reading, &headers).map_err(unread)?;
    // Away from where others are answered, and where a file that no reader is ready for ends nothing else.
    let table = tokio::task::spawn_blocking(move || rows_of(&body, named))
        .await
        .map_err(|_| ApiError::detailed(Code::Malformed, "the file does not read"))?
        .map_err(unread)?;
    let (tenant, now) = (operator.tenant, app.clock.now());
    let (said, new, same) = {
        let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
        let currency = tenants::rows::currency(&mut connection, tenant).await?;
        let rule = rows::newest_rule(&mut connection, tenant).await?;
        let mut said = opening::said(table, &currency, rule.as_ref());
        let (new, same) = compared(&mut connection, tenant, &mut said, now).await?;
        (said, new, same)
    };
    let total = |asset: Asset| {
        let of = new.iter().filter(|lot| lot.opening.asset == asset);
        of.fold(0_i64, |sum, lot| sum.saturating_add(lot.opening.amount))
    };
    let mut report = OpeningReport {
        applied: false,
        new: new.len() as u64,
        same,
        points: total(Asset::Points),
        balance: total(Asset::Balance),
        wrong: said.errors.len() as u64,
        errors: said.errors.into_iter().take(SHOWN).collect(),
    };
    if !wanted.apply || report.wrong > 0 {
        return Ok(Json(report));
    }
    // Before anything is posted: what is interrupted is in the log too.
    let mut lease = app.db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, app.random.as_ref(), operator.actor(), now);
    let detail = format!(
        "{} new ({} points, {} stored), {} known",
        report.new, report.points, report.balance, report.same
    );
    deed.audit("balances.opened", &detail).await?;
    deed.commit("points.opened").await?;
    drop(lease);
    for part in new.chunks(AT_ONCE) {
        post(&app, &operator, part, now).await?;
    }
    report.applied = true;
    Ok(Json(report))
}

/// A lot that is new: whose it is, and what it is known by.
struct New {
    opening: Opening,
    member: MemberId,
    source: Source,
}

/// The lots that are new, and how many are known; what is wrong with the others is noted.
async fn compared(
    connection: &mut AnyConnection,
    tenant: TenantId,
    said: &mut Said,
    now: Millis,
) -> Result<(Vec<New>, u64), DbError> {
    let mut people: BTreeMap<String, Option<MemberId>> = BTreeMap::new();
    let mut lots: Vec<New> = Vec::new();
    let mut lines: BTreeMap<Source, u64> = BTreeMap::new();
    for opening in std::mem::take(&mut said.openings) {
        let line = opening.line;
        let member = match people.get(&opening.member) {
            Some(member) => *member,
            None => {
                let found = members::rows::by_number(connection, tenant, &opening.member).await?;
                let member = found.map(|member| member.id);
                people.insert(opening.member.clone(), member);
                member
            }
        };
        let Some(member) = member else {
            let message = format!("nobody has the number {:?}", opening.member);
            said.errors.push(RowError::new(line, "unknown_member", message));
            continue;
        };
        let source = opening.source(tenant, member);
        if let Some(before) = lines.insert(source, line) {
            let message = format!("line {before} has the same member, asset and end: write their sum");
            said.errors.push(RowError::new(line, "twice", message));
            continue;
        }
        lots.push(New {
            opening,
            member,
            source,
        });
    }
    let sources: Vec<Source> = lots.iter().map(|lot| lot.source).collect();
    let mut known: BTreeMap<Source, Earning> = BTreeMap::new();
    for part in sources.chunks(AT_ONCE) {
        let found = rows::load_earnings(connection, tenant, part).await?;
        known.extend(found.into_iter().map(|earning| (earning.source, earning)));
    }
    let (mut new, mut same) = (Vec::new(), 0);
    for lot in lots {
        let Opening {
            line, amount, ends_at, ..
        } = lot.opening;
        match known.get(&lot.source) {
            Some(earning) if earning.amount == amount => same += 1,
            Some(earning) => {
                let message = format!("it was taken over before with {}: adjust it by hand", earning.amount);
                said.errors.push(RowError::new(line, "changed", message));
            }
            None if ends_at.is_some_and(|at| at <= now) => {
                said.errors.push(RowError::new(line, "over", "it has ended already"));
            }
            None => new.push(lot),
        }
    }
    said.errors.sort_by_key(|error| error.line);
    Ok((new, same))
}

async fn post(app: &App, operator: &Operator, part: &[New], now: Millis) -> Result<(), ApiError> {
    let commands = part.iter().map(|lot| {
        Command::Post(Post {
            member: lot.member,
            asset: lot.opening.asset,
            what: Posting::Earn {
                amount: Some(lot.opening.amount),
                rule: None,
                paid: 0,
                category: None,
                at: now,
                ends_at: lot.opening.ends_at,
            },
            cause: Cause {
                reason: Reason::Opening,
                source: Some(lot.source),
                at: now,
                store: None,
                actor: Some(operator.id.0),
                note: None,
            },
        })
    });
    let answers = match app.engine.submit(operator.tenant, commands.collect()).await {
        Ok(answers) => answers,
        Err(Refusal::Busy) => return Err(ApiError::busy(2)),
        Err(refusal) => return Err(DbError::config(refusal.to_string()).into()),
    };
    for (answered, lot) in answers.iter().zip(part) {
        if !matches!(answered.answer, Answer::Posted(PostAnswer::Posted { .. })) {
            return Err(ApiError::detailed(
                Code::NotPosted,
                format!(
                    "line {} is not taken by the account; what stands above it is",
                    lot.opening.line
                ),
            ));
        }
    }
    Ok(())
}
