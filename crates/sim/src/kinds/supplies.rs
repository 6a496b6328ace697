//! What head office gives out.

use anyhow::Result;
use counterfoil_domain::{ids::TemplateId, pickups::OrderLine};
use counterfoil_head_office::admin;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::{
    step::Making,
    world::{World, pick},
};

/// Head office gives a member a coupon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    member: usize,
    like: usize,
}

impl Kind for Grant {
    const WEIGHT: u32 = 15;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            member: making.dice.usize(..9),
            like: making.thing(),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let Some(app) = world.app() else {
            return Ok("down".into());
        };
        let code = pick(&world.coupons, self.like);
        let mut snapshot = app.db.snapshot().await?;
        let template: Option<Vec<u8>> = sqlx::query_scalar("SELECT template FROM coupons WHERE code = $1")
            .bind(code.to_owned())
            .fetch_optional(&mut *snapshot)
            .await?;
        drop(snapshot);
        // A backup was restored, and knows nothing of it.
        let Some(template) = template else {
            return Ok("like nothing".into());
        };
        let template = TemplateId::from_bytes(&template)?;
        let new = admin::NewGrant {
            member: &world.base.members[self.member % world.base.members.len()].1,
            template,
            count: 1,
        };
        let granted = admin::grant_coupons(
            &app.db,
            app.clock.as_ref(),
            app.random.as_ref(),
            world.base.tenant,
            &new,
        )
        .await;
        Ok(match granted {
            Ok(granted) => {
                world.coupons.extend(granted.coupons.into_iter().map(|(_, code)| code));
                "granted".into()
            }
            Err(error) => format!("error {}", error.code()),
        })
    }
}

/// How many orders were made.
#[derive(Debug, Default)]
struct Made(u64);

/// A pickup order is made for a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supply {
    store: usize,
    member: Option<usize>,
}

impl Kind for Supply {
    const WEIGHT: u32 = 15;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            store: making.dice.usize(..3),
            member: making.dice.bool().then(|| making.dice.usize(..9)),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let Some(app) = world.app() else {
            return Ok("down".into());
        };
        let Made(made) = world.own.of();
        *made += 1;
        let number = format!("S-{made}");
        let new = admin::NewOrder {
            store: world.base.stores[self.store % world.base.stores.len()],
            number: &number,
            code: None,
            lines: vec![OrderLine {
                sku: "A".into(),
                name_zh: "甲".into(),
                name_en: "A".into(),
                quantity: 1,
                unit_price: 500,
            }],
            collector: "somebody",
            member: self
                .member
                .map(|member| world.base.members[member % world.base.members.len()].1.as_str()),
            days: None,
        };
        let added = admin::add_order(
            &app.db,
            app.clock.as_ref(),
            app.random.as_ref(),
            world.base.tenant,
            &new,
        )
        .await;
        Ok(match added {
            Ok(order) => {
                world.orders.push(order.code);
                "added".into()
            }
            Err(error) => format!("error {}", error.code()),
        })
    }
}
