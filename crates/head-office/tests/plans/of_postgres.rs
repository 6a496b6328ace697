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
    let known = known(&mut apart).await;
    for (sql, plan) in &plans {
        let mut bad = Vec::new();
        walk(plan, false, whole, &known, &mut bad);
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

/// What the engine's catalogue says.
struct Known {
    /// The second column of each index that has one.
    seconds: BTreeMap<String, String>,
    /// The index of the table of which this one is a partition's.
    parents: BTreeMap<String, String>,
    /// Partitions without a row: reading one whole is the cheapest way to see that.
    empty: BTreeSet<String>,
}

async fn known(session: &mut AnyConnection) -> Known {
    let sql = "SELECT CAST(indexname AS TEXT) AS name, indexdef FROM pg_indexes WHERE schemaname = current_schema()";
    let found = sqlx::query(sql).fetch_all(&mut *session).await.unwrap();
    let second = |row: &sqlx::any::AnyRow| {
        let text: String = row.get("indexdef");
        let columns = text.split_once('(')?.1.split_once(')')?.0.to_owned();
        Some((row.get("name"), columns.split(", ").nth(1)?.to_owned()))
    };
    let parents = "SELECT CAST(c.relname AS TEXT) AS child, CAST(p.relname AS TEXT) AS parent FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent WHERE c.relkind = 'i'";
    let parents = sqlx::query(parents).fetch_all(&mut *session).await.unwrap();
    let empty = "SELECT CAST(relname AS TEXT) FROM pg_class WHERE relkind = 'r' AND relispartition AND pg_relation_size(oid) = 0";
    let empty: Vec<String> = sqlx::query_scalar(empty).fetch_all(session).await.unwrap();
    Known {
        seconds: found.iter().filter_map(second).collect(),
        parents: parents
            .iter()
            .map(|row| (row.get("child"), row.get("parent")))
            .collect(),
        empty: empty.into_iter().collect(),
    }
}

fn walk(plan: &Value, repeated: bool, whole: Whole, known: &Known, bad: &mut Vec<String>) {
    let text = |key: &str| plan[key].as_str().unwrap_or_default();
    let (node, partition, index) = (text("Node Type"), text("Relation Name"), text("Index Name"));
    // A partition is its table: `orders_07`.
    let table = partition
        .trim_end_matches(|sign: char| sign.is_ascii_digit())
        .trim_end_matches('_');
    let few = FEW.contains(&known.parents.get(index).map_or(index, String::as_str)) || known.empty.contains(partition);
    if GROWING.contains(&table) && !few && (repeated || whole == Whole::Never) {
        let condition = text("Index Cond");
        let all_of_it = match node {
            "Seq Scan" => true,
            // With the first column alone, the chain, it reads all of the chain's.
            "Index Scan" | "Index Only Scan" => known
                .seconds
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
        walk(inner, again, whole, known, bad);
    }
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .any(|found| found == word)
}
