//! What stores bring along.

use axum::{http::Method, routing::post};
use counterfoil_protocol::paths;

use super::{http, image, listed, table};
use crate::{
    capability::Capability,
    http::{Allowed, Aside},
};

/// The line in the list of capabilities.
pub const CAPABILITY: Capability = Capability {
    tables: |settled| vec![Box::new(table::Devices::new(settled.clone()))],
    people: listed::routes,
    counters: &[Aside {
        method: Method::POST,
        path: paths::ENROL,
        allowed: Allowed::Anybody,
        answer: || post(http::enrol),
    }],
    images: &[&image::Stores],
    ..Capability::NONE
};
