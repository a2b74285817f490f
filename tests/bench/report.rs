//! What a bench says: a line of JSON, or a row for eyes.

use std::time::Duration;

/// Whether more is better, or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Microseconds.
    Micros,
    /// Milliseconds.
    Millis,
    /// So many bytes, kibibytes or mebibytes: what is taken up, so that less is better.
    Size(&'static str),
    /// How many a second.
    PerSecond(&'static str),
}

/// One measurement beside its floor.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) bench: &'static str,
    pub(crate) case: String,
    pub(crate) unit: Unit,
    pub(crate) value: f64,
    pub(crate) floor: f64,
    /// The least that the ratio should be, where there is an aim.
    pub(crate) aim: Option<f64>,
}

impl Row {
    /// More is better, and 1 is the floor itself.
    fn ratio(&self) -> f64 {
        match self.unit {
            Unit::Micros | Unit::Millis | Unit::Size(_) => self.floor / self.value,
            Unit::PerSecond(_) => self.value / self.floor,
        }
    }

    fn unit(&self) -> &'static str {
        match self.unit {
            Unit::Micros => "us",
            Unit::Millis => "ms",
            Unit::PerSecond(unit) | Unit::Size(unit) => unit,
        }
    }

    fn json(&self) -> String {
        let rounded = |number: f64| (number * 1000.0).round() / 1000.0;
        serde_json::json!({
            "bench": self.bench,
            "case": self.case,
            "value": rounded(self.value),
            "unit": self.unit(),
            "floor": rounded(self.floor),
            "ratio": rounded(self.ratio()),
            "aim": self.aim,
        })
        .to_string()
    }

    fn text(&self) -> String {
        let aim = match self.aim {
            None => "no aim".to_owned(),
            Some(aim) if self.ratio() >= aim => format!("aim {aim:.2}, met"),
            Some(aim) => format!("aim {aim:.2}, MISSED"),
        };
        format!(
            "{:<13} {:<52} {:>10.1} {:<10} floor {:>10.1}   ratio {:.2}   {aim}",
            self.bench,
            self.case,
            self.value,
            self.unit(),
            self.floor,
            self.ratio(),
        )
    }
}

/// Prints each row as soon as it is known.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn add(&mut self, row: &Row) {
        println!("{}", if self.json { row.json() } else { row.text() });
    }
}

/// The middle one.
pub(crate) fn median(mut all: Vec<f64>) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    all[all.len() / 2]
}

/// So many per cent of all are at most this.
pub(crate) fn percentile(mut all: Vec<f64>, percent: usize) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    all[(all.len() * percent / 100).min(all.len() - 1)]
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Times `ours` and `floor` by turns; the medians of a call of each, in microseconds.
pub(crate) fn by_turns(calls: u32, mut ours: impl FnMut(), mut floor: impl FnMut()) -> (f64, f64) {
    const ROUNDS: usize = 15;
    let mut times = (Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=ROUNDS {
        let pair = (time(calls, &mut ours), time(calls, &mut floor));
        if round > 0 {
            times.0.push(pair.0);
            times.1.push(pair.1);
        }
    }
    (median(times.0), median(times.1))
}

fn time(calls: u32, work: &mut impl FnMut()) -> f64 {
    let clock = crate::load::clock();
    let begun = clock.elapsed();
    for _ in 0..calls {
        work();
    }
    micros(clock.elapsed().saturating_sub(begun)) / f64::from(calls)
}
