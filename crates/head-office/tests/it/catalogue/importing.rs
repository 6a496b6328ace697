//! Files of products: looked through, applied, refused.

use reqwest::Method;
use serde_json::{Value, json};

use super::office::{Office, codes, office, tea};
use crate::common::{HOUR, On};

counterfoil_head_office::on_both! {
    a_file_is_looked_through_and_applied_as_it_was,
    a_file_with_errors_or_of_yesterday_is_not_applied,
    twenty_thousand_products_at_once,
    what_a_file_does_not_mention_stays,
    an_empty_field_clears_and_the_preview_says_so,
    a_new_product_needs_its_names_and_a_price,
    an_encoding_can_be_named,
    one_number_of_a_file_and_of_the_catalogue_is_one,
    a_sku_of_the_catalogue_is_no_barcode_of_a_file,
    the_order_of_rows_decides_nothing,
    too_many_barcodes_are_refused_at_once,
    what_was_stored_before_does_not_stand_in_the_way,
}

async fn a_file_is_looked_through_and_applied_as_it_was(on: On) {
    let office = office(on, 0).await;
    assert_eq!(office.put("A", &tea(0)).await.0, 201);
    assert_eq!(
        office
            .put(
                "B",
                &json!({"name_zh": "乙", "name_en": "B", "unit_price": 100, "currency": "CNY"})
            )
            .await
            .0,
        201
    );
    // A loses its barcode to B, C is new, D in another encoding.
    let text = "sku,barcode,name_zh,name_en,price,category\nA,,龙井茶,Longjing tea,16.80,tea\n\
        B,6901234567892,乙,B,1.00,\nC,S-1 S-2,丙,C,0.5,gifts\n";
    let preview = office.import(format!("\u{feff}{text}").as_bytes()).await;
    assert_eq!(
        (
            &preview["new"],
            &preview["changed"],
            &preview["unchanged"],
            &preview["wrong"]
        ),
        (&json!(1), &json!(2), &json!(0), &json!(0))
    );
    assert_eq!(
        preview["rows"][0],
        json!({
            "line": 2, "sku": "A", "name_zh": "龙井茶", "name_en": "Longjing tea", "new": false,
            "changes": [{"field": "barcodes", "from": "6901234567892", "to": null}],
        })
    );
    assert_eq!(preview["encoding"], "UTF-8");
    assert_eq!(preview["guessed"], false);
    assert_eq!(office.skus("").await, ["A", "B"]);
    let (status, applied) = office.apply(&preview).await;
    assert_eq!((status, &applied["new"]), (200, &json!(1)));
    assert_eq!(office.skus("").await, ["A", "B", "C"]);
    assert_eq!(office.skus("text=6901234567892").await, ["B"]);
    assert_eq!(office.get("/v1/products/C").await["barcodes"], json!(["S-1", "S-2"]));
    assert_eq!(office.held().await.len(), 3);
    assert_eq!(office.apply(&preview).await.1["code"], "state_conflict");
    let again = office.import(text.as_bytes()).await;
    assert_eq!((&again["unchanged"], &again["wrong"]), (&json!(3), &json!(0)));
    assert_eq!(office.apply(&again).await.0, 200);
    // 丁 in GB18030.
    let encoded = office.import(b"sku,name_zh,name_en,price\nD,\xb6\xa1,D,1\n").await;
    assert_eq!(office.apply(&encoded).await.0, 200);
    assert_eq!(office.get("/v1/products/D").await["name_zh"], "丁");
    assert_eq!(
        (&encoded["encoding"], &encoded["guessed"]),
        (&json!("gb18030"), &json!(true))
    );
}

async fn a_file_with_errors_or_of_yesterday_is_not_applied(on: On) {
    let office = office(on, 0).await;
    assert_eq!(office.put("A", &tea(0)).await.0, 201);
    let head = "sku,barcode,name_zh,name_en,price\n";
    let wrong = office
        .import(format!("{head}B,,乙,B,x\nC,6901234567892,丙,C,1\n").as_bytes())
        .await;
    assert_eq!(codes(&wrong["errors"]), ["bad_price", "barcode_taken"]);
    assert!(wrong["errors"][1]["message"].as_str().unwrap().ends_with("of A"));
    assert_eq!((&wrong["errors"][1]["line"], &wrong["wrong"]), (&json!(3), &json!(2)));
    assert_eq!(office.apply(&wrong).await.1["code"], "state_conflict");
    let fine = office
        .import(format!("{head}A,,茶,Tea,1\nB,S-1,乙,B,1\n").as_bytes())
        .await;
    let mut other = tea(1);
    other["unit_price"] = json!(5);
    assert_eq!(office.put("A", &other).await.0, 200);
    assert_eq!(office.apply(&fine).await.1["code"], "changed_meanwhile");
    // Nothing of it was written.
    assert_eq!(office.skus("").await, ["A"]);
    let fine = office.import(format!("{head}B,S-1,乙,B,1\n").as_bytes()).await;
    let mut taken = tea(0);
    taken["barcodes"] = json!(["S-1"]);
    assert_eq!(office.put("C", &taken).await.0, 201);
    assert_eq!(office.apply(&fine).await.1["code"], "changed_meanwhile");
    assert_eq!(office.apply(&json!({"id": uuid::Uuid::nil()})).await.0, 404);
    let post = |body: &[u8]| office.send(Method::POST, "/v1/products/imports", &office.token, body.to_vec());
    assert_eq!(post(b"\xff\xfea\0").await.0, 400);
    assert_eq!(post(b"PK\x03\x04 no more").await.0, 400);
    assert_eq!(post(&vec![b'a'; 5 * 1024 * 1024]).await.0, 413);
    office.chain.clock.advance(8 * 24 * HOUR);
    office.import(head.as_bytes()).await;
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM product_imports").await, 1);
}

