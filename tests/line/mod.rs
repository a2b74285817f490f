//! The line over its real listener, with the `static` component behind it.

mod bounds;
mod reads;
