//! The engine as tables of cases: what came back, what it does next.

use counterfoil_domain::transition::DeviceStatus;
use counterfoil_protocol::problem::Problem;

use super::*;

const WALL: Millis = 1_795_000_000_000;

fn now(monotonic: Millis) -> Now {
    Now {
        monotonic,
        wall: WALL + monotonic,
    }
}

fn view(pending: i64) -> View {
    View {
        pending,
        device: DeviceStatus::Active,
    }
}

fn answer() -> AnswerSummary {
    AnswerSummary {
        sent: 0,
        settled: 0,
        stopped: None,
        more_rows: false,
        moved: true,
        device: DeviceStatus::Active,
        history_changed: false,
    }
}

fn problem(code: Code) -> Heard {
    Heard::Failed(Failure::Problem(Box::new(Problem::new(code))))
}

fn silence(why: Unanswered) -> Heard {
    Heard::Failed(Failure::Unanswered(why))
}

fn plan(step: Step) -> Plan {
    match step {
        Step::Send(plan) => plan,
        Step::Sleep { until } => panic!("sleeps until {until}"),
    }
}

fn online() -> SyncEngine {
    let mut engine = SyncEngine::default();
    engine.set_driven(true);
    engine.heard(now(0), &Heard::Answer(answer()), 0);
    assert_eq!(engine.link().state, LinkState::Online);
    engine
}

#[test]
fn what_is_sent_depends_on_what_waits() {
    let rows = PAGE_ROWS;
    let cases = [
        // (pending, more rows behind the last page, push, wait)
        (0, false, 0, LONG_POLL),
        (0, true, 0, 0),
        (7, false, PUSH_OPERATIONS, 0),
        (7, true, PUSH_OPERATIONS, 0),
    ];
    for (pending, more_rows, push, wait) in cases {
        let mut engine = online();
        engine.heard(now(1), &Heard::Answer(AnswerSummary { more_rows, ..answer() }), 0);
        let sent = plan(engine.next(now(1), view(pending)));
        assert_eq!(
            sent,
            Plan {
                push,
                page_rows: rows,
                wait
            },
            "{pending} {more_rows}"
        );
    }
    // The first request of all does not wait: the clerk does.
    assert_eq!(plan(SyncEngine::default().next(now(0), view(0))).wait, 0);
}

#[test]
fn each_failure_has_its_class() {
    let unanswered = |why| classify(&Failure::Unanswered(why));
    assert_eq!(unanswered(Unanswered::TimedOut), Retry::Network);
    let of = |code| classify(&Failure::Problem(Box::new(Problem::new(code))));
    for code in [Code::ClockSkew, Code::JournalGap, Code::HistoryChanged, Code::TooLarge] {
        assert_eq!(of(code), Retry::Corrected, "{code:?}");
    }
    for code in [
        Code::Busy,
        Code::InFlight,
        Code::RateLimited,
        Code::StorageUnavailable,
        Code::Internal,
    ] {
        assert_eq!(of(code), Retry::Transient { after: None }, "{code:?}");
    }
    for code in [
        Code::BadSignature,
        Code::DeviceRevoked,
        Code::DeviceFrozen,
        Code::JournalFork,
        Code::Malformed,
    ] {
        assert_eq!(of(code), Retry::Permanent, "{code:?}");
    }
    let mut strange = Problem::new(Code::Internal);
    strange.code = "made_of_tomorrow".into();
    assert_eq!(
        classify(&Failure::Problem(Box::new(strange.clone()))),
        Retry::Transient { after: None }
    );
    strange.status = 418;
    assert_eq!(classify(&Failure::Problem(Box::new(strange))), Retry::Permanent);
}

#[test]
fn the_breaker_opens_when_nobody_answers_or_after_three_failures() {
    let unreachable = || Unanswered::Unreachable("refused".into());
    let cases = [
        // (what is heard, how often until it is offline; 0 = never)
        (silence(unreachable()), 1),
        (silence(Unanswered::TimedOut), 1),
        (silence(Unanswered::Broken("reset".into())), 3),
        (silence(Unanswered::Foreign("a portal".into())), 3),
        (problem(Code::Busy), 3),
        (problem(Code::InFlight), 0),
        (problem(Code::BadSignature), 1),
        (problem(Code::DeviceFrozen), 0),
        (problem(Code::ClockSkew), 0),
    ];
    for (heard, times) in cases {
        let mut engine = online();
        for n in 1..=5 {
            engine.heard(now(n), &heard, 1);
            let offline = times > 0 && n >= times;
            assert_eq!(engine.link().state == LinkState::Offline, offline, "{heard:?} {n}");
        }
        if times > 0 {
            assert_eq!(engine.link().since, Some(WALL + times), "{heard:?}");
            assert!(engine.link().problem.is_some());
            assert!(!engine.may_ask(now(9)));
        }
    }
}

