//! What questions bring along.

use axum::{
    http::Method,
    routing::{delete, post},
};
use counterfoil_protocol::paths;

use super::{http, rules, table};
use crate::{
    capability::Capability,
    http::{Allowed, Aside},
};

/// A frozen or revoked device asks nothing.
const ASKS: Allowed = Allowed::Devices { active: true };

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |_| vec![Box::new(table::Freezes)],
    counters: &[
        Aside {
            method: Method::POST,
            path: paths::FREEZES,
            allowed: ASKS,
            answer: || post(http::freeze),
        },
        Aside {
            method: Method::DELETE,
            path: "/v1/freezes/{id}",
            allowed: ASKS,
            answer: || delete(http::cancel),
        },
        Aside {
            method: Method::POST,
            path: paths::LOOKUPS,
            allowed: ASKS,
            answer: || post(http::look_up),
        },
    ],
    rules: rules::RULES,
    ..Capability::NONE
};
