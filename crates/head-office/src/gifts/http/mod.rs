//! Routes of gifts and exchanges.

mod catalogue;
mod exchanges;
mod members;
mod shown;

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(catalogue::list, catalogue::create))
        .routes(routes!(catalogue::show, catalogue::edit))
        .routes(routes!(catalogue::publish))
        .routes(routes!(catalogue::end))
        .routes(routes!(exchanges::list))
        .routes(routes!(exchanges::show))
        .routes(routes!(exchanges::paid))
        .routes(routes!(exchanges::cancel))
        .routes(routes!(members::gifts))
        .routes(routes!(members::stores))
        .routes(routes!(members::list, members::exchange))
        .routes(routes!(members::show))
}
