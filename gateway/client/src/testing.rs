//! A gateway that answers one request, for tests of what is asked of it and made of its answer.

use symbolon_core::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::gateway::Gateway;
use crate::roots::Roots;

/// What `call` makes of `answer`, which has the body with its length, and what was asked.
pub(crate) async fn asked<T, F: Future<Output = T>>(
    body: &str,
    call: impl FnOnce(Gateway, Secret) -> F,
) -> (T, String) {
    let length = body.len();
    answered(&format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"), call).await
}

/// What `call` makes of an answer, byte for byte, after which the connection is closed; and what was
/// asked.
pub(crate) async fn answered<T, F: Future<Output = T>>(
    answer: &str,
    call: impl FnOnce(Gateway, Secret) -> F,
) -> (T, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/below", listener.local_addr().unwrap());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let read = stream.read(&mut request).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        String::from_utf8_lossy(&request[..read]).into_owned()
    };
    let gateway = Gateway::at(&url, &Roots::System).unwrap();
    tokio::join!(call(gateway, Secret::from("a.b+c".to_owned())), serve)
}
