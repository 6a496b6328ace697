//! A bad line: it delays, swallows, cuts, repeats, and answers by itself as a captive portal does.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::message;
use crate::random::Random;

const PORTAL: &str = "/accept-the-terms";
const PAGE: &str = "<!doctype html><title>Welcome</title><p>Please accept the terms to go on.</p>";
/// Longer than anybody waits.
const NEVER: Duration = Duration::from_secs(60);

/// Where head office listens at the moment: a process that starts again has another port.
pub type Targets = Arc<Mutex<Vec<String>>>;

/// What happened, and how often.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Tally {
    /// Once more.
    pub fn count(&self, what: &'static str) {
        *self.0.lock().unwrap().entry(what).or_default() += 1;
    }

    /// All of it.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap().clone()
    }
}

/// How the line is at the moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// No faults at all.
    Calm,
    /// A fault now and then.
    Fair,
    /// Many.
    Poor,
    /// Nobody accepts.
    Down,
    /// Everything is accepted and nothing answered.
    Hole,
    /// A portal answers everything.
    Portal,
}

/// What becomes of one request.
#[derive(Clone, Copy)]
enum Fate {
    Pass,
    Delay(Duration),
    Swallow,
    CutQuestion,
    CutAnswer,
    LoseAnswer,
    Repeat(Duration),
    PortalPage,
    PortalRedirect,
}

struct Shared {
    own: String,
    targets: Targets,
    tally: Tally,
    random: Mutex<Random>,
    weather: watch::Receiver<Weather>,
}

/// The line of one counter.
pub struct Proxy {
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    weather: watch::Sender<Weather>,
    /// Decides how the weather changes.
    random: Mutex<Random>,
}

impl Proxy {
    /// A calm line to head office.
    pub async fn open(targets: Targets, tally: Tally, seed: u64, place: u64) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (weather, seen) = watch::channel(Weather::Calm);
        let shared = Arc::new(Shared {
            own: address.clone(),
            targets,
            tally,
            random: Mutex::new(Random::of(seed, 1_000 + place)),
            weather: seen,
        });
        tokio::spawn(accept(listener, shared));
        Arc::new(Self {
            address,
            weather,
            random: Mutex::new(Random::of(seed, 2_000 + place)),
        })
    }

    /// The next weather, and how long it lasts.
    pub fn change(&self) -> Duration {
        let mut random = self.random.lock().unwrap();
        let weather = match random.below(100) {
            0..50 => Weather::Fair,
            50..78 => Weather::Poor,
            78..86 => Weather::Down,
            86..93 => Weather::Hole,
            _ => Weather::Portal,
        };
        self.weather.send_replace(weather);
        random.time(800, 6_000)
    }

    /// No more faults.
    pub fn calm(&self) {
        self.weather.send_replace(Weather::Calm);
    }
}

impl Shared {
    fn fate(&self) -> Fate {
        let mut random = self.random.lock().unwrap();
        let draw = random.below(100);
        let (slow, late) = (random.time(30, 1_800), random.time(0, 2_500));
        let draw = match *self.weather.borrow() {
            Weather::Calm => return Fate::Pass,
            Weather::Hole | Weather::Down => return Fate::Swallow,
            Weather::Portal if draw < 50 => return Fate::PortalPage,
            Weather::Portal => return Fate::PortalRedirect,
            // The same faults, less often.
            Weather::Fair if draw >= 6 => return Fate::Pass,
            Weather::Fair => 45 + draw * 9,
            Weather::Poor => draw,
        };
        match draw {
            0..45 => Fate::Pass,
            45..58 => Fate::Delay(slow),
            58..65 => Fate::Swallow,
            65..72 => Fate::CutQuestion,
            72..79 => Fate::CutAnswer,
            79..86 => Fate::LoseAnswer,
            86..95 => Fate::Repeat(late),
            95..98 => Fate::PortalPage,
            _ => Fate::PortalRedirect,
        }
    }

