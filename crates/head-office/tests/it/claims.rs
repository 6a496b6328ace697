//! Claims, batches and grants on both engines.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use counterfoil_domain::{
    code_policy::CodePolicy,
    ids::{BatchId, CouponId, GrantId, JobId, MemberId, TemplateId},
    people::Member,
    transition::{Answer, ClaimCoupon, ClaimKey, Command, LimitCounts, NotClaimable},
    words::Word,
};
use counterfoil_head_office::{
    App, admin,
    batches::{self, Purpose},
    claims,
    clock::SystemRandom,
    coupons,
    engine::Answered,
    grants, jobs,
    jobs::Work as _,
    members, on_both,
    verify::verify,
};
use sqlx::Row;

use crate::common::*;

on_both!(
    a_rush_on_a_batch_gives_each_coupon_once,
    what_is_held_follows_redemption_and_time,
    a_replay_gives_the_same_answer,
    a_batch_survives_being_dropped_at_any_slice,
    a_job_is_paused_resumed_and_cancelled,
    nobody_can_use_a_coupon_that_waits,
    printed_coupons_are_anybodys,
    a_grant_to_a_list_gives_each_one,
    a_grant_to_all_is_taken_when_they_show_up,
    codes_go_on_where_older_ones_ended,
    codes_follow_the_tenants_policy,
    refusals_are_forgotten_after_a_week,
    verify_finds_what_is_wrong_with_claims,
);

/// A chain whose template limits claims, and so many more members.
struct Shop {
    chain: Chain,
    people: Vec<MemberId>,
}

async fn shop(on: On, members: usize, limit: i64, counts: LimitCounts) -> Shop {
    let chain = chain(on, 10).await;
    let mut lease = chain.app.db.lease().await.unwrap();
    let mut tx = lease.begin().await.unwrap();
    sqlx::query("UPDATE templates SET member_limit = $1, limit_counts = $2, valid_days = 30")
        .bind(limit)
        .bind(counts.as_str())
        .execute(&mut *tx)
        .await
        .unwrap();
    let people: Vec<Member> = (0..members)
        .map(|n| Member {
            id: MemberId::new(START, random10()),
            number: format!("P{n}"),
            name: "某".into(),
            phone: String::new(),
            recent_stores: if n % 2 == 0 { vec![chain.store] } else { vec![] },
        })
        .collect();
    members::rows::insert(&mut tx, chain.tenant, &people, START)
        .await
        .unwrap();
    tx.commit("test").await.unwrap();
    drop(lease);
    Shop {
        people: people.into_iter().map(|member| member.id).collect(),
        chain,
    }
}

impl Shop {
    fn app(&self) -> &Arc<App> {
        &self.chain.app
    }

    async fn create(&self, count: i64, purpose: Purpose) -> (BatchId, JobId) {
        let app = self.app();
        let mut lease = app.db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        let new = batches::New {
            template: self.chain.template,
            count,
            purpose,
        };
        let (batch, job) = batches::create(&mut tx, &SystemRandom, self.chain.tenant, new, app.clock.now())
            .await
            .unwrap();
        tx.commit("test").await.unwrap();
        app.jobs.notify_one();
        (batch, job.id)
    }

    /// A batch with all its codes.
    async fn batch(&self, count: i64, purpose: Purpose) -> BatchId {
        jobs::start(self.app());
        let (batch, job) = self.create(count, purpose).await;
        self.until(job, jobs::Status::Done).await;
        batch
    }

    async fn job(&self, job: JobId) -> jobs::Job {
        let mut reader = self.app().db.reader().acquire().await.unwrap();
        jobs::rows::load(&mut reader, self.chain.tenant, job)
            .await
            .unwrap()
            .unwrap()
    }

    async fn until(&self, job: JobId, status: jobs::Status) {
        until(async || {
            let now = self.job(job).await;
            assert!(now.status == status || !now.status.is_over(), "{now:?}");
            now.status == status
        })
        .await;
    }

    async fn claim(&self, who: MemberId, key: u8) -> Answered {
        let command = Command::Claim(ClaimCoupon {
            member: who,
            template: self.chain.template,
            key: ClaimKey([key; 16]),
        });
        self.chain.submit(vec![command]).await.remove(0)
    }