#[test]
fn backoff_grows_with_full_jitter_up_to_a_cap() {
    for (failures, bound) in [(1, 500), (2, 1_000), (3, 2_000), (7, 30_000), (60, 30_000)] {
        let mut most = 0;
        for jitter in (0..200_000u64).step_by(37) {
            let wait = backoff(failures, jitter);
            assert!((BACKOFF_LEAST..bound).contains(&wait), "{failures} {wait}");
            most = most.max(wait);
        }
        assert!(most > bound * 9 / 10, "{failures} {most}");
    }
}

#[test]
fn it_waits_as_long_as_it_is_told_to_and_can_be_hurried() {
    let mut engine = online();
    let busy = Problem {
        retry_after: Some(7),
        ..Problem::new(Code::Busy)
    };
    engine.heard(now(100), &Heard::Failed(Failure::Problem(Box::new(busy))), 0);
    assert_eq!(engine.next(now(100), view(1)), Step::Sleep { until: 7_100 });
    engine.hurry();
    assert_eq!(plan(engine.next(now(100), view(1))).wait, 0);
}

#[test]
fn an_answer_closes_the_breaker() {
    let mut engine = online();
    engine.heard(now(1), &silence(Unanswered::TimedOut), 3);
    assert_eq!(engine.next(now(1), view(1)), Step::Sleep { until: 51 });
    assert_eq!(plan(engine.next(now(51), view(1))).push, PUSH_OPERATIONS);
    engine.heard(
        now(60),
        &Heard::Answer(AnswerSummary {
            sent: 1,
            settled: 1,
            ..answer()
        }),
        0,
    );
    assert_eq!(
        engine.link(),
        &Link {
            state: LinkState::Online,
            since: Some(WALL + 60),
            problem: None
        }
    );
    assert!(engine.may_ask(now(60)));
}

#[test]
fn a_question_that_goes_unanswered_opens_the_breaker_for_the_sync_too() {
    let mut engine = online();
    engine.question_failed(now(5), &Unanswered::TimedOut, 0);
    assert_eq!(engine.link().state, LinkState::Offline);
    // The sync probes it again, and does not wait for news over a line like that.
    assert_eq!(plan(engine.next(now(5 + BACKOFF_LEAST), view(0))).wait, 0);
    // Without a driver, questions probe it themselves, but not every one of them.
    engine.set_driven(false);
    assert!(!engine.may_ask(now(6)));
    assert!(engine.may_ask(now(5 + BACKOFF_LEAST)));
    engine.question_answered(now(99));
    assert_eq!(engine.link().state, LinkState::Online);
}

#[test]
fn a_request_that_is_too_large_is_halved_and_grows_again() {
    let mut engine = online();
    for batch in [100, 50, 25] {
        engine.heard(now(1), &problem(Code::TooLarge), 0);
        assert_eq!(plan(engine.next(now(1_000_000), view(999))).push, batch);
    }
    engine.heard(
        now(2),
        &Heard::Answer(AnswerSummary {
            sent: 25,
            settled: 25,
            ..answer()
        }),
        0,
    );
    assert_eq!(plan(engine.next(now(2), view(999))).push, 50);
}

#[test]
fn what_can_be_put_right_is_tried_again_at_once_but_not_for_ever() {
    for heard in [
        problem(Code::HistoryChanged),
        problem(Code::JournalGap),
        problem(Code::ClockSkew),
        Heard::Answer(AnswerSummary {
            sent: 3,
            stopped: Some(Stopped::Gap { expected_seq: 1 }),
            ..answer()
        }),
        Heard::Answer(AnswerSummary { sent: 3, ..answer() }),
    ] {
        let mut engine = online();
        let mut slept = false;
        for n in 1..=6 {
            engine.heard(now(n), &heard, u64::MAX);
            slept = matches!(engine.next(now(n), view(3)), Step::Sleep { .. });
            assert_eq!(slept, n >= 3, "{heard:?} {n}");
        }
        assert!(slept);
        // Progress wipes the slate.
        engine.heard(
            now(7),
            &Heard::Answer(AnswerSummary {
                sent: 1,
                settled: 1,
                ..answer()
            }),
            0,
        );
        engine.heard(now(8), &heard, u64::MAX);
        assert!(matches!(engine.next(now(8), view(3)), Step::Send(_)), "{heard:?}");
    }
}

