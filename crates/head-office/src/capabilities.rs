//! What head office can do: one line a capability.

use std::sync::Arc;

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::{
    app::App,
    audit, batches,
    capability::Capability,
    claims,
    clock::{Clock, Random},
    coupons,
    db::{Db, DbError, rule::Rule},
    exceptions,
    feed::images::Gallery,
    fulfilment, gifts, grants,
    http::{Aside, Routes, idempotency},
    jobs, members, merging, messages, online, outbox, pickups, points,
    processes::{self, Role},
    products, questions, sales, site, stock, stores, sync, wallet,
};

/// All of them, in the order in which `/openapi.json` describes what they answer.
pub const ALL: &[Capability] = &[
    members::CAPABILITY,
    coupons::templates::CAPABILITY,
    stores::CAPABILITY,
    exceptions::CAPABILITY,
    Capability {
        people: audit::http::routes,
        ..Capability::NONE
    },
    batches::CAPABILITY,
    claims::CAPABILITY,
    grants::CAPABILITY,
    Capability {
        people: jobs::http::routes,
        rules: jobs::rules::RULES,
        forgets: &[|connection, now, most| {
            Box::pin(async move { Ok(idempotency::forget(connection, now, most).await? >= most.unsigned_abs()) })
        }],
        ..Capability::NONE
    },
    products::CAPABILITY,
    sales::CAPABILITY,
    wallet::CAPABILITY,
    online::CAPABILITY,
    messages::CAPABILITY,
    coupons::CAPABILITY,
    points::CAPABILITY,
    stock::CAPABILITY,
    gifts::CAPABILITY,
    pickups::CAPABILITY,
    questions::CAPABILITY,
    sync::CAPABILITY,
    site::CAPABILITY,
    fulfilment::CAPABILITY,
    merging::CAPABILITY,
    Capability {
        tables: |_| vec![Box::new(outbox::table::Outbox)],
        people: outbox::http::routes,
        rules: outbox::rules::RULES,
        forgets: &[|connection, now, most| Box::pin(outbox::rows::forget(connection, now, most))],
        ..Capability::NONE
    },
];

impl App {
    /// Opens the database and starts the engine.
    ///
    /// # Errors
    /// As [`Db::open`].
    pub async fn open(url: &str, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Arc<Self>, DbError> {
        let db = Db::open(url, clock.as_ref(), random.as_ref()).await?;
        Ok(Self::on(db, clock, random, true))
    }

    /// On a database that is open; `tended` = it is tended beside the writer.
    pub fn on(db: Db, clock: Arc<dyn Clock>, random: Arc<dyn Random>, tended: bool) -> Arc<Self> {
        let app = Self::with(db, clock, random, tended, |settled| {
            ALL.iter().flat_map(|capability| (capability.tables)(settled)).collect()
        });
        app.own.put(gallery());
        app.own.put(jobs::Known {
            works: ALL.iter().flat_map(|capability| capability.works).copied().collect(),
            forgets: ALL.iter().flat_map(|capability| capability.forgets).copied().collect(),
        });
        app.own.put(outbox::Known(
            ALL.iter()
                .flat_map(|capability| capability.consumers)
                .copied()
                .collect(),
        ));
        Arc::new(app)
    }
}

/// Everything that counters are told of.
pub fn gallery() -> Gallery {
    Gallery(ALL.iter().flat_map(|capability| capability.images).copied().collect())
}

/// What `verify` holds rows against, in the order in which it says so.
pub(crate) fn rules() -> Vec<&'static Rule> {
    let mut rules: Vec<&Rule> = ALL.iter().flat_map(|capability| capability.rules).collect();
    rules.sort_by_key(|rule| rule.place);
    rules
}

/// The whole API. `metrics` is absent where head office runs inside the desktop app.
pub fn router(app: Arc<App>, metrics: Option<PrometheusHandle>) -> Router {
    routes(metrics).serve(app)
}

