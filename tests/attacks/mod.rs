//! Attacks on the whole line of a running gateway. Each asserts the reason of its refusal, so that a
//! limit that happens to be in the way cannot make it pass.

mod assess;
mod certificates;
mod floods;
pub(crate) mod frames;
mod paths;
mod platforms;
mod reviews;
mod signed;
mod tokens;
pub(crate) mod wire;

/// A backend with a few secrets, and limits that are in nobody's way.
pub(crate) const DEMO: &str = r#"
[backends.demo]
plugin = "static"

[backends.demo.config.secrets]
"app/text" = "plain"

[limits]
strangers_per_source = { rate = 1000000, burst = 1000000 }
per_principal = { rate = 1000000, burst = 1000000 }
per_issuer = { rate = 1000000, burst = 1000000 }
"#;

/// The same backend under the limits of the defaults.
pub(crate) const LIMITED: &str = r#"
[backends.demo]
plugin = "static"

[backends.demo.config.secrets]
"app/text" = "plain"
"#;