async fn twenty_thousand_products_at_once(on: On) {
    let office = office(on, 0).await;
    let mut text = String::from("sku,barcode,name_zh,name_en,price\n");
    for n in 0..20_001 {
        text.push_str(&format!("P{n:05},S-{n},品{n},Product {n},{n}\n"));
    }
    let preview = office.import(text.as_bytes()).await;
    assert_eq!(codes(&preview["errors"]), ["too_many"]);
    let cut = text.trim_end().rsplit_once('\n').unwrap().0;
    let preview = office.import(cut.as_bytes()).await;
    assert_eq!((&preview["new"], &preview["wrong"]), (&json!(20_000), &json!(0)));
    assert_eq!(office.apply(&preview).await.0, 200);
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM products").await, 20_000);
    assert_eq!(
        office.chain.number("SELECT COUNT(*) FROM product_barcodes").await,
        20_000
    );
    assert_eq!(office.held().await.len(), 1_000);
}

const FULL: &str = "sku,barcodes,name_zh,name_en,category,merchant,price,picture,active\n\
    TEA-1,6901028075763 S001,龙井,Longjing,tea,s-01,68.00,https://p.example/1.png,1\n\
    TEA-2,,旧茶,Old tea,tea,s-01,20.00,,0\n";

async fn full(on: On) -> Office {
    let office = office(on, 0).await;
    let preview = office.import(FULL.as_bytes()).await;
    assert_eq!(
        (&preview["new"], &preview["wrong"]),
        (&json!(2), &json!(0)),
        "{preview}"
    );
    assert_eq!(office.apply(&preview).await.0, 200);
    office
}

async fn what_a_file_does_not_mention_stays(on: On) {
    let office = full(on).await;
    let before = office.get("/v1/products/TEA-1").await;
    let prices = "sku,name_zh,name_en,price\nTEA-1,龙井,Longjing,72.00\nTEA-2,旧茶,Old tea,20.00\n";
    let preview = office.import(prices.as_bytes()).await;
    assert_eq!((&preview["changed"], &preview["unchanged"]), (&json!(1), &json!(1)));
    assert_eq!(
        preview["rows"][0]["changes"],
        json!([{"field": "price", "from": "68.00", "to": "72.00"}])
    );
    assert_eq!(office.apply(&preview).await.0, 200);
    let mut expected = before;
    expected["unit_price"] = json!(7_200);
    expected["version"] = json!(2);
    assert_eq!(office.get("/v1/products/TEA-1").await, expected);
    assert_eq!(office.get("/v1/products/TEA-2").await["active"], false);
    // The least that a price list is.
    let preview = office.import(b"sku,price\nTEA-1,73\n").await;
    assert_eq!(preview["rows"][0]["name_zh"], "龙井");
    assert_eq!(office.apply(&preview).await.0, 200);
    assert_eq!(
        office.get("/v1/products/TEA-1").await["barcodes"],
        json!(["6901028075763", "S001"])
    );
}

async fn an_empty_field_clears_and_the_preview_says_so(on: On) {
    let office = full(on).await;
    let preview = office
        .import("sku,barcodes,category,picture\nTEA-1,,,\n".as_bytes())
        .await;
    assert_eq!(
        preview["rows"][0]["changes"],
        json!([
            {"field": "barcodes", "from": "6901028075763 S001", "to": null},
            {"field": "category", "from": "tea", "to": null},
            {"field": "picture", "from": "https://p.example/1.png", "to": null},
        ])
    );
    assert_eq!(office.apply(&preview).await.0, 200);
    let product = office.get("/v1/products/TEA-1").await;
    assert_eq!((&product["barcodes"], &product["category"]), (&json!([]), &json!(null)));
    assert_eq!(product["merchant"], "s-01");
    // What nobody wrote neither empties a name nor sells goods again.
    for (file, code) in [
        ("sku,name_zh\nTEA-1,\n", "bad_name"),
        ("sku,price\nTEA-1,\n", "bad_price"),
        ("sku,active\nTEA-2,\n", "bad_flag"),
    ] {
        assert_eq!(codes(&office.import(file.as_bytes()).await["errors"]), [code]);
    }
    let on_sale = office.import(b"sku,active\nTEA-1,\nTEA-2,1\n").await;
    assert_eq!(
        on_sale["rows"][0]["changes"],
        json!([{"field": "active", "from": "0", "to": "1"}])
    );
}

