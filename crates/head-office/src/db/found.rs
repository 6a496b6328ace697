//! Rows that were found, and how they are called when one of them does not read.

use std::ops::Deref;

use sqlx::{Column, Row, any::AnyRow};
use uuid::Uuid;

use super::{DbError, batch::Text};

/// Rows and the statement that found them.
pub struct Found {
    rows: Vec<AnyRow>,
    statement: Text,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Found({} of {})", self.rows.len(), table(&self.statement))
    }
}

impl Found {
    pub(super) fn new(rows: Vec<AnyRow>, statement: Text) -> Self {
        Self { rows, statement }
    }

    /// Reads each of them. What does not read is told by table, key and column.
    pub fn read<T>(
        &self,
        mut read: impl FnMut(&AnyRow) -> Result<T, DbError>,
    ) -> impl Iterator<Item = Result<T, DbError>> {
        let (table, keys) = (table(&self.statement), keys(self.statement.head));
        self.rows
            .iter()
            .map(move |row| read(row).map_err(|error| named(table, &keys, row, error)))
    }
}

impl<'a> IntoIterator for &'a Found {
    type Item = &'a AnyRow;
    type IntoIter = std::slice::Iter<'a, AnyRow>;
    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

impl Deref for Found {
    type Target = [AnyRow];
    fn deref(&self) -> &[AnyRow] {
        &self.rows
    }
}

/// Reads a row of this table that these columns find. What does not read is told by table, key and column.
///
/// # Errors
/// As `read`.
pub fn read_of<T>(
    table: &'static str,
    keys: &[&'static str],
    row: &AnyRow,
    read: impl FnOnce(&AnyRow) -> Result<T, DbError>,
) -> Result<T, DbError> {
    read(row).map_err(|error| named(table, keys, row, error))
}

fn named(table: &'static str, keys: &[&'static str], row: &AnyRow, error: DbError) -> DbError {
    let column = match error {
        DbError::Decode { column } => column.to_owned(),
        DbError::Sqlx(sqlx::Error::ColumnDecode { index, .. }) => index.trim_matches('"').to_owned(),
        other => return other,
    };
    let known: Vec<&str> = keys
        .iter()
        .copied()
        .filter(|key| row.try_column(*key).is_ok())
        .collect();
    let first = row.columns().first().map(Column::name);
    let known = if known.is_empty() {
        first.into_iter().collect()
    } else {
        known
    };
    let key: Vec<String> = known.iter().map(|key| format!("{key} {}", value(row, key))).collect();
    DbError::Row {
        table,
        key: key.join(", "),
        column,
    }
}

/// A key as people write it: an id, a number, a text, or hex digits.
fn value(row: &AnyRow, column: &str) -> String {
    if let Ok(bytes) = row.try_get::<Vec<u8>, _>(column) {
        return Uuid::from_slice(&bytes).map_or_else(|_| hex::encode(&bytes), |id| id.to_string());
    }
    if let Ok(number) = row.try_get::<i64, _>(column) {
        return number.to_string();
    }
    row.try_get::<String, _>(column).unwrap_or_else(|_| "unknown".into())
}

fn word_after(text: &'static str, mark: &str) -> Option<&'static str> {
    let (_, rest) = text.split_once(mark)?;
    rest.split_whitespace().next().filter(|word| !word.starts_with('('))
}

/// The table that a statement is about.
fn table(statement: &Text) -> &'static str {
    let Text { head, tail, .. } = *statement;
    word_after(head, "INSERT INTO ")
        .or_else(|| word_after(head, "UPDATE "))
        .or_else(|| word_after(head, " FROM "))
        .or_else(|| word_after(tail, " JOIN "))
        .unwrap_or("an unknown table")
}

/// The columns by which a statement looks rows up: `key IN (` or `(some, keys) IN (VALUES ` at the end of its head.
fn keys(head: &'static str) -> Vec<&'static str> {
    let Some((before, _)) = head.rsplit_once(" IN (") else {
        return Vec::new();
    };
    let names = match before.strip_suffix(')').and_then(|list| list.rsplit_once('(')) {
        Some((_, list)) => list,
        None => before.rsplit(' ').next().unwrap_or_default(),
    };
    let unqualified = |name: &'static str| name.trim().rsplit('.').next();
    names.split(',').filter_map(unqualified).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_says_its_table_and_what_finds_its_rows() {
        for (head, tail, expected, found_by) in [
            (
                "SELECT id, a FROM coupons WHERE tenant = $1 AND id IN (",
                ")",
                "coupons",
                vec!["id"],
            ),
            (
                "SELECT a FROM holdings WHERE tenant = $1 AND (member, template) IN (VALUES ",
                ")",
                "holdings",
                vec!["member", "template"],
            ),
            (
                "SELECT b.id AS id FROM batches b JOIN tenants t ON t.tenant = b.tenant WHERE b.id IN (",
                ")",
                "batches",
                vec!["id"],
            ),
            (
                "SELECT o.id FROM (VALUES ",
                ") AS v JOIN operations o ON o.tenant = v.tenant AND o.device = v.column1",
                "operations",
                vec![],
            ),
            ("INSERT INTO feed (tenant, id) VALUES ", " RETURNING id", "feed", vec![]),
            (
                "UPDATE coupons SET a = v.column2 FROM (VALUES ",
                ") AS v RETURNING id",
                "coupons",
                vec![],
            ),
        ] {
            assert_eq!(
                (table(&Text::new(head, tail)), keys(head)),
                (expected, found_by),
                "{head}"
            );
        }
    }
}
