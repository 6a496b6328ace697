//! What `seed`, `device` and `admin device|order|coupon` take.

use clap::{Args, Subcommand};
use counterfoil_domain::ids::{DeviceId, TemplateId};

use super::Tenant;

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
