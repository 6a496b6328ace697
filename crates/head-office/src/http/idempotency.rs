//! A question asked twice has one effect and one answer.
//!
//! The decided answer, a refusal included, commits with the effect: in a transaction of the route's own
//! ([`Asked::decide`]), or in that of the engine's group ([`Once::submit`]). What is in flight lives in memory: another process
//! that decides the same question at the same moment meets the unique key, and gives the answer that was first.
//!
//! ```ignore
//! async fn create(State(app): State<Arc<App>>, operator: Operator, asked: Asked<New>) -> Result<Response, ApiError> {
//!     let effect = async |connection: &mut AnyConnection, new| {
//!         let made = create_in(connection, new).await?;
//!         Ok((StatusCode::CREATED, made))
//!     };
//!     asked.decide(&app, operator.actor(), effect).await
//! }
//! ```

use std::sync::Arc;

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use counterfoil_domain::{
    ids::TenantId,
    planted,
    time::{DAY, Millis},
    transition::{Answer, Command},
};
use counterfoil_protocol::problem::{Code, MEDIA_TYPE};
use futures_core::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Row};

use super::{ApiError, IdempotencyKey, caller::Actor, input};
use crate::{
    app::App,
    db::{
        DbError, Lease,
        batch::{Binds, Text, execute, hash},
    },
    deed::Deed,
    engine::{Keep, Kept, Line},
    turns::{Turn, Turns},
};

const INSERT: Text = Text::new(
    "INSERT INTO idempotency (tenant, actor, key, request_hash, status, body, created_at) VALUES ",
    " ON CONFLICT DO NOTHING",
);

/// How long an answer is kept.
pub const KEPT: Millis = 7 * DAY;

/// A question with its name: a POST with the header `Idempotency-Key` and a JSON body.
#[derive(Debug, Clone)]
pub struct Asked<T> {
    key: String,
    hash: [u8; 32],
    /// The body.
    pub body: T,
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let IdempotencyKey(key) = IdempotencyKey::from_request_parts(&mut parts, app).await?;
        let mut hasher = Sha256::new();
        hasher.update(parts.method.as_str());
        hasher.update([0]);
        hasher.update(parts.uri.path_and_query().map_or("", |path| path.as_str()));
        hasher.update([0]);
        let bytes = input::bytes(Request::from_parts(parts, body), app).await?;
        hasher.update(&bytes);
        Ok(Self {
            key,
            hash: hasher.finalize().into(),
            body: input::read(&bytes)?,
        })
    }
}

/// Questions that are being decided in this process.
pub type InFlight = Turns<(Actor, String)>;

/// What became of a question.
#[derive(Debug)]
pub enum Begun<T> {
    /// It was decided before: this was the answer.
    Replay(Response),
    /// It is new, and nobody else in this process decides it meanwhile.
    Fresh(Once, T),
}

/// The right to decide a question. Dropped without a decision, the question may be asked again.
#[derive(Debug)]
pub struct Once {
    _turn: Turn,
    name: (Actor, String),
    hash: [u8; 32],
    now: Millis,
}

/// What a command of the engine comes to for who asked, read on the connection that has just stored its effect.
pub type Reading<A> = for<'c> fn(&'c mut AnyConnection, TenantId, &'c Answer) -> BoxFuture<'c, Told<A>>;

/// The answer of a [`Reading`], a refusal included.
pub type Told<A> = Result<Result<(StatusCode, A), ApiError>, DbError>;

/// Keeps the answer to a question beside the effect of its command.
struct Keeping<A> {
    question: Question,
    read: Reading<A>,
}

impl<A: Serialize + 'static> Keep for Keeping<A> {
    fn keep<'c>(
        &'c self,
        connection: &'c mut AnyConnection,
        tenant: TenantId,
        answer: &'c Answer,
    ) -> BoxFuture<'c, Result<(Kept, Option<Line>), DbError>> {
        Box::pin(async move {
            let decided = match (self.read)(connection, tenant, answer).await? {
                Ok((status, body)) => self.question.decided(status, &body),
                Err(refusal) if is_decision(&refusal) => self.question.refused(&refusal),
                Err(_) => {
                    return Err(DbError::config(
                        "the engine gave an answer that is none to this question",
                    ));
                }
            };
            let decided = decided.map_err(|_| DbError::config("an answer can't be written as JSON"))?;
            let kept = Kept {
                status: decided.status,
                body: decided.body.clone(),
            };
            let line = Line {
                statement: INSERT,
                bind: Box::new(move |b| bind(b, &decided)),
            };
            Ok((kept, planted!("answer_after_the_effect", None, Some(line))))
        })
    }
}

/// A question's name, what it said, and when it came.
#[derive(Debug)]
struct Question {
    actor: Actor,
    key: String,
    hash: [u8; 32],
    now: Millis,
}

