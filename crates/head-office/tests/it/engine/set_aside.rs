//! What the database does not take is set aside alone, and says where it stands.

use counterfoil_domain::{
    operations::{Outcome, QuarantineReason},
    transition::{Arrival, Command},
};
use counterfoil_head_office::{coupons, members};

use super::{APPLIED, done};
use crate::common::{On, START, chain, until};

counterfoil_head_office::on_both! {
    an_operation_that_breaks_a_constraint_is_set_aside_alone,
    what_can_never_be_stored_is_set_aside_and_the_journal_goes_on,
    what_fails_for_no_known_reason_is_narrowed_down_and_not_tried_for_ever,
    a_row_that_does_not_read_says_where_it_stands,
}

async fn an_operation_that_breaks_a_constraint_is_set_aside_alone(on: On) {
    let chain = chain(on, 9).await;
    let (mut first, mut second) = (chain.counter().await, chain.counter().await);
    let taken = first.make(chain.redeem(chain.coupons[4], None), START);
    assert_eq!(chain.push(&[taken]).await, [APPLIED]);
    // A double redemption whose case can't be stored.
    let mut pushed = Vec::new();
    for id in &chain.coupons {
        pushed.push(second.make(chain.redeem(*id, None), START));
    }
    let id = hex::encode(pushed[4].id.bytes());
    let no_case = match on {
        On::Sqlite => format!(
            "CREATE TRIGGER no_case BEFORE INSERT ON exceptions WHEN NEW.operation = X'{id}' BEGIN SELECT RAISE(ABORT, 'no'); END"
        ),
        On::Postgres => format!("ALTER TABLE exceptions ADD CONSTRAINT no_case CHECK (operation <> '\\x{id}')"),
    };
    chain.run(no_case).await;
    let answers = chain.push(&pushed).await;
    for (n, answer) in answers.iter().enumerate() {
        let wanted = match n {
            4 => done(
                Outcome::Quarantined {
                    reason: QuarantineReason::HandlerFailed,
                },
                false,
            ),
            _ => APPLIED,
        };
        assert_eq!(*answer, wanted, "operation {n}");
    }
    assert_eq!(
        chain.push(&pushed[4..5]).await,
        [done(
            Outcome::Quarantined {
                reason: QuarantineReason::HandlerFailed
            },
            true
        )]
    );
}

async fn what_can_never_be_stored_is_set_aside_and_the_journal_goes_on(on: On) {
    let chain = chain(on, 3).await;
    let (mut first, mut second) = (chain.counter().await, chain.counter().await);
    let taken = first.make(chain.redeem(chain.coupons[1], None), START);
    assert_eq!(chain.push(&[taken]).await, [APPLIED]);
    let pushed: Vec<_> = (0..3)
        .map(|n| second.make(chain.redeem(chain.coupons[n], None), START))
        .collect();
    // Its case is never there, as if somebody were always first: not an error of the database at all.
    let id = hex::encode(pushed[1].id.bytes());
    let swallow = match on {
        On::Sqlite => vec![format!(
            "CREATE TRIGGER swallow BEFORE INSERT ON exceptions WHEN NEW.operation = X'{id}' BEGIN SELECT RAISE(IGNORE); END"
        )],
        On::Postgres => vec![
            "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'".to_owned(),
            format!(
                "CREATE TRIGGER swallow BEFORE INSERT ON exceptions FOR EACH ROW WHEN (NEW.operation = '\\x{id}') EXECUTE FUNCTION swallow()"
            ),
        ],
    };
    for sql in swallow {
        chain.run(sql).await;
    }
    let reason = QuarantineReason::HandlerFailed;
    let aside = done(Outcome::Quarantined { reason }, false);
    assert_eq!(chain.push(&pushed).await, [APPLIED, aside, APPLIED]);
}

