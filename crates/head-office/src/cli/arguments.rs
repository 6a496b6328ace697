//! What can be typed.

use std::{net::SocketAddr, num::NonZeroUsize};

use clap::{Args, Parser, Subcommand, ValueEnum};
use counterfoil_domain::ids::{DeviceId, Place, TemplateId};

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
}

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
    /// What this process does.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Answers counters.
    Api,
    /// Ships what was exchanged.
    Fulfilment,
    /// Does what is due at some time.
    Jobs,
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
    /// Coupons.
    #[command(subcommand)]
    Coupon(Grant),
}

#[derive(Debug, Subcommand)]
pub enum TenantAction {
    /// Add one. Prints one JSON line with its id.
    Add(NewTenant),
    /// Make the key that the shop's own site signs members' links with. Prints the key alone, once.
    #[command(after_help = "Example: counterfoil-hq admin tenant link-key --rotate")]
    LinkKey(LinkKey),
    /// Say which digits coupon codes have from now on; codes already made stay as they are. Prints the policy.
    #[command(
        after_help = "The default: counterfoil-hq admin tenant code-policy --parts '[{\"kind\":\"line\",\"digits\":4},{\"kind\":\"date\",\"shuffled\":true},{\"kind\":\"random\",\"digits\":8}]'"
    )]
    CodePolicy(CodePolicyOptions),
    /// Say where the shop's own site is told what happens to its orders and members, and asked about payments. Prints
    /// the key that the requests are signed with, once.
    #[command(after_help = "Example: counterfoil-hq admin tenant webhook --url https://shop.example/counterfoil")]
    Webhook(Webhook),
}

#[derive(Debug, Args)]
pub struct CodePolicyOptions {
    /// The parts in their order, as JSON: `line` (1 to 4 digits), `date` (six, shuffled or not), `fixed` (a text of
    /// digits), `random` (6 to 12 digits, exactly one), `check` (at the end). 16 to 24 digits in all. Left out: the
    /// policy there is is printed.
    ///
    /// Example: --parts '[{"kind":"line","digits":4},{"kind":"date","shuffled":true},{"kind":"random","digits":8}]'
    #[arg(long, value_name = "JSON")]
    pub parts: Option<String>,
    #[command(flatten)]
    pub tenant: Tenant,
}

#[derive(Debug, Args)]
pub struct Webhook {
    /// The address: https, or http on a machine of your own. No other one is called, and no redirect is followed.
    ///
    /// Example: --url https://shop.example/counterfoil
    #[arg(long, value_name = "URL", required_unless_present = "off", conflicts_with = "off")]
    pub url: Option<String>,
    /// Tell and ask nobody any more.
    ///
    /// Example: --off
    #[arg(long)]
    pub off: bool,
    #[command(flatten)]
    pub tenant: Tenant,
}

#[derive(Debug, Args)]
pub struct LinkKey {
    /// Replace the key there is: links signed with it are no longer good.
    ///
    /// Example: --rotate
    #[arg(long)]
    pub rotate: bool,
    #[command(flatten)]
    pub tenant: Tenant,
}

#[derive(Debug, Subcommand)]
pub enum OperatorAction {
    /// Add one. Prints one JSON line with their id and token; the token is shown only here.
    Add(NewOperator),
    /// List them. Prints one JSON line each.
    List(Tenant),
    /// Take a token away for ever. Works within seconds.
    #[command(after_help = "Example: counterfoil-hq admin operator deactivate --name ops")]
    Deactivate(OperatorName),
}

#[derive(Debug, Args)]
pub struct OperatorName {
    /// Name of the operator.
    ///
    /// Example: --name ops
    #[arg(long)]
    pub name: String,
    #[command(flatten)]
    pub tenant: Tenant,
}

#[derive(Debug, Args)]
pub struct Tenant {
    /// Code of the tenant; not needed where there is only one.
    ///
    /// Example: --tenant demo
    #[arg(long = "tenant", value_name = "CODE", env = "COUNTERFOIL_HQ_TENANT")]
    pub tenant: Option<String>,
}

#[derive(Debug, Args)]
pub struct NewTenant {
    /// Short code, unique.
    ///
    /// Example: --code shanlan
    #[arg(long)]
    pub code: String,
    /// Name.
    ///
    /// Example: --name 'Shanlan Coffee'
    #[arg(long)]
    pub name: String,
    /// Money of all its amounts, ISO 4217.
    ///
    /// Example: --currency CNY
    #[arg(long, env = "COUNTERFOIL_HQ_CURRENCY", default_value = "CNY")]
    pub currency: String,
}