/// An answer to be kept, for who writes it in a transaction of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Who asked.
    pub actor: Actor,
    /// The question's name.
    pub key: String,
    /// SHA-256 over method, path and body.
    pub hash: [u8; 32],
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
    /// When it was decided.
    pub at: Millis,
}

impl<T> Asked<T> {
    /// Finds out whether the question was decided before.
    ///
    /// # Errors
    /// `in_flight` while the same question is being decided, `idempotency_key_reused` when its name was used for
    /// another one.
    pub async fn begin(self, app: &App, actor: Actor) -> Result<Begun<T>, ApiError> {
        let Self { key, hash, body } = self;
        let name = (actor, key);
        let Some(turn) = app.own.of::<Arc<InFlight>>().take(name.clone()) else {
            return Err(ApiError::new(Code::InFlight));
        };
        let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
        let (actor, key) = &name;
        if let Some(before) = load(&mut connection, actor, key).await? {
            return before.replay(&hash).map(Begun::Replay);
        }
        let once = Once {
            _turn: turn,
            name,
            hash,
            now: app.clock.now(),
        };
        Ok(Begun::Fresh(once, body))
    }

    /// Decides the question, once: `effect` runs in a transaction that also keeps its answer.
    ///
    /// # Errors
    /// As [`Asked::begin`], and the effect's own.
    pub async fn decide<A: Serialize>(
        self,
        app: &App,
        actor: Actor,
        effect: impl AsyncFnOnce(&mut Deed<'_>, T) -> Result<(StatusCode, A), ApiError>,
    ) -> Result<Response, ApiError> {
        let (once, body) = match self.begin(app, actor).await? {
            Begun::Replay(answer) => return Ok(answer),
            Begun::Fresh(once, body) => (once, body),
        };
        let mut lease = app.db.lease().await?;
        let mut deed = once.deed(app, &mut lease).await?;
        let answer = effect(&mut deed, body).await;
        once.settle(app, deed, answer).await
    }
}

impl Once {
    /// The question's name.
    pub fn key(&self) -> &str {
        &self.name.1
    }

    /// Has the engine decide the question: `command` is its effect, `read` its answer, and both commit together.
    ///
    /// # Errors
    /// What is nobody's decision: too much is waiting, or our own fault. The question may be asked again.
    pub async fn submit<A: Serialize + 'static>(
        self,
        app: &App,
        command: Command,
        read: Reading<A>,
    ) -> Result<Response, ApiError> {
        let question = self.question();
        let tenant = question.actor.tenant;
        let keep = Arc::new(Keeping { question, read });
        let refusal = match app.engine.submit_kept(tenant, command, keep).await {
            Ok(kept) => return Ok(response(kept.status, kept.body)),
            Err(refusal) => refusal,
        };
        // Another process may have been first, or the commit's own answer may have got lost.
        let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
        let (actor, key) = &self.name;
        match load(&mut connection, actor, key).await? {
            Some(before) => before.replay(&self.hash),
            None => Err(refusal.into()),
        }
    }

    /// Keeps a refusal that needed no effect.
    ///
    /// # Errors
    /// The refusal itself where it is nobody's decision, or the database's.
    pub async fn refuse(self, app: &App, refusal: ApiError) -> Result<Response, ApiError> {
        let mut lease = app.db.lease().await?;
        let deed = self.deed(app, &mut lease).await?;
        self.settle::<()>(app, deed, Err(refusal)).await
    }

    fn question(&self) -> Question {
        let (actor, key) = self.name.clone();
        Question {
            actor,
            key,
            hash: self.hash,
            now: self.now,
        }
    }

    /// Begins the transaction of the effect.
    ///
    /// # Errors
    /// The database's.
    pub async fn deed<'l>(&self, app: &'l App, lease: &'l mut Lease<'_>) -> Result<Deed<'l>, ApiError> {
        let mut transaction = lease.begin().await?;
        // A refusal undoes the effect as far as it came, and is itself written.
        sqlx::query("SAVEPOINT effect")
            .execute(&mut *transaction)
            .await
            .map_err(DbError::from)?;
        let random = app.random.as_ref();
        Ok(Deed::new(transaction, random, self.name.0.clone(), self.now))
    }

    /// Writes the answer beside the effect and commits both. A refusal is written without the effect. What is nobody's
    /// decision (busy, our fault) is not written.
    ///
    /// # Errors
    /// The refusal itself, or the database's.
    pub async fn settle<A: Serialize>(
        self,
        app: &App,
        mut deed: Deed<'_>,
        answer: Result<(StatusCode, A), ApiError>,
    ) -> Result<Response, ApiError> {
        let decided = match answer {
            Ok((status, body)) => self.question().decided(status, &body)?,
            Err(error) if is_decision(&error) => {
                sqlx::query("ROLLBACK TO SAVEPOINT effect")
                    .execute(&mut *deed)
                    .await
                    .map_err(DbError::from)?;
                deed.tell_nobody();
                self.question().refused(&error)?
            }
            Err(error) => return Err(error),
        };
        if !store(&mut deed, &decided).await? {
            // Another process was first: its effect stands, this one does not.
            deed.rollback().await?;
            return Err(ApiError::new(Code::InFlight));
        }
        let tenant = deed.tenant();
        let heads = deed.commit("http.settle").await?;
        app.moved(tenant, heads);
        Ok(response(decided.status, decided.body))
    }
}