/// An error that says nothing of whose fault it is: of a kind that nobody knows, and one that took too long.
async fn what_fails_for_no_known_reason_is_narrowed_down_and_not_tried_for_ever(on: On) {
    let kinds: &[&str] = match on {
        On::Sqlite => &["SELECT abs(-9223372036854775808)"],
        On::Postgres => &["XX000", "57014"],
    };
    for kind in kinds {
        let chain = chain(on, 6).await;
        let (mut first, mut second, mut third) = (chain.counter().await, chain.counter().await, chain.counter().await);
        let taken = first.make(chain.redeem(chain.coupons[1], None), START);
        assert_eq!(chain.push(&[taken]).await, [APPLIED]);
        let pushed: Vec<_> = (0..3)
            .map(|n| second.make(chain.redeem(chain.coupons[n], None), START))
            .collect();
        let id = hex::encode(pushed[1].id.bytes());
        let fail = match on {
            On::Sqlite => vec![format!(
                "CREATE TRIGGER fail BEFORE INSERT ON exceptions WHEN NEW.operation = X'{id}' BEGIN {kind}; END"
            )],
            On::Postgres => vec![
                format!(
                    "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION USING ERRCODE = ''{kind}''; END'"
                ),
                format!(
                    "CREATE TRIGGER fail BEFORE INSERT ON exceptions FOR EACH ROW WHEN (NEW.operation = '\\x{id}') EXECUTE FUNCTION fail()"
                ),
            ],
        };
        for sql in fail {
            chain.run(sql).await;
        }
        let engine = &chain.app.engine;
        assert_eq!(chain.push(&pushed[..1]).await, [APPLIED]);
        // While nothing else goes through, it may be anybody's fault.
        for _ in 0..5 {
            let alone = vec![Command::Operation(pushed[1].clone())];
            engine.submit(chain.tenant, alone).await.unwrap_err();
        }
        // Each time somebody else's work is in the same group, and is done all the same.
        for round in 0..2 {
            let other = third.make(chain.redeem(chain.coupons[3 + round], None), START);
            engine.gate().open(false);
            let taken = engine.submitted();
            let commands = |arrivals: &[Arrival]| arrivals.iter().cloned().map(Command::Operation).collect();
            let (poisoned, fine): (Vec<_>, Vec<_>) = (commands(&pushed), commands(&[other]));
            let open = async {
                until(async || engine.submitted() >= taken + 2).await;
                engine.gate().open(true);
            };
            let (poisoned, fine, ()) = tokio::join!(
                engine.submit(chain.tenant, poisoned),
                engine.submit(chain.tenant, fine),
                open
            );
            assert_eq!(fine.unwrap()[0].answer, APPLIED, "{kind} {round}");
            match (round, poisoned) {
                (0, refused) => {
                    refused.unwrap_err();
                }
                (_, done_now) => {
                    let answers: Vec<_> = done_now.unwrap().into_iter().map(|one| one.answer).collect();
                    let reason = QuarantineReason::HandlerFailed;
                    assert_eq!(
                        answers,
                        [
                            done(Outcome::Applied, true),
                            done(Outcome::Quarantined { reason }, false),
                            APPLIED
                        ],
                        "{kind}"
                    );
                }
            }
        }
    }
}

async fn a_row_that_does_not_read_says_where_it_stands(on: On) {
    let chain = chain(on, 2).await;
    let (coupon, member, template) = (chain.coupons[1], chain.member, chain.template);
    chain.run("UPDATE coupons SET surplus = '{'").await;
    chain.run("UPDATE members SET recent_stores = SUBSTR(id, 1, 5)").await;
    chain.run("UPDATE templates SET rule = '{'").await;
    let mut snapshot = chain.app.db.snapshot().await.unwrap();
    let error = coupons::rows::load(&mut snapshot, chain.tenant, &[coupon], "").await;
    assert_eq!(
        error.unwrap_err().to_string(),
        format!("column surplus of coupons holds something unexpected where id {coupon}")
    );
    let error = members::rows::load(&mut snapshot, chain.tenant, &[member], "").await;
    assert_eq!(
        error.unwrap_err().to_string(),
        format!("column recent_stores of members holds something unexpected where id {member}")
    );
    let error = coupons::rows::load_templates(&mut snapshot, chain.tenant, &[(template, 1)]).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        format!("column rule of templates holds something unexpected where id {template}, template_version 1")
    );
}
