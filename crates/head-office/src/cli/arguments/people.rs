//! What `admin tenant|store|clerk|operator` take.

use clap::{Args, Subcommand, ValueEnum};
use counterfoil_domain::ids::Place;

use super::Tenant;

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
