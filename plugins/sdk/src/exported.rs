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

/// The position of a fault is for the operator; its words could quote a secret, so they stay here.
fn configuration<P: Plugin>() -> Result<P::Config, Error> {
    serde_json::from_str(&config::get()).map_err(|fault| {
        let message = format!(
            "the configuration does not parse at line {}, column {}",
            fault.line(),
            fault.column()
        );
        Error::invalid_config("config_malformed", message)
    })
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
