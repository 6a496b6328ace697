//! Pickup orders over HTTP: the shop's own site places them, operators look at them and say how codes are made.

mod orders;
mod policies;
mod shown;

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(orders::find, orders::place))
        .routes(routes!(orders::show))
        .routes(routes!(shown::qr))
        .routes(routes!(shown::mine))
        .routes(routes!(shown::my_qr))
        .routes(routes!(policies::list, policies::publish))
        .routes(routes!(policies::shards))
}