fn routes(metrics: Option<PrometheusHandle>) -> Routes {
    let counters: Vec<Aside> = ALL.iter().flat_map(|capability| capability.counters).cloned().collect();
    Routes::new(ALL.iter().map(|capability| (capability.people)()), &counters, metrics)
}

/// Begins what a process with these roles does beside answering: it hands messages over, says that it lives, and whatever
/// capabilities do all the time.
pub fn start(app: &Arc<App>, roles: &[Role]) {
    outbox::start(app, &outbox::consumers(app, roles));
    processes::start(app, roles);
    let loops = ALL.iter().flat_map(|capability| capability.loops);
    for (_, begin) in loops.filter(|(role, _)| roles.contains(role)) {
        begin(app);
    }
}

/// Begins what each does by itself at its time.
pub(crate) fn begin(app: &Arc<App>) {
    for due in ALL.iter().flat_map(|capability| capability.due) {
        jobs::every(app, due.name, due.period, due.sweep);
    }
}

#[cfg(test)]
mod tests {
    use axum::{http::Method, routing::get};
    use counterfoil_protocol::paths::ENROL;

    use super::*;
    use crate::http::Allowed;

    /// Every path of a router, but for the fallback's. Nothing but what it prints tells them.
    fn paths(router: &Router<Arc<App>>) -> std::collections::BTreeSet<String> {
        let printed = format!("{router:?}");
        let quoted = printed.split('"').skip(1).step_by(2);
        quoted
            .filter(|text| text.starts_with('/') && text.len() > 1 && !text.contains("{*"))
            .map(str::to_owned)
            .collect()
    }

    /// Whoever reads what `verify` prints finds each check where it was.
    #[test]
    fn the_rules_stand_in_the_order_in_which_they_always_stood() {
        let names = rules().into_iter().map(|rule| rule.name);
        let stood = [
            "journals_gapless",
            "journal_heads",
            "operation_outcomes",
            "redeemed_coupons",
            "redeemed_once",
            "redemption_entries",
            "coupon_versions",
            "coupon_states",
            "frozen_coupons",
            "frozen_orders",
            "freezes",
            "collected_orders",
            "cases",
            "pickup_codes",
            "feeds",
            "batches",
            "batches_given",
            "claims",
            "holdings",
            "grants",
            "jobs",
            "code_counters",
            "templates",
            "references",
            "order_freezes",
            "coupon_days",
            "messages",
        ];
        // Those of younger capabilities stand between them wherever they like.
        let names: Vec<&str> = names.filter(|name| stood.contains(name)).collect();
        assert_eq!(names, stood);
    }

    #[test]
    fn every_route_says_who_may_call_it() {
        let Routes { router: routes, roles } = routes(None);
        let all = paths(&routes);
        assert!(
            all.len() > 50 && all.contains("/healthz") && all.contains("/v1/freezes/{id}"),
            "{all:?}"
        );
        let silent: Vec<_> = all.iter().filter(|path| !roles.knows(path)).collect();
        assert!(
            silent.is_empty(),
            "nobody may call {silent:?}: their descriptions have no `security`"
        );
        // Those that are for anybody are few, and each is meant to be.
        let open = |method, path| roles.get(&method, path) == Some(&Allowed::Anybody);
        let open: Vec<_> = all
            .iter()
            .filter(|path| open(Method::GET, path) || open(Method::POST, path))
            .collect();
        let meant = [
            "/docs",
            "/healthz",
            "/metrics",
            "/openapi.json",
            "/readyz",
            "/v1/callbacks/kuaidi100/{tenant}",
            ENROL,
            "/v1/member/sessions",
        ];
        assert_eq!(open, meant.map(String::from).iter().collect::<Vec<_>>());
        // A route that is added without a word is seen.
        let forgotten = routes.route("/v1/forgotten", get(async || ()));
        assert!(paths(&forgotten).iter().any(|path| !roles.knows(path)));
    }
}
