//! Sales beside the operations they come from: what was sold is what was settled, what went back is what returns say,
//! never more, and every coupon was redeemed by its sale.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_domain::{
    ids::{CouponId, OperationId, TenantId},
    operations::{Action, ExceptionKind},
    points::{AccountUse, Asset, EntryKind, Origin, SoldAccount, Source, Spent},
    sales::{Return, Sale, Till},
    transition::{Arrival, Recorded},
};
use counterfoil_protocol::operation::open;
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::Findings;
use crate::{
    db::{
        DbError,
        batch::{Text, fetch, id},
    },
    points,
    sales::rows,
};

const PAGE: i64 = 500;
const SELECT_REDEMPTIONS: Text = Text::new(
    "SELECT coupon, source FROM coupon_entries WHERE tenant = $1 AND what = 'redeemed' AND coupon IN (",
    ")",
);

/// A sale as it was settled, what it was to do to the account, and whether it had no effect.
type Settled = (Sale, AccountUse, bool);

/// What returns brought back of the sales of a chain, and whether each fitted as a whole.
type Returns = BTreeMap<(Vec<u8>, OperationId), Vec<(Return, bool)>>;

pub(super) async fn check(connection: &mut AnyConnection) -> Result<Findings, DbError> {
    let mut findings = Findings::default();
    for row in &sqlx::query(
        "SELECT o.id AS id, o.body AS body FROM operations o LEFT JOIN sales s ON s.tenant = o.tenant AND s.id = o.id WHERE o.subject_kind = 'sale' AND o.subject = o.id AND o.outcome <> 'quarantined' AND s.id IS NULL",
    )
    .fetch_all(&mut *connection)
    .await?
    {
        // A return that names itself is about a sale that nobody settled: that is its case, not a lost row.
        let action = arrival(row)?.and_then(|arrival| arrival.action);
        if !matches!(action, Some(Action::ReturnSale(_))) {
            findings.add(&row.try_get::<Vec<u8>, _>("id")?, "it settled a sale, and there is none");
        }
    }
    let returns = returns(connection).await?;
    let tenants: Vec<Vec<u8>> = sqlx::query_scalar("SELECT tenant FROM tenants ORDER BY tenant")
        .fetch_all(&mut *connection)
        .await?;
    for tenant in tenants {
        let tenant = TenantId::from_bytes(&tenant).map_err(|_| DbError::Decode { column: "tenant" })?;
        sales_of(connection, tenant, &returns, &mut findings).await?;
    }
    Ok(findings)
}

fn arrival(row: &AnyRow) -> Result<Option<Arrival>, DbError> {
    let body: Vec<u8> = row.try_get("body")?;
    let opened = std::str::from_utf8(&body).ok().and_then(|text| open(0, text).ok());
    Ok(opened.map(|(_, arrival)| arrival))
}

/// Returns are few beside sales: they are held while the sales go by.
async fn returns(connection: &mut AnyConnection) -> Result<Returns, DbError> {
    let mut returns = Returns::new();
    let mut at: (Vec<u8>, Vec<u8>) = Default::default();
    loop {
        let rows = sqlx::query(
            "SELECT tenant, id, outcome, body FROM operations WHERE subject_kind = 'sale' AND subject <> id AND outcome <> 'quarantined' AND (tenant, id) > ($1, $2) ORDER BY tenant, id LIMIT $3",
        )
        .bind(at.0.clone())
        .bind(at.1.clone())
        .bind(PAGE)
        .fetch_all(&mut *connection)
        .await?;
        for row in &rows {
            at = (row.try_get("tenant")?, row.try_get("id")?);
            let applied = row.try_get::<String, _>("outcome")? == "applied";
            if let Some(Action::ReturnSale(back)) = arrival(row)?.and_then(|arrival| arrival.action) {
                returns
                    .entry((at.0.clone(), back.target))
                    .or_default()
                    .push((back, applied));
            }
        }
        if i64::try_from(rows.len()).unwrap_or(PAGE) < PAGE {
            return Ok(returns);
        }
    }
}

