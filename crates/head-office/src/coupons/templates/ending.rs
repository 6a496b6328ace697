//! Marks template versions whose time is over, every hour. Nothing waits for it: wherever it is asked whether one may be
//! claimed or granted, its time is checked. What was given before keeps its own validity.

use counterfoil_domain::time::Millis;

use super::rows;
use crate::{
    app::App,
    db::DbError,
    deed::{Actor, Deed},
    site,
};

/// Marks what has ended, at most so many versions a tenant; how many there were.
///
/// # Errors
/// The database's. What was not done is done by the next sweep.
pub async fn sweep(app: &App, now: Millis, limit: i64) -> Result<u64, DbError> {
    let mut reader = app.db.reader().acquire().await?;
    let tenants = site::rows::tenants(&mut reader).await?;
    let mut ended = 0;
    for tenant in tenants {
        // Looking costs the writer nothing.
        if !rows::any_is_over(&mut reader, tenant, now).await? {
            continue;
        }
        let mut lease = app.db.lease_behind().await?;
        let actor = Actor::of(tenant, "head office");
        let mut deed = Deed::new(lease.begin().await?, app.random.as_ref(), actor, now);
        for (id, number) in rows::end(&mut deed, tenant, now, limit).await? {
            super::log(&mut deed, "template.ended", id, number).await?;
            ended += 1;
        }
        deed.commit("templates.end").await?;
    }
    Ok(ended)
}
