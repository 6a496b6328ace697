//! What changes something at head office, but for commands of the engine: the change, its lines in the feeds and its line in
//! the audit log commit together.

mod error;

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
};

use counterfoil_domain::{
    ids::{OperationId, StoreId, TenantId},
    time::Millis,
};
pub use error::AdminError;
use sqlx::AnyConnection;

use crate::{
    clock::{self, Random},
    db::{
        DbError, Trouble, Tx,
        batch::{Text, execute_all},
    },
    feed::{self, Item},
};

/// Who stands in the audit log for what is done on the command line.
const ADMIN: &str = "admin";
const INSERT_AUDIT: Text = Text::new(
    "INSERT INTO audit (tenant, id, at, actor, action, detail) VALUES ",
    " ON CONFLICT DO NOTHING",
);
/// Longest name of anything.
pub(crate) const NAME_CHARACTERS: usize = 80;
/// Longest code of a tenant or a store.
const CODE_CHARACTERS: usize = 32;

/// In whose name something is done: stands in the audit log and before idempotency keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The chain.
    pub tenant: TenantId,
    /// `operator:<id>` or `member:<id>`.
    pub name: String,
}

impl Actor {
    /// Whoever sits at head office's command line.
    pub(crate) fn admin(tenant: TenantId) -> Self {
        Self::of(tenant, ADMIN)
    }

    /// Somebody who is known by a word.
    pub(crate) fn of(tenant: TenantId, name: &str) -> Self {
        Self {
            tenant,
            name: name.to_owned(),
        }
    }
}

/// A transaction that knows whose it is, who does it and when. Dropped without a commit, nothing has happened.
#[derive(Debug)]
pub struct Deed<'d> {
    transaction: Tx<'d>,
    random: &'d dyn Random,
    actor: Actor,
    now: Millis,
    news: BTreeMap<StoreId, Vec<Item>>,
}

impl<'d> Deed<'d> {
    /// Begins one.
    pub fn new(transaction: Tx<'d>, random: &'d dyn Random, actor: Actor, now: Millis) -> Self {
        Self {
            transaction,
            random,
            actor,
            now,
            news: BTreeMap::new(),
        }
    }

    /// Whose it is.
    pub fn tenant(&self) -> TenantId {
        self.actor.tenant
    }

    /// When it happens.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// `N` random bytes: for an id, for a secret.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn fresh<const N: usize>(&self) -> Result<[u8; N], DbError> {
        fresh(self.random)
    }

    /// Where randomness comes from, for who draws codes.
    pub fn random(&self) -> &'d dyn Random {
        self.random
    }

    /// Adds a line to the audit log; `detail` must hold no secret.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit(&mut self, action: &str, detail: &str) -> Result<(), DbError> {
        self.audit_all(&[(action, detail)]).await
    }

    /// Adds lines to the audit log, each an action and its detail, which must hold no secret.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit_all<D: AsRef<str> + Sync>(&mut self, lines: &[(&str, D)]) -> Result<(), DbError> {
        let rows: Vec<(OperationId, &str, &str)> = lines
            .iter()
            .map(|(action, detail)| Ok((OperationId::new(self.now, self.fresh()?), *action, detail.as_ref())))
            .collect::<Result<_, DbError>>()?;
        let Actor { tenant, name } = &self.actor;
        let now = self.now;
        execute_all(
            &mut self.transaction,
            "audit",
            INSERT_AUDIT,
            *tenant,
            &rows,
            |b, (id, action, detail)| {
                b.bytes(id.bytes()).number(now).text(name).text(action).text(detail);
            },
        )
        .await
    }

    /// A store's counters, or with [`TENANT_FEED`](crate::feed::TENANT_FEED) all, are to hear of a row.
    pub fn tell(&mut self, store: StoreId, item: Item) {
        self.news.entry(store).or_default().push(item);
    }

    /// The same for many.
    pub(crate) fn tell_all(&mut self, news: BTreeMap<StoreId, Vec<Item>>) {
        for (store, items) in news {
            self.news.entry(store).or_default().extend(items);
        }
    }

    /// What was to be told is not: what it is about was undone.
    pub(crate) fn tell_nobody(&mut self) {
        self.news.clear();
    }

    /// It holds messages to hand over, see [`Tx::sends`].
    pub(crate) fn sends(&mut self) {
        self.transaction.sends();
    }

    /// Keeps it all. The feeds are last, because their heads are held until the commit. Answers where the feeds stand that
    /// something was told in. `name` says in the program which commit this is.
    ///
    /// # Errors
    /// The driver's; after an error of the connection nobody knows whether it was kept.
    pub async fn commit(mut self, name: &'static str) -> Result<BTreeMap<StoreId, i64>, DbError> {
        let mut heads = BTreeMap::new();
        if !self.news.is_empty() {
            let mark = i64::from_be_bytes(self.fresh()?);
            heads = feed::append(&mut self.transaction, self.actor.tenant, &self.news, mark).await?;
        }
        self.transaction.commit(name).await?;
        Ok(heads)
    }

    /// Keeps nothing.
    ///
    /// # Errors
    /// The driver's.
    pub async fn rollback(self) -> Result<(), DbError> {
        self.transaction.rollback().await
    }
}

impl Deref for Deed<'_> {
    type Target = AnyConnection;
    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for Deed<'_> {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}

/// `N` random bytes, or the error that everything here returns.
pub(crate) fn fresh<const N: usize>(random: &dyn Random) -> Result<[u8; N], DbError> {
    clock::bytes(random).map_err(|error| DbError::config(error.to_string()))
}

pub(crate) fn not_found(error: DbError) -> AdminError {
    match error {
        DbError::Config(message) => AdminError::NotFound(message),
        other => AdminError::Db(other),
    }
}

/// A broken constraint of an insert means that the name is taken: everything else was checked before.
pub(crate) fn taken(error: DbError, what: &'static str, name: &str) -> AdminError {
    if error.trouble() == Trouble::Constraint {
        return AdminError::Taken {
            what,
            name: name.to_owned(),
        };
    }
    AdminError::Db(error)
}

pub(crate) fn check_code(field: &'static str, code: &str) -> Result<(), AdminError> {
    let fits = !code.is_empty()
        && code.len() <= CODE_CHARACTERS
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if fits {
        return Ok(());
    }
    Err(AdminError::malformed(field, "1 to 32 letters, digits, - or _, as s-01"))
}

pub(crate) fn check_name(field: &'static str, name: &str) -> Result<(), AdminError> {
    let fits =
        !name.trim().is_empty() && name.chars().count() <= NAME_CHARACTERS && !name.chars().any(char::is_control);
    if fits {
        return Ok(());
    }
    Err(AdminError::malformed(field, "1 to 80 printable characters"))
}
