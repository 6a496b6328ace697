//! The rows of an XLSX file. What it says of its own size is not believed.

use std::{
    collections::BTreeSet,
    io::{Cursor, Read},
};

use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx};
use jiff::civil::Date;
use zip::ZipArchive;

use super::{
    MOST_ROWS, RowError, Unread,
    cell::number,
    row::is_blank,
    table::{Cell, NoText, Row, Table},
};

/// Most bytes of what is packed in a file.
const UNPACKED: u64 = 64 * 1024 * 1024;
/// Most parts of a file.
const PARTS: usize = 1_000;
/// Most strings that the cells of a file share: its reader makes room for as many as the file says.
const STRINGS: u64 = 1_000_000;
/// Columns that are looked at.
const COLUMNS: u32 = 64;
/// Longest text of a cell, bytes.
const CELL_BYTES: usize = 4_096;
/// Most bytes of the texts of all cells.
const TEXT_BYTES: usize = 32 * 1024 * 1024;

/// Whether these are the bytes of such a file.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// The rows of its first visible sheet, and the name of that.
///
/// # Errors
/// [`Unread::NoSheet`] when there is none to be read.
pub fn read(bytes: &[u8]) -> Result<(Table, String), Unread> {
    check(bytes)?;
    let unread = |error: calamine::XlsxError| Unread::NoSheet(error.to_string());
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(unread)?;
    let visible =
        |sheet: &&calamine::Sheet| sheet.typ == SheetType::WorkSheet && sheet.visible == SheetVisible::Visible;
    let mut names = book
        .sheets_metadata()
        .iter()
        .filter(visible)
        .map(|sheet| sheet.name.clone());
    let Some(name) = names.next() else {
        return Err(Unread::NoSheet("it has no visible sheet".to_owned()));
    };
    let others: Vec<String> = names.collect();
    let mut table = rows(&mut book, &name)?;
    if let Some(area) = book.merge_cells_by_sheet_name(&name).map_err(unread)?.first() {
        let message = "merged cells: only the first of them holds what they show, the others are empty";
        let line = u64::from(area.start.0) + 1;
        table.errors.push(RowError::new(line, "merged_cells", message));
    }
    for other in others {
        if book
            .worksheet_cells_reader(&other)
            .is_ok_and(|mut cells| matches!(cells.next_cell(), Ok(Some(_))))
        {
            let message = format!("the sheet {other:?} is not read, only {name:?}");
            table.warnings.push(RowError::new(0, "other_sheet", message));
        }
    }
    Ok((table, name))
}

fn rows(book: &mut Xlsx<Cursor<&[u8]>>, sheet: &str) -> Result<Table, Unread> {
    let unread = |error: calamine::XlsxError| Unread::NoSheet(error.to_string());
    let mut reckoned = BTreeSet::new();
    let mut formulas = book.worksheet_cells_reader(sheet).map_err(unread)?;
    while let Some(cell) = formulas.next_formula().map_err(unread)? {
        if !cell.get_value().is_empty() {
            reckoned.insert(cell.get_position());
        }
    }
    drop(formulas);
    let mut cells = book.worksheet_cells_reader(sheet).map_err(unread)?;
    let mut table = Table::default();
    let mut row = Row {
        line: 0,
        cells: Vec::new(),
    };
    let mut room = TEXT_BYTES;
    while let Some(cell) = cells.next_cell().map_err(unread)? {
        let (at, column) = cell.get_position();
        let line = u64::from(at) + 1;
        let found = typed(cell.get_value());
        room = room.saturating_sub(found.as_ref().map_or(0, String::len));
        if room == 0 {
            return Err(Unread::NoSheet("its texts are too long".to_owned()));
        }
        if found.as_ref().is_ok_and(|text| is_blank(text)) {
            continue;
        }
        reckoned.remove(&(at, column));
        if line < row.line {
            return Err(Unread::NoSheet("its rows are not in their order".to_owned()));
        }
        if line > row.line && !add(&mut table, &mut row, line) {
            return Ok(table);
        }
        if column >= COLUMNS {
            let message = format!("something stands beyond the {COLUMNS} columns that are read");
            table.errors.push(RowError::new(line, "unknown_column", message));
            continue;
        }
        let place = column as usize;
        if row.cells.len() <= place {
            row.cells.resize(place + 1, Ok(String::new()));
        }
        row.cells[place] = found;
    }
    add(&mut table, &mut row, 0);
    // What a program wrote and no spreadsheet ever reckoned. It would be taken for an empty cell, which clears.
    for (at, _) in reckoned.iter().take(MOST_ROWS) {
        let message = "a formula whose value is not in the file: open and save it in a spreadsheet";
        table.errors.push(RowError::new(u64::from(*at) + 1, "damaged", message));
    }
    Ok(table)
}