    async fn refusal(&self, who: MemberId, key: u8) -> Vec<NotClaimable> {
        match self.claim(who, key).await.answer {
            Answer::NotGiven { reasons, .. } => reasons,
            other => panic!("{other:?}"),
        }
    }

    async fn grant(&self, members: Option<Vec<String>>) -> grants::Made {
        let app = self.app();
        let mut lease = app.db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        let new = grants::New {
            template: self.chain.template,
            members,
        };
        let made = grants::create(&mut tx, &SystemRandom, self.chain.tenant, &new, app.clock.now())
            .await
            .unwrap();
        tx.commit("test").await.unwrap();
        app.jobs.notify_one();
        made
    }

    async fn parts(&self, grant: GrantId) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        let mut snapshot = self.app().db.snapshot().await.unwrap();
        sqlx::query("SELECT member, coupon FROM grant_members WHERE tenant = $1 AND grant_id = $2")
            .bind(self.chain.tenant.bytes().to_vec())
            .bind(grant.bytes().to_vec())
            .fetch_all(&mut *snapshot)
            .await
            .unwrap()
            .iter()
            .map(|row| (row.get("member"), row.get("coupon")))
            .collect()
    }

    async fn sound(&self) {
        let mut broken = Vec::new();
        verify(&self.app().db, |check| {
            if !check.ok {
                broken.push(format!("{check:?}"));
            }
        })
        .await
        .unwrap();
        assert!(broken.is_empty(), "{broken:#?}");
    }
}

