//! Products from a file: looked through first, then applied exactly as shown, all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::{
    ids::TenantId,
    products::Product,
    time::{DAY, Millis},
};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{new_id, rows, word};
use crate::{
    clock::Random,
    db::{DbError, batch::json},
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
    /// Line of the file, from 1.
    pub line: u64,
    /// A stable word for programs.
    pub code: String,
    /// What was expected, in English.
    pub message: String,
}

impl RowError {
    fn new(line: u64, code: &str, message: impl Into<String>) -> Self {
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
    /// Whether there is no such product yet.
    pub new: bool,
    /// Names of the fields that would change.
    pub changes: Vec<String>,
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
    /// Some of what is wrong.
    pub errors: Vec<RowError>,
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

/// A product read from a line.
struct Read {
    line: u64,
    product: Product,
}

/// The text of a file in UTF-8, with or without its mark, or in GB18030; `None` when it is neither.
pub fn decode(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.contains(&0) {
        // No text of these encodings: UTF-16, or no text at all.
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        Err(_) => encoding_rs::GB18030
            .decode_without_bom_handling_and_without_replacement(bytes)
            .map(std::borrow::Cow::into_owned),
    }
}

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

/// Where each column stands.
#[derive(Debug, Default)]
struct Header(BTreeMap<&'static str, usize>);

impl Header {
    fn read(record: &csv::StringRecord) -> Result<Self, RowError> {
        let mut places = BTreeMap::new();
        for (place, name) in record.iter().enumerate() {
            let name = name.trim().to_lowercase();
            let known = COLUMNS.iter().find(|(_, names)| names.contains(&name.as_str()));
            let Some((column, _)) = known else {
                return Err(RowError::new(
                    1,
                    "unknown_column",
                    format!("no column {name:?} is known"),
                ));
            };
            if places.insert(*column, place).is_some() {
                return Err(RowError::new(
                    1,
                    "repeated_column",
                    format!("{column} stands there twice"),
                ));
            }
        }
        for needed in ["sku", "name_zh", "name_en"] {
            if !places.contains_key(needed) {
                return Err(RowError::new(
                    1,
                    "missing_column",
                    format!("a column {needed} is needed"),
                ));
            }
        }
        if places.contains_key("price") == places.contains_key("unit_price") {
            let message = "either price (as 12.50) or unit_price (minor units) is needed";
            return Err(RowError::new(1, "missing_column", message));
        }
        Ok(Self(places))
    }

    fn text<'r>(&self, record: &'r csv::StringRecord, column: &str) -> Option<&'r str> {
        let text = record.get(*self.0.get(column)?)?.trim();
        (!text.is_empty()).then_some(text)
    }

    fn product(&self, record: &csv::StringRecord, currency: &str) -> Result<Product, (&'static str, String)> {
        let text = |column: &str| self.text(record, column).map(ToOwned::to_owned);
        let currency = text("currency").unwrap_or_else(|| currency.to_owned());
        let unit_price = match (self.text(record, "price"), self.text(record, "unit_price")) {
            (Some(price), _) => in_minor_units(price, minor_digits(&currency)),
            (None, Some(price)) => price.parse().ok(),
            (None, None) => None,
        };
        let active = match text("active").map(|word| word.to_lowercase()).as_deref() {
            None | Some("1" | "true" | "yes" | "是") => true,
            Some("0" | "false" | "no" | "否") => false,
            Some(word) => return Err(("bad_flag", format!("expected 1 or 0 as active, found {word:?}"))),
        };
        let codes = text("barcodes").unwrap_or_default();
        Ok(Product {
            sku: text("sku").unwrap_or_default(),
            barcodes: codes
                .split(|c: char| c.is_whitespace() || matches!(c, '|' | ';' | ','))
                .filter(|code| !code.is_empty())
                .map(ToOwned::to_owned)
                .collect(),
            name_zh: text("name_zh").unwrap_or_default(),
            name_en: text("name_en").unwrap_or_default(),
            category: text("category"),
            merchant: text("merchant"),
            unit_price: unit_price.ok_or_else(|| ("bad_price", "expected a price".to_owned()))?,
            currency,
            picture: text("picture"),
            active,
            version: 0,
        })
    }
}

/// Digits behind the point of a currency's amounts (ISO 4217).
fn minor_digits(currency: &str) -> usize {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND" | "VUV"
        | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

/// `12.5` as 1250; `None` when it is no such number, or finer than the currency.
fn in_minor_units(price: &str, digits: usize) -> Option<i64> {
    let (whole, part) = price.split_once('.').unwrap_or((price, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(part) || part.len() > digits {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

/// Reads the lines of a file; what is wrong beside them.
fn parse(text: &str, currency: &str) -> (Vec<Read>, Vec<RowError>) {
    // As the reader below passes over empty lines.
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |mark: u8| first.bytes().filter(|byte| *byte == mark).count();
    let delimiter = [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|mark| (count(*mark), *mark == b','));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter.unwrap_or(b','))
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut records = reader.records();
    let header = match records.next() {
        Some(Ok(record)) => Header::read(&record),
        Some(Err(error)) => Err(RowError::new(1, "malformed", error.to_string())),
        None => Err(RowError::new(1, "missing_column", "the file is empty")),
    };
    let header = match header {
        Ok(header) => header,
        Err(error) => return (Vec::new(), vec![error]),
    };
    let (mut read, mut errors) = (Vec::new(), Vec::new());
    for (index, record) in records.enumerate() {
        if index >= MOST_ROWS {
            let message = format!("a file has at most {MOST_ROWS} products");
            errors.push(RowError::new(0, "too_many", message));
            break;
        }
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                errors.push(RowError::new(line, "malformed", error.to_string()));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        match header.product(&record, currency) {
            Ok(product) => read.push(Read { line, product }),
            Err((code, message)) => errors.push(RowError::new(line, code, message)),
        }
    }
    (read, errors)
}

/// The products of a file, and what is wrong with it, as far as it can be told from the file alone.
pub fn read(text: &str, currency: &str) -> (Vec<Product>, Vec<RowError>) {
    let (read, mut errors) = parse(text, currency);
    judge(&read, &mut errors);
    (read.into_iter().map(|read| read.product).collect(), errors)
}

/// Notes what is wrong with the products of a file, by themselves and beside each other.
fn judge(read: &[Read], errors: &mut Vec<RowError>) {
    let (mut skus, mut codes) = (BTreeSet::new(), BTreeSet::new());
    for Read { line, product } in read {
        for flaw in product.flaws() {
            errors.push(RowError::new(*line, &word(flaw), flaw.to_string()));
        }
        if !skus.insert(&product.sku) {
            let message = format!("{} stands in the file twice", product.sku);
            errors.push(RowError::new(*line, "repeated_sku", message));
        }
        let own: BTreeSet<&String> = product.barcodes.iter().collect();
        for code in own {
            if !codes.insert(code) {
                let message = format!("{code} belongs to another product of the file");
                errors.push(RowError::new(*line, "barcode_taken", message));
            }
        }
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
    text: &str,
    now: Millis,
) -> Result<Preview, DbError> {
    let currency: String = sqlx::query_scalar("SELECT currency FROM tenants WHERE tenant = $1")
        .bind(tenant.bytes().to_vec())
        .fetch_one(&mut *connection)
        .await?;
    let (read, mut errors) = parse(text, &currency);
    judge(&read, &mut errors);
    let skus: Vec<&str> = read.iter().map(|read| read.product.sku.as_str()).collect();
    let known: BTreeMap<String, (Uuid, Product)> = rows::by_sku(connection, tenant, &skus)
        .await?
        .into_iter()
        .map(|(id, product)| (product.sku.clone(), (id, product)))
        .collect();
    let ours: BTreeSet<Uuid> = known.values().map(|(id, _)| *id).collect();
    let codes: BTreeSet<&str> = read
        .iter()
        .flat_map(|read| read.product.barcodes.iter().map(String::as_str))
        .collect();
    let codes: Vec<&str> = codes.into_iter().collect();
    let holders = rows::holders(connection, tenant, &codes).await?;
    let mut preview = Preview {
        id: new_id(random, now)?,
        ..Preview::default()
    };
    let mut planned = Vec::new();
    for Read { line, mut product } in read {
        for code in &product.barcodes {
            if holders.get(code).is_some_and(|holder| !ours.contains(holder)) {
                let message = format!("{code} belongs to another product");
                errors.push(RowError::new(line, "barcode_taken", message));
            }
        }
        let before = known.get(&product.sku);
        if before.is_some_and(|(_, before)| before.says_the_same_as(&product)) {
            preview.unchanged += 1;
            continue;
        }
        match before {
            None => preview.new += 1,
            Some(_) => preview.changed += 1,
        }
        if preview.rows.len() < SHOWN {
            preview.rows.push(RowShown {
                line,
                sku: product.sku.clone(),
                new: before.is_none(),
                changes: before.map_or_else(Vec::new, |(_, before)| changes(before, &product)),
            });
        }
        let (id, replaces) = match before {
            Some((id, before)) => (*id, before.version),
            None => (new_id(random, now)?, 0),
        };
        product.version = replaces + 1;
        planned.push(Planned { id, replaces, product });
    }
    errors.sort_by_key(|error| error.line);
    let wrong: BTreeSet<u64> = errors.iter().map(|error| error.line).collect();
    preview.wrong = wrong.len() as u64;
    errors.truncate(SHOWN);
    preview.errors = errors;
    if preview.wrong > 0 {
        planned.clear();
    }
    keep(connection, tenant, actor, &preview, &planned, now).await?;
    Ok(preview)
}

/// Names of the fields in which the two differ.
fn changes(before: &Product, after: &Product) -> Vec<String> {
    let differ = [
        ("barcodes", before.barcodes != after.barcodes),
        ("name_zh", before.name_zh != after.name_zh),
        ("name_en", before.name_en != after.name_en),
        ("category", before.category != after.category),
        ("merchant", before.merchant != after.merchant),
        ("unit_price", before.unit_price != after.unit_price),
        ("currency", before.currency != after.currency),
        ("picture", before.picture != after.picture),
        ("active", before.active != after.active),
    ];
    let differ = differ.into_iter().filter(|(_, differs)| *differs);
    differ.map(|(name, _)| name.to_owned()).collect()
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
        /// Where the tenant's feed stands, when something changed.
        feed: Option<i64>,
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
pub async fn apply(
    connection: &mut AnyConnection,
    random: &dyn Random,
    tenant: TenantId,
    id: Uuid,
    now: Millis,
) -> Result<Applied, DbError> {
    let row = sqlx::query(
        "UPDATE product_imports SET applied_at = $1 WHERE tenant = $2 AND id = $3 AND applied_at IS NULL RETURNING preview, content",
    )
    .bind(now)
    .bind(tenant.bytes().to_vec())
    .bind(id.as_bytes().to_vec())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else {
        let known: Option<i64> =
            sqlx::query_scalar("SELECT created_at FROM product_imports WHERE tenant = $1 AND id = $2")
                .bind(tenant.bytes().to_vec())
                .bind(id.as_bytes().to_vec())
                .fetch_optional(connection)
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
    if !rows.is_empty() && !rows::write(connection, tenant, &rows, now).await? {
        return Ok(Applied::ChangedMeanwhile);
    }
    let feed = super::tell(connection, random, tenant, rows.iter().map(|(id, ..)| *id)).await?;
    Ok(Applied::Done { preview, feed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_as_people_write_them() {
        for (text, digits, minor) in [
            ("12.50", 2, Some(1_250)),
            ("12.5", 2, Some(1_250)),
            ("12", 2, Some(1_200)),
            ("0.01", 2, Some(1)),
            ("1200", 0, Some(1_200)),
            ("1.234", 3, Some(1_234)),
            ("12.505", 2, None),
            ("12.", 2, Some(1_200)),
            (".5", 2, None),
            ("-1", 2, None),
            ("1e3", 2, None),
            ("99999999999999999999", 2, None),
            ("", 2, None),
        ] {
            assert_eq!(in_minor_units(text, digits), minor, "{text}");
        }
    }

    #[test]
    fn files_as_they_come() {
        let text = "sku,name_zh,name_en,price\nA,茶,Tea,1.00\n";
        let (gb, _, _) = encoding_rs::GB18030.encode(text);
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        for bytes in [text.as_bytes(), &marked, &gb] {
            assert_eq!(decode(bytes).as_deref(), Some(text));
        }
        assert_eq!(decode(b"\xff\xfes\0k\0u\0"), None);
        assert_eq!(decode(b"a\xff\xff"), None);
    }

    #[test]
    fn columns_by_any_of_their_names_and_any_delimiter() {
        for text in [
            "货号;条码;中文名称;英文名称;价格;在售\nA;6901234567892 S1;\"茶;绿\";Tea;1.5;否\n",
            "unit_price\tactive\tsku\tname_zh\tname_en\tbarcode\n150\t0\tA\t茶;绿\tTea\t6901234567892|S1\n",
        ] {
            let (read, errors) = parse(text, "CNY");
            assert_eq!(errors, []);
            let product = &read[0].product;
            assert_eq!((product.sku.as_str(), product.name_zh.as_str()), ("A", "茶;绿"));
            assert_eq!(product.barcodes, ["6901234567892", "S1"]);
            assert_eq!((product.unit_price, product.active, read[0].line), (150, false, 2));
        }
    }

    #[test]
    fn empty_lines_before_the_columns_are_passed_over() {
        let (read, errors) = parse("\n\r\nsku;name_zh;name_en;price\nA;茶;Tea;1.50\n", "CNY");
        assert_eq!(errors, []);
        assert_eq!((read[0].product.unit_price, read[0].line), (150, 4));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let codes = |text: &str| {
            let (read, mut errors) = parse(text, "CNY");
            judge(&read, &mut errors);
            let mut codes: Vec<_> = errors.into_iter().map(|error| (error.line, error.code)).collect();
            codes.sort();
            codes
        };
        let one = |line: u64, code: &str| vec![(line, code.to_owned())];
        assert_eq!(codes(""), one(1, "missing_column"));
        assert_eq!(codes("sku,name_zh,name_en\n"), one(1, "missing_column"));
        assert_eq!(codes("sku,sku,name_zh,name_en,price\n"), one(1, "repeated_column"));
        assert_eq!(codes("sku,name_zh,name_en,price,colour\n"), one(1, "unknown_column"));
        let head = "sku,name_zh,name_en,price,barcode,active\n";
        assert_eq!(codes(&format!("{head}A,a,a,x,,\n")), one(2, "bad_price"));
        assert_eq!(codes(&format!("{head}A,a,a,1,,maybe\n")), one(2, "bad_flag"));
        assert_eq!(codes(&format!("{head}A,a,a,1\n")), one(2, "malformed"));
        assert_eq!(codes(&format!("{head}A,,a,1,,\n")), one(2, "bad_name"));
        assert_eq!(
            codes(&format!("{head}A,a,a,1,6901234567893,\n")),
            one(2, "bad_check_digit")
        );
        assert_eq!(
            codes(&format!("{head}A,a,a,1,S1,\nA,a,a,1,,\n")),
            one(3, "repeated_sku")
        );
        assert_eq!(
            codes(&format!("{head}A,a,a,1,S1,\nB,a,a,1,S1,\n")),
            one(3, "barcode_taken")
        );
        assert_eq!(codes(&format!("{head}A,a,a,1,S1,\n")), []);
    }
}
