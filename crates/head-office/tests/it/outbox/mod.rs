//! Reliable messages on SQLite and on PostgreSQL: written with what causes them, handed over until they are confirmed,
//! whatever dies or hangs in between.

mod dispatching;
mod looking;
mod processes;
mod raced;
mod sending;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use counterfoil_domain::{ids::TenantId, outbox::Outgoing};
use counterfoil_head_office::{
    App,
    clock::SystemRandom,
    db::{Crash, Db, Faults},
    outbox::{self, Consumer, Done, Message, NotDone},
    processes::Role,
    testing::Chain,
};

/// The topic of most messages here.
const PARCELS: &str = "parcels";

type Script = Box<dyn Fn(&Message) -> Result<(), NotDone> + Send + Sync>;

/// A consumer that notes in the audit log what it does, once for each message, and fails as its script says.
struct Scripted {
    topic: &'static str,
    script: Script,
    heard: Mutex<Vec<(String, i64)>>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted").finish_non_exhaustive()
    }
}

impl Scripted {
    /// Lives as long as the program, as those of capabilities do.
    fn new(script: impl Fn(&Message) -> Result<(), NotDone> + Send + Sync + 'static) -> &'static Self {
        Box::leak(Box::new(Self {
            topic: PARCELS,
            script: Box::new(script),
            heard: Mutex::default(),
        }))
    }

    fn willing() -> &'static Self {
        Self::new(|_| Ok(()))
    }

    /// Sources and tries of what it was handed.
    fn heard(&self) -> Vec<(String, i64)> {
        self.heard.lock().unwrap().clone()
    }
}

#[async_trait]
impl Consumer for Scripted {
    fn topic(&self) -> &'static str {
        self.topic
    }
    fn role(&self) -> Role {
        Role::Fulfilment
    }
    async fn handle(&self, app: &Arc<App>, message: &Message) -> Result<Done, NotDone> {
        self.heard.lock().unwrap().push((message.source.clone(), message.tries));
        (self.script)(message)?;
        message
            .consume(app, async |deed| Ok(deed.audit("done", &message.source).await?))
            .await
    }
}

fn to(key: &str, source: &str) -> Outgoing {
    Outgoing {
        topic: PARCELS,
        key: key.to_owned(),
        source: source.to_owned(),
        body: format!("{{\"about\":\"{source}\"}}"),
    }
}

/// Sends these, in one deed and in the order of their keys.
async fn send(app: &App, tenant: TenantId, messages: &[Outgoing]) {
    let mut messages: Vec<&Outgoing> = messages.iter().collect();
    messages.sort_by(|one, other| one.key.cmp(&other.key));
    let mut lease = app.db.lease().await.unwrap();
    let mut deed = deed(app, tenant, &mut lease).await;
    for message in messages {
        assert!(deed.send(message).await.unwrap());
    }
    deed.commit("test").await.unwrap();
}

async fn deed<'l>(
    app: &'l App,
    tenant: TenantId,
    lease: &'l mut counterfoil_head_office::db::Lease<'_>,
) -> counterfoil_head_office::deed::Deed<'l> {
    let actor = counterfoil_head_office::deed::Actor {
        tenant,
        name: "test".into(),
    };
    let transaction = lease.begin().await.unwrap();
    counterfoil_head_office::deed::Deed::new(transaction, app.random.as_ref(), actor, app.clock.now())
}

/// Hands over what is due, until nothing is; how many that were.
async fn drain(app: &Arc<App>, consumer: &'static dyn Consumer) -> usize {
    let mut handed = 0;
    loop {
        match outbox::turn(app, &[consumer]).await.unwrap() {
            0 => return handed,
            more => handed += more,
        }
    }
}

/// How many messages stand so.
async fn stand(chain: &Chain, status: &'static str) -> i64 {
    let sql = match status {
        "pending" => "SELECT COUNT(*) FROM outbox WHERE status = 'pending'",
        "sent" => "SELECT COUNT(*) FROM outbox WHERE status = 'sent'",
        _ => "SELECT COUNT(*) FROM outbox WHERE status = 'confirmed'",
    };
    chain.number(sql).await
}

/// How often the consumer's effect happened.
async fn effects(chain: &Chain) -> i64 {
    chain.number("SELECT COUNT(*) FROM audit WHERE action = 'done'").await
}

/// What `verify` finds broken; the fixture's batch says more coupons than there are.
async fn broken(chain: &Chain) -> BTreeSet<&'static str> {
    let mut broken = BTreeSet::new();
    counterfoil_head_office::verify::verify(&chain.app.db, |check| {
        if !check.ok && check.check != "batches" {
            broken.insert(check.check);
        }
    })
    .await
    .unwrap();
    broken
}

/// Another program on the same database.
async fn another(chain: &Chain) -> Arc<App> {
    App::open(&chain.fresh.url, chain.clock.clone(), Arc::new(SystemRandom))
        .await
        .unwrap()
}

/// Ends the program at the next commit of this name.
#[derive(Debug, Default)]
struct Once(Mutex<Option<(&'static str, Crash)>>);

impl Once {
    fn at(&self, commit: &'static str, crash: Crash) {
        *self.0.lock().unwrap() = Some((commit, crash));
    }
}

impl Faults for Once {
    fn at(&self, commit: &'static str) -> Option<Crash> {
        let mut set = self.0.lock().unwrap();
        match *set {
            Some((name, crash)) if name == commit => {
                *set = None;
                Some(crash)
            }
            _ => None,
        }
    }
}

/// A program on the same database that ends where it is told to.
async fn doomed(chain: &Chain) -> (Arc<App>, Arc<Once>) {
    let faults = Arc::new(Once::default());
    let random = Arc::new(SystemRandom);
    let db = Db::open_with(
        &chain.fresh.url,
        chain.clock.as_ref(),
        random.as_ref(),
        4,
        Some(faults.clone()),
    )
    .await
    .unwrap();
    (App::on(db, chain.clock.clone(), random, false), faults)
}
