//! `POST /v1/sync`: push, then pull, with a long poll where there is nothing new.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use counterfoil_domain::{
    ids::{HistoryId, TenantId},
    planted,
    transition::{Answer, Command, Device, DeviceStatus},
};
use counterfoil_protocol::{
    PUSH_OPERATIONS, VERSION, operation,
    problem::{Code, Problem},
    sync::{DeviceView, LONGEST_WAIT, OperationOutcome, Page, Stopped, SyncRequest, SyncResponse},
};

use super::page;
use crate::{
    app::App,
    db::DbError,
    engine::Answered,
    feed::{
        self, Claim, TENANT_FEED,
        images::{Gallery, Viewer},
        marks::Feed,
    },
    http::{ApiError, SignedRequest, barred},
    stores,
};

/// `POST /v1/sync`.
///
/// # Errors
/// Problems of the signature and of the journal; see the protocol.
pub async fn sync(State(app): State<Arc<App>>, request: SignedRequest) -> Result<Json<SyncResponse>, ApiError> {
    let asked: SyncRequest = request.read()?;
    if asked.protocol != VERSION {
        return Err(ApiError::detailed(
            Code::UnsupportedVersion,
            format!("spoken here: {VERSION}"),
        ));
    }
    if asked.operations.len() > PUSH_OPERATIONS {
        return Err(ApiError::detailed(
            Code::TooLarge,
            format!("at most {PUSH_OPERATIONS} operations"),
        ));
    }
    let pushed = if asked.operations.is_empty() {
        Pushed::default()
    } else {
        let _turn = app
            .pushing
            .take(request.device)
            .ok_or_else(|| ApiError::new(Code::InFlight))?;
        match push(&app, &request, &asked).await {
            Ok(pushed) => pushed,
            Err(error) => {
                // What looks like a gap or a fork may be a restored backup: that goes first.
                same_history(&app, &request, &asked).await?;
                return Err(error);
            }
        }
    };
    // A push that was taken whole and wants no rows has said all there is to say of the history.
    let told = asked.page_rows == 0
        && pushed
            .device
            .as_ref()
            .is_some_and(|(history, _)| *history == asked.history_id);
    if !told {
        same_history(&app, &request, &asked).await?;
    }
    if pushed.stopped.is_none() && !asked.more_waiting {
        app.engine.settled().set(request.device, app.clock.now());
    }
    let mut answer = match pushed.device {
        Some((history_id, device)) if told => response(&app, history_id, &device, None),
        _ => pull(&app, &request, &asked).await?,
    };
    let quiet = pushed.outcomes.is_empty() && pushed.stopped.is_none();
    if quiet
        && asked.wait > 0
        && answer
            .page
            .as_ref()
            .is_some_and(|page| page.rows.is_empty() && !page.more)
    {
        answer = wait(&app, &request, &asked, answer).await?;
    }
    Ok(Json(SyncResponse {
        outcomes: pushed.outcomes,
        stopped: pushed.stopped,
        ..answer
    }))
}

/// Finds out whether counter and head office speak of the same history. After a restore from a backup they don't: either
/// the id differs already, or the counter knows of something that this database has never done. If it can prove that, the
/// chain begins a new history here and now; if it can't, it alone reads everything again.
async fn same_history(app: &App, request: &SignedRequest, asked: &SyncRequest) -> Result<(), ApiError> {
    let (history, device) = own_row(app.db.reader(), request).await?;
    if history == asked.history_id {
        if device.status == DeviceStatus::Revoked {
            // It learns nothing more.
            return Ok(());
        }
        let active = device.status == DeviceStatus::Active;
        if active && asked.epoch > device.epoch {
            // The epoch it was given is lost with the backup. Only a person can give it a new one.
            freeze_device(app, request.tenant, &device).await?;
            return Err(barred(DeviceStatus::Frozen));
        }
        let more = active && asked.epoch == device.epoch && asked.acknowledged_seq > device.last_seq;
        match claim(app, request, asked).await? {
            Claim::Known if !more => return Ok(()),
            // Whoever may not work proves nothing to others, and must not read on after what is not there.
            claim if active && (claim == Claim::Lost || planted!("claim_taken_for_fact", true, false)) => {
                tracing::error!(device = %request.device, "a counter proves to know more than this database: a backup was restored");
                app.begin_history(request.tenant, history).await?;
            }
            // It may be so, and nobody else is any the worse for it: this one alone reads everything again.
            _ => {
                tracing::warn!(device = %request.device, "a counter claims to know more than this database, and can't prove it");
                metrics::counter!("counterfoil_alerts_total", "what" => "unproven_cursor").increment(1);
            }
        }
    }
    let history = app.db.history_of(request.tenant).await?;
    Err(Problem {
        history_id: Some(history),
        expected_seq: Some(device.last_seq + 1),
        epoch: Some(device.epoch),
        ..Problem::new(Code::HistoryChanged)
    }
    .into())
}

