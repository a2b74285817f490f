//! How many connections each source has open.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::line::limits::source_of;

/// Connections by source. Memory is bounded by the number of open connections.
#[derive(Debug)]
pub struct Sources {
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection of a source; gives its place back when dropped.
#[derive(Debug)]
pub struct Guest {
    sources: Arc<Sources>,
    source: IpAddr,
}

impl Sources {
    /// At most `most` connections per source at a time.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, open: Mutex::new(HashMap::new()) }
    }

    /// A place for a connection from `address`, if its source has one left.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        let source = source_of(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(source).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Guest { sources: self.clone(), source })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut open = self.sources.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back() {
        let sources = Arc::new(Sources::new(1));
        let address = IpAddr::from([192, 0, 2, 1]);
        let guest = sources.admit(address);
        assert!(guest.is_some() && sources.admit(address).is_none());
        drop(guest);
        assert!(sources.admit(address).is_some());
        assert!(sources.open.lock().unwrap().is_empty());
    }
}
