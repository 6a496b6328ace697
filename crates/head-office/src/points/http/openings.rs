//! Taking over what members had in another system.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::HeaderMap,
};
use counterfoil_domain::{
    ids::MemberId,
    points::{Asset, Cause, Earning, Reason, Source},
    transition::{Answer, Command, Post, PostAnswer, Posting},
};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
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
        let currency: String = sqlx::query_scalar("SELECT currency FROM tenants WHERE tenant = $1")
            .bind(tenant.bytes().to_vec())
            .fetch_one(&mut *connection)
            .await
            .map_err(DbError::from)?;
        let rule = rows::newest_rule(&mut connection, tenant).await?;
        let mut said = opening::said(table, tenant, &currency, rule.as_ref(), now);
        let (new, same) = compared(&mut connection, tenant, &mut said).await?;
        (said, new, same)
    };
    let of = |asset: Asset| {
        new.iter()
            .filter(move |(opening, _)| opening.asset == asset)
            .map(|(one, _)| one.amount)
    };
    let total = |asset| of(asset).fold(0_i64, i64::saturating_add);
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
    for part in new.chunks(AT_ONCE) {
        post(&app, &operator, part, now).await?;
    }
    let mut lease = app.db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, app.random.as_ref(), operator.actor(), now);
    let detail = format!(
        "{} new ({} points, {} stored), {} known",
        report.new, report.points, report.balance, report.same
    );
    deed.audit("balances.opened", &detail).await?;
    deed.commit("points.opened").await?;
    report.applied = true;
    Ok(Json(report))
}

/// The lots that are new, each with its member, and how many are known; what is wrong with the others is noted.
async fn compared(
    connection: &mut sqlx::AnyConnection,
    tenant: counterfoil_domain::ids::TenantId,
    said: &mut Said,
) -> Result<(Vec<(Opening, MemberId)>, u64), DbError> {
    let mut people: BTreeMap<String, Option<MemberId>> = BTreeMap::new();
    for opening in &said.openings {
        if !people.contains_key(&opening.member) {
            let found = members::rows::by_number(connection, tenant, &opening.member).await?;
            people.insert(opening.member.clone(), found.map(|member| member.id));
        }
    }
    let sources: Vec<Source> = said.openings.iter().map(|opening| opening.source).collect();
    let mut known: BTreeMap<Source, Earning> = BTreeMap::new();
    for part in sources.chunks(AT_ONCE) {
        let found = rows::load_earnings(connection, tenant, part).await?;
        known.extend(found.into_iter().map(|earning| (earning.source, earning)));
    }
    let (mut new, mut same) = (Vec::new(), 0);
    for opening in std::mem::take(&mut said.openings) {
        let member = people.get(&opening.member).copied().flatten();
        match (member, known.get(&opening.source)) {
            (None, _) => said.errors.push(RowError::new(
                opening.line,
                "unknown_member",
                format!("nobody has the number {:?}", opening.member),
            )),
            (Some(member), None) => new.push((opening, member)),
            (Some(member), Some(earning)) if (earning.member, earning.amount) == (member, opening.amount) => same += 1,
            (Some(_), Some(earning)) => said.errors.push(RowError::new(
                opening.line,
                "changed",
                format!("it was taken over before with {}: adjust it by hand", earning.amount),
            )),
        }
    }
    said.errors.sort_by_key(|error| error.line);
    Ok((new, same))
}

async fn post(app: &App, operator: &Operator, part: &[(Opening, MemberId)], now: i64) -> Result<(), ApiError> {
    let commands = part.iter().map(|(opening, member)| {
        Command::Post(Post {
            member: *member,
            asset: opening.asset,
            what: Posting::Earn {
                amount: Some(opening.amount),
                rule: None,
                paid: 0,
                category: None,
                at: now,
                ends_at: opening.ends_at,
            },
            cause: Cause {
                reason: Reason::Opening,
                source: Some(opening.source),
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
    for (answered, (opening, _)) in answers.iter().zip(part) {
        if !matches!(answered.answer, Answer::Posted(PostAnswer::Posted { .. })) {
            return Err(ApiError::detailed(
                Code::NotPosted,
                format!(
                    "line {} is not taken by the account; what stands above it is",
                    opening.line
                ),
            ));
        }
    }
    Ok(())
}
