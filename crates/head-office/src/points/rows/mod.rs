//! SQL of accounts and the ledger.

mod adjustments;
mod rules;
mod statement;

use std::collections::BTreeMap;

pub use adjustments::{
    Adjustment, AdjustmentStatus, adjusted_since, adjustment, adjustments, decide_adjustment, insert_adjustment,
};
use counterfoil_domain::{
    ids::{DeviceId, FreezeId, MemberId, OperationId, TenantId},
    points::{Account, Asset, Earning, EntryKind, Hold, Ledger, Lot, Origin, Pin, Posted, Source, Spent, SpentShare},
    time::Millis,
    transition::Recorded,
    words::Word,
};
pub use rules::{Published, insert_rule, load_rules, newest_rule, rules};
use sqlx::{AnyConnection, Row, any::AnyRow};
pub use statement::{Line, LineShare, OpenLots, debts, open_lots, statement};
use uuid::Uuid;

use crate::db::{
    DbError,
    batch::{Binds, Text, execute, execute_all, fetch, id, id_or_null, json, word},
};

const SELECT: Text = Text::new(
    "SELECT member, version, points_debt, points_entries, balance_debt, balance_entries, earned_day, earned, latest, merged_into FROM accounts WHERE tenant = $1 AND member IN (",
    ") ORDER BY member",
);
const SELECT_LOTS: Text = Text::new(
    "SELECT member, asset, lot, amount, free, held, earned_at, ready_at, ends_at, source_of, source FROM ledger_lots WHERE tenant = $1 AND (free > 0 OR held > 0) AND member IN (",
    ")",
);
const SELECT_HOLDS: Text = Text::new(
    "SELECT member, asset, hold, device, until, pins FROM ledger_holds WHERE tenant = $1 AND member IN (",
    ") ORDER BY member, asset, hold",
);
const INSERT: Text = Text::new(
    "INSERT INTO accounts (tenant, member, version, points_available, points_held, points_pending, points_debt, points_entries, balance_available, balance_held, balance_pending, balance_debt, balance_entries, earned_day, earned, latest, due_at, merged_into) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const UPDATE: Text = Text::new(
    "UPDATE accounts SET version = v.column3, points_available = v.column4, points_held = v.column5, points_pending = v.column6, points_debt = v.column7, points_entries = v.column8, balance_available = v.column9, balance_held = v.column10, balance_pending = v.column11, balance_debt = v.column12, balance_entries = v.column13, earned_day = v.column14, earned = v.column15, latest = v.column16, due_at = v.column17, merged_into = v.column18 FROM (VALUES ",
    ") AS v WHERE accounts.tenant = $1 AND accounts.member = v.column1 AND accounts.version = v.column2",
);
const INSERT_LOTS: Text = Text::new(
    "INSERT INTO ledger_lots (tenant, member, asset, lot, amount, free, held, earned_at, ready_at, ends_at, source_of, source) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const UPDATE_LOTS: Text = Text::new(
    "UPDATE ledger_lots SET free = v.column4, held = v.column5 FROM (VALUES ",
    ") AS v WHERE ledger_lots.tenant = $1 AND ledger_lots.member = v.column1 AND ledger_lots.asset = v.column2 AND ledger_lots.lot = v.column3",
);
const INSERT_HOLDS: Text = Text::new(
    "INSERT INTO ledger_holds (tenant, member, asset, hold, device, until, amount, pins) VALUES ",
    " ON CONFLICT (tenant, member, asset, hold) DO UPDATE SET amount = excluded.amount, pins = excluded.pins",
)
.unpadded();
const DELETE_HOLDS: Text = Text::new(
    "DELETE FROM ledger_holds WHERE tenant = $1 AND (member, asset, hold) IN (VALUES ",
    ")",
);
const INSERT_ENTRIES: Text = Text::new(
    "INSERT INTO ledger_entries (tenant, member, asset, entry, kind, reason, source_of, source, hold, at, store, actor, note, amount, owed, available, held, pending, debt) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const INSERT_SHARES: Text = Text::new(
    "INSERT INTO ledger_shares (tenant, member, asset, entry, lot, free, held) VALUES ",
    " ON CONFLICT DO NOTHING",
);
// `CROSS JOIN`: SQLite then goes from what is named to its shares, and not the other way round.
const SELECT_SPENTS: Text = Text::new(
    "SELECT e.asset AS asset, e.source_of AS source_of, e.source AS source, e.member AS member, e.entry AS entry, s.free AS taken_free, s.held AS taken_held, s.given_back AS given_back, l.lot AS lot, l.amount AS amount, l.earned_at AS earned_at, l.ready_at AS ready_at, l.ends_at AS ends_at, l.source_of AS lot_source_of, l.source AS lot_source \
     FROM ledger_entries e CROSS JOIN ledger_shares s CROSS JOIN ledger_lots l \
     WHERE s.tenant = e.tenant AND s.member = e.member AND s.asset = e.asset AND s.entry = e.entry \
     AND l.tenant = s.tenant AND l.member = s.member AND l.asset = s.asset AND l.lot = s.lot AND e.tenant = $1 AND e.kind IN ('spend', 'capture') AND (e.asset, e.source_of, e.source) IN (VALUES ",
    ")",
);
const GIVE_BACK: Text = Text::new(
    "UPDATE ledger_shares SET given_back = v.column5 FROM (VALUES ",
    ") AS v WHERE ledger_shares.tenant = $1 AND ledger_shares.member = v.column1 AND ledger_shares.asset = v.column2 AND ledger_shares.entry = v.column3 AND ledger_shares.lot = v.column4",
);
const SELECT_RECORDED: Text = Text::new(
    "SELECT asset, kind, source_of, source, member, amount FROM ledger_entries WHERE tenant = $1 AND (asset, source_of, source, kind) IN (VALUES ",
    ")",
);
const SELECT_EARNINGS: Text = Text::new(
    "SELECT source_of, source, member, entry, amount, taken_back, rule, paid, category, at FROM earnings WHERE tenant = $1 AND (source_of, source) IN (VALUES ",
    ")",
);
const INSERT_EARNINGS: Text = Text::new(
    "INSERT INTO earnings (tenant, source_of, source, member, entry, amount, taken_back, rule, paid, category, at) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const UPDATE_EARNINGS: Text = Text::new(
    "UPDATE earnings SET taken_back = v.column4 FROM (VALUES ",
    ") AS v WHERE earnings.tenant = $1 AND earnings.source_of = v.column1 AND earnings.source = v.column2 AND earnings.taken_back = v.column3",
);

