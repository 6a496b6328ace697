//! Claims, batches and grants on both engines. Here stands the shop that their tests share.

mod claiming;
mod damaged;
mod giving;
mod making;

use std::{collections::BTreeMap, sync::Arc};

use counterfoil_domain::{
    ids::{BatchId, GrantId, JobId, MemberId},
    people::Member,
    transition::{Answer, ClaimCoupon, ClaimKey, Command, LimitCounts, NotClaimable},
    words::Word,
};
use counterfoil_head_office::{
    App,
    batches::{self, Purpose},
    clock::SystemRandom,
    engine::Answered,
    grants, jobs, members,
    verify::verify,
};
use sqlx::Row;

use crate::common::*;

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
