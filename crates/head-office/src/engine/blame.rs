//! Finding the command that a group fails for.

use counterfoil_domain::{
    ids::{OperationId, TenantId},
    transition::{Arrival, Command},
};

use super::{
    Answered, Errand, Refusal, TRIES,
    group::{Care, Isolate, Writer},
};
use crate::db::{DbError, Trouble};

/// How often an operation may fail for an unknown reason before it is set aside.
const SUSPECTED: u32 = 3;
/// Operations of which that is kept.
const SUSPECTS: usize = 1_000;

/// How often an operation failed alone for a reason that nobody knows, and how much had gone through by the last time.
#[derive(Default)]
pub(super) struct Suspected {
    times: u32,
    at: Option<u64>,
}

/// Whether it may be the rows of one command that are to blame, so that narrowing down helps: not the connection, the
/// disk or a lock.
fn blames_rows(error: &DbError) -> bool {
    match error {
        DbError::RowCount { .. }
        | DbError::Answered
        | DbError::Decode { .. }
        | DbError::Row { .. }
        | DbError::Config(_) => true,
        DbError::Sqlx(sqlx::Error::Database(_)) => {
            matches!(error.trouble(), Trouble::Constraint | Trouble::Slow | Trouble::Other)
        }
        DbError::Sqlx(_) | DbError::Migrate(_) | DbError::ReadOnly(_) | DbError::Crashed { .. } => false,
    }
}

/// The operation, where it stands alone.
pub(super) fn alone(errands: &[Errand]) -> Option<&Arrival> {
    match errands {
        [
            Errand {
                command: Command::Operation(arrival),
                ..
            },
        ] => Some(arrival),
        _ => None,
    }
}

impl Writer {
    /// Does a group, and answers each of its commands. A trouble that blames nobody is tried again. What keeps failing is
    /// narrowed down by halving the group until the culprit stands alone: an operation is then quarantined, at the latest
    /// when it has come back a few times, and the rest goes through.
    pub(super) async fn work(&mut self, tenant: TenantId, errands: &[Errand]) -> Vec<Result<Answered, Refusal>> {
        let mut answers = Vec::with_capacity(errands.len());
        let mut pieces = self.apart(tenant, errands);
        while let Some(piece) = pieces.pop() {
            match self.persist(tenant, piece).await {
                Ok(done) => {
                    self.done += 1;
                    answers.extend(done);
                }
                Err(error) if blames_rows(&error) && piece.len() > 1 => {
                    let (first, second) = piece.split_at(piece.len() / 2);
                    pieces.push(second);
                    pieces.push(first);
                }
                Err(error) => {
                    if matches!(error, DbError::Answered) {
                        tracing::debug!(%error, "who asked is given that answer");
                    } else {
                        tracing::error!(%error, commands = piece.len(), "a group of commands failed");
                        metrics::counter!("counterfoil_alerts_total", "what" => "group_failed").increment(1);
                    }
                    let refusal = Refusal::from(error.trouble());
                    answers.extend(piece.iter().map(|_| Err(refusal)));
                }
            }
        }
        answers
    }

    /// The group in pieces, the last one first, in which every suspect stands alone: one that takes as long as it may
    /// each time must not make the others wait for the whole search again.
    fn apart<'c>(&self, tenant: TenantId, errands: &'c [Errand]) -> Vec<&'c [Errand]> {
        let suspected = |errand: &Errand| matches!(&errand.command, Command::Operation(arrival) if self.suspects.contains_key(&(tenant, arrival.id)));
        if self.suspects.is_empty() {
            return vec![errands];
        }
        let mut pieces: Vec<&[Errand]> = errands
            .chunk_by(|one, next| !suspected(one) && !suspected(next))
            .collect();
        pieces.reverse();
        pieces
    }

    async fn persist(
        &mut self,
        tenant: TenantId,
        errands: &[Errand],
    ) -> Result<Vec<Result<Answered, Refusal>>, DbError> {
        let mut care = Care::default();
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match self.attempt(tenant, errands, &care).await {
                Ok(answers) => return Ok(answers),
                Err(error) => error,
            };
            let short = matches!(error, DbError::RowCount { .. });
            // What was answered stays answered.
            let again = error.trouble() == Trouble::Again && !matches!(error, DbError::Answered);
            if again && tries < TRIES {
                tracing::debug!(%error, tries, "a group is done again");
                care.look_up_names |= short;
                if !short {
                    let wait = std::time::Duration::from_millis(5 << tries.min(6));
                    self.parts.clock.sleep(wait).await;
                }
                continue;
            }
            // One that stands alone and still fails is kept without effect, so that its journal goes on: a known culprit
            // at once, another one when it has come back a few times.
            let operation = match alone(errands) {
                Some(arrival) if blames_rows(&error) => arrival,
                _ => return Err(error),
            };
            if matches!(error.trouble(), Trouble::Slow | Trouble::Other)
                && self.suspect(tenant, operation.id) < SUSPECTED
            {
                return Err(error);
            }
            match care.isolate {
                None => care.isolate = Some(Isolate::Releasing),
                Some(Isolate::Releasing) => care.isolate = Some(Isolate::Bare),
                Some(Isolate::Bare) => return Err(error),
            }
            tries = 0;
            tracing::error!(%error, operation = %operation.id, "an operation can't be stored; it is set aside");
        }
    }

    /// Counts how often this operation failed for a reason that nobody knows. While nothing else goes through either, it
    /// is not the operation's fault.
    fn suspect(&mut self, tenant: TenantId, operation: OperationId) -> u32 {
        if self.suspects.len() > SUSPECTS {
            self.suspects.clear();
        }
        let done = self.done;
        let suspected = self.suspects.entry((tenant, operation)).or_default();
        if suspected.at.replace(done) != Some(done) {
            suspected.times += 1;
        }
        suspected.times
    }
}
