//! The engine on SQLite and on PostgreSQL: the same rules, the same answers.

use std::sync::Arc;

use counterfoil_domain::{
    coupons::{CouponState, FREEZE_LASTS},
    ids::{FreezeId, OperationId},
    operations::{Action, CollectOrder, ExceptionKind, Outcome, QuarantineReason, VoidRedemption},
    transition::{Answer, Arrival, AskFreeze, CancelFreeze, Command, Subject},
    verdict::Reason,
};
use counterfoil_head_office::clock::Clock;
use counterfoil_head_office::{App, clock::SystemRandom, coupons, members};

use crate::common::{Chain, Counter, HOUR, On, START, chain, in_time, random10, until};

counterfoil_head_office::on_both! {
    a_redemption_has_one_effect_and_replays_its_outcome,
    a_push_may_hold_the_same_operation_twice,
    a_gap_is_named_and_changes_nothing,
    a_second_branch_freezes_the_device_and_is_kept,
    the_second_shop_to_redeem_gets_a_case,
    a_freeze_holds_lapses_and_is_confirmed,
    a_cancel_that_overtakes_its_freeze_closes_the_door,
    an_operation_that_breaks_a_constraint_is_set_aside_alone,
    what_can_never_be_stored_is_set_aside_and_the_journal_goes_on,
    what_fails_for_no_known_reason_is_narrowed_down_and_not_tried_for_ever,
    what_a_revoked_device_delivers_is_quarantined,
    what_does_not_read_keeps_its_place,
    being_late_is_judged_by_a_believable_time,
    only_a_freeze_that_was_granted_excuses_lateness,
    a_void_gives_back_what_its_own_operation_took,
    a_void_of_a_double_redemption_closes_its_case,
    an_order_is_handed_over_once,
    two_processes_race_for_the_same_coupons,
    the_database_is_tended_beside_the_writer,
    a_row_that_does_not_read_says_where_it_stands,
}

fn done(outcome: Outcome, replayed: bool) -> Answer {
    Answer::Done { outcome, replayed }
}

fn exception(exception: ExceptionKind) -> Answer {
    done(Outcome::AppliedWithException { exception }, false)
}

const APPLIED: Answer = Answer::Done {
    outcome: Outcome::Applied,
    replayed: false,
};
const AGAIN: Answer = Answer::Done {
    outcome: Outcome::Applied,
    replayed: true,
};

async fn a_redemption_has_one_effect_and_replays_its_outcome(on: On) {
    let chain = chain(on, 300).await;
    let mut counter = chain.counter().await;
    let pushed: Vec<_> = chain
        .coupons
        .iter()
        .map(|id| counter.make(chain.redeem(*id, None), START))
        .collect();
    let answers = chain.push(&pushed).await;
    assert!(answers.iter().all(|answer| *answer == APPLIED), "{answers:?}");
    let entries = chain.number("SELECT COUNT(*) FROM coupon_entries").await;
    let feed = chain.number("SELECT COUNT(*) FROM feed").await;
    assert_eq!(entries, 300);
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM coupons WHERE state = 'redeemed'")
            .await,
        300
    );

    let answers = chain.push(&pushed).await;
    assert!(answers.iter().all(|answer| *answer == AGAIN), "{answers:?}");
    assert_eq!(chain.number("SELECT COUNT(*) FROM coupon_entries").await, entries);
    assert_eq!(chain.number("SELECT COUNT(*) FROM feed").await, feed);
    assert_eq!(chain.number("SELECT COUNT(*) FROM operations").await, 300);
}

async fn a_push_may_hold_the_same_operation_twice(on: On) {
    let chain = chain(on, 1).await;
    let mut counter = chain.counter().await;
    let one = counter.make(chain.redeem(chain.coupons[0], None), START);
    assert_eq!(chain.push(&[one.clone(), one]).await, [APPLIED, AGAIN]);
}

async fn a_gap_is_named_and_changes_nothing(on: On) {
    let chain = chain(on, 3).await;
    let mut counter = chain.counter().await;
    let [one, two, three] = [0, 1, 2].map(|n| counter.make(chain.redeem(chain.coupons[n], None), START));
    assert_eq!(
        chain.push(std::slice::from_ref(&two)).await,
        [Answer::Gap { expected: 1 }]
    );
    assert_eq!(chain.number("SELECT COUNT(*) FROM operations").await, 0);
    assert_eq!(
        chain.push(&[one, three.clone()]).await,
        [APPLIED, Answer::Gap { expected: 2 }]
    );
    assert_eq!(chain.push(&[two, three]).await, [APPLIED, APPLIED]);
}

