//! Against servers: real ones, and ones that misbehave.
