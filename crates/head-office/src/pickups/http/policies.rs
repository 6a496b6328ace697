//! How pickup codes are made, as operators set it, and how full their shards are.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use counterfoil_domain::{
    pickup_codes::{PickupPart, PickupPolicy, Shards},
    time::Millis,
};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::pickups::{full, policies};
use crate::{
    app::App,
    deed::Deed,
    feed::{Item, TENANT_FEED},
    http::{ApiError, Asked, Fields, Operator, Page, Paging, Query},
    stores,
};

/// One part of a code.
#[derive(ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = PickupCodePart)]
#[expect(dead_code, reason = "only described; `counterfoil_domain` has the type")]
enum PartForm {
    /// So many signs that look random.
    Random {
        #[schema(minimum = 4, maximum = 12)]
        signs: u8,
    },
    /// The shard as two digits.
    Shard {},
    /// The shard's database as one digit.
    Database {},
    /// The shard's table as one digit.
    Table {},
    /// Always these signs.
    Fixed {
        #[schema(min_length = 1, max_length = 16)]
        text: String,
    },
    /// The order's own number, alone.
    Number {
        #[schema(minimum = 6, maximum = 20)]
        signs: u8,
    },
    /// A check sign, at the end.
    Check {},
}

/// What orders are spread over.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PickupShards)]
struct ShardsForm {
    /// Databases.
    #[schema(minimum = 1, maximum = 10)]
    databases: u8,
    /// Tables of each.
    #[schema(minimum = 1, maximum = 10)]
    tables: u8,
}

/// How pickup codes are made. What is not mentioned is as by default.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPickupPolicy {
    /// The parts of a code, in their order.
    #[serde(default = "default_parts")]
    #[schema(value_type = Vec<PartForm>, min_items = 1, max_items = 20)]
    parts: Vec<PickupPart>,
    /// Its signs: the ten digits, then capitals in their order.
    #[serde(default = "default_alphabet")]
    #[schema(min_length = 10, max_length = 36)]
    alphabet: String,
    /// What orders are spread over; absent = as before. There are never fewer than there were.
    #[serde(default)]
    shards: Option<ShardsForm>,
    /// For how many stores there has to be room.
    #[schema(minimum = 1)]
    stores: i64,
    /// Orders of one store on a busy day.
    #[schema(minimum = 1)]
    orders_a_day: i64,
    /// Days that an order waits at most.
    #[schema(minimum = 1, maximum = 366)]
    waiting_days: i64,
    /// Days that a code rests before it is used again: longer than any counter may be without head office.
    #[serde(default = "default_rest")]
    #[schema(minimum = 1, maximum = 366)]
    rest_days: i64,
}

fn default_parts() -> Vec<PickupPart> {
    PickupPolicy::default().parts
}

fn default_alphabet() -> String {
    PickupPolicy::default().alphabet
}

fn default_rest() -> i64 {
    PickupPolicy::default().rest_days
}

impl NewPickupPolicy {
    fn into_policy(self, version: i64, before: Shards) -> PickupPolicy {
        let shards = self.shards.map(|shards| Shards {
            databases: shards.databases,
            tables: shards.tables,
        });
        PickupPolicy {
            version,
            parts: self.parts,
            alphabet: self.alphabet,
            shards: shards.unwrap_or(before),
            stores: self.stores,
            orders_a_day: self.orders_a_day,
            waiting_days: self.waiting_days,
            rest_days: self.rest_days,
        }
    }
}

/// A version of how pickup codes are made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct PublishedPickupPolicy {
    /// From 1; the highest counts.
    version: i64,
    /// When it was published.
    published_at: Millis,
    /// The operator who did.
    #[serde(skip_serializing_if = "Option::is_none")]
    published_by: Option<uuid::Uuid>,
    /// How many signs its codes have.
    length: usize,
    /// How many codes there are in each shard.
    room: u64,
    /// Whether a code may be taken for the bar code of a small product: the desk then asks, where it can't tell by the symbol.
    like_ean8: bool,
    /// What it says.
    policy: NewPickupPolicy,
}

impl From<policies::Published> for PublishedPickupPolicy {
    fn from(published: policies::Published) -> Self {
        let policies::Published { policy, at, by } = published;
        Self {
            version: policy.version,
            published_at: at,
            published_by: by,
            length: policy.length(),
            room: policy.room(),
            like_ean8: policy.is_like_ean8(),
            policy: NewPickupPolicy {
                parts: policy.parts,
                alphabet: policy.alphabet,
                shards: Some(ShardsForm {
                    databases: policy.shards.databases,
                    tables: policy.shards.tables,
                }),
                stores: policy.stores,
                orders_a_day: policy.orders_a_day,
                waiting_days: policy.waiting_days,
                rest_days: policy.rest_days,
            },
        }
    }
}

/// Which versions are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// `next` of the page before.
    after: Option<String>,
    /// Versions in the page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Versions of how pickup codes are made, newest first. A chain that published none makes eight digits.
