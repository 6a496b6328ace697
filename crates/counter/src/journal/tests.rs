//! What is acknowledged of a journal with holes.

use crate::testing::Shop;

#[tokio::test]
async fn nothing_is_acknowledged_that_is_not_held() {
    let shop = Shop::new().await;
    for (held, acknowledged) in [
        ("", 0),
        ("w", 0),
        ("s", 1),
        ("sssww", 3),
        // Salvage lost a pending operation: head office never had it, nor what follows.
        ("ss-ww", 2),
        ("ss-w", 2),
        ("s-ss", 1),
        ("s-ssw-s", 1),
        ("-ww", 0),
        // Pruned, then settled.
        ("--ss", 4),
        ("--s-s", 3),
        ("--ssw", 4),
        ("ssws", 2),
    ] {
        let mut writer = shop.inner.db.write().await;
        let mut tx = writer.begin().await.unwrap();
        // Another epoch has no say.
        for (epoch, places) in [(1, "ssssssss"), (2, held), (3, "w")] {
            for (seq, state) in (1i64..).zip(places.chars()) {
                let settled = match state {
                    's' => true,
                    'w' => false,
                    _ => continue,
                };
                sqlx::query(
                    "INSERT INTO journal (epoch, seq, op_id, kind, occurred_at, fingerprint, prev_hash, body, \
                     clerk_name, title_zh, title_en, worth, confirmed, state, outcome) \
                     VALUES (?1, ?2, randomblob(16), 'void', 0, x'', x'', '{}', '', '', '', 0, 0, ?3, ?4)",
                )
                .bind(epoch)
                .bind(seq)
                .bind(if settled { "settled" } else { "pending" })
                .bind(settled.then_some("applied"))
                .execute(&mut *tx)
                .await
                .unwrap();
            }
        }
        assert_eq!(super::acknowledged(&mut tx, 2).await.unwrap(), acknowledged, "{held}");
        tx.rollback().await.unwrap();
    }
}
