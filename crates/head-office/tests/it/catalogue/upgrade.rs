//! A catalogue of an older version is brought to the one form.

use std::path::Path;

use counterfoil_head_office::{
    clock::{ManualClock, SystemRandom},
    db::Db,
    testing::{START, fresh},
};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row, migrate::Migrator};

use crate::common::On;

counterfoil_head_office::on_both! { older_products_are_found_and_one_number_is_one_products }

async fn older_products_are_found_and_one_number_is_one_products(on: On) {
    let fresh = fresh(on).await;
    let url = match fresh.url.strip_prefix("sqlite:") {
        Some(file) => format!("sqlite:{file}?mode=rwc"),
        None => fresh.url.clone(),
    };
    let mut old = AnyConnection::connect(&url).await.unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/head-office");
    Migrator::new(folder).await.unwrap().run_to(10, &mut old).await.unwrap();
    let id = |kind: u8, n: u32| {
        let mut id = vec![kind; 16];
        id[12..].copy_from_slice(&n.to_be_bytes());
        id
    };
    for tenant in 1..3u8 {
        sqlx::query("INSERT INTO tenants (tenant, code, name, currency, code_key, created_at) VALUES ($1, $2, 'Demo', 'CNY', $3, $4)")
            .bind(id(1, tenant.into())).bind(format!("t{tenant}")).bind(vec![7u8; 32]).bind(START).execute(&mut old).await.unwrap();
        for (n, sku, active, barcodes) in [
            (0, "Old", 0, &["0036000291452"][..]),
            (1, "New", 1, &["036000291452", "96385074"]),
            (2, "Own", 1, &["6901234567892", "06901234567892"]),
            (3, "Late", 1, &["0000096385074", "S001"]),
        ] {
            sqlx::query("INSERT INTO products (tenant, id, sku, name_zh, name_en, unit_price, currency, active, created_at, changed_at, version) VALUES ($1, $2, $3, '茶', 'CRÈME', 1, 'CNY', $4, $5, 0, 1)")
                .bind(id(1, tenant.into())).bind(id(2, n)).bind(sku).bind(active).bind(i64::from(n)).execute(&mut old).await.unwrap();
            for code in barcodes {
                sqlx::query("INSERT INTO product_barcodes (tenant, barcode, product) VALUES ($1, $2, $3)")
                    .bind(id(1, tenant.into()))
                    .bind(*code)
                    .bind(id(2, n))
                    .execute(&mut old)
                    .await
                    .unwrap();
            }
        }
    }
    // More than one statement's worth.
    for n in 10..1_200u32 {
        sqlx::query("INSERT INTO products (tenant, id, sku, name_zh, name_en, unit_price, currency, active, created_at, changed_at, version) VALUES ($1, $2, $3, '茶', 'É', 1, 'CNY', 1, 9, 0, 1)")
            .bind(id(1, 1)).bind(id(2, n)).bind(format!("M-{n}")).execute(&mut old).await.unwrap();
    }
    sqlx::query("INSERT INTO product_imports (tenant, id, actor, created_at, preview, content) VALUES ($1, $2, 'a', 0, '{}', '[]')")
        .bind(id(1, 1)).bind(id(9, 1)).execute(&mut old).await.unwrap();

    let clock = ManualClock::at(START);
    for _ in 0..2 {
        Db::open(&fresh.url, &clock, &SystemRandom).await.unwrap().close().await;
        let mut found = Vec::new();
        for row in sqlx::query("SELECT b.form, p.sku FROM product_barcodes b JOIN products p ON p.tenant = b.tenant AND p.id = b.product WHERE b.tenant = $1 ORDER BY p.sku, b.barcode")
            .bind(id(1, 1)).fetch_all(&mut old).await.unwrap()
        {
            found.push((row.get::<String, _>("sku"), row.get::<String, _>("form")));
        }
        let expected = [
            ("Late", " 0000096385074"),
            ("Late", "S001"),
            ("New", "00036000291452"),
            ("New", "00000096385074"),
            ("Old", " 0036000291452"),
            ("Own", "06901234567892"),
            ("Own", " 6901234567892"),
        ];
        assert_eq!(found, expected.map(|(sku, form)| (sku.to_owned(), form.to_owned())));
        for (sql, number) in [
            (
                "SELECT COUNT(*) FROM products WHERE folded_sku IS NULL OR folded_names IS NULL",
                0,
            ),
            ("SELECT COUNT(*) FROM products WHERE folded_names LIKE '%crème'", 8),
            ("SELECT COUNT(*) FROM products WHERE folded_sku = 'm-1199'", 1),
            ("SELECT COUNT(*) FROM product_barcodes WHERE form IS NULL", 0),
            ("SELECT COUNT(*) FROM product_imports", 0),
        ] {
            let counted: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
                .fetch_one(&mut old)
                .await
                .unwrap();
            assert_eq!(counted, number, "{sql}");
        }
    }
    old.close().await.unwrap();
}
