//! Head office: the centre that issues coupons and pickup orders and to which every shop delivers its operations.
//!
//! `counterfoil-hq serve` runs it as a server; the desktop app's single-shop mode runs it inside its own process.

pub mod admin;
pub mod app;
pub mod audit;
pub mod batches;
pub mod broker;
pub mod capabilities;
pub mod capability;
pub mod carriers;
pub mod claims;
pub mod cli;
pub mod clock;
pub mod coupons;
pub mod db;
pub mod deed;
pub mod engine;
pub mod exceptions;
pub mod feed;
pub mod fulfilment;
pub mod gifts;
pub mod grants;
pub mod http;
pub mod jobs;
pub mod members;
pub mod merging;
pub mod messages;
pub mod online;
pub mod operators;
pub mod outbox;
pub mod outside;
pub mod pickups;
pub mod points;
pub mod processes;
pub mod products;
pub mod questions;
pub mod retry;
pub mod sales;
pub mod seed;
pub mod site;
pub mod stock;
pub mod stores;
pub mod sync;
pub mod tenants;
#[cfg(feature = "testing")]
pub mod testing;
pub mod turns;
pub mod verify;
pub mod wallet;

use std::sync::Arc;

pub use app::App;
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use crate::http::connections::{self, Limits};

/// Answers requests on `listener` until `app.stopping` is cancelled; requests under way are finished.
pub async fn serve(app: Arc<App>, listener: TcpListener, metrics: Option<PrometheusHandle>) {
    let router = capabilities::router(Arc::clone(&app), metrics);
    serve_within(app, listener, router, Limits::default()).await;
}

/// The same, with these routes and other limits on connections than the usual ones.
pub async fn serve_within(app: Arc<App>, listener: TcpListener, router: Router, limits: Limits) {
    let watcher = tokio::spawn(sync::http::watch_other_processes(Arc::clone(&app)));
    connections::serve(listener, router, limits, app.stopping.clone()).await;
    watcher.abort();
    app.tasks.close();
    app.tasks.wait().await;
    app.db.close().await;
}

#[cfg(test)]
mod words_tests;
