//! A member's statement: head office's, which alone has it.

use std::time::Duration;

use counterfoil_domain::{ids::MemberId, points::Asset};
use counterfoil_protocol::{
    paths,
    questions::{ASK_TIMEOUT, StatementRequest, StatementResponse},
};

use crate::{
    error::{Error, Result},
    http::{Failure, Sending},
    identity,
    inner::Counter,
    intake,
};

impl Counter {
    /// A part of a member's statement, newest line first; `before` = only lines with smaller numbers.
    ///
    /// # Errors
    /// What kept head office from answering, and its problems.
    pub async fn statement(&self, member: MemberId, asset: Asset, before: Option<i64>) -> Result<StatementResponse> {
        let inner = &self.0;
        let mut db = inner.db.read().await?;
        let who = identity::load(&mut db).await?;
        drop(db);
        let credentials = inner.credentials(&who)?;
        let sending = Sending {
            time: who.true_time(inner.clock.now()),
            timeout: Duration::from_millis(u64::try_from(3 * ASK_TIMEOUT).unwrap_or(3_000)),
            idempotency_key: None,
        };
        let question = StatementRequest { member, asset, before };
        let answer = inner
            .http
            .post(&credentials, paths::STATEMENTS, &question, sending)
            .await;
        inner.question_heard(answer.as_ref().err())?;
        match answer {
            Ok(statement) => Ok(statement),
            Err(Failure::Unanswered(why)) => Err(Error::Unanswered(why)),
            Err(Failure::Problem(problem)) => {
                intake::problem(&inner.db, &problem, inner.clock.now()).await?;
                Err(Error::HeadOffice(problem))
            }
        }
    }
}
