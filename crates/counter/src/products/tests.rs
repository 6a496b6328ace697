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
        ("%", vec!["100%"]),
        ("_", vec!["100%"]),
        ("'; DROP TABLE products; --", vec![]),
        ("   ", vec![]),
        ("nothing like it", vec![]),
    ] {
        assert_eq!(skus(&shop, text, 50).await, expected, "{text}");
    }
    assert_eq!(skus(&shop, "tea", 2).await, ["TEA-1", "TEA-10"]);

    // A barcode finds what is no longer listed too: it may still lie on the counter.
    let mut db = shop.inner.db.read().await.unwrap();
    for (code, sku) in [("6900000000091", "TEA-9"), ("tea-9", "TEA-9"), ("A%B", "100%")] {
        assert_eq!(by_barcode(&mut db, code).await.unwrap().unwrap().sku, sku);
    }
    assert_eq!(by_barcode(&mut db, "690000000").await.unwrap(), None);
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
    assert_eq!(by_barcode(&mut db, "2").await.unwrap(), None);
}
