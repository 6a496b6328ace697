//! What sync brings along.

use axum::{http::Method, routing::post};
use counterfoil_protocol::paths;

use super::{http, rules, table};
use crate::{
    capability::Capability,
    http::{Allowed, Aside},
};

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::new(table::Operations)],
    counters: &[Aside {
        method: Method::POST,
        path: paths::SYNC,
        // A frozen or revoked device asks nothing, but it delivers, and hears how it stands.
        allowed: Allowed::Devices { active: false },
        answer: || post(http::sync),
    }],
    rules: rules::RULES,
    ..Capability::NONE
};
