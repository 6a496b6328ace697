//! Routes of points and stored value.

mod adjustments;
mod liability;
mod openings;
mod posting;
mod rules;
mod shown;

pub(crate) use posting::refused;
pub(crate) use shown::to_counter as statement_to_counter;

use std::sync::Arc;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(rules::list, rules::publish))
        .routes(routes!(shown::account))
        .routes(routes!(shown::statement))
        .routes(routes!(shown::my_account))
        .routes(routes!(shown::my_statement))
        .routes(routes!(posting::earn))
        .routes(routes!(posting::take_back))
        .routes(routes!(posting::top_up))
        .routes(routes!(adjustments::list, adjustments::ask))
        .routes(routes!(adjustments::approve))
        .routes(routes!(adjustments::refuse))
        .routes(routes!(openings::open))
        .routes(routes!(liability::liability))
}
