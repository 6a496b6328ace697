//! One group of commands: load, decide, store, commit.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use counterfoil_domain::{
    ids::{OperationId, StoreId, TenantId},
    planted,
    time::Millis,
    transition::{Answer, Changes, Command, Decide, Device, Key, NeedKeys, State, decide, isolate},
};
use sqlx::AnyConnection;

use super::{
    Answered, Errand, Line, Parts, Refusal,
    blame::{Suspected, alone},
    tables::{Loading, Storing, Table, Told},
};
use crate::{
    db::{
        self, DbError, Trouble,
        batch::{Text, execute},
    },
    feed::{self, Item},
};

/// Most rounds of loading what turned out to be needed.
const ROUNDS: usize = 4;

/// The writer's own things.
pub(super) struct Writer {
    pub(super) parts: Parts,
    tables: Vec<Box<dyn Table>>,
    pub(super) suspects: HashMap<(TenantId, OperationId), Suspected>,
    /// Pieces of groups that went through.
    pub(super) done: u64,
}

/// What to do differently on another try.
#[derive(Default)]
pub(super) struct Care {
    /// Look first whether somebody else was first with one of them.
    pub(super) look_up_names: bool,
    /// Set the operation, which stands alone, aside: it can't be stored with its effect.
    pub(super) isolate: Option<Isolate>,
}

/// How an operation is set aside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolate {
    /// What its own freezes held is let go of.
    Releasing,
    /// Nothing but the operation itself is touched.
    Bare,
}

/// A decided group.
struct Work {
    /// What each command is answered, and its device afterwards; `None` = it panicked.
    answers: Vec<Option<(Answer, Option<Device>)>>,
    /// The rows, and which of them changed.
    state: State,
    /// What else is to be stored, and who hears of which row.
    facts: Changes,
}

/// A group that is stored and not committed yet.
struct Done {
    answers: Vec<Result<Answered, Refusal>>,
    /// Where the feeds stand that something was told in.
    heads: BTreeMap<StoreId, i64>,
    /// Whether there are messages to hand over.
    sent: bool,
}

impl Writer {
    pub(super) fn new(parts: Parts, tables: Vec<Box<dyn Table>>) -> Self {
        Self {
            parts,
            tables,
            suspects: HashMap::new(),
            done: 0,
        }
    }

    pub(super) async fn attempt(
        &mut self,
        tenant: TenantId,
        errands: &[Errand],
        care: &Care,
    ) -> Result<Vec<Result<Answered, Refusal>>, DbError> {
        let db = Arc::clone(&self.parts.db);
        let mut lease = db.lease().await?;
        let result = async {
            let mut transaction = lease.begin().await?;
            let done = self.in_transaction(&mut transaction, tenant, errands, care).await?;
            if done.sent {
                transaction.sends();
            }
            transaction.commit("group").await?;
            Ok::<_, DbError>(done)
        }
        .await;
        let Done { answers, heads, .. } = match result {
            Ok(done) => done,
            Err(error) => {
                // A full disk rolls back by itself, a lost connection leaves an unknown commit behind: in both cases the
                // connection's own idea of its transaction is wrong, so the next lease connects anew. What blames the
                // rows leaves the connection as it was.
                let of_rows = matches!(error, DbError::RowCount { .. } | DbError::Answered);
                if !matches!(error.trouble(), Trouble::Constraint) && !of_rows {
                    lease.discard();
                }
                return Err(error);
            }
        };
        drop(lease);
        for (store, number) in heads {
            self.parts.watch.moved(tenant, store, number);
        }
        Ok(answers)
    }

