//! What the library warned of.

use std::{
    fmt::{self, Write},
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    instrument::WithSubscriber,
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt},
};

/// Runs a future and returns its result and the warnings (and errors) that the library emitted in
/// it, each as `message key=value …`.
///
/// Only events of this very future are seen, on whichever thread it runs, so tests in parallel do
/// not see each other's. What it spawns is seen when spawned `.with_current_subscriber()`.
pub async fn captured_warnings<F: Future>(future: F) -> (F::Output, Vec<String>) {
    let warnings = Warnings::default();
    let subscriber = Registry::default().with(warnings.clone());
    let output = future.with_subscriber(subscriber).await;
    let lines = warnings.lines.lock().unwrap().clone();
    (output, lines)
}

#[derive(Clone, Default)]
struct Warnings {
    lines: Arc<Mutex<Vec<String>>>,
}

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let of_the_library = event.metadata().target().starts_with("sea_orm_record");
        if of_the_library && *event.metadata().level() <= Level::WARN {
            let mut line = Line::default();
            event.record(&mut line);
            self.lines.lock().unwrap().push(line.message + &line.fields);
        }
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            write!(self.fields, " {}={value:?}", field.name()).unwrap();
        }
    }
}
