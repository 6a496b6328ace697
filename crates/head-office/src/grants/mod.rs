//! Grants: coupons that the chain gives to many members without being asked.
//!
//! A grant to a list has a row for each member on it. A grant to everybody is one row; a member's own part is made when
//! they show up. Either way the engine decides each part, and `grant_members` gives nobody a second one. See
//! docs/adr/0009-claims-and-grants.md.

pub mod by_hand;
mod capability;
pub mod http;
pub mod job;
pub mod rows;
mod rules;
mod shown;
pub mod table;

pub use capability::CAPABILITY;

use std::{collections::BTreeSet, sync::Arc};

use counterfoil_domain::{
    coupons::Coupon,
    ids::{BatchId, GrantId, JobId, MemberId, TemplateId, TenantId},
    time::{Millis, SECOND},
    transition::{Answer, Audience, Command, NotClaimable, TakeGrant},
    typed,
};
use sqlx::AnyConnection;

use crate::{
    app::App,
    batches::{self, Purpose},
    clock::Random,
    coupons::{
        codes::Codes,
        terms::{self, Latest},
    },
    db::DbError,
    engine::{Answered, Refusal},
    jobs::{self, Job},
    members,
};

/// Longest list of one grant.
pub const LONGEST_LIST: usize = 50_000;
/// Lists up to this long are given at once, before the answer.
pub const AT_ONCE: usize = 200;
/// How long the list of grants to everybody is believed.
const BELIEVED: Millis = SECOND;

/// A grant to be.
#[derive(Debug, Clone)]
pub struct New {
    /// Of which template; its latest published version.
    pub template: TemplateId,
    /// The members' numbers, or everybody.
    pub members: Option<Vec<String>>,
}

/// A grant that was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// Which.
    pub id: GrantId,
    /// Its batch.
    pub batch: BatchId,
    /// For whom.
    pub audience: Audience,
    /// How many members it is for.
    pub members: i64,
    /// The members of a short list, to be given theirs at once.
    pub at_once: Vec<MemberId>,
    /// The job that gives a list theirs.
    pub job: Option<Job>,
}

/// Why there is no such grant.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// No published version.
    #[error("there is no published template of this id")]
    NoTemplate,
    /// The template has ended: its claims and grants, or the validity of its coupons.
    #[error("the template is over")]
    Over,
    /// Nobody, or too many.
    #[error("a list has 1 to {LONGEST_LIST} members")]
    Length,
    /// Numbers that are nobody's; some of them.
    #[error("there are no members with these numbers")]
    UnknownMembers(Vec<String>),
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The terms under which a template's coupons are granted now, to many by the API or to one by hand.
///
/// # Errors
/// [`NotMade::NoTemplate`], [`NotMade::Over`], or the database's.
pub async fn granted(
    connection: &mut AnyConnection,
    tenant: TenantId,
    template: TemplateId,
    now: Millis,
) -> Result<Latest, NotMade> {
    let latest = terms::latest(connection, tenant, template)
        .await?
        .ok_or(NotMade::NoTemplate)?;
    if latest.terms.is_over(now) {
        return Err(NotMade::Over);
    }
    Ok(latest)
}

