//! What `admin carrier` and `sandbox-carrier` take.

use std::net::SocketAddr;

use clap::{Args, Subcommand, ValueEnum};

use super::Tenant;

#[derive(Debug, Subcommand)]
pub enum CarrierAction {
    /// Say how a carrier is reached. Its secret comes from standard input or a variable, and is shown nowhere.
    #[command(
        after_help = "Examples:\n  counterfoil-hq admin carrier set --adapter sandbox --url http://127.0.0.1:7390\n  counterfoil-hq admin carrier set --adapter kuaidi100 --customer AB12 --secret-stdin --public https://hq.example < key.txt"
    )]
    Set(NewCarrier),
    /// Ask a carrier nothing any more.
    #[command(after_help = "Example: counterfoil-hq admin carrier drop --adapter sandbox")]
    Drop(WhichCarrier),
    /// List them. Prints one JSON line each.
    List(Tenant),
}

#[derive(Debug, Args)]
pub struct NewCarrier {
    /// Which.
    ///
    /// Example: --adapter sandbox
    #[arg(long, value_enum)]
    pub adapter: Adapter,
    /// Where it is: https, or http on a machine of your own. Default: where Kuaidi100 is.
    ///
    /// Example: --url http://127.0.0.1:7390
    #[arg(long, value_name = "URL", default_value = "https://poll.kuaidi100.com")]
    pub url: String,
    /// The word by which Kuaidi100 knows its customer.
    ///
    /// Example: --customer AB12
    #[arg(long, default_value = "")]
    pub customer: String,
    /// The key that Kuaidi100 gave, or the token of the sandbox. Others on this machine may see it in the list of
    /// processes: better use --secret-stdin, or set the variable.
    ///
    /// Example: --secret 0123456789abcdef
    #[arg(
        long,
        env = "COUNTERFOIL_HQ_CARRIER_SECRET",
        hide_env_values = true,
        conflicts_with = "secret_stdin"
    )]
    pub secret: Option<String>,
    /// Read the secret from the first line of standard input.
    ///
    /// Example: --secret-stdin < key.txt
    #[arg(long)]
    pub secret_stdin: bool,
    /// Where this head office is reached from outside: Kuaidi100 then tells of changes by itself.
    ///
    /// Example: --public https://hq.example
    #[arg(long, value_name = "URL")]
    pub public: Option<String>,
    #[command(flatten)]
    pub tenant: Tenant,
}

#[derive(Debug, Args)]
pub struct WhichCarrier {
    /// Which.
    ///
    /// Example: --adapter sandbox
    #[arg(long, value_enum)]
    pub adapter: Adapter,
    #[command(flatten)]
    pub tenant: Tenant,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Adapter {
    /// The carrier of this program, to try everything with: waybills are ordered there.
    Sandbox,
    /// The aggregator: it tracks the waybills of all other companies.
    Kuaidi100,
}

impl From<Adapter> for crate::admin::Adapter {
    fn from(adapter: Adapter) -> Self {
        match adapter {
            Adapter::Sandbox => Self::Sandbox,
            Adapter::Kuaidi100 => Self::Kuaidi100,
        }
    }
}

#[derive(Debug, Args)]
pub struct SandboxCarrier {
    /// Where to listen. Port 0 takes a free one, which is printed.
    ///
    /// Example: --listen 127.0.0.1:7390
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7390")]
    pub listen: SocketAddr,
    /// What whoever asks must show. Left out: nothing.
    ///
    /// Example: --token 0123456789abcdef
    #[arg(long, env = "COUNTERFOIL_HQ_SANDBOX_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}
