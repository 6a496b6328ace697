//! What people type finds what they mean.

use counterfoil_protocol::sync::{Image, Row};

use super::*;
use crate::{
    replica,
    testing::{Shop, product},
};

async fn store(shop: &Shop, products: Vec<Product>, generation: i64) {
    let rows: Vec<Row> = products
        .into_iter()
        .map(|product| Row {
            version: product.version,
            image: Image::Product(product),
        })
        .collect();
    let mut writer = shop.inner.db.write().await;
    let mut tx = writer.begin().await.unwrap();
    replica::store(&mut tx, &rows, generation, false).await.unwrap();
    tx.commit("test").await.unwrap();
}

async fn skus(shop: &Shop, text: &str, limit: usize) -> Vec<String> {
    let found = find(&mut shop.inner.db.read().await.unwrap(), text, limit)
        .await
        .unwrap();
    found.into_iter().map(|product| product.sku).collect()
}

fn named(sku: &str, zh: &str, en: &str, barcode: &str) -> Product {
    Product {
        sku: sku.into(),
        name_zh: zh.into(),
        name_en: en.into(),
        barcodes: vec![barcode.into()],
        ..product(1)
    }
}

#[tokio::test]
async fn names_in_both_languages_skus_and_barcodes_are_found_and_ranked() {
    let shop = Shop::new().await;
    let all = vec![
        named("TEA-10", "绿茶礼盒", "Green tea gift box", "6900000000107"),
        named("TEA-1", "绿茶", "Green tea", "6900000000015"),
        named("CUP-1", "茶杯", "Tea cup", "6900000000022"),
        named("ICE-1", "冰红茶", "Iced black tea", "6900000000039"),
        named("100%", "_特价_", "50% off set", "A%B"),
        named("BOOK-1", "书", "Book", "978-0-306-40615-7"),
        named("UPC-1", "丙", "Soda", "036000291452"),
        named("ICE-2", "焦糖布丁", "Crème Brûlée", "S-2"),
        named("ICE-3", "饺子", "Пельмени Hauptstraße", "S-3"),
        named("ÉTÉ-1", "夏", "Summer", "S-4"),
        Product {
            active: false,
            ..named("TEA-9", "绿茶旧", "Green tea (old)", "6900000000091")
        },
    ];
    store(&shop, all, 1).await;
    for (text, expected) in [
        ("tea-1", vec!["TEA-1", "TEA-10"]),
        ("TEA", vec!["TEA-1", "TEA-10", "CUP-1", "ICE-1"]),
        ("ＴＥＡ　ｃｕｐ", vec!["CUP-1"]),
        ("茶", vec!["CUP-1", "ICE-1", "TEA-1", "TEA-10"]),
        ("绿茶", vec!["TEA-1", "TEA-10"]),
        ("box green", vec!["TEA-10"]),
        ("6900000000022", vec!["CUP-1"]),
        ("6900000000", vec!["CUP-1", "ICE-1", "TEA-1", "TEA-10"]),
        ("0 36000 29145 2", vec!["UPC-1"]),
        ("97803064", vec!["BOOK-1"]),
        ("00036000", vec!["UPC-1"]),
        ("36000", vec!["UPC-1"]),
        ("0036000291452", vec!["UPC-1"]),
        ("0", vec!["100%", "TEA-10"]),
        ("CRÈME brûlée", vec!["ICE-2"]),
        ("cre\u{300}me", vec!["ICE-2"]),
        ("пельмени", vec!["ICE-3"]),
        ("STRASSE", vec!["ICE-3"]),
        ("été", vec!["ÉTÉ-1"]),
        ("%", vec!["100%"]),
        ("_", vec!["100%"]),
        ("'; DROP TABLE products; --", vec![]),
        ("   ", vec![]),
        ("nothing like it", vec![]),
    ] {
        assert_eq!(skus(&shop, text, 50).await, expected, "{text}");
    }
    assert_eq!(skus(&shop, "tea", 2).await, ["TEA-1", "TEA-10"]);
}

