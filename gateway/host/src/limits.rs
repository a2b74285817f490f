//! What one call may use, and what one backend may have running.
//!
//! Everything a guest can make the host spend has a number here. A limit that is reached ends the
//! call, not the gateway: growth beyond the memory budget traps instead of returning -1, since a
//! language runtime that sees -1 aborts with a message that says nothing.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// Limits of one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory of one call, over all its memories.
    pub memory_bytes: usize,
    /// CPU time of one call, in whole epochs: each epoch in which guest code was seen running
    /// counts as one, so a call that waits a hundred times spends up to a hundred of them.
    pub cpu: Duration,
    /// Wall-clock time of one call, waiting for the backend included.
    pub wall: Duration,
    /// Calls at once.
    pub concurrency: u32,
    /// Calls that wait for one of those; further ones are refused at once.
    pub waiting: u32,
    /// How often calls may begin; as often as they come if none.
    pub rate: Option<Rate>,
    /// Bytes that the guest may hand to the host in one crossing. An answer, a batch included,
    /// must fit.
    pub crossing_bytes: usize,
    /// Bytes of the header fields of one request or response, as they lie in memory.
    pub header_bytes: usize,
    /// Consecutive failures after which the backend gets no calls for a while.
    pub breaker_failures: u32,
    /// That while.
    pub breaker_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            cpu: Duration::from_millis(500),
            wall: Duration::from_secs(10),
            concurrency: 64,
            waiting: 256,
            rate: None,
            crossing_bytes: 4 << 20,
            header_bytes: 32 << 10,
            breaker_failures: 5,
            breaker_pause: Duration::from_secs(10),
        }
    }
}

/// How often something may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Times a second in the long run. Zero is read as one.
    pub per_second: u32,
    /// Times at once. Zero is read as one.
    pub burst: u32,
}

/// Handles to resources that a call may hold, guest side and host side.
pub(crate) const MAX_HANDLES: usize = 256;
/// Bytes of randomness in one request for them.
pub(crate) const MAX_RANDOM_BYTES: u64 = 4 << 10;

const MAX_TABLE_ELEMENTS: usize = 20_000;
const MAX_CORE_INSTANCES: usize = 128;
const MAX_TABLES: usize = 128;
const MAX_MEMORIES: usize = 8;

/// Which budget a guest tried to exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exceeded {
    /// Linear memory.
    #[error("the memory budget is exceeded")]
    Memory,
    /// Table elements.
    #[error("the table budget is exceeded")]
    Table,
    /// Epochs.
    #[error("the CPU budget is exceeded")]
    Cpu,
}

/// The growth budget of one store. wasmtime's own limiter counts each memory for itself; this one
/// counts them together, or eight memories would be eight budgets.
#[derive(Debug)]
pub(crate) struct Budget {
    memory_left: usize,
    table_left: usize,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { memory_left: limits.memory_bytes, table_left: MAX_TABLE_ELEMENTS }
    }
}

fn spend(left: &mut usize, current: usize, desired: usize) -> Option<()> {
    *left = left.checked_sub(desired.saturating_sub(current))?;
    Some(())
}

impl ResourceLimiter for Budget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        spend(&mut self.memory_left, current, desired).ok_or(Exceeded::Memory)?;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Exceeded::Memory.into())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        spend(&mut self.table_left, current, desired).ok_or(Exceeded::Table)?;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Exceeded::Table.into())
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_memories_share_one_budget() {
        let limits = Limits { memory_bytes: 100, ..Limits::default() };
        let mut budget = Budget::new(&limits);
        assert!(budget.memory_growing(0, 60, None).is_ok());
        assert!(budget.memory_growing(60, 90, None).is_ok());
        let refused = budget.memory_growing(0, 20, None).unwrap_err();
        assert_eq!(refused.downcast_ref::<Exceeded>(), Some(&Exceeded::Memory));
    }
}
