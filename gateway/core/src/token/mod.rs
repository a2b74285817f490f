//! Verification of tokens.
