//! The admin socket, from the operator's side: HTTP/1.1 and JSON over a Unix socket, whose peer the
//! gateway knows by its uid.

use std::path::PathBuf;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use serde_json::Value;

use crate::error::{ClientError, Problem};
use crate::transport::over_socket;

/// The admin socket of a running gateway.
#[derive(Clone, Debug)]
pub struct Admin {
    socket: PathBuf,
}

impl Admin {
    /// The gateway that listens at `socket`.
    #[must_use]
    pub fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Calls an operation that answers JSON. Cancelling it closes the connection; an operation that
    /// was begun runs to its end.
    ///
    /// # Errors
    /// [`ClientError`] says what happened and what to look at next.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ClientError> {
        let answer = self.send(method, path, body).await?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).map_err(|error| ClientError::Answer {
            place: self.socket.display().to_string(),
            reason: error.to_string(),
        })
    }

    /// The metrics page.
    ///
    /// # Errors
    /// As [`Admin::call`].
    pub async fn metrics(&self) -> Result<Bytes, ClientError> {
        self.send(Method::GET, "/metrics", None).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Bytes, ClientError> {
        let unusable = |_| ClientError::Answer {
            place: self.socket.display().to_string(),
            reason: "no valid request could be made".to_owned(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "symbolon")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body.map(Value::to_string).unwrap_or_default()))
            .map_err(unusable)?;
        let answer = over_socket(&self.socket, request).await?;
        match answer.status().is_success() {
            true => Ok(answer.into_body()),
            false => {
                let problem = Problem::of(answer.status().as_u16(), answer.body());
                Err(ClientError::Refused(problem))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn an_operation_goes_over_the_socket() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("admin.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";
            stream.write_all(answer).await.unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        };
        let admin = Admin::at(socket);
        let body = serde_json::json!({ "issuer": "ci" });
        let call = admin.call(Method::POST, "/v1/locks", Some(&body));
        let (answer, request) = tokio::join!(call, serve);
        assert_eq!(answer.unwrap(), serde_json::json!({ "ok": true }));
        assert!(request.starts_with("POST /v1/locks HTTP/1.1\r\n"), "{request}");
        assert!(request.ends_with("{\"issuer\":\"ci\"}"), "{request}");
    }

    #[tokio::test]
    async fn a_socket_that_is_not_there_says_so() {
        let admin = Admin::at(PathBuf::from("/nowhere/admin.sock"));
        let error = admin.call(Method::GET, "/v1/status", None).await.unwrap_err();
        assert_eq!(error.to_string(), "there is no admin socket at /nowhere/admin.sock");
        assert!(error.help().is_some());
    }
}
