//! What a Symbolon plugin is written with.
//!
//! A plugin is a type that implements [`Plugin`] and any of [`Secrets`], [`Exchange`],
//! [`Credentials`] and [`Rotate`], and one line that exports it. What the host wants to know before
//! it runs anything stands in `manifest.json` beside `Cargo.toml`; `cargo xtask plugins` puts the
//! same file into the component, and so does `symbolon plugin build` in a project that
//! `symbolon plugin new` has made.
//!
//! Every call runs in a fresh instance: nothing is kept from one call to the next, and what a call
//! needs is in its [`Call`]. There are no files, no environment, no sockets; [`http`] reaches the
//! hosts that the manifest asks for and the operator granted, [`clock`] is the only clock (that of
//! `std` panics on this target), and [`log!`] is the only way to say something to a person.
//!
//! What several backends need stands here once: [`oauth`] reads answers of token endpoints, [`time`]
//! and [`encoding`] read what services write, [`Listing::page`] cuts pages, [`folder`] makes folders of
//! flat names, and with the feature
//! `certificates` `Secret::tls` makes a certificate's fields of PEM. [`http::base`] checks the address of
//! a server in a configuration, and with the feature `schema` (for tests) the manifest's schema is
//! derived from the type of the configuration.
//!
//! ```
//! use symbolon_plugin::{Call, Error, Listing, Plugin, Secret, Secrets, Selector};
//!
//! struct Echo;
//!
//! #[derive(serde::Deserialize)]
//! struct Config {
//!     greeting: String,
//! }
//!
//! impl Plugin for Echo {
//!     const MANIFEST: &'static str = r#"{
//!         "contract": "0.1.0", "name": "echo", "version": "0.1.0", "summary": "Answers a greeting.",
//!         "config_schema": {"type": "object"}, "egress": [], "recovery": null, "metadata": {}
//!     }"#;
//!     type Config = Config;
//! }
//!
//! impl Secrets for Echo {
//!     fn read(call: &Call<Config>, selector: Selector) -> Result<Secret, Error> {
//!         Ok(Secret::text(selector.path, &call.config.greeting))
//!     }
//!
//!     fn list(_: &Call<Config>, _: Option<String>, _: Option<String>) -> Result<Listing, Error> {
//!         Err(Error::unsupported("list_unsupported", "there is nothing to list"))
//!     }
//! }
//!
//! symbolon_plugin::export!(Echo: secrets);
//! # fn main() {}
//! ```

#[doc(hidden)]
pub mod bindings;
#[cfg(feature = "certificates")]
mod certificate;
pub mod clock;
pub mod encoding;
mod error;
mod exported;
pub mod folder;
#[cfg(all(any(target_family = "wasm", test), feature = "heap"))]
mod heap;
pub mod http;
mod listing;
mod log;
mod manifest;
pub mod oauth;
mod plugin;
#[cfg(feature = "getrandom")]
mod random;
mod report;
pub mod role;
#[cfg(feature = "schema")]
pub mod schema;
mod secret;
pub mod sql;
pub mod time;

pub use bindings::base::exports::symbolon::plugin::check::Report;
pub use bindings::base::symbolon::plugin::log::Level;
pub use bindings::base::symbolon::plugin::types::{
    Context, Error, ErrorKind, Metadata, Seconds, Timestamp,
};
pub use bindings::credentials::exports::symbolon::plugin::credentials::{
    IssueRequest, Issued, Reference, State,
};
pub use bindings::exchange::exports::symbolon::plugin::exchange::{ExchangeRequest, Token};
pub use bindings::secrets::exports::symbolon::plugin::secrets::{Listing, Secret, Selector, Value};
#[doc(hidden)]
pub use exported::Exported;
#[doc(hidden)]
pub use log::write as __log;
pub use plugin::{Call, Credentials, Exchange, Materials, Plugin, Rotate, Secrets};

/// Exports a plugin: `export!(MyPlugin: secrets, exchange);`, with the interfaces that it
/// implements. `describe` and `check` are exported always.
#[macro_export]
macro_rules! export {
    ($plugin:ident: $($interface:ident),+ $(,)?) => {
        #[doc(hidden)]
        mod __symbolon_export {
            #![expect(unsafe_code, reason = "the symbols by which a component is entered")]
            type Component = $crate::Exported<super::$plugin>;
            $crate::__export_interface!(base Component);
            $($crate::__export_interface!($interface Component);)+
        }
    };
}

/// One arm an interface of the contract.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_interface {
    (base $component:ident) => {
        $crate::bindings::base::export_base!($component with_types_in $crate::bindings::base);
    };
    (secrets $component:ident) => {
        $crate::bindings::secrets::export_secrets!($component with_types_in $crate::bindings::secrets);
    };
    (credentials $component:ident) => {
        $crate::bindings::credentials::export_credentials!($component with_types_in $crate::bindings::credentials);
    };
    (exchange $component:ident) => {
        $crate::bindings::exchange::export_exchange!($component with_types_in $crate::bindings::exchange);
    };
    (rotate $component:ident) => {
        $crate::bindings::rotate::export_rotate!($component with_types_in $crate::bindings::rotate);
    };
}

/// Writes a line to the host's log: `log!(Warn, "slow answer", "millis" => took)`.
///
/// The message is text of the plugin, the fields are values; never put a secret into either, nor
/// words of the backend: they may hold one.
#[macro_export]
macro_rules! log {
    ($level:ident, $message:expr $(, $name:literal => $value:expr)* $(,)?) => {
        $crate::__log($crate::Level::$level, $message, vec![$(($name.to_owned(), $value.to_string())),*])
    };
}
