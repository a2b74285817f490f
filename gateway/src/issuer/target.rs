//! Credentials of backends that come from a Target (written after the host lands).

/// Placeholder.
#[derive(Debug)]
pub struct TargetSource;