#[utoipa::path(
    get, path = "/v1/pickup-policies", tag = "pickups", operation_id = "list_pickup_policies", params(Wanted),
    responses((status = 200, description = "A page", body = Page<PublishedPickupPolicy>)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<PublishedPickupPolicy>>, ApiError> {
    let paging = Paging::<i64>::read(wanted.after.as_deref(), wanted.limit)?;
    let mut snapshot = app.db.snapshot().await?;
    let found = policies::page(&mut snapshot, operator.tenant, paging.after, paging.rows()).await?;
    let items = found.into_iter().map(PublishedPickupPolicy::from).collect();
    Ok(Json(paging.page(items, |last| last.version)))
}

/// Publish the next version of how pickup codes are made.
///
/// Codes made by earlier versions live on. A version whose codes an earlier one would lead to another database or table is
/// refused while such codes are taken or rest.
#[utoipa::path(
    post, path = "/v1/pickup-policies", tag = "pickups", operation_id = "publish_pickup_policy", request_body = NewPickupPolicy,
    responses(
        (status = 201, description = "New codes are made by it from now on", body = PublishedPickupPolicy),
        (status = 409, description = "`state_conflict`: codes of an earlier version would lead elsewhere"),
    ),
    security(("operator" = ["admin"]))
)]
pub(super) async fn publish(
    State(app): State<Arc<App>>,
    operator: Operator,
    asked: Asked<NewPickupPolicy>,
) -> Result<Response, ApiError> {
    asked
        .decide(&app, operator.actor(), async |deed, new| {
            publish_in(deed, &operator, new).await
        })
        .await
}

async fn publish_in(
    deed: &mut Deed<'_>,
    operator: &Operator,
    new: NewPickupPolicy,
) -> Result<(StatusCode, PublishedPickupPolicy), ApiError> {
    let tenant = deed.tenant();
    let earlier = policies::all(deed, tenant).await?;
    let newest = earlier.first();
    let version = newest.map_or(0, |policy| policy.version) + 1;
    let policy = new.into_policy(version, newest.map(|policy| policy.shards).unwrap_or_default());
    let mut fields = Fields::default();
    for fault in policy.faults() {
        fields.refuse(fault.field(), "out_of_range", fault.to_string());
    }
    let hours = stores::rows::longest_offline(deed, tenant).await?;
    fields.check(
        policy.rest_days.saturating_mul(24) > hours,
        "rest_days",
        "out_of_range",
        "a code rests longer than any counter may be without head office",
    );
    // Orders are in them, and need codes of their own shard as long as they may wait again.
    fields.check(
        earlier
            .iter()
            .all(|other| other.shards.count() <= policy.shards.count()),
        "shards",
        "out_of_range",
        "orders are spread over more of them already",
    );
    fields.done()?;
    if policy.version > policies::MOST {
        return Err(ApiError::detailed(
            Code::StateConflict,
            "there are 100 versions already",
        ));
    }
    for other in &earlier {
        let Some(text) = policy.conflict(other) else {
            continue;
        };
        if let Some(code) = policies::code_of_length(deed, tenant, other.length()).await? {
            let (length, version) = (code.len(), other.version);
            return Err(ApiError::detailed(
                Code::StateConflict,
                format!(
                    "codes of {length} signs are taken or rest, and {text} leads elsewhere by version {version}: take another length, or wait until they have rested"
                ),
            ));
        }
    }
    let published = policies::Published {
        policy,
        at: deed.now(),
        by: Some(operator.id.0),
    };
    policies::insert(deed, tenant, &published).await?;
    let version = published.policy.version;
    deed.audit("pickup_policy.published", &version.to_string()).await?;
    // All of them: what a migration published for codes of before was told to nobody.
    for version in 1..=version {
        deed.tell(TENANT_FEED, Item::PickupPolicy(version));
    }
    Ok((StatusCode::CREATED, published.into()))
}

/// How full a shard is with pickup codes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PickupShard {
    /// Its number: database * tables + table.
    shard: i64,
    /// Codes that are taken, or rest.
    used: i64,
    /// How many there are in all.
    room: i64,
    /// When they were counted, UTC ms.
    counted_at: Millis,
    /// When operators were alerted that half are used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    alerted_at: Option<Millis>,
}

/// How full the shards are with pickup codes, as they were last counted: once an hour.
#[utoipa::path(
    get, path = "/v1/pickup-shards", tag = "pickups", operation_id = "list_pickup_shards",
    responses((status = 200, description = "At most 100", body = Vec<PickupShard>)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
pub(super) async fn shards(
    State(app): State<Arc<App>>,
    operator: Operator,
) -> Result<Json<Vec<PickupShard>>, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    let found = full::load(&mut snapshot, operator.tenant).await?;
    let shown = found.into_iter().map(|counted| PickupShard {
        shard: counted.shard.number(),
        used: counted.used,
        room: counted.room,
        counted_at: counted.at,
        alerted_at: counted.alerted_at,
    });
    Ok(Json(shown.collect()))
}
