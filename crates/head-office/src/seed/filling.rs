//! Puts the rows where they belong, a commit for each chunk of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use counterfoil_domain::{
    coupons::Coupon,
    ids::{BatchId, ClerkId, CouponId, MemberId, OrderId, StoreId, TenantId},
    offline::OfflineLimits,
    people::{Clerk, Member, Role, Store},
    pickups::{Order, OrderState},
    time::DAY,
};
use sqlx::{AnyConnection, Row};

use super::{
    Plan, TENANT, Work,
    numbers::{Ids, Kind, Numbers},
    products,
    seeded::Added,
    templates, words,
};
use crate::{
    admin::{self, AdminError, NewTenant},
    batches::{self, Purpose, rows::NewBatch},
    clock::{Clock, Random},
    coupons::{
        self,
        templates::{Status, insert},
    },
    db::{Db, DbError, batch},
    deed::{self, Actor, Deed},
    feed::{Item, TENANT_FEED},
    members, pickups, stores, tenants,
};

/// Rows of one commit. Others get their turn between two of them.
pub(super) const CHUNK: u64 = 2_000;

/// Which ids the demo data has that is there: its first clerk tells.
async fn begun_with(connection: &mut AnyConnection, tenant: TenantId, store: StoreId) -> Result<Ids, DbError> {
    let (place, at, bytes) = Ids::Drawn.of(0, Kind::Clerk, 0);
    let of_before = sqlx::query("SELECT 1 FROM clerks WHERE tenant = $1 AND store = $2 AND id = $3")
        .bind(tenant.bytes().to_vec())
        .bind(store.bytes().to_vec())
        .bind(ClerkId::placed(place, at, bytes).bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    Ok(if of_before.is_some() { Ids::Drawn } else { Ids::Placed })
}

type News = BTreeMap<StoreId, Vec<Item>>;

impl<'a> Work<'a> {
    /// The tenant and its stores.
    pub(super) async fn begin(
        db: &'a Db,
        clock: &dyn Clock,
        random: &'a dyn Random,
        plan: Plan,
    ) -> Result<Self, DbError> {
        let now = clock.now();
        let mut lease = db.lease().await?;
        let mut transaction = lease.begin().await?;
        let there = tenants::rows::tenant_by_code(&mut transaction, TENANT).await?;
        let tenant = match there {
            Some(tenant) => tenant,
            None => TenantId::new(now, deed::fresh(random)?),
        };
        let mut deed = Deed::new(transaction, random, Actor::admin(tenant), now);
        if there.is_none() {
            let new = NewTenant {
                code: TENANT,
                name: "山岚咖啡 Shanlan Coffee",
                currency: "CNY",
            };
            tenants::insert_tenant(&mut deed, &new).await?;
        }
        let known = tenants::rows::load_tenant(&mut deed, tenant, "").await?;
        let mut by_code: HashMap<String, StoreId> = HashMap::new();
        for row in sqlx::query("SELECT code, id FROM stores WHERE tenant = $1")
            .bind(tenant.bytes().to_vec())
            .fetch_all(&mut *deed)
            .await?
        {
            by_code.insert(row.try_get("code")?, batch::id(&row, "id", StoreId::from_bytes)?);
        }
        let mut stores = Vec::new();
        let mut added = Added::default();
        for index in 0..plan.stores {
            let code = format!("s-{:02}", index + 1);
            let (name_zh, name_en) = words::store(usize::try_from(index).unwrap_or(usize::MAX - 1));
            let (place, at, bytes) = Ids::Placed.of(0, Kind::Store, index);
            let known = by_code.get(&code).copied();
            let store = Store {
                id: known.unwrap_or_else(|| StoreId::placed(place, at, bytes)),
                code,
                name_zh,
                name_en,
                time_zone: "Asia/Shanghai".to_owned(),
            };
            if known.is_none() {
                stores::rows::insert_store(&mut deed, tenant, &store, &OfflineLimits::default(), now).await?;
                deed.tell(TENANT_FEED, Item::Store(store.id));
                deed.tell(store.id, Item::Limits(store.id));
                added.stores += 1;
            }
            stores.push(store);
        }
        let ids = match by_code.get("s-01") {
            Some(first) => begun_with(&mut deed, tenant, *first).await?,
            None => Ids::Placed,
        };
        deed.commit("seed.begin").await?;
        drop(lease);
        Ok(Self {
            db,
            random,
            now,
            plan,
            tenant,
            currency: known.currency,
            code_key: known.code_key,
            stores,
            templates: Vec::new(),
            ids,
            added,
        })
    }

    pub(super) async fn clerks(&mut self) -> Result<(), DbError> {
        // Everybody of one place in the list shares a PIN and its hash: a slow hash for each of 30,000 clerks would
        // take an hour, and these PINs are printed anyway.
        let mut hashes = Vec::new();
        for (name, manager, pin) in words::CLERKS {
            let hash = admin::hash_pin(self.random, pin).map_err(as_database_error)?;
            hashes.push((name, if manager { Role::Manager } else { Role::Clerk }, hash));
        }
        let mut clerks = Vec::new();
        for (store, index) in self.stores.iter().zip(0u64..) {
            for ((name, role, pin_hash), nth) in hashes.iter().zip(0u64..) {
                let (place, at, bytes) = self.ids.of(0, Kind::Clerk, index * 100 + nth);
                clerks.push(Clerk {
                    id: ClerkId::placed(place, at, bytes),
                    store: store.id,
                    name: (*name).to_owned(),
                    role: *role,
                    pin_hash: pin_hash.clone(),
                    active: true,
                });
            }
        }
        for chunk in clerks.chunks(CHUNK as usize) {
            let mut lease = self.db.lease().await?;
            let mut deed = Deed::new(lease.begin().await?, self.random, Actor::admin(self.tenant), self.now);
            let new = stores::rows::insert_new_clerks(&mut deed, self.tenant, chunk, self.now).await?;
            let new: BTreeSet<ClerkId> = new.into_iter().collect();
            let mut news = News::new();
            for clerk in chunk.iter().filter(|clerk| new.contains(&clerk.id)) {
                news.entry(clerk.store).or_default().push(Item::Clerk(clerk.id));
            }
            deed.tell_all(news);
            deed.commit("seed.clerks").await?;
            self.added.clerks += new.len() as u64;
        }
        Ok(())
    }

    pub(super) async fn templates(&mut self) -> Result<(), DbError> {
        let Some(first) = self.stores.first().map(|store| store.id) else {
            return Ok(());
        };
        self.templates = templates::all(self.ids, &self.currency, first);
        let mut lease = self.db.lease().await?;
        let mut deed = Deed::new(lease.begin().await?, self.random, Actor::admin(self.tenant), self.now);
        let mut items = Vec::new();
        for (new, index) in self.templates.iter().zip(0u64..) {
            let template = &new.template;
            let of = (template.id, template.version);
            let (said, status) = (new.checked(), Status::Published);
            let inserted = insert(&mut deed, self.tenant, of, &said, &template.currency, status, self.now);
            if inserted.await? {
                items.push(Item::Template(template.id, template.version));
            }
            if self.plan.coupons > 0 {
                let batch = NewBatch {
                    id: self.batch(index),
                    template: template.id,
                    template_version: template.version,
                    size: 0,
                    purpose: Purpose::Grant,
                    // The demo's codes follow from the seed.
                    form: None,
                    first_counter: None,
                    validity: (None, None),
                };
                batches::rows::insert_unless_there(&mut deed, self.tenant, &batch, self.now).await?;
            }
        }
        self.added.templates += items.len() as u64;
        if !items.is_empty() {
            let news = News::from([(TENANT_FEED, items)]);
            deed.tell_all(news);
        }
        deed.commit("seed.templates").await?;
        Ok(())
    }

    pub(super) async fn products(&mut self) -> Result<(), DbError> {
        let mut lease = self.db.lease().await?;
        let mut deed = Deed::new(lease.begin().await?, self.random, Actor::admin(self.tenant), self.now);
        let mut made = products::all(self.ids, &self.currency);
        let skus: Vec<&str> = made.iter().map(|(_, _, product)| product.sku.as_str()).collect();
        let there = crate::products::rows::by_sku(&mut deed, self.tenant, &skus).await?;
        let there: BTreeSet<String> = there.into_iter().map(|(_, product)| product.sku).collect();
        made.retain(|(_, _, product)| !there.contains(&product.sku));
        if made.is_empty() {
            return Ok(());
        }
        if !crate::products::rows::write(&mut deed, self.tenant, &made, self.now).await? {
            return Err(DbError::config(
                "a barcode of the demo's products belongs to another product",
            ));
        }
        let ids = made.iter().map(|(id, ..)| *id);
        ids.for_each(|id| deed.tell(TENANT_FEED, Item::Product(id)));
        deed.commit("seed.products").await?;
        self.added.products += made.len() as u64;
        Ok(())
    }

    pub(super) async fn members(&mut self, from: u64) -> Result<(), DbError> {
        let mut made = Vec::new();
        for index in from..self.plan.members.min(from + CHUNK) {
            let mut numbers = Numbers::of(self.plan.seed, Kind::Member, index);
            made.push(Member {
                id: self.member_id(index),
                number: format!("{:05}{index:07}", self.plan.seed),
                name: words::member(&mut numbers),
                phone: words::phone(&mut numbers),
                recent_stores: self.store(index).map(|store| store.id).into_iter().collect(),
            });
        }
        let mut lease = self.db.lease().await?;
        let mut deed = Deed::new(lease.begin().await?, self.random, Actor::admin(self.tenant), self.now);
        let new = members::rows::insert_new(&mut deed, self.tenant, &made, self.now).await?;
        let new: BTreeSet<MemberId> = new.into_iter().collect();
        let mut news = News::new();
        for member in made.iter().filter(|member| new.contains(&member.id)) {
            for store in &member.recent_stores {
                news.entry(*store).or_default().push(Item::Member(member.id));
            }
        }
        deed.tell_all(news);
        deed.commit("seed.members").await?;
        self.added.members += new.len() as u64;
        Ok(())
    }

    pub(super) async fn coupons(&mut self, from: u64) -> Result<(), DbError> {
        let until = self.plan.coupons.min(from + CHUNK);
        let made: Vec<Coupon> = (from..until).filter_map(|index| self.coupon(index)).collect();
        let mut lease = self.db.lease().await?;
        let mut deed = Deed::new(lease.begin().await?, self.random, Actor::admin(self.tenant), self.now);
        let new = coupons::rows::insert_new(&mut deed, self.tenant, &made).await?;
        let new: BTreeSet<CouponId> = new.into_iter().collect();
        let given = made.iter().filter(|coupon| new.contains(&coupon.id));
        coupons::days::insert(&mut deed, self.tenant, given, self.now).await?;
        let mut news = News::new();
        let mut grown: BTreeMap<BatchId, (i64, i64)> = BTreeMap::new();
        for coupon in made.iter().filter(|coupon| new.contains(&coupon.id)) {
            if let Some(store) = coupon.home_store {
                news.entry(store).or_default().push(Item::Coupon(coupon.id));
            }
            let (made, claimed) = grown.entry(coupon.batch).or_default();
            *made += 1;
            *claimed += i64::from(coupon.member.is_some());
        }
        for (batch, (made, claimed)) in grown {
            coupons::rows::grow_batch(&mut deed, self.tenant, batch, made, claimed).await?;
        }
        deed.tell_all(news);
        deed.commit("seed.coupons").await?;
        self.added.coupons += new.len() as u64;
        Ok(())
    }

    pub(super) async fn pickups(&mut self, from: u64) -> Result<(), DbError> {
        let until = self.plan.pickups.min(from + CHUNK);
        let mut lease = self.db.lease().await?;
        let mut deed = Deed::new(lease.begin().await?, self.random, Actor::admin(self.tenant), self.now);
        let ids: Vec<OrderId> = (from..until).map(|index| self.order_id(index)).collect();
        let known: BTreeSet<OrderId> = pickups::rows::load(&mut deed, self.tenant, &ids, "")
            .await?
            .into_iter()
            .map(|order| order.id)
            .collect();
        let missing: Vec<u64> = (from..until)
            .filter(|index| !known.contains(&self.order_id(*index)))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let policy = pickups::policies::newest(&mut deed, self.tenant).await?;
        let bare: Vec<Order> = missing.iter().filter_map(|index| self.order(*index)).collect();
        let wanted: Vec<(OrderId, &str)> = bare.iter().map(|order| (order.id, order.number.as_str())).collect();
        let mut numbers = Numbers::of(self.plan.seed, Kind::PickupCode, from);
        let issued = pickups::codes::issue(&mut deed, self.tenant, &policy, &wanted, &mut numbers, self.now).await;
        let (codes, _) = issued.map_err(as_database_error)?;
        let coded = bare.iter().zip(codes);
        let orders: Vec<Order> = coded.map(|(order, code)| Order { code, ..order.clone() }).collect();
        pickups::codes::store(&mut deed, self.tenant, &policy, &orders, self.now).await?;
        let cancelled = orders.iter().filter(|order| order.state == OrderState::Cancelled);
        let cancelled: Vec<&Order> = cancelled.collect();
        let until = self.now + policy.rest_days * DAY;
        pickups::rows::rest_codes(&mut deed, self.tenant, &cancelled, until).await?;
        let mut news = News::new();
        for order in &orders {
            news.entry(order.store).or_default().push(Item::Order(order.id));
        }
        deed.tell_all(news);
        deed.commit("seed.pickups").await?;
        self.added.pickups += orders.len() as u64;
        Ok(())
    }
}

fn as_database_error(error: AdminError) -> DbError {
    match error {
        AdminError::Db(error) => error,
        other => DbError::config(other.to_string()),
    }
}