#[test]
fn a_forked_journal_stops_the_push_and_keeps_asking_slowly() {
    let mut engine = online();
    let fork = AnswerSummary {
        sent: 3,
        stopped: Some(Stopped::Fork),
        device: DeviceStatus::Frozen,
        ..answer()
    };
    engine.heard(now(1), &Heard::Answer(fork), 0);
    assert_eq!(
        engine.link().problem.as_ref().map(|(code, _)| code.as_str()),
        Some("device_frozen")
    );
    assert_eq!(engine.next(now(1), view(3)), Step::Sleep { until: 1 + BARRED_PACE });
    let frozen = View {
        pending: 3,
        device: DeviceStatus::Frozen,
    };
    let asked = plan(engine.next(now(1 + BARRED_PACE), frozen));
    assert_eq!((asked.push, asked.wait), (0, 0));
    // A person has decided: a new epoch, and the queue moves.
    engine.heard(now(40_000), &Heard::Answer(answer()), 0);
    assert_eq!(plan(engine.next(now(40_000), view(3))).push, PUSH_OPERATIONS);
    assert_eq!(engine.link().problem, None);
}

#[test]
fn a_revoked_device_delivers_and_learns_nothing() {
    let mut engine = online();
    let revoked = View {
        pending: 3,
        device: DeviceStatus::Revoked,
    };
    engine.heard(
        now(1),
        &Heard::Answer(AnswerSummary {
            device: DeviceStatus::Revoked,
            ..answer()
        }),
        0,
    );
    let asked = plan(engine.next(now(1 + BARRED_PACE), revoked));
    assert_eq!((asked.push, asked.page_rows), (PUSH_OPERATIONS, 0));
    let delivered = AnswerSummary {
        sent: 3,
        settled: 3,
        device: DeviceStatus::Revoked,
        ..answer()
    };
    engine.heard(now(50_000), &Heard::Answer(delivered), 0);
    // More may wait: go on at once.
    assert!(matches!(engine.next(now(50_000), revoked), Step::Send(_)));
    assert_eq!(
        engine.link().problem.as_ref().map(|(code, _)| code.as_str()),
        Some("device_revoked")
    );
}

#[test]
fn waits_are_what_head_office_and_people_were_told() {
    assert_eq!((LONG_POLL, BARRED_PACE, BACKOFF_CAP), (20_000, 30_000, 30_000));
}

#[test]
fn only_where_nobody_drives_do_questions_try_a_broken_line() {
    for driven in [false, true] {
        let mut engine = SyncEngine::default();
        engine.set_driven(driven);
        engine.question_failed(now(0), &Unanswered::Unreachable("nobody".into()), 0);
        assert_eq!(engine.link().state, LinkState::Offline);
        let (before, after) = (now(0), now(BACKOFF_CAP));
        assert!(!engine.may_ask(before));
        assert_eq!(engine.may_ask(after), !driven);
        engine.question_answered(after);
        assert_eq!(engine.link().state == LinkState::Online, !driven);
        assert_eq!(engine.link().problem.is_none(), !driven);
    }
}

#[test]
fn a_frozen_device_and_a_fork_each_stop_the_push() {
    let frozen = View {
        pending: 3,
        device: DeviceStatus::Frozen,
    };
    assert_eq!(plan(online().next(now(1), frozen)).push, 0);

    let fork = |device| AnswerSummary {
        sent: 3,
        stopped: Some(Stopped::Fork),
        device,
        ..answer()
    };
    // What is kept of the device may not say yet that it was frozen.
    let mut engine = online();
    engine.heard(now(1), &Heard::Answer(fork(DeviceStatus::Frozen)), 0);
    assert_eq!(plan(engine.next(now(1 + BARRED_PACE), view(3))).push, 0);
    // One that was let go on meanwhile sends on.
    let mut engine = online();
    engine.heard(now(1), &Heard::Answer(fork(DeviceStatus::Active)), 0);
    assert_eq!(plan(engine.next(now(1 + BARRED_PACE), view(3))).push, PUSH_OPERATIONS);
}

#[test]
fn an_answer_that_settles_nothing_says_nothing_about_how_much_fits() {
    let mut engine = online();
    engine.heard(now(1), &problem(Code::TooLarge), 0);
    engine.heard(now(2), &Heard::Answer(answer()), 0);
    assert_eq!(plan(engine.next(now(2), view(999))).push, PUSH_OPERATIONS / 2);
}

#[test]
fn a_device_that_was_frozen_says_so_and_asks_slowly() {
    let mut engine = online();
    let frozen = AnswerSummary {
        device: DeviceStatus::Frozen,
        ..answer()
    };
    engine.heard(now(1), &Heard::Answer(frozen), 0);
    assert_eq!(
        engine.link().problem.as_ref().map(|(code, _)| code.as_str()),
        Some("device_frozen")
    );
    assert_eq!(engine.next(now(1), view(0)), Step::Sleep { until: 1 + BARRED_PACE });
}

