//! Tables that leave head office: as CSV, or as a workbook in which every cell is a text, since a spreadsheet that opens
//! CSV makes numbers of codes and loses their digits.

use std::io::{Seek, SeekFrom};

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use counterfoil_domain::time::Millis;
use counterfoil_protocol::problem::Code;
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format as Look, Workbook, XlsxError};
use tokio::{io::AsyncReadExt, sync::mpsc};

use super::{ApiError, CutOff, Writer, streamed};
use crate::app::App;

/// Media type of CSV.
pub const CSV: &str = "text/csv; charset=utf-8";
/// Media type of a workbook.
pub const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// Rows of one sheet beside its head: what spreadsheets can hold (ECMA-376, 1,048,576 with it).
const SHEET: u32 = 1_048_575;
/// Pages that wait for the workbook.
const AHEAD: usize = 2;
/// Bytes of a workbook that are sent at once.
const PIECE: usize = 64 * 1024;
/// Characters of a column.
const WIDTH: f64 = 24.0;

/// A file.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = Binary, value_type = String, format = Binary)]
pub struct File(#[expect(dead_code, reason = "only described")] Vec<u8>);

/// What a table is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated texts.
    Csv,
    /// A workbook.
    Xlsx,
}

impl Format {
    /// The one that is asked for: by name, else by the first of the `Accept` header's that there is, else CSV.
    ///
    /// # Errors
    /// `malformed` for a name of none.
    pub fn of(name: Option<&str>, headers: &HeaderMap) -> Result<Self, ApiError> {
        match name {
            Some("csv") => return Ok(Self::Csv),
            Some("xlsx") => return Ok(Self::Xlsx),
            Some(_) => return Err(ApiError::detailed(Code::Malformed, "the format is csv or xlsx")),
            None => {}
        }
        let accepted = headers
            .get_all(header::ACCEPT)
            .into_iter()
            .filter_map(|value| value.to_str().ok());
        let known = accepted.flat_map(|value| value.split(',')).find_map(|one| {
            match one.split(';').next().unwrap_or_default().trim() {
                "text/csv" => Some(Self::Csv),
                kind if kind == XLSX => Some(Self::Xlsx),
                _ => None,
            }
        });
        Ok(known.unwrap_or(Self::Csv))
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Xlsx => "xlsx",
        }
    }
}

/// A table that leaves.
#[derive(Debug, Clone, Copy)]
pub struct Table<const N: usize> {
    /// What its rows are: part of the file's name, and the name of the sheet.
    pub name: &'static str,
    /// Of which thing; the rest of the file's name.
    pub of: uuid::Uuid,
    /// Heads of the columns.
    pub columns: [&'static str; N],
}

/// Where the rows of a table come from.
pub trait Pages<const N: usize>: Send + 'static {
    /// The next rows; none at the end.
    fn next(&mut self) -> impl Future<Output = Result<Vec<[String; N]>, CutOff>> + Send;
}

/// Answers with a table. Whatever its length, only some pages of it are in memory.
///
/// # Errors
/// As [`streamed`].
pub fn exported<const N: usize>(
    app: &App,
    format: Format,
    table: Table<N>,
    pages: impl Pages<N>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let mut answer = match format {
        Format::Csv => streamed(app, CSV, move |writer| as_text(table, pages, writer)),
        Format::Xlsx => streamed(app, XLSX, move |writer| as_workbook(table, pages, now, writer)),
    }?;
    let file = format!(
        "attachment; filename=\"{}-{}.{}\"",
        table.name,
        table.of,
        format.ending()
    );
    if let Ok(file) = HeaderValue::from_str(&file) {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, file);
    }
    Ok(answer)
}

async fn as_text<const N: usize>(table: Table<N>, mut pages: impl Pages<N>, writer: Writer) -> Result<(), CutOff> {
    writer.write(line(table.columns)).await?;
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            return Ok(());
        }
        let lines: String = page
            .iter()
            .map(|row| line(row.each_ref().map(String::as_str)))
            .collect();
        writer.write(lines).await?;
    }
}

fn line<const N: usize>(fields: [&str; N]) -> String {
    let fields = fields.map(field);
    format!("{}\r\n", fields.join(","))
}

/// A field, quoted where it has to be. What a spreadsheet would take for a formula begins with an apostrophe.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

async fn as_workbook<const N: usize>(
    table: Table<N>,
    mut pages: impl Pages<N>,
    now: Millis,
    writer: Writer,
) -> Result<(), CutOff> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let making = tokio::task::spawn_blocking(move || workbook(&table, now, SHEET, receiver));
    loop {
        // When the rows come to no end, neither does the workbook: what is made of it is thrown away.
        let page = pages.next().await?;
        // Who makes it has stopped; why is said below.
        if page.is_empty() || sender.send(page).await.is_err() {
            break;
        }
    }
    drop(sender);
    let made = making.await.map_err(|error| CutOff::File(error.to_string()))?;
    let mut file = tokio::fs::File::from_std(made.map_err(|error| CutOff::File(error.to_string()))?);
    loop {
        let mut piece = vec![0; PIECE];
        let read = file
            .read(&mut piece)
            .await
            .map_err(|error| CutOff::File(error.to_string()))?;
        if read == 0 {
            return Ok(());
        }
        piece.truncate(read);
        writer.write(piece).await?;
    }
}