async fn a_second_branch_freezes_the_device_and_is_kept(on: On) {
    let chain = chain(on, 4).await;
    let mut counter = chain.counter().await;
    let one = counter.make(chain.redeem(chain.coupons[0], None), START);
    let (seq, head) = (counter.seq, counter.head);
    let two = counter.make(chain.redeem(chain.coupons[1], None), START);
    assert_eq!(chain.push(&[one, two]).await, [APPLIED, APPLIED]);

    // The disk was cloned after the first operation: the clone goes on by itself.
    (counter.seq, counter.head) = (seq, head);
    let other_two = counter.make(chain.redeem(chain.coupons[2], None), START);
    let other_three = counter.make(chain.redeem(chain.coupons[3], None), START);
    assert_eq!(
        chain.push(&[other_two.clone(), other_three]).await,
        [Answer::Fork, Answer::Fork]
    );
    assert_eq!(chain.coupon(chain.coupons[2]).await.state, CouponState::Available);
    assert_eq!(chain.number("SELECT COUNT(*) FROM branches").await, 2);
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM devices WHERE status = 'frozen'")
            .await,
        1
    );
    assert_eq!(chain.push(&[other_two]).await, [Answer::Fork]);
    assert_eq!(chain.number("SELECT COUNT(*) FROM branches").await, 2);
}

async fn the_second_shop_to_redeem_gets_a_case(on: On) {
    let chain = chain(on, 1).await;
    let (mut first, mut second) = (chain.counter().await, chain.counter().await);
    let one = first.make(chain.redeem(chain.coupons[0], None), START);
    let two = second.make(chain.redeem(chain.coupons[0], None), START);
    assert_eq!(chain.push(std::slice::from_ref(&one)).await, [APPLIED]);
    assert_eq!(chain.push(&[two]).await, [exception(ExceptionKind::DoubleRedeem)]);
    let CouponState::Redeemed { operation, .. } = chain.coupon(chain.coupons[0]).await.state else {
        panic!("the coupon is not redeemed");
    };
    assert_eq!(operation, one.id);
    assert_eq!(
        chain
            .number("SELECT CAST(SUM(loss) AS BIGINT) FROM exceptions WHERE status = 'open'")
            .await,
        2_000
    );
}

async fn a_freeze_holds_lapses_and_is_confirmed(on: On) {
    let chain = chain(on, 2).await;
    let (mut first, second) = (chain.counter().await, chain.counter().await);
    let (mine, theirs) = (FreezeId::new(START, random10()), FreezeId::new(START, random10()));
    let until = START + FREEZE_LASTS;
    assert_eq!(
        chain.freeze(&first, mine, chain.coupons[0]).await,
        Answer::Granted { until }
    );
    assert_eq!(
        chain.freeze(&first, mine, chain.coupons[0]).await,
        Answer::Granted { until }
    );
    assert_eq!(
        chain.freeze(&first, mine, chain.coupons[1]).await,
        Answer::AnotherQuestion
    );
    let refused = Answer::Refused {
        reasons: vec![Reason::Frozen { until }],
    };
    assert_eq!(chain.freeze(&second, theirs, chain.coupons[0]).await, refused);
    // Asked again after the freeze has lapsed, the stored answer stays; a new question gets a new answer.
    chain.clock.advance(FREEZE_LASTS);
    assert_eq!(chain.freeze(&second, theirs, chain.coupons[0]).await, refused);
    let later = FreezeId::new(START, random10());
    let until = START + 2 * FREEZE_LASTS;
    assert_eq!(
        chain.freeze(&second, later, chain.coupons[0]).await,
        Answer::Granted { until }
    );

    // The first counter redeemed on its freeze, but the operation comes late: the other one holds the coupon now.
    let one = first.make(chain.redeem(chain.coupons[0], Some(mine)), START);
    assert_eq!(chain.push(&[one]).await, [exception(ExceptionKind::RedeemWhileFrozen)]);
    let confirmed = FreezeId::new(START, random10());
    chain.freeze(&first, confirmed, chain.coupons[1]).await;
    let two = first.make(chain.redeem(chain.coupons[1], Some(confirmed)), START);
    assert_eq!(chain.push(&[two]).await, [APPLIED]);
}