#[test]
fn what_can_not_be_put_right_is_named_and_waited_for_longer_each_time() {
    let named = |engine: &SyncEngine| engine.link().problem.as_ref().map(|(code, _)| code.clone());
    let mut engine = online();
    // (what is heard, how long it waits, what is shown)
    let cases = [
        (Code::ClockSkew, None, None),
        (Code::ClockSkew, None, None),
        (Code::ClockSkew, Some(499), None),
        (Code::ClockSkew, Some(999), Some(Code::ClockSkew)),
        (Code::JournalGap, Some(1_999), Some(Code::JournalGap)),
    ];
    for (n, (code, waits, shown)) in cases.into_iter().enumerate() {
        let at = now(i64::try_from(n).unwrap() * 10_000);
        engine.heard(at, &problem(code), 1_999);
        match waits {
            None => assert!(matches!(engine.next(at, view(1)), Step::Send(_)), "{n}"),
            Some(waits) => assert_eq!(
                engine.next(at, view(1)),
                Step::Sleep {
                    until: at.monotonic + waits
                },
                "{n}"
            ),
        }
        assert_eq!(named(&engine), shown.map(|code| code.as_str().to_owned()), "{n}");
    }
}

#[test]
fn head_office_may_ask_for_minutes_of_patience_but_not_for_hours() {
    for (asked, waits) in [(120, 120_000), (300, 300_000), (7_200, 300_000)] {
        let mut engine = online();
        let busy = Problem {
            retry_after: Some(asked),
            ..Problem::new(Code::Busy)
        };
        engine.heard(now(0), &Heard::Failed(Failure::Problem(Box::new(busy))), 0);
        assert_eq!(engine.next(now(0), view(1)), Step::Sleep { until: waits }, "{asked}");
    }
}

#[test]
fn what_another_process_heard_closes_the_breaker_here() {
    let mut engine = online();
    engine.question_failed(now(5), &Unanswered::TimedOut, 0);
    engine.heard_by_another(now(70));
    assert_eq!(
        engine.link(),
        &Link {
            state: LinkState::Online,
            since: Some(WALL + 70),
            problem: None
        }
    );
    // Where it was open all the time, nothing happened: what is in the way stays.
    let mut engine = online();
    engine.heard(now(1), &problem(Code::Busy), 0);
    engine.heard_by_another(now(2));
    assert!(engine.link().problem.is_some());
}

#[test]
fn one_that_always_answers_at_once_is_not_asked_without_end() {
    let nothing = Heard::Answer(AnswerSummary {
        moved: false,
        ..answer()
    });
    let news = Heard::Answer(answer());
    let endless = Heard::Answer(AnswerSummary {
        moved: false,
        more_rows: true,
        ..answer()
    });
    // Whatever it says to who waits for news, and whatever it says without saying anything.
    for said in [&nothing, &news, &endless] {
        let mut engine = online();
        let mut asked = 0;
        for at in 0..10_000 {
            if let Step::Send(_) = engine.next(now(at), view(0)) {
                asked += 1;
                engine.heard(now(at), said, 0);
            }
        }
        assert_eq!(asked, 10_000 / LEAST_PAUSE, "{said:?}");
    }
    // What is to be delivered does not wait.
    let mut engine = online();
    engine.next(now(0), view(0));
    engine.heard(now(0), &nothing, 0);
    assert_eq!(engine.next(now(0), view(0)), Step::Sleep { until: LEAST_PAUSE });
    assert_eq!(plan(engine.next(now(0), view(1))).push, PUSH_OPERATIONS);
    // Where it had something to say at last, or there is more, it goes on at once.
    let mut engine = online();
    assert_eq!(plan(engine.next(now(0), view(0))).wait, LONG_POLL);
    engine.heard(now(LEAST_PAUSE), &news, 0);
    assert_eq!(plan(engine.next(now(LEAST_PAUSE), view(1))).push, PUSH_OPERATIONS);
    let delivered = AnswerSummary {
        sent: 1,
        settled: 1,
        moved: false,
        ..answer()
    };
    engine.heard(now(LEAST_PAUSE), &Heard::Answer(delivered), 0);
    assert!(matches!(engine.next(now(LEAST_PAUSE), view(1)), Step::Send(_)));
    let more = AnswerSummary {
        more_rows: true,
        ..answer()
    };
    engine.heard(now(LEAST_PAUSE), &Heard::Answer(more), 0);
    assert!(matches!(engine.next(now(LEAST_PAUSE), view(0)), Step::Send(_)));
}
