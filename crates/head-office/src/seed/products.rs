//! Products of the demo: those of its pickup orders and vouchers, and what a coffee shop sells beside them.

use counterfoil_domain::{
    ids::make,
    products::{Product, gtin_check_digit},
};
use uuid::Uuid;

use super::numbers::{Ids, Kind};

/// The merchant whose goods most are.
pub const OWN: &str = "shanlan";
/// Another one, in the same shops.
const BAKER: &str = "maixiang";

/// Article, Chinese and English name, category, merchant, price in fen.
const PRODUCTS: [(&str, &str, &str, &str, &str, i64); 42] = [
    (
        "6901001",
        "美式咖啡豆 500 克",
        "Americano beans 500 g",
        "beans",
        OWN,
        6_800,
    ),
    ("6901002", "手冲滤杯", "Pour-over dripper", "ware", OWN, 12_900),
    ("6901003", "龙井茶 100 克", "Longjing tea 100 g", "tea", OWN, 16_800),
    ("6901004", "陶瓷马克杯", "Ceramic mug", "ware", OWN, 4_900),
    ("6901005", "燕麦奶 1 升", "Oat milk 1 l", "dairy", OWN, 1_890),
    (
        "6901006",
        "黄油曲奇礼盒",
        "Butter biscuits, gift box",
        "gifts",
        BAKER,
        8_800,
    ),
    (
        "6901007",
        "保温杯 450 毫升",
        "Thermos flask 450 ml",
        "ware",
        OWN,
        15_900,
    ),
    ("6901008", "帆布购物袋", "Canvas bag", "ware", OWN, 2_900),
    (
        "6901009",
        "冷萃咖啡液 10 条",
        "Cold brew, 10 sticks",
        "beans",
        OWN,
        5_900,
    ),
    ("6901010", "月饼礼盒", "Mooncakes, gift box", "gifts", BAKER, 19_800),
    ("6901011", "蓝牙音箱", "Bluetooth speaker", "electronics", OWN, 29_900),
    ("6901012", "香薰蜡烛", "Scented candle", "gifts", OWN, 9_900),
    ("6902001", "美式咖啡", "Americano", "coffee", OWN, 2_800),
    ("6902002", "可颂", "Croissant", "bakery", BAKER, 1_500),
    ("6902003", "拿铁", "Latte", "coffee", OWN, 3_200),
    ("6902004", "卡布奇诺", "Cappuccino", "coffee", OWN, 3_200),
    ("6902005", "馥芮白", "Flat white", "coffee", OWN, 3_400),
    ("6902006", "摩卡", "Mocha", "coffee", OWN, 3_600),
    ("6902007", "燕麦拿铁", "Oat latte", "coffee", OWN, 3_800),
    ("6902008", "冷萃咖啡", "Cold brew", "coffee", OWN, 3_300),
    ("6902009", "意式浓缩", "Espresso", "coffee", OWN, 2_200),
    ("6902010", "桂花拿铁", "Osmanthus latte", "coffee", OWN, 3_900),
    ("6902011", "抹茶拿铁", "Matcha latte", "tea", OWN, 3_600),
    ("6902012", "乌龙奶茶", "Oolong milk tea", "tea", OWN, 2_600),
    ("6902013", "茉莉绿茶", "Jasmine green tea", "tea", OWN, 1_900),
    ("6902014", "热可可", "Hot chocolate", "coffee", OWN, 3_000),
    ("6902015", "肉桂卷", "Cinnamon roll", "bakery", BAKER, 1_800),
    ("6902016", "蓝莓玛芬", "Blueberry muffin", "bakery", BAKER, 1_600),
    (
        "6902017",
        "火腿芝士三明治",
        "Ham and cheese sandwich",
        "bakery",
        BAKER,
        2_400,
    ),
    ("6902018", "提拉米苏", "Tiramisu", "bakery", BAKER, 3_200),
    ("6902019", "巴斯克蛋糕", "Basque cheesecake", "bakery", BAKER, 3_500),
    ("6902020", "司康", "Scone", "bakery", BAKER, 1_400),
    (
        "6903001",
        "埃塞俄比亚咖啡豆 250 克",
        "Ethiopia beans 250 g",
        "beans",
        OWN,
        9_800,
    ),
    (
        "6903002",
        "哥伦比亚咖啡豆 250 克",
        "Colombia beans 250 g",
        "beans",
        OWN,
        8_800,
    ),
    ("6903003", "挂耳咖啡 10 包", "Drip bags, 10", "beans", OWN, 6_600),
    ("6903004", "咖啡滤纸 100 张", "Paper filters, 100", "ware", OWN, 2_500),
    ("6903005", "手冲细口壶", "Gooseneck kettle", "ware", OWN, 26_800),
    ("6903006", "玻璃分享壶", "Glass server", "ware", OWN, 8_900),
    ("6903007", "手摇磨豆机", "Hand grinder", "ware", OWN, 39_900),
    ("6903008", "电子秤", "Coffee scale", "electronics", OWN, 18_900),
    ("6903009", "全脂牛奶 1 升", "Whole milk 1 l", "dairy", OWN, 1_590),
    ("6903010", "普洱茶饼 357 克", "Pu'er tea cake 357 g", "tea", OWN, 22_800),
];

/// The demo's products, always the same ones, each with an EAN-13.
pub fn all(ids: Ids, currency: &str) -> Vec<(Uuid, i64, Product)> {
    PRODUCTS
        .iter()
        .zip(0u64..)
        .map(|(&(sku, zh, en, category, merchant, unit_price), index)| {
            let (place, at, bytes) = ids.of(0, Kind::Product, index);
            // 690 to 699 are China's; the company number is made up.
            let mut code = format!("69099990{:04}", index + 1);
            code.extend(gtin_check_digit(&code).map(char::from));
            let product = Product {
                sku: sku.to_owned(),
                barcodes: vec![code],
                name_zh: zh.to_owned(),
                name_en: en.to_owned(),
                category: Some(category.to_owned()),
                merchant: Some(merchant.to_owned()),
                unit_price,
                currency: currency.to_owned(),
                picture: None,
                active: true,
                version: 1,
            };
            (make(place, at, bytes), 0, product)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::all;

    #[test]
    fn every_product_is_acceptable_and_its_own() {
        let products = all(super::Ids::Placed, "CNY");
        let mut seen = BTreeSet::new();
        for (id, _, product) in &products {
            assert_eq!(product.flaws(), []);
            assert!(seen.insert(id.to_string()) && seen.insert(product.sku.clone()));
            assert!(
                product
                    .barcodes
                    .iter()
                    .all(|code| code.len() == 13 && seen.insert(code.clone()))
            );
        }
    }
}
