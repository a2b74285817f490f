//! Who a component is.