/// What is known of the numbers that the cursor claims to have read, in both feeds.
async fn claim(app: &App, request: &SignedRequest, asked: &SyncRequest) -> Result<Claim, ApiError> {
    let cursor = &asked.cursor;
    if cursor.tenant_seq == 0 && cursor.store_seq == 0 {
        return Ok(Claim::Known);
    }
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let mut all = Claim::Known;
    for (store, number, mark) in [
        (TENANT_FEED, cursor.tenant_seq, cursor.tenant_mark),
        (request.store, cursor.store_seq, cursor.store_mark),
    ] {
        let feed = Feed {
            tenant: request.tenant,
            history: asked.history_id,
            store,
        };
        match feed::judge(&mut connection, feed, number, mark).await? {
            Claim::Lost => return Ok(Claim::Lost),
            Claim::Unproven => all = Claim::Unproven,
            Claim::Known => {}
        }
    }
    Ok(all)
}

async fn own_row<'c>(
    connection: impl sqlx::Executor<'c, Database = sqlx::Any>,
    request: &SignedRequest,
) -> Result<(HistoryId, Device), ApiError> {
    stores::rows::device_in_history(connection, request.tenant, request.device)
        .await?
        .ok_or_else(|| ApiError::new(Code::BadSignature))
}

#[derive(Default)]
struct Pushed {
    outcomes: Vec<OperationOutcome>,
    stopped: Option<Stopped>,
    /// The history and the device as the engine left them.
    device: Option<(HistoryId, Device)>,
}

async fn push(app: &App, request: &SignedRequest, asked: &SyncRequest) -> Result<Pushed, ApiError> {
    let mut commands = Vec::with_capacity(asked.operations.len());
    let mut places = Vec::with_capacity(asked.operations.len());
    for (index, raw) in asked.operations.iter().enumerate() {
        let (tenant, arrival) = operation::open(index, raw.get())
            .map_err(|error| ApiError::detailed(Code::Malformed, error.to_string()))?;
        if tenant != request.tenant || arrival.device != request.device {
            return Err(ApiError::detailed(
                Code::Malformed,
                format!("operation {index} of the push was made by another device"),
            ));
        }
        places.push((arrival.epoch, arrival.seq, arrival.id));
        commands.push(Command::Operation(arrival));
    }
    let answers = app.engine.submit(request.tenant, commands).await?;
    metrics::counter!("counterfoil_operations_total").increment(answers.len() as u64);
    let mut pushed = Pushed::default();
    for ((epoch, seq, op_id), answered) in places.into_iter().zip(answers) {
        let Answered {
            answer,
            feed,
            device,
            history,
            ..
        } = answered;
        pushed.device = device.map(|device| (history, device));
        match answer {
            Answer::Done { outcome, replayed } => {
                pushed.outcomes.push(OperationOutcome {
                    epoch,
                    seq,
                    op_id,
                    outcome,
                    replayed,
                    feed,
                });
            }
            Answer::Gap { expected } => pushed.stopped = Some(Stopped::Gap { expected_seq: expected }),
            Answer::Fork => pushed.stopped = Some(Stopped::Fork),
            Answer::DeviceBarred { status } => return Err(barred(status)),
            _ => return Err(ApiError::internal()),
        }
        if pushed.stopped.is_some() {
            break;
        }
    }
    match pushed.stopped {
        // Where nothing at all was taken, the status says so.
        Some(Stopped::Gap { expected_seq }) if pushed.outcomes.is_empty() => Err(Problem {
            expected_seq: Some(expected_seq),
            ..Problem::new(Code::JournalGap)
        }
        .into()),
        Some(Stopped::Fork) if pushed.outcomes.is_empty() => Err(ApiError::new(Code::JournalFork)),
        _ => Ok(pushed),
    }
}