/// Puts a complete row into the table and begins that of the next line; false when there is no more room.
fn add(table: &mut Table, row: &mut Row, next: u64) -> bool {
    let cells = std::mem::take(&mut row.cells);
    let line = std::mem::replace(&mut row.line, next);
    if cells.is_empty() {
        return true;
    }
    let room = table.has_room(line);
    if room {
        table.rows.push(Row { line, cells });
    }
    room
}

/// Why a date is no text.
const A_DATE: &str = "a spreadsheet made a date of it: format the column as text";

/// The day of a date without a time.
fn day(value: &calamine::ExcelDateTime) -> Option<Date> {
    let (year, month, day, hour, minute, second, milli) = value.to_ymd_hms_milli();
    let is_day = value.is_datetime() && (hour, minute, second, milli) == (0, 0, 0, 0);
    let part = |number: u8| i8::try_from(number).ok();
    is_day
        .then(|| Date::new(i16::try_from(year).ok()?, part(month)?, part(day)?).ok())
        .flatten()
}

/// What somebody would have to type to get such a cell.
fn typed(value: &DataRef<'_>) -> Cell {
    let text = |text: &str| match text.len() {
        0..=CELL_BYTES => Ok(text.to_owned()),
        _ => Err("it is too long".into()),
    };
    match value {
        DataRef::Empty => Ok(String::new()),
        DataRef::String(value) => text(value),
        DataRef::SharedString(value) => text(value),
        DataRef::Int(value) => Ok(value.to_string()),
        DataRef::Float(value) => number(*value).ok_or_else(|| {
            "a spreadsheet keeps 15 digits of a number, and it has more: format the column as text".into()
        }),
        DataRef::Bool(value) => Ok(i32::from(*value).to_string()),
        DataRef::DateTime(value) => Err(NoText {
            day: day(value),
            ..A_DATE.into()
        }),
        DataRef::DateTimeIso(_) | DataRef::DurationIso(_) => Err(A_DATE.into()),
        DataRef::Error(_) => Err("a spreadsheet could not reckon it".into()),
    }
}

/// Unpacks every part once, within a budget, before a reader is let near it.
fn check(bytes: &[u8]) -> Result<(), Unread> {
    let unread = |what: &str| Unread::NoSheet(what.to_owned());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| unread(&error.to_string()))?;
    if archive.len() > PARTS {
        return Err(unread("it has too many parts"));
    }
    let mut left = UNPACKED;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(|error| unread(&error.to_string()))?;
        let mut content = Vec::new();
        let read = part.take(left + 1).read_to_end(&mut content);
        read.map_err(|error| unread(&error.to_string()))?;
        left = left
            .checked_sub(content.len() as u64)
            .ok_or_else(|| unread("too much is packed in it"))?;
        if declares_too_much(&content) {
            return Err(unread("it says that more is in it than is"));
        }
    }
    Ok(())
}

