//! What the rows of a file say of products. What no column of it names is not said.

use std::collections::BTreeMap;

use counterfoil_domain::{
    money::{in_minor_units, minor_digits},
    products::{Product, barcode},
    text::{is_invisible, plain, visible},
};

use super::{
    MOST_ROWS, RowError,
    cell::{barcodes, damage, with_lost_zeros},
    table::{Cell, Row, Table},
};

/// Columns of a file, by any of their names.
const COLUMNS: [(&str, &[&str]); 11] = [
    ("sku", &["sku", "货号"]),
    ("barcodes", &["barcodes", "barcode", "条码"]),
    ("name_zh", &["name_zh", "中文名称"]),
    ("name_en", &["name_en", "英文名称"]),
    ("category", &["category", "分类"]),
    ("merchant", &["merchant", "商户"]),
    ("price", &["price", "价格"]),
    ("unit_price", &["unit_price"]),
    ("currency", &["currency", "币种"]),
    ("picture", &["picture", "图片"]),
    ("active", &["active", "在售"]),
];

/// Whether nothing is seen in a field.
pub fn is_blank(field: &str) -> bool {
    field
        .chars()
        .all(|sign| sign.is_whitespace() || sign.is_control() || is_invisible(sign))
}

/// What a row says of a product. `None`: nothing, as the file has no such column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Line of the file.
    pub line: u64,
    /// The sku as it stands there.
    pub typed: String,
    /// The sku without what nobody sees.
    pub sku: String,
    barcodes: Option<Vec<String>>,
    name_zh: Option<String>,
    name_en: Option<String>,
    category: Option<Option<String>>,
    merchant: Option<Option<String>>,
    price: Option<Price>,
    currency: Option<Option<String>>,
    picture: Option<Option<String>>,
    active: Option<Option<bool>>,
}

/// As it stands in the file; what it comes to depends on the currency.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Price {
    Decimals(String),
    MinorUnits(String),
}

impl Price {
    fn in_minor_units(&self, currency: &str) -> Option<i64> {
        match self {
            Self::Decimals(price) => in_minor_units(price, minor_digits(currency)),
            Self::MinorUnits(price) => price.parse().ok(),
        }
    }
}

impl Entry {
    /// The product as the row wants it; what the row doesn't mention is as before.
    ///
    /// # Errors
    /// What a new product can't do without, and what does not read.
    pub fn product(&self, before: Option<&Product>, currency: &str) -> Result<Product, Vec<RowError>> {
        let mut errors = Vec::new();
        let mut refuse = |code: &str, message: String| errors.push(RowError::new(self.line, code, message));
        let kept = |stored: fn(&Product) -> &Option<String>| before.and_then(|before| stored(before).clone());
        let currency = match &self.currency {
            None => before.map_or(currency, |before| &before.currency).to_owned(),
            Some(None) => currency.to_owned(),
            Some(Some(said)) => said.clone(),
        };
        let unit_price = match (&self.price, before) {
            (Some(price), _) => price.in_minor_units(&currency),
            (None, Some(before)) => Some(before.unit_price),
            (None, None) => None,
        };
        if unit_price.is_none() {
            let message = match self.price {
                Some(Price::Decimals(_)) => "expected a price as 12.50".to_owned(),
                Some(Price::MinorUnits(_)) => "expected a price in minor units, as 1250".to_owned(),
                None => format!("{} is new: it needs a price", self.sku),
            };
            refuse("bad_price", message);
        }
        let active = match (self.active, before) {
            (Some(Some(active)), _) => active,
            // A product does not go back on sale by what nobody wrote.
            (Some(None), Some(before)) if !before.active => {
                refuse("bad_flag", "it is not sold now: write 1 or 0 as active".to_owned());
                false
            }
            (None, Some(before)) => before.active,
            _ => true,
        };
        let mut name = |said: &Option<String>, stored: fn(&Product) -> &String, column: &str| match (said, before) {
            (Some(said), _) => said.clone(),
            (None, Some(before)) => stored(before).clone(),
            (None, None) => {
                refuse("bad_name", format!("{} is new: it needs a {column}", self.sku));
                "-".to_owned()
            }
        };
        let name_zh = name(&self.name_zh, |product| &product.name_zh, "name_zh");
        let name_en = name(&self.name_en, |product| &product.name_en, "name_en");
        let (Some(unit_price), true) = (unit_price, errors.is_empty()) else {
            return Err(errors);
        };
        Ok(Product {
            sku: before.map_or(&self.sku, |before| &before.sku).clone(),
            barcodes: match &self.barcodes {
                Some(said) => said.clone(),
                None => before.map(|before| before.barcodes.clone()).unwrap_or_default(),
            },
            name_zh,
            name_en,
            category: self
                .category
                .clone()
                .unwrap_or_else(|| kept(|product| &product.category)),
            merchant: self
                .merchant
                .clone()
                .unwrap_or_else(|| kept(|product| &product.merchant)),
            unit_price,
            currency,
            picture: self.picture.clone().unwrap_or_else(|| kept(|product| &product.picture)),
            active,
            version: 0,
        })
    }

