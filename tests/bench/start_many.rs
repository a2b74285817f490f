//! The start of a gateway to its first answer with fifty components in the cache, beside the same start
//! with one.

use std::fmt::Write as _;
use std::path::Path;

use symbolon_tests::harness::component::{built, versioned, write};
use symbolon_tests::harness::{Gateway, Issuer, Setup};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::load;
use crate::report::{Report, Row, Unit, median, millis};

const MANY: usize = 50;
const ROUNDS: usize = 7;
const AIM: f64 = 0.5;

/// A directory in which a gateway has been, and its issuer: what the next start finds.
struct House {
    components: usize,
    left: Option<(TempDir, Issuer)>,
}

pub(crate) fn run(report: &mut Report) {
    let runtime = Runtime::new().expect("a runtime");
    let mut houses = [House::with(MANY), House::with(1)];
    let mut times = [Vec::new(), Vec::new()];
    // The first round compiles.
    for round in 0..=ROUNDS {
        for (house, times) in houses.iter_mut().zip(&mut times) {
            let took = runtime.block_on(Box::pin(house.start()));
            if round > 0 {
                times.push(took);
            }
        }
    }
    let [value, floor] = times.map(median);
    report.add(&Row {
        bench: "start-50",
        case: format!("start to first answer, {MANY} cached components; floor: one"),
        unit: Unit::Millis,
        value,
        floor,
        aim: Some(AIM),
    });
}

impl House {
    fn with(components: usize) -> Self {
        Self { components, left: None }
    }

    /// Starts, asks the last backend, stops; how long it took to the answer, in milliseconds.
    async fn start(&mut self) -> f64 {
        let left = self.left.take();
        let (directory, issuer) = left.unwrap_or_else(|| self.furnished());
        let setup = self.setup(directory.path());
        let (clock, last) = (load::clock(), self.components - 1);
        let begun = clock.elapsed();
        let gateway = Gateway::start_in(directory, issuer, setup).await;
        let path = format!("/v1/secrets/b{last}/app/db/password");
        let answer = gateway.get(&path, &gateway.token("alice")).await;
        let took = clock.elapsed().saturating_sub(begun);
        assert_eq!(answer.status, 200, "{:?}", answer.json);
        self.left = Some(gateway.stop().await);
        millis(took)
    }

    fn furnished(&self) -> (TempDir, Issuer) {
        let directory = load::directory();
        let plugins = directory.path().join("plugins");
        std::fs::create_dir(&plugins).expect("a directory");
        for number in 0..self.components {
            let component = versioned(built("static"), &version(number));
            write(&plugins, &format!("static-{number}.wasm"), &component);
        }
        (directory, Issuer::new("https://idp.example.test"))
    }

    fn setup(&self, directory: &Path) -> Setup {
        let mut blocks = String::new();
        for number in 0..self.components {
            let version = version(number);
            let block = write!(
                blocks,
                "[backends.b{number}]\nplugin = \"static\"\nversion = \"{version}\"\n\
                 [backends.b{number}.config.secrets]\n\"app/db/password\" = \"a password\"\n"
            );
            block.expect("text");
        }
        Setup {
            blocks,
            plugins: Some(directory.join("plugins")),
            trust: Some("unsigned = [\"static\"]\ncache = \"code\"".to_owned()),
            ..Setup::default()
        }
    }
}

/// As many characters as the version that is built.
fn version(number: usize) -> String {
    format!("0.{}.{}", number / 10 + 1, number % 10)
}
