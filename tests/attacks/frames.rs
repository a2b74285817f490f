//! HTTP/2 as frames, and frames that break it: nothing between a test and the gateway normalises or
//! refuses what is sent. Header fields are literals without indexing (RFC 7541 §6.2.2), so that any
//! bytes can stand in them.

use std::time::Duration;

use serde_json::Value;
use symbolon_tests::harness::{Gateway, Setup};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::DEMO;
use super::wire::connect;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH: u8 = 5;
pub(crate) const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub(crate) const WINDOW: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longer than any limit of these tests, shorter than anybody waits for a test.
const SOON: Duration = Duration::from_secs(20);
const READ: &str = "/v1/secrets/demo/app/text";

/// One frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame's length").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Kind, flags, stream and payload of a frame.
pub(crate) type Frame = (u8, u8, u32, Vec<u8>);

/// The next frame that comes.
pub(crate) async fn next(stream: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.ok()?;
    let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((head[3], head[4], number, payload))
}

/// A header block of literal fields.
pub(crate) fn block(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name.as_bytes());
        string(&mut block, value);
    }
    block
}

/// A string without Huffman coding, its length with a prefix of seven bits.
fn string(block: &mut Vec<u8>, text: &[u8]) {
    let mut length = text.len();
    if length < 127 {
        block.push(u8::try_from(length).expect("a small number"));
    } else {
        block.push(127);
        length -= 127;
        while length >= 128 {
            block.push(u8::try_from(length % 128).expect("seven bits") | 128);
            length /= 128;
        }
        block.push(u8::try_from(length).expect("a small number"));
    }
    block.extend_from_slice(text);
}

/// The fields of a `GET` with a bearer token.
pub(crate) fn get<'a>(path: &'a [u8], bearer: &'a str) -> Vec<(&'a str, &'a [u8])> {
    vec![
        (":method", b"GET"),
        (":scheme", b"https"),
        (":authority", b"localhost"),
        (":path", path),
        ("authorization", bearer.as_bytes()),
    ]
}

/// What came back on a stream.
#[derive(Debug)]
pub(crate) enum Back {
    /// An answer's body.
    Body(Vec<u8>),
    /// The stream, or the connection, was ended without one.
    Ended,
}

impl Back {
    pub(crate) fn json(&self) -> Option<Value> {
        match self {
            Self::Body(body) => Some(serde_json::from_slice(body).unwrap_or_default()),
            Self::Ended => None,
        }
    }
}

/// A connection that has been opened and answers what every client must.
pub(crate) struct Frames(TlsStream<TcpStream>);

impl Frames {
    pub(crate) async fn open(gateway: &Gateway) -> Self {
        let mut stream = connect(gateway, "h2").await;
        let settings = frame(SETTINGS, 0, 0, &[]);
        stream.write_all(&[PREFACE, &settings].concat()).await.expect("sent");
        stream.flush().await.expect("sent");
        Self(stream)
    }

    /// Sends; a connection that has ended meanwhile is seen when it is read.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
        let _ = self.0.flush().await;
    }

    /// Sends a request without a body on `stream`.
    pub(crate) async fn request(&mut self, stream: u32, fields: &[(&str, &[u8])]) {
        let headers = frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(fields));
        self.send(&headers).await;
    }

    pub(crate) async fn reset(&mut self, stream: u32) {
        // CANCEL (RFC 9113 §7).
        self.send(&frame(RESET, 0, stream, &8_u32.to_be_bytes())).await;
    }

    async fn next(&mut self) -> Option<Frame> {
        next(&mut self.0).await
    }

    /// Waits for the answer on `stream`.
    pub(crate) async fn answer(&mut self, stream: u32) -> Back {
        let mut body = Vec::new();
        while let Some((kind, flags, number, payload)) = self.next().await {
            match kind {
                SETTINGS if flags & ACK == 0 => self.send(&frame(SETTINGS, ACK, 0, &[])).await,
                PING if flags & ACK == 0 => self.send(&frame(PING, ACK, 0, &payload)).await,
                GOAWAY => return Back::Ended,
                RESET if number == stream => return Back::Ended,
                DATA | HEADERS if number == stream => {
                    if kind == DATA {
                        body.extend_from_slice(&payload);
                    }
                    if flags & END_STREAM != 0 {
                        return Back::Body(body);
                    }
                }
                _ => {}
            }
        }
        Back::Ended
    }

    /// Reads and answers nothing, not even a ping, until the gateway closes.
    pub(crate) async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }
}