/// Makes a grant within the caller's transaction. After the commit, [`give`] those of a short list theirs and wake the
/// jobs.
///
/// # Errors
/// [`NotMade`].
pub async fn create(
    connection: &mut AnyConnection,
    random: &dyn Random,
    tenant: TenantId,
    new: &New,
    now: Millis,
) -> Result<Made, NotMade> {
    let Latest { terms, line, category } = granted(connection, tenant, new.template, now).await?;
    let listed = match &new.members {
        None => None,
        Some(numbers) => Some(listed(connection, tenant, numbers).await?),
    };
    let form = Codes::load(connection, tenant).await?.form(&line, &category, now)?;
    let batch = BatchId::new(now, crate::deed::fresh(random)?);
    let row = batches::rows::NewBatch {
        id: batch,
        template: new.template,
        template_version: terms.version,
        size: 0,
        purpose: Purpose::Grant,
        form: Some(&form),
        first_counter: None,
        validity: (None, None),
    };
    batches::rows::insert(connection, tenant, &row, now).await?;
    let audience = if listed.is_some() {
        Audience::List
    } else {
        Audience::All
    };
    let listed = listed.unwrap_or_default();
    let count = match audience {
        Audience::List => i64::try_from(listed.len()).unwrap_or(i64::MAX),
        Audience::All => rows::count_members(connection, tenant).await?,
    };
    let grant = rows::NewGrant {
        id: GrantId::new(now, crate::deed::fresh(random)?),
        template: new.template,
        template_version: terms.version,
        batch,
        audience,
        members: count,
    };
    rows::insert(connection, tenant, &grant, now).await?;
    rows::list(connection, tenant, grant.id, &listed).await?;
    let mut made = Made {
        id: grant.id,
        batch,
        audience,
        members: count,
        at_once: Vec::new(),
        job: None,
    };
    if audience == Audience::All {
        return Ok(made);
    }
    // A short list has a job too: it finds everything given already, unless this process dies between the commit and
    // the giving.
    let job = Job {
        tenant,
        id: JobId::new(now, crate::deed::fresh(random)?),
        kind: jobs::Kind::Grant,
        subject: *grant.id.bytes(),
        status: jobs::Status::Queued,
        done: 0,
        total: count,
        detail: job::from_the_beginning(),
        error: None,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    jobs::rows::insert(connection, &job).await?;
    made.job = Some(job);
    if listed.len() <= AT_ONCE {
        made.at_once = listed;
    }
    Ok(made)
}

async fn listed(
    connection: &mut AnyConnection,
    tenant: TenantId,
    numbers: &[String],
) -> Result<Vec<MemberId>, NotMade> {
    let wanted: BTreeSet<String> = numbers.iter().map(|number| typed::member_number(number)).collect();
    if wanted.is_empty() || wanted.len() > LONGEST_LIST {
        return Err(NotMade::Length);
    }
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let found = members::rows::ids_by_number(connection, tenant, &wanted).await?;
    if found.len() < wanted.len() {
        let known: BTreeSet<&str> = found.iter().map(|(number, _)| number.as_str()).collect();
        let unknown = wanted.iter().filter(|number| !known.contains(**number)).take(10);
        return Err(NotMade::UnknownMembers(
            unknown.map(|number| (*number).to_owned()).collect(),
        ));
    }
    let mut ids: Vec<MemberId> = found.into_iter().map(|(_, id)| id).collect();
    ids.sort_unstable();
    // Two numbers of one person, whose members were merged.
    ids.dedup();
    Ok(ids)
}

/// What a member got of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// This coupon, just now.
    Coupon(Box<Coupon>),
    /// They had it already.
    Before,
    /// Nothing, and why.
    Nothing(Vec<NotClaimable>),
}

/// Gives members their part of a grant; whoever has it already gets no second one.
///
/// # Errors
/// The engine's.
pub async fn give(
    app: &App,
    tenant: TenantId,
    grant: GrantId,
    members: &[MemberId],
) -> Result<Vec<(MemberId, Got)>, Refusal> {
    let commands = members
        .iter()
        .map(|&member| Command::TakeGrant(TakeGrant { grant, member }))
        .collect();
    let answers = app.engine.submit(tenant, commands).await?;
    members
        .iter()
        .zip(answers)
        .map(|(member, answered)| Ok((*member, got(answered)?)))
        .collect()
}

fn got(answered: Answered) -> Result<Got, Refusal> {
    match (answered.answer, answered.given) {
        (Answer::Given { .. }, Some(coupon)) => Ok(Got::Coupon(coupon)),
        (Answer::Given { .. }, None) => Ok(Got::Before),
        (Answer::NotGiven { reasons, .. }, _) => Ok(Got::Nothing(reasons)),
        _ => Err(Refusal::Failed),
    }
}

/// Tenants whose grants to everybody are kept in memory.
const TENANTS: u64 = 10_000;

/// Grants and when each was made, and when that was read.
type Read = (Millis, Arc<Vec<(GrantId, Millis)>>);

/// The grants to everybody that are open, by tenant, read anew each second.
#[derive(Debug)]
pub struct Open(pub(crate) moka::sync::Cache<TenantId, Read>);

impl Default for Open {
    fn default() -> Self {
        Self(moka::sync::Cache::new(TENANTS))
    }
}

/// A member shows up: they get what was granted to everybody. To be called where their coupons are about to be shown;
/// costs nothing while no such grant is open. How many coupons they got.
///
/// # Errors
/// The database's and the engine's.
pub async fn show_up(app: &App, tenant: TenantId, member: MemberId) -> Result<usize, ShowUp> {
    let now = app.clock.now();
    let open = match app.own.of::<Open>().0.get(&tenant) {
        Some((read_at, open)) if (0..BELIEVED).contains(&(now - read_at)) => open,
        _ => {
            let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
            let open = Arc::new(rows::open_to_all(&mut reader, tenant).await?);
            app.own.of::<Open>().0.insert(tenant, (now, Arc::clone(&open)));
            open
        }
    };
    if open.is_empty() {
        return Ok(0);
    }
    let mut reader = app.db.reader().acquire().await.map_err(DbError::from)?;
    let due = rows::due_to(&mut reader, tenant, member, &open).await?;
    drop(reader);
    if due.is_empty() {
        return Ok(0);
    }
    let commands = due
        .into_iter()
        .map(|grant| Command::TakeGrant(TakeGrant { grant, member }))
        .collect();
    let answers = app.engine.submit(tenant, commands).await?;
    Ok(answers.iter().filter(|answered| answered.given.is_some()).count())
}

/// Why a member's grants could not be looked after.
#[derive(Debug, thiserror::Error)]
pub enum ShowUp {
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The engine's.
    #[error(transparent)]
    Engine(#[from] Refusal),
}
