//! Requests that the host must not let through, or must end.
//!
//! `server` is the test's own: it is expected to know `/hang` (never answers), `/drip` (a body that
//! never ends, slowly), `/endless` (a body that never ends, fast) and `/redirect` (to wherever the
//! test wants to see nobody); everything else may answer anything.

use std::hint::black_box;

use symbolon_plugin::http::{self, Request};
use symbolon_plugin::{Error, Secret, Selector};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};

use crate::answer::said;
use crate::config::{Config, needed};

type Outcome = Result<Secret, Error>;

fn server(config: &Config, path: &str) -> Result<String, Error> {
    Ok(format!("{}{path}", needed(config.server.as_ref(), "server")?))
}

/// What the guest says is the status and the body: a test sees what came back, if anything did.
fn tell(selector: &Selector, request: Request) -> Outcome {
    let answer = request.send()?;
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    said(selector, format!("survived {} {body}", answer.status))
}

/// An honest request.
pub(crate) fn fetch(config: &Config, selector: &Selector) -> Outcome {
    let answer = http::get(server(config, "/")?).send()?;
    said(selector, format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)))
}

/// The whole answer, however long: only the host is in its way.
pub(crate) fn take(config: &Config, selector: &Selector) -> Outcome {
    let answer = http::get(server(config, "/")?).limit(usize::MAX).send()?;
    let coding = answer.header("content-encoding").unwrap_or("-");
    said(selector, format!("{} {coding} {}", answer.status, answer.body.len()))
}

/// An honest request with a body.
pub(crate) fn post(config: &Config, selector: &Selector) -> Outcome {
    let answer = http::post(server(config, "/")?).body(vec![b'x'; 10_000]).send()?;
    said(selector, answer.status.to_string())
}

pub(crate) fn hang_request(config: &Config, selector: &Selector) -> Outcome {
    tell(selector, http::get(server(config, "/hang")?))
}

pub(crate) fn hang_body(config: &Config, selector: &Selector) -> Outcome {
    tell(selector, http::get(server(config, "/drip")?).limit(usize::MAX))
}

pub(crate) fn endless_body(config: &Config, selector: &Selector) -> Outcome {
    tell(selector, http::get(server(config, "/endless")?).limit(usize::MAX))
}

pub(crate) fn undeclared_host(config: &Config, selector: &Selector) -> Outcome {
    let url = config.undeclared.clone().unwrap_or_else(|| "https://undeclared.example/".to_owned());
    tell(selector, http::get(url))
}

pub(crate) fn ungranted_host(config: &Config, selector: &Selector) -> Outcome {
    let url = needed(config.elsewhere.as_ref(), "elsewhere")?;
    tell(selector, http::get(format!("{url}/")))
}

pub(crate) fn rebinding(config: &Config, selector: &Selector) -> Outcome {
    let url = needed(config.rebinding.as_ref(), "rebinding")?;
    tell(selector, http::get(format!("{url}/")))
}

pub(crate) fn metadata_address(_: &Config, selector: &Selector) -> Outcome {
    tell(selector, http::get("http://169.254.169.254/latest/meta-data/"))
}

/// Sees whether the host follows, then follows by itself.
pub(crate) fn redirect(config: &Config, selector: &Selector) -> Outcome {
    let answer = http::get(server(config, "/redirect")?).send()?;
    match answer.header("location") {
        Some(location) => tell(selector, http::get(location)),
        None => said(selector, format!("survived {}: the host followed", answer.status)),
    }
}

pub(crate) fn own_authorization(config: &Config, selector: &Selector) -> Outcome {
    tell(selector, http::get(server(config, "/")?).header("authorization", "Bearer of-the-guest"))
}

pub(crate) fn own_host(config: &Config, selector: &Selector) -> Outcome {
    tell(selector, http::get(server(config, "/")?).header("host", "undeclared.example"))
}

pub(crate) fn forbidden_method(config: &Config, selector: &Selector) -> Outcome {
    tell(selector, http::request("DELETE", server(config, "/")?))
}

pub(crate) fn huge_header(config: &Config, selector: &Selector) -> Outcome {
    tell(selector, http::get(server(config, "/")?).header("x-huge", &"x".repeat(1024 * 1024)))
}

