//! Routes of orders placed online. Each step is one effect of the engine, whatever is repeated, and its answer commits
//! with it: who asks again is told what was answered first, whatever has become of the order since.

mod shown;
mod steps;

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(steps::freeze, shown::list))
        .routes(routes!(shown::show))
        .routes(routes!(steps::confirm))
        .routes(routes!(steps::cancel))
        .routes(routes!(steps::void))
}
