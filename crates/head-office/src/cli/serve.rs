//! `serve`.

use std::{net::SocketAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{CliError, arguments::serve::Serve, print};
use crate::{
    app::App,
    capabilities,
    clock::{AheadClock, Clock, SystemClock, SystemRandom},
    http::{
        Routes,
        connections::{Limits, raise_descriptors},
    },
    messages::notify::Mail,
    outside::{self, Outside},
    processes::Role,
};

/// How often the recorder of metrics clears up what nobody has asked for.
const UPKEEP: Duration = Duration::from_secs(5);

pub(super) async fn serve(database: &str, options: Serve) -> Result<(), CliError> {
    if options.nats.is_some() {
        return Err(CliError::input(
            "not_available",
            "This version sends no messages through NATS. Leave --nats (COUNTERFOIL_HQ_NATS) out.",
        ));
    }
    let mail = mail(&options)?;
    // First of all: whoever starts it twice hears of it before the database is touched.
    let listener = bind(options.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|error| CliError::failed("internal", format!("The socket has no address: {error}.")))?;
    let app = App::open(database, clock()?, Arc::new(SystemRandom)).await?;
    if options.roles.contains(&Role::Jobs) {
        crate::jobs::start(&app);
        let outside = Outside::new(&app, mail)
            .map_err(|error| CliError::failed("internal", format!("Nobody outside can be called: {error}.")))?;
        outside::start(&app, outside);
    }
    capabilities::start(&app, &options.roles);
    let metrics = Some(recorder(&app.stopping)?);
    let router = if options.roles.contains(&Role::Api) {
        capabilities::router(Arc::clone(&app), metrics)
    } else {
        Routes::service(metrics).serve(Arc::clone(&app))
    };
    stop_on_signal(app.stopping.clone())?;
    let serving = tokio::spawn(crate::serve_within(app, listener, router, limits(&options)));
    print(&format!("listening on http://{address}"))?;
    let failed = |what: String| CliError::failed("internal", format!("The server stopped: {what}."));
    match serving.await {
        Ok(()) => {
            tracing::info!("stopped");
            Ok(())
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Raises the limit on descriptors, and says what follows from it.
fn limits(options: &Serve) -> Limits {
    let descriptors = raise_descriptors();
    let usual = Limits::default();
    let limits = Limits {
        connections: options.max_connections.map_or(usual.connections, NonZeroUsize::get),
        idle: Duration::from_secs(options.idle_timeout),
        ..usual
    };
    tracing::info!(
        descriptors,
        connections = limits.connections,
        idle_seconds = limits.idle.as_secs(),
        "open files and connections"
    );
    limits
}

fn mail(options: &Serve) -> Result<Option<Mail>, CliError> {
    let Some(url) = &options.smtp else { return Ok(None) };
    Mail::new(url, options.smtp_from.as_deref().unwrap_or_default())
        .map(Some)
        .map_err(|what| {
            CliError::input(
                "usage",
                format!("{what}: look at --smtp (COUNTERFOIL_HQ_SMTP) and --smtp-from (COUNTERFOIL_HQ_SMTP_FROM)."),
            )
        })
}

/// The machine's clock, or, for drills and tests, one that runs ahead of it by `COUNTERFOIL_HQ_CLOCK_AHEAD` seconds.
fn clock() -> Result<Arc<dyn Clock>, CliError> {
    let Ok(ahead) = std::env::var("COUNTERFOIL_HQ_CLOCK_AHEAD") else {
        return Ok(Arc::new(SystemClock));
    };
    let seconds: i64 = ahead.parse().map_err(|_| {
        CliError::input(
            "usage",
            "COUNTERFOIL_HQ_CLOCK_AHEAD is a number of seconds. Leave it out outside of drills.",
        )
    })?;
    if seconds != 0 {
        tracing::warn!(
            seconds,
            "the clock runs ahead, as COUNTERFOIL_HQ_CLOCK_AHEAD says: this is a drill"
        );
    }
    Ok(Arc::new(AheadClock(seconds.saturating_mul(1_000))))
}

pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|error| {
        let (code, hint) = match error.kind() {
            std::io::ErrorKind::AddrInUse => (
                "address_in_use",
                "Another program listens there, perhaps another head office. Stop it, or choose another port with --listen",
            ),
            std::io::ErrorKind::PermissionDenied => (
                "address_forbidden",
                "This user may not listen there. Choose a port from 1024 with --listen",
            ),
            std::io::ErrorKind::AddrNotAvailable => (
                "address_invalid",
                "This machine has no such address. Choose another one with --listen",
            ),
            _ => ("address_invalid", "Choose another address with --listen"),
        };
        CliError::failed(code, format!("Can't listen on {address} ({error}). {hint}."))
    })
}

fn recorder(stopping: &CancellationToken) -> Result<PrometheusHandle, CliError> {
    let handle = PrometheusBuilder::new()
        .install_recorder()
        .map_err(|error| CliError::failed("internal", format!("Metrics can't be recorded: {error}.")))?;
    let (kept, stopping) = (handle.clone(), stopping.clone());
    tokio::spawn(async move {
        while stopping.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
            kept.run_upkeep();
        }
    });
    Ok(handle)
}

/// Stops gracefully on ctrl-c and on SIGTERM; on a second one at once.
pub(super) fn stop_on_signal(stopping: CancellationToken) -> Result<(), CliError> {
    let failed =
        |error: std::io::Error| CliError::failed("internal", format!("Signals can't be listened to: {error}."));
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(failed)?;
    #[cfg(unix)]
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).map_err(failed)?;
    #[cfg(not(unix))]
    let _ = failed;
    tokio::spawn(async move {
        loop {
            #[cfg(unix)]
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            #[cfg(not(unix))]
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            if stopping.is_cancelled() {
                tracing::warn!("stopped at once");
                std::process::exit(1);
            }
            tracing::info!("stopping; requests under way are finished");
            stopping.cancel();
        }
    });
    Ok(())
}
