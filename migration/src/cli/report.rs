//! What the program prints.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Columns of text, under headings.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |at: usize| {
        let cells = rows.iter().map(|row| row[at].chars().count());
        cells.chain([headings[at].len()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..headings.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.into_iter().zip(&widths);
        let text: String = padded
            .map(|(cell, width)| format!("{cell:<width$}  "))
            .collect();
        format!("{}\n", text.trim_end())
    };
    let mut text = line(headings.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// How far a run has come.
pub(super) struct Step {
    /// How many rows, or records, have been looked at.
    pub(super) done: u64,
    /// The last key, as `--after` takes it.
    pub(super) key: Option<String>,
    /// What was found since the step before.
    pub(super) findings: Vec<String>,
}

pub(super) type Report = Box<dyn FnMut(Step) + Send>;

/// The most findings that are printed one by one.
const SHOWN: usize = 100;

/// A run of one entity, with a progress bar, which is drawn on a terminal alone.
pub(super) struct Running {
    name: String,
    bar: ProgressBar,
    key: Arc<Mutex<Option<String>>>,
}

impl Running {
    /// It, and what moves it. Findings go to standard error, whose last line is the bar.
    pub(super) fn new(name: &str, what: &str, total: u64) -> (Self, Report) {
        let running = Self {
            name: name.to_owned(),
            bar: bar(name, what, total),
            key: Arc::default(),
        };
        let (bar, last, name) = (
            running.bar.clone(),
            Arc::clone(&running.key),
            name.to_owned(),
        );
        let mut found = 0;
        let report = Box::new(move |step: Step| {
            // Rows may come while it runs.
            if bar.length().is_some_and(|length| step.done > length) {
                bar.set_length(step.done);
            }
            bar.set_position(step.done);
            let shown = step.findings.iter().take(SHOWN.saturating_sub(found));
            for finding in shown {
                bar.suspend(|| eprintln!("{name} {finding}"));
            }
            let before = found;
            found += step.findings.len();
            if before <= SHOWN && found > SHOWN {
                bar.suspend(|| eprintln!("{name}: more are counted, and not shown"));
            }
            if step.key.is_some() {
                *last.lock().unwrap_or_else(PoisonError::into_inner) = step.key;
            }
        });
        (running, report)
    }

    /// Takes the bar away; of a run that failed it says where to go on.
    pub(super) fn ended<T, E>(self, done: Result<T, E>) -> Result<T, E> {
        self.bar.finish_and_clear();
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Err(_), Some(key)) = (&done, &*key) {
            eprintln!(
                "{} was done up to {key}; from there it goes on by `--after {key}`",
                self.name
            );
        }
        done
    }
}

fn bar(name: &str, what: &str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total).with_prefix(name.to_owned());
    let template = format!(
        "{{prefix}} {{wide_bar}} {{human_pos}}/{{human_len}} {what}, {{rate}}, {{eta}} left"
    );
    if let Ok(style) = ProgressStyle::with_template(&template) {
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
