//! The engine: how components are compiled, where their memories live, and who interrupts them.
//!
//! A fresh instance per call is affordable because memories, tables and stacks come out of a pool
//! that is reserved at start and reset by copy-on-write between calls. The reservation is address
//! space, not memory, but small machines limit that too: [`Runtime::start`] tries the fastest shape
//! first and falls back to smaller ones, and says in the log which it got.
//!
//! CPU time is bounded by epochs: one thread of the operating system ticks, and guest code looks at
//! the tick at every loop head and function entry. Fuel would be exact and costs two to three times
//! as much. Epochs do not interrupt host calls; those have time limits of their own.
//!
//! INVARIANT: the ticker lives as long as anything that may run guest code, since every generation
//! holds the [`Runtime`]; it stops and is joined when the last of them goes.
//!
//! One runtime is one trust domain: a defect in the pool could show one guest the memory of
//! another, so operators who must keep plugins of different vendors apart start several.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How the engine is shaped. The defaults suit a gateway with a few dozen backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// Most component instances at once, over all backends.
    pub instances: u32,
    /// Largest linear memory any plugin may have. Backends may set less.
    pub memory_bytes: usize,
    /// Stack of guest code; recursion beyond it traps.
    pub stack_bytes: usize,
    /// Length of one epoch: the grain of CPU budgets and of fairness between calls.
    pub tick: Duration,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            instances: 256,
            memory_bytes: 64 * MIB,
            stack_bytes: 512 * KIB,
            tick: Duration::from_millis(1),
        }
    }
}

/// How much address space was to be had, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A pool in which every memory has 4 GiB of address space, so that bounds checks are free.
    WideReservation,
    /// A pool in which every memory has its maximum size only; bounds are checked in code.
    NarrowReservation,
    /// As before, with an eighth of the instances asked for.
    SmallPool,
    /// No pool: each instance maps its memory when it starts, which takes several times as long.
    OnDemand,
}

impl Shape {
    /// Its name, on the command line of a compiling child.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::WideReservation => "wide-reservation",
            Self::NarrowReservation => "narrow-reservation",
            Self::SmallPool => "small-pool",
            Self::OnDemand => "on-demand",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::BEST_FIRST.into_iter().find(|shape| shape.as_str() == text)
    }

    const BEST_FIRST: [Self; 4] =
        [Self::WideReservation, Self::NarrowReservation, Self::SmallPool, Self::OnDemand];
}

/// Slots of the pool that were used before and are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedSlots {
    /// Linear memories.
    pub memories: u32,
    /// Tables.
    pub tables: u32,
}

/// The engine could not be made in any shape.
#[derive(Debug, thiserror::Error)]
#[error("no WebAssembly engine could be made: {reason}")]
pub struct EngineError {
    reason: String,
}

/// A running engine and its ticker.
#[derive(Debug)]
pub struct Runtime {
    engine: EngineHandle,
    ticker: Ticker,
    shape: Shape,
    settings: EngineSettings,
}

struct EngineHandle(Engine);

impl std::fmt::Debug for EngineHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Runtime {
    /// Makes an engine in the best shape that this machine allows, and starts its ticker.
    ///
    /// # Errors
    /// [`EngineError`] if even an engine without a pool is refused.
    pub fn start(settings: &EngineSettings) -> Result<Arc<Self>, EngineError> {
        let mut reason = String::new();
        for shape in Shape::BEST_FIRST {
            match Self::start_as(shape, settings) {
                Ok(runtime) => return Ok(Arc::new(runtime)),
                Err(error) => {
                    tracing::warn!(?shape, %error, "no engine of this shape, trying a smaller one");
                    reason = error;
                }
            }
        }
        Err(EngineError { reason })
    }

    fn start_as(shape: Shape, settings: &EngineSettings) -> Result<Self, String> {
        let engine =
            Engine::new(&configure(shape, settings)).map_err(|error| format!("{error:#}"))?;
        let ticker = Ticker::start(engine.clone(), settings.tick).map_err(|e| e.to_string())?;
        tracing::debug!(?shape, "engine started");
        Ok(Self { engine: EngineHandle(engine), ticker, shape, settings: settings.clone() })
    }

    /// The shape that was to be had.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The settings that it was started with.
    #[must_use]
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// Whether the ticker is alive. Without it nothing interrupts a guest that spins.
    #[must_use]
    pub fn is_ticking(&self) -> bool {
        self.ticker.is_alive()
    }

    /// How many slots of the pool earlier instances have used and nobody uses now: those that the next
    /// instances get. None without a pool.
    #[must_use]
    pub fn used_slots(&self) -> Option<UsedSlots> {
        let metrics = self.engine().pooling_allocator_metrics()?;
        let (memories, tables) = (metrics.unused_warm_memories(), metrics.unused_warm_tables());
        Some(UsedSlots { memories, tables })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine.0
    }

