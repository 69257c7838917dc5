//! The command line.

use crate::Result;

/// What to measure, and how.
#[derive(Debug)]
pub struct Options {
    filters: Vec<String>,
    /// Small sizes, which show that it works and nothing else.
    pub quick: bool,
    /// How often each way is measured; the first time does not count.
    pub rounds: usize,
}

impl Options {
    /// Reads the arguments of the program.
    pub fn parse(arguments: Vec<String>) -> Result<Self> {
        let mut options = Self {
            filters: Vec::new(),
            quick: false,
            rounds: 7,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // Cargo's own, to every benchmark.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--rounds" => {
                    let rounds = arguments.next().ok_or("--rounds wants a number")?;
                    options.rounds = rounds.parse()?;
                }
                dashed if dashed.starts_with('-') => {
                    return Err(
                        format!("unknown argument {dashed}; benches/main.rs has all").into(),
                    );
                }
                filter => options.filters.push(filter.to_lowercase()),
            }
        }
        if options.rounds < 2 {
            return Err("at least two rounds: the first does not count".into());
        }
        Ok(options)
    }

    /// Whether all filters are found in a name.
    pub fn wants(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.filters.iter().all(|filter| name.contains(filter))
    }
}