async fn a_new_product_needs_its_names_and_a_price(on: On) {
    let office = full(on).await;
    let preview = office.import(b"sku,price\nTEA-1,70\nTEA-3,70\n").await;
    assert_eq!(codes(&preview["errors"]), ["bad_name", "bad_name"]);
    assert_eq!(
        (&preview["errors"][0]["line"], &preview["wrong"]),
        (&json!(3), &json!(1))
    );
    let preview = office.import("sku,name_zh,name_en\nTEA-3,茶,Tea\n".as_bytes()).await;
    assert_eq!(codes(&preview["errors"]), ["bad_price"]);
}

async fn an_encoding_can_be_named(on: On) {
    let office = office(on, 0).await;
    let file = b"sku,name_zh,name_en,price\nW-1,Creme brulee zh,Cr\xe8me br\xfbl\xe9e,5.00\n";
    let preview = office.import(file).await;
    assert_eq!(
        (&preview["encoding"], &preview["guessed"]),
        (&json!("windows-1252"), &json!(true))
    );
    assert_eq!(preview["rows"][0]["name_en"], "Crème brûlée");
    let (status, preview) = office.post_import("?charset=GBK", file).await;
    assert_eq!(
        (status, &preview["encoding"], &preview["guessed"]),
        (201, &json!("gb18030"), &json!(false))
    );
    assert_ne!(preview["rows"][0]["name_en"], "Crème brûlée");
    let (status, problem) = office.post_import("?charset=utf-8", file).await;
    assert_eq!((status, &problem["code"]), (400, &json!("malformed")));
    assert!(problem["detail"].as_str().unwrap().contains("line 2"), "{problem}");
    assert_eq!(office.post_import("?charset=klingon", file).await.0, 400);
    // The content type says it too.
    let request = office
        .client
        .post(format!("{}/v1/products/imports", office.address))
        .bearer_auth(&office.token)
        .header("content-type", "text/csv; header=present; Charset=\"gb18030\"");
    let preview: Value = request.body(file.to_vec()).send().await.unwrap().json().await.unwrap();
    assert_eq!(preview["encoding"], "gb18030");
}

async fn one_number_of_a_file_and_of_the_catalogue_is_one(on: On) {
    let office = office(on, 0).await;
    let head = "sku,barcodes,name_zh,name_en,price\n";
    let first = office
        .import(format!("{head}G-1,036000291452,同,L,1.00\n").as_bytes())
        .await;
    assert_eq!(office.apply(&first).await.0, 200);
    let second = office
        .import(format!("{head}G-2,0036000291452,一,M,2.00\n").as_bytes())
        .await;
    assert_eq!(codes(&second["errors"]), ["barcode_taken"]);
    assert!(second["errors"][0]["message"].as_str().unwrap().contains("G-1"));
    // Written otherwise it is the same product.
    let same = office
        .import(format!("{head}G-1,00036000291452,同,L,1.00\n").as_bytes())
        .await;
    assert_eq!((&same["unchanged"], &same["wrong"]), (&json!(1), &json!(0)));
    // Handed on within one file, in either order.
    for rows in [
        "G-1,,同,L,1.00\nG-2,0036000291452,一,M,2.00\n",
        "G-1,036000291452,同,L,1.00\nG-2,,一,M,2.00\n",
    ] {
        let moved = office.import(format!("{head}{rows}").as_bytes()).await;
        assert_eq!(moved["wrong"], 0, "{moved}");
        assert_eq!(office.apply(&moved).await.0, 200);
    }
    assert_eq!(office.skus("text=0036000291452").await, ["G-1"]);
    let lost = office
        .import(format!("{head}UPC-1,36000291452,丙,C,1.00\n").as_bytes())
        .await;
    assert_eq!((&lost["wrong"], &lost["warned"]), (&json!(0), &json!(1)));
    assert_eq!(codes(&lost["warnings"]), ["lost_zero"]);
    assert!(
        lost["warnings"][0]["message"]
            .as_str()
            .unwrap()
            .contains("036000291452")
    );
}

