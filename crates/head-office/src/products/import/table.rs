//! The rows of a file, whatever kind of file it is.

use jiff::civil::Date;

use super::{MOST_ROWS, RowError};

/// Why a cell can't be what somebody typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoText {
    /// In English.
    pub why: &'static str,
    /// The day, where it is one: what a spreadsheet makes of a date, and of some numbers.
    pub day: Option<Date>,
}

impl From<&'static str> for NoText {
    fn from(why: &'static str) -> Self {
        Self { why, day: None }
    }
}

/// A cell: its text, or why it is none.
pub type Cell = Result<String, NoText>;

/// A row with something in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its line, as an editor or a spreadsheet counts.
    pub line: u64,
    /// Its cells.
    pub cells: Vec<Cell>,
}

/// A file as rows: the first with something in it names the columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Its rows, without the empty ones.
    pub rows: Vec<Row>,
    /// What could not be read.
    pub errors: Vec<RowError>,
    /// What is read none the less.
    pub warnings: Vec<RowError>,
}

/// More rows than these are not looked at.
const MOST: usize = MOST_ROWS + 1;

impl Table {
    /// Whether there is room for one more row; notes it when there is none.
    pub(super) fn has_room(&mut self, line: u64) -> bool {
        if self.rows.len() < MOST {
            return true;
        }
        let message = format!("a file has at most {MOST_ROWS} products");
        self.errors.push(RowError::new(line, "too_many", message));
        false
    }

    /// Reads comma, semicolon or tab separated values. Its lines end with LF.
    pub fn of_text(text: &str) -> Self {
        let mut table = Self::default();
        let (separator, passed) = separator(text);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(separator)
            .has_headers(false)
            .flexible(true)
            .from_reader(&text.as_bytes()[passed..]);
        // The reader's own count is one too low after empty lines.
        let (mut counted, mut line) = (0, 1);
        for record in reader.records() {
            // Of a text that is UTF-8 every record reads.
            let Ok(record) = record else { continue };
            let begins = record.position().map_or(0, csv::Position::byte);
            let begins = passed + usize::try_from(begins).unwrap_or(0);
            let empty = text[begins..].bytes().take_while(|byte| *byte == b'\n').count();
            let begins = begins + empty;
            line += lines(&text[counted..begins]);
            counted = begins;
            if record.iter().all(super::row::is_blank) {
                continue;
            }
            if !table.has_room(line) {
                break;
            }
            if record.iter().any(|field| runs_on(field.trim(), char::from(separator))) {
                let message = "a field goes over several lines: is its quotation mark closed?";
                table.errors.push(RowError::new(line, "malformed", message));
                continue;
            }
            let cells = record.iter().map(|field| Ok(field.to_owned())).collect();
            table.rows.push(Row { line, cells });
        }
        if let Some(line) = open_quotation(text, separator, passed)
            && !table.errors.iter().any(|error| error.line == line)
        {
            let message = "a quotation mark is not closed: the file may be cut";
            table.errors.push(RowError::new(line, "malformed", message));
        }
        // A row without its last fields may be a line that was cut.
        let width = table.rows.first().map_or(0, |row| row.cells.len());
        let (whole, short) = std::mem::take(&mut table.rows)
            .into_iter()
            .partition(|row| row.cells.len() >= width);
        table.rows = whole;
        let short: Vec<Row> = short;
        for row in short {
            let message = format!("{width} fields were expected, {} found", row.cells.len());
            table.errors.push(RowError::new(row.line, "malformed", message));
        }
        table
    }
}

fn lines(text: &str) -> u64 {
    text.bytes().filter(|byte| *byte == b'\n').count() as u64
}

/// The line of a quotation that lasts until the end of the text. One begins with a field; a doubled mark is one of its
/// text.
fn open_quotation(text: &str, separator: u8, passed: usize) -> Option<u64> {
    let mut opened = None;
    let mut begins = true;
    let mut bytes = text.bytes().enumerate().skip(passed).peekable();
    while let Some((at, byte)) = bytes.next() {
        match (opened, byte) {
            (None, b'"') if begins => opened = Some(at),
            (Some(_), b'"') if bytes.next_if(|(_, next)| *next == b'"').is_none() => opened = None,
            _ => {}
        }
        begins = opened.is_none() && (byte == separator || byte == b'\n');
    }
    opened.map(|at| lines(&text[..at]) + 1)
}

/// What a mark of quotation that is never closed makes of the rows behind it.
fn runs_on(field: &str, separator: char) -> bool {
    field.contains('\n') && field.contains(separator)
}

/// What separates the fields, and how much of the text only says so.
fn separator(text: &str) -> (u8, usize) {
    let begins = text.len() - text.trim_start_matches(['\n', ' ']).len();
    let first = text[begins..].lines().next().unwrap_or_default();
    // Some spreadsheets say it in a line before the others.
    if let Some(said) = first.strip_prefix("sep=")
        && let [separator @ (b',' | b';' | b'\t')] = said.as_bytes()
    {
        return (*separator, begins + first.len());
    }
    let count = |mark: u8| first.bytes().filter(|byte| *byte == mark).count();
    let most = [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|mark| (count(*mark), *mark == b','));
    (most.unwrap_or(b','), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(table: &Table) -> Vec<u64> {
        table.rows.iter().map(|row| row.line).collect()
    }

    #[test]
    fn lines_are_those_that_a_person_sees() {
        let table = Table::of_text("\n \nsku,name\nA,\"two\nlines\"\n\n\nB,b\n,\n\u{200b},\u{a0}\nC,c");
        assert_eq!(table.errors, []);
        assert_eq!(lines_of(&table), [3, 4, 8, 11]);
        let said = Table::of_text("sep=;\nsku;name\nA,1;a\n");
        assert_eq!(lines_of(&said), [2, 3]);
        assert_eq!(said.rows[1].cells[0], Ok("A,1".to_owned()));
    }

    #[test]
    fn a_cut_row_and_an_open_quotation_are_told() {
        let table = Table::of_text("sku,name,barcodes\nA,a\nB,b,1,,\nC,c,\"1\nD,d,2\nE,e,3\n");
        let told: Vec<(u64, &str)> = table
            .errors
            .iter()
            .map(|error| (error.line, error.code.as_str()))
            .collect();
        assert_eq!(told, [(4, "malformed"), (2, "malformed")]);
        assert_eq!(lines_of(&table), [1, 3]);
        for (text, open) in [
            ("sku,name\nA,\"a", Some(2)),
            ("sku,name\nA,\"a\"\"\n", Some(2)),
            ("sku,name\nA,\"a\"\"\"\nB,\"two\nlines\"\n", None),
            ("sku,name\nA,5\" pipe\n", None),
        ] {
            let told = Table::of_text(text).errors.first().map(|error| error.line);
            assert_eq!(told, open, "{text:?}");
        }
    }
}