    /// How many epochs `time` lasts, at least one.
    pub(crate) fn ticks(&self, time: Duration) -> u64 {
        let tick = self.settings.tick.as_micros().max(1);
        u64::try_from(time.as_micros().div_ceil(tick)).unwrap_or(u64::MAX).max(1)
    }
}

/// An engine whose code fits a [`Runtime`] of that shape and these settings, and which reserves no
/// address space: it runs nothing.
pub(crate) fn for_compiling(shape: Shape, settings: &EngineSettings) -> Result<Engine, String> {
    let mut config = tuned(shape, settings);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config).map_err(|error| format!("{error:#}"))
}

/// Everything that compiled code depends on.
fn tuned(shape: Shape, settings: &EngineSettings) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(false)
        .concurrency_support(false)
        .memory_init_cow(true)
        .async_stack_zeroing(true)
        .max_wasm_stack(settings.stack_bytes)
        .async_stack_size(settings.stack_bytes.saturating_add(1536 * KIB))
        .guard_before_linear_memory(true)
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        .wasm_memory64(false);
    if shape != Shape::WideReservation {
        config.memory_reservation(u64::try_from(settings.memory_bytes).unwrap_or(u64::MAX));
        config.memory_guard_size(64 * 1024);
        config.memory_reservation_for_growth(0);
    }
    config
}

fn configure(shape: Shape, settings: &EngineSettings) -> Config {
    let mut config = tuned(shape, settings);
    config.allocation_strategy(match shape {
        Shape::WideReservation | Shape::NarrowReservation => pool(settings.instances, settings),
        Shape::SmallPool => pool(settings.instances.div_ceil(8), settings),
        Shape::OnDemand => InstanceAllocationStrategy::OnDemand,
    });
    config
}

/// A component has one memory, or two with an adapter; the core instances and tables around them
/// are shims of the component encoder (about four for Rust and JavaScript, dozens for Python).
fn pool(instances: u32, settings: &EngineSettings) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(8))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(8))
        .total_stacks(instances)
        .max_core_instances_per_component(128)
        .max_memories_per_component(8)
        .max_tables_per_component(128)
        .max_memory_size(settings.memory_bytes)
        .table_elements(20_000)
        .linear_memory_keep_resident(64 * KIB)
        .table_keep_resident(64 * KIB)
        .async_stack_keep_resident(32 * KIB)
        .max_unused_warm_slots(instances)
        .decommit_batch_size(1)
        .pagemap_scan(if swap_is_off() { Enabled::Auto } else { Enabled::No });
    InstanceAllocationStrategy::Pooling(pool)
}

/// Resetting a memory by scanning the page map misses pages that were swapped out (fixed in
/// wasmtime 50), and what is missed would be there for the next caller: so never with swap.
fn swap_is_off() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|table| table.lines().count() <= 1)
}

/// The thread that makes epochs pass.
#[derive(Debug)]
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: Engine, tick: Duration) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("epoch".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                std::thread::park_timeout(tick);
                engine.increment_epoch();
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread runs no code that could panic; if it did, there is nothing left to stop.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_makes_an_engine() {
        let settings = EngineSettings { instances: 16, ..EngineSettings::default() };
        for shape in Shape::BEST_FIRST {
            let runtime = Runtime::start_as(shape, &settings);
            assert!(runtime.is_ok_and(|r| r.is_ticking()), "{shape:?}");
        }
    }

    #[test]
    fn code_is_compiled_for_the_engine_that_runs_it() {
        use crate::compiled::EngineHash;
        let settings = EngineSettings { instances: 16, ..EngineSettings::default() };
        let other = EngineSettings { memory_bytes: 32 * MIB, ..settings.clone() };
        for shape in Shape::BEST_FIRST {
            let runs = Runtime::start_as(shape, &settings).unwrap();
            let compiles = for_compiling(shape, &settings).unwrap();
            assert_eq!(EngineHash::of(runs.engine()), EngineHash::of(&compiles), "{shape:?}");
            assert_eq!(Shape::parse(shape.as_str()), Some(shape));
        }
        let narrow =
            |settings| EngineHash::of(&for_compiling(Shape::NarrowReservation, settings).unwrap());
        assert_ne!(narrow(&settings), narrow(&other), "settings are part of it");
    }

    #[test]
    fn an_impossible_pool_falls_back_to_one_that_fits() {
        // 2 * 30,000 memories of 4 GiB are 234 TiB, more than the 128 TiB that a process has.
        let settings = EngineSettings { instances: 30_000, ..EngineSettings::default() };
        let runtime = Runtime::start(&settings).unwrap();
        assert_ne!(runtime.shape(), Shape::WideReservation);
    }

    #[test]
    fn a_budget_is_counted_in_ticks_and_never_zero() {
        let settings = EngineSettings { instances: 1, ..EngineSettings::default() };
        let runtime = Runtime::start(&settings).unwrap();
        assert_eq!(runtime.ticks(Duration::ZERO), 1);
        assert_eq!(runtime.ticks(Duration::from_micros(1500)), 2);
        assert_eq!(runtime.ticks(Duration::from_millis(50)), 50);
    }
}
