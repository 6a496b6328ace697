//! Copies of head office's rows: found by what people type, overwritten by what the feed says.

use counterfoil_domain::{
    coupons::{Coupon, Template},
    ids::{ClerkId, CouponId, MemberId, OperationId, OrderId, StoreId, TemplateId},
    offline::OfflineLimits,
    people::{Clerk, Member, Store},
    pickups::Order,
    planted,
    products::Product,
    sales::Sale,
    time::Millis,
    tokens::TokenKey,
    transition::Subject,
};
use counterfoil_protocol::sync::{Row, StoreLimits};
use serde::de::DeserializeOwned;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection, sqlite::SqliteRow};

use crate::{
    copies::{self, Copied, Filed, template_id},
    error::Result,
    products,
};

/// The base of a row that head office does not know yet.
pub const NOTHING: &str = "null";

/// Where a row is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// The kind of row.
    pub entity: &'static str,
    /// Its id, as bytes.
    pub id: Vec<u8>,
}

/// A row as the local copy has it.
#[derive(Debug, Clone)]
pub struct Held<T> {
    /// The row, with pending operations laid over.
    pub row: T,
    /// It was asked for and may have changed since without a word.
    pub asked: bool,
    /// An operation of this counter lies over it, so this counter knows best.
    pub touched: bool,
}

impl RowKey {
    /// Of what an operation is about.
    pub fn of_subject(subject: Subject) -> Self {
        Self {
            entity: subject.word(),
            id: subject.bytes().to_vec(),
        }
    }
    /// What it is the key of, if operations are about such rows.
    pub fn subject(&self) -> Result<Option<Subject>> {
        Ok(Subject::read(self.entity, &self.id)?)
    }
}

/// Writes rows as head office sent them: never an older version over a newer one of the same generation, and never what
/// was asked for over what was told, which may say more. A row with
/// operations over it takes them as its base; lay the operations over it again afterwards.
pub async fn store(db: &mut SqliteConnection, rows: &[Row], generation: i64, asked: bool) -> Result<Vec<RowKey>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let filed = rows
        .iter()
        .map(|row| copies::file(&row.image))
        .collect::<Result<Vec<_>>>()?;
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO replica (entity, id, lookup, lookup2, version, generation, asked, image) ",
    );
    let key = |filed: &Filed| RowKey {
        entity: filed.entity,
        id: filed.id.clone(),
    };
    let keys: Vec<RowKey> = filed.iter().map(key).collect();
    query.push_values(filed.into_iter().zip(rows), |mut values, (filed, row)| {
        values
            .push_bind(filed.entity)
            .push_bind(filed.id)
            .push_bind(filed.lookup)
            .push_bind(filed.lookup2)
            .push_bind(row.version)
            .push_bind(generation)
            .push_bind(i64::from(asked))
            .push_bind(filed.image);
    });
    query.push(
        " ON CONFLICT (entity, id) DO UPDATE SET lookup = excluded.lookup, lookup2 = excluded.lookup2, \
         version = excluded.version, generation = excluded.generation, asked = MIN(asked, excluded.asked), \
         image = CASE WHEN base IS NULL THEN excluded.image ELSE image END, \
         base = CASE WHEN base IS NULL THEN NULL ELSE excluded.image END \
         WHERE excluded.generation > generation OR excluded.version > version \
         OR (excluded.version = version AND excluded.asked <= asked)",
    );
    if planted!("older_over_newer", true, false) {
        query.push(" OR TRUE");
    }
    query.build().execute(&mut *db).await?;
    let goods = keys.iter().filter(|key| key.entity == Product::ENTITY);
    products::index(db, &goods.map(|key| key.id.as_slice()).collect::<Vec<_>>()).await?;
    Ok(keys)
}

