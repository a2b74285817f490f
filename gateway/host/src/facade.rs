//! Answers re-checked.
