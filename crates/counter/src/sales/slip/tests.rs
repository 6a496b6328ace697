//! Slips say what was sold, in text that can be read out of them.

use counterfoil_domain::{coupons::OfflinePolicy, sales::ReturnPolicy, settlement::returns::Units};

use super::*;
use crate::{
    Settled, Tender,
    basket::{Basket, BasketLine, Selection, quote, settle},
    desk::void,
    sales::{Approval, take_back},
    testing::{HeadOffice, Line, PIN, Shop, account, clerk_id, coupon, member_id, rule, template},
};

/// The text of a PDF, without spaces: how far apart glyphs stand says where a reader sees one.
fn text(pdf: &[u8]) -> String {
    let document = lopdf::Document::load_mem(pdf).unwrap();
    let pages: Vec<u32> = document.get_pages().keys().copied().collect();
    let text = document.extract_text(&pages).unwrap();
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

async fn printed(shop: &Shop, id: OperationId, language: Language) -> String {
    let pdf = slip(&shop.inner, id, language).await.unwrap();
    assert!(pdf.starts_with(b"%PDF"));
    // The glyphs that are used, not the whole font.
    assert!(pdf.len() < 200_000, "{} bytes", pdf.len());
    text(&pdf)
}

#[tokio::test]
async fn slips_of_sale_return_and_void_carry_what_happened_in_both_languages() {
    let mut office = HeadOffice::new(0, 1);
    office.put_template(template(11, OfflinePolicy::HomeStore));
    office.put_coupon(coupon(11, 11));
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let sell = async |receipt: &str| {
        let basket = Basket {
            lines: vec![BasketLine {
                sku: "P3".into(),
                quantity: 50,
                unit_price: None,
            }],
            member: Some(member_id(1)),
            coupons: Vec::new(),
            select: Selection::Best,
            points: 0,
        };
        let shown = quote(&shop.inner, &basket).await.unwrap();
        let tender = Tender {
            tender: "cash".into(),
            receipt: receipt.into(),
            balance: 0,
        };
        match settle(&shop.inner, &shown.ticket.unwrap(), &tender, clerk_id(1))
            .await
            .unwrap()
        {
            Settled::Done(receipt) => receipt.op_id,
            Settled::Refused(refusal) => panic!("{refusal:?}"),
        }
    };
    let id = sell("R-77").await;
    let zh = printed(&shop, id, Language::Zh).await;
    for words in [
        "门店1",
        "销售小票",
        "R-77",
        "商品3",
        "50×30.00",
        "1,500.00",
        "优惠券券11",
        "-20.00",
        "CNY1,480.00",
        "支付方式现金",
        "M00001",
    ] {
        assert!(zh.contains(words), "{words} in {zh}");
    }
    assert!(!zh.contains("member1"), "names are masked: {zh}");
    assert!(!zh.to_lowercase().contains("cash"), "{zh}");
    let en = printed(&shop, id, Language::En).await;
    for words in [
        "Store1",
        "Sale",
        "Product3",
        "Couponcoupon11",
        "Paid",
        "CNY1,480.00",
        "PaidbyCash",
        "clerk1",
        &id.to_string(),
    ] {
        assert!(en.contains(words), "{words} in {en}");
    }
    assert!(!en.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{en}");
    let approval = Approval {
        reason: "坏了 broken",
        manager: clerk_id(2),
        pin: PIN,
    };
    let one = [Units { line: 0, quantity: 1 }];
    let back = take_back(&shop.inner, id, &one, ReturnPolicy::Keep, 2_960, approval)
        .await
        .unwrap();
    let zh = printed(&shop, back.op_id, Language::Zh).await;
    for words in ["退货小票", "商品3", "×1", "CNY29.60", "坏了broken", "顾客签名", "R-77"] {
        assert!(zh.contains(words), "{words} in {zh}");
    }
    assert!(printed(&shop, id, Language::En).await.contains("Refunded29.60"));

    let other = sell("R-78").await;
    let undone = void(&shop.inner, other, "wrong basket", clerk_id(2), PIN)
        .await
        .unwrap();
    let en = printed(&shop, undone.op_id, Language::En).await;
    for words in ["Void", "R-78", "wrongbasket", "Refund", "CNY1,500.00"] {
        assert!(en.contains(words), "{words} in {en}");
    }
    assert!(printed(&shop, other, Language::Zh).await.contains("已撤销"));

    let unknown = slip(&shop.inner, OperationId::new(1, [9; 10]), Language::En)
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), "slip_unavailable");
}

/// What a slip says beside what the shop, its people and its till have called things.
fn said(slip: &str, data: &[&str]) -> String {
    data.iter().fold(slip.to_owned(), |text, name| {
        let name: String = name.chars().filter(|c| !c.is_whitespace()).collect();
        text.replace(&name, "")
    })
}

