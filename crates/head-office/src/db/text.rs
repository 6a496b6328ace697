//! The text of a statement over many rows, and how many values its rows have.

/// What all rows have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Common {
    Tenant,
    Shard,
}

impl Common {
    /// All of them, by their numbers.
    pub(super) const ALL: [Self; 2] = [Self::Tenant, Self::Shard];

    /// As it stands in a text.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "$1",
            Self::Shard => "$2",
        }
    }

    /// Those that a text names, in its order.
    pub(super) fn of(text: &str) -> impl Iterator<Item = Self> {
        text.match_indices('$').filter_map(|(at, _)| {
            let named = |common: &&Self| text[at..].starts_with(common.as_str());
            Self::ALL.iter().find(named).copied()
        })
    }
}

/// The text of a statement around its rows of values. `$1` is always the tenant, `$2` the shard where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// What stands before the rows.
    pub(super) head: &'static str,
    /// What stands behind them.
    pub(super) tail: &'static str,
    /// Values of a row, the tenant not counted.
    pub(super) columns: usize,
    /// Whether each row begins with the tenant.
    pub(super) tenant_first: bool,
    /// Whether a repeated row does no harm. It does where `ON CONFLICT` updates.
    pub(super) pad: bool,
    /// Parameters that all rows have in common: the tenant, and the shard where the text names it.
    pub(super) common: usize,
}

impl Text {
    /// The statement with rows of values between `head` and `tail`. How many values a row has follows from the columns
    /// that it names: those of `INSERT INTO some (a, b) VALUES `, of `(a, b) IN (VALUES `, the single one of `a IN (`, or
    /// the last `v.column2` where the rows are a table `v` of their own.
    pub const fn new(head: &'static str, tail: &'static str) -> Self {
        let text = head.as_bytes();
        let (columns, tenant_first) = if ends_with(text, b" IN (VALUES ") {
            listed(text, text.len() - b" IN (VALUES ".len())
        } else if ends_with(text, b") VALUES ") {
            listed(text, text.len() - b" VALUES ".len())
        } else if ends_with(text, b" IN (") {
            (1, false)
        } else {
            assert!(ends_with(text, b" FROM (VALUES "), "where do the rows go?");
            let (before, behind) = (last_column(text), last_column(tail.as_bytes()));
            (if before > behind { before } else { behind }, false)
        };
        assert!(columns > 0, "a row has values");
        Self {
            head,
            tail,
            columns,
            tenant_first,
            pad: true,
            common: if names(text, b"$2") || names(tail.as_bytes(), b"$2") {
                2
            } else {
                1
            },
        }
    }

    /// The same where a repeated row does harm.
    pub const fn unpadded(self) -> Self {
        Self { pad: false, ..self }
    }

    /// The same with another end.
    pub const fn ending(self, tail: &'static str) -> Self {
        Self { tail, ..self }
    }
}

/// The statement that loads rows by id: `SELECT <columns> FROM <table>` goes before it. A list of single values, each
/// in parentheses of its own, is looked up in the index by both engines; PostgreSQL may join `VALUES` the other way
/// round when it has planned the statement for an empty table.
macro_rules! select_by_id {
    ($select:literal) => {
        $crate::db::batch::Text::new(concat!($select, " WHERE tenant = $1 AND id IN ("), ") ORDER BY id")
    };
}

pub(crate) use select_by_id;

const fn names(text: &[u8], word: &[u8]) -> bool {
    let mut at = 0;
    while at < text.len() {
        if begins_at(text, at, word) {
            return true;
        }
        at += 1;
    }
    false
}

const fn begins_at(text: &[u8], at: usize, word: &[u8]) -> bool {
    if at + word.len() > text.len() {
        return false;
    }
    let mut i = 0;
    while i < word.len() {
        if text[at + i] != word[i] {
            return false;
        }
        i += 1;
    }
    true
}

const fn ends_with(text: &[u8], end: &[u8]) -> bool {
    text.len() >= end.len() && begins_at(text, text.len() - end.len(), end)
}

/// How many names the list in parentheses has that ends here, the tenant not counted, and whether that is the first.
const fn listed(text: &[u8], end: usize) -> (usize, bool) {
    assert!(
        end > 0 && text[end - 1] == b')',
        "a list of columns goes before the rows"
    );
    let mut names = 1;
    let mut at = end - 1;
    while text[at] != b'(' {
        if text[at] == b',' {
            names += 1;
        }
        at -= 1;
    }
    if begins_at(text, at, b"(tenant,") {
        (names - 1, true)
    } else {
        (names, false)
    }
}

/// The largest number of a `v.column<number>`.
const fn last_column(text: &[u8]) -> usize {
    const NAME: &[u8] = b"v.column";
    let mut last = 0;
    let mut at = 0;
    while at < text.len() {
        if begins_at(text, at, NAME) {
            let mut number = 0;
            at += NAME.len();
            while at < text.len() && text[at].is_ascii_digit() {
                number = 10 * number + (text[at] - b'0') as usize;
                at += 1;
            }
            if number > last {
                last = number;
            }
        } else {
            at += 1;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_values_follows_from_the_columns() {
        for (text, columns, tenant_first) in [
            (Text::new("INSERT INTO a (tenant, b, c, d) VALUES ", ""), 3, true),
            (Text::new("INSERT INTO a (b) VALUES ", " RETURNING b"), 1, false),
            (Text::new("SELECT b FROM a WHERE tenant = $1 AND b IN (", ")"), 1, false),
            (Text::new("SELECT b FROM a WHERE (b, c) IN (VALUES ", ")"), 2, false),
            (
                Text::new(
                    "UPDATE a SET c = v.column3, d = v.column12 FROM (VALUES ",
                    ") AS v WHERE a.b = v.column1",
                ),
                12,
                false,
            ),
            (
                Text::new(
                    "SELECT b FROM (VALUES ",
                    ") AS v JOIN a ON a.b = v.column1 AND a.c = v.column2",
                ),
                2,
                false,
            ),
            (select_by_id!("SELECT id FROM a"), 1, false),
        ] {
            assert_eq!(
                (text.columns, text.tenant_first),
                (columns, tenant_first),
                "{}",
                text.head
            );
        }
    }
}
