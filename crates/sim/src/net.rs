//! The network between counters and head office: requests reach its handlers without a socket, one at a time, and
//! what happens to each is the simulator's to say.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request},
};
use counterfoil_counter::{
    http::Unanswered,
    transport::{Answering, Incoming, Outgoing, Transport},
};
use counterfoil_domain::ids::OperationId;
use counterfoil_protocol::{paths, sync::SyncResponse};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

use crate::{
    ambient::{Doom, Time, locked},
    recorded::Line,
};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It arrives, and so does its answer.
    Delivered,
    /// Nobody is there.
    Unreachable,
    /// It never arrives; whoever asked waits in vain.
    Dropped,
    /// It arrives, and its answer gets lost.
    AnswerLost,
    /// It arrives twice; the second answer is the one that is heard.
    Duplicated,
    /// It arrives at some later step; whoever asked waits in vain.
    Delayed,
    /// Somebody else answers.
    Portal,
}

impl Fate {
    /// All that are faults.
    pub const FAULTS: [Self; 6] = [
        Self::Unreachable,
        Self::Dropped,
        Self::AnswerLost,
        Self::Duplicated,
        Self::Delayed,
        Self::Portal,
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Unreachable => "unreachable",
            Self::Dropped => "dropped",
            Self::AnswerLost => "answer_lost",
            Self::Duplicated => "duplicated",
            Self::Delayed => "delayed",
            Self::Portal => "portal",
        }
    }
}

/// A request that is under way.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Head office as the network reaches it.
#[derive(Debug, Clone)]
pub struct Reached {
    pub router: Router,
    pub doom: Arc<Doom>,
}

#[derive(Debug, Default)]
struct State {
    office: Option<Reached>,
    fates: VecDeque<Fate>,
    /// Counters that reach nobody.
    cut: std::collections::BTreeSet<usize>,
    late: Vec<Call>,
    hit: BTreeMap<&'static str, u64>,
    /// How each operation ended, as first answered.
    outcomes: BTreeMap<OperationId, String>,
    changed: Vec<String>,
    /// Requests that were answered, where they are kept.
    recording: Option<(Time, Vec<Line>)>,
}

/// The network.
#[derive(Debug, Default)]
pub struct Net {
    /// One request at a time: what is decided in which order must not depend on threads.
    turn: tokio::sync::Mutex<()>,
    /// Several requests are under way together, which somebody else puts in order.
    side_by_side: std::sync::atomic::AtomicBool,
    /// Counters of those whose next requests go one counter after the other; whoever is not among them waits for nobody.
    queue: tokio::sync::watch::Sender<Vec<usize>>,
    state: Mutex<State>,
}

