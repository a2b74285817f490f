//! Requests as bytes: nothing between a test and the gateway normalises or repairs them.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use symbolon_tests::harness::Gateway;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The code of the problem; empty if it is none.
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn request_id(&self) -> Option<String> {
        let line = self.head.lines().find(|line| line.to_lowercase().starts_with("x-request-id:"));
        line.and_then(|line| line.split_once(':')).map(|(_, id)| id.trim().to_owned())
    }
}

/// TLS to the gateway, with this protocol (ALPN) or none.
pub(crate) async fn connect(gateway: &Gateway, protocol: &str) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(gateway.address).await.expect("a connection");
    over(tcp, gateway.directory.path(), protocol).await.expect("a handshake")
}

/// TLS on a connection that may have said something before.
pub(crate) async fn over(
    tcp: TcpStream,
    directory: &Path,
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("localhost").expect("a name");
    connector(directory, protocol).connect(name, tcp).await
}

fn connector(directory: &Path, protocol: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let pem = CertificateDer::from_pem_file(directory.join("tls.pem")).expect("tls.pem");
    roots.add(pem).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().expect("versions");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    if !protocol.is_empty() {
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    }
    TlsConnector::from(Arc::new(config))
}

/// A request with a body, byte for byte as given.
pub(crate) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let headers = headers.collect::<String>();
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

/// A `GET` with a bearer token.
pub(crate) fn get(target: &str, token: &str) -> Vec<u8> {
    request("GET", target, &[("authorization", &format!("Bearer {token}"))], "")
}

/// Sends and reads the answer; none if the gateway closes without one.
pub(crate) async fn send<S>(stream: &mut S, bytes: &[u8]) -> Option<Reply>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(bytes).await.ok()?;
    stream.flush().await.ok()?;
    reply(stream).await
}

/// Reads one answer.
pub(crate) async fn reply<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Reply> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("a head of ASCII");
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    Some(Reply { status, head, body })
}

/// Waits until the gateway closes, whatever it says before.
pub(crate) async fn closed<S: AsyncRead + Unpin>(stream: &mut S) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    said
}

/// One call on the admin socket.
pub(crate) async fn admin(gateway: &Gateway, method: &str, path: &str, body: &str) -> Reply {
    let socket = gateway.directory.path().join("admin.sock");
    let mut stream = UnixStream::connect(socket).await.expect("the admin socket");
    send(&mut stream, &request(method, path, &[], body)).await.expect("an answer")
}

/// The header of the PROXY protocol v2 that names `client`.
pub(crate) fn proxy_header(client: Ipv4Addr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(client.octets());
    header.extend(Ipv4Addr::LOCALHOST.octets());
    header.extend([0x12, 0x34, 0x01, 0xbb]);
    header
}