impl Question {
    /// The answer as it is to be kept.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    fn decided<A: Serialize>(&self, status: StatusCode, body: &A) -> Result<Decided, ApiError> {
        Ok(Decided {
            actor: self.actor.clone(),
            key: self.key.clone(),
            hash: self.hash,
            status: status.as_u16(),
            body: serde_json::to_string(body).map_err(|_| ApiError::internal())?,
            at: self.now,
        })
    }

    /// A refusal as it is to be kept.
    ///
    /// # Errors
    /// As [`Question::decided`].
    fn refused(&self, refusal: &ApiError) -> Result<Decided, ApiError> {
        let status = StatusCode::from_u16(refusal.0.status).map_err(|_| ApiError::internal())?;
        self.decided(status, &refusal.0)
    }
}

/// Whether a problem is the answer to the question, rather than the lack of one.
pub fn is_decision(error: &ApiError) -> bool {
    let status = error.0.status;
    (400..500).contains(&status) && status != StatusCode::TOO_MANY_REQUESTS.as_u16()
}

impl Decided {
    /// The answer for who asked.
    pub fn into_response(self) -> Response {
        response(self.status, self.body)
    }

    fn replay(self, hash: &[u8; 32]) -> Result<Response, ApiError> {
        if self.hash != *hash {
            return Err(ApiError::new(Code::IdempotencyKeyReused));
        }
        Ok(self.into_response())
    }
}

fn response(status: u16, body: String) -> Response {
    let Ok(status) = StatusCode::from_u16(status) else {
        return ApiError::internal().into_response();
    };
    let media_type = if status.is_success() {
        "application/json"
    } else {
        MEDIA_TYPE
    };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(media_type))];
    (status, headers, body).into_response()
}

async fn load(connection: &mut AnyConnection, actor: &Actor, key: &str) -> Result<Option<Decided>, DbError> {
    let row = sqlx::query(
        "SELECT request_hash, status, body, created_at FROM idempotency WHERE tenant = $1 AND actor = $2 AND key = $3",
    )
    .bind(actor.tenant.bytes().to_vec())
    .bind(actor.name.clone())
    .bind(key.to_owned())
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        let status: i64 = row.try_get("status")?;
        Ok(Decided {
            actor: actor.clone(),
            key: key.to_owned(),
            hash: hash(&row, "request_hash")?,
            status: u16::try_from(status).map_err(|_| DbError::Decode { column: "status" })?,
            body: row.try_get("body")?,
            at: row.try_get("created_at")?,
        })
    })
    .transpose()
}

/// Writes an answer; false when the question has one already.
///
/// # Errors
/// The driver's.
pub async fn store(connection: &mut AnyConnection, decided: &Decided) -> Result<bool, DbError> {
    let stored = execute(connection, INSERT, decided.actor.tenant, &[decided], |b, decided| {
        bind(b, decided);
    })
    .await?;
    Ok(stored == 1)
}

fn bind(b: &mut Binds, decided: &Decided) {
    b.text(&decided.actor.name)
        .text(&decided.key)
        .bytes(&decided.hash)
        .number(i64::from(decided.status))
        .text(&decided.body)
        .number(decided.at);
}

/// Forgets some of the answers that nobody asks for any more; how many.
///
/// # Errors
/// The driver's.
pub async fn forget(connection: &mut AnyConnection, now: Millis, most: i64) -> Result<u64, DbError> {
    let gone = sqlx::query("DELETE FROM idempotency WHERE (tenant, actor, key) IN (SELECT tenant, actor, key FROM idempotency WHERE created_at < $1 LIMIT $2)")
        .bind(now - KEPT)
        .bind(most)
        .execute(connection)
        .await?;
    Ok(gone.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nobodys_decision_is_not_kept() {
        for (code, kept) in [
            (Code::Invalid, true),
            (Code::StateConflict, true),
            (Code::NotFound, true),
            (Code::RateLimited, false),
            (Code::Busy, false),
            (Code::Internal, false),
        ] {
            assert_eq!(is_decision(&ApiError::new(code)), kept, "{code:?}");
        }
    }
}