async fn a_cancel_that_overtakes_its_freeze_closes_the_door(on: On) {
    let chain = chain(on, 1).await;
    let counter = chain.counter().await;
    let id = FreezeId::new(START, random10());
    let cancel = Command::CancelFreeze(CancelFreeze {
        id,
        device: counter.device,
        now: START,
    });
    assert_eq!(chain.submit(vec![cancel.clone()]).await[0].answer, Answer::Cancelled);
    assert_eq!(chain.freeze(&counter, id, chain.coupons[0]).await, Answer::Cancelled);
    let id = FreezeId::new(START, random10());
    chain.freeze(&counter, id, chain.coupons[0]).await;
    let cancel = Command::CancelFreeze(CancelFreeze {
        id,
        device: counter.device,
        now: START,
    });
    assert_eq!(chain.submit(vec![cancel]).await[0].answer, Answer::Cancelled);
    assert_eq!(chain.coupon(chain.coupons[0]).await.state, CouponState::Available);
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

async fn what_a_revoked_device_delivers_is_quarantined(on: On) {
    let chain = chain(on, 1).await;
    let mut counter = chain.counter().await;
    chain
        .run("UPDATE devices SET status = 'revoked', version = version + 1")
        .await;
    let one = counter.make(chain.redeem(chain.coupons[0], None), START);
    let revoked = Outcome::Quarantined {
        reason: QuarantineReason::DeviceRevoked,
    };
    assert_eq!(chain.push(std::slice::from_ref(&one)).await, [done(revoked, false)]);
    assert_eq!(chain.push(&[one]).await, [done(revoked, true)]);
    assert_eq!(chain.coupon(chain.coupons[0]).await.state, CouponState::Available);
    let id = FreezeId::new(START, random10());
    assert!(matches!(
        chain.freeze(&counter, id, chain.coupons[0]).await,
        Answer::DeviceBarred { .. }
    ));
}

async fn what_does_not_read_keeps_its_place(on: On) {
    let chain = chain(on, 2).await;
    let mut counter = chain.counter().await;
    let mut one = counter.make(chain.redeem(chain.coupons[0], None), START);
    one.action = None;
    let two = counter.make(chain.redeem(chain.coupons[1], None), START);
    let unreadable = Outcome::Quarantined {
        reason: QuarantineReason::Unreadable,
    };
    assert_eq!(chain.push(&[one, two]).await, [done(unreadable, false), APPLIED]);
}

async fn being_late_is_judged_by_a_believable_time(on: On) {
    let chain = chain(on, 3).await;
    let mut counter = chain.counter().await;
    // In time when it happened, delivered days later.
    let in_time = counter.make(chain.redeem(chain.coupons[0], None), START + 23 * HOUR);
    let late = counter.make(chain.redeem(chain.coupons[1], None), START + 25 * HOUR);
    chain.clock.advance(72 * HOUR);
    assert_eq!(
        chain.push(&[in_time, late]).await,
        [APPLIED, exception(ExceptionKind::Late)]
    );
    // A device that had nothing left at hour 72 can't have redeemed at hour 1.
    chain.app.engine.settled().set(counter.device, chain.clock.now());
    let back_dated = counter.make(chain.redeem(chain.coupons[2], None), START + HOUR);
    assert_eq!(chain.push(&[back_dated]).await, [exception(ExceptionKind::Late)]);
}

async fn only_a_freeze_that_was_granted_excuses_lateness(on: On) {
    let chain = chain(on, 3).await;
    let mut counter = chain.counter().await;
    let granted = FreezeId::new(START, random10());
    chain.freeze(&counter, granted, chain.coupons[0]).await;
    chain.clock.advance(25 * HOUR);
    // Asked again after its deadline, a granted freeze is no word any more.
    assert_eq!(
        chain.freeze(&counter, granted, chain.coupons[0]).await,
        Answer::Cancelled
    );
    let refused = FreezeId::new(START, random10());
    assert!(matches!(
        chain.freeze(&counter, refused, chain.coupons[1]).await,
        Answer::Refused { .. }
    ));
    let invented = FreezeId::new(START, random10());
    let late = START + 25 * HOUR;
    let pushed = [(0, granted), (1, refused), (2, invented)]
        .map(|(n, freeze)| counter.make(chain.redeem(chain.coupons[n], Some(freeze)), late));
    assert_eq!(
        chain.push(&pushed).await,
        [APPLIED, exception(ExceptionKind::Late), exception(ExceptionKind::Late)]
    );
}

fn void(target: OperationId) -> Action {
    Action::VoidRedemption(VoidRedemption {
        target,
        reason: "wrong article".into(),
        approved_by: counterfoil_domain::ids::ClerkId::new(START, random10()),
    })
}

async fn a_void_gives_back_what_its_own_operation_took(on: On) {
    let chain = chain(on, 2).await;
    let mut counter = chain.counter().await;
    let one = counter.make(chain.redeem(chain.coupons[0], None), START);
    let undo = counter.make(void(one.id), START);
    let again = counter.make(chain.redeem(chain.coupons[0], None), START);
    assert_eq!(
        chain.push(&[one.clone(), undo, again]).await,
        [APPLIED, APPLIED, APPLIED]
    );
    // The first redemption is void already; a second void does not touch the third operation's.
    let twice = counter.make(void(one.id), START);
    assert_eq!(chain.push(&[twice]).await, [exception(ExceptionKind::StateConflict)]);
    let order = counter.make(chain.collect(chain.orders[0]), START);
    let undo = counter.make(void(order.id), START);
    assert_eq!(chain.push(&[order]).await, [APPLIED]);
    assert_eq!(chain.push(&[undo]).await, [APPLIED]);
    assert_eq!(
        chain.number("SELECT COUNT(*) FROM orders WHERE state = 'ready'").await,
        3
    );
}

async fn a_void_of_a_double_redemption_closes_its_case(on: On) {
    let chain = chain(on, 1).await;
    let (mut first, mut second) = (chain.counter().await, chain.counter().await);
    let one = first.make(chain.redeem(chain.coupons[0], None), START);
    let two = second.make(chain.redeem(chain.coupons[0], None), START);
    let undo = second.make(void(two.id), START);
    assert_eq!(
        chain.push(&[one, two, undo]).await,
        [APPLIED, exception(ExceptionKind::DoubleRedeem), APPLIED]
    );
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM exceptions WHERE status = 'voided'")
            .await,
        1
    );
    assert!(matches!(
        chain.coupon(chain.coupons[0]).await.state,
        CouponState::Redeemed { .. }
    ));
}

