//! Rows with numbers that no sane head office sends: what is shown is wrong, but nothing panics.

use counterfoil_domain::{
    coupons::{OfflinePolicy, Template},
    ids::OperationId,
    sales::ReturnPolicy,
    settlement::{Basis, Kind, returns::Units},
};
use counterfoil_protocol::sync::{Cursor, Page};
use serde_json::Value;

use super::redeem_here;
use crate::{
    Input, Settled, Tender,
    basket::{Basket, BasketLine, Selection, quote, settle},
    desk::look_up,
    identity, intake,
    line::Plan,
    sales::{Language, detail, of_day, preview, slip},
    status::status,
    sync::driver::compose,
    testing::{HeadOffice, NOW, Shop, clerk_id, coupon, member, member_id, order, template},
};

fn basket() -> Basket {
    let line = |n: u8, quantity| BasketLine {
        sku: format!("P{n}"),
        quantity,
        unit_price: None,
    };
    Basket {
        points: 0,
        lines: vec![line(1, 4), line(3, 1)],
        member: Some(member_id(1)),
        coupons: Vec::new(),
        select: Selection::Best,
    }
}

/// A counter that has sold, redeemed and handed over without anybody's word, and all rows that there are once head
/// office has heard of it.
async fn shop() -> (Shop, OperationId, Vec<Value>) {
    let mut office = HeadOffice::new(3, 2);
    let rule = Kind::ThresholdOff {
        threshold: 6_000,
        amount: 2_000,
        basis: Basis::Net,
    };
    office.put_template(Template {
        rule: rule.into(),
        ..template(11, OfflinePolicy::HomeStore)
    });
    for n in [11, 12] {
        office.put_coupon(coupon(n, 11));
    }
    let shop = Shop::of(&mut office).await;
    redeem_here(&shop, Input::CouponCode(coupon(0, 1).code)).await.unwrap();
    redeem_here(&shop, Input::PickupCode(order(0).code)).await.unwrap();
    let quote = quote(&shop.inner, &basket()).await.unwrap();
    let tender = Tender {
        balance: 0,
        tender: "cash".into(),
        receipt: "R-1".into(),
    };
    let settled = settle(&shop.inner, &quote.ticket.unwrap(), &tender, clerk_id(1)).await;
    let Ok(Settled::Done(sold)) = settled else {
        panic!("{settled:?}")
    };
    let who = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    let plan = Plan {
        push: 200,
        page_rows: 1_000,
        wait: 0,
    };
    let (mut request, _) = compose(&shop.inner, &who, plan).await.unwrap();
    request.cursor = Cursor::default();
    let page = office.sync(&request).unwrap().page.unwrap();
    let rows = page.rows.iter().map(|row| serde_json::to_value(row).unwrap());
    (shop, sold.op_id, rows.collect())
}

/// Where the numbers of a row are.
fn numbers(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(path),
        Value::Array(values) => {
            for (place, value) in values.iter().enumerate() {
                numbers(value, format!("{path}/{place}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                numbers(value, format!("{path}/{name}"), found);
            }
        }
        _ => {}
    }
}

/// It comes from head office, newer than what is here; false when it does not read.
async fn comes(shop: &Shop, row: &Value, version: i64) -> bool {
    let mut row = row.clone();
    row["version"] = version.into();
    let Ok(row) = serde_json::from_value(row) else {
        return false;
    };
    let who = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    let page = Page {
        rows: vec![row],
        cursor: who.cursor,
        ..Page::default()
    };
    intake::apply_page(&shop.inner.db, &page, NOW).await.unwrap();
    true
}

/// What people do at the desk, whatever comes of it.
async fn is_used(shop: &Shop, sold: OperationId, of: &str) {
    let inner = &shop.inner;
    let _ = status(inner).await;
    for n in [0, 1, 2, 12] {
        let _ = look_up(inner, &Input::CouponCode(coupon(n, 1).code), None).await;
    }
    for n in [0, 1] {
        let _ = look_up(inner, &Input::PickupCode(order(n).code), None).await;
    }
    let _ = look_up(inner, &Input::MemberNumber(member(1).number), None).await;
    let _ = quote(inner, &basket()).await;
    let _ = of_day(inner, None).await;
    let _ = detail(inner, sold).await;
    let one = Units { line: 0, quantity: 1 };
    for policy in [ReturnPolicy::Keep, ReturnPolicy::Requote] {
        let _ = preview(inner, sold, &[one], policy).await;
    }
    if of == "sale" {
        let _ = slip(inner, sold, Language::En).await;
    }
}

#[tokio::test]
async fn no_number_of_a_row_makes_a_counter_panic() {
    let (shop, sold, rows) = shop().await;
    let mut version = 1_000;
    let mut kinds = std::collections::BTreeSet::new();
    for row in &rows {
        let of = row["entity"].as_str().unwrap();
        let mut found = Vec::new();
        numbers(&row["row"], "/row".to_owned(), &mut found);
        for place in found {
            for extreme in [i64::MIN, i64::MAX] {
                let mut spoilt = row.clone();
                *spoilt.pointer_mut(&place).unwrap() = extreme.into();
                version += 1;
                if comes(&shop, &spoilt, version).await {
                    kinds.insert(of);
                    is_used(&shop, sold, of).await;
                }
            }
        }
        version += 1;
        assert!(comes(&shop, row, version).await, "{row}");
    }
    let expected = ["coupon", "limits", "order", "product", "sale", "template"];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
}