fn source(row: &AnyRow, of: &'static str, column: &'static str) -> Result<Option<Source>, DbError> {
    let word: Option<String> = row.try_get(of)?;
    let bytes: Option<Vec<u8>> = row.try_get(column)?;
    match (word, bytes) {
        (Some(word), Some(bytes)) => Ok(Some(Source {
            of: Origin::parse(&word).ok_or(DbError::Decode { column: of })?,
            id: Uuid::from_slice(&bytes).map_err(|_| DbError::Decode { column })?,
        })),
        (None, None) => Ok(None),
        _ => Err(DbError::Decode { column }),
    }
}

fn needed(row: &AnyRow, of: &'static str, column: &'static str) -> Result<Source, DbError> {
    source(row, of, column)?.ok_or(DbError::Decode { column })
}

fn bind_source(b: &mut Binds, source: Option<Source>) {
    b.text_or_null(source.map(|source| source.of.as_str()))
        .bytes_or_null(source.as_ref().map(|source| &source.id.as_bytes()[..]));
}

fn read(row: &AnyRow) -> Result<Account, DbError> {
    let ledger = |debt, entries| {
        Ok::<_, DbError>(Ledger {
            debt: row.try_get(debt)?,
            entries: row.try_get(entries)?,
            ..Ledger::default()
        })
    };
    let latest: Option<Vec<u8>> = row.try_get("latest")?;
    let latest = latest.unwrap_or_default();
    let latest = latest
        .chunks(16)
        .map(|bytes| OperationId::from_bytes(bytes).map_err(|_| DbError::Decode { column: "latest" }));
    Ok(Account {
        member: id(row, "member", MemberId::from_bytes)?,
        points: ledger("points_debt", "points_entries")?,
        balance: ledger("balance_debt", "balance_entries")?,
        earned_on: (row.try_get("earned_day")?, row.try_get("earned")?),
        latest: latest.collect::<Result<_, _>>()?,
        merged_into: id_or_null(row, "merged_into", MemberId::from_bytes)?,
        version: row.try_get("version")?,
    })
}

