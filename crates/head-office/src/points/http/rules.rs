//! The rule of earning, as operators publish it.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use counterfoil_domain::{
    points::{
        Amounts,
        earning::{EarningRule, EndOf, Factor, Life, Rate, Rounding, Spending},
    },
    time::Millis,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    deed::Deed,
    feed::{Item, TENANT_FEED},
    http::{ApiError, Asked, Fields, Operator, Page, Paging, Query},
    points::rows,
};

/// So many points for so much money.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EarningRate)]
#[expect(dead_code, reason = "only described; `counterfoil_domain` has the type")]
pub(super) struct RateForm {
    /// For lines of this category; absent = for all that have no rate of their own.
    #[schema(max_length = 64)]
    category: Option<String>,
    #[schema(minimum = 0, maximum = 1_000_000)]
    points: i64,
    /// For each so much paid, minor units.
    #[schema(minimum = 1)]
    per: i64,
}

/// Days on which more is earned.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EarningFactor)]
#[expect(dead_code, reason = "only described; `counterfoil_domain` has the type")]
pub(super) struct FactorForm {
    /// 1 = Monday to 7 = Sunday; none = all.
    weekdays: Option<Vec<i8>>,
    /// Days of the month; none = all.
    days: Option<Vec<i8>>,
    /// The first day, as `2026-11-11`.
    #[schema(format = Date)]
    from: Option<String>,
    /// The last day.
    #[schema(format = Date)]
    until: Option<String>,
    /// Basis points: 20000 = twice as much.
    #[schema(minimum = 0, maximum = 1_000_000)]
    factor_bp: i64,
}

/// What points are worth at the desk.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PointsSpending)]
#[expect(dead_code, reason = "only described; `counterfoil_domain` has the type")]
pub(super) struct SpendingForm {
    /// Minor units that one point pays.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    minor_per_point: i64,
    /// The most of what coupons left that points may pay, basis points.
    #[schema(minimum = 0, maximum = 10_000)]
    max_share_bp: i64,
    /// The most that a counter lets be spent without head office's word, points; 0 = none.
    #[schema(minimum = 0)]
    offline_limit: Option<i64>,
}

/// How long a lot lives: so many days or so many months.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LotLife)]
pub(super) struct LifeForm {
    /// From 0: to the end of its own day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 36_500)]
    days: Option<i64>,
    /// From 0: to the end of its own month, where lots end with a month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1_200)]
    months: Option<i64>,
}

impl LifeForm {
    fn life(form: Option<Self>) -> Option<Life> {
        match form.map(|form| (form.days, form.months)) {
            None => Some(Life::Never),
            Some((Some(days), None)) => Some(Life::Days(days)),
            Some((None, Some(months))) => Some(Life::Months(months)),
            Some(_) => None,
        }
    }

    fn of(life: Life) -> Option<Self> {
        let (days, months) = match life {
            Life::Never => return None,
            Life::Days(days) => (Some(days), None),
            Life::Months(months) => (None, Some(months)),
        };
        Some(Self { days, months })
    }
}

/// What becomes of parts of points.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PointsRounding)]
#[expect(dead_code, reason = "only described; `counterfoil_domain` has the type")]
pub(super) enum RoundingForm {
    Down,
    Nearest,
    Up,
}

/// When on its last day a lot ends.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LotEnd)]
#[expect(dead_code, reason = "only described; `counterfoil_domain` has the type")]
pub(super) enum EndForm {
    Day,
    Month,
}

/// What one person may adjust alone.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AdjustedAlone)]
pub(super) struct AloneForm {
    /// Points.
    #[serde(default)]
    #[schema(minimum = 0)]
    points: i64,
    /// Stored value, minor units.
    #[serde(default)]
    #[schema(minimum = 0)]
    balance: i64,
}

/// A rule of earning.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRule {
    /// The chain's own zone, by its IANA name: its days and months are counted in it.
    #[schema(min_length = 1, max_length = 64)]
    time_zone: String,
    /// What purchases earn; none = nothing.
    #[serde(default)]
    #[schema(value_type = Vec<RateForm>, max_items = 100)]
    rates: Vec<Rate>,
    #[serde(default)]
    #[schema(value_type = RoundingForm)]
    rounding: Rounding,
    /// Of several that hold the largest counts.
    #[serde(default)]
    #[schema(value_type = Vec<FactorForm>, max_items = 100)]
    factors: Vec<Factor>,
    /// The most that one member earns with purchases on one day; absent = as much as they buy.
    #[serde(default)]
    #[schema(minimum = 0)]
    cap_a_day: Option<i64>,
    /// What a review earns.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    review: i64,
    /// Days until what was earned may be spent.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 36_500)]
    pending_days: i64,
    /// How long a lot lives; absent = it does not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    life: Option<LifeForm>,
    #[serde(default)]
    #[schema(value_type = EndForm)]
    ends: EndOf,
    /// Days that what ended while a shipment was under way lives on once it failed.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 36_500)]
    grace_days: i64,
    /// Absent = points pay for nothing at the desk.
    #[serde(default)]
    #[schema(value_type = Option<SpendingForm>)]
    spending: Option<Spending>,
    /// The most that one person may adjust alone; more takes two.
    #[serde(default)]
    adjusted_alone: AloneForm,
}

