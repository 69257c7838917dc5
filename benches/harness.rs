//! Turns and medians.

use std::time::{Duration, Instant};

use sea_orm::DatabaseConnection;

use crate::Result;
use crate::database::{Database, Engine};
use crate::options::Options;
use crate::report::{Measured, Report};

/// One case on one database.
pub struct Bench<'b> {
    pub case: &'static str,
    pub engine: Engine,
    /// A pool of one connection, the same for all ways.
    pub db: DatabaseConnection,
    pub url: String,
    options: &'b Options,
    report: &'b mut Report,
}

impl<'b> Bench<'b> {
    pub async fn new(
        case: &'static str,
        database: &Database,
        options: &'b Options,
        report: &'b mut Report,
    ) -> Result<Self> {
        Ok(Self {
            case,
            engine: database.engine,
            db: database.connect().await?,
            url: database.url.clone(),
            options,
            report,
        })
    }

    /// A size, or a small one where it should be quick.
    pub fn size(&self, size: usize, quick: usize) -> usize {
        if self.options.quick { quick } else { size }
    }

    /// Lets each way run in turn and answers with their medians. Every other round goes backwards, so
    /// that none always comes after one that leaves the caches cold, or warm.
    ///
    /// `run` brings the database to the same state each time and answers how long the work itself
    /// took. The first round warms up and does not count.
    pub async fn alternate<W: Copy, const N: usize>(
        &self,
        ways: [(&'static str, W); N],
        mut run: impl AsyncFnMut(W) -> Result<Duration>,
    ) -> Result<[Measured; N]> {
        let mut times: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
        let began = Instant::now();
        let mut round = 0;
        while !self.options.suffice(round, began.elapsed()) {
            eprint!("  round {round}:");
            for place in 0..N {
                let way = if round % 2 == 0 { place } else { N - 1 - place };
                let (name, how) = ways[way];
                let millis = run(how).await?.as_secs_f64() * 1_000.0;
                eprint!(" {name} {millis:.2} ms;");
                if round > 0 {
                    times[way].push(millis);
                }
            }
            eprintln!();
            round += 1;
        }
        let rounds = ways.iter().zip(times);
        let measured: Vec<_> = rounds
            .map(|((name, _), rounds)| Measured::in_turns(name, rounds))
            .collect();
        Ok(measured.try_into().expect("one for each way"))
    }

    /// Reports what is promised to be at most `limit` times its baseline.
    pub fn promise(&mut self, measured: &Measured, baseline: &Measured, limit: f64) {
        let place = (self.case, self.engine);
        self.report
            .add(place, measured.clone(), baseline.clone(), Some(limit));
    }

    /// Reports what nothing is promised of.
    pub fn compare(&mut self, measured: &Measured, baseline: &Measured) {
        let place = (self.case, self.engine);
        self.report
            .add(place, measured.clone(), baseline.clone(), None);
    }

    /// Gives the connection back.
    pub async fn close(self) -> Result<()> {
        Ok(self.db.close().await?)
    }
}

/// How long some work takes, and what comes of it.
pub async fn timed<T>(work: impl Future<Output = Result<T>>) -> Result<(Duration, T)> {
    let began = Instant::now();
    let output = work.await?;
    Ok((began.elapsed(), output))
}

/// The middle of some numbers.
pub fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    match times.len() % 2 {
        0 => (times[middle - 1] + times[middle]) / 2.0,
        _ => times[middle],
    }
}