fn read_lot(row: &AnyRow) -> Result<Lot, DbError> {
    let held: i64 = row.try_get("held")?;
    let ready_at: Option<Millis> = row.try_get("ready_at")?;
    Ok(Lot {
        number: row.try_get("lot")?,
        amount: row.try_get("amount")?,
        free: row.try_get("free")?,
        held,
        earned_at: row.try_get("earned_at")?,
        // What was ever pinned may be spent.
        ready_at: ready_at.filter(|_| held == 0),
        ends_at: row.try_get("ends_at")?,
        source: source(row, "source_of", "source")?,
    })
}

/// Loads accounts with their open lots and holds; `lock` holds the accounts until the transaction ends.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    members: &[MemberId],
    lock: &'static str,
) -> Result<Vec<Account>, DbError> {
    let bind = |b: &mut Binds, member: &MemberId| {
        b.bytes(member.bytes());
    };
    let mut accounts: BTreeMap<MemberId, Account> = fetch(connection, SELECT, lock, tenant, members, bind)
        .await?
        .read(|row| read(row).map(|account| (account.member, account)))
        .collect::<Result<_, _>>()?;
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    // After their parent's lock: nobody changes what belongs to an account that is held.
    let found: Vec<MemberId> = accounts.keys().copied().collect();
    let lots = fetch(connection, SELECT_LOTS, "", tenant, &found, bind).await?;
    let lots = lots.read(|row| {
        let member = id(row, "member", MemberId::from_bytes)?;
        Ok((member, word::<Asset>(row, "asset")?, read_lot(row)?))
    });
    for lot in lots {
        let (member, asset, lot) = lot?;
        if let Some(account) = accounts.get_mut(&member) {
            account.ledger_mut(asset).lots.push(lot);
        }
    }
    let holds = fetch(connection, SELECT_HOLDS, "", tenant, &found, bind).await?;
    let holds = holds.read(|row| {
        let hold = Hold {
            id: id(row, "hold", FreezeId::from_bytes)?,
            device: id(row, "device", DeviceId::from_bytes)?,
            until: row.try_get("until")?,
            pins: json::<Vec<Pin>>(row, "pins")?,
        };
        Ok((
            id(row, "member", MemberId::from_bytes)?,
            word::<Asset>(row, "asset")?,
            hold,
        ))
    });
    for hold in holds {
        let (member, asset, hold) = hold?;
        if let Some(account) = accounts.get_mut(&member) {
            account.ledger_mut(asset).holds.push(hold);
        }
    }
    let mut accounts: Vec<Account> = accounts.into_values().collect();
    for account in &mut accounts {
        account.points.sort();
        account.balance.sort();
    }
    Ok(accounts)
}

fn bind_account(b: &mut Binds, account: &Account) {
    b.number(account.version);
    for ledger in [&account.points, &account.balance] {
        let sums = ledger.balances();
        b.number(sums.available)
            .number(sums.held)
            .number(sums.pending)
            .number(sums.debt)
            .number(ledger.entries);
    }
    let latest: Vec<u8> = account.latest.iter().flat_map(|id| *id.bytes()).collect();
    b.number(account.earned_on.0)
        .number(account.earned_on.1)
        .bytes_or_null((!latest.is_empty()).then_some(&latest))
        .number_or_null(account.due())
        .bytes_or_null(account.merged_into.as_ref().map(|id| &id.bytes()[..]));
}

/// Stores new accounts.
///
/// # Errors
/// [`DbError::RowCount`] when one of them exists.
pub async fn insert(connection: &mut AnyConnection, tenant: TenantId, accounts: &[&Account]) -> Result<(), DbError> {
    execute_all(connection, "accounts", INSERT, tenant, accounts, |b, account| {
        b.bytes(account.member.bytes());
        bind_account(b, account);
    })
    .await
}

/// Stores accounts that changed, each with the version it was loaded at.
///
/// # Errors
/// [`DbError::RowCount`] when one of them is no longer at that version.
pub async fn update(
    connection: &mut AnyConnection,
    tenant: TenantId,
    accounts: &[(i64, &Account)],
) -> Result<(), DbError> {
    execute_all(
        connection,
        "accounts",
        UPDATE,
        tenant,
        accounts,
        |b, (loaded, account)| {
            b.bytes(account.member.bytes()).number(*loaded);
            bind_account(b, account);
        },
    )
    .await
}

