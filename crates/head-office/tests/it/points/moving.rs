//! Moving in: what members had elsewhere, and what the chain owes.

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use counterfoil_domain::{people::OperatorRole, points::earning::EarningRule};
use counterfoil_head_office::{capabilities::router, points::sweep};
use jiff::civil::Date;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{account, gift, holds, members, posted, publish, rule};
use crate::{
    api::Api,
    common::{Chain, HOUR, On, START, chain},
};

counterfoil_head_office::on_both! {
    balances_are_taken_over_once,
    a_spreadsheet_is_read_with_its_dates,
    what_was_taken_over_stays_known,
    what_is_wrong_is_told_by_line_and_nothing_is_done,
    what_is_owed_is_the_fold_of_the_ledger,
}

struct Mover {
    router: axum::Router,
    token: String,
    api: Api,
}

async fn mover(chain: &Chain) -> Mover {
    let token = chain.operator(OperatorRole::Admin).await;
    Mover {
        router: router(chain.app.clone(), None),
        api: Api::new(chain, token.clone()),
        token,
    }
}

impl Mover {
    async fn opens(&self, file: impl Into<Vec<u8>>, apply: bool) -> Value {
        let request = Request::post(format!("/v1/points/openings?apply={apply}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "text/csv")
            .body(Body::from(file.into()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        serde_json::from_slice(&to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap()
    }
}

const FILE: &str =
    "member,asset,amount,ends\nM1,points,300,2027-01-31\n M2 ,,50,\nM1,balance,12.50,\nM1,points,20,2027-02-28\n";

fn counts(report: &Value) -> (bool, i64, i64, i64) {
    let number = |name: &str| report[name].as_i64().unwrap();
    (
        report["applied"].as_bool().unwrap(),
        number("new"),
        number("same"),
        number("wrong"),
    )
}

async fn balances_are_taken_over_once(on: On) {
    let chain = chain(on, 0).await;
    publish(&chain, rule()).await;
    let other = members(&chain, 1).await.remove(0);
    let mover = mover(&chain).await;
    let looked = mover.opens(FILE, false).await;
    assert_eq!(counts(&looked), (false, 4, 0, 0), "{looked}");
    assert_eq!((&looked["points"], &looked["balance"]), (&json!(370), &json!(1250)));
    assert_eq!(chain.number("SELECT COUNT(*) FROM ledger_entries").await, 0);
    assert_eq!(counts(&mover.opens(FILE, true).await), (true, 4, 0, 0));
    let mine = account(&chain, chain.member).await;
    assert_eq!(mine.points.balances().available, 320);
    assert_eq!(mine.balance.balances().available, 1_250);
    assert_eq!(account(&chain, other).await.points.balances().available, 50);
    // Each with its own end: the last day of the month in Shanghai.
    let ends: Vec<_> = mine.points.lots.iter().filter_map(|lot| lot.ends_at).collect();
    assert_eq!(ends, [1_801_411_200_000, 1_803_830_400_000]);
    // The same file again, its rows in another order, and a spreadsheet of them.
    let turned = "ends;amount;asset;member\n;50;points;M2\n2027-02-28;20;points;M1\n2027-01-31;300;points;M1\n;12.5;balance;M1\n";
    for file in [FILE, turned] {
        assert_eq!(counts(&mover.opens(file, true).await), (true, 0, 4, 0));
    }
    assert_eq!(chain.number("SELECT COUNT(*) FROM ledger_entries").await, 4);
    let audited = "SELECT COUNT(*) FROM audit WHERE action = 'balances.opened'";
    assert_eq!(chain.number(audited).await, 3);
    // Another amount is no second lot.
    let changed = mover.opens("member,amount,ends\nM1,301,2027-01-31\n", true).await;
    assert_eq!(counts(&changed), (false, 0, 0, 1));
    assert_eq!(
        (&changed["errors"][0]["code"], &changed["errors"][0]["line"]),
        (&json!("changed"), &json!(2))
    );
    holds(&chain).await;
}

/// As a spreadsheet keeps it: a day as a date, another one as text, an amount as a number.
fn workbook() -> Vec<u8> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    let dated = Format::new().set_num_format("yyyy-mm-dd");
    for (column, name) in (0..).zip(["会员号", "资产", "数额", "到期日"]) {
        sheet.write(0, column, name).unwrap();
    }
    sheet.write(1, 0, "M1").unwrap();
    sheet.write(1, 2, 300).unwrap();
    let day = ExcelDateTime::from_ymd(2027, 1, 31).unwrap();
    sheet.write_datetime_with_format(1, 3, &day, &dated).unwrap();
    sheet.write(2, 0, "M1").unwrap();
    sheet.write(2, 2, "20").unwrap();
    sheet.write(2, 3, "2027-02-28").unwrap();
    sheet.write(3, 0, " M1 ").unwrap();
    sheet.write(3, 1, "balance").unwrap();
    sheet.write(3, 2, 12.5).unwrap();
    book.save_to_buffer().unwrap()
}

async fn a_spreadsheet_is_read_with_its_dates(on: On) {
    let chain = chain(on, 0).await;
    publish(&chain, rule()).await;
    let mover = mover(&chain).await;
    let report = mover.opens(workbook(), true).await;
    assert_eq!(counts(&report), (true, 3, 0, 0), "{report}");
    // The same lots as those of the text.
    let text = "member,asset,amount,ends\nM1,points,300,2027-01-31\nM1,balance,12.50,\nM1,points,20,2027-02-28\n";
    assert_eq!(counts(&mover.opens(text, true).await), (true, 0, 3, 0));
    // With a time it is no day.
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    let noon = ExcelDateTime::from_ymd(2027, 1, 31).unwrap().and_hms(12, 0, 0).unwrap();
    for (column, name) in (0..).zip(["member", "amount", "ends"]) {
        sheet.write(0, column, name).unwrap();
    }
    sheet.write(1, 0, "M1").unwrap();
    sheet.write(1, 1, 5).unwrap();
    let dated = Format::new().set_num_format("yyyy-mm-dd hh:mm");
    sheet.write_datetime_with_format(1, 2, &noon, &dated).unwrap();
    let report = mover.opens(book.save_to_buffer().unwrap(), true).await;
    assert_eq!(
        (counts(&report).3, &report["errors"][0]["line"]),
        (1, &json!(2)),
        "{report}"
    );
    holds(&chain).await;
}

async fn what_was_taken_over_stays_known(on: On) {
    let chain = chain(on, 0).await;
    publish(&chain, rule()).await;
    let mover = mover(&chain).await;
    let today: Date = "2026-11-23".parse().unwrap();
    let last = |days: i8| {
        let mut day = today;
        for _ in 0..days {
            day = day.tomorrow().unwrap();
        }
        day.to_string()
    };
    let file = format!("member,amount,ends\nM1,300,{}\nM1,20,{}\n", last(30), last(60));
    let part = format!("member,amount,ends\nM1,300,{}\n", last(30));
    // What was interrupted behind the first lot is completed by the whole file.
    assert_eq!(counts(&mover.opens(part, true).await), (true, 1, 0, 0));
    assert_eq!(counts(&mover.opens(file.clone(), true).await), (true, 1, 1, 0));
    // Days end elsewhere since: the same lines are the same lots.
    let elsewhere = EarningRule {
        version: 2,
        time_zone: "Europe/Lisbon".into(),
        ..rule()
    };
    publish(&chain, elsewhere).await;
    assert_eq!(counts(&mover.opens(file.clone(), true).await), (true, 0, 2, 0));
    // One of them has ended meanwhile.
    chain.clock.advance(40 * 24 * HOUR);
    assert_eq!(counts(&mover.opens(file, true).await), (true, 0, 2, 0));
    assert_eq!(
        account(&chain, chain.member)
            .await
            .points
            .balances_at(super::now(&chain))
            .available,
        20
    );
    holds(&chain).await;
}

async fn what_is_wrong_is_told_by_line_and_nothing_is_done(on: On) {
    let chain = chain(on, 0).await;
    let mover = mover(&chain).await;
    let one = |line: &str| format!("member,asset,amount,ends\nM1,points,1,\n{line}\n");
    let no_rule = mover.opens(one("M1,points,5,2027-01-31"), true).await;
    assert_eq!(no_rule["errors"][0]["code"], "no_rule");
    publish(&chain, rule()).await;
    for (line, code) in [
        ("M404,points,5,", "unknown_member"),
        (",points,5,", "missing"),
        ("M1,stamps,5,", "bad_asset"),
        ("M1,points,0,2027-01-31", "bad_amount"),
        ("M1,points,-5,2027-01-31", "bad_amount"),
        ("M1,points,1.5,2027-01-31", "bad_amount"),
        ("M1,points,99999999999999999999,2027-01-31", "bad_amount"),
        ("M1,balance,1.005,", "bad_amount"),
        ("M1,points,5,31/01/2027", "bad_day"),
        ("M1,points,5,2020-01-31", "over"),
        ("M1,points,5,", "twice"),
        ("M1,points", "malformed"),
    ] {
        let report = mover.opens(one(line), true).await;
        assert_eq!(counts(&report).3, 1, "{line}: {report}");
        let error = &report["errors"][0];
        assert_eq!((&error["code"], &error["line"]), (&json!(code), &json!(3)), "{line}");
        assert_eq!(report["applied"], false);
    }
    for (file, code) in [
        ("", "missing_column"),
        ("member,points\nM1,5\n", "unknown_column"),
        ("member\nM1\n", "missing_column"),
        ("member,amount,amount\nM1,5,5\n", "twice"),
    ] {
        assert_eq!(mover.opens(file, true).await["errors"][0]["code"], code, "{file:?}");
    }
    assert_eq!(chain.number("SELECT COUNT(*) FROM ledger_entries").await, 0);
}

async fn what_is_owed_is_the_fold_of_the_ledger(on: On) {
    let chain = chain(on, 0).await;
    publish(&chain, rule()).await;
    let people = members(&chain, 3).await;
    let mover = mover(&chain).await;
    mover.opens(FILE, true).await;
    for (n, member) in people.iter().enumerate() {
        let ends = [Some(START + HOUR), Some(START + 40 * 24 * HOUR), None][n];
        posted(&chain, gift(&chain, *member, &format!("g{n}"), 100, ends)).await;
    }
    let owed = async || {
        let (status, owed) = mover.api.get("/v1/points/liability").await;
        assert_eq!(status, 200, "{owed}");
        owed
    };
    let fold = async || {
        let mut total = 0;
        for member in people.iter().chain([&chain.member]) {
            let now = super::now(&chain);
            let sums = account(&chain, *member).await.points.balances_at(now);
            total += sums.available + sums.held + sums.pending;
        }
        total
    };
    let first = owed().await;
    assert_eq!(first["points"]["total"], fold().await);
    assert_eq!(first["points"]["total"], 670);
    assert_eq!(first["balance"]["total"], 1_250);
    let months: Vec<_> = first["points"]["months"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["month"].clone())
        .collect();
    assert_eq!(months.last(), Some(&Value::Null));
    assert!(
        months.contains(&json!("2027-01")) && months.contains(&json!("2027-02")),
        "{months:?}"
    );
    // What has ended is owed no more, before and after it is written down.
    chain.clock.advance(2 * HOUR);
    let before = owed().await;
    assert_eq!(before["points"]["total"], 570);
    assert_eq!(before["points"]["total"], fold().await);
    sweep::sweep(&chain.app, super::now(&chain), 100).await.unwrap();
    assert_eq!(owed().await["points"], before["points"]);
    holds(&chain).await;
}