impl NewRule {
    fn into_rule(self, version: i64) -> EarningRule {
        EarningRule {
            version,
            time_zone: self.time_zone,
            rates: self.rates,
            rounding: self.rounding,
            factors: self.factors,
            cap_a_day: self.cap_a_day,
            review: self.review,
            pending_days: self.pending_days,
            life: LifeForm::life(self.life).unwrap_or_default(),
            ends: self.ends,
            grace_days: self.grace_days,
            spending: self.spending,
            adjusted_alone: Amounts {
                points: self.adjusted_alone.points,
                balance: self.adjusted_alone.balance,
            },
        }
    }
}

/// A version of the rule.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct PublishedRule {
    /// From 1; the highest counts.
    version: i64,
    /// When it was published.
    published_at: Millis,
    /// The operator who did.
    published_by: Option<uuid::Uuid>,
    /// What it says.
    rule: NewRule,
}

impl From<rows::Published> for PublishedRule {
    fn from(published: rows::Published) -> Self {
        let rows::Published { rule, at, by } = published;
        Self {
            version: rule.version,
            published_at: at,
            published_by: by,
            rule: NewRule {
                time_zone: rule.time_zone,
                rates: rule.rates,
                rounding: rule.rounding,
                factors: rule.factors,
                cap_a_day: rule.cap_a_day,
                review: rule.review,
                pending_days: rule.pending_days,
                life: LifeForm::of(rule.life),
                ends: rule.ends,
                grace_days: rule.grace_days,
                spending: rule.spending,
                adjusted_alone: AloneForm {
                    points: rule.adjusted_alone.points,
                    balance: rule.adjusted_alone.balance,
                },
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

/// Versions of the rule of earning, newest first.
#[utoipa::path(
    get, path = "/v1/earning-rules", tag = "points", operation_id = "list_earning_rules", params(Wanted),
    responses((status = 200, description = "A page", body = Page<PublishedRule>)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<PublishedRule>>, ApiError> {
    let paging = Paging::<i64>::read(wanted.after.as_deref(), wanted.limit)?;
    let mut snapshot = app.db.snapshot().await?;
    let found = rows::rules(&mut snapshot, operator.tenant, paging.after, paging.rows()).await?;
    let items = found.into_iter().map(PublishedRule::from).collect();
    Ok(Json(paging.page(items, |last| last.version)))
}

/// Publish the next version of the rule of earning.
///
/// What was earned by an earlier version stays, and is taken back by it.
#[utoipa::path(
    post, path = "/v1/earning-rules", tag = "points", operation_id = "publish_earning_rule", request_body = NewRule,
    responses((status = 201, description = "It counts from now on", body = PublishedRule)),
    security(("operator" = ["admin"]))
)]
pub(super) async fn publish(
    State(app): State<Arc<App>>,
    operator: Operator,
    asked: Asked<NewRule>,
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
    new: NewRule,
) -> Result<(StatusCode, PublishedRule), ApiError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let newest = rows::newest_rule(deed, tenant).await?.map_or(0, |rule| rule.version);
    let mut fields = Fields::default();
    fields.check(
        LifeForm::life(new.life).is_some(),
        "life",
        "out_of_range",
        "either days or months",
    );
    let rule = new.into_rule(newest + 1);
    for fault in rule.faults() {
        fields.refuse(fault.field, "out_of_range", fault.problem);
    }
    for rate in &rule.rates {
        if let Some(category) = &rate.category {
            fields.text("rates.category", category, 64);
        }
    }
    fields.done()?;
    let published = rows::Published {
        rule,
        at: now,
        by: Some(operator.id.0),
    };
    rows::insert_rule(deed, tenant, &published).await?;
    let version = published.rule.version;
    deed.audit("earning_rule.published", &version.to_string()).await?;
    deed.tell(TENANT_FEED, Item::EarningRule(version));
    Ok((StatusCode::CREATED, published.into()))
}