#[derive(Debug, Args)]
pub struct NewStore {
    /// Short code, unique within the tenant.
    ///
    /// Example: --code s-01
    #[arg(long)]
    pub code: String,
    /// Chinese name.
    ///
    /// Example: --name-zh 人民广场店
    #[arg(long)]
    pub name_zh: String,
    /// English name.
    ///
    /// Example: --name-en "People's Square"
    #[arg(long)]
    pub name_en: String,
    /// Time zone of its business day, IANA name.
    ///
    /// Example: --time-zone Asia/Shanghai
    #[arg(long, env = "COUNTERFOIL_HQ_TIME_ZONE", default_value = "Asia/Shanghai")]
    pub time_zone: String,
    /// Place in the ids of what happens there, for a chain that is to be spread over nodes.
    ///
    /// Example: --place 12
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..=i64::from(Place::LAST)))]
    pub place: i64,
    #[command(flatten)]
    pub tenant: Tenant,
}

#[derive(Debug, Args)]
pub struct NewClerk {
    /// Code of the store.
    ///
    /// Example: --store s-01
    #[arg(long)]
    pub store: String,
    /// Name as shown on the sign-in screen, unique within the store.
    ///
    /// Example: --name 林晓
    #[arg(long)]
    pub name: String,
    /// A manager also voids redemptions.
    ///
    /// Example: --role manager
    #[arg(long, value_enum)]
    pub role: ClerkRole,
    /// The PIN, 6 to 12 digits. Others on this machine may see it in the list of processes: better leave it out and
    /// be asked, or use --pin-stdin.
    ///
    /// Example: --pin 135790
    #[arg(
        long,
        env = "COUNTERFOIL_HQ_PIN",
        hide_env_values = true,
        conflicts_with = "pin_stdin"
    )]
    pub pin: Option<String>,
    /// Read the PIN from the first line of standard input.
    ///
    /// Example: --pin-stdin < pin.txt
    #[arg(long)]
    pub pin_stdin: bool,
    #[command(flatten)]
    pub tenant: Tenant,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ClerkRole {
    /// Looks up, redeems, hands over.
    Clerk,
    /// Also voids, and sees exceptions.
    Manager,
}

#[derive(Debug, Args)]
pub struct NewOperator {
    /// Name, unique within the tenant.
    ///
    /// Example: --name ops
    #[arg(long)]
    pub name: String,
    /// What they may do.
    ///
    /// Example: --role auditor
    #[arg(long, value_enum)]
    pub role: OperatorRole,
    #[command(flatten)]
    pub tenant: Tenant,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OperatorRole {
    /// Everything.
    Admin,
    /// Templates, grants, cases.
    Operator,
    /// Packing and handing over.
    Warehouse,
    /// Looks, changes nothing.
    Auditor,
}

impl From<OperatorRole> for counterfoil_domain::people::OperatorRole {
    fn from(role: OperatorRole) -> Self {
        match role {
            OperatorRole::Admin => Self::Admin,
            OperatorRole::Operator => Self::Operator,
            OperatorRole::Warehouse => Self::Warehouse,
            OperatorRole::Auditor => Self::Auditor,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum DecideDevice {
    /// Revoke a counter for ever: what it still delivers is quarantined.
    #[command(after_help = "Example: counterfoil-hq admin device revoke --device 019b76da-a800-7000-8000-000000000001")]
    Revoke(DeviceOption),
    /// Let a counter go on whose journal has forked or has a hole: it gets a new epoch.
    #[command(
        after_help = "Example: counterfoil-hq admin device new-epoch --device 019b76da-a800-7000-8000-000000000001"
    )]
    NewEpoch(NewEpoch),
    /// Take up again a counter that a restored backup does not know. Its own `counterfoil doctor` says id and key.
    #[command(
        after_help = "Example: counterfoil-hq admin device readmit --store s-01 --device 019b76da-a800-7000-8000-000000000001 --public-key d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )]
    Readmit(LostDevice),
}

#[derive(Debug, Args)]
pub struct NewEpoch {
    #[command(flatten)]
    pub of: DeviceOption,
    /// Also when its journal has not forked: it has a hole, and the counter says `journal_gap`. What it has not
    /// delivered yet is kept in quarantine.
    ///
    /// Example: --damaged
    #[arg(long)]
    pub damaged: bool,
}

#[derive(Debug, Args)]
pub struct LostDevice {
    /// Id of the counter.
    ///
    /// Example: --device 019b76da-a800-7000-8000-000000000001
    #[arg(long, value_name = "ID")]
    pub device: DeviceId,
    /// Its public key.
    ///
    /// Example: --public-key d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a
    #[arg(long, value_name = "HEX")]
    pub public_key: String,
    /// Code of its store.
    ///
    /// Example: --store s-01
    #[arg(long, value_name = "CODE")]
    pub store: String,
    /// What people call it.
    ///
    /// Example: --name "till 2"
    #[arg(long, value_name = "NAME", default_value = "readmitted")]
    pub name: String,
    #[command(flatten)]
    pub tenant: Tenant,
}

#[derive(Debug, Args)]
pub struct DeviceOption {
    /// Id of the counter, as its screen and `doctor` show it.
    ///
    /// Example: --device 019b76da-a800-7000-8000-000000000001
    #[arg(long, value_name = "ID")]
    pub device: DeviceId,
}

#[derive(Debug, Args)]
pub struct NewOrder {
    /// Code of the store where it waits.
    ///
    /// Example: --store s-01
    #[arg(long)]
    pub store: String,
    /// Order number, unique within the tenant.
    ///
    /// Example: --number P-1
    #[arg(long)]
    pub number: String,
    /// Who may collect, in words.
    ///
    /// Example: --collector 'Anna Chen'
    #[arg(long)]
    pub collector: String,
    /// What waits, JSON; prices in minor units.
    ///
    /// Example: --lines '[{"sku":"1","name_zh":"豆","name_en":"Beans","quantity":1,"unit_price":6800}]'
    #[arg(long, value_name = "JSON")]
    pub lines: String,
    /// Number of the member whose it is.
    ///
    /// Example: --member 000010000001
    #[arg(long, value_name = "NUMBER")]
    pub member: Option<String>,
    /// Its pickup code, 8 digits; made when left out.
    ///
    /// Example: --code 12345600
    #[arg(long)]
    pub code: Option<String>,
    /// How many days it waits; left out: no end.
    ///
    /// Example: --days 14
    #[arg(long)]
    pub days: Option<u32>,
    #[command(flatten)]
    pub tenant: Tenant,
}

#[derive(Debug, Subcommand)]
pub enum Grant {
    /// Give a member coupons. Prints one JSON line with their codes.
    #[command(
        after_help = "Example: counterfoil-hq admin coupon grant --member 000010000001 --template 019b76da-a800-7000-8000-000000000001 --count 2"
    )]
    Grant(GrantOptions),
}

