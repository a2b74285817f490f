//! Every route, every kind of error, every operation: a new one that is not covered here does not
//! compile, or fails.

mod administration;
mod connections;
mod imports;
mod kinds;
mod reload;
mod routes;
