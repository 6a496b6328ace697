//! What PostgreSQL says of its plans, in the sessions in which the statements were run, with their own settings:
//! <https://www.postgresql.org/docs/current/using-explain.html>.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_head_office::testing::Chain;
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::{FEW, GROWING, Whole, Wrong};

/// Sessions that read.
const READERS: usize = 8;

pub async fn look(chain: &Chain, asked: &BTreeSet<String>, whole: Whole) -> Wrong {
    let mut plans: BTreeMap<String, Value> = BTreeMap::new();
    {
        let mut lease = chain.app.db.lease().await.unwrap();
        let mut transaction = lease.begin().await.unwrap();
        seen(&mut transaction, asked, &mut plans).await;
        transaction.rollback().await.unwrap();
    }
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = chain.app.db.reader().acquire().await.unwrap();
        seen(&mut reader, asked, &mut plans).await;
        readers.push(reader);
    }
    // Of a session that has ended. Its statements say by themselves what their parameters are.
    let mut apart = chain.app.db.apart().await.unwrap();
    let mut wrong = Wrong::new();
    for (place, sql) in asked.iter().enumerate() {
        if plans.contains_key(sql) {
            continue;
        }
        let name = format!("apart_{place}");
        let prepared = sqlx::raw_sql(AssertSqlSafe(format!("PREPARE {name} AS {sql}")))
            .execute(&mut apart)
            .await;
        match prepared {
            Ok(_) => {
                let parameters = (1..).take_while(|n| sql.contains(&format!("${n}"))).count();
                plans.insert(sql.clone(), explain(&mut apart, &name, parameters).await);
            }
            Err(error) => wrong.push(format!("not explained: {error}: {sql:.300}")),
        }
    }
    let indexes = indexes(&mut apart).await;
    for (sql, plan) in &plans {
        let mut bad = Vec::new();
        walk(plan, false, whole, &indexes, &mut bad);
        if !bad.is_empty() {
            wrong.push(format!("{bad:?} in {sql:.600}\n{plan:.3000}"));
        }
    }
    wrong
}

/// Explains what was asked in this session.
async fn seen(session: &mut AnyConnection, asked: &BTreeSet<String>, plans: &mut BTreeMap<String, Value>) {
    let prepared = sqlx::query(
        "SELECT name, statement, CAST(COALESCE(array_length(parameter_types, 1), 0) AS BIGINT) AS parameters FROM pg_prepared_statements",
    )
    .persistent(false)
    .fetch_all(&mut *session)
    .await
    .unwrap();
    for row in prepared {
        let sql: String = row.get("statement");
        if asked.contains(sql.trim()) {
            let parameters = usize::try_from(row.get::<i64, _>("parameters")).unwrap();
            let plan = explain(session, &row.get::<String, _>("name"), parameters).await;
            plans.insert(sql.trim().to_owned(), plan);
        }
    }
}

async fn explain(session: &mut AnyConnection, name: &str, parameters: usize) -> Value {
    // The driver in use does not know the type that plans have.
    sqlx::raw_sql("CREATE OR REPLACE FUNCTION pg_temp.plan_of(asked TEXT) RETURNS TEXT LANGUAGE plpgsql AS $$ DECLARE plan JSON; BEGIN EXECUTE asked INTO plan; RETURN plan; END $$")
        .execute(&mut *session)
        .await
        .unwrap();
    let values = match parameters {
        0 => String::new(),
        parameters => format!("({})", vec!["NULL"; parameters].join(",")),
    };
    let text: String = sqlx::query_scalar("SELECT pg_temp.plan_of($1)")
        .bind(format!("EXPLAIN (FORMAT JSON) EXECUTE {name}{values}"))
        .persistent(false)
        .fetch_one(&mut *session)
        .await
        .unwrap();
    let plan: Value = serde_json::from_str(&text).unwrap();
    plan[0]["Plan"].clone()
}

/// The second column of each index that has one.
type Indexes = BTreeMap<String, String>;

async fn indexes(session: &mut AnyConnection) -> Indexes {
    let sql = "SELECT CAST(indexname AS TEXT) AS name, indexdef FROM pg_indexes WHERE schemaname = current_schema()";
    let found = sqlx::query(sql).fetch_all(session).await.unwrap();
    let second = |row: &sqlx::any::AnyRow| {
        let text: String = row.get("indexdef");
        let columns = text.split_once('(')?.1.split_once(')')?.0.to_owned();
        Some((row.get("name"), columns.split(", ").nth(1)?.to_owned()))
    };
    found.iter().filter_map(second).collect()
}

fn walk(plan: &Value, repeated: bool, whole: Whole, indexes: &Indexes, bad: &mut Vec<String>) {
    let text = |key: &str| plan[key].as_str().unwrap_or_default();
    let (node, table, index) = (text("Node Type"), text("Relation Name"), text("Index Name"));
    if GROWING.contains(&table) && !FEW.contains(&index) && (repeated || whole == Whole::Never) {
        let condition = text("Index Cond");
        let all_of_it = match node {
            "Seq Scan" => true,
            // With the first column alone, the chain, it reads all of the chain's.
            "Index Scan" | "Index Only Scan" => indexes
                .get(index)
                .map_or(condition.is_empty(), |second| !has_word(condition, second)),
            _ => false,
        };
        if all_of_it {
            bad.push(format!("{node} on {table} {condition}"));
        }
    }
    let filter = format!("{}{}{}", text("Filter"), text("Join Filter"), text("Index Cond"));
    for inner in plan["Plans"].as_array().into_iter().flatten() {
        let again = match inner["Parent Relationship"].as_str().unwrap_or_default() {
            "InitPlan" => false,
            "SubPlan" => !filter.contains(&format!(
                "hashed {}",
                inner["Subplan Name"].as_str().unwrap_or_default()
            )),
            "Inner" => repeated || node == "Nested Loop",
            _ => repeated,
        };
        walk(inner, again, whole, indexes, bad);
    }
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .any(|found| found == word)
}
