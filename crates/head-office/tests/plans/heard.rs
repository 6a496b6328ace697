//! Every statement that is run, as the driver says it.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    sync::{Mutex, Once},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _, util::SubscriberInitExt as _};

static HEARD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Begins to listen.
pub fn listen() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| tracing_subscriber::registry().with(Ears).init());
}

/// What was heard so far does not count.
pub fn forget() {
    HEARD.lock().unwrap().clear();
}

/// What was heard since.
pub fn since() -> BTreeSet<String> {
    HEARD.lock().unwrap().clone()
}

struct Ears;

#[derive(Default)]
struct Words {
    summary: String,
    statement: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            // Empty where the summary says all of it.
            "db.statement" => value.trim().clone_into(&mut self.statement),
            _ => {}
        }
    }
    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

impl<S: Subscriber> Layer<S> for Ears {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "sqlx::query" {
            return;
        }
        let mut words = Words::default();
        event.record(&mut words);
        let sql = if words.statement.is_empty() {
            words.summary
        } else {
            words.statement
        };
        if ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"]
            .iter()
            .any(|verb| sql.starts_with(verb))
        {
            HEARD.lock().unwrap().insert(sql);
        }
    }
}