    /// The forms of its barcodes.
    pub fn forms(&self) -> impl Iterator<Item = String> {
        self.barcodes.iter().flatten().map(|code| barcode::form(code))
    }

    /// What is worth pointing out of a barcode that the product did not have before.
    pub fn pointed_out(&self, before: Option<&Product>) -> Vec<RowError> {
        let known = before.map(Product::forms).unwrap_or_default();
        let fresh = self.barcodes.iter().flatten().filter(|code| !known.contains(code));
        fresh
            .filter_map(|code| {
                let whole = with_lost_zeros(code)?;
                let message = format!(
                    "{code}: with a zero in front it is the valid barcode {whole}; a spreadsheet takes such zeros away"
                );
                Some(RowError::new(self.line, "lost_zero", message))
            })
            .collect()
    }
}

/// Where each column stands.
#[derive(Debug, Default)]
struct Header {
    places: BTreeMap<&'static str, usize>,
    width: usize,
}

impl Header {
    fn read(row: &Row) -> Result<Self, RowError> {
        let refuse = |code: &str, message: String| RowError::new(row.line, code, message);
        let mut places = BTreeMap::new();
        for (place, cell) in row.cells.iter().enumerate() {
            let name = cell.as_ref().map(|name| plain(name).to_lowercase()).unwrap_or_default();
            // A column that has no name has to be empty.
            if name.is_empty() && cell.is_ok() {
                continue;
            }
            let known = COLUMNS.iter().find(|(_, names)| names.contains(&name.as_str()));
            let Some((column, _)) = known else {
                return Err(refuse("unknown_column", format!("no column {name:?} is known")));
            };
            if places.insert(*column, place).is_some() {
                return Err(refuse("repeated_column", format!("{column} stands there twice")));
            }
        }
        if !places.contains_key("sku") {
            return Err(refuse("missing_column", "a column sku is needed".to_owned()));
        }
        if places.contains_key("price") && places.contains_key("unit_price") {
            let message = "price (as 12.50) and unit_price (minor units) can't both be there";
            return Err(refuse("repeated_column", message.to_owned()));
        }
        let width = row.cells.len();
        Ok(Self { places, width })
    }
}

/// A row while it is read: what is wrong with it beside what it says.
struct Reading<'r> {
    row: &'r Row,
    header: &'r Header,
    errors: Vec<RowError>,
    warnings: Vec<RowError>,
}

const EMPTY: &Cell = &Ok(String::new());

