//! Files as they come, each read as if nothing were in the catalogue.

use encoding_rs::WINDOWS_1252;

use super::{
    sheet::tests::{book, strings},
    *,
};

fn read(text: &str) -> (Vec<Product>, Vec<(u64, String)>) {
    let file = File::read(text.as_bytes(), None).unwrap();
    let (products, errors) = file.alone("CNY");
    let errors = errors.into_iter().map(|error| (error.line, error.code)).collect();
    (products, errors)
}

fn codes(text: &str) -> Vec<(u64, String)> {
    read(text).1
}

fn warned(text: &str) -> Vec<(u64, String)> {
    let file = File::read(text.as_bytes(), None).unwrap();
    let mut warnings = file.said.warnings;
    warnings.extend(judge(&file.said.entries, &Catalogue::default(), "CNY").warnings);
    warnings.into_iter().map(|told| (told.line, told.code)).collect()
}

fn told(all: &[(u64, &str)]) -> Vec<(u64, String)> {
    all.iter().map(|(line, code)| (*line, (*code).to_owned())).collect()
}

#[test]
fn columns_by_any_of_their_names_and_any_delimiter() {
    for text in [
        "货号;条码;中文名称;英文名称;价格;在售\nA;6901234567892 S1;\"茶;绿\";Tea;1.5;否\n",
        "unit_price\tactive\tsku\tname_zh\tname_en\tbarcode\n150\t0\tA\t茶;绿\tTea\t6901234567892|S1\n",
        "SKU,name_zh,Name_EN,price,barcode,ａｃｔｉｖｅ,\nA,茶;绿,Tea,１．５０,6901234567892 S1,0,\n",
        "sep=;\nsku;name_zh;name_en;price;barcode;active\nA;\"茶;绿\";Tea;1.5;6901234567892\u{a0}S1;FALSE\n",
    ] {
        let (products, errors) = read(text);
        assert_eq!(errors, [], "{text}");
        let product = &products[0];
        assert_eq!((product.sku.as_str(), product.name_zh.as_str()), ("A", "茶;绿"));
        assert_eq!(product.barcodes, ["6901234567892", "S1"]);
        assert_eq!((product.unit_price, product.active), (150, false));
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    assert_eq!(codes(""), told(&[(1, "missing_column")]));
    assert_eq!(codes("\n\nname_zh,name_en\n"), told(&[(3, "missing_column")]));
    assert_eq!(codes("sku,sku,name_zh\n"), told(&[(1, "repeated_column")]));
    assert_eq!(codes("sku,price,unit_price\n"), told(&[(1, "repeated_column")]));
    assert_eq!(codes("sku,name_zh,colour\n"), told(&[(1, "unknown_column")]));
    assert_eq!(codes("sku,name_zh,name_en\nA,a,a\n"), told(&[(2, "bad_price")]));
    assert_eq!(codes("sku,price\nA,1\n"), told(&[(2, "bad_name"), (2, "bad_name")]));
    let head = "sku,name_zh,name_en,price,barcode,active\n";
    let of = |rows: &str| codes(&format!("{head}{rows}"));
    for (rows, line, code) in [
        ("A,a,a,x,,\n", 2, "bad_price"),
        ("A,a,a,,,\n", 2, "bad_price"),
        ("A,a,a,\"1,200.00\",,\n", 2, "bad_price"),
        ("A,a,a,1,,maybe\n", 2, "bad_flag"),
        ("A,a,a,1\n", 2, "malformed"),
        ("A,a,a,1,,,x\n", 2, "malformed"),
        ("A,,a,1,,\n", 2, "bad_name"),
        (",a,a,1,,\n", 2, "bad_sku"),
        ("A B,a,a,1,,\n", 2, "bad_sku"),
        ("A,a,a,1,6901234567893,\n", 2, "bad_check_digit"),
        ("A,a,a,1,S1,\nA,a,a,1,,\n", 3, "repeated_sku"),
        ("A,a,a,1,S1,\nB,a,a,1,S1,\n", 3, "barcode_taken"),
        ("A,a,a,1,S1 S1,\n", 2, "repeated_barcode"),
        ("A,a,a,1,036000291452 00036000291452,\n", 2, "repeated_barcode"),
        ("6.90103E+12,a,a,1,,\n", 2, "damaged"),
        ("='1',a,a,1,,\n", 2, "damaged"),
    ] {
        assert_eq!(of(rows), told(&[(line, code)]), "{rows}");
    }
    assert_eq!(of("A,a,a,1,S1,\n,,,,,\nB,b,b,1,,\n"), []);
    assert_eq!(of("A,a,a,1,\"690\nB,b,b,1,S1,1\n"), told(&[(2, "malformed")]));
    // A list over several lines of one cell is none of that.
    assert_eq!(of("A,a,a,1,\"S1\nS2\",\n"), []);
}

#[test]
fn line_numbers_are_those_of_any_editor() {
    let lf = "sku,name_zh,name_en,price\nL-1,甲,A,1.00\nL-2,甲,A,x\nL-3,,A,1.00\nL-4,甲,A\nL-1,甲,A,1.00\n";
    let expected = told(&[(3, "bad_price"), (4, "bad_name"), (5, "malformed"), (6, "repeated_sku")]);
    for end in ["\n", "\r\n", "\r"] {
        assert_eq!(codes(&lf.replace('\n', end)), expected, "{end:?}");
    }
    let (products, errors) = read("sku,name_zh,name_en,price\rMAC-1,甲,J,1.00\rMAC-2,甲,K,1.00\r");
    assert_eq!((products.len(), errors.len()), (2, 0));
}

#[test]
fn empty_rows_are_passed_over() {
    let (products, errors) =
        read("sku,barcodes,name_zh,name_en,price\r\nEMP-1,,丁,D,1.00\r\n,,,,\r\n,,,,\r\n\r\n ,\t\u{a0},,\u{200b},\r\n");
    assert_eq!((products.len(), errors.len()), (1, 0));
}

#[test]
fn damaged_barcodes_are_refused() {
    let head = "sku,barcodes,name_zh,name_en,price\n";
    for barcode in [
        "6.90103E+12",
        "\"6,90103E+12\"",
        "6901028075763.0",
        "'036000291452",
        "=\"036000291452\"",
        "\"=\"\"036000291452\"\"\"",
        "\"6,901,028,075,763\"",
        "6\u{a0}901\u{a0}028\u{a0}075\u{a0}763",
        "########",
    ] {
        let text = format!("{head}SCI-0,,甲,A,1.00\r\nSCI-1,{barcode},甲,A,1.00\r\n");
        assert_eq!(codes(&text), told(&[(3, "damaged")]), "{barcode}");
    }
    let file = File::read(format!("{head}SCI-1,6.90103E+12,甲,A,1.00\n").as_bytes(), None).unwrap();
    let (_, errors) = file.alone("CNY");
    assert!(errors[0].message.contains("6.90103E+12") && errors[0].message.contains("exponent"));
}

#[test]
fn a_number_belongs_to_one_product_however_it_is_written() {
    let head = "sku,barcodes,name_zh,name_en,price\n";
    for other in [
        "0036000291452",
        "00036000291452",
        "０３６０００２９１４５２",
        "0 36000 29145 2",
        "0360\u{ad}0029\u{200d}1452",
    ] {
        let text = format!("{head}G-1,036000291452,同,L,1.00\nG-2,{other},一,M,2.00\n");
        let file = File::read(text.as_bytes(), None).unwrap();
        let (_, errors) = file.alone("CNY");
        assert_eq!(
            (errors.len(), errors[0].line, errors[0].code.as_str()),
            (1, 3, "barcode_taken"),
            "{other}"
        );
        assert!(errors[0].message.contains("G-1"), "{}", errors[0].message);
    }
    assert_eq!(
        codes(&format!("{head}G-1,96385074,a,a,1\nG-2,0000096385074,a,a,1\n")),
        told(&[(3, "barcode_taken")])
    );
    assert_eq!(
        codes(&format!("{head}G-1,036000291452,a,a,1\nG-2,10036000291459,a,a,1\n")),
        []
    );
}

#[test]
fn a_sku_is_no_other_products_barcode() {
    let head = "sku,barcodes,name_zh,name_en,price\n";
    for (rows, line) in [
        ("6901234567892,,卯,N,1.00\nZ-9,6901234567892,辰,O,2.00\n", 3),
        ("Z-9,6901234567892,辰,O,2.00\n6901234567892,,卯,N,1.00\n", 2),
        ("036000291452,,卯,N,1.00\nZ-9,0036000291452,辰,O,2.00\n", 3),
        ("S-1,,卯,N,1.00\nZ-9,S-1,辰,O,2.00\n", 3),
    ] {
        assert_eq!(
            codes(&format!("{head}{rows}")),
            told(&[(line, "barcode_is_sku")]),
            "{rows}"
        );
    }
    // Its own is the usual case.
    assert_eq!(codes(&format!("{head}6901234567892,6901234567892,卯,N,1.00\n")), []);
}

#[test]
fn what_is_worth_a_look_is_pointed_out() {
    let head = "sku,barcodes,name_zh,name_en,price\n";
    let of = |rows: &str| warned(&format!("{head}{rows}"));
    assert_eq!(of("UPC-1,36000291452,丙,C,1.00\n"), told(&[(2, "lost_zero")]));
    assert_eq!(of("UPC-1,36000291453,丙,C,1.00\n"), []);
    assert_eq!(of("abc-1,,午,R,1.00\nABC-1,,午,R,2.00\n"), told(&[(3, "alike_sku")]));
    assert_eq!(codes(&format!("{head}abc-1,,午,R,1.00\nABC-1,,午,R,2.00\n")), []);
    assert_eq!(
        of("ÉTÉ,,午,R,1.00\ne\u{301}te\u{301},,午,R,2.00\n"),
        told(&[(3, "alike_sku")])
    );
    let unseen = "INV-1\u{200b},,巳,Q,1.00\nINV-1,,巳,Q,1.00\n";
    assert_eq!(of(unseen), told(&[(2, "cleaned")]));
    assert_eq!(codes(&format!("{head}{unseen}")), told(&[(3, "repeated_sku")]));
    let (products, _) = read(&format!(
        "{head}I\u{ad}-\u{200d}1,S\u{2060}1,\u{202d}巳\u{202c},Q\u{feff},1.00\u{200b}\n"
    ));
    let product = &products[0];
    assert_eq!(
        (
            product.sku.as_str(),
            product.barcodes[0].as_str(),
            product.name_zh.as_str(),
            product.name_en.as_str()
        ),
        ("I-1", "S1", "巳", "Q")
    );
}

#[test]
fn the_encoding_that_was_taken_is_told() {
    let bytes = b"sku,name_zh,name_en,price\nW-1,Creme brulee zh,Cr\xe8me br\xfbl\xe9e,5.00\n";
    for wanted in [None, Some(WINDOWS_1252)] {
        let file = File::read(bytes, wanted).unwrap();
        assert_eq!((file.encoding, file.guessed), (Some("windows-1252"), wanted.is_none()));
        assert_eq!(file.alone("CNY").0[0].name_en, "Crème brûlée");
    }
    assert_eq!(
        File::read(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", None).unwrap_err(),
        Unread::NoText
    );
}

#[test]
fn a_spreadsheet_is_judged_as_a_text_is() {
    let shared = strings(&[
        "sku",
        "barcodes",
        "name_zh",
        "name_en",
        "price",
        "甲",
        "A",
        "6.90103E+12",
        "036000291452",
    ]);
    let row = |line: u32, sku: &str, barcode: &str, price: &str| {
        format!(
            "<row r=\"{line}\"><c r=\"A{line}\" t=\"inlineStr\"><is><t>{sku}</t></is></c>{barcode}<c r=\"C{line}\" t=\"s\"><v>5</v></c><c r=\"D{line}\" t=\"s\"><v>6</v></c>{price}</row>"
        )
    };
    let barcode = |line: u32, cell: &str| format!("<c r=\"B{line}\"{cell}</c>");
    let rows = [
        "<row r=\"3\"><c r=\"A3\" t=\"s\"><v>0</v></c><c r=\"B3\" t=\"s\"><v>1</v></c><c r=\"C3\" t=\"s\"><v>2</v></c><c r=\"D3\" t=\"s\"><v>3</v></c><c r=\"E3\" t=\"s\"><v>4</v></c></row>".to_owned(),
        row(4, "X-4", &barcode(4, "><v>6901028075763</v>"), "<c r=\"E4\"><v>19.989999999999998</v></c>"),
        row(5, "X-5", &barcode(5, " t=\"s\"><v>8</v>"), "<c r=\"E5\"><v>1</v></c>"),
        row(6, "X-6", &barcode(6, "><v>36000291452</v>"), "<c r=\"E6\"><v>1</v></c>"),
        row(8, "X-8", &barcode(8, " t=\"s\"><v>7</v>"), "<c r=\"E8\"><v>1</v></c>"),
        row(9, "X-9", &barcode(9, "><v>6.90103E+12</v>"), "<c r=\"E9\"><v>1</v></c>"),
        row(10, "X-10", &barcode(10, "><v>1.00123456789012E+17</v>"), "<c r=\"E10\"><v>1</v></c>"),
        row(11, "X-11", &barcode(11, " s=\"1\"><v>45000</v>"), "<c r=\"E11\"><v>1</v></c>"),
        row(12, "X-12", "", ""),
        row(13, "X-13", &barcode(13, "><v>36000291452</v>"), "<c r=\"E13\"><v>1</v></c>"),
    ];
    let file = File::read(&book(&[("商品", &rows.concat())], &shared), None).unwrap();
    assert_eq!((file.sheet.as_deref(), file.encoding), (Some("商品"), None));
    let (products, errors) = file.alone("CNY");
    let found: Vec<(&str, i64, &str)> = products
        .iter()
        .map(|product| (product.sku.as_str(), product.unit_price, product.barcodes[0].as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("X-4", 1_999, "6901028075763"),
            ("X-5", 100, "036000291452"),
            ("X-6", 100, "36000291452"),
            ("X-13", 100, "36000291452"),
        ]
    );
    let errors: Vec<(u64, &str)> = errors.iter().map(|error| (error.line, error.code.as_str())).collect();
    assert_eq!(
        errors,
        [
            (8, "damaged"),
            (9, "damaged"),
            (10, "damaged"),
            (11, "damaged"),
            (12, "bad_price"),
            (13, "barcode_taken"),
        ]
    );
}
