//! Batches: a template version times a count, its codes made in the background.

mod capability;
pub mod http;
pub mod job;
pub mod rows;
mod rules;
mod shown;

pub use capability::CAPABILITY;

use counterfoil_domain::{
    ids::{BatchId, JobId, TemplateId, TenantId},
    time::Millis,
};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use crate::{
    clock::Random,
    coupons::{
        codes::{self, Codes, NoCode},
        terms::{self, Latest},
    },
    db::DbError,
    jobs::{self, Job},
};

/// Most coupons of one batch: what the positions and a day's random digits have room for, with some left.
pub const MOST: i64 = 20_000_000;

/// What a batch's coupons are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Purpose {
    /// Members claim them; until then nobody can use them.
    Claim,
    /// They are printed, and belong to whoever holds the paper.
    Print,
    /// They are made as they are given.
    Grant,
}

/// A batch to be.
#[derive(Debug, Clone, Copy)]
pub struct New {
    /// Of which template; its latest published version.
    pub template: TemplateId,
    /// How many.
    pub count: i64,
    /// What for.
    pub purpose: Purpose,
}

/// Why there is no such batch.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// No published version.
    #[error("there is no published template of this id")]
    NoTemplate,
    /// More or fewer than there may be.
    #[error("a batch has 1 to {MOST} coupons")]
    Count,
    /// The template's own dates are over.
    #[error("coupons of this template would not be valid any more")]
    Over,
    /// No digits left.
    #[error("there are not so many codes left for this product line today")]
    Full,
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<NoCode> for NotMade {
    fn from(error: NoCode) -> Self {
        match error {
            NoCode::Full => Self::Full,
            NoCode::Db(error) => Self::Db(error),
        }
    }
}

/// Begins a batch within the caller's transaction: its row, its range of codes, and the job that makes them. Wake the
/// jobs after the commit.
///
/// # Errors
/// [`NotMade`].
pub async fn create(
    connection: &mut AnyConnection,
    random: &dyn Random,
    tenant: TenantId,
    new: New,
    now: Millis,
) -> Result<(BatchId, Job), NotMade> {
    if !(1..=MOST).contains(&new.count) || new.purpose == Purpose::Grant {
        return Err(NotMade::Count);
    }
    let Latest { terms, line, category } = terms::latest(connection, tenant, new.template)
        .await?
        .ok_or(NotMade::NoTemplate)?;
    if terms.validity_over(now).is_some() {
        return Err(NotMade::Over);
    }
    let made_with = Codes::load(connection, tenant).await?;
    let form = made_with.form(&line, &category, now)?;
    let first = codes::reserve(connection, tenant, &form, new.count.unsigned_abs()).await?;
    let batch = BatchId::new(now, crate::deed::fresh(random)?);
    // Printed coupons have no claim that their days could count from.
    let validity = match new.purpose {
        Purpose::Print => terms.validity(now),
        Purpose::Claim | Purpose::Grant => (None, None),
    };
    let row = rows::NewBatch {
        id: batch,
        template: new.template,
        template_version: terms.version,
        size: new.count,
        purpose: new.purpose,
        form: Some(&form),
        first_counter: Some(first),
        validity,
    };
    rows::insert(connection, tenant, &row, now).await?;
    let job = Job {
        tenant,
        id: JobId::new(now, crate::deed::fresh(random)?),
        kind: jobs::Kind::Batch,
        subject: *batch.bytes(),
        status: jobs::Status::Queued,
        done: 0,
        total: new.count,
        detail: "{}".to_owned(),
        error: None,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    jobs::rows::insert(connection, &job).await?;
    Ok((batch, job))
}
