//! Head office over HTTP: a real server process, requests signed and built beforehand so that the load generator
//! takes as little of the two cores as it can. Its share is printed beside each rate.

use std::{
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use counterfoil_domain::{ids::FreezeId, transition::Subject};
use counterfoil_head_office::{
    clock::{Clock, SystemClock},
    testing::{Chain, Counter, On, chain_at, random10},
};
use counterfoil_protocol::{
    VERSION, paths,
    questions::FreezeRequest,
    signing::{self, Signed},
    sync::{Cursor, SyncRequest},
};
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

use crate::{
    Latencies, disk,
    engine::{name, settle},
    report,
};

/// A running head office.
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts one on this database, with these arguments besides.
    pub async fn start(url: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let folder = std::env::var("COUNTERFOIL_BIN_DIR").context("COUNTERFOIL_BIN_DIR names the built programs")?;
        let mut child = Command::new(format!("{folder}/counterfoil-hq"))
            .args(["serve", "--database", url, "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env("RUST_LOG", "error")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("counterfoil-hq does not start")?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let line = lines.next_line().await?.context("counterfoil-hq said nothing")?;
        let address = line.rsplit_once("http://").context("no address")?.1.trim().to_owned();
        Ok(Self { child, address })
    }

    /// Ends it.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// Seconds of processor time of a process: user and system, in ticks of 10 ms.
fn processor(pid: &str) -> f64 {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return 0.0;
    };
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    [11, 12]
        .iter()
        .filter_map(|n| fields.get(*n)?.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn signed(chain: &Chain, counter: &Counter, path: &str, key: Option<&str>, body: Vec<u8>) -> Request<Full<Bytes>> {
    let time = SystemClock.now();
    let what = Signed {
        method: "POST",
        path,
        tenant: chain.tenant,
        device: counter.device,
        time,
        body: &body,
    };
    let signature = what.sign(&counter.key);
    let mut request = Request::post(path)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header(signing::TENANT, chain.tenant.to_string())
        .header(signing::DEVICE, counter.device.to_string())
        .header(signing::TIME, time.to_string())
        .header(signing::SIGNATURE, signature);
    if let Some(key) = key {
        request = request.header(signing::IDEMPOTENCY_KEY, key);
    }
    request.body(Full::new(Bytes::from(body))).unwrap_or_default()
}

async fn pushes(
    chain: &Chain,
    clients: usize,
    each: usize,
    size: usize,
) -> anyhow::Result<Vec<Vec<Request<Full<Bytes>>>>> {
    let history_id = chain.app.db.history().await?;
    let mut all = Vec::new();
    for coupons in chain.coupons.chunks(each).take(clients) {
        let mut counter = chain.counter().await;
        let mut requests = Vec::new();
        for part in coupons.chunks(size) {
            let operations = part
                .iter()
                .map(|id| RawValue::from_string(counter.seal(chain.redeem(*id, None), SystemClock.now())))
                .collect::<Result<_, _>>()?;
            let body = serde_json::to_vec(&SyncRequest {
                protocol: VERSION,
                history_id,
                cursor: Cursor::default(),
                epoch: 1,
                acknowledged_seq: 0,
                operations,
                more_waiting: true,
                page_rows: 0,
                wait: 0,
                app_version: String::new(),
            })?;
            requests.push(signed(chain, &counter, paths::SYNC, None, body));
        }
        all.push(requests);
    }
    Ok(all)
}

async fn freezes(chain: &Chain, clients: usize, each: usize) -> anyhow::Result<Vec<Vec<Request<Full<Bytes>>>>> {
    let mut all = Vec::new();
    for coupons in chain.coupons.chunks(each).take(clients) {
        let counter = chain.counter().await;
        let mut requests = Vec::new();
        for coupon in coupons {
            let id = FreezeId::new(SystemClock.now(), random10());
            let body = serde_json::to_vec(&FreezeRequest {
                amounts: counterfoil_domain::points::Amounts::default(),
                id,
                subject: Subject::Coupon(*coupon),
                presented_by: None,
            })?;
            requests.push(signed(chain, &counter, paths::FREEZES, Some(&id.to_string()), body));
        }
        all.push(requests);
    }
    Ok(all)
}

/// Sends every client's requests one after the other, clients at once; the number answered and their latencies.
async fn drive(
    server: &Server,
    clients: Vec<Vec<Request<Full<Bytes>>>>,
    span: Duration,
) -> anyhow::Result<(u64, f64, Latencies)> {
    let mut tasks = Vec::new();
    let begun = Instant::now();
    for requests in clients {
        let mut sender = server.connect().await?;
        tasks.push(tokio::spawn(async move {
            let mut latencies = Latencies::default();
            let mut done = 0u64;
            for request in requests {
                if begun.elapsed() >= span {
                    break;
                }
                let sent = Instant::now();
                sender.ready().await?;
                let response = sender.send_request(request).await?;
                let status = response.status();
                let body = response.into_body().collect().await?.to_bytes();
                anyhow::ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
                latencies.add(sent.elapsed());
                done += 1;
            }
            Ok::<_, anyhow::Error>((done, latencies))
        }));
    }
    let (mut done, mut latencies) = (0, Latencies::default());
    for task in tasks {
        let (count, more) = task.await??;
        done += count;
        latencies.extend(more);
    }
    Ok((done, begun.elapsed().as_secs_f64(), latencies))
}

/// Sends these requests one after the other, with a pause between.
pub async fn paced(
    server: &Server,
    requests: impl IntoIterator<Item = Request<Full<Bytes>>>,
    pause: Duration,
) -> anyhow::Result<()> {
    let mut sender = server.connect().await?;
    for request in requests {
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

struct Load {
    name: &'static str,
    clients: usize,
    size: usize,
    rate: usize,
}

/// Prints pushes of 200, single redemptions of 32 clients, and freezes.
pub async fn measure(on: On, span: Duration) -> anyhow::Result<()> {
    let seconds = usize::try_from(span.as_secs())?.max(1);
    for load in [
        Load {
            name: "pushes_of_200",
            clients: 8,
            size: 200,
            rate: 60_000,
        },
        Load {
            name: "single_redemptions_32_clients",
            clients: 32,
            size: 1,
            rate: 16_000,
        },
        Load {
            name: "freezes_32_clients",
            clients: 32,
            size: 0,
            rate: 16_000,
        },
        Load {
            name: "freezes_1_client",
            clients: 1,
            size: 0,
            rate: 4_000,
        },
    ] {
        let each = (load.rate * seconds)
            .div_ceil(load.clients)
            .next_multiple_of(load.size.max(1));
        let chain = Arc::new(chain_at(on, each * load.clients, SystemClock.now()).await);
        let clients = match load.size {
            0 => freezes(&chain, load.clients, each).await?,
            size => pushes(&chain, load.clients, each, size).await?,
        };
        settle(&chain, on).await?;
        chain.app.db.close().await;
        let title = format!("http.{}.{}", name(on), load.name);
        disk(&format!("{title}.disk_sync"))?;
        serve_and_drive(&chain.fresh.url, clients, load.size.max(1), span, &title).await?;
    }
    Ok(())
}

/// Starts a server on this database, sends it these requests, and prints rate, latencies and who used the processor.
/// `size` operations are in a request.
pub async fn serve_and_drive(
    url: &str,
    clients: Vec<Vec<Request<Full<Bytes>>>>,
    size: usize,
    span: Duration,
    title: &str,
) -> anyhow::Result<()> {
    let mut server = Server::start(url, &[]).await?;
    let pid = server.child.id().context("the server has ended")?.to_string();
    let before = (processor("self"), processor(&pid));
    let (requests, elapsed, latencies) = drive(&server, clients, span).await?;
    let after = (processor("self"), processor(&pid));
    let operations = requests * size as u64;
    report(
        &format!("{title}.rate"),
        operations as f64 / elapsed,
        "1/s",
        "higher",
        operations,
    );
    latencies.report(title);
    let own = after.0 - before.0;
    report(
        &format!("{title}.generator_share"),
        100.0 * own / (elapsed * 2.0),
        "% of two cores",
        "lower",
        requests,
    );
    let servers = after.1 - before.1;
    report(
        &format!("{title}.server_share"),
        100.0 * servers / (elapsed * 2.0),
        "% of two cores",
        "lower",
        requests,
    );
    Ok(server.child.kill().await?)
}
