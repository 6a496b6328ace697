//! Products from a file: looked through first, then applied exactly as shown, all of it or nothing.

pub(crate) mod cell;
mod changes;
pub mod encoding;
mod judge;
mod row;
mod sheet;
mod table;

use std::collections::BTreeSet;

pub use changes::Change;
use counterfoil_domain::{
    ids::TenantId,
    products::Product,
    time::{DAY, Millis},
};
use encoding_rs::Encoding;
use judge::{Catalogue, judge};
use row::Said;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
pub(crate) use table::{NoText, Row, Table};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{new_id, rows};
use crate::{
    clock::Random,
    db::{DbError, batch::json},
    deed::Deed,
    feed::{Item, TENANT_FEED},
    tenants,
};

/// Largest file.
pub const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Most products of a file.
pub const MOST_ROWS: usize = 20_000;
/// Rows and errors that a preview shows.
const SHOWN: usize = 200;
/// How long a preview waits to be applied.
pub const KEPT: Millis = 7 * DAY;

/// Something wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RowError {
    /// Line of the file as an editor or a spreadsheet counts, from 1; 0 for the whole of it.
    pub line: u64,
    /// A stable word for programs.
    pub code: String,
    /// What was expected, in English.
    pub message: String,
}

impl RowError {
    /// Of a line, or of the whole file where that is 0.
    pub(crate) fn new(line: u64, code: &str, message: impl Into<String>) -> Self {
        Self {
            line,
            code: code.to_owned(),
            message: message.into(),
        }
    }
}

/// A product of the file that would change something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RowShown {
    /// Line of the file, from 1.
    pub line: u64,
    /// Article number.
    pub sku: String,
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
    /// Whether there is no such product yet.
    pub new: bool,
    /// What would change, from what to what.
    pub changes: Vec<Change>,
}

/// What a file would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preview {
    /// What to apply it by.
    pub id: Uuid,
    /// Products that are new.
    pub new: u64,
    /// Products that change.
    pub changed: u64,
    /// Products that stay as they are.
    pub unchanged: u64,
    /// Lines with something wrong. A file with errors can't be applied.
    pub wrong: u64,
    /// Lines with something that is worth a look, and that is applied as it is.
    pub warned: u64,
    /// What the text was read as; none for a spreadsheet.
    pub encoding: Option<String>,
    /// Whether nothing says that it is this encoding: look at the names, and name another one with `charset` if they are
    /// not what they should be.
    pub guessed: bool,
    /// The sheet of a spreadsheet that was read.
    pub sheet: Option<String>,
    /// Some of what is wrong.
    pub errors: Vec<RowError>,
    /// Some of what is worth a look.
    pub warnings: Vec<RowError>,
    /// Some of what is new or changes.
    pub rows: Vec<RowShown>,
}

/// A row as it will be written.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Planned {
    id: Uuid,
    replaces: i64,
    product: Product,
}

/// Why a file can't be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// UTF-16, or a file of quite another kind.
    #[error("it is neither a text in UTF-8, GB18030 or Windows-1252 nor an XLSX file")]
    NoText,
    /// The encoding that it is said to be in is none of those.
    #[error("the charset {0:?} is not read: UTF-8, GB18030 and Windows-1252 are")]
    Charset(String),
    /// It is not in that encoding.
    #[error("line {line} is not {encoding}; name another charset, or save it as UTF-8")]
    NotOf {
        /// Which.
        encoding: &'static str,
        /// Where.
        line: u64,
    },
    /// A spreadsheet that does not read.
    #[error("the XLSX file does not read: {0}")]
    NoSheet(String),
}

/// A file that was read, before anything is compared with it.
#[derive(Debug)]
pub struct File {
    said: Said,
    encoding: Option<&'static str>,
    guessed: bool,
    sheet: Option<String>,
}

/// The rows of a file of whatever kind, for who looks for other things in it than products.
///
/// # Errors
/// [`Unread`].
pub(crate) fn rows_of(bytes: &[u8], wanted: Option<&'static Encoding>) -> Result<Table, Unread> {
    if sheet::is_one(bytes) {
        return Ok(sheet::read(bytes)?.0);
    }
    Ok(Table::of_text(&encoding::decode(bytes, wanted)?.text))
}

impl File {
    /// Reads a file, as a text of this encoding if one is named.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn read(bytes: &[u8], wanted: Option<&'static Encoding>) -> Result<Self, Unread> {
        if sheet::is_one(bytes) {
            let (table, sheet) = sheet::read(bytes)?;
            return Ok(Self {
                said: row::said(table),
                encoding: None,
                guessed: false,
                sheet: Some(sheet),
            });
        }
        let decoded = encoding::decode(bytes, wanted)?;
        Ok(Self {
            said: row::said(Table::of_text(&decoded.text)),
            encoding: Some(decoded.encoding),
            guessed: decoded.guessed,
            sheet: None,
        })
    }

    /// The products of the file if all of them were new, and what is wrong with it then.
    pub fn alone(self, currency: &str) -> (Vec<Product>, Vec<RowError>) {
        let mut errors = self.said.errors;
        let mut judged = judge(&self.said.entries, &Catalogue::default(), currency);
        errors.append(&mut judged.errors);
        errors.sort_by_key(|error| error.line);
        (judged.plans.into_iter().map(|plan| plan.after).collect(), errors)
    }
}

