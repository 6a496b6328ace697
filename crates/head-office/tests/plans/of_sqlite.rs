//! What SQLite says of its plans: <https://www.sqlite.org/eqp.html>.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_head_office::testing::Chain;
use sqlx::{AssertSqlSafe, Row};

use super::{FEW, GROWING, Whole, Wrong};

/// One line of a plan.
struct Line {
    id: i64,
    parent: i64,
    says: String,
}

pub async fn look(chain: &Chain, asked: &BTreeSet<String>, whole: Whole) -> Wrong {
    let mut connection = chain.app.db.apart().await.unwrap();
    let mut wrong = Wrong::new();
    for sql in asked {
        let lines: Vec<Line> = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
            .fetch_all(&mut connection)
            .await
            .unwrap()
            .iter()
            .map(|row| Line {
                id: row.get(0),
                parent: row.get(1),
                says: row.get(3),
            })
            .collect();
        let aliases = aliases(sql);
        let bad: Vec<&str> = lines
            .iter()
            .filter(|line| is_bad(line, &lines, &aliases, whole))
            .map(|line| line.says.as_str())
            .collect();
        if !bad.is_empty() {
            let plan: Vec<&str> = lines.iter().map(|line| line.says.as_str()).collect();
            wrong.push(format!("{bad:?} in {sql:.600}\n  {}", plan.join("\n  ")));
        }
    }
    wrong
}

/// The tables that a name in a statement may stand for.
fn aliases(sql: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut aliases: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let words: Vec<&str> = sql
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .filter(|word| !word.is_empty())
        .collect();
    for (place, word) in words.iter().enumerate() {
        if !["FROM", "JOIN", "UPDATE", "INTO"].contains(word) {
            continue;
        }
        let Some(table) = words.get(place + 1).filter(|table| GROWING.contains(table)) else {
            continue;
        };
        let after = words.get(place + 2).copied().unwrap_or_default();
        let alias = if after == "AS" {
            words.get(place + 3).copied().unwrap_or_default()
        } else {
            after
        };
        for name in [*table, alias] {
            aliases.entry(name.to_owned()).or_default().insert((*table).to_owned());
        }
    }
    aliases
}

fn is_bad(line: &Line, lines: &[Line], aliases: &BTreeMap<String, BTreeSet<String>>, whole: Whole) -> bool {
    let mut words = line.says.split(' ');
    let verb = words.next().unwrap_or_default();
    let name = words.next().unwrap_or_default();
    if !["SCAN", "SEARCH"].contains(&verb) || !aliases.contains_key(name) {
        return false;
    }
    // What is made for this statement alone was made by reading a table once.
    if line.says.contains(" AUTOMATIC ") {
        return whole == Whole::Never;
    }
    if FEW.iter().any(|index| line.says.contains(&format!("INDEX {index} "))) {
        return false;
    }
    let conditions = line.says.rsplit_once('(').map_or("", |(_, conditions)| conditions);
    let all_of_it = verb == "SCAN" || conditions.starts_with("tenant=?)");
    all_of_it && (whole == Whole::Never || is_repeated(line, lines))
}

/// Whether it is done for each row of something else: it stands behind another loop, or within what is.
fn is_repeated(line: &Line, lines: &[Line]) -> bool {
    let is_loop = |other: &&Line| other.says.starts_with("SCAN ") || other.says.starts_with("SEARCH ");
    let first = lines.iter().filter(is_loop).find(|other| other.parent == line.parent);
    if first.is_some_and(|first| first.id != line.id) {
        return true;
    }
    let Some(around) = lines.iter().find(|other| other.id == line.parent) else {
        return false;
    };
    around.says.starts_with("CORRELATED") || (!is_once(around) && is_repeated_around(around, lines))
}

/// What is kept once it was made.
fn is_once(line: &Line) -> bool {
    ["MATERIALIZE", "SCALAR SUBQUERY", "LIST SUBQUERY"]
        .iter()
        .any(|word| line.says.starts_with(word))
}

fn is_repeated_around(around: &Line, lines: &[Line]) -> bool {
    lines
        .iter()
        .find(|other| other.id == around.parent)
        .is_some_and(|outer| {
            outer.says.starts_with("CORRELATED") || (!is_once(outer) && is_repeated_around(outer, lines))
        })
}
