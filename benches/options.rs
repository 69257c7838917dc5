//! The command line.

use std::time::Duration;

use crate::Result;

/// What to measure, and how.
#[derive(Debug)]
pub struct Options {
    filters: Vec<String>,
    /// Small sizes, which show that it works and nothing else.
    pub quick: bool,
    /// Whether to fail where a ratio is above its limit.
    pub check: bool,
    /// How often each way is measured, where that is said; the first time does not count.
    rounds: Option<usize>,
}

impl Options {
    /// Reads the arguments of the program.
    pub fn parse(arguments: Vec<String>) -> Result<Self> {
        let mut options = Self {
            filters: Vec::new(),
            quick: false,
            check: false,
            rounds: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo's own, to every benchmark.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--check" => options.check = true,
                "--rounds" => {
                    let rounds = arguments.next().ok_or("--rounds wants a number")?;
                    options.rounds = Some(rounds.parse()?);
                }
                dashed if dashed.starts_with('-') => {
                    return Err(
                        format!("unknown argument {dashed}; benches/main.rs has all").into(),
                    );
                }
                filter => options.filters.push(filter.to_lowercase()),
            }
        }
        if options.rounds.is_some_and(|rounds| rounds < 2) {
            return Err("at least two rounds: the first does not count".into());
        }
        Ok(options)
    }

    /// Whether so many rounds are enough: as many as were asked for, or seven, and where they are short
    /// more of them for half a minute, since a machine is seldom quiet.
    pub fn suffice(&self, rounds: usize, taken: Duration) -> bool {
        match self.rounds {
            Some(wanted) => rounds >= wanted,
            None => rounds >= 61 || rounds >= 7 && (self.quick || taken.as_secs() >= 30),
        }
    }

    /// Whether all filters are found in a name.
    pub fn wants(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.filters.iter().all(|filter| name.contains(filter))
    }
}
