//! What a person does at head office: on the command line for the time being. Each change, its lines in the feeds and its
//! line in the audit log commit together.

mod error;

use std::collections::BTreeMap;

use counterfoil_domain::ids::{StoreId, TenantId};
pub use error::AdminError;
use sqlx::AnyConnection;

use crate::{
    clock::{self, Random},
    db::{DbError, Trouble},
    feed::{self, Item},
};

/// Who stands in the audit log for what is done on the command line.
pub(crate) const ACTOR: &str = "admin";
/// Longest name of anything.
const NAME_CHARACTERS: usize = 80;
/// Longest code of a tenant or a store.
const CODE_CHARACTERS: usize = 32;

/// `N` random bytes, or the error that everything here returns.
pub(crate) fn fresh<const N: usize>(random: &dyn Random) -> Result<[u8; N], DbError> {
    clock::bytes(random).map_err(|error| DbError::config(error.to_string()))
}

/// Appends to the feeds, with a mark of its own for this commit; to be called last before the commit.
pub(crate) async fn tell(
    connection: &mut AnyConnection,
    random: &dyn Random,
    tenant: TenantId,
    news: &BTreeMap<StoreId, Vec<Item>>,
) -> Result<(), DbError> {
    if news.is_empty() {
        return Ok(());
    }
    let mark = i64::from_be_bytes(fresh(random)?);
    feed::append(connection, tenant, news, mark).await.map(drop)
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
