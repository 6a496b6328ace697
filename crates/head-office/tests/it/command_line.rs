//! `counterfoil-hq` as people and scripts use it: what it prints, what it ends with, what it refuses.

use counterfoil_domain::{
    operations::{Action, FailedAttempt},
    time::DAY,
    tokens::{Token, TokenError},
    transition::Answer,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Connection, Row};

use crate::common::{Fresh, On, START, chain, fresh};
use crate::program::{hq, hq_told};

counterfoil_head_office::on_both! {
    an_empty_head_office_gets_what_it_needs,
    secrets_are_shown_once_and_taken_away,
    seeding_twice_adds_nothing_twice,
    orders_and_coupons_made_by_hand_reach_the_feeds,
    a_person_decides_about_a_device_while_another_process_serves_it,
}

async fn number(fresh: &Fresh, sql: &'static str) -> i64 {
    let mut connection = AnyConnection::connect(&fresh.url).await.unwrap();
    let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
    row.try_get(0).unwrap()
}

async fn bytes(fresh: &Fresh, sql: &'static str) -> Vec<Vec<u8>> {
    let mut connection = AnyConnection::connect(&fresh.url).await.unwrap();
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.try_get(0).unwrap()).collect()
}

fn nothing_is_broken(fresh: &Fresh) {
    let said = hq(&fresh.url, &["verify"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let checks: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(checks.len() > 20);
    assert!(
        checks
            .iter()
            .all(|check| check["ok"] == true && check["check"].is_string())
    );
}

async fn secrets_are_shown_once_and_taken_away(on: On) {
    let fresh = fresh(on).await;
    let url = &fresh.url;
    hq(url, &["admin", "tenant", "add", "--code", "demo", "--name", "Demo"]).json();
    let link_key = |more: &[&str]| hq(url, &[&["admin", "tenant", "link-key"], more].concat());
    let first = link_key(&[]);
    assert_eq!((first.code, first.out.trim_end().len()), (0, 64), "{}", first.err);
    link_key(&[]).refused(2, "link_key_exists");
    let second = link_key(&["--rotate"]);
    assert_ne!(first.out, second.out);
    assert_eq!(
        bytes(&fresh, "SELECT link_key FROM tenants").await,
        [hex::decode(second.out.trim_end()).unwrap()]
    );

    let add = ["admin", "operator", "add", "--name", "ops", "--role", "auditor"];
    let added = hq(url, &add).json();
    hq(url, &add).refused(2, "taken");
    let listed = hq(url, &["admin", "operator", "list"]).json();
    assert_eq!(
        (&listed["id"], &listed["role"]),
        (&added["id"], &Value::from("auditor"))
    );
    assert_eq!(listed["active"], true);
    assert!(listed.get("token").is_none(), "it was shown once");
    let take_away = ["admin", "operator", "deactivate", "--name", "ops"];
    assert_eq!(hq(url, &take_away).json()["id"], added["id"]);
    hq(url, &take_away).refused(2, "not_found");
    assert_eq!(hq(url, &["admin", "operator", "list"]).json()["active"], false);
    assert_eq!(
        number(
            &fresh,
            "SELECT COUNT(*) FROM audit WHERE action IN ('tenant.link_key_made', 'operator.added', 'operator.deactivated')"
        )
        .await,
        4
    );
}

async fn an_empty_head_office_gets_what_it_needs(on: On) {
    let fresh = fresh(on).await;
    let url = &fresh.url;
    hq(url, &["device", "enrol-code", "--store", "s-01"]).refused(2, "not_found");
    let tenant = hq(url, &["admin", "tenant", "add", "--code", "shanlan", "--name", "山岚"]).json();
    assert_eq!(tenant["code"], "shanlan");
    let store = [
        "admin",
        "store",
        "add",
        "--code",
        "s-01",
        "--name-zh",
        "人民广场店",
        "--name-en",
        "People's Square",
    ];
    assert_eq!(hq(url, &store).json()["code"], "s-01");
    let manager = [
        "admin",
        "clerk",
        "add",
        "--store",
        "s-01",
        "--name",
        "林晓",
        "--role",
        "manager",
        "--pin-stdin",
    ];
    assert_eq!(hq_told(url, &manager, "135790\n").json()["role"], "manager");
    let clerk = [
        "admin", "clerk", "add", "--store", "s-01", "--name", "Anna", "--role", "clerk", "--pin", "246801",
    ];
    assert_eq!(hq(url, &clerk).json()["role"], "clerk");
    let operator = hq(url, &["admin", "operator", "add", "--name", "ops", "--role", "admin"]).json();

    // Only hashes are kept, and nothing secret was told to the audit log.
    let token = operator["token"].as_str().unwrap();
    let hashes = bytes(&fresh, "SELECT token_hash FROM operators").await;
    assert_eq!(hashes, [Sha256::digest(token.as_bytes()).to_vec()]);
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let rows = sqlx::query("SELECT pin_hash AS text FROM clerks UNION ALL SELECT action || ' ' || detail FROM audit")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let kept: Vec<String> = rows.iter().map(|row| row.try_get("text").unwrap()).collect();
    assert_eq!(kept.iter().filter(|text| text.starts_with("$argon2id$")).count(), 2);
    assert_eq!(kept.iter().filter(|text| text.starts_with("clerk.added")).count(), 2);
    assert!(
        kept.iter()
            .all(|text| !text.contains("135790") && !text.contains(token))
    );

    // Counters hear of it: the key and the store in the tenant's feed, limits and clerks in the store's own.
    assert_eq!(
        number(
            &fresh,
            "SELECT COUNT(*) FROM feed WHERE entity IN ('token_key', 'store')"
        )
        .await,
        2
    );
    assert_eq!(
        number(&fresh, "SELECT COUNT(*) FROM feed WHERE entity IN ('limits', 'clerk')").await,
        3
    );

    let code = hq(url, &["device", "enrol-code", "--store", "s-01"]);
    assert_eq!((code.code, code.out.trim().len(), code.out.lines().count()), (0, 11, 1));
    assert!(code.err.contains("15 minutes"), "{}", code.err);

    // What does not fit is refused, and changes nothing.
    let before = number(&fresh, "SELECT COUNT(*) FROM audit").await;
    hq(url, &["admin", "tenant", "add", "--code", "shanlan", "--name", "x"]).refused(2, "taken");
    hq(url, &["admin", "tenant", "add", "--code", "a b", "--name", "x"]).refused(2, "malformed");
    hq(
        url,
        &[
            "admin",
            "tenant",
            "add",
            "--code",
            "b",
            "--name",
            "x",
            "--currency",
            "yuan",
        ],
    )
    .refused(2, "malformed");
    hq(url, &store).refused(2, "taken");
    hq(url, &clerk).refused(2, "taken");
    hq_told(url, &manager, "1357").refused(2, "pin_malformed");
    hq(url, &manager[..9]).refused(2, "pin_missing");
    hq(
        url,
        &[
            "admin",
            "store",
            "add",
            "--code",
            "s-02",
            "--name-zh",
            "二",
            "--name-en",
            " ",
        ],
    )
    .refused(2, "malformed");
    let elsewhere = ["--tenant", "nobody"];
    hq(url, &[&store[..], &elsewhere[..]].concat()).refused(2, "not_found");
    hq(url, &["device", "enrol-code", "--store", "s-99"]).refused(2, "not_found");
    assert_eq!(number(&fresh, "SELECT COUNT(*) FROM audit").await, before);
    nothing_is_broken(&fresh);
}

const SMALL: [&str; 9] = [
    "seed",
    "--stores",
    "2",
    "--members",
    "12",
    "--coupons",
    "90",
    "--pickups",
    "24",
];

async fn seeding_twice_adds_nothing_twice(on: On) {
    let database = fresh(on).await;
    let url = &database.url;
    let first = hq(url, &SMALL).json();
    assert_eq!(first["tenant"], "demo");
    assert_eq!(first["already_there"], false);
    assert_eq!(first["added"]["coupons"], 90);
    assert_eq!(first["added"]["pickups"], 24);
    assert_eq!(first["stores"][1]["code"], "s-02");
    assert_eq!(first["clerks"].as_array().unwrap().len(), 6);
    let coupons = first["coupons"].as_array().unwrap();
    assert_eq!(coupons.len(), 12);
    for policy in ["online_only", "home_store", "floor_limit"] {
        assert!(coupons.iter().any(|coupon| coupon["offline"] == policy), "{policy}");
    }
    assert!(
        coupons
            .iter()
            .all(|coupon| coupon["code"].as_str().unwrap().len() == 18)
    );
    assert_eq!(first["pickups"].as_array().unwrap().len(), 6);
    assert_eq!(
        number(&database, "SELECT COUNT(DISTINCT offline) FROM templates").await,
        3
    );

    // The tokens count, and only with this head office's key.
    let key: [u8; 32] = bytes(&database, "SELECT public_key FROM token_keys")
        .await
        .remove(0)
        .try_into()
        .unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key).unwrap();
    let another = ed25519_dalek::SigningKey::from_bytes(&[1; 32]).verifying_key();
    let now = counterfoil_head_office::clock::Clock::now(&counterfoil_head_office::clock::SystemClock);
    for token in first["tokens"].as_array().unwrap() {
        let text = token.as_str().unwrap();
        let token = Token::verify(text, now, |_| Some(key)).unwrap();
        assert!(token.expires_at > now + 364 * DAY);
        assert_eq!(
            Token::verify(text, now, |_| Some(another)),
            Err(TokenError::BadSignature)
        );
    }

    let ids = "SELECT id FROM coupons UNION ALL SELECT id FROM members UNION ALL SELECT id FROM orders ORDER BY id";
    let made = bytes(&database, ids).await;
    let lines = number(&database, "SELECT COUNT(*) FROM feed").await;
    let again = hq(url, &SMALL);
    assert!(again.err.contains("already there"));
    let again: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(again["already_there"], true);
    assert_eq!(again["coupons"], first["coupons"]);
    assert_eq!(bytes(&database, ids).await, made);
    assert_eq!(number(&database, "SELECT COUNT(*) FROM feed").await, lines);

    // The same seed makes the same rows elsewhere; more of it adds the rest; another one adds others.
    let elsewhere = fresh(on).await;
    hq(&elsewhere.url, &SMALL).json();
    assert_eq!(bytes(&elsewhere, ids).await, made);
    let more = hq(url, &["seed", "--stores", "2", "--members", "12", "--coupons", "100"]).json();
    assert_eq!(
        (&more["added"]["coupons"], &more["added"]["members"]),
        (&10.into(), &0.into())
    );
    let other = hq(url, &["seed", "--stores", "3", "--coupons", "30", "--seed", "2"]).json();
    assert_eq!(
        (&other["added"]["coupons"], &other["added"]["stores"]),
        (&30.into(), &1.into())
    );
    assert_eq!(number(&database, "SELECT COUNT(DISTINCT code) FROM coupons").await, 130);
    nothing_is_broken(&database);

    hq(url, &["seed"]).refused(2, "nothing_to_do");
    hq(url, &["seed", "--stores", "0", "--coupons", "5"]).refused(2, "database_settings");
    assert_eq!(hq(url, &["seed", "--coupons", "many"]).code, 2);
}

async fn orders_and_coupons_made_by_hand_reach_the_feeds(on: On) {
    let fresh = fresh(on).await;
    let url = &fresh.url;
    hq(url, &SMALL).json();
    let line = r#"[{"sku":"1","name_zh":"豆","name_en":"Beans","quantity":2,"unit_price":6800}]"#;
    // Member 0 of seed 1 belongs to s-01; the order waits in s-02.
    let order = [
        "admin",
        "order",
        "add",
        "--store",
        "s-02",
        "--number",
        "N-1",
        "--collector",
        "Anna",
        "--member",
        "000010000000",
        "--lines",
        line,
    ];
    let lines = "SELECT COUNT(*) FROM feed";
    let before = number(&fresh, lines).await;
    let added = hq(url, &order).json();
    assert_eq!(added["code"].as_str().unwrap().len(), 8);
    // The order goes to both stores, the member with their account and all their coupons to the new one.
    let member = "(SELECT member FROM orders WHERE number = 'N-1')";
    let theirs = format!("SELECT COUNT(*) FROM coupons WHERE member = {member}");
    let theirs = number(&fresh, Box::leak(theirs.into_boxed_str())).await;
    assert_eq!(number(&fresh, lines).await, before + 4 + theirs);
    hq(url, &order).refused(2, "taken");
    let code = added["code"].as_str().unwrap();
    let named = |number: &'static str, code: &'static str, lines: &'static str| {
        [
            "admin",
            "order",
            "add",
            "--store",
            "s-01",
            "--number",
            number,
            "--collector",
            "Anna",
            "--code",
            code,
            "--lines",
            lines,
        ]
    };
    let mut taken = named("N-2", "", line);
    taken[10] = code;
    hq(url, &taken).refused(2, "taken");
    hq(url, &named("N-2", "123", line)).refused(2, "malformed");
    hq(url, &named("N-2", "12345600", "[]")).refused(2, "malformed");
    hq(url, &named("N-2", "12345600", "no")).refused(2, "malformed");
    assert_eq!(hq(url, &named("N-2", "12345600", line)).json()["code"], "12345600");

    let template = bytes(&fresh, "SELECT id FROM templates ORDER BY category LIMIT 1")
        .await
        .remove(0);
    let template = uuid::Uuid::from_slice(&template).unwrap().to_string();
    let grant = [
        "admin",
        "coupon",
        "grant",
        "--member",
        "000010000000",
        "--template",
        &template,
        "--count",
        "70",
    ];
    let mut codes = Vec::new();
    for _ in 0..2 {
        let granted = hq(url, &grant).json();
        codes.extend(
            granted["coupons"]
                .as_array()
                .unwrap()
                .iter()
                .map(|coupon| coupon["code"].to_string()),
        );
    }
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), 140);
    let formless = "SELECT COUNT(*) FROM batches WHERE claimed = 70 AND (code_head IS NULL OR code_form IS NULL OR first_counter IS NULL)";
    assert_eq!(number(&fresh, formless).await, 0);
    let undated = "SELECT COUNT(*) FROM templates WHERE status = 'published' AND published_at IS NULL";
    assert_eq!(number(&fresh, undated).await, 0);
    // The member is known in both stores by now.
    assert_eq!(number(&fresh, lines).await, before + 4 + theirs + 1 + 2 * 2 * 70);
    let nobody = [
        "admin",
        "coupon",
        "grant",
        "--member",
        "nobody",
        "--template",
        &template,
    ];
    hq(url, &nobody).refused(2, "not_found");
    nothing_is_broken(&fresh);
}