/// The page and the device's place, of one snapshot.
async fn pull(app: &App, request: &SignedRequest, asked: &SyncRequest) -> Result<SyncResponse, ApiError> {
    // A push that wants no rows needs no snapshot either: one read tells all.
    let (history_id, device, page) = if asked.page_rows > 0 {
        let mut snapshot = app.db.snapshot().await?;
        let (history_id, device) = own_row(&mut *snapshot, request).await?;
        // A revoked device delivers, and learns nothing more.
        let page = match device.status {
            DeviceStatus::Revoked => None,
            _ => Some(
                page::read(
                    app.own.of::<Gallery>(),
                    &mut snapshot,
                    request.tenant,
                    Viewer {
                        store: request.store,
                        device: request.device,
                        now: app.clock.now(),
                    },
                    asked.cursor,
                    asked.page_rows,
                )
                .await?,
            ),
        };
        snapshot.rollback().await.map_err(DbError::from)?;
        (history_id, device, page)
    } else {
        let (history_id, device) = own_row(app.db.reader(), request).await?;
        (history_id, device, None)
    };
    Ok(response(app, history_id, &device, page))
}

fn response(app: &App, history_id: HistoryId, device: &Device, page: Option<Page>) -> SyncResponse {
    SyncResponse {
        history_id,
        server_time: app.clock.now(),
        device: DeviceView {
            status: device.status,
            epoch: device.epoch,
            last_applied_seq: device.last_seq,
        },
        outcomes: Vec::new(),
        stopped: None,
        page,
    }
}

/// Waits until one of the two feeds moves, at most as long as asked.
async fn wait(
    app: &App,
    request: &SignedRequest,
    asked: &SyncRequest,
    nothing: SyncResponse,
) -> Result<SyncResponse, ApiError> {
    let mut own = app.watch.subscribe(request.tenant, request.store);
    let mut shared = app.watch.subscribe(request.tenant, TENANT_FEED);
    // What moved between the first look and the subscription is seen by a second look.
    let again = pull(app, request, asked).await?;
    if again.page.as_ref().is_some_and(has_news) {
        return Ok(again);
    }
    let longest = Duration::from_millis(asked.wait.clamp(0, LONGEST_WAIT).unsigned_abs());
    let moved = async {
        loop {
            tokio::select! {
                changed = own.changed() => if changed.is_err() { return },
                changed = shared.changed() => if changed.is_err() { return },
            }
            let (own, shared) = (*own.borrow_and_update(), *shared.borrow_and_update());
            if own > asked.cursor.store_seq || shared > asked.cursor.tenant_seq {
                return;
            }
        }
    };
    tokio::select! {
        () = moved => pull(app, request, asked).await,
        () = app.clock.sleep(longest) => Ok(SyncResponse { server_time: app.clock.now(), ..nothing }),
        () = app.stopping.cancelled() => Ok(SyncResponse { server_time: app.clock.now(), ..nothing }),
    }
}

fn has_news(page: &Page) -> bool {
    !page.rows.is_empty() || page.more
}

/// Looks from time to time whether another process has moved a feed somebody waits for.
pub async fn watch_other_processes(app: Arc<App>) {
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = app.clock.sleep(Duration::from_millis(300)) => {}
        }
        app.own.of::<stores::http::EnrolTries>().0.retain_recent();
        let listened = app.watch.listened();
        if listened.is_empty() {
            continue;
        }
        let Ok(mut snapshot) = app.db.snapshot().await else {
            continue;
        };
        for (tenant, store) in listened {
            match feed::head(&mut snapshot, tenant, store).await {
                Ok(head) => app.watch.moved(tenant, store, head.number),
                Err(error) => tracing::warn!(%error, "can't look at a feed"),
            }
        }
    }
}

/// Freezes a device until a person has decided; one that changed meanwhile is left to its next request.
///
/// # Errors
/// The database's.
async fn freeze_device(app: &App, tenant: TenantId, device: &Device) -> Result<(), DbError> {
    let frozen = Device {
        status: DeviceStatus::Frozen,
        version: device.version + 1,
        ..device.clone()
    };
    let mut lease = app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    match stores::rows::update_devices(&mut transaction, tenant, &[(device.version, &frozen)]).await {
        Ok(()) => transaction.commit("freeze_device").await,
        Err(DbError::RowCount { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