async fn a_sku_of_the_catalogue_is_no_barcode_of_a_file(on: On) {
    let office = office(on, 0).await;
    let head = "sku,barcodes,name_zh,name_en,price\n";
    let stored = office
        .import(format!("{head}0036000291452,,卯,N,1.00\nZ-1,6901234567892,辰,O,1\nabc-1,,a,a,1\n").as_bytes())
        .await;
    assert_eq!(office.apply(&stored).await.0, 200);
    let clash = office
        .import(format!("{head}Z-9,036000291452,辰,O,2.00\n6901234567892,,卯,N,1.00\nABC-1,,a,a,1\n").as_bytes())
        .await;
    assert_eq!(codes(&clash["errors"]), ["barcode_is_sku", "sku_is_barcode"]);
    assert!(clash["errors"][1]["message"].as_str().unwrap().contains("Z-1"));
    assert_eq!(codes(&clash["warnings"]), ["alike_sku"]);
    assert!(clash["warnings"][0]["message"].as_str().unwrap().contains("abc-1"));
    let shorter = office
        .import(format!("{head}36000291452,,卯,N,1.00\n").as_bytes())
        .await;
    assert_eq!(codes(&shorter["warnings"]), ["lost_zero"]);
    // It may have its own.
    let own = office.import(b"sku,barcodes\n0036000291452,036000291452\n").await;
    assert_eq!(own["wrong"], 0, "{own}");
    assert_eq!(office.apply(&own).await.0, 200);
}

/// One number as a sku and as a barcode, in whatever spelling and whichever row comes first.
async fn the_order_of_rows_decides_nothing(on: On) {
    let office = office(on, 0).await;
    for rows in [
        ["96385074,b,b,2,", "0000096385074,c,c,3,96385074"],
        ["0012000161155,a,a,1,", "012000161155,b,b,2,012000161155"],
    ] {
        for rows in [rows, [rows[1], rows[0]]] {
            let file = format!("sku,name_zh,name_en,price,barcodes\n{}\n{}\n", rows[0], rows[1]);
            let clash = office.import(file.as_bytes()).await;
            assert!(codes(&clash["errors"]).contains(&"barcode_is_sku"), "{rows:?} {clash}");
        }
    }
    let nameless = office.import(b"sku,price\n,2\n").await;
    assert!(codes(&nameless["errors"]).contains(&"bad_sku"), "{nameless}");
}

/// Others write to the database meanwhile: a rule that refuses a row does so before it is compared with anything.
async fn too_many_barcodes_are_refused_at_once(on: On) {
    let office = office(on, 0).await;
    let barcodes: Vec<String> = (0..20_000).map(|n| format!("Z{n}")).collect();
    let file = format!("sku,name_zh,name_en,price,barcodes\nA,a,a,1,{}\n", barcodes.join(" "));
    let refused = office.import(file.as_bytes()).await;
    assert_eq!(codes(&refused["errors"]), ["bad_barcode"]);
    assert_eq!(office.skus("").await, [""; 0]);
}

/// As an older version of the program left it.
async fn what_was_stored_before_does_not_stand_in_the_way(on: On) {
    let office = office(on, 0).await;
    let head = "sku,barcodes,name_zh,name_en,price\n";
    let stored = office
        .import(format!("{head}INV-1,,巳,Q,1.00\nG-1,036000291452,a,a,1\nG-2,S-2,b,b,1\n").as_bytes())
        .await;
    assert_eq!(office.apply(&stored).await.0, 200);
    for sql in [
        "UPDATE products SET sku = 'INV-1\u{200b}' WHERE sku = 'INV-1'",
        "UPDATE product_barcodes SET barcode = '0036000291452', form = ' 0036000291452' WHERE barcode = 'S-2'",
    ] {
        office.chain.run(sql).await;
    }
    let prices = office
        .import("sku,price\nINV-1\u{200b},2\nG-1,2\nG-2,2\n".as_bytes())
        .await;
    assert_eq!(
        (&prices["changed"], &prices["wrong"]),
        (&json!(3), &json!(0)),
        "{prices}"
    );
    assert_eq!(office.apply(&prices).await.0, 200);
    assert_eq!(office.skus("text=0036000291452").await, ["G-1", "G-2"]);
    assert_eq!(
        office.get("/v1/products/G-2").await["barcodes"],
        json!(["0036000291452"])
    );
    for sku in ["INV-1%E2%80%8B", "G-2"] {
        let path = format!("/v1/products/{sku}");
        assert_eq!(office.ask(Method::DELETE, &path, &Value::Null).await.0, 204, "{sku}");
    }
    // Who hands it on decides it.
    assert_eq!(office.apply(&office.import(b"sku,barcodes\nG-1,\n").await).await.0, 200);
    let again = office.import(b"sku,barcodes\nG-2,0036000291452 S-3\n").await;
    assert_eq!(office.apply(&again).await.0, 200);
    assert_eq!(office.skus("text=036000291452&inactive=true").await, ["G-2"]);
}
