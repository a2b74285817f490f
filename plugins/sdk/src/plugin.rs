//! The traits, one an interface of the contract.
//!
//! Functions without `self`, since there is nothing to keep: each call gets its configuration,
//! already parsed, and its context in a [`Call`]. A configuration that does not parse never reaches
//! the plugin; the call fails as `invalid-config`.

use serde::de::DeserializeOwned;

use crate::{
    Context, Error, ExchangeRequest, IssueRequest, Issued, Listing, Reference, Report, Seconds,
    Secret, Selector, State, Timestamp, Token,
};

/// Named values that the host made for a call; they may be secret.
pub type Materials = Vec<(String, Vec<u8>)>;

/// One call: the configuration of the backend that it is for, and what the host says about it.
pub struct Call<C> {
    /// The backend's configuration.
    pub config: C,
    /// Request id, deadline and what later hosts add.
    pub context: Context,
}

/// What every plugin is.
pub trait Plugin {
    /// The manifest: `include_str!("../manifest.json")`.
    const MANIFEST: &'static str;

    /// The configuration; derive `Deserialize` with `deny_unknown_fields`.
    type Config: DeserializeOwned;

    /// Checks what the type of the configuration cannot say. Asks nobody.
    fn validate(_config: &Self::Config) -> Result<Report, Error> {
        Ok(Report::sound())
    }

    /// Asks the backend whether it is there. Changes nothing.
    fn probe(call: &Call<Self::Config>) -> Result<Report, Error> {
        Self::validate(&call.config)
    }
}

/// A backend that holds secrets; the crate's first page has an example.
pub trait Secrets: Plugin {
    /// Reads one secret. One that is not there is [`Error::absent`], or [`Error::deleted`] or
    /// [`Error::destroyed`] where the backend knows the difference.
    fn read(call: &Call<Self::Config>, selector: Selector) -> Result<Secret, Error>;

    /// Reads several, in the order asked. The default reads one after the other.
    fn read_many(
        call: &Call<Self::Config>,
        selectors: Vec<Selector>,
    ) -> Result<Vec<Result<Secret, Error>>, Error> {
        Ok(selectors.into_iter().map(|selector| Self::read(call, selector)).collect())
    }

    /// Lists the names directly in a folder, from `next` of the page before.
    fn list(
        call: &Call<Self::Config>,
        folder: Option<String>,
        next: Option<String>,
    ) -> Result<Listing, Error>;
}

/// A party that takes an assertion of the gateway and gives a token of its own.
///
/// ```
/// # use symbolon_plugin::{http, clock, Call, Error, Exchange, ExchangeRequest, Plugin, Token};
/// # struct Party;
/// # impl Plugin for Party { const MANIFEST: &'static str = "{}"; type Config = (); }
/// impl Exchange for Party {
///     fn exchange(_: &Call<()>, request: ExchangeRequest) -> Result<Token, Error> {
///         let answer = http::post("https://sts.example/token")
///             .json(&serde_json::json!({ "assertion": request.assertion }))
///             .send()?
///             .success()?;
///         let token: String = answer.json()?;
///         Ok(Token::bearer(token, clock::now() + request.ttl))
///     }
/// }
/// ```
pub trait Exchange: Plugin {
    /// Exchanges the assertion.
    fn exchange(call: &Call<Self::Config>, request: ExchangeRequest) -> Result<Token, Error>;
}

/// A backend that makes credentials on demand.
///
/// ```
/// # use symbolon_plugin::{clock, Call, Credentials, Error, Issued, IssueRequest, Plugin, Reference, State, Timestamp};
/// # struct Party;
/// # impl Plugin for Party { const MANIFEST: &'static str = "{}"; type Config = (); }
/// impl Credentials for Party {
///     fn issue(_: &Call<()>, request: IssueRequest) -> Result<Issued, Error> {
///         Ok(Issued {
///             // The name of what is made comes from the reservation, so that it is found again.
///             fields: vec![("username".into(), format!("sy-{}", request.reservation).into())],
///             reservation: request.reservation,
///             expires_at: clock::now() + request.ttl,
///             renewable: false,
///             revocable: true,
///             handle: Vec::new(),
///             metadata: Vec::new(),
///         })
///     }
///     fn revoke(_: &Call<()>, _: Reference) -> Result<(), Error> {
///         Ok(())
///     }
///     fn verify(_: &Call<()>, _: Reference) -> Result<State, Error> {
///         Ok(State::Gone)
///     }
/// }
/// ```
pub trait Credentials: Plugin {
    /// Issues a credential. Asking twice with one reservation must not make two.
    fn issue(call: &Call<Self::Config>, request: IssueRequest) -> Result<Issued, Error>;

    /// Extends a credential by `ttl` from now; answers when it ends then.
    fn renew(
        _call: &Call<Self::Config>,
        _reference: Reference,
        _ttl: Seconds,
    ) -> Result<Timestamp, Error> {
        Err(Error::unsupported("renew_unsupported", "what this backend issues is not extended"))
    }

    /// Ends a credential. One that is not there is a success.
    fn revoke(call: &Call<Self::Config>, reference: Reference) -> Result<(), Error>;

    /// Says what became of a credential, without using it.
    fn verify(call: &Call<Self::Config>, reference: Reference) -> Result<State, Error>;

    /// Lists the reservations of what carries the gateway's mark, for the recovery class `listable`.
    fn list_issued(
        _call: &Call<Self::Config>,
        _next: Option<String>,
    ) -> Result<(Vec<String>, Option<String>), Error> {
        Err(Error::unsupported("list_unsupported", "this backend cannot list what was issued"))
    }
}

/// A backend whose own credential can be replaced.
///
/// ```
/// # use symbolon_plugin::{Call, Error, Materials, Plugin, Rotate};
/// # struct Party;
/// # impl Plugin for Party { const MANIFEST: &'static str = "{}"; type Config = (); }
/// impl Rotate for Party {
///     fn rotate(_: &Call<()>, materials: Materials) -> Result<(), Error> {
///         let known = materials.iter().any(|(name, _)| name == "password");
///         known.then_some(()).ok_or(Error::invalid_request("no_password", "nothing to set"))
///     }
/// }
/// ```
pub trait Rotate: Plugin {
    /// Sets the new credential. Idempotent. The host proves by using it that it is in force.
    fn rotate(call: &Call<Self::Config>, materials: Materials) -> Result<(), Error>;
}