impl Net {
    pub fn connect(&self, office: Option<Reached>) {
        locked(&self.state).office = office;
    }
    pub fn plan(&self, fates: &[Fate]) {
        locked(&self.state).fates = fates.iter().copied().collect();
    }
    pub fn cut(&self, till: usize, cut: bool) {
        let mut state = locked(&self.state);
        if cut {
            state.cut.insert(till);
        } else {
            state.cut.remove(&till);
        }
    }
    pub fn heal(&self) {
        let mut state = locked(&self.state);
        state.cut.clear();
        state.fates.clear();
    }
    pub fn side_by_side(&self, yes: bool) {
        self.side_by_side.store(yes, std::sync::atomic::Ordering::SeqCst);
    }
    /// From now on the next requests of these counters go one counter after the other, each until it is [done](Net::done).
    pub fn queue(&self, tills: Vec<usize>) {
        self.queue.send_replace(tills);
    }
    pub fn done(&self, till: usize) {
        self.queue.send_modify(|queue| queue.retain(|one| *one != till));
    }
    async fn comes_first(&self, till: usize) {
        let mut queue = self.queue.subscribe();
        // Whoever sends lives as long as the network.
        let _ = queue
            .wait_for(|queue| queue.first().is_none_or(|first| *first == till) || !queue.contains(&till))
            .await;
    }
    pub fn late(&self) -> usize {
        locked(&self.state).late.len()
    }
    pub fn hit(&self) -> BTreeMap<&'static str, u64> {
        locked(&self.state).hit.clone()
    }
    /// Operations that were answered in two ways.
    pub fn changed(&self) -> Vec<String> {
        locked(&self.state).changed.clone()
    }
    /// Head office has lost a piece of its history: what it does again may come out differently.
    pub fn forget_outcomes(&self) {
        locked(&self.state).outcomes.clear();
    }

    /// Delivers what was held up, oldest first.
    pub async fn deliver_late(&self) {
        let _turn = self.turn.lock().await;
        let late = std::mem::take(&mut locked(&self.state).late);
        for call in late {
            let _ = self.deliver(&call).await;
        }
    }

    /// Asks as a program of the chain's own would, over a line of its own.
    pub async fn ask(&self, call: &Call) -> Option<(u16, Vec<u8>)> {
        let _turn = self.turn.lock().await;
        let fate = locked(&self.state).fates.pop_front().unwrap_or(Fate::Delivered);
        self.meet(usize::MAX, call, fate).await.ok()
    }

    async fn deliver(&self, call: &Call) -> Result<(u16, Vec<u8>), Unanswered> {
        let office = locked(&self.state).office.clone();
        let Some(office) = office else {
            return Err(Unanswered::Unreachable("nobody listens".into()));
        };
        let answer = send(&office.router, call).await;
        if office.doom.struck() {
            locked(&self.state).office = None;
            return Err(Unanswered::Broken("the program ended".into()));
        }
        let answer = answer?;
        if let Some((time, lines)) = &mut locked(&self.state).recording {
            lines.push(Line::of(time.now(), call, answer.0, &answer.1));
        }
        self.remember(call, &answer);
        Ok(answer)
    }

    async fn meet(&self, till: usize, call: &Call, fate: Fate) -> Result<(u16, Vec<u8>), Unanswered> {
        let cut = locked(&self.state).cut.contains(&till);
        let fate = if cut { Fate::Unreachable } else { fate };
        if fate != Fate::Delivered && !cut {
            *locked(&self.state).hit.entry(fate.word()).or_default() += 1;
        }
        match fate {
            Fate::Delivered => self.deliver(call).await,
            Fate::Unreachable => Err(Unanswered::Unreachable("no route".into())),
            Fate::Dropped => Err(Unanswered::TimedOut),
            Fate::AnswerLost => {
                let _ = self.deliver(call).await;
                Err(Unanswered::Broken("the line broke".into()))
            }
            Fate::Duplicated => {
                let _ = self.deliver(call).await;
                self.deliver(call).await
            }
            Fate::Delayed => {
                locked(&self.state).late.push(call.clone());
                Err(Unanswered::TimedOut)
            }
            Fate::Portal => Ok((200, b"<html>Welcome to our guest network</html>".to_vec())),
        }
    }

    /// Keeps every request that is answered from now on.
    pub fn record(&self, time: Time) {
        locked(&self.state).recording = Some((time, Vec::new()));
    }
    /// What was kept.
    pub fn recorded(&self) -> Vec<Line> {
        locked(&self.state)
            .recording
            .take()
            .map(|(_, lines)| lines)
            .unwrap_or_default()
    }

    /// Something that was said once is said differently now.
    pub fn differs(&self, words: String) {
        locked(&self.state).changed.push(words);
    }

    /// Every outcome is final: what was answered once is answered for ever.
    fn remember(&self, call: &Call, (status, body): &(u16, Vec<u8>)) {
        if call.path != paths::SYNC || *status != 200 {
            return;
        }
        let Ok(answer) = serde_json::from_slice::<SyncResponse>(body) else {
            return;
        };
        let mut state = locked(&self.state);
        for outcome in answer.outcomes {
            let said = format!("{:?}", outcome.outcome);
            match state.outcomes.get(&outcome.op_id) {
                Some(before) if *before != said => {
                    let words = format!("{} was {before} and is now {said}", outcome.op_id);
                    state.changed.push(words);
                }
                Some(_) => {}
                None => {
                    state.outcomes.insert(outcome.op_id, said);
                }
            }
        }
    }
}

async fn send(router: &Router, call: &Call) -> Result<(u16, Vec<u8>), Unanswered> {
    let mut request = Request::builder().method(call.method.clone()).uri(&call.path);
    if !call.body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let broken = |what: String| Unanswered::Broken(what);
    let mut request = request
        .body(Body::from(call.body.clone()))
        .map_err(|error| broken(error.to_string()))?;
    request
        .extensions_mut()
        .insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
    let answer = match router.clone().oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    let status = answer.status().as_u16();
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(|error| broken(error.to_string()))?;
    Ok((status, body.to_bytes().to_vec()))
}

/// One counter's line.
#[derive(Debug)]
pub struct Wire {
    pub net: Arc<Net>,
    pub till: usize,
}

impl Transport for Wire {
    fn send(&self, request: Outgoing) -> Answering<'_> {
        Box::pin(async move {
            let together = self.net.side_by_side.load(std::sync::atomic::Ordering::SeqCst);
            let _turn = if together {
                self.net.comes_first(self.till).await;
                None
            } else {
                Some(self.net.turn.lock().await)
            };
            let path = match request.url.query() {
                Some(query) => format!("{}?{query}", request.url.path()),
                None => request.url.path().to_owned(),
            };
            let call = Call {
                method: Method::from_bytes(request.method.as_str().as_bytes()).unwrap_or(Method::POST),
                path,
                headers: request
                    .headers
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
                body: request.body,
            };
            let fate = locked(&self.net.state).fates.pop_front().unwrap_or(Fate::Delivered);
            let (status, body) = self.net.meet(self.till, &call, fate).await?;
            Ok(Incoming { status, body })
        })
    }
}
