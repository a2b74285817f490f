//! The glue between the contract's bindings and the traits.
//!
//! INVARIANT: a plugin's function runs only with a configuration that parsed.

use std::marker::PhantomData;

use crate::bindings::base::exports::symbolon::plugin::{check, describe};
use crate::bindings::base::symbolon::plugin::config;
use crate::bindings::{credentials as c, exchange as e, rotate as r, secrets as s};
use crate::{
    Call, Context, Credentials, Error, Exchange, ExchangeRequest, IssueRequest, Issued, Listing,
    Materials, Plugin, Reference, Report, Rotate, Secret, Secrets, Selector, State, Token,
    manifest,
};

/// A plugin, as the contract sees it.
pub struct Exported<P>(PhantomData<P>);

fn configuration<P: Plugin>() -> Result<P::Config, Error> {
    serde_json::from_str(&config::get()).map_err(|fault| {
        let message = format!("the configuration does not parse: {}", words(&fault));
        Error::invalid_config("config_malformed", message)
    })
}

/// What is wrong, as far as it comes from the type: what was found could be a secret. Else the position.
fn words(fault: &serde_json::Error) -> String {
    const FORMS: [&str; 5] = [
        "invalid type: ",
        "invalid value: ",
        "invalid length ",
        "unknown field `",
        "unknown variant `",
    ];
    let position = format!(" at line {}, column {}", fault.line(), fault.column());
    let text = fault.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words);
    if text.starts_with("missing field `") {
        return text.to_owned();
    }
    let of_type =
        text.rsplit_once(", expected ").filter(|_| FORMS.iter().any(|form| text.starts_with(form)));
    match of_type {
        Some((found, wanted)) => {
            let what = if found.starts_with("unknown field") { "an unknown key, " } else { "" };
            format!("{what}expected {wanted}{position}")
        }
        None => format!("a fault{position}"),
    }
}

fn call<P: Plugin>(context: Context) -> Result<Call<P::Config>, Error> {
    Ok(Call { config: configuration::<P>()?, context })
}

impl<P: Plugin> describe::Guest for Exported<P> {
    fn describe() -> describe::Descriptor {
        manifest::descriptor(P::MANIFEST)
    }
}

impl<P: Plugin> check::Guest for Exported<P> {
    fn validate() -> Result<Report, Error> {
        P::validate(&configuration::<P>()?)
    }

    fn probe(context: Context) -> Result<Report, Error> {
        P::probe(&call::<P>(context)?)
    }
}

impl<P: Secrets> s::exports::symbolon::plugin::secrets::Guest for Exported<P> {
    fn read(context: Context, selector: Selector) -> Result<Secret, Error> {
        P::read(&call::<P>(context)?, selector)
    }

    fn read_many(
        context: Context,
        selectors: Vec<Selector>,
    ) -> Result<Vec<Result<Secret, Error>>, Error> {
        P::read_many(&call::<P>(context)?, selectors)
    }

    fn list(
        context: Context,
        folder: Option<String>,
        next: Option<String>,
    ) -> Result<Listing, Error> {
        P::list(&call::<P>(context)?, folder, next)
    }
}

impl<P: Exchange> e::exports::symbolon::plugin::exchange::Guest for Exported<P> {
    fn exchange(context: Context, request: ExchangeRequest) -> Result<Token, Error> {
        P::exchange(&call::<P>(context)?, request)
    }
}

impl<P: Credentials> c::exports::symbolon::plugin::credentials::Guest for Exported<P> {
    fn issue(context: Context, request: IssueRequest) -> Result<Issued, Error> {
        P::issue(&call::<P>(context)?, request)
    }

    fn renew(context: Context, reference: Reference, ttl: u64) -> Result<u64, Error> {
        P::renew(&call::<P>(context)?, reference, ttl)
    }

    fn revoke(context: Context, reference: Reference) -> Result<(), Error> {
        P::revoke(&call::<P>(context)?, reference)
    }

    fn verify(context: Context, reference: Reference) -> Result<State, Error> {
        P::verify(&call::<P>(context)?, reference)
    }

    fn list_issued(
        context: Context,
        next: Option<String>,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        P::list_issued(&call::<P>(context)?, next)
    }
}

impl<P: Rotate> r::exports::symbolon::plugin::rotate::Guest for Exported<P> {
    fn rotate(context: Context, materials: Materials) -> Result<(), Error> {
        P::rotate(&call::<P>(context)?, materials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "looked at for faults only")]
    struct Config {
        safe: String,
        size: u32,
    }

    #[test]
    fn a_fault_is_told_by_the_type_and_never_by_what_was_found() {
        for (text, told) in [
            (r#"{"size": 1}"#, "missing field `safe`"),
            (r#"{"safe": 1}"#, "expected a string at line 1, column 10"),
            (r#"{"size": "hunter2, expected b"}"#, "expected u32 at line 1, column 30"),
            (r#"{"hunter2": 1}"#, "an unknown key, expected `safe` or `size` at line 1, column 10"),
            ("{", "a fault at line 1, column 1"),
        ] {
            let fault = serde_json::from_str::<Config>(text).expect_err(text);
            let words = words(&fault);
            assert!(words.starts_with(told) && !words.contains("hunter2"), "{words}");
        }
    }
}