async fn a_person_decides_about_a_device_while_another_process_serves_it(on: On) {
    let chain = chain(on, 10).await;
    let url = &chain.fresh.url;
    let mut counter = chain.counter().await;
    let id = counter.device.to_string();
    let attempt = || Action::FailedAttempt(FailedAttempt { digest: "00".into() });
    let first = counter.make(attempt(), START);
    chain.push(&[first]).await;
    hq(url, &["admin", "device", "new-epoch", "--device", &id]).refused(2, "device_status");

    // A cloned disk: two branches. The device is frozen until a person has looked at it.
    let (seq, head) = (counter.seq, counter.head);
    let own = counter.make(attempt(), START);
    let tail = counter.make(attempt(), START);
    let old_head = counter.head;
    (counter.seq, counter.head) = (seq, head);
    let cloned = counter.make(attempt(), START + 1);
    chain.push(&[own]).await;
    assert_eq!(chain.push(&[cloned]).await, [Answer::Fork]);
    let decided = hq(url, &["admin", "device", "new-epoch", "--device", &id]).json();
    assert_eq!(
        (&decided["status"], &decided["epoch"], &decided["changed"]),
        (&"active".into(), &2.into(), &true.into())
    );

    // The server goes on with it at once: the rest of the old epoch is set aside, the new one counts.
    assert!(matches!(chain.push(&[tail]).await[..], [Answer::Done { .. }]));
    (counter.epoch, counter.seq, counter.head) = (2, 0, old_head);
    let next = counter.make(attempt(), START);
    assert!(matches!(chain.push(&[next]).await[..], [Answer::Done { .. }]));
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM operations WHERE detail = 'closed_epoch'")
            .await,
        1
    );

    let revoke = ["admin", "device", "revoke", "--device", &id];
    assert_eq!(hq(url, &revoke).json()["changed"], true);
    assert_eq!(hq(url, &revoke).json()["changed"], false);
    let last = counter.make(attempt(), START);
    chain.push(&[last]).await;
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM operations WHERE detail = 'device_revoked'")
            .await,
        1
    );
    hq(url, &["admin", "device", "new-epoch", "--device", &id]).refused(2, "device_status");
    let nobody = uuid::Uuid::nil().to_string();
    hq(url, &["admin", "device", "revoke", "--device", &nobody]).refused(2, "not_found");
    assert_eq!(hq(url, &["admin", "device", "revoke", "--device", "x"]).code, 2);
    nothing_is_broken(&chain.fresh);
}