/// Forgets a member whom this store does not hold any more, and what is theirs but for what this store keeps: its own
/// coupons and orders. What operations still lie over goes when they are let go of.
pub async fn forget(db: &mut SqliteConnection, member: MemberId, here: StoreId) -> Result<()> {
    if planted!("nothing_forgotten", true, false) {
        return Ok(());
    }
    let (id, theirs, home) = (member.bytes().as_slice(), member.to_string(), here.to_string());
    for (entity, kept_by) in copies::theirs() {
        // Older than any generation: the overlay removes it once nothing lies over it.
        sqlx::query(
            "UPDATE replica SET generation = -1 WHERE entity = ? AND lookup2 = ? AND COALESCE(image ->> ?, '') <> ?",
        )
        .bind(entity)
        .bind(&theirs)
        .bind(kept_by)
        .bind(&home)
        .execute(&mut *db)
        .await?;
        sqlx::query(
            "DELETE FROM replica WHERE entity = ? AND lookup2 = ? AND generation = -1 AND NOT EXISTS \
             (SELECT 1 FROM touches WHERE touches.entity = replica.entity AND touches.id = replica.id)",
        )
        .bind(entity)
        .bind(&theirs)
        .execute(&mut *db)
        .await?;
    }
    sqlx::query("DELETE FROM replica WHERE entity = ? AND id = ?")
        .bind(Member::ENTITY)
        .bind(id)
        .execute(db)
        .await?;
    Ok(())
}

/// Removes what the feed, read from zero, no longer mentions, except what operations still lie over.
pub async fn drop_older_generations(db: &mut SqliteConnection, generation: i64) -> Result<()> {
    sqlx::query(
        "DELETE FROM replica WHERE generation < ? AND NOT EXISTS \
         (SELECT 1 FROM touches WHERE touches.entity = replica.entity AND touches.id = replica.id)",
    )
    .bind(generation)
    .execute(db)
    .await?;
    Ok(())
}

