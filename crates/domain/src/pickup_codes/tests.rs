use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::ids::{MemberId, TenantId};

const TENANT: TenantId = TenantId(Uuid::from_u128(7));

fn policy(parts: &str, databases: u8, tables: u8) -> PickupPolicy {
    PickupPolicy {
        parts: serde_json::from_str(parts).unwrap(),
        shards: Shards { databases, tables },
        ..PickupPolicy::default()
    }
}

const FLAT: &str = r#"[{"kind":"random","signs":6},{"kind":"shard"}]"#;
const BY_DIGITS: &str = r#"[{"kind":"random","signs":6},{"kind":"database"},{"kind":"table"}]"#;

fn shard(number: u8) -> Shard {
    Shard::try_from(number).unwrap()
}

/// Example 1 of the issue.
#[test]
fn two_layouts_of_four_databases_with_four_tables() {
    let (flat, digits) = (policy(FLAT, 4, 4), policy(BY_DIGITS, 4, 4));
    assert_eq!((flat.faults(), digits.faults()), (vec![], vec![]));
    let third = flat.shards.at(3, 0).unwrap();
    assert_eq!(flat.code(third, 123_456).as_deref(), Some("12345612"));
    assert_eq!(digits.code(third, 123_456).as_deref(), Some("12345630"));
    let read = digits.read("12345612").unwrap().shard.unwrap();
    assert_eq!((digits.shards.place(read), read.number()), ((1, 2), 6));
    assert_eq!(flat.read("12345645"), None);
    assert_eq!(digits.read("12345645"), None);
}

/// Example 2 of the issue.
#[test]
fn a_policy_without_room_is_refused_with_the_numbers() {
    let mut policy = policy(FLAT, 4, 4);
    policy.stores = 10_000;
    policy.orders_a_day = 50;
    policy.waiting_days = 3;
    policy.rest_days = 30;
    let faults = policy.faults();
    assert_eq!(
        faults[0].to_string(),
        "10000 stores x 50 orders a day x 33 days need 16500000 codes, and there are 16000000 (16 shards x 1000000)"
    );
    assert_eq!((faults.len(), faults[0].field()), (1, "orders_a_day"));
    policy.rest_days = 29;
    assert_eq!(policy.faults(), vec![]);
}