/// A lot as it is now.
#[derive(Debug)]
pub struct LotNow {
    /// Whose.
    pub member: MemberId,
    /// Of which asset.
    pub asset: Asset,
    /// Its number.
    pub number: i64,
    /// What is free of it.
    pub free: i64,
    /// What is pinned of it.
    pub held: i64,
    /// As it was made, where it is new.
    pub made: Option<Lot>,
}

/// Stores new lots.
///
/// # Errors
/// [`DbError::RowCount`] when one of them exists.
pub async fn insert_lots(connection: &mut AnyConnection, tenant: TenantId, lots: &[LotNow]) -> Result<(), DbError> {
    let made: Vec<(&LotNow, Lot)> = lots.iter().filter_map(|now| Some((now, now.made?))).collect();
    if made.is_empty() {
        return Ok(());
    }
    execute_all(
        connection,
        "ledger_lots",
        INSERT_LOTS,
        tenant,
        &made,
        |b, (now, lot)| {
            b.bytes(now.member.bytes())
                .text(now.asset.as_str())
                .number(now.number)
                .number(lot.amount)
                .number(now.free)
                .number(now.held)
                .number(lot.earned_at)
                .number_or_null(lot.ready_at)
                .number_or_null(lot.ends_at);
            bind_source(b, lot.source);
        },
    )
    .await
}

/// Stores what is left of lots.
///
/// # Errors
/// [`DbError::RowCount`] when one of them does not exist.
pub async fn update_lots(connection: &mut AnyConnection, tenant: TenantId, lots: &[LotNow]) -> Result<(), DbError> {
    if lots.is_empty() {
        return Ok(());
    }
    execute_all(connection, "ledger_lots", UPDATE_LOTS, tenant, lots, |b, lot| {
        b.bytes(lot.member.bytes())
            .text(lot.asset.as_str())
            .number(lot.number)
            .number(lot.free)
            .number(lot.held);
    })
    .await
}

/// What finds a hold.
pub type HoldKey = (MemberId, Asset, FreezeId);
/// A hold that is there.
pub type HoldNow<'h> = (MemberId, Asset, &'h Hold);