/// Removes what a revoked device must not keep: members and what is theirs, see [`Whose`](copies::Whose). The journal stays.
pub async fn wipe(db: &mut SqliteConnection) -> Result<()> {
    sqlx::query("DELETE FROM touches").execute(&mut *db).await?;
    for entity in copies::personal() {
        sqlx::query("DELETE FROM replica WHERE entity = ?")
            .bind(entity)
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

/// `None` = head office does not know it yet, and operations make nothing of it either.
fn held<C: Copied + DeserializeOwned>(row: &SqliteRow) -> Result<Option<Held<C>>> {
    let Some(image) = serde_json::from_str(row.try_get(0)?)? else {
        return Ok(None);
    };
    Ok(Some(Held {
        row: image,
        asked: row.try_get::<i64, _>(1)? != 0,
        touched: row.try_get::<i64, _>(2)? != 0,
    }))
}

/// A row by its id, see [`Copied::id`].
pub async fn get<C: Copied + DeserializeOwned>(db: &mut SqliteConnection, id: &[u8]) -> Result<Option<Held<C>>> {
    let found = sqlx::query("SELECT image, asked, base IS NOT NULL FROM replica WHERE entity = ? AND id = ?")
        .bind(C::ENTITY)
        .bind(id)
        .fetch_optional(db)
        .await?;
    Ok(found.as_ref().map(held).transpose()?.flatten())
}

/// Every row of a kind, by its id.
pub async fn all<C: Copied + DeserializeOwned>(db: &mut SqliteConnection) -> Result<Vec<C>> {
    let found: Vec<String> = sqlx::query_scalar("SELECT image FROM replica WHERE entity = ? ORDER BY id")
        .bind(C::ENTITY)
        .fetch_all(db)
        .await?;
    found.iter().map(|image| Ok(serde_json::from_str(image)?)).collect()
}

/// The row of a kind whose id is the last.
pub async fn last<C: Copied + DeserializeOwned>(db: &mut SqliteConnection) -> Result<Option<C>> {
    let found: Option<String> =
        sqlx::query_scalar("SELECT image FROM replica WHERE entity = ? ORDER BY id DESC LIMIT 1")
            .bind(C::ENTITY)
            .fetch_optional(db)
            .await?;
    Ok(found.map(|image| serde_json::from_str(&image)).transpose()?)
}

/// Rows by [`Copied::lookup`]. One that an operation made here is found by it once head office has told of it.
pub async fn find<C: Copied + DeserializeOwned>(db: &mut SqliteConnection, lookup: &str) -> Result<Vec<Held<C>>> {
    let found = sqlx::query("SELECT image, asked, base IS NOT NULL FROM replica WHERE entity = ? AND lookup = ?")
        .bind(C::ENTITY)
        .bind(lookup)
        .fetch_all(db)
        .await?;
    found.iter().filter_map(|row| held(row).transpose()).collect()
}

/// Rows by [`Copied::lookup2`], as [`find`].
pub async fn find2<C: Copied + DeserializeOwned>(db: &mut SqliteConnection, lookup: &str) -> Result<Vec<Held<C>>> {
    let found = sqlx::query("SELECT image, asked, base IS NOT NULL FROM replica WHERE entity = ? AND lookup2 = ?")
        .bind(C::ENTITY)
        .bind(lookup)
        .fetch_all(db)
        .await?;
    found.iter().filter_map(|row| held(row).transpose()).collect()
}

/// A coupon.
pub async fn coupon(db: &mut SqliteConnection, id: CouponId) -> Result<Option<Held<Coupon>>> {
    get(db, id.bytes()).await
}

/// A coupon by its code.
pub async fn coupon_by_code(db: &mut SqliteConnection, code: &str) -> Result<Option<Held<Coupon>>> {
    Ok(find(db, code).await?.into_iter().next())
}

/// A pickup order.
pub async fn order(db: &mut SqliteConnection, id: OrderId) -> Result<Option<Held<Order>>> {
    get(db, id.bytes()).await
}

/// A pickup order by its code. Codes are used again after a rest: one that waits here goes before one that waits
/// elsewhere, and that before the latest that is gone.
pub async fn order_by_code(db: &mut SqliteConnection, code: &str, here: StoreId) -> Result<Option<Held<Order>>> {
    let mut found: Vec<Held<Order>> = find(db, code).await?;
    found.sort_by_key(|held| {
        let ready = matches!(held.row.state, counterfoil_domain::pickups::OrderState::Ready { .. });
        (ready && held.row.store == here, ready, held.row.id)
    });
    Ok(found.pop())
}

/// A template version.
pub async fn template(db: &mut SqliteConnection, id: TemplateId, version: i64) -> Result<Option<Template>> {
    Ok(get(db, &template_id(id, version)).await?.map(|held| held.row))
}

/// A member.
pub async fn member(db: &mut SqliteConnection, id: MemberId) -> Result<Option<Member>> {
    Ok(held_member(db, id).await?.map(|held| held.row))
}

/// A member, and whether they were asked for.
pub async fn held_member(db: &mut SqliteConnection, id: MemberId) -> Result<Option<Held<Member>>> {
    get(db, id.bytes()).await
}

/// A member by number.
pub async fn member_by_number(db: &mut SqliteConnection, number: &str) -> Result<Option<Held<Member>>> {
    Ok(find(db, number).await?.into_iter().next())
}

/// A member by phone number, the latest where several share it.
pub async fn member_by_phone(db: &mut SqliteConnection, phone: &str) -> Result<Option<Held<Member>>> {
    let found: Vec<Held<Member>> = find2(db, phone).await?;
    Ok(found.into_iter().max_by_key(|held| held.row.id))
}

/// A member's coupons, as far as they are here.
pub async fn coupons_of(db: &mut SqliteConnection, member: MemberId) -> Result<Vec<Held<Coupon>>> {
    find2(db, &member.to_string()).await
}

/// A shop of the chain.
pub async fn shop(db: &mut SqliteConnection, id: StoreId) -> Result<Option<Store>> {
    Ok(get(db, id.bytes()).await?.map(|held| held.row))
}

/// A person at this store.
pub async fn clerk(db: &mut SqliteConnection, id: ClerkId) -> Result<Option<Clerk>> {
    Ok(get(db, id.bytes()).await?.map(|held| held.row))
}

/// Everybody who may work at this store.
pub async fn clerks(db: &mut SqliteConnection, store: StoreId) -> Result<Vec<Clerk>> {
    let found: Vec<Held<Clerk>> = find(db, &store.to_string()).await?;
    let mut clerks: Vec<Clerk> = found
        .into_iter()
        .map(|held| held.row)
        .filter(|clerk| clerk.active)
        .collect();
    clerks.sort_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id)));
    Ok(clerks)
}