    /// A connection to head office: whoever of it listens.
    async fn far(&self) -> Option<TcpStream> {
        let targets = self.targets.lock().unwrap().clone();
        if targets.is_empty() {
            return None;
        }
        let first = self.random.lock().unwrap().below(targets.len());
        for turn in 0..targets.len() {
            let target = &targets[(first + turn) % targets.len()];
            if let Ok(far) = TcpStream::connect(target).await {
                let _ = far.set_nodelay(true);
                return Some(far);
            }
        }
        None
    }

    async fn until_down(&self) {
        let mut weather = self.weather.clone();
        if weather.wait_for(|now| *now == Weather::Down).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((near, _)) = listener.accept().await {
        if *shared.weather.borrow() == Weather::Down {
            shared.tally.count("refused");
            continue;
        }
        let _ = near.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            tokio::select! {
                _ = relay(near, &shared) => {}
                () = shared.until_down() => shared.tally.count("broken off"),
            }
        });
    }
}

/// Request by request, until one of them breaks the connection.
async fn relay(mut near: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    while let Some(question) = message::read(&mut near).await? {
        shared.tally.count("requests");
        match shared.fate() {
            Fate::Pass => pass(&mut near, &question, shared).await?,
            Fate::Delay(time) => {
                shared.tally.count("delayed");
                tokio::time::sleep(time).await;
                pass(&mut near, &question, shared).await?;
            }
            Fate::Swallow => {
                shared.tally.count("swallowed");
                let _ = tokio::time::timeout(NEVER, gone(&mut near)).await;
                return Ok(());
            }
            Fate::CutQuestion => {
                shared.tally.count("cut in the question");
                if let Some(mut far) = shared.far().await {
                    let part = shared.random.lock().unwrap().below(question.len());
                    far.write_all(&question[..part]).await?;
                }
                return Ok(());
            }
            Fate::CutAnswer => {
                let Some(answer) = ask(&mut near, &question, shared).await? else {
                    return Ok(());
                };
                shared.tally.count("cut in the answer");
                let part = shared.random.lock().unwrap().below(answer.len());
                return near.write_all(&answer[..part]).await;
            }
            Fate::LoseAnswer => {
                if ask(&mut near, &question, shared).await?.is_some() {
                    shared.tally.count("answers lost");
                }
                return Ok(());
            }
            Fate::Repeat(late) => {
                shared.tally.count("duplicated");
                let (again, copy) = (Arc::clone(shared), question.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(late).await;
                    if let Some(mut far) = again.far().await
                        && far.write_all(&copy).await.is_ok()
                    {
                        let _ = message::read(&mut far).await;
                    }
                });
                pass(&mut near, &question, shared).await?;
            }
            Fate::PortalPage => {
                shared.tally.count("portal answers");
                answer(&mut near, "200 OK", "", PAGE).await?;
            }
            Fate::PortalRedirect => {
                shared.tally.count("portal answers");
                let place = format!("location: {}{PORTAL}\r\n", shared.own);
                answer(&mut near, "302 Found", &place, "").await?;
            }
        }
    }
    Ok(())
}

async fn pass(near: &mut TcpStream, question: &[u8], shared: &Shared) -> io::Result<()> {
    match ask(near, question, shared).await? {
        Some(answer) => near.write_all(&answer).await,
        None => Err(io::ErrorKind::ConnectionReset.into()),
    }
}

/// Head office's answer; `None` when there is none, or nobody waits for it any more.
async fn ask(near: &mut TcpStream, question: &[u8], shared: &Shared) -> io::Result<Option<Vec<u8>>> {
    let Some(mut far) = shared.far().await else {
        return Ok(None);
    };
    far.write_all(question).await?;
    tokio::select! {
        answer = message::read(&mut far) => answer,
        () = gone(near) => Ok(None),
    }
}

/// Until the counter closes the connection: it sends nothing before it has its answer.
async fn gone(near: &mut TcpStream) {
    let _ = near.read(&mut [0; 1]).await;
}

async fn answer(near: &mut TcpStream, status: &str, more: &str, body: &str) -> io::Result<()> {
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html\r\n{more}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    near.write_all(text.as_bytes()).await
}
