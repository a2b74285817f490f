//! What breaks around a gateway, and what it does then: refuse with a message that says what to do,
//! or lose the one thing that broke.

mod components;
mod disk;
mod start;
