//! What members bring along from another system: points and stored value as lots with their own ends, out of a file.

use std::collections::BTreeMap;

use counterfoil_domain::{
    ids::{MemberId, TenantId},
    money::{in_minor_units, minor_digits},
    points::{Asset, MOST, Origin, Source, earning::EarningRule},
    time::Millis,
    typed,
    words::Word,
};
use jiff::civil::Date;

use super::source_of;
use crate::products::import::{NoText, Row, RowError, Table};

/// Columns of a file, by any of their names.
const COLUMNS: [(&str, &[&str]); 4] = [
    ("member", &["member", "number", "会员号"]),
    ("asset", &["asset", "资产"]),
    ("amount", &["amount", "数额"]),
    ("ends", &["ends", "到期日"]),
];

/// A lot of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    /// Line of the file.
    pub line: u64,
    /// The member's number, in its one form.
    pub member: String,
    /// Points, or stored value.
    pub asset: Asset,
    /// How much: points, or minor units.
    pub amount: i64,
    /// The last day, as it is written.
    pub last: Option<Date>,
    /// The first instant at which it is over.
    pub ends_at: Option<Millis>,
}

impl Opening {
    /// What it is known by: the same line of whatever file is the same lot, whatever became of the rule or of the member's
    /// number since.
    pub fn source(&self, tenant: TenantId, member: MemberId) -> Source {
        let last = self.last.map_or_else(String::new, |day| day.to_string());
        source_of(
            tenant,
            Origin::Opening,
            &format!("{member}\0{}\0{last}", self.asset.as_str()),
        )
    }
}

/// What the lines of a file say, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Lots, in the order of the file.
    pub openings: Vec<Opening>,
    /// What is wrong.
    pub errors: Vec<RowError>,
}

/// Reads a file's rows. `rule` says in which zone a day ends; without one no line may name a day.
pub(super) fn said(table: Table, currency: &str, rule: Option<&EarningRule>) -> Said {
    let mut said = Said {
        openings: Vec::new(),
        errors: table.errors,
    };
    let mut rows = table.rows.into_iter();
    let Some(first) = rows.next() else {
        said.errors
            .push(RowError::new(1, "missing_column", "the file is empty"));
        return said;
    };
    let places = match header(&first) {
        Ok(places) => places,
        Err(error) => {
            said.errors.push(error);
            return said;
        }
    };
    for row in rows {
        let reading = Reading {
            row: &row,
            places: &places,
        };
        match reading.opening(currency, rule) {
            Err(error) => said.errors.push(error),
            Ok(opening) => said.openings.push(opening),
        }
    }
    said
}

/// Where each column stands.
fn header(first: &Row) -> Result<BTreeMap<&'static str, usize>, RowError> {
    let mut places = BTreeMap::new();
    for (place, cell) in first.cells.iter().enumerate() {
        let name = cell.as_deref().unwrap_or_default().trim().to_lowercase();
        if name.is_empty() {
            continue;
        }
        let known = COLUMNS.iter().find(|(_, names)| names.contains(&name.as_str()));
        let Some((column, _)) = known else {
            let message = format!("there is no column {name:?}: member, asset, amount and ends are read");
            return Err(RowError::new(first.line, "unknown_column", message));
        };
        if places.insert(*column, place).is_some() {
            let message = format!("the column {column:?} is there twice");
            return Err(RowError::new(first.line, "twice", message));
        }
    }
    for needed in ["member", "amount"] {
        if !places.contains_key(needed) {
            let message = format!("a column {needed:?} is needed");
            return Err(RowError::new(first.line, "missing_column", message));
        }
    }
    Ok(places)
}

struct Reading<'r> {
    row: &'r Row,
    places: &'r BTreeMap<&'static str, usize>,
}

impl Reading<'_> {
    fn refuse(&self, code: &str, message: impl Into<String>) -> RowError {
        RowError::new(self.row.line, code, message)
    }

    fn cell(&self, column: &str) -> Result<&str, RowError> {
        match self.places.get(column).and_then(|place| self.row.cells.get(*place)) {
            None => Ok(""),
            Some(Ok(text)) => Ok(text.trim()),
            Some(Err(no_text)) => Err(self.refuse("malformed", no_text.why)),
        }
    }

    fn opening(&self, currency: &str, rule: Option<&EarningRule>) -> Result<Opening, RowError> {
        let member = typed::member_number(self.cell("member")?);
        if member.is_empty() {
            return Err(self.refuse("missing", "a member's number is needed"));
        }
        let asset = match self.cell("asset")? {
            "" => Asset::Points,
            word => Asset::parse(word).ok_or_else(|| self.refuse("bad_asset", "`points` or `balance` was expected"))?,
        };
        let text = self.cell("amount")?;
        let amount = match asset {
            Asset::Points => in_minor_units(text, 0),
            Asset::Balance => in_minor_units(text, minor_digits(currency)),
        };
        let amount = amount.filter(|amount| (1..=MOST).contains(amount)).ok_or_else(|| {
            self.refuse(
                "bad_amount",
                match asset {
                    Asset::Points => "whole points were expected, at least 1",
                    Asset::Balance => "an amount as 12.50 was expected, more than 0",
                },
            )
        })?;
        let last = self.day("ends")?;
        let ends_at = last
            .map(|day| {
                let rule = rule.ok_or_else(|| {
                    self.refuse(
                        "no_rule",
                        "publish a rule of earning first: it says in which zone a day ends",
                    )
                })?;
                rule.after(day)
                    .ok_or_else(|| self.refuse("bad_day", "there is no such day in the zone of the rule"))
            })
            .transpose()?;
        Ok(Opening {
            line: self.row.line,
            member,
            asset,
            amount,
            last,
            ends_at,
        })
    }

    /// A day as text, or as a spreadsheet keeps it.
    fn day(&self, column: &str) -> Result<Option<Date>, RowError> {
        let cell = self.places.get(column).and_then(|place| self.row.cells.get(*place));
        if let Some(Err(NoText { day: Some(day), .. })) = cell {
            return Ok(Some(*day));
        }
        match self.cell(column)? {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| self.refuse("bad_day", "the last day was expected, as 2027-01-31")),
        }
    }
}