#[tokio::test]
async fn a_text_means_the_product_of_its_barcode_before_that_of_its_sku() {
    let shop = Shop::new().await;
    let all = vec![
        named("6901234567892", "卯", "N", "S-0"),
        named("Z-9", "辰", "O", "6901234567892"),
        named("UPC-1", "丙", "Soda", "036000291452"),
        named("EAN-8", "丁", "Gum", "96385074"),
        named("CASE-1", "箱", "Case", "10036000291459"),
        named("S-LONG", "长", "Long", "A".repeat(48).as_str()),
        named("100%", "_特价_", "50% off set", "A%B"),
        named("abc-1", "午", "R", "S-1"),
        named("ABC-1", "午", "R", "S-2"),
        named("ÉTÉ-1", "夏", "Summer", "S-4"),
        Product {
            active: false,
            ..named("TEA-9", "绿茶旧", "Green tea (old)", "6900000000091")
        },
    ];
    store(&shop, all, 1).await;
    let mut db = shop.inner.db.read().await.unwrap();
    let long = "A".repeat(48);
    for (code, skus) in [
        ("6901234567892", &["Z-9"][..]),
        ("036000291452", &["UPC-1"]),
        ("0036000291452", &["UPC-1"]),
        ("00036000291452", &["UPC-1"]),
        ("０３６０００２９１４５２", &["UPC-1"]),
        ("96385074", &["EAN-8"]),
        ("0000096385074", &["EAN-8"]),
        ("10036000291459", &["CASE-1"]),
        (&long, &["S-LONG"]),
        ("A%B", &["100%"]),
        ("abc-1", &["abc-1"]),
        ("ABC-1", &["ABC-1"]),
        ("Abc-1", &["ABC-1", "abc-1"]),
        ("été-1", &["ÉTÉ-1"]),
        // It may still lie on the counter.
        ("6900000000091", &["TEA-9"]),
        ("tea-9", &["TEA-9"]),
    ] {
        let meant = super::named(&mut db, code).await.unwrap().unwrap();
        let found: Vec<&str> = meant.products.iter().map(|product| product.sku.as_str()).collect();
        assert_eq!(found, skus, "{code}");
    }
    for code in ["690000000", "36000291452", "abc", "", "\u{200b}"] {
        assert_eq!(super::named(&mut db, code).await.unwrap(), None, "{code}");
    }
}

/// What an upgrade finds: copies, and none of what they are found by.
#[tokio::test]
async fn copies_that_nothing_finds_are_found_from_the_next_start_on() {
    let shop = Shop::new().await;
    let many = (0..450)
        .map(|n| named(&format!("A-{n}"), "Ü", "É", &format!("S-{n}")))
        .collect();
    store(&shop, many, 1).await;
    let mut writer = shop.inner.db.write().await;
    let mut tx = writer.begin().await.unwrap();
    sqlx::query("DELETE FROM products").execute(&mut *tx).await.unwrap();
    tx.commit("test").await.unwrap();
    drop(writer);
    assert!(skus(&shop, "é", 9).await.is_empty());
    let folder = shop.inner.db.path().parent().unwrap().to_owned();
    let again = crate::db::Database::open(&folder).await.unwrap();
    let mut db = again.read().await.unwrap();
    assert!(!is_missing(&mut db).await.unwrap());
    assert_eq!(find(&mut db, "é", 500).await.unwrap().len(), 200);
    assert_eq!(super::named(&mut db, "s-449").await.unwrap(), None);
    assert!(super::named(&mut db, "S-449").await.unwrap().is_some());
}

#[tokio::test]
async fn what_changes_and_what_goes_is_found_no_more_by_what_it_was() {
    let shop = Shop::new().await;
    store(
        &shop,
        vec![named("A", "甲", "First", "1"), named("B", "乙", "Second", "2")],
        1,
    )
    .await;
    let renamed = Product {
        version: 2,
        ..named("A", "丙", "Third", "3")
    };
    store(&shop, vec![renamed], 1).await;
    assert!(skus(&shop, "first", 9).await.is_empty());
    assert!(skus(&shop, "1", 9).await.is_empty());
    assert_eq!(skus(&shop, "third", 9).await, ["A"]);
    assert_eq!(skus(&shop, "3", 9).await, ["A"]);

    // Read from zero, the feed no longer mentions B.
    store(&shop, vec![named("A", "丙", "Third", "3")], 2).await;
    let mut writer = shop.inner.db.write().await;
    let mut tx = writer.begin().await.unwrap();
    replica::drop_older_generations(&mut tx, 2).await.unwrap();
    tx.commit("test").await.unwrap();
    drop(writer);
    assert!(skus(&shop, "second", 9).await.is_empty());
    let mut db = shop.inner.db.read().await.unwrap();
    assert_eq!(super::named(&mut db, "2").await.unwrap(), None);
}