    async fn in_transaction(
        &mut self,
        connection: &mut AnyConnection,
        tenant: TenantId,
        errands: &[Errand],
        care: &Care,
    ) -> Result<Done, DbError> {
        let now = self.parts.clock.now();
        let mut keys: BTreeSet<Key> = match (care.isolate, alone(errands)) {
            // Whatever it is about may be what does not read.
            (Some(Isolate::Bare), Some(arrival)) => [Key::Device(arrival.device)].into(),
            _ => errands.iter().flat_map(|errand| errand.command.keys()).collect(),
        };
        if care.look_up_names {
            keys.extend(errands.iter().flat_map(|errand| errand.command.names()));
        }
        let mut state = State::default();
        let mut rounds = 0;
        let work = loop {
            std::mem::take(&mut keys).into_iter().for_each(|key| state.want(key));
            let lock = self.parts.db.dialect().lock_suffix();
            for table in &mut self.tables {
                let loading = Loading {
                    connection: &mut *connection,
                    tenant,
                    lock,
                    now,
                    state: &mut state,
                };
                table.load(loading).await?;
            }
            match decide_all(state.clone(), errands, care, now) {
                Ok(work) => break work,
                Err(NeedKeys(more)) => {
                    rounds += 1;
                    if rounds > ROUNDS {
                        return Err(DbError::config(format!("keys are still missing: {more:?}")));
                    }
                    keys.extend(more);
                }
            }
        };
        let Work {
            answers: decided,
            state,
            facts,
        } = work;
        let mut told = Told::default();
        for table in &mut self.tables {
            let storing = Storing {
                connection: &mut *connection,
                tenant,
                now,
                random: self.parts.random.as_ref(),
                state: &state,
                facts: &facts,
                told: &mut told,
            };
            table.store(storing).await?;
        }
        let heads = self.tell(connection, tenant, &facts, &told).await?;
        let history = db::history_of(connection, tenant).await?;
        let mut answers = Vec::with_capacity(decided.len());
        let mut lines = Vec::new();
        for (decided, errand) in decided.into_iter().zip(errands) {
            let Some((answer, device)) = decided else {
                answers.push(Err(Refusal::Failed));
                continue;
            };
            let kept = match &errand.keep {
                Some(keep) => {
                    let (kept, line) = keep.keep(connection, tenant, &answer).await?;
                    lines.extend(line);
                    Some(kept)
                }
                None => None,
            };
            let feed = match (&answer, &device) {
                (Answer::Done { .. }, Some(device)) => match heads.get(&device.store) {
                    Some(number) => *number,
                    None => feed::head(connection, tenant, device.store).await?.number,
                },
                _ => 0,
            };
            let given = if let Answer::Given {
                coupon,
                replayed: false,
            } = &answer
            {
                told.given.remove(coupon).map(Box::new)
            } else {
                None
            };
            answers.push(Ok(Answered {
                answer,
                feed,
                device,
                given,
                kept,
                history,
            }));
        }
        write_lines(connection, tenant, &lines).await?;
        Ok(Done {
            answers,
            heads,
            sent: told.sent,
        })
    }

    /// Tells counters, last of all: the feeds' heads are held until the commit.
    async fn tell(
        &self,
        connection: &mut AnyConnection,
        tenant: TenantId,
        facts: &Changes,
        told: &Told,
    ) -> Result<BTreeMap<StoreId, i64>, DbError> {
        let mut news: BTreeMap<StoreId, Vec<Item>> = BTreeMap::new();
        for (store, entity) in &facts.feed {
            let item = Item::from(*entity);
            let items = news.entry(*store).or_default();
            // One line a row and commit is enough: a page carries the row as it is when it is read.
            if items.last() != Some(&item) && planted!("news_lost", items.len() < 2, true) {
                items.push(item);
            }
        }
        for (store, items) in &told.news {
            news.entry(*store).or_default().extend(items);
        }
        if news.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut mark = [0u8; 8];
        self.parts
            .random
            .fill(&mut mark)
            .map_err(|error| DbError::config(error.to_string()))?;
        feed::append(connection, tenant, &news, i64::from_be_bytes(mark)).await
    }
}

/// Writes what keeps the answers, with one statement for each kind of line.
async fn write_lines(connection: &mut AnyConnection, tenant: TenantId, lines: &[Line]) -> Result<(), DbError> {
    let mut of: Vec<(Text, Vec<&Line>)> = Vec::new();
    for line in lines {
        match of.iter_mut().find(|(statement, _)| *statement == line.statement) {
            Some((_, lines)) => lines.push(line),
            None => of.push((line.statement, vec![line])),
        }
    }
    for (statement, lines) in of {
        let written = execute(connection, statement, tenant, &lines, |b, line| (line.bind)(b)).await?;
        if written != lines.len() as u64 {
            return Err(DbError::Answered);
        }
    }
    Ok(())
}

/// Decides every command on the rows, each seeing what the ones before it changed.
fn decide_all(mut state: State, errands: &[Errand], care: &Care, now: Millis) -> Result<Work, NeedKeys> {
    let mut answers = Vec::with_capacity(errands.len());
    let mut facts = Changes::default();
    let mut missing = Vec::new();
    for Errand { command, .. } in errands {
        let decided = match (command, care.isolate) {
            (Command::Operation(arrival), Some(how)) => isolate(&state, arrival, now, how == Isolate::Releasing),
            _ => match (catch_unwind(AssertUnwindSafe(|| decide(&state, command, now))), command) {
                (Ok(decided), _) => decided,
                // The handler panicked. The operation is a fact all the same: it is kept, without effect.
                (Err(_), Command::Operation(arrival)) => isolate(&state, arrival, now, true),
                (Err(_), _) => {
                    tracing::error!("a command panicked");
                    answers.push(None);
                    continue;
                }
            },
        };
        // All that is missing is asked for at once; what was decided after the first gap is decided again.
        let (answer, mut changes) = match decided {
            Ok(decided) => decided,
            Err(NeedKeys(more)) => {
                missing.extend(more);
                continue;
            }
        };
        state.absorb(&changes);
        let device = if let Command::Operation(arrival) = command {
            state.devices.get(&arrival.device).cloned().flatten()
        } else {
            None
        };
        answers.push(Some((answer, device)));
        facts.append_facts(&mut changes);
    }
    if missing.is_empty() {
        Ok(Work { answers, state, facts })
    } else {
        Err(NeedKeys(missing))
    }
}