async fn sales_of(
    connection: &mut AnyConnection,
    tenant: TenantId,
    returns: &Returns,
    findings: &mut Findings,
) -> Result<(), DbError> {
    let mut before = None;
    loop {
        let sales = rows::list(connection, tenant, None, before, PAGE).await?;
        let ids: Vec<OperationId> = sales.iter().map(|sale| sale.id).collect();
        let settled = settled(connection, tenant, &ids).await?;
        let redeemed = redeemed(connection, tenant, &sales).await?;
        let posted = Posted::of(connection, tenant, &sales).await?;
        for sale in &sales {
            findings.count += 1;
            before = Some(sale.id);
            let back = returns.get(&(tenant.bytes().to_vec(), sale.id));
            for what in [
                origin(sale, settled.get(&sale.id)),
                went_back(sale, back.map_or(&[][..], Vec::as_slice)),
                coupons(sale, &redeemed),
                posted.differs(sale),
            ]
            .into_iter()
            .flatten()
            {
                findings.add(sale.id.bytes(), what);
            }
        }
        if i64::try_from(sales.len()).unwrap_or(PAGE) < PAGE {
            return Ok(());
        }
    }
}

async fn settled(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[OperationId],
) -> Result<BTreeMap<OperationId, Settled>, DbError> {
    const SELECT: Text = crate::db::batch::select_by_id!("SELECT id, store, outcome, body FROM operations");
    let mut settled = BTreeMap::new();
    let found = fetch(connection, SELECT, "", tenant, ids, |b, id| {
        b.bytes(id.bytes());
    });
    for row in &found.await? {
        let Some(arrival) = arrival(row)? else { continue };
        let Some(Action::SettleSale(settlement)) = &arrival.action else {
            continue;
        };
        let till = Till {
            store: id(row, "store", counterfoil_domain::ids::StoreId::from_bytes)?,
            device: arrival.device,
            at: arrival.occurred_at,
        };
        if let Some(sale) = Sale::of(arrival.id, till, settlement) {
            let quarantined = row.try_get::<String, _>("outcome")? == "quarantined";
            settled.insert(arrival.id, (sale, settlement.account.clone(), quarantined));
        }
    }
    Ok(settled)
}

async fn redeemed(
    connection: &mut AnyConnection,
    tenant: TenantId,
    sales: &[Sale],
) -> Result<BTreeSet<(CouponId, OperationId)>, DbError> {
    let used: Vec<CouponId> = sales
        .iter()
        .flat_map(|sale| sale.coupons.iter().map(|sold| sold.used.coupon))
        .collect();
    let found = fetch(connection, SELECT_REDEMPTIONS, "", tenant, &used, |b, coupon| {
        b.bytes(coupon.bytes());
    });
    found
        .await?
        .read(|row| {
            Ok((
                id(row, "coupon", CouponId::from_bytes)?,
                id(row, "source", OperationId::from_bytes)?,
            ))
        })
        .collect()
}

/// Whether it says what was settled.
fn origin(sale: &Sale, settled: Option<&Settled>) -> Option<&'static str> {
    let Some((origin, account, quarantined)) = settled else {
        return Some("no operation settled it");
    };
    if *quarantined {
        return Some("the operation that settled it had no effect");
    }
    let bare = |sale: &Sale| {
        let mut bare = sale.clone();
        for line in &mut bare.lines {
            (line.returned, line.paid_back) = (0, 0);
        }
        for sold in &mut bare.coupons {
            (sold.exception, sold.given_back) = (None, false);
        }
        bare.account = SoldAccount::default();
        (bare.voided_by, bare.version) = (None, 1);
        bare.told.clear();
        bare
    };
    let used = sale.account.points.as_ref().map(|sold| &sold.used);
    let paid = sale.account.balance.map(|sold| sold.paid);
    let same = bare(sale) == *origin && used == account.points.as_ref() && paid == account.balance;
    (!same).then_some("it says something else than the operation that settled it")
}