/// Whether a part makes its reader reserve room for what is not there. Only a text in UTF-8 can be looked at for that.
fn declares_too_much(part: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(part) else {
        // A picture, or a text in an encoding that no spreadsheet writes.
        return part.trim_ascii_start().starts_with(b"<")
            || part.starts_with(b"\xff\xfe")
            || part.starts_with(b"\xfe\xff");
    };
    let head = &text[..text.floor_char_boundary(200)];
    let other = head.contains('\0')
        || head
            .to_ascii_lowercase()
            .split_once("encoding")
            .is_some_and(|(_, rest)| {
                !rest
                    .trim_start_matches(['=', ' ', '"', '\'', '\t', '\n', '\r'])
                    .starts_with("utf-8")
            });
    other
        || text.match_indices("uniqueCount").any(|(at, name)| {
            let said = text[at + name.len()..].trim_start_matches(['=', ' ', '"', '\'', '+', '\t', '\n', '\r']);
            let digits = said.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(said.len());
            said[..digits]
                .parse::<u64>()
                .map_or(digits > 0, |count| count > STRINGS)
        })
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    /// A workbook of these parts.
    fn packed(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in parts {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    const TYPES: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/></Types>"#;
    const ROOT: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
    const STYLES: &str = r#"<?xml version="1.0" encoding="UTF-8"?><styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"#;

    /// A workbook whose sheets have these rows, in the words of the format; the first sheet of the name is hidden
    /// when its name begins with `hidden`.
    pub fn book(sheets: &[(&str, &str)], strings: &str) -> Vec<u8> {
        let (mut list, mut relations) = (String::new(), String::new());
        let mut parts = Vec::new();
        for (index, (name, rows)) in sheets.iter().enumerate() {
            let state = if name.starts_with("hidden") {
                " state=\"hidden\""
            } else {
                ""
            };
            list.push_str(&format!(
                r#"<sheet name="{name}" sheetId="{}" r:id="r{index}"{state}/>"#,
                index + 1
            ));
            relations.push_str(&format!(r#"<Relationship Id="r{index}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet{index}.xml"/>"#));
            parts.push((
                format!("xl/worksheets/sheet{index}.xml"),
                format!(r#"<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>"#),
            ));
        }
        let workbook = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>{list}</sheets></workbook>"#
        );
        let relations = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{relations}</Relationships>"#
        );
        let mut all = vec![
            ("[Content_Types].xml", TYPES),
            ("_rels/.rels", ROOT),
            ("xl/workbook.xml", &workbook),
            ("xl/_rels/workbook.xml.rels", &relations),
            ("xl/styles.xml", STYLES),
            ("xl/sharedStrings.xml", strings),
        ];
        all.extend(parts.iter().map(|(name, content)| (name.as_str(), content.as_str())));
        packed(&all)
    }

    /// The strings that cells share.
    pub fn strings(all: &[&str]) -> String {
        let items: String = all
            .iter()
            .map(|text| format!("<si><t xml:space=\"preserve\">{text}</t></si>"))
            .collect();
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?><sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" count="{0}" uniqueCount="{0}">{items}</sst>"#,
            all.len()
        )
    }

    #[test]
    fn cells_are_what_would_have_been_typed() {
        let rows = r#"<row r="2"><c r="A2" t="s"><v>0</v></c><c r="C2" t="inlineStr"><is><t>price</t></is></c></row>
            <row r="3"><c r="A3"><v>36000291452</v></c><c r="B3"><v>6.9010280757630001E+12</v></c><c r="C3"><v>0.30000000000000004</v></c></row>
            <row r="4"><c r="A4" t="s"><v>1</v></c><c r="B4"/></row>
            <row r="7"><c r="A7" t="b"><v>1</v></c><c r="B7"><v>1234567890123456</v></c><c r="C7" s="1"><v>45000</v></c><c r="D7" t="e"><v>#N/A</v></c></row>"#;
        let bytes = book(
            &[
                ("hidden", "<row><c><v>1</v></c></row>"),
                ("Goods", rows),
                ("Notes", "<row><c><v>1</v></c></row>"),
                ("Empty", ""),
            ],
            &strings(&["sku", " \u{200b}"]),
        );
        let (table, sheet) = read(&bytes).unwrap();
        assert_eq!(sheet, "Goods");
        let lines: Vec<u64> = table.rows.iter().map(|row| row.line).collect();
        assert_eq!(lines, [2, 3, 7]);
        let text = |text: &str| Ok(text.to_owned());
        assert_eq!(table.rows[0].cells, [text("sku"), text(""), text("price")]);
        assert_eq!(
            table.rows[1].cells,
            [text("36000291452"), text("6901028075763"), text("0.3")]
        );
        let damaged: Vec<bool> = table.rows[2].cells.iter().map(Result::is_err).collect();
        assert_eq!(damaged, [false, true, true, true]);
        assert_eq!(table.warnings.len(), 1);
        assert!(table.warnings[0].message.contains("Notes"));
    }

    #[test]
    fn what_a_file_says_of_its_size_is_not_believed() {
        let row = "<row><c t=\"s\"><v>0</v></c></row>";
        let refused = |bytes: &[u8]| matches!(read(bytes), Err(Unread::NoSheet(_)));
        assert!(!refused(&book(&[("A", row)], &strings(&["sku"]))));
        for count in ["4000000000", "18446744073709551615", "99999999999999999999999"] {
            let sst = format!("<?xml version=\"1.0\"?><sst uniqueCount = '{count}'><si><t>sku</t></si></sst>");
            assert!(refused(&book(&[("A", row)], &sst)), "{count}");
        }
        assert!(refused(&book(
            &[("A", row)],
            "<?xml version=\"1.0\" encoding=\"iso-2022-jp\"?><sst><si><t>sku</t></si></sst>"
        )));
        assert!(refused(&book(&[("A", row)], &" ".repeat(70 * 1024 * 1024))));
        // A text of 4,000 bytes in each of 20,000 rows of a few bytes.
        let many: String = (0..20_000).map(|_| row).collect();
        assert!(refused(&book(&[("A", &many)], &strings(&["x".repeat(4_000).as_str()]))));
        assert!(
            !read(&book(
                &[("A", "<row><c r=\"XFD1048576\"><v>1</v></c></row>")],
                &strings(&[])
            ))
            .unwrap()
            .0
            .errors
            .is_empty()
        );
        assert!(refused(b"PK\x03\x04 and nothing of it"));
        assert!(refused(&packed(&[("a", "b")])));
    }
}