/// Writes the workbook to a file without a name. A sheet that is full is followed by another one with the same head.
fn workbook<const N: usize>(
    table: &Table<N>,
    now: Millis,
    longest: u32,
    mut pages: mpsc::Receiver<Vec<[String; N]>>,
) -> Result<std::fs::File, XlsxError> {
    let mut workbook = Workbook::new();
    if let Ok(made) = ExcelDateTime::from_timestamp(now.div_euclid(1_000)) {
        workbook.set_properties(&DocProperties::new().set_creation_datetime(&made));
    }
    // As text also for whoever edits a cell.
    let look = Look::new().set_num_format("@");
    let (mut sheets, mut row) = (0, 0);
    begin(&mut workbook, table, sheets)?;
    while let Some(page) = pages.blocking_recv() {
        for fields in page {
            if row == longest {
                sheets += 1;
                row = 0;
                begin(&mut workbook, table, sheets)?;
            }
            row += 1;
            let sheet = workbook.worksheet_from_index(sheets)?;
            for (column, text) in (0..).zip(&fields) {
                sheet.write_string_with_format(row, column, text, &look)?;
            }
        }
    }
    let mut file = tempfile::tempfile()?;
    workbook.save_to_writer(&mut file)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn begin<const N: usize>(workbook: &mut Workbook, table: &Table<N>, sheets: usize) -> Result<(), XlsxError> {
    let head = Look::new().set_bold();
    let sheet = workbook.add_worksheet_with_constant_memory()?;
    sheet.set_name(match sheets {
        0 => table.name.to_owned(),
        before => format!("{} {}", table.name, before + 1),
    })?;
    sheet.set_freeze_panes(1, 0)?;
    for (column, text) in (0..).zip(table.columns) {
        sheet.set_column_width(column, WIDTH)?;
        sheet.write_string_with_format(0, column, text, &head)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use calamine::{Data, Reader, Xlsx};

    use super::*;

    const TABLE: Table<2> = Table {
        name: "codes",
        of: uuid::Uuid::nil(),
        columns: ["code", "state"],
    };

    fn made(longest: u32, rows: u32) -> Vec<(String, Vec<Vec<Data>>)> {
        let (sender, receiver) = mpsc::channel(8);
        let all: Vec<_> = (0..rows).map(|n| [format!("{n:018}"), "=1+1".to_owned()]).collect();
        for page in all.chunks(3) {
            sender.try_send(page.to_vec()).unwrap();
        }
        drop(sender);
        let file = workbook(&TABLE, 1_795_000_000_000, longest, receiver).unwrap();
        let mut book: Xlsx<_> = calamine::open_workbook_from_rs(std::io::BufReader::new(file)).unwrap();
        let sheets = book.worksheets().into_iter();
        sheets
            .map(|(name, range)| (name, range.rows().map(<[Data]>::to_vec).collect()))
            .collect()
    }

    #[test]
    fn every_cell_is_a_text_and_a_full_sheet_is_followed_by_another() {
        let text = |text: &str| Data::String(text.to_owned());
        let head = vec![text("code"), text("state")];
        assert_eq!(made(4, 0), [("codes".to_owned(), vec![head.clone()])]);
        let sheets = made(4, 9);
        let names: Vec<&str> = sheets.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["codes", "codes 2", "codes 3"]);
        let lengths: Vec<usize> = sheets.iter().map(|(_, rows)| rows.len()).collect();
        assert_eq!(lengths, [5, 5, 2]);
        let mut n = 0;
        for (_, rows) in &sheets {
            assert_eq!(rows[0], head);
            for row in &rows[1..] {
                assert_eq!(*row, [text(&format!("{n:018}")), text("=1+1")]);
                n += 1;
            }
        }
        assert_eq!(made(4, 4).len(), 1, "a sheet that is just full is the last");
    }

    #[test]
    fn no_field_becomes_a_formula() {
        for (text, written) in [
            ("100120260712345678", "100120260712345678"),
            ("=1+1", "'=1+1"),
            ("+86", "'+86"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("a,b", "\"a,b\""),
            ("=\"a\"", "\"'=\"\"a\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("", ""),
        ] {
            assert_eq!(field(text), written);
        }
    }

    #[test]
    fn the_form_is_asked_for_by_name_or_by_the_header() {
        let of = |name: Option<&str>, accepted: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accepted.parse().unwrap());
            Format::of(name, &headers).ok()
        };
        assert_eq!(of(None, "*/*"), Some(Format::Csv));
        assert_eq!(of(None, XLSX), Some(Format::Xlsx));
        assert_eq!(
            of(None, &format!("text/html, {XLSX};q=0.9, text/csv;q=0.8")),
            Some(Format::Xlsx)
        );
        assert_eq!(of(None, &format!("text/csv,{XLSX}")), Some(Format::Csv));
        assert_eq!(of(Some("csv"), XLSX), Some(Format::Csv));
        assert_eq!(of(Some("xlsx"), "text/csv"), Some(Format::Xlsx));
        assert_eq!(of(Some("ods"), XLSX), None);
    }
}