/// Looks a file through and keeps it, to be applied.
///
/// # Errors
/// The driver's.
pub async fn preview(
    connection: &mut AnyConnection,
    random: &dyn Random,
    tenant: TenantId,
    actor: &str,
    file: File,
    now: Millis,
) -> Result<Preview, DbError> {
    let currency = tenants::rows::currency(&mut *connection, tenant).await?;
    let Said {
        entries,
        mut errors,
        mut warnings,
    } = file.said;
    let catalogue = Catalogue::load(connection, tenant, &entries).await?;
    let mut judged = judge(&entries, &catalogue, &currency);
    errors.append(&mut judged.errors);
    warnings.append(&mut judged.warnings);
    let mut preview = Preview {
        id: new_id(random, now)?,
        wrong: lines(&mut errors),
        warned: lines(&mut warnings),
        errors,
        warnings,
        encoding: file.encoding.map(ToOwned::to_owned),
        guessed: file.guessed,
        sheet: file.sheet,
        ..Preview::default()
    };
    let mut planned = Vec::new();
    for plan in judged.plans {
        let (line, mut product) = (plan.line, plan.after);
        let known = plan.before.as_ref().map(|(_, before)| before);
        if known.is_some_and(|before| before.says_the_same_as(&product)) {
            preview.unchanged += 1;
            continue;
        }
        match known {
            None => preview.new += 1,
            Some(_) => preview.changed += 1,
        }
        if preview.rows.len() < SHOWN {
            preview.rows.push(RowShown {
                line,
                sku: product.sku.clone(),
                name_zh: product.name_zh.clone(),
                name_en: product.name_en.clone(),
                new: known.is_none(),
                changes: changes::between(known, &product),
            });
        }
        let (id, replaces) = match plan.before {
            Some((id, before)) => (id, before.version),
            None => (new_id(random, now)?, 0),
        };
        product.version = replaces + 1;
        planned.push(Planned { id, replaces, product });
    }
    if preview.wrong > 0 {
        planned.clear();
    }
    keep(connection, tenant, actor, &preview, &planned, now).await?;
    Ok(preview)
}

/// Brings them in order and leaves as many as are shown; of how many lines they were.
fn lines(told: &mut Vec<RowError>) -> u64 {
    told.sort_by_key(|error| error.line);
    let lines: BTreeSet<u64> = told.iter().map(|error| error.line).collect();
    told.truncate(SHOWN);
    lines.len() as u64
}

async fn keep(
    connection: &mut AnyConnection,
    tenant: TenantId,
    actor: &str,
    preview: &Preview,
    planned: &[Planned],
    now: Millis,
) -> Result<(), DbError> {
    let written = |column| move |_| DbError::Decode { column };
    sqlx::query("DELETE FROM product_imports WHERE tenant = $1 AND created_at < $2")
        .bind(tenant.bytes().to_vec())
        .bind(now - KEPT)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO product_imports (tenant, id, actor, created_at, preview, content) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(tenant.bytes().to_vec())
    .bind(preview.id.as_bytes().to_vec())
    .bind(actor.to_owned())
    .bind(now)
    .bind(serde_json::to_string(preview).map_err(written("preview"))?)
    .bind(serde_json::to_string(planned).map_err(written("content"))?)
    .execute(connection)
    .await?;
    Ok(())
}

/// What became of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// All of it is written.
    Done {
        /// What it was.
        preview: Preview,
    },
    /// There is none of that id.
    Unknown,
    /// It was applied before.
    Before,
    /// There are errors in it.
    Wrong,
    /// Products changed since it was looked through: look it through again.
    ChangedMeanwhile,
}

/// Applies an import: exactly what its preview showed. Roll back unless it is [`Applied::Done`].
///
/// # Errors
/// The driver's.
pub async fn apply(deed: &mut Deed<'_>, id: Uuid) -> Result<Applied, DbError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let row = sqlx::query(
        "UPDATE product_imports SET applied_at = $1 WHERE tenant = $2 AND id = $3 AND applied_at IS NULL RETURNING preview, content",
    )
    .bind(now)
    .bind(tenant.bytes().to_vec())
    .bind(id.as_bytes().to_vec())
    .fetch_optional(&mut **deed)
    .await?;
    let Some(row) = row else {
        let known: Option<i64> =
            sqlx::query_scalar("SELECT created_at FROM product_imports WHERE tenant = $1 AND id = $2")
                .bind(tenant.bytes().to_vec())
                .bind(id.as_bytes().to_vec())
                .fetch_optional(&mut **deed)
                .await?;
        return Ok(match known {
            Some(_) => Applied::Before,
            None => Applied::Unknown,
        });
    };
    let preview: Preview = json(&row, "preview")?;
    if preview.wrong > 0 {
        return Ok(Applied::Wrong);
    }
    let planned: Vec<Planned> = json(&row, "content")?;
    let rows: Vec<rows::Changed> = planned
        .into_iter()
        .map(|row| (row.id, row.replaces, row.product))
        .collect();
    if !rows.is_empty() && !rows::write(deed, tenant, &rows, now).await? {
        return Ok(Applied::ChangedMeanwhile);
    }
    for (id, ..) in &rows {
        deed.tell(TENANT_FEED, Item::Product(*id));
    }
    Ok(Applied::Done { preview })
}

#[cfg(test)]
mod tests;
