//! What demo data is called.

use counterfoil_domain::pickups::OrderLine;

use super::numbers::Numbers;

/// Stores: Chinese and English name.
const STORES: [(&str, &str); 12] = [
    ("人民广场店", "People's Square"),
    ("中山公园店", "Zhongshan Park"),
    ("滨江店", "Riverside"),
    ("大学城店", "University Town"),
    ("火车南站店", "South Station"),
    ("科技园店", "Science Park"),
    ("老城门店", "Old Gate"),
    ("湖畔店", "Lakeside"),
    ("会展中心店", "Exhibition Centre"),
    ("机场店", "Airport"),
    ("东门步行街店", "East Gate"),
    ("西溪店", "West Brook"),
];

const FAMILY_NAMES: [&str; 20] = [
    "王", "李", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周", "徐", "孙", "马", "朱", "胡", "郭", "何", "林", "罗",
    "欧阳",
];
const GIVEN_NAMES: [&str; 20] = [
    "小明", "丽华", "伟", "芳", "敏", "静", "建国", "秀英", "晓东", "雨桐", "子涵", "浩然", "思琪", "俊杰", "欣怡",
    "志强", "美玲", "嘉豪", "诗涵", "明轩",
];
const ENGLISH_NAMES: [&str; 8] = [
    "Emma Carter",
    "Daniel Novak",
    "Maria Rossi",
    "James Okafor",
    "Sofia Lindgren",
    "Liam O'Brien",
    "Aisha Rahman",
    "Tom Becker",
];

/// Products: article, Chinese and English name, price in fen.
const PRODUCTS: [(&str, &str, &str, i64); 12] = [
    ("6901001", "美式咖啡豆 500 克", "Americano beans 500 g", 6_800),
    ("6901002", "手冲滤杯", "Pour-over dripper", 12_900),
    ("6901003", "龙井茶 100 克", "Longjing tea 100 g", 16_800),
    ("6901004", "陶瓷马克杯", "Ceramic mug", 4_900),
    ("6901005", "燕麦奶 1 升", "Oat milk 1 l", 1_890),
    ("6901006", "黄油曲奇礼盒", "Butter biscuits, gift box", 8_800),
    ("6901007", "保温杯 450 毫升", "Thermos flask 450 ml", 15_900),
    ("6901008", "帆布购物袋", "Canvas bag", 2_900),
    ("6901009", "冷萃咖啡液 10 条", "Cold brew, 10 sticks", 5_900),
    ("6901010", "月饼礼盒", "Mooncakes, gift box", 19_800),
    ("6901011", "蓝牙音箱", "Bluetooth speaker", 29_900),
    ("6901012", "香薰蜡烛", "Scented candle", 9_900),
];

/// Who works in a store of the demo: name, whether a manager, PIN. The PINs are printed and no secret.
pub const CLERKS: [(&str, bool, &str); 3] = [
    ("林晓", false, "135790"),
    ("Anna Chen", false, "246801"),
    ("周店长", true, "864200"),
];

pub fn store(index: usize) -> (String, String) {
    match STORES.get(index) {
        Some((zh, en)) => ((*zh).to_owned(), (*en).to_owned()),
        None => (format!("{} 号店", index + 1), format!("Store {}", index + 1)),
    }
}

pub fn member(numbers: &mut Numbers) -> String {
    if numbers.below(8) == 0 {
        return numbers.one_of(&ENGLISH_NAMES).unwrap_or_default().to_owned();
    }
    let family = numbers.one_of(&FAMILY_NAMES).unwrap_or_default();
    let given = numbers.one_of(&GIVEN_NAMES).unwrap_or_default();
    format!("{family}{given}")
}

/// A number that no phone has: Chinese mobile numbers never begin with 12.
pub fn phone(numbers: &mut Numbers) -> String {
    format!("12{:09}", numbers.next() % 1_000_000_000)
}

pub fn lines(numbers: &mut Numbers) -> Vec<OrderLine> {
    let first = numbers.below(PRODUCTS.len());
    let count = 1 + numbers.below(3);
    PRODUCTS
        .iter()
        .cycle()
        .skip(first)
        .step_by(5)
        .take(count)
        .map(|&(sku, zh, en, unit_price)| OrderLine {
            sku: sku.to_owned(),
            name_zh: zh.to_owned(),
            name_en: en.to_owned(),
            quantity: 1 + i64::try_from(numbers.below(2)).unwrap_or(0),
            unit_price,
        })
        .collect()
}
