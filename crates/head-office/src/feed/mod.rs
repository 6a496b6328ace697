//! Feeds: what changed, in the order of commits.
//!
//! Numbers are given in the last statements before a commit, stores in sorted order, so a reader never sees a number
//! without the rows behind it and never skips a late commit.

pub mod images;
mod item;
pub mod marks;
pub mod watch;

use std::collections::BTreeMap;

pub use item::Item;

use counterfoil_domain::ids::{HistoryId, StoreId, TenantId};
use sqlx::{AnyConnection, Row};

use self::marks::{Feed, MarkKey};
use crate::db::{
    DbError,
    batch::{Text, execute_all, fetch, hash, id},
};

const ADVANCE: Text = Text::new(
    "INSERT INTO feed_heads (tenant, store, number, mark) VALUES ",
    " ON CONFLICT (tenant, store) DO UPDATE SET number = feed_heads.number + excluded.number, mark = excluded.mark RETURNING store, number, (SELECT mark_key FROM mark_keys) AS mark_key, \
           (SELECT COALESCE(t.history_id, h.history_id) FROM history h LEFT JOIN histories t ON t.tenant = $1) AS history_id",
)
// A repeated row would count twice.
.unpadded();
const INSERT: Text = Text::new(
    "INSERT INTO feed (tenant, store, number, entity, id, mark) VALUES ",
    " ON CONFLICT DO NOTHING",
);

/// Where a feed stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// The last number given.
    pub number: i64,
    /// Its mark; see [`marks`]. Of a feed's head what was random about the commit that gave it.
    pub mark: i64,
}

/// Appends to feeds; to be called last before a commit. Answers where each feed stands afterwards. `commit` is random: what
/// tells the marks of this commit from those of another one that gives the same numbers.
///
/// `news` must be sorted by store; an item twice in one feed is told once.
///
/// # Errors
/// The driver's.
pub async fn append(
    connection: &mut AnyConnection,
    tenant: TenantId,
    news: &BTreeMap<StoreId, Vec<Item>>,
    commit: i64,
) -> Result<BTreeMap<StoreId, i64>, DbError> {
    let counts: Vec<(StoreId, i64)> = news
        .iter()
        .map(|(store, items)| (*store, i64::try_from(items.len()).unwrap_or(i64::MAX)))
        .collect();
    let rows = fetch(connection, ADVANCE, "", tenant, &counts, |b, (store, count)| {
        b.bytes(store.bytes()).number(*count).number(commit);
    })
    .await?;
    let mut heads = BTreeMap::new();
    let mut given = None;
    for row in &rows {
        given = Some((
            MarkKey::from(hash(row, "mark_key")?),
            id(row, "history_id", HistoryId::from_bytes)?,
        ));
        heads.insert(id(row, "store", StoreId::from_bytes)?, row.try_get::<i64, _>("number")?);
    }
    let mut lines = Vec::new();
    for (store, items) in news {
        let head = heads.get(store).copied().ok_or(DbError::Decode { column: "store" })?;
        let (key, history) = given.ok_or(DbError::Decode { column: "mark_key" })?;
        let feed = Feed {
            tenant,
            history,
            store: *store,
        };
        let first = head - i64::try_from(items.len()).unwrap_or(i64::MAX) + 1;
        for (number, item) in (first..).zip(items) {
            let (entity, id) = item.columns();
            let mark = key.mark(feed, number, commit);
            lines.push((*store, number, entity, id, mark));
        }
    }
    execute_all(
        connection,
        "feed",
        INSERT,
        tenant,
        &lines,
        |b, (store, number, entity, id, mark)| {
            b.bytes(store.bytes())
                .number(*number)
                .text(entity)
                .bytes(id)
                .number(*mark);
        },
    )
    .await?;
    Ok(heads)
}

/// Where a feed stands now.
///
/// # Errors
/// The driver's.
pub async fn head(connection: &mut AnyConnection, tenant: TenantId, store: StoreId) -> Result<Head, DbError> {
    let row = sqlx::query("SELECT number, mark FROM feed_heads WHERE tenant = $1 AND store = $2")
        .bind(tenant.bytes().to_vec())
        .bind(store.bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    match row {
        Some(row) => Ok(Head {
            number: row.try_get("number")?,
            mark: row.try_get("mark")?,
        }),
        None => Ok(Head::default()),
    }
}

/// What is known of a number that somebody claims to have read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It was given here, with this mark. Number 0 is every feed's beginning.
    Known,
    /// It was given once, and is not known here: a backup was restored.
    Lost,
    /// Nothing proves that it was ever given.
    Unproven,
}

/// Judges the claim to have read up to this number of a feed, in the history that the feed names.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn judge(connection: &mut AnyConnection, feed: Feed, number: i64, mark: i64) -> Result<Claim, DbError> {
    if number == 0 {
        return Ok(Claim::Known);
    }
    let row = sqlx::query(
        "SELECT k.mark_key, f.mark FROM mark_keys k LEFT JOIN feed f ON f.tenant = $1 AND f.store = $2 AND f.number = $3",
    )
    .bind(feed.tenant.bytes().to_vec())
    .bind(feed.store.bytes().to_vec())
    .bind(number)
    .fetch_one(connection)
    .await?;
    // Marks of before there were keys are known by their lines alone.
    Ok(if row.try_get::<Option<i64>, _>("mark")? == Some(mark) {
        Claim::Known
    } else if MarkKey::from(hash(&row, "mark_key")?).proves(feed, number, mark) {
        Claim::Lost
    } else {
        Claim::Unproven
    })
}

/// A piece of a feed: what changed after `after`, at most `limit` lines, and where the reader then stands.
#[derive(Debug, Clone, Default)]
pub struct Piece {
    /// What changed, each once.
    pub items: Vec<Item>,
    /// Where the reader stands after it.
    pub head: Head,
    /// Whether the limit cut it off.
    pub more: bool,
}

/// Reads a piece of a feed.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn read(
    connection: &mut AnyConnection,
    tenant: TenantId,
    store: StoreId,
    after: Head,
    limit: i64,
) -> Result<Piece, DbError> {
    let rows = sqlx::query(
        "SELECT number, entity, id, mark FROM feed WHERE tenant = $1 AND store = $2 AND number > $3 ORDER BY number LIMIT $4",
    )
    .bind(tenant.bytes().to_vec())
    .bind(store.bytes().to_vec())
    .bind(after.number)
    .bind(limit + 1)
    .fetch_all(connection)
    .await?;
    let kept = usize::try_from(limit).unwrap_or(0);
    let mut piece = Piece {
        items: Vec::new(),
        head: after,
        more: rows.len() > kept,
    };
    let mut seen = std::collections::BTreeSet::new();
    for row in rows.iter().take(kept) {
        let entity: String = row.try_get("entity")?;
        let bytes: Vec<u8> = row.try_get("id")?;
        let item = Item::parse(&entity, &bytes).ok_or(DbError::Decode { column: "entity" })?;
        if seen.insert(item) {
            piece.items.push(item);
        }
        piece.head = Head {
            number: row.try_get("number")?,
            mark: row.try_get("mark")?,
        };
    }
    Ok(piece)
}

/// The feed of what concerns every store of the tenant.
pub const TENANT_FEED: StoreId = StoreId(uuid::Uuid::nil());