async fn gateway(server: &str) -> Gateway {
    let server = server.to_owned();
    Gateway::start(Setup { blocks: DEMO.to_owned(), server, ..Setup::default() }).await
}

#[tokio::test]
async fn frames_that_break_the_protocol_end_the_connection_and_not_the_service() {
    let gateway = gateway("header_timeout = \"2s\"\nmax_header_bytes = \"16KiB\"").await;
    let bearer = format!("Bearer {}", gateway.token("alice"));
    let good = block(&get(READ.as_bytes(), &bearer));
    let whole = END_STREAM | END_HEADERS;
    let huge = block(&[("x", &[b'x'; 16_000])]);
    let continued = std::iter::once(frame(HEADERS, END_STREAM, 1, &good))
        .chain(std::iter::repeat_n(frame(CONTINUATION, 0, 1, &huge), 200));
    let max_window = 0x7fff_ffff_u32.to_be_bytes();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a header block that is none", frame(HEADERS, whole, 1, &[0xff; 64])),
        ("an index beyond every table", frame(HEADERS, whole, 1, &[0xbe, 0xbf, 0xc0])),
        ("a header block without end", continued.flatten().collect()),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &good)),
        ("another frame within a header block", {
            [frame(HEADERS, 0, 1, &good), frame(PING, 0, 0, &[0; 8])].concat()
        }),
        ("a stream of the server's", frame(HEADERS, whole, 2, &good)),
        ("data on a stream that is not open", frame(DATA, 0, 7, b"x")),
        ("a promise of the client's", frame(PUSH, END_HEADERS, 1, &[0, 0, 0, 2])),
        ("a window beyond its bound", frame(WINDOW, 0, 0, &max_window).repeat(2)),
        ("a window that does not grow", frame(WINDOW, 0, 0, &[0; 4])),
        ("settings of an odd length", frame(SETTINGS, 0, 0, &[0; 5])),
        ("a ping of another length", frame(PING, 0, 0, &[0; 7])),
        ("padding longer than its frame", frame(DATA, 8, 1, &[255, 0])),
    ];
    for (name, bytes) in cases {
        let mut frames = Frames::open(&gateway).await;
        frames.send(&bytes).await;
        let ended = tokio::time::timeout(SOON, frames.closed()).await;
        assert!(ended.is_ok(), "{name}: still open");
        let mut other = Frames::open(&gateway).await;
        other.request(1, &get(READ.as_bytes(), &bearer)).await;
        let answer = other.answer(1).await.json().expect("an answer");
        assert_eq!(answer["value"], "plain", "{name}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn streams_that_are_opened_and_reset_without_end_are_cut_off() {
    let gateway = gateway("").await;
    let bearer = format!("Bearer {}", gateway.token("alice"));
    let good = block(&get(READ.as_bytes(), &bearer));
    let mut frames = Frames::open(&gateway).await;
    let mut flood = Vec::new();
    for stream in (1..20_001).step_by(2) {
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &good));
        flood.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
    }
    frames.send(&flood).await;
    tokio::time::timeout(SOON, frames.closed()).await.expect("cut off");
    let mut other = Frames::open(&gateway).await;
    other.request(1, &get(READ.as_bytes(), &bearer)).await;
    assert_eq!(other.answer(1).await.json().expect("an answer")["value"], "plain");
    let opened = gateway.audit().iter().filter(|line| line["kind"] == "request.open").count();
    assert!(opened < 2000, "{opened} of 10,000 requests were begun");
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_not_kept() {
    let gateway = gateway("header_timeout = \"1s\"\nidle_timeout = \"10m\"").await;
    let bearer = format!("Bearer {}", gateway.token("alice"));
    let mut frames = Frames::open(&gateway).await;
    // A first request, or it would be ended as one that never asked for anything.
    frames.request(1, &get(READ.as_bytes(), &bearer)).await;
    assert_eq!(frames.answer(1).await.json().expect("an answer")["value"], "plain");
    tokio::time::timeout(SOON, frames.closed()).await.expect("given up");
    gateway.stop().await;
}