impl Reading<'_> {
    fn refuse(&mut self, code: &str, message: impl Into<String>) {
        self.errors.push(RowError::new(self.row.line, code, message));
    }

    /// The field of a column, empty where the row has none or it is refused; `None` without such a column.
    fn field(&mut self, column: &str) -> Option<String> {
        let place = *self.header.places.get(column)?;
        match self.row.cells.get(place).unwrap_or(EMPTY) {
            Ok(text) => Some(text.clone()),
            Err(what) => {
                let message = format!("{column}: {}", what.why);
                self.refuse("damaged", message);
                Some(String::new())
            }
        }
    }

    /// Says that there were characters in a column that nobody sees, if they were not all left there.
    fn cleaned(&mut self, column: &str, text: &str, left: &str) {
        let unseen = |text: &str| text.chars().filter(|sign| is_invisible(*sign)).count();
        if unseen(text) > unseen(left) {
            let message = format!("{column}: characters that nobody sees are taken out");
            self.warnings.push(RowError::new(self.row.line, "cleaned", message));
        }
    }

    fn text(&mut self, column: &str) -> Option<String> {
        let text = self.field(column)?;
        let seen = visible(&text);
        self.cleaned(column, &text, &seen);
        Some(seen)
    }

    fn optional(&mut self, column: &str) -> Option<Option<String>> {
        self.text(column).map(|text| (!text.is_empty()).then_some(text))
    }

    fn entry(&mut self) -> Entry {
        let typed = self.field("sku").unwrap_or_default().trim().to_owned();
        let seen: String = typed.chars().filter(|sign| !is_invisible(*sign)).collect();
        let sku = seen.trim().to_owned();
        self.cleaned("sku", &typed, &sku);
        if sku.is_empty() {
            self.refuse("bad_sku", "the sku is missing");
        }
        if let Some(what) = damage(&plain(&sku)) {
            self.refuse("damaged", format!("sku {sku}: {what}"));
        }
        let barcodes = self.field("barcodes").map(|field| {
            self.cleaned("barcodes", &field, "");
            barcodes(&field).unwrap_or_else(|what| {
                self.refuse("damaged", format!("barcode {what}"));
                Vec::new()
            })
        });
        let price = self.field("price").map(|text| Price::Decimals(plain(&text)));
        let unit_price = self.field("unit_price").map(|text| Price::MinorUnits(plain(&text)));
        let active = self
            .field("active")
            .map(|text| match plain(&text).to_lowercase().as_str() {
                "" => None,
                "1" | "true" | "yes" | "是" => Some(true),
                "0" | "false" | "no" | "否" => Some(false),
                word => {
                    self.refuse("bad_flag", format!("expected 1 or 0 as active, found {word:?}"));
                    None
                }
            });
        Entry {
            line: self.row.line,
            typed,
            sku,
            barcodes,
            name_zh: self.text("name_zh"),
            name_en: self.text("name_en"),
            category: self.optional("category"),
            merchant: self.optional("merchant"),
            price: price.or(unit_price),
            currency: self.optional("currency"),
            picture: self.optional("picture"),
            active,
        }
    }

    fn unnamed(&mut self) {
        let named = |place: &usize| self.header.places.values().any(|known| known == place);
        let something = |cell: &Cell| cell.as_ref().map_or(true, |text| !is_blank(text));
        let mut cells = self.row.cells.iter().enumerate();
        if let Some((place, _)) = cells.find(|(place, cell)| !named(place) && something(cell)) {
            let message = if place < self.header.width {
                format!("something stands in column {}, which has no name", place + 1)
            } else {
                format!(
                    "{} fields were expected, {} found",
                    self.header.width,
                    self.row.cells.len()
                )
            };
            self.refuse("malformed", message);
        }
    }
}

/// What a file says: products, what is wrong with it, and what is worth a look.
#[derive(Debug, Default)]
pub struct Said {
    /// One for each row that reads.
    pub entries: Vec<Entry>,
    /// What is wrong.
    pub errors: Vec<RowError>,
    /// What is not.
    pub warnings: Vec<RowError>,
}

/// Reads the rows of a file.
pub fn said(table: Table) -> Said {
    let mut said = Said {
        entries: Vec::new(),
        errors: table.errors,
        warnings: table.warnings,
    };
    let Some((first, rows)) = table.rows.split_first() else {
        said.errors
            .push(RowError::new(1, "missing_column", "the file is empty"));
        return said;
    };
    let header = match Header::read(first) {
        Ok(header) => header,
        Err(error) => {
            // Of a file with other columns nothing else is worth saying.
            said.errors = vec![error];
            return said;
        }
    };
    for row in rows.iter().take(MOST_ROWS) {
        let mut reading = Reading {
            row,
            header: &header,
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        let entry = reading.entry();
        reading.unnamed();
        said.warnings.append(&mut reading.warnings);
        if reading.errors.is_empty() {
            said.entries.push(entry);
        } else {
            said.errors.append(&mut reading.errors);
        }
    }
    said
}
