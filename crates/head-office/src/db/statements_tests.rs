//! Every statement over many rows, as both engines read it.

use std::{fs, path::Path};

use sqlx::{AssertSqlSafe, Executor, Row, SqlSafeStr};

use super::{
    Db,
    batch::{Text, written},
};
use crate::{
    clock::{ManualClock, SystemRandom},
    testing::{On, START, fresh},
};

/// What PostgreSQL says where a type only comes with the value: no such operator, another type.
const UNTYPED: [&str; 2] = ["42883", "42804"];

crate::on_both! {
    both_engines_know_every_table_and_column_of_every_statement,
}

/// Rows of a statement: one, some, many.
const ROWS: [usize; 4] = [1, 8, 64, 512];

/// The texts between quotes of what follows a mark, up to the parenthesis that closes it.
fn texts(mut code: &str) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        let Some(at) = code.find(['"', ')', '/']) else {
            return texts;
        };
        let rest = &code[at + 1..];
        match code.as_bytes()[at] {
            b'"' => {
                let end = rest.find('"').unwrap();
                let lines = rest[..end].split("\\\n").enumerate();
                // A line that goes on does so at its first letter.
                texts.push(
                    lines
                        .map(|(n, line)| if n == 0 { line } else { line.trim_start() })
                        .collect(),
                );
                code = &rest[end + 1..];
            }
            b'/' => code = &rest[rest.find('\n').unwrap()..],
            _ => return texts,
        }
    }
}

fn statements(folder: &Path, found: &mut Vec<Text>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            statements(&path, found);
            continue;
        }
        if path.to_string_lossy().ends_with("_tests.rs") {
            continue;
        }
        let code = fs::read_to_string(&path).unwrap();
        let code = code.split("#[cfg(test)]\nmod tests").next().unwrap();
        for made in code.split("Text = Text::new(").skip(1) {
            let [head, tail] = texts(made).try_into().unwrap();
            found.push(Text::new(head.leak(), tail.leak()));
        }
        for made in code.split("select_by_id!(").skip(1) {
            let [select] = texts(made).try_into().unwrap();
            let head = format!("{select} WHERE tenant = $1 AND id IN (");
            found.push(Text::new(head.leak(), ") ORDER BY id"));
        }
    }
}

async fn both_engines_know_every_table_and_column_of_every_statement(on: On) {
    let fresh = fresh(on).await;
    let db = Db::open(&fresh.url, &ManualClock::at(START), &SystemRandom)
        .await
        .unwrap();
    let mut found = Vec::new();
    statements(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 60, "{} statements", found.len());
    let mut connection = db.apart().await.unwrap();
    let (all, mut prepared_at_all) = (2 * found.len(), 0);
    for statement in found {
        for rows in [1, 2] {
            let sql = written(&connection, statement, rows).to_string();
            let prepared = connection.prepare(AssertSqlSafe(sql.clone()).into_sql_str()).await;
            match prepared.err() {
                None => prepared_at_all += 1,
                Some(sqlx::Error::Database(error)) if UNTYPED.contains(&&*error.code().unwrap_or_default()) => {}
                Some(error) => panic!("{sql}\n{error}"),
            }
        }
    }
    let least = if on == On::Sqlite { all } else { all / 2 };
    assert!(prepared_at_all >= least, "{prepared_at_all} of {all}");
}

/// SQLite knows nothing of how many rows a tenant has, and takes them for few: it may read all of them to look each up
/// among the values.
#[tokio::test]
async fn no_statement_over_some_rows_reads_all_of_a_tenants() {
    let fresh = fresh(On::Sqlite).await;
    let db = Db::open(&fresh.url, &ManualClock::at(START), &SystemRandom)
        .await
        .unwrap();
    let mut found = Vec::new();
    statements(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let mut connection = db.apart().await.unwrap();
    let mut wrong = Vec::new();
    for statement in found {
        for rows in ROWS {
            let sql = written(&connection, statement, rows).to_string();
            let lines = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
                .fetch_all(&mut connection)
                .await
                .unwrap();
            let says = lines.iter().map(|line| line.get::<String, _>(3));
            let all: Vec<String> = says
                .filter(|says| {
                    says.starts_with("SEARCH ") && says.ends_with("(tenant=?)") && !says.contains("tenants_1 ")
                })
                .collect();
            if !all.is_empty() {
                wrong.push(format!("{rows} rows: {all:?} in {sql:.300}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
