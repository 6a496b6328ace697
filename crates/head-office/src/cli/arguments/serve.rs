//! What `serve` takes.

use std::{net::SocketAddr, num::NonZeroUsize};

use clap::Args;

use crate::processes::Role;

#[derive(Debug, Args)]
pub struct Serve {
    /// Where to listen. Port 0 takes a free one, which is printed.
    ///
    /// Example: --listen 0.0.0.0:7380
    #[arg(
        long,
        value_name = "ADDR:PORT",
        env = "COUNTERFOIL_HQ_LISTEN",
        default_value = "127.0.0.1:7380"
    )]
    pub listen: SocketAddr,
    /// How many connections may be open. For one more the one that has been idle longest is closed. Default: what the
    /// limit on open files leaves room for, at most 20000.
    ///
    /// Example: --max-connections 5000
    #[arg(long, value_name = "N", env = "COUNTERFOIL_HQ_MAX_CONNECTIONS")]
    pub max_connections: Option<NonZeroUsize>,
    /// After how many seconds without a request a connection is closed. A reverse proxy should close its own earlier.
    ///
    /// Example: --idle-timeout 300
    #[arg(
        long,
        value_name = "SECONDS",
        env = "COUNTERFOIL_HQ_IDLE_TIMEOUT",
        default_value_t = 180,
        value_parser = clap::value_parser!(u64).range(1..=86_400)
    )]
    pub idle_timeout: u64,
    /// A NATS server for messages between several processes. Not available in this version.
    ///
    /// Example: --nats nats://127.0.0.1:4222
    #[arg(long, value_name = "URL", env = "COUNTERFOIL_HQ_NATS", hide_env_values = true)]
    pub nats: Option<String>,
    /// A mail server for reminders. Its URL may hold a password: better set the variable.
    ///
    /// Example: --smtp smtps://counterfoil:secret@mail.example
    #[arg(
        long,
        value_name = "URL",
        env = "COUNTERFOIL_HQ_SMTP",
        hide_env_values = true,
        requires = "smtp_from"
    )]
    pub smtp: Option<String>,
    /// Who those mails are from.
    ///
    /// Example: --smtp-from 'Shanlan Coffee <no-reply@shop.example>'
    #[arg(long, value_name = "ADDRESS", env = "COUNTERFOIL_HQ_SMTP_FROM")]
    pub smtp_from: Option<String>,
    /// What this process does. Several processes on one PostgreSQL database may share it out; one without api answers only
    /// /healthz, /readyz and /metrics.
    ///
    /// Example: --roles api,jobs
    #[arg(
        long,
        value_name = "ROLES",
        env = "COUNTERFOIL_HQ_ROLES",
        value_delimiter = ',',
        default_value = "api,fulfilment,jobs"
    )]
    pub roles: Vec<Role>,
}
