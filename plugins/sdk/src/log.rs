//! The log, behind the macro [`log!`](crate::log!).

use crate::Level;
use crate::bindings::base::symbolon::plugin::log;

/// Writes one line.
#[doc(hidden)]
pub fn write(level: Level, message: &str, fields: Vec<(String, String)>) {
    log::log(level, message, &fields);
}