#[tokio::test]
async fn no_slip_has_a_word_of_the_other_language() {
    let mut office = HeadOffice::new(0, 1);
    office.put_template(template(11, OfflinePolicy::HomeStore));
    office.put_coupon(coupon(11, 11));
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let sell = async |tender: &str, receipt: &str| {
        let basket = Basket {
            lines: vec![BasketLine {
                sku: "P3".into(),
                quantity: 2,
                unit_price: None,
            }],
            member: Some(member_id(1)),
            coupons: Vec::new(),
            select: Selection::Best,
            points: 0,
        };
        let shown = quote(&shop.inner, &basket).await.unwrap();
        let tender = Tender {
            tender: tender.into(),
            receipt: receipt.into(),
            balance: 0,
        };
        match settle(&shop.inner, &shown.ticket.unwrap(), &tender, clerk_id(1))
            .await
            .unwrap()
        {
            Settled::Done(receipt) => receipt.op_id,
            Settled::Refused(refusal) => panic!("{refusal:?}"),
        }
    };
    let undone = sell("cash", "7001").await;
    let void = void(&shop.inner, undone, "=", clerk_id(2), PIN).await.unwrap().op_id;
    let returned = sell("wechat", "7002").await;
    let approval = Approval {
        reason: "=",
        manager: clerk_id(2),
        pin: PIN,
    };
    let all = [Units { line: 0, quantity: 2 }];
    let back = take_back(&shop.inner, returned, &all, ReturnPolicy::Keep, 4_000, approval)
        .await
        .unwrap()
        .op_id;
    let mut slips = vec![undone, void, returned, back];
    for (tender, receipt) in [("card", "7003"), ("alipay", "7004"), ("other", "7005")] {
        slips.push(sell(tender, receipt).await);
    }
    let ids: Vec<String> = slips.iter().map(ToString::to_string).collect();
    let mut data: Vec<&str> = vec!["clerk 1", "clerk 2", "M00001", "m**", "CNY"];
    data.extend(ids.iter().map(String::as_str));
    let zh = ["门店1", "商品3", "券11"];
    let en = ["Store 1", "Product 3", "coupon 11"];
    for id in slips {
        let text = printed(&shop, id, Language::Zh).await;
        let rest = said(&text, &[&zh[..], &data].concat());
        assert!(!rest.chars().any(|c| c.is_ascii_alphabetic()), "{rest} of {text}");
        let text = printed(&shop, id, Language::En).await;
        let rest = said(&text, &[&en[..], &data].concat());
        assert!(
            rest.is_ascii() || rest.chars().all(|c| c.is_ascii() || c == '×'),
            "{rest} of {text}"
        );
    }
    // What the whole is called, too.
    let mut db = shop.inner.db.read().await.unwrap();
    let who = identity::load(&mut db).await.unwrap();
    for (id, title) in [(undone, "销售小票"), (void, "撤销小票"), (back, "退货小票")] {
        assert_eq!(rows(&mut db, &who, id, Language::Zh, 0).await.unwrap().0, title);
    }
}

#[tokio::test]
async fn a_long_sale_takes_several_pages() {
    let rows: Vec<Row> = (0..1_200).map(|n| Row::pair(format!("row {n}"), "1.00")).collect();
    let pdf = Paper::new().unwrap().print(&rows, "long".into(), Language::En).unwrap();
    let pages = lopdf::Document::load_mem(&pdf).unwrap().get_pages().len();
    assert!(pages > 2, "{pages}");
    assert!(text(&pdf).contains("row1199"));
}

#[tokio::test]
async fn a_slip_says_what_points_and_stored_value_did() {
    let mut office = HeadOffice::new(0, 0);
    office.put_rule(rule());
    office.put_account(account(2_400, 2_500));
    let shop = Shop::of(&mut office).await;
    let line = Line::of(&shop, office).await;
    let basket = Basket {
        lines: vec![BasketLine {
            sku: "P1".into(),
            quantity: 4,
            unit_price: None,
        }],
        member: Some(member_id(1)),
        coupons: Vec::new(),
        select: Selection::Best,
        points: 200,
    };
    let shown = quote(&shop.inner, &basket).await.unwrap();
    let tender = Tender {
        tender: "balance".into(),
        receipt: "R-80".into(),
        balance: 2_000,
    };
    let sold = settle(&shop.inner, &shown.ticket.unwrap(), &tender, clerk_id(1)).await;
    let Settled::Done(receipt) = sold.unwrap() else {
        panic!()
    };
    let zh = printed(&shop, receipt.op_id, Language::Zh).await;
    for words in [
        "合计40.00",
        "积分抵扣200-20.00",
        "CNY20.00",
        "其中储值支付20.00",
        "支付方式储值",
        "获得积分20",
        "可用积分2,220",
        "储值余额5.00",
    ] {
        assert!(zh.contains(words), "{words} in {zh}");
    }
    // No coupon took anything off.
    assert!(!zh.contains("优惠"), "{zh}");
    let en = printed(&shop, receipt.op_id, Language::En).await;
    for words in [
        "Pointsused200-20.00",
        "ofitstoredvalue20.00",
        "Pointsearned20",
        "Pointsavailable2,220",
        "Storedvalueleft5.00",
    ] {
        assert!(en.contains(words), "{words} in {en}");
    }
    let mut office = line.office.lock().unwrap().clone();
    shop.settle(&mut office).await;
    let approval = Approval {
        reason: "broken",
        manager: clerk_id(2),
        pin: PIN,
    };
    let one = [Units { line: 0, quantity: 1 }];
    let back = take_back(&shop.inner, receipt.op_id, &one, ReturnPolicy::Keep, 500, approval).await;
    let en = printed(&shop, back.unwrap().op_id, Language::En).await;
    for words in ["CNY5.00", "ofittostoredvalue5.00", "Fromthetill0.00"] {
        assert!(en.contains(words), "{words} in {en}");
    }
}
