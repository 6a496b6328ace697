//! Statements over many rows at once.
//!
//! A statement costs some 50 us through the driver however little it does, so rows travel in one statement per table.
//! Row counts are padded (by repeating the last row, which changes nothing) so that few different texts exist and the
//! statement cache hits; the texts themselves are cached too.

use std::{
    collections::HashMap,
    fmt::Write,
    sync::{Arc, LazyLock, RwLock},
};

use counterfoil_domain::{
    ids::{NotAnId, TenantId},
    pickup_codes::Shard,
    words::Word,
};
use sqlx::{AnyConnection, Arguments, AssertSqlSafe, Row, any::AnyArguments, any::AnyRow};

use uuid::Uuid;

use super::{DbError, found::Found};

use super::text::Common;
pub use super::text::Text;
pub(crate) use super::text::select_by_id;

/// Most parameters of one statement; SQLite takes 32,766.
const PARAMETERS: usize = 30_000;

/// The values of a statement.
#[derive(Default)]
pub struct Binds(AnyArguments);

impl std::fmt::Debug for Binds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Binds({})", self.0.len())
    }
}

impl Binds {
    fn add<'t, T: sqlx::Encode<'t, sqlx::Any> + sqlx::Type<sqlx::Any>>(&mut self, value: T) -> &mut Self {
        // Encoding for `Any` only appends to a list; there is nothing that could fail.
        let added = self.0.add(value);
        debug_assert!(added.is_ok());
        self
    }
    /// An id, a hash, a key.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.add(value)
    }
    /// The same or nothing.
    pub fn bytes_or_null(&mut self, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(value) => self.add(value),
            None => self.add(Option::<Vec<u8>>::None),
        }
    }
    /// A number or a time.
    pub fn number(&mut self, value: i64) -> &mut Self {
        self.add(value)
    }
    /// The same or nothing.
    pub fn number_or_null(&mut self, value: Option<i64>) -> &mut Self {
        self.add(value)
    }
    /// A text.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.add(value)
    }
    /// The same or nothing.
    pub fn text_or_null(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.add(value),
            None => self.add(Option::<String>::None),
        }
    }
}

fn padded(rows: usize) -> usize {
    if rows <= 64 {
        rows.next_power_of_two()
    } else {
        rows.next_multiple_of(64)
    }
}

/// SQLite finds a numbered parameter by walking a list of names, which makes a statement of thousands of them take
/// milliseconds; nameless ones cost nothing. PostgreSQL knows numbered ones only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Parameters {
    Nameless,
    Numbered,
}

impl Parameters {
    fn of(connection: &AnyConnection) -> Self {
        if connection.backend_name() == "SQLite" {
            Self::Nameless
        } else {
            Self::Numbered
        }
    }
}

/// What all rows of a statement have in common: the parameters before those of its rows.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    tenant: TenantId,
    shard: Option<Shard>,
}

impl Scope {
    /// Rows of one shard of a tenant's: `$2` of the statement.
    pub fn shard(tenant: TenantId, shard: Shard) -> Self {
        Self {
            tenant,
            shard: Some(shard),
        }
    }

    /// Adds the parameter that stands there.
    fn bind(self, binds: &mut Binds, parameter: Common) {
        match (parameter, self.shard) {
            (Common::Tenant, _) => binds.bytes(self.tenant.bytes()),
            (Common::Shard, shard) => binds.number(shard.unwrap_or_default().number()),
        };
    }
}

impl From<TenantId> for Scope {
    fn from(tenant: TenantId) -> Self {
        Self { tenant, shard: None }
    }
}

