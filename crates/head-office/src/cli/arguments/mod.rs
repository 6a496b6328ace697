//! What can be typed. Here stands what the whole line is made of; each family of commands has a file of its own.

pub mod carrier;
pub mod people;
pub mod serve;
pub mod work;

use clap::{Args, Parser, Subcommand};

use self::{
    carrier::{CarrierAction, SandboxCarrier},
    people::{NewClerk, NewStore, OperatorAction, TenantAction},
    serve::Serve,
    work::{DecideDevice, Device, Grant, NewOrder, Seed},
};

/// Head office of Counterfoil: issues coupons and pickup orders, and takes what every shop delivers.
#[derive(Debug, Parser)]
#[command(
    name = "counterfoil-hq",
    version,
    after_help = "Examples:\n  counterfoil-hq seed --demo\n  counterfoil-hq device enrol-code --store s-01\n  counterfoil-hq serve --listen 0.0.0.0:7380"
)]
pub struct Arguments {
    /// The database: a SQLite file, or a PostgreSQL server. A file's name is taken as it stands, with `%`, `?` or `#` in
    /// it too; `serve`, `seed` and `admin tenant add` make it when it is missing.
    ///
    /// Example: --database sqlite:/var/lib/counterfoil/head-office.db
    ///
    /// Example: --database postgres://counterfoil@db.example/counterfoil
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "COUNTERFOIL_HQ_DATABASE",
        default_value = "sqlite:head-office.db",
        hide_env_values = true
    )]
    pub database: String,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer counters until stopped. Prints `listening on http://...` once it can.
    #[command(after_help = "Example: counterfoil-hq serve --database sqlite:head-office.db --listen 127.0.0.1:7380")]
    Serve(Serve),
    /// Add what an empty head office needs first, and decide what only a person can.
    #[command(subcommand)]
    Admin(Admin),
    /// Bring counters in.
    #[command(subcommand)]
    Device(Device),
    /// Make demo or load data. Repeatable: the same seed adds nothing twice. Prints one JSON document.
    #[command(
        after_help = "Examples:\n  counterfoil-hq seed --demo\n  counterfoil-hq seed --stores 10 --members 20000 --coupons 100000 --pickups 5000 --seed 7"
    )]
    Seed(Seed),
    /// Check every invariant on a live database. Prints one JSON line each; ends with 1 when one is broken.
    #[command(after_help = "Example: counterfoil-hq verify --database sqlite:head-office.db")]
    Verify,
    /// Be a carrier to try everything with, which can be told to fail in every way that carriers do. It forgets all
    /// when it ends. Prints `listening on http://...` once it can.
    #[command(
        after_help = "Examples:\n  counterfoil-hq sandbox-carrier --listen 127.0.0.1:7390\n  curl -d '{\"faults\":[{\"of\":\"order\",\"what\":\"hang\"}]}' -H 'content-type: application/json' http://127.0.0.1:7390/control"
    )]
    SandboxCarrier(SandboxCarrier),
}

/// A noun with the one verb `add`.
#[derive(Debug, Subcommand)]
pub enum Add<T: Args> {
    /// Add one. Prints one JSON line with its id.
    Add(T),
}

impl<T: Args> Add<T> {
    pub fn into_inner(self) -> T {
        match self {
            Self::Add(options) => options,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Tenants: one chain each.
    #[command(
        subcommand,
        after_help = "Example: counterfoil-hq admin tenant add --code shanlan --name 'Shanlan Coffee'"
    )]
    Tenant(TenantAction),
    /// Stores of a chain.
    #[command(
        subcommand,
        after_help = "Example: counterfoil-hq admin store add --code s-01 --name-zh 人民广场店 --name-en \"People's Square\""
    )]
    Store(Add<NewStore>),
    /// Clerks and managers of a store.
    #[command(
        subcommand,
        after_help = "Example: counterfoil-hq admin clerk add --store s-01 --name 林晓 --role manager --pin-stdin < pin.txt"
    )]
    Clerk(Add<NewClerk>),
    /// People of head office.
    #[command(
        subcommand,
        after_help = "Example: counterfoil-hq admin operator add --name ops --role admin"
    )]
    Operator(OperatorAction),
    /// Decide about a counter.
    #[command(subcommand)]
    Device(DecideDevice),
    /// Pickup orders.
    #[command(
        subcommand,
        after_help = "Example: counterfoil-hq admin order add --store s-01 --number P-1 --collector Anna --lines '[{\"sku\":\"1\",\"name_zh\":\"豆\",\"name_en\":\"Beans\",\"quantity\":1,\"unit_price\":6800}]'"
    )]
    Order(Add<NewOrder>),
    /// Carriers that take the chain's parcels, and know where they are.
    #[command(
        subcommand,
        after_help = "Example: counterfoil-hq admin carrier set --adapter kuaidi100 --customer AB12 --secret-stdin < key.txt"
    )]
    Carrier(CarrierAction),
    /// Coupons.
    #[command(subcommand)]
    Coupon(Grant),
}

#[derive(Debug, Args)]
pub struct Tenant {
    /// Code of the tenant; not needed where there is only one.
    ///
    /// Example: --tenant demo
    #[arg(long = "tenant", value_name = "CODE", env = "COUNTERFOIL_HQ_TENANT")]
    pub tenant: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::Arguments;

    fn every_command(command: &Command, see: &mut impl FnMut(&Command)) {
        see(command);
        for inner in command.get_subcommands() {
            every_command(inner, see);
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_option_is_explained_with_an_example() {
        every_command(&Arguments::command(), &mut |command| {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for option in command.get_arguments() {
                let name = option.get_id().as_str();
                let help = option.get_long_help().unwrap_or_default().to_string();
                assert!(
                    matches!(name, "help" | "version")
                        || help.contains(&format!("Example: --{}", name.replace('_', "-"))),
                    "{} --{name}: {help}",
                    command.get_name()
                );
            }
        });
    }
}