/// A request of which only the target is named, raw.
fn raw(config: &Config, path_and_query: &str) -> Result<OutgoingRequest, Error> {
    raw_with(config, path_and_query, Fields::new())
}

fn raw_with(
    config: &Config,
    path_and_query: &str,
    headers: Fields,
) -> Result<OutgoingRequest, Error> {
    let url = needed(config.server.as_ref(), "server")?;
    let (scheme, authority) = url.split_once("://").unwrap_or(("https", url.as_str()));
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    let refused = |()| Error::invalid_request("url_refused", "the host refused the URL");
    let request = OutgoingRequest::new(headers);
    request.set_scheme(Some(&scheme)).map_err(refused)?;
    request.set_authority(Some(authority)).map_err(refused)?;
    request.set_path_with_query(Some(path_and_query)).map_err(refused)?;
    Ok(request)
}

fn start(
    request: OutgoingRequest,
    options: Option<RequestOptions>,
) -> Result<FutureIncomingResponse, Error> {
    outgoing_handler::handle(request, options)
        .map_err(|_| Error::invalid_config("egress_denied", "the host refused the request"))
}

/// Waits for the answer and says its status.
fn finish(selector: &Selector, started: &FutureIncomingResponse) -> Outcome {
    started.subscribe().block();
    match started.get() {
        Some(Ok(Ok(answer))) => said(selector, format!("survived {}", answer.status())),
        Some(_) | None => Err(Error::unavailable("no_answer", "the request got no answer")),
    }
}

/// A target that names another host, which a proxy would believe.
pub(crate) fn absolute_form(config: &Config, selector: &Selector) -> Outcome {
    let started = start(raw(config, "http://undeclared.example/")?, None)?;
    finish(selector, &started)
}

/// Timeouts of nothing.
pub(crate) fn zero_timeout(config: &Config, selector: &Selector) -> Outcome {
    let options = RequestOptions::new();
    let refused = |()| Error::unsupported("no_timeouts", "the host takes no timeouts");
    options.set_connect_timeout(Some(0)).map_err(refused)?;
    options.set_first_byte_timeout(Some(0)).map_err(refused)?;
    options.set_between_bytes_timeout(Some(0)).map_err(refused)?;
    let started = start(raw(config, "/")?, Some(options))?;
    finish(selector, &started)
}

/// A request body without end.
pub(crate) fn endless_request(config: &Config, selector: &Selector) -> Outcome {
    let broken = || Error::unavailable("request_cut", "the host took no more");
    let request = raw(config, "/")?;
    request.set_method(&Method::Post).map_err(|()| broken())?;
    let body = request.body().map_err(|()| broken())?;
    let stream = body.write().map_err(|()| broken())?;
    let _started = start(request, None)?;
    for _ in 0..1_000_000_u32 {
        stream.blocking_write_and_flush(&[b'x'; 4096]).map_err(|_| broken())?;
    }
    said(selector, "survived".to_owned())
}

/// Says five bytes and sends nine, of which a proxy could make a second request.
pub(crate) fn wrong_length(config: &Config, selector: &Selector) -> Outcome {
    let broken = || Error::unavailable("request_cut", "the host took no more");
    let headers = Fields::from_list(&[("content-length".to_owned(), b"5".to_vec())])
        .map_err(|_| Error::invalid_request("header_refused", "the host refused a header"))?;
    let request = raw_with(config, "/", headers)?;
    request.set_method(&Method::Post).map_err(|()| broken())?;
    let body = request.body().map_err(|()| broken())?;
    let stream = body.write().map_err(|()| broken())?;
    let started = start(request, None)?;
    stream.blocking_write_and_flush(b"nine byte").map_err(|_| broken())?;
    drop(stream);
    OutgoingBody::finish(body, None).map_err(|_| broken())?;
    finish(selector, &started)
}

/// Many requests at once, none of them waited for.
pub(crate) fn many_requests(config: &Config, selector: &Selector) -> Outcome {
    let mut all = Vec::new();
    for _ in 0..10_000_u32 {
        all.push(start(raw(config, "/hang")?, None)?);
    }
    black_box(&all);
    said(selector, "survived".to_owned())
}