#[test]
fn what_a_policy_is_not_is_named() {
    use BadPickupPolicy as Bad;
    for (parts, databases, fault) in [
        (
            r#"[{"kind":"shard"},{"kind":"fixed","text":"1234"}]"#,
            1,
            Bad::OneRandom,
        ),
        (
            r#"[{"kind":"random","signs":4},{"kind":"random","signs":4}]"#,
            1,
            Bad::OneRandom,
        ),
        (r#"[{"kind":"number","signs":8},{"kind":"check"}]"#, 1, Bad::OneRandom),
        (
            r#"[{"kind":"random","signs":3},{"kind":"fixed","text":"777"}]"#,
            1,
            Bad::RandomSigns,
        ),
        (r#"[{"kind":"random","signs":5}]"#, 1, Bad::Length(5)),
        (
            r#"[{"kind":"random","signs":12},{"kind":"fixed","text":"123456789"}]"#,
            1,
            Bad::Length(21),
        ),
        (
            r#"[{"kind":"random","signs":6},{"kind":"database"}]"#,
            1,
            Bad::ShardOnce,
        ),
        (
            r#"[{"kind":"random","signs":4},{"kind":"shard"},{"kind":"shard"}]"#,
            1,
            Bad::ShardOnce,
        ),
        (r#"[{"kind":"random","signs":6}]"#, 2, Bad::ShardMissing),
        (FLAT, 11, Bad::Shards),
        (FLAT, 0, Bad::Shards),
        (
            r#"[{"kind":"random","signs":6},{"kind":"fixed","text":"A"}]"#,
            1,
            Bad::FixedText,
        ),
        (r#"[{"kind":"check"},{"kind":"random","signs":6}]"#, 1, Bad::CheckLast),
        (r#"[{"kind":"random","signs":11}]"#, 1, Bad::Collides(Other::Phone)),
        (
            r#"[{"kind":"fixed","text":"00861"},{"kind":"random","signs":10}]"#,
            1,
            Bad::Collides(Other::Phone),
        ),
        (r#"[{"kind":"random","signs":12}]"#, 1, Bad::Collides(Other::Gtin)),
        (
            r#"[{"kind":"random","signs":12},{"kind":"fixed","text":"7777"}]"#,
            1,
            Bad::Collides(Other::Coupon),
        ),
    ] {
        assert_eq!(policy(parts, databases, 1).faults(), vec![fault], "{parts}");
    }
    let mut small = policy(FLAT, 1, 1);
    for alphabet in [
        "",
        "123456789",
        "0123456789a",
        "0123456789BA",
        "0123456789AA",
        "0123456789Ä",
    ] {
        small.alphabet = alphabet.into();
        assert_eq!(small.faults(), vec![Bad::Alphabet], "{alphabet}");
    }
    small.alphabet = "0123456789KLMN".into();
    assert_eq!(small.faults(), vec![Bad::Collides(Other::Member)]);
    small.parts.insert(0, PickupPart::Fixed { text: "K".into() });
    assert_eq!(small.faults(), vec![]);
    let mut nothing = policy(FLAT, 1, 1);
    (
        nothing.stores,
        nothing.orders_a_day,
        nothing.waiting_days,
        nothing.rest_days,
    ) = (0, -1, 367, 0);
    let fields: Vec<_> = nothing.faults().iter().map(BadPickupPolicy::field).collect();
    assert_eq!(fields, ["stores", "orders_a_day", "waiting_days", "rest_days"]);
}

#[test]
fn codes_that_are_not_phones_may_have_eleven_digits() {
    let parts = r#"[{"kind":"fixed","text":"9"},{"kind":"random","signs":10}]"#;
    assert_eq!(policy(parts, 1, 1).faults(), vec![]);
    assert!(policy(FLAT, 1, 1).is_like_ean8());
    assert!(!policy(parts, 1, 1).is_like_ean8());
}

#[test]
fn the_number_of_the_order_may_be_its_code() {
    let mut policy = policy(r#"[{"kind":"number","signs":10}]"#, 4, 4);
    policy.alphabet = "0123456789DX".into();
    assert_eq!(policy.faults(), vec![]);
    assert_eq!(policy.code_of_number("dd-2026 0001"), Some("DD20260001".into()));
    assert_eq!(policy.code_of_number("D-2026-1"), None);
    assert_eq!(policy.code(Shard::ZERO, 1).as_deref(), Some("0000000001"));
    let read = policy.read("DD20260001").unwrap();
    assert_eq!((read.code.as_str(), read.shard), ("DD20260001", None));
    assert_eq!(PickupPolicy::default().code_of_number("12345600"), None);
}

#[test]
fn a_slip_of_the_finger_is_noticed() {
    let policy = policy(
        r#"[{"kind":"random","signs":6},{"kind":"shard"},{"kind":"check"}]"#,
        1,
        1,
    );
    let code = policy.code(Shard::ZERO, 799_273).unwrap();
    assert_eq!(policy.read(&code).unwrap().shard, Some(Shard::ZERO));
    for at in 0..code.len() {
        for digit in '0'..='9' {
            let mut other: Vec<char> = code.chars().collect();
            other[at] = digit;
            let other: String = other.into_iter().collect();
            assert_eq!(policy.read(&other).is_some(), other == code, "{other}");
        }
    }
}

#[test]
fn the_default_is_the_code_of_before() {
    let policy = PickupPolicy::default();
    assert_eq!(policy.faults(), vec![]);
    assert_eq!(policy.code(Shard::ZERO, 42).as_deref(), Some("00004200"));
    assert_eq!(policy.read(" ]C1１２３４-5600\r\n").unwrap().code, "12345600");
    assert_eq!(policy.read("12345607"), None);
    assert_eq!(policy.read("1234560"), None);
}

#[test]
fn a_change_that_leads_elsewhere_is_seen() {
    let flat = policy(FLAT, 4, 4);
    let conflict = |other: &PickupPolicy| {
        let text = flat.conflict(other);
        assert_eq!(text.is_some(), other.conflict(&flat).is_some());
        text
    };
    let text = conflict(&policy(BY_DIGITS, 4, 4)).unwrap();
    let other = policy(BY_DIGITS, 4, 4);
    let lead = |policy: &PickupPolicy| policy.shards.place(policy.read(&text).unwrap().shard.unwrap());
    assert_ne!(lead(&flat), lead(&other));
    // One table more in each, and the second database begins elsewhere; one database more changes nothing that was.
    assert!(conflict(&policy(FLAT, 4, 5)).is_some());
    assert_eq!(conflict(&policy(FLAT, 5, 4)), None);
    assert_eq!(conflict(&policy(FLAT, 1, 1)), None);
    // By digits the place stays where there are more tables, and the shard's number does not.
    let digits = policy(BY_DIGITS, 4, 4);
    assert!(digits.conflict(&policy(BY_DIGITS, 4, 5)).is_some());
    assert_eq!(digits.conflict(&policy(BY_DIGITS, 5, 4)), None);
    // Another length is another code.
    assert_eq!(
        conflict(&policy(
            r#"[{"kind":"random","signs":7},{"kind":"database"},{"kind":"table"}]"#,
            4,
            4
        )),
        None
    );
    // What begins otherwise is never the same text.
    let [one, two] = ["1", "2"].map(|text| {
        let parts = format!(r#"[{{"kind":"fixed","text":"{text}"}},{{"kind":"shard"}},{{"kind":"random","signs":5}}]"#);
        policy(&parts, 4, 4)
    });
    assert_eq!(one.conflict(&two), None);
    assert!(conflict(&one).is_some());
    assert!(conflict(&policy(r#"[{"kind":"number","signs":8}]"#, 1, 1)).is_some());
}

#[test]
fn orders_of_a_member_lie_together_and_all_of_them_everywhere() {
    let shards = Shards {
        databases: 4,
        tables: 4,
    };
    let member = |n: u128| MemberId(Uuid::from_u128(n));
    let of = |n| shards.of(TENANT, Owner::Member(member(n)));
    assert_eq!(of(1), of(1));
    let mut counts = [0_u32; 16];
    for n in 0..16_000 {
        counts[usize::from(of(n).byte())] += 1;
    }
    assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    let others = (0..1_000).filter(|n| of(*n) != shards.of(TenantId(Uuid::from_u128(8)), Owner::Member(member(*n))));
    assert!(others.count() > 800);
    assert_eq!(Shards::default().of(TENANT, Owner::Number("A-1")), Shard::ZERO);
}

/// Digits at every place, and the way from one code to the next, as if drawn: who sees some codes learns neither how many
/// there are nor which was first. Chi-squared of ten cells, nine degrees of freedom: 40 is passed once in 130,000 times.
#[test]
fn codes_reveal_neither_order_nor_volume() {
    let policy = PickupPolicy::default();
    let mut seed = 88_172_645_463_325_252_u64;
    // Xorshift, as good as any source that has nothing to do with the codes; the program takes the system's.
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let codes: Vec<String> = (0..50_000)
        .map(|_| policy.code(Shard::ZERO, policy.draw(next())).unwrap())
        .collect();
    let chi = |cells: [u32; 10]| {
        let expected = f64::from(cells.iter().sum::<u32>()) / 10.0;
        cells
            .iter()
            .map(|n| (f64::from(*n) - expected).powi(2) / expected)
            .sum::<f64>()
    };
    for at in 0..6 {
        let digit = |code: &String| usize::from(code.as_bytes()[at] - b'0');
        let (mut each, mut step) = ([0; 10], [0; 10]);
        codes.iter().for_each(|code| each[digit(code)] += 1);
        codes
            .windows(2)
            .for_each(|pair| step[(10 + digit(&pair[1]) - digit(&pair[0])) % 10] += 1);
        assert!(chi(each) < 40.0 && chi(step) < 40.0, "{at}: {each:?} {step:?}");
    }
    let rises = codes.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((24_400..25_600).contains(&rises), "{rises}");
}

fn layouts() -> impl Strategy<Value = PickupPolicy> {
    let tail = prop_oneof![
        Just(vec![]),
        Just(vec![PickupPart::Shard {}]),
        Just(vec![PickupPart::Database {}, PickupPart::Table {}]),
        Just(vec![PickupPart::Table {}, PickupPart::Database {}]),
    ];
    let alphabet = prop_oneof![
        Just(DIGITS.to_owned()),
        Just("0123456789ABCDEFGHJKNPQRSTVWXYZ".to_owned())
    ];
    (
        6..=8_u8,
        tail,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        alphabet,
        1..=10_u8,
        1..=10_u8,
    )
        .prop_map(|(signs, mut parts, fixed, first, check, alphabet, databases, tables)| {
            let spread = !parts.is_empty();
            let at = if first { 0 } else { parts.len() };
            parts.insert(at, PickupPart::Random { signs });
            if fixed {
                parts.insert(0, PickupPart::Fixed { text: "70".into() });
            }
            if check {
                parts.push(PickupPart::Check {});
            }
            PickupPolicy {
                parts,
                alphabet,
                shards: if spread {
                    Shards { databases, tables }
                } else {
                    Shards::default()
                },
                stores: 1,
                orders_a_day: 1,
                ..PickupPolicy::default()
            }
        })
}

proptest! {
    #[test]
    fn a_code_is_read_back_to_its_shard(policy in layouts(), draw: u64, number: u8) {
        let shard = shard(number % policy.shards.count());
        let code = policy.code(shard, policy.draw(draw)).unwrap();
        let read = policy.read(&code).unwrap();
        prop_assert_eq!((read.code.as_str(), read.shard), (code.as_str(), Some(shard)));
        prop_assert_eq!(code.len(), policy.length());
        let lower = policy.read(&code.to_lowercase()).map(|read| read.code);
        prop_assert_eq!(lower, Some(code));
        let json = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<PickupPolicy>(&json).unwrap(), policy);
    }

    #[test]
    fn codes_rise_with_what_is_drawn(policy in layouts(), a: u64, b: u64, number: u8) {
        let shard = shard(number % policy.shards.count());
        let (a, b) = (policy.draw(a), policy.draw(b));
        let without_check = |code: String| match policy.parts.last() {
            Some(PickupPart::Check {}) => code[..code.len() - 1].to_owned(),
            _ => code,
        };
        let code = |draw| without_check(policy.code(shard, draw).unwrap());
        prop_assert_eq!(a.cmp(&b), code(a).cmp(&code(b)));
        prop_assert_eq!(policy.code(shard, policy.room()), None);
    }

    #[test]
    fn no_text_is_too_strange(policy in layouts(), text in any::<String>(), digits in "[0-9A-Z]{6,20}") {
        for text in [text, digits] {
            if let Some(read) = policy.read(&text) {
                prop_assert!(read.shard.is_some_and(|shard| shard.byte() < policy.shards.count()));
                prop_assert_eq!(policy.read(&read.code), Some(read));
            }
        }
    }

    /// Whatever two policies may stand side by side, no code of one leads elsewhere by the other.
    #[test]
    fn policies_that_do_not_conflict_agree(one in layouts(), two in layouts(), draws: Vec<(u64, u8)>) {
        if let Some(text) = one.conflict(&two) {
            prop_assert_eq!(text.len(), one.length());
            prop_assert!(two.conflict(&one).is_some());
        } else {
            for (draw, number) in draws {
                let shard = shard(number % one.shards.count());
                let code = one.code(shard, one.draw(draw)).unwrap();
                let place = |policy: &PickupPolicy| {
                    let shard = policy.read(&code)?.shard?;
                    Some((shard, policy.shards.place(shard)))
                };
                prop_assert!(place(&two).is_none() || place(&one) == place(&two), "{code}");
            }
        }
    }

    #[test]
    fn policies_that_have_no_fault_have_room_for_distinct_codes(policy in layouts(), draws: BTreeSet<u64>) {
        prop_assume!(policy.faults().is_empty());
        let drawn: BTreeSet<u64> = draws.iter().map(|draw| policy.draw(*draw)).collect();
        let codes: BTreeSet<String> = drawn.iter().filter_map(|draw| policy.code(Shard::ZERO, *draw)).collect();
        prop_assert_eq!(codes.len(), drawn.len());
    }
}
