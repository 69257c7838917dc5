//! The table of what was measured.

use std::fmt;

use crate::database::Engine;
use crate::harness::median;

/// Time, memory, or the size of one record.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    Millis(f64),
    Mebibytes(f64),
    Bytes(f64),
}

impl Amount {
    /// In its unit, to compare by.
    pub fn number(self) -> f64 {
        match self {
            Self::Millis(number) | Self::Mebibytes(number) | Self::Bytes(number) => number,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millis(ms) if *ms < 100.0 => write!(f, "{ms:.2} ms"),
            Self::Millis(ms) => write!(f, "{ms:.0} ms"),
            Self::Mebibytes(mib) => write!(f, "{mib:.1} MiB"),
            Self::Bytes(bytes) => write!(f, "{bytes:.0} B"),
        }
    }
}

/// One way of doing some work, measured.
#[derive(Clone, Debug)]
pub struct Measured {
    pub way: &'static str,
    pub amount: Amount,
    /// What it took each time, where ways took turns.
    rounds: Vec<f64>,
}

impl Measured {
    pub fn once(way: &'static str, amount: Amount) -> Self {
        let rounds = Vec::new();
        Self {
            way,
            amount,
            rounds,
        }
    }

    /// The median of the rounds, in milliseconds.
    pub fn in_turns(way: &'static str, rounds: Vec<f64>) -> Self {
        let amount = Amount::Millis(median(&rounds));
        Self {
            way,
            amount,
            rounds,
        }
    }

    /// Of ways that took turns the median of the ratios of each round: a machine that is faster for a
    /// while is so for both.
    fn over(&self, baseline: &Self) -> f64 {
        if self.rounds.is_empty() || self.rounds.len() != baseline.rounds.len() {
            return self.amount.number() / baseline.amount.number();
        }
        let rounds = self.rounds.iter().zip(&baseline.rounds);
        median(&rounds.map(|(it, other)| it / other).collect::<Vec<_>>())
    }
}

/// What was measured so far.
#[derive(Debug, Default)]
pub struct Report {
    pub versions: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    case: &'static str,
    engine: Engine,
    measured: Measured,
    baseline: Measured,
    limit: Option<f64>,
}

impl Report {
    /// Adds a line; `limit` is the ratio that is promised.
    pub fn add(
        &mut self,
        (case, engine): (&'static str, Engine),
        measured: Measured,
        baseline: Measured,
        limit: Option<f64>,
    ) {
        let row = Row {
            case,
            engine,
            measured,
            baseline,
            limit,
        };
        eprintln!("  {row}");
        self.rows.push(row);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for version in &self.versions {
            writeln!(f, "- {version}")?;
        }
        writeln!(
            f,
            "\n| case | database | measured | | beside | | ratio | limit |"
        )?;
        writeln!(f, "| --- | --- | --- | --: | --- | --: | --: | --: |")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl Report {
    /// How many ratios are above what is promised.
    pub fn above_limits(&self) -> usize {
        self.rows.iter().filter(|row| row.is_above_limit()).count()
    }
}

impl Row {
    fn ratio(&self) -> f64 {
        self.measured.over(&self.baseline)
    }

    fn is_above_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.ratio() > limit)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            case,
            engine,
            measured,
            baseline,
            limit,
        } = self;
        let ratio = self.ratio();
        write!(f, "| {case} | {engine} ")?;
        for Measured { way, amount, .. } in [measured, baseline] {
            write!(f, "| {way} | {amount} ")?;
        }
        match limit {
            Some(limit) if self.is_above_limit() => write!(f, "| **{ratio:.2}** | {limit} |"),
            Some(limit) => write!(f, "| {ratio:.2} | {limit} |"),
            None => write!(f, "| {ratio:.2} | |"),
        }
    }
}