type Texts = HashMap<(&'static str, &'static str, &'static str, Parameters, usize), Arc<str>>;
static TEXTS: LazyLock<RwLock<Texts>> = LazyLock::new(RwLock::default);

fn text(text: Text, suffix: &'static str, parameters: Parameters, rows: usize) -> Arc<str> {
    let key = (text.head, text.tail, suffix, parameters, rows);
    if let Ok(texts) = TEXTS.read()
        && let Some(known) = texts.get(&key)
    {
        return Arc::clone(known);
    }
    let mut sql = String::with_capacity(text.head.len() + text.tail.len() + rows * text.columns * 6);
    let common = |part: &str| match parameters {
        Parameters::Nameless => Common::ALL
            .iter()
            .fold(part.to_owned(), |part, common| part.replace(common.as_str(), "?")),
        Parameters::Numbered => part.to_owned(),
    };
    let tenant = match parameters {
        Parameters::Nameless => "?",
        Parameters::Numbered => Common::Tenant.as_str(),
    };
    sql.push_str(&common(text.head));
    let mut parameter = text.common + 1;
    for row in 0..rows {
        sql.push_str(if row == 0 { "(" } else { ",(" });
        if text.tenant_first {
            sql.push_str(tenant);
        }
        for column in 0..text.columns {
            if column > 0 || text.tenant_first {
                sql.push(',');
            }
            match parameters {
                Parameters::Nameless => sql.push('?'),
                // Writing to a String does not fail.
                Parameters::Numbered => drop(write!(sql, "${parameter}")),
            }
            parameter += 1;
        }
        sql.push(')');
    }
    sql.push_str(&common(text.tail));
    sql.push_str(suffix);
    let sql: Arc<str> = sql.into();
    if let Ok(mut texts) = TEXTS.write() {
        texts.insert(key, Arc::clone(&sql));
    }
    sql
}

/// The statement as this engine reads it, for so many rows.
#[cfg(test)]
pub(super) fn written(connection: &AnyConnection, statement: Text, rows: usize) -> Arc<str> {
    text(statement, "", Parameters::of(connection), rows)
}

/// The values in the order in which the text wants them.
fn binds<T>(
    scope: Scope,
    statement: Text,
    parameters: Parameters,
    rows: &[T],
    padded: usize,
    bind: &impl Fn(&mut Binds, &T),
) -> AnyArguments {
    let mut binds = Binds::default();
    let nameless = parameters == Parameters::Nameless;
    debug_assert!(
        statement.common == 1 || scope.shard.is_some(),
        "{} is of one shard",
        statement.head
    );
    let common = |binds: &mut Binds, text: &str| Common::of(text).for_each(|common| scope.bind(binds, common));
    if nameless {
        common(&mut binds, statement.head);
    } else {
        Common::ALL
            .iter()
            .take(statement.common)
            .for_each(|common| scope.bind(&mut binds, *common));
    }
    let padding = rows.last().into_iter().cycle().take(padded - rows.len());
    for row in rows.iter().chain(padding) {
        if nameless && statement.tenant_first {
            scope.bind(&mut binds, Common::Tenant);
        }
        let before = binds.0.len();
        bind(&mut binds, row);
        debug_assert_eq!(
            binds.0.len() - before,
            statement.columns,
            "values of a row of {}",
            statement.head
        );
    }
    if nameless {
        common(&mut binds, statement.tail);
    }
    binds.0
}

fn prepare<T>(
    connection: &AnyConnection,
    statement: Text,
    suffix: &'static str,
    scope: Scope,
    rows: &[T],
    bind: &impl Fn(&mut Binds, &T),
) -> (AssertSqlSafe<Arc<str>>, AnyArguments) {
    let parameters = Parameters::of(connection);
    let padded = if statement.pad { padded(rows.len()) } else { rows.len() };
    let arguments = binds(scope, statement, parameters, rows, padded, bind);
    (AssertSqlSafe(text(statement, suffix, parameters, padded)), arguments)
}

/// Rows that fit one statement.
fn at_once(statement: Text) -> usize {
    PARAMETERS / (statement.columns + usize::from(statement.tenant_first)).max(1)
}

/// Runs a writing statement over all rows; the number of rows that changed.
///
/// # Errors
/// The driver's.
pub async fn execute<T: Sync>(
    connection: &mut AnyConnection,
    statement: Text,
    scope: impl Into<Scope>,
    rows: &[T],
    bind: impl Fn(&mut Binds, &T),
) -> Result<u64, DbError> {
    let (scope, mut changed) = (scope.into(), 0);
    for chunk in rows.chunks(at_once(statement)) {
        let (sql, arguments) = prepare(connection, statement, "", scope, chunk, &bind);
        changed += sqlx::query_with(sql, arguments)
            .execute(&mut *connection)
            .await?
            .rows_affected();
    }
    Ok(changed)
}

/// The same, and checks that exactly `rows.len()` rows changed.
///
/// # Errors
/// [`DbError::RowCount`] when somebody else was first; else the driver's.
pub async fn execute_all<T: Sync>(
    connection: &mut AnyConnection,
    table: &'static str,
    statement: Text,
    scope: impl Into<Scope>,
    rows: &[T],
    bind: impl Fn(&mut Binds, &T),
) -> Result<(), DbError> {
    let found = execute(connection, statement, scope, rows, bind).await?;
    let expected = rows.len() as u64;
    if found == expected {
        Ok(())
    } else {
        Err(DbError::RowCount { table, expected, found })
    }
}

/// Runs a reading statement over all rows of values; `suffix` locks them where the engine needs that.
///
/// # Errors
/// The driver's.
pub async fn fetch<T: Sync>(
    connection: &mut AnyConnection,
    statement: Text,
    suffix: &'static str,
    scope: impl Into<Scope>,
    rows: &[T],
    bind: impl Fn(&mut Binds, &T),
) -> Result<Found, DbError> {
    let (scope, mut found) = (scope.into(), Vec::new());
    for chunk in rows.chunks(at_once(statement)) {
        let (sql, arguments) = prepare(connection, statement, suffix, scope, chunk, &bind);
        found.extend(sqlx::query_with(sql, arguments).fetch_all(&mut *connection).await?);
    }
    Ok(Found::new(found, statement))
}

/// Reads an id column.
///
/// # Errors
/// [`DbError::Decode`] when it does not hold 16 bytes.
pub fn id<I>(row: &AnyRow, column: &'static str, read: impl FnOnce(&[u8]) -> Result<I, NotAnId>) -> Result<I, DbError> {
    read(&row.try_get::<Vec<u8>, _>(column)?).map_err(|_| DbError::Decode { column })
}

/// Reads an id column that may be empty.
///
/// # Errors
/// As [`id`].
pub fn id_or_null<I>(
    row: &AnyRow,
    column: &'static str,
    read: impl FnOnce(&[u8]) -> Result<I, NotAnId>,
) -> Result<Option<I>, DbError> {
    row.try_get::<Option<Vec<u8>>, _>(column)?
        .map(|bytes| read(&bytes).map_err(|_| DbError::Decode { column }))
        .transpose()
}

/// Reads a UUID that is no id of a type of its own.
///
/// # Errors
/// As [`id`].
pub fn uuid(row: &AnyRow, column: &'static str) -> Result<Uuid, DbError> {
    uuid_or_null(row, column)?.ok_or(DbError::Decode { column })
}

/// The same where there may be none.
///
/// # Errors
/// As [`id`].
pub fn uuid_or_null(row: &AnyRow, column: &'static str) -> Result<Option<Uuid>, DbError> {
    row.try_get::<Option<Vec<u8>>, _>(column)?
        .map(|bytes| Uuid::from_slice(&bytes).map_err(|_| DbError::Decode { column }))
        .transpose()
}

/// Reads one of a set of words.
///
/// # Errors
/// The driver's, and [`DbError::Decode`] for any other text.
pub fn word<W: Word>(row: &AnyRow, column: &'static str) -> Result<W, DbError> {
    word_or_null(row, column)?.ok_or(DbError::Decode { column })
}

/// The same where there may be none.
///
/// # Errors
/// As [`word`].
pub fn word_or_null<W: Word>(row: &AnyRow, column: &'static str) -> Result<Option<W>, DbError> {
    row.try_get::<Option<String>, _>(column)?
        .map(|text| W::parse(&text).ok_or(DbError::Decode { column }))
        .transpose()
}

/// Reads 32 bytes: a hash or a key.
///
/// # Errors
/// [`DbError::Decode`] when there are not 32.
pub fn hash(row: &AnyRow, column: &'static str) -> Result<[u8; 32], DbError> {
    row.try_get::<Vec<u8>, _>(column)?
        .try_into()
        .map_err(|_| DbError::Decode { column })
}

/// Reads a JSON column.
///
/// # Errors
/// [`DbError::Decode`] when it does not read.
pub fn json<T: serde::de::DeserializeOwned>(row: &AnyRow, column: &'static str) -> Result<T, DbError> {
    serde_json::from_str(&row.try_get::<String, _>(column)?).map_err(|_| DbError::Decode { column })
}
