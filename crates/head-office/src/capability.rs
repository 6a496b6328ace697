//! What a capability brings along.

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;

use crate::{
    app::App,
    db::rule::Rule,
    engine::{Settled, tables::Table},
    feed::images::Images,
    http::Aside,
    jobs::{Due, Forget, Works},
    outbox::Consumer,
    processes::Role,
};

/// What a process with this role does all the time, and what begins it.
pub type Loop = (Role, fn(&Arc<App>));

/// What a capability brings along: what it does not name it has not.
#[derive(Debug, Clone, Copy)]
pub struct Capability {
    /// The tables that commands read and change. Their order is their own, see [`Place`](crate::engine::tables::Place).
    pub tables: fn(&Settled) -> Vec<Box<dyn Table>>,
    /// What operators, members and the shop's own site may call.
    pub people: fn() -> OpenApiRouter<Arc<App>>,
    /// What counters call.
    pub counters: &'static [Aside],
    /// Kinds of work in the background.
    pub works: &'static [&'static dyn Works],
    /// Who consumes messages.
    pub consumers: &'static [&'static dyn Consumer],
    /// What a process with such a role does all the time, begun once and done until `app.stopping` is cancelled.
    pub loops: &'static [Loop],
    /// What is done by itself at its time.
    pub due: &'static [Due],
    /// What is forgotten after a while.
    pub forgets: &'static [Forget],
    /// Rows that counters are told of.
    pub images: &'static [&'static dyn Images],
    /// What `verify` holds its rows against.
    pub rules: &'static [Rule],
}

impl Capability {
    /// Nothing.
    pub const NONE: Self = Self {
        tables: |_| Vec::new(),
        people: OpenApiRouter::new,
        counters: &[],
        works: &[],
        consumers: &[],
        loops: &[],
        due: &[],
        forgets: &[],
        images: &[],
        rules: &[],
    };
}