async fn a_rush_on_a_batch_gives_each_coupon_once(on: On) {
    let shop = Arc::new(shop(on, 200, 1, LimitCounts::Taken).await);
    let batch = shop.batch(100, Purpose::Claim).await;
    let mut tasks = Vec::new();
    for round in 0..5u8 {
        for who in shop.people.clone() {
            let shop = Arc::clone(&shop);
            tasks.push(tokio::spawn(async move { (who, shop.claim(who, round).await) }));
        }
    }
    let mut coupons = BTreeMap::new();
    let mut refused = 0;
    for task in tasks {
        let (who, answered) = task.await.unwrap();
        match answered.answer {
            Answer::Given { coupon, replayed } => {
                assert!(!replayed);
                let given = answered.given.unwrap();
                assert_eq!((given.id, given.member, given.code.len()), (coupon, Some(who), 18));
                assert_eq!(coupons.insert(coupon, who), None);
            }
            Answer::NotGiven { reasons, .. } => {
                assert!(!reasons.is_empty());
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((coupons.len(), refused), (100, 900));
    assert_eq!(coupons.values().collect::<BTreeSet<_>>().len(), 100);
    let expected: BTreeSet<CouponId> = (0..100).map(|position| batch.coupon(position)).collect();
    assert_eq!(coupons.keys().copied().collect::<BTreeSet<_>>(), expected);
    // Who was seen in a store has their coupon there.
    let told = shop
        .chain
        .number("SELECT COUNT(*) FROM feed WHERE entity = 'coupon'")
        .await;
    let seen = coupons
        .values()
        .filter(|who| shop.people.iter().position(|it| it == *who).unwrap() % 2 == 0);
    assert_eq!(told, seen.count() as i64);
    shop.sound().await;
}

async fn what_is_held_follows_redemption_and_time(on: On) {
    let shop = shop(on, 1, 1, LimitCounts::Held).await;
    shop.batch(10, Purpose::Claim).await;
    let who = shop.people[0];
    let full = vec![NotClaimable::LimitReached {
        limit: 1,
        counts: LimitCounts::Held,
    }];
    let first = shop.claim(who, 1).await.given.unwrap();
    assert_eq!(first.valid_until, Some(START + 30 * 24 * HOUR));
    assert_eq!(shop.refusal(who, 2).await, full);
    // Two at once: one of them.
    let mut counter = shop.chain.counter().await;
    let arrival = counter.make(shop.chain.redeem(first.id, None), START);
    shop.chain.push(std::slice::from_ref(&arrival)).await;
    let both = [3, 4].map(|key| {
        Command::Claim(ClaimCoupon {
            member: who,
            template: shop.chain.template,
            key: ClaimKey([key; 16]),
        })
    });
    let answers = shop.chain.submit(both.to_vec()).await;
    assert!(answers[0].given.is_some() && answers[1].given.is_none());
    // Its time ends by itself.
    assert_eq!(shop.refusal(who, 5).await, full);
    shop.chain.clock.advance(31 * 24 * HOUR);
    assert!(shop.claim(who, 6).await.given.is_some());
    assert_eq!(
        shop.chain.number("SELECT taken FROM holdings").await,
        3,
        "what was ever taken is counted too"
    );
    shop.sound().await;
}

async fn a_replay_gives_the_same_answer(on: On) {
    let shop = shop(on, 3, 1, LimitCounts::Taken).await;
    shop.batch(1, Purpose::Claim).await;
    let first = shop.claim(shop.people[0], 1).await;
    let Answer::Given { coupon, .. } = first.answer else {
        panic!("{first:?}")
    };
    let again = shop.claim(shop.people[0], 1).await;
    assert_eq!(again.answer, Answer::Given { coupon, replayed: true });
    assert_eq!(shop.refusal(shop.people[1], 1).await, vec![NotClaimable::OutOfStock]);
    // More stock later changes nothing of what was said; a new question gets a new answer.
    shop.batch(5, Purpose::Claim).await;
    assert_eq!(
        shop.claim(shop.people[1], 1).await.answer,
        Answer::NotGiven {
            reasons: vec![NotClaimable::OutOfStock],
            replayed: true
        }
    );
    assert!(shop.claim(shop.people[1], 2).await.given.is_some());
    // The same name for something else.
    let other = Command::Claim(ClaimCoupon {
        member: shop.people[0],
        template: TemplateId::new(START, random10()),
        key: ClaimKey([1; 16]),
    });
    assert_eq!(shop.chain.submit(vec![other]).await[0].answer, Answer::AnotherQuestion);
    let nobody = MemberId::new(START, random10());
    assert_eq!(shop.refusal(nobody, 1).await, vec![NotClaimable::UnknownMember]);
    shop.sound().await;
}

async fn a_batch_survives_being_dropped_at_any_slice(on: On) {
    let shop = shop(on, 0, 0, LimitCounts::Taken).await;
    let (batch, id) = shop.create(3_000, Purpose::Claim).await;
    let app = shop.app();
    let take = async |owner: [u8; 16], now: i64| {
        let mut lease = app.db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        let job = jobs::rows::lease(&mut tx, &owner, now).await.unwrap();
        tx.commit("test").await.unwrap();
        job
    };
    let mut first = take([1; 16], START).await.unwrap();
    assert!(take([2; 16], START).await.is_none(), "one process at a time");
    let mut work = batches::job::Work::begin(app, &first).await.unwrap();
    // The transaction of a slice that is cut off leaves nothing behind.
    {
        let mut lease = app.db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        let mut first = first.clone();
        let moved = jobs::rows::advance(&mut tx, &[1; 16], &mut first, 7, None, false, START);
        assert!(moved.await.unwrap());
    }
    assert_eq!(shop.job(id).await.done, 0);
    // It is silent for too long: another takes over, and the first one finds out with its next slice.
    let later = START + jobs::LEASE;
    shop.chain.clock.advance(jobs::LEASE);
    let mut second = take([2; 16], later).await.unwrap();
    let mut other = batches::job::Work::begin(app, &second).await.unwrap();
    assert_eq!(other.slice(app, &[2; 16], &mut second).await.unwrap(), jobs::Step::Done);
    assert_eq!(work.slice(app, &[1; 16], &mut first).await.unwrap(), jobs::Step::Lost);
    assert_eq!(shop.job(id).await.done, 3_000);
    let count = "SELECT COUNT(DISTINCT code) FROM coupons WHERE version = 0";
    assert_eq!(shop.chain.number(count).await, 3_000);
    let mut reader = app.db.reader().acquire().await.unwrap();
    let codes = batches::rows::codes(&mut reader, shop.chain.tenant, batch, 0, 10_000)
        .await
        .unwrap();
    assert_eq!(codes.len(), 3_000);
    assert!(codes.iter().all(|(_, state)| state == "waiting"));
    drop(reader);
    shop.sound().await;
}

async fn a_job_is_paused_resumed_and_cancelled(on: On) {
    let shop = shop(on, 1, 0, LimitCounts::Taken).await;
    let (_, id) = shop.create(1_000, Purpose::Claim).await;
    let decide = async |next| {
        let mut lease = shop.app().db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        let done = jobs::rows::decide(&mut tx, shop.chain.tenant, id, next, START)
            .await
            .unwrap();
        tx.commit("test").await.unwrap();
        done
    };
    assert!(decide(jobs::Status::Paused).await);
    assert!(!decide(jobs::Status::Paused).await);
    // While there are none yet, the answer is neither yes nor no.
    assert_eq!(shop.claim(shop.people[0], 1).await.answer, Answer::ComeBack);
    jobs::start(shop.app());
    assert!(decide(jobs::Status::Queued).await);
    shop.app().jobs.notify_one();
    shop.until(id, jobs::Status::Done).await;
    assert!(!decide(jobs::Status::Cancelled).await);
    assert!(shop.claim(shop.people[0], 1).await.given.is_some());
    shop.sound().await;
}

async fn nobody_can_use_a_coupon_that_waits(on: On) {
    let shop = shop(on, 1, 0, LimitCounts::Taken).await;
    let batch = shop.batch(2, Purpose::Claim).await;
    let mut reader = shop.app().db.reader().acquire().await.unwrap();
    let codes = batches::rows::codes(&mut reader, shop.chain.tenant, batch, 0, 10)
        .await
        .unwrap();
    let found = counterfoil_head_office::coupons::rows::by_code(&mut reader, shop.chain.tenant, &codes[0].0);
    assert!(found.await.unwrap().is_none());
    drop(reader);
    let mut counter = shop.chain.counter().await;
    let frozen = shop
        .chain
        .freeze(
            &counter,
            counterfoil_domain::ids::FreezeId::new(START, random10()),
            batch.coupon(0),
        )
        .await;
    assert!(matches!(frozen, Answer::Refused { .. }), "{frozen:?}");
    // A fact all the same leaves a case, and the coupon waits on.
    let arrival = counter.make(shop.chain.redeem(batch.coupon(0), None), START);
    shop.chain.push(&[arrival]).await;
    assert_eq!(shop.chain.number("SELECT COUNT(*) FROM exceptions").await, 1);
    assert_eq!(shop.claim(shop.people[0], 1).await.given.unwrap().id, batch.coupon(0));
    shop.sound().await;
}

async fn printed_coupons_are_anybodys(on: On) {
    let shop = shop(on, 1, 0, LimitCounts::Taken).await;
    let batch = shop.batch(5, Purpose::Print).await;
    assert_eq!(shop.refusal(shop.people[0], 1).await, vec![NotClaimable::OutOfStock]);
    let coupon = shop.chain.coupon(batch.coupon(4)).await;
    assert_eq!((coupon.member, coupon.version), (None, 1));
    assert_eq!(coupon.valid_until, Some(START + 30 * 24 * HOUR));
    let mut counter = shop.chain.counter().await;
    let arrival = counter.make(shop.chain.redeem(coupon.id, None), START);
    let answers = shop.chain.push(&[arrival]).await;
    assert!(
        matches!(&answers[0], Answer::Done { outcome, .. } if *outcome == counterfoil_domain::operations::Outcome::Applied)
    );
    shop.sound().await;
    // They end like the chain's ten others, the used one aside.
    let ended = coupons::expiry::sweep(shop.app(), START + 30 * 24 * HOUR, 1_000)
        .await
        .unwrap();
    assert_eq!((ended.expired, ended.settled, ended.later), (10 + 4, 1, 0));
    shop.sound().await;
}

async fn a_grant_to_a_list_gives_each_one(on: On) {
    let shop = shop(on, 700, 1, LimitCounts::Taken).await;
    let everybody: Vec<String> = (0..700).map(|n| format!("P{n}")).collect();
    let made = shop.grant(Some(everybody)).await;
    assert!(made.at_once.is_empty());
    jobs::start(shop.app());
    // Somebody asks for theirs at the same time, again and again.
    for _ in 0..3 {
        let some: Vec<MemberId> = shop.people.iter().copied().step_by(7).collect();
        grants::give(shop.app(), shop.chain.tenant, made.id, &some)
            .await
            .unwrap();
    }
    let job = made.job.unwrap();
    shop.until(job.id, jobs::Status::Done).await;
    assert_eq!(shop.job(job.id).await.done, 700);
    let parts = shop.parts(made.id).await;
    let coupons: BTreeSet<_> = parts.values().flatten().collect();
    assert_eq!((parts.len(), coupons.len()), (700, 700));
    let all = "SELECT COUNT(*) FROM coupons c JOIN grants g ON g.tenant = c.tenant AND g.batch = c.batch";
    assert_eq!(shop.chain.number(all).await, 700);
    // A short one is given at once; who is not on it gets nothing.
    let small = shop.grant(Some(vec!["P3".into(), "P3 ".into()])).await;
    assert_eq!(small.at_once.len(), 1);
    let got = grants::give(
        shop.app(),
        shop.chain.tenant,
        small.id,
        &[shop.people[3], shop.people[4]],
    )
    .await
    .unwrap();
    // The job may have been quicker.
    assert!(matches!(&got[0].1, grants::Got::Coupon(_) | grants::Got::Before));
    assert_eq!(got[1].1, grants::Got::Nothing(vec![NotClaimable::NotListed]));
    // A gift does not count against what they may claim.
    shop.batch(1, Purpose::Claim).await;
    assert!(shop.claim(shop.people[3], 1).await.given.is_some());
    shop.sound().await;
}

async fn a_grant_to_all_is_taken_when_they_show_up(on: On) {
    let shop = shop(on, 3, 0, LimitCounts::Taken).await;
    let made = shop.grant(None).await;
    assert_eq!(shop.chain.number("SELECT COUNT(*) FROM grant_members").await, 0);
    let show_up = async |who| grants::show_up(shop.app(), shop.chain.tenant, who).await.unwrap();
    assert_eq!(show_up(shop.people[0]).await, 1);
    assert_eq!(show_up(shop.people[0]).await, 0);
    // Who joins later was not meant.
    let late = Member {
        id: MemberId::new(START, random10()),
        number: "late".into(),
        name: String::new(),
        phone: String::new(),
        recent_stores: vec![],
    };
    let mut lease = shop.app().db.lease().await.unwrap();
    let mut tx = lease.begin().await.unwrap();
    members::rows::insert(&mut tx, shop.chain.tenant, std::slice::from_ref(&late), START + HOUR)
        .await
        .unwrap();
    tx.commit("test").await.unwrap();
    drop(lease);
    assert_eq!(show_up(late.id).await, 0);
    // Two processes, the same member, at once: one coupon.
    let other = App::open(&shop.chain.fresh.url, shop.chain.clock.clone(), Arc::new(SystemRandom))
        .await
        .unwrap();
    let who = shop.people[1];
    let (one, two) = tokio::join!(
        grants::show_up(shop.app(), shop.chain.tenant, who),
        grants::show_up(&other, shop.chain.tenant, who)
    );
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    // The template's end stops it.
    shop.chain.run("UPDATE templates SET status = 'retired'").await;
    let got = grants::give(shop.app(), shop.chain.tenant, made.id, &[shop.people[2]])
        .await
        .unwrap();
    assert_eq!(got[0].1, grants::Got::Nothing(vec![NotClaimable::Retired]));
    assert_eq!(shop.parts(made.id).await.len(), 2);
    shop.sound().await;
}

async fn codes_go_on_where_older_ones_ended(on: On) {
    let shop = shop(on, 1, 0, LimitCounts::Taken).await;
    let new = counterfoil_head_office::admin::NewGrant {
        member: "M1",
        template: shop.chain.template,
        count: 3,
    };
    let app = shop.app();
    let grant = async || {
        counterfoil_head_office::admin::grant_coupons(
            &app.db,
            app.clock.as_ref(),
            &SystemRandom,
            shop.chain.tenant,
            &new,
        )
        .await
        .unwrap()
    };
    let first = grant().await;
    // As if they were made by a version without counters.
    shop.chain.run("DELETE FROM code_counters").await;
    let second = grant().await;
    shop.batch(50, Purpose::Claim).await;
    let codes: BTreeSet<_> = first
        .coupons
        .iter()
        .chain(&second.coupons)
        .map(|(_, code)| code)
        .collect();
    assert_eq!(codes.len(), 6);
    assert_eq!(shop.chain.number("SELECT next FROM code_counters").await, 56);
    shop.sound().await;
}

async fn codes_follow_the_tenants_policy(on: On) {
    let shop = shop(on, 1, 0, LimitCounts::Taken).await;
    let app = shop.app();
    let set = async |parts: Option<&str>| {
        let policy = parts.map(|parts| serde_json::from_str(parts).unwrap());
        admin::code_policy(&app.db, app.clock.as_ref(), &SystemRandom, shop.chain.tenant, policy)
            .await
            .unwrap()
    };
    assert_eq!(set(None).await, CodePolicy::default());
    // A batch that was begun keeps the policy that it was begun with.
    let (begun, job) = shop.create(20, Purpose::Claim).await;
    let parts = r#"[{"kind":"fixed","text":"86"},{"kind":"random","digits":9},{"kind":"date","shuffled":false},{"kind":"check"}]"#;
    let policy = set(Some(parts)).await;
    assert_eq!(set(None).await, policy);
    let after = shop.batch(20, Purpose::Claim).await;
    shop.until(job, jobs::Status::Done).await;
    let mut reader = app.db.reader().acquire().await.unwrap();
    for (batch, length) in [(begun, 18), (after, 18)] {
        let codes = batches::rows::codes(&mut reader, shop.chain.tenant, batch, 0, 100)
            .await
            .unwrap();
        assert!(codes.iter().all(|(code, _)| code.len() == length), "{codes:?}");
        assert_eq!(codes.iter().all(|(code, _)| code.starts_with("86")), batch == after);
    }
    drop(reader);
    shop.sound().await;
}

async fn refusals_are_forgotten_after_a_week(on: On) {
    let shop = shop(on, 2, 1, LimitCounts::Taken).await;
    shop.batch(1, Purpose::Claim).await;
    assert!(shop.claim(shop.people[0], 1).await.given.is_some());
    shop.refusal(shop.people[1], 1).await;
    let forget = async |now| {
        let mut lease = shop.app().db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        assert!(!claims::rows::forget_refusals(&mut tx, now).await.unwrap());
        tx.commit("test").await.unwrap();
    };
    forget(START + claims::rows::REFUSALS_KEPT).await;
    assert_eq!(shop.chain.number("SELECT COUNT(*) FROM claims").await, 2);
    forget(START + claims::rows::REFUSALS_KEPT + 1).await;
    assert_eq!(shop.chain.number("SELECT COUNT(*) FROM claims").await, 1);
    shop.sound().await;
}

async fn verify_finds_what_is_wrong_with_claims(on: On) {
    for (damage, names) in [
        (
            "UPDATE batches SET claimed = 0 WHERE purpose = 'claim'",
            vec!["batches_given"],
        ),
        ("UPDATE holdings SET taken = taken + 1", vec!["holdings"]),
        ("DELETE FROM holdings", vec!["holdings"]),
        (
            "UPDATE claims SET coupon = tenant WHERE coupon IS NOT NULL",
            vec!["claims"],
        ),
        (
            "UPDATE coupons SET member = NULL WHERE version = 1 AND batch IN (SELECT id FROM batches WHERE purpose = 'claim')",
            vec!["claims"],
        ),
        ("UPDATE grant_members SET coupon = tenant", vec!["grants"]),
        ("DELETE FROM grant_members", vec!["grants"]),
        ("UPDATE jobs SET done = 1 WHERE kind = 'batch'", vec!["jobs"]),
        ("UPDATE code_counters SET next = 1", vec!["code_counters"]),
    ] {
        let shop = shop(on, 2, 0, LimitCounts::Taken).await;
        shop.batch(5, Purpose::Claim).await;
        for who in &shop.people {
            assert!(shop.claim(*who, 1).await.given.is_some());
        }
        let made = shop.grant(Some(vec!["P0".into()])).await;
        grants::give(shop.app(), shop.chain.tenant, made.id, &made.at_once)
            .await
            .unwrap();
        shop.until(made.job.unwrap().id, jobs::Status::Done).await;
        shop.sound().await;
        shop.chain.run(damage).await;
        let mut broken = BTreeSet::new();
        verify(&shop.app().db, |check| {
            if !check.ok {
                broken.insert(check.check);
            }
        })
        .await
        .unwrap();
        for name in names {
            assert!(broken.contains(name), "{damage}: {broken:?}");
        }
    }
}
