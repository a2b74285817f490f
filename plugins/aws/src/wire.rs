//! The JSON protocol of the stores: one URL, the action in a header, the signature by the host.

use serde::Serialize;
use serde::de::DeserializeOwned;
use symbolon_plugin::Error;
use symbolon_plugin::http::{self, Request, Response};

use crate::refusal;

/// One action.
pub(crate) fn request(url: String, action: &str, body: &impl Serialize) -> Request {
    let body = serde_json::to_vec(body).unwrap_or_default();
    http::post(url)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", action)
        .body(body)
}

/// What an answer holds, if it is no refusal.
pub(crate) fn read<T: DeserializeOwned>(answer: &Response) -> Result<T, Error> {
    match answer.status {
        200 => answer.json(),
        _ => Err(refusal::of_json(answer)),
    }
}