/// Stores holds.
///
/// # Errors
/// The driver's.
pub async fn insert_holds(
    connection: &mut AnyConnection,
    tenant: TenantId,
    holds: &[HoldNow<'_>],
) -> Result<(), DbError> {
    if holds.is_empty() {
        return Ok(());
    }
    execute_all(
        connection,
        "ledger_holds",
        INSERT_HOLDS,
        tenant,
        holds,
        |b, (member, asset, hold)| {
            b.bytes(member.bytes())
                .text(asset.as_str())
                .bytes(hold.id.bytes())
                .bytes(hold.device.bytes())
                .number(hold.until)
                .number(hold.amount())
                // Pins are plain data: they always write.
                .text(&serde_json::to_string(&hold.pins).unwrap_or_default());
        },
    )
    .await
}

/// Forgets holds that were spent or let go of; their entries stay.
///
/// # Errors
/// The driver's.
pub async fn delete_holds(connection: &mut AnyConnection, tenant: TenantId, holds: &[HoldKey]) -> Result<(), DbError> {
    if holds.is_empty() {
        return Ok(());
    }
    // One that was taken and spent in the same group was never stored.
    execute(connection, DELETE_HOLDS, tenant, holds, |b, (member, asset, hold)| {
        b.bytes(member.bytes()).text(asset.as_str()).bytes(hold.bytes());
    })
    .await?;
    Ok(())
}

/// Stores new entries.
///
/// # Errors
/// [`DbError::RowCount`] when the same thing has left one of the kind before.
pub async fn insert_entries(
    connection: &mut AnyConnection,
    tenant: TenantId,
    posted: &[Posted],
) -> Result<(), DbError> {
    execute_all(
        connection,
        "ledger_entries",
        INSERT_ENTRIES,
        tenant,
        posted,
        |b, posted| {
            let entry = &posted.entry;
            let cause = &entry.cause;
            b.bytes(posted.member.bytes())
                .text(posted.asset.as_str())
                .number(entry.number)
                .text(entry.kind.as_str())
                .text(cause.reason.as_str());
            bind_source(b, cause.source);
            b.bytes_or_null(entry.hold.as_ref().map(|id| &id.bytes()[..]))
                .number(cause.at)
                .bytes_or_null(cause.store.as_ref().map(|id| &id.bytes()[..]))
                .bytes_or_null(cause.actor.as_ref().map(|id| &id.as_bytes()[..]))
                .text_or_null(cause.note.as_deref())
                .number(entry.amount)
                .number(entry.debt)
                .number(entry.after.available)
                .number(entry.after.held)
                .number(entry.after.pending)
                .number(entry.after.debt);
        },
    )
    .await
}

/// Stores the shares of new entries.
///
/// # Errors
/// [`DbError::RowCount`] when one of them exists.
pub async fn insert_shares(connection: &mut AnyConnection, tenant: TenantId, posted: &[Posted]) -> Result<(), DbError> {
    let shares: Vec<_> = posted
        .iter()
        .flat_map(|posted| posted.entry.shares.iter().map(move |share| (posted, share)))
        .collect();
    if shares.is_empty() {
        return Ok(());
    }
    execute_all(
        connection,
        "ledger_shares",
        INSERT_SHARES,
        tenant,
        &shares,
        |b, (posted, share)| {
            b.bytes(posted.member.bytes())
                .text(posted.asset.as_str())
                .number(posted.entry.number)
                .number(share.lot)
                .number(share.free)
                .number(share.held);
        },
    )
    .await
}

/// Loads what was spent for things.
///
/// # Errors
/// As [`load`].
pub async fn load_spents(
    connection: &mut AnyConnection,
    tenant: TenantId,
    keys: &[(Asset, Source)],
) -> Result<Vec<Spent>, DbError> {
    let mut spents: BTreeMap<(Asset, Source), Spent> = BTreeMap::new();
    let found = fetch(connection, SELECT_SPENTS, "", tenant, keys, |b, (asset, source)| {
        b.text(asset.as_str())
            .text(source.of.as_str())
            .bytes(source.id.as_bytes());
    })
    .await?;
    for share in found.read(|row| {
        let key = (word::<Asset>(row, "asset")?, needed(row, "source_of", "source")?);
        let taken = row.try_get::<i64, _>("taken_free")? + row.try_get::<i64, _>("taken_held")?;
        let share = SpentShare {
            lot: Lot {
                number: row.try_get("lot")?,
                amount: row.try_get("amount")?,
                free: 0,
                held: 0,
                earned_at: row.try_get("earned_at")?,
                // What was spent may be spent.
                ready_at: None,
                ends_at: row.try_get("ends_at")?,
                source: source(row, "lot_source_of", "lot_source")?,
            },
            amount: -taken,
            given_back: row.try_get("given_back")?,
        };
        Ok((
            key,
            id(row, "member", MemberId::from_bytes)?,
            row.try_get("entry")?,
            share,
        ))
    }) {
        let ((asset, source), member, entry, share) = share?;
        let spent = spents.entry((asset, source)).or_insert_with(|| Spent {
            asset,
            source,
            member,
            entry,
            shares: Vec::new(),
        });
        spent.shares.push(share);
    }
    let mut spents: Vec<Spent> = spents.into_values().collect();
    spents.iter_mut().for_each(Spent::sort);
    Ok(spents)
}

/// Notes how much of what was spent went back; the account that it belongs to is held.
///
/// # Errors
/// [`DbError::RowCount`] when a share does not exist.
pub async fn give_back(connection: &mut AnyConnection, tenant: TenantId, spents: &[&Spent]) -> Result<(), DbError> {
    let shares: Vec<_> = spents
        .iter()
        .flat_map(|spent| spent.shares.iter().map(move |share| (spent, share)))
        .filter(|(_, share)| share.given_back > 0)
        .collect();
    if shares.is_empty() {
        return Ok(());
    }
    execute_all(
        connection,
        "ledger_shares",
        GIVE_BACK,
        tenant,
        &shares,
        |b, (spent, share)| {
            b.bytes(spent.member.bytes())
                .text(spent.asset.as_str())
                .number(spent.entry)
                .number(share.lot.number)
                .number(share.given_back);
        },
    )
    .await
}

/// Loads which things have left entries of these kinds.
///
/// # Errors
/// As [`load`].
pub async fn load_recorded(
    connection: &mut AnyConnection,
    tenant: TenantId,
    keys: &[(Asset, EntryKind, Source)],
) -> Result<Vec<Recorded>, DbError> {
    fetch(
        connection,
        SELECT_RECORDED,
        "",
        tenant,
        keys,
        |b, (asset, kind, source)| {
            b.text(asset.as_str())
                .text(source.of.as_str())
                .bytes(source.id.as_bytes())
                .text(kind.as_str());
        },
    )
    .await?
    .read(|row| {
        Ok(Recorded {
            asset: word(row, "asset")?,
            kind: word(row, "kind")?,
            source: needed(row, "source_of", "source")?,
            member: id(row, "member", MemberId::from_bytes)?,
            amount: row.try_get("amount")?,
        })
    })
    .collect()
}

/// Loads what was earned with things.
///
/// # Errors
/// As [`load`].
pub async fn load_earnings(
    connection: &mut AnyConnection,
    tenant: TenantId,
    keys: &[Source],
) -> Result<Vec<Earning>, DbError> {
    fetch(connection, SELECT_EARNINGS, "", tenant, keys, |b, source| {
        b.text(source.of.as_str()).bytes(source.id.as_bytes());
    })
    .await?
    .read(|row| {
        Ok(Earning {
            source: needed(row, "source_of", "source")?,
            member: id(row, "member", MemberId::from_bytes)?,
            entry: row.try_get("entry")?,
            amount: row.try_get("amount")?,
            taken_back: row.try_get("taken_back")?,
            rule: row.try_get("rule")?,
            paid: row.try_get("paid")?,
            category: row.try_get("category")?,
            at: row.try_get("at")?,
        })
    })
    .collect()
}

/// Stores what was earned with things.
///
/// # Errors
/// [`DbError::RowCount`] when one of them has earned before.
pub async fn insert_earnings(
    connection: &mut AnyConnection,
    tenant: TenantId,
    earnings: &[&Earning],
) -> Result<(), DbError> {
    execute_all(
        connection,
        "earnings",
        INSERT_EARNINGS,
        tenant,
        earnings,
        |b, earning| {
            b.text(earning.source.of.as_str())
                .bytes(earning.source.id.as_bytes())
                .bytes(earning.member.bytes())
                .number(earning.entry)
                .number(earning.amount)
                .number(earning.taken_back)
                .number(earning.rule)
                .number(earning.paid)
                .text_or_null(earning.category.as_deref())
                .number(earning.at);
        },
    )
    .await
}

/// Stores how much was taken back of what things earned, each with how much it was before.
///
/// # Errors
/// [`DbError::RowCount`] when somebody else was first.
pub async fn update_earnings(
    connection: &mut AnyConnection,
    tenant: TenantId,
    earnings: &[(i64, &Earning)],
) -> Result<(), DbError> {
    execute_all(
        connection,
        "earnings",
        UPDATE_EARNINGS,
        tenant,
        earnings,
        |b, (before, earning)| {
            b.text(earning.source.of.as_str())
                .bytes(earning.source.id.as_bytes())
                .number(*before)
                .number(earning.taken_back);
        },
    )
    .await
}

/// Accounts to which something has happened by themselves, those that wait longest first.
///
/// # Errors
/// As [`load`].
pub async fn due(
    connection: &mut AnyConnection,
    tenant: TenantId,
    now: Millis,
    after: Option<(Millis, MemberId)>,
    limit: i64,
) -> Result<Vec<(Millis, MemberId)>, DbError> {
    let (at, member) = after.map_or((Millis::MIN, Vec::new()), |(at, member)| (at, member.bytes().to_vec()));
    sqlx::query(
        "SELECT due_at, member FROM accounts WHERE tenant = $1 AND due_at <= $2 AND due_at >= $3 AND (due_at > $3 OR member > $4) ORDER BY due_at, member LIMIT $5",
    )
    .bind(tenant.bytes().to_vec())
    .bind(now)
    .bind(at)
    .bind(member)
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| Ok((row.try_get("due_at")?, id(row, "member", MemberId::from_bytes)?)))
    .collect()
}