/// A product.
pub async fn product(db: &mut SqliteConnection, sku: &str) -> Result<Option<Product>> {
    Ok(get(db, sku.as_bytes()).await?.map(|held| held.row))
}

/// A sale of this store. One that was set aside before head office had a row of it is none.
pub async fn sale(db: &mut SqliteConnection, id: OperationId) -> Result<Option<Sale>> {
    Ok(get(db, id.bytes()).await?.map(|held| held.row))
}

/// Sales of this store from `from` until before `to`, latest first.
pub async fn sales(db: &mut SqliteConnection, from: Millis, to: Millis) -> Result<Vec<Sale>> {
    let found: Vec<String> = sqlx::query_scalar(
        "SELECT image FROM replica INDEXED BY replica_sales WHERE entity = 'sale' AND image ->> 'at' >= ? \
         AND image ->> 'at' < ? ORDER BY image ->> 'at' DESC",
    )
    .bind(from)
    .bind(to)
    .fetch_all(db)
    .await?;
    found.iter().map(|image| Ok(serde_json::from_str(image)?)).collect()
}

/// Makes room for a row that head office does not know yet; what is seen of it is what operations lay over that.
pub async fn begin(db: &mut SqliteConnection, subject: Subject, generation: i64) -> Result<()> {
    let key = RowKey::of_subject(subject);
    sqlx::query(
        "INSERT INTO replica (entity, id, version, generation, asked, image, base) VALUES (?, ?, 0, ?, 0, ?4, ?4)",
    )
    .bind(key.entity)
    .bind(key.id.as_slice())
    .bind(generation)
    .bind(NOTHING)
    .execute(db)
    .await?;
    Ok(())
}

/// Sales that no return will need any more go, as the journal's operations do.
pub async fn prune_sales(db: &mut SqliteConnection, before: Millis) -> Result<()> {
    sqlx::query(
        "DELETE FROM replica WHERE entity = 'sale' AND image ->> 'at' < ? AND base IS NULL AND NOT EXISTS \
         (SELECT 1 FROM touches WHERE touches.entity = replica.entity AND touches.id = replica.id)",
    )
    .bind(before)
    .execute(db)
    .await?;
    Ok(())
}

/// Head office's public keys.
pub async fn token_keys(db: &mut SqliteConnection) -> Result<Vec<TokenKey>> {
    let found: Vec<String> = sqlx::query_scalar("SELECT image FROM replica WHERE entity = 'token_key'")
        .fetch_all(db)
        .await?;
    found.iter().map(|image| Ok(serde_json::from_str(image)?)).collect()
}

/// What this store's counters may do alone.
pub async fn limits(db: &mut SqliteConnection, store: StoreId) -> Result<OfflineLimits> {
    let image: Option<String> = sqlx::query_scalar("SELECT image FROM replica WHERE entity = ? AND id = ?")
        .bind(StoreLimits::ENTITY)
        .bind(store.bytes().as_slice())
        .fetch_optional(db)
        .await?;
    Ok(image
        .map(|image| serde_json::from_str(&image))
        .transpose()?
        .unwrap_or_default())
}

/// The currency of this chain's coupons, as far as any is known.
pub async fn currency(db: &mut SqliteConnection) -> Result<Option<String>> {
    Ok(
        sqlx::query_scalar("SELECT image ->> 'currency' FROM replica WHERE entity = 'template' LIMIT 1")
            .fetch_optional(db)
            .await?,
    )
}