#[derive(Debug, Args)]
pub struct GrantOptions {
    /// Number of the member.
    ///
    /// Example: --member 000010000001
    #[arg(long, value_name = "NUMBER")]
    pub member: String,
    /// Id of the template; its latest published version is given.
    ///
    /// Example: --template 019b76da-a800-7000-8000-000000000001
    #[arg(long, value_name = "ID")]
    pub template: TemplateId,
    /// How many.
    ///
    /// Example: --count 2
    #[arg(long, default_value_t = 1)]
    pub count: u32,
    #[command(flatten)]
    pub tenant: Tenant,
}

#[derive(Debug, Subcommand)]
pub enum Device {
    /// Make a one-time code for a new counter: 15 minutes, one use. Prints the code alone.
    #[command(after_help = "Example: counterfoil-hq device enrol-code --store s-01")]
    EnrolCode(EnrolCode),
}

#[derive(Debug, Args)]
pub struct EnrolCode {
    /// Code of the store that the counter is for.
    ///
    /// Example: --store s-01
    #[arg(long)]
    pub store: String,
    #[command(flatten)]
    pub tenant: Tenant,
}

#[derive(Debug, Args)]
pub struct Seed {
    /// Enough to look around: 3 stores, 60 members, 240 coupons, 40 pickup orders, where not said otherwise.
    ///
    /// Example: --demo
    #[arg(long, env = "COUNTERFOIL_HQ_DEMO")]
    pub demo: bool,
    /// How many stores.
    ///
    /// Example: --stores 10
    #[arg(long, value_name = "N", env = "COUNTERFOIL_HQ_STORES")]
    pub stores: Option<u64>,
    /// How many members.
    ///
    /// Example: --members 20000
    #[arg(long, value_name = "N", env = "COUNTERFOIL_HQ_MEMBERS")]
    pub members: Option<u64>,
    /// How many coupons.
    ///
    /// Example: --coupons 100000
    #[arg(long, value_name = "N", env = "COUNTERFOIL_HQ_COUPONS")]
    pub coupons: Option<u64>,
    /// How many pickup orders.
    ///
    /// Example: --pickups 5000
    #[arg(long, value_name = "N", env = "COUNTERFOIL_HQ_PICKUPS")]
    pub pickups: Option<u64>,
    /// Which data: the same seed gives the same members, coupons and orders, another one adds others.
    ///
    /// Example: --seed 7
    #[arg(long, value_name = "N", env = "COUNTERFOIL_HQ_SEED", default_value_t = crate::seed::Plan::DEMO.seed)]
    pub seed: u64,
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