/// Whether what went back is what its returns brought, as far as it fits. A return with a case may have brought less: it
/// came before its sale did, after a restore, or after others had brought it all.
fn went_back(sale: &Sale, returns: &[(Return, bool)]) -> Option<&'static str> {
    for (place, line) in (0_i64..).zip(&sale.lines) {
        let brought = |all: bool| {
            let (mut units, mut money) = (0_i64, 0_i64);
            let counted = returns.iter().filter(|(_, applied)| all || *applied);
            let named = counted.flat_map(|(back, _)| &back.lines);
            for back in named.filter(|back| back.line == place) {
                units = units.saturating_add(back.quantity);
                money = money.saturating_add(back.refund);
            }
            (units.min(line.sold.quantity), money.min(line.net))
        };
        if line.returned < 0 || line.paid_back < 0 || line.returned > line.sold.quantity || line.paid_back > line.net {
            return Some("more went back of a line than was sold");
        }
        let (most_units, most_money) = brought(true);
        // What comes back after a void fits nowhere.
        let (least_units, least_money) = if sale.voided_by.is_some() {
            (0, 0)
        } else {
            brought(false)
        };
        let fits =
            (least_units..=most_units).contains(&line.returned) && (least_money..=most_money).contains(&line.paid_back);
        if !fits {
            return Some("what went back is not what its returns say");
        }
    }
    None
}

fn coupons(sale: &Sale, redeemed: &BTreeSet<(CouponId, OperationId)>) -> Option<&'static str> {
    for sold in &sale.coupons {
        let by_this = redeemed.contains(&(sold.used.coupon, sale.id));
        let ours = match sold.exception {
            None | Some(ExceptionKind::Late) => by_this,
            Some(ExceptionKind::DoubleRedeem) => !by_this,
            // Over somebody's freeze, though it was another's, or not known at all.
            Some(_) => true,
        };
        if !ours {
            return Some("one of its coupons tells otherwise who redeemed it");
        }
    }
    None
}

/// What sales left in their members' ledgers.
struct Posted {
    spent: Vec<Spent>,
    earned: Vec<Recorded>,
}

impl Posted {
    async fn of(connection: &mut AnyConnection, tenant: TenantId, sales: &[Sale]) -> Result<Self, DbError> {
        let sources = sales.iter().filter(|sale| !sale.account.is_none()).map(source);
        let sources: Vec<Source> = sources.collect();
        if sources.is_empty() {
            return Ok(Self {
                spent: Vec::new(),
                earned: Vec::new(),
            });
        }
        let both = [Asset::Points, Asset::Balance];
        let spent: Vec<_> = sources
            .iter()
            .flat_map(|source| both.map(|asset| (asset, *source)))
            .collect();
        let earned: Vec<_> = sources
            .iter()
            .map(|source| (Asset::Points, EntryKind::Earn, *source))
            .collect();
        Ok(Self {
            spent: points::rows::load_spents(connection, tenant, &spent).await?,
            earned: points::rows::load_recorded(connection, tenant, &earned).await?,
        })
    }

    /// Whether the sale says something else than the ledger.
    fn differs(&self, sale: &Sale) -> Option<&'static str> {
        let source = source(sale);
        let spent = |asset| {
            let spent = self
                .spent
                .iter()
                .find(|spent| spent.asset == asset && spent.source == source);
            spent.map_or((0, 0), |spent| (spent.amount(), spent.given_back()))
        };
        let points = sale
            .account
            .points
            .as_ref()
            .map_or((0, 0), |sold| (sold.taken, sold.given_back));
        let balance = sale
            .account
            .balance
            .map_or((0, 0), |sold| (sold.taken, sold.given_back));
        let earned = self.earned.iter().find(|earned| earned.source == source);
        let same = spent(Asset::Points) == points
            && spent(Asset::Balance) == balance
            && earned.map_or(0, |earned| earned.amount) == sale.account.earned.map_or(0, |earned| earned.points);
        (!same).then_some("it says something else than its member's ledger")
    }
}

fn source(sale: &Sale) -> Source {
    Source {
        of: Origin::Sale,
        id: sale.id.0,
    }
}