async fn an_order_is_handed_over_once(on: On) {
    let chain = chain(on, 0).await;
    let (mut first, mut second) = (chain.counter().await, chain.counter().await);
    let id = FreezeId::new(START, random10());
    let subject = Subject::Order(chain.orders[0]);
    let ask = Command::Freeze(AskFreeze {
        id,
        device: first.device,
        subject,
        presented_by: None,
        now: START,
    });
    assert_eq!(
        chain.submit(vec![ask]).await[0].answer,
        Answer::Granted {
            until: START + FREEZE_LASTS
        }
    );
    let one = first.make(
        Action::CollectOrder(CollectOrder {
            order: chain.orders[0],
            worth: 1_000,
            freeze: Some(id),
        }),
        START,
    );
    let two = second.make(chain.collect(chain.orders[0]), START);
    assert_eq!(
        chain.push(&[one, two]).await,
        [APPLIED, exception(ExceptionKind::DoublePickup)]
    );
}

async fn race(chain: &Chain, app: Arc<App>, counter: &Counter) -> usize {
    let mut granted = 0;
    for coupons in chain.coupons.chunks(20) {
        let commands = coupons
            .iter()
            .map(|id| {
                Command::Freeze(AskFreeze {
                    id: FreezeId::new(START, random10()),
                    device: counter.device,
                    subject: Subject::Coupon(*id),
                    presented_by: None,
                    now: chain.clock.now(),
                })
            })
            .collect();
        let answers = app.engine.submit(chain.tenant, commands).await.unwrap();
        granted += answers
            .iter()
            .filter(|answered| matches!(answered.answer, Answer::Granted { .. }))
            .count();
    }
    granted
}

async fn two_processes_race_for_the_same_coupons(on: On) {
    let chain = chain(on, 400).await;
    let other = App::open(&chain.fresh.url, chain.clock.clone(), Arc::new(SystemRandom))
        .await
        .unwrap();
    let (first, second) = (chain.counter().await, chain.counter().await);
    let (a, b) = tokio::join!(race(&chain, chain.app.clone(), &first), race(&chain, other, &second));
    assert_eq!(a + b, 400, "{a} + {b}");
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM coupons WHERE state = 'frozen'")
            .await,
        400
    );
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM freezes WHERE status = 'granted'")
            .await,
        400
    );
}

/// SQLite's log is folded back into the file; PostgreSQL learns of a table that has grown.
async fn the_database_is_tended_beside_the_writer(on: On) {
    let chain = chain(on, 1_000).await;
    let db = &chain.app.db;
    match on {
        On::Sqlite => {
            let file = chain.fresh.url.strip_prefix("sqlite:").unwrap();
            let length = || std::fs::metadata(file).unwrap().len();
            let before = length();
            db.tend().await.unwrap();
            assert!(length() > before + 1_000 * 100, "{before} and then {}", length());
        }
        On::Postgres => {
            let known = "SELECT CAST(reltuples AS BIGINT) FROM pg_class WHERE relname = 'coupons'";
            assert!(chain.number(known).await <= 0);
            let learns = async {
                while chain.number(known).await < 1_000 {
                    // The server counts rows when a connection has ended a transaction, and not each time.
                    db.lease()
                        .await
                        .unwrap()
                        .begin()
                        .await
                        .unwrap()
                        .commit("test")
                        .await
                        .unwrap();
                    db.tend().await.unwrap();
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            };
            in_time(learns).await;
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
