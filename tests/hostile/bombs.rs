//! Answers that are made to wear out whoever reads them: compressed, endless, of a length that nobody has,
//! with heads and trailers without end, and slow.
//!
//! Nothing in the host decompresses. A compressed bomb passes as the few bytes that it is, and a
//! component that inflates it does so in its own memory.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::scene::{Row, Scene};
use super::trial::Fate::{self, Answered, Cut, Refused, Stopped};

/// One answer.
pub(crate) struct Bomb {
    /// What it is called: the backend that gets it, and its segment in the path of the request.
    pub(crate) name: &'static str,
    /// What comes first, and once.
    head: &'static str,
    then: Then,
    pub(super) fate: Fate,
}

/// What follows the head.
#[derive(Clone, Copy)]
enum Then {
    /// So many bytes, made by this.
    Once(fn() -> Vec<u8>),
    /// The same again and again, as fast as it is taken.
    Endless(fn() -> Vec<u8>),
    /// The same again and again, in small pieces and slowly.
    Slowly(&'static str),
}
use Then::{Endless, Once, Slowly};

const HEAD: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const TOO_LARGE: Fate = Cut("plugin_unavailable", 503, "egress_body_too_large");
const HEAD_TOO_LARGE: Fate = Refused("plugin_internal", 500, "egress_head_too_large");
const BROKEN: Fate = Cut("plugin_unavailable", 503, "egress_interrupted");
const TOO_MUCH_WORK: Fate = Stopped("trap_cpu", 500);
const FLOOD: Fate = Refused("plugin_internal", 500, "egress_flood");
const LATE: Fate = Stopped("plugin_deadline", 503);

impl Bomb {
    /// Every one.
    pub(crate) const ALL: &[Self] = &[
        Self::new("gzip", HEAD, Once(gzip), Answered("200 gzip 487521")),
        Self::new("deflate", HEAD, Once(deflate), Answered("200 deflate 487509")),
        Self::new("brotli", HEAD, Once(brotli), Answered("200 br 106")),
        Self::new("zstd", HEAD, Once(zstd), Answered("200 zstd 4102")),
        Self::new("gzip-endless", GZIP_CHUNKED, Endless(chunk), TOO_LARGE),
        Self::new("chunks", CHUNKED, Endless(chunk), TOO_LARGE),
        Self::new("tiny-chunks", CHUNKED, Endless(tiny_chunks), TOO_MUCH_WORK),
        Self::new("one-chunk", CHUNKED, Endless(one_chunk), TOO_LARGE),
        Self::new("chunk-extension", CHUNKED, Endless(extension), BROKEN),
        Self::new("huge-length", TERABYTE, Endless(filling), TOO_LARGE_STATED),
        Self::new("absurd-length", ABSURD, Endless(filling), NOT_HTTP),
        Self::new("no-length", CLOSING, Endless(filling), TOO_LARGE),
        Self::new("many-headers", HEAD, Once(many_headers), HEAD_TOO_LARGE),
        Self::new("huge-head-line", HEAD, Once(huge_header), HEAD_TOO_LARGE),
        Self::new("endless-head", HEAD, Endless(headers), HEAD_TOO_LARGE),
        Self::new("endless-status", "HTTP/1.1 200 ", Endless(filling), HEAD_TOO_LARGE),
        Self::new("trailers", CHUNKED, Once(trailers), BROKEN),
        Self::new("endless-trailers", CHUNKED, Endless(trailing), BROKEN),
        Self::new("informational", "", Endless(early_hints), FLOOD),
        Self::new("slow-head", HEAD, Slowly("x: y\r\n"), LATE),
        Self::new("slow-body", CHUNKED, Slowly("1\r\nx\r\n"), LATE),
    ];

    const fn new(name: &'static str, head: &'static str, then: Then, fate: Fate) -> Self {
        Self { name, head, then, fate }
    }

    /// Sends it, until nobody takes more of it.
    pub(crate) async fn send(&self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        stream.write_all(self.head.as_bytes()).await?;
        match self.then {
            Once(bytes) => stream.write_all(&bytes()).await,
            Endless(bytes) => {
                let bytes = bytes();
                loop {
                    stream.write_all(&bytes).await?;
                }
            }
            Slowly(piece) => loop {
                stream.write_all(piece.as_bytes()).await?;
                // Not a wait of the test: it is what the server does.
                tokio::time::sleep(Duration::from_millis(50)).await;
            },
        }
    }
}

const GZIP_CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n";
const TERABYTE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1099511627776\r\n\r\n";
const ABSURD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\n";
const CLOSING: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
const TOO_LARGE_STATED: Fate = Refused("plugin_internal", 500, "egress_body_too_large");
const NOT_HTTP: Fate = Refused("plugin_internal", 500, "egress_protocol");

/// An answer in this coding, after its status line.
fn encoded(coding: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "connection: close\r\ncontent-encoding: {coding}\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn gzip() -> Vec<u8> {
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    encoded("gzip", &[&head[..], &deflated(), &[0; 8]].concat())
}

fn deflate() -> Vec<u8> {
    encoded("deflate", &[&[0x78, 0x01], &deflated()[..], &[0; 4]].concat())
}

/// 77 MB of zeros in the fixed code of RFC 1951: a zero, and 300,000 copies of 258 bytes at 13 bits each.
fn deflated() -> Vec<u8> {
    let begin = "11000110000";
    let copy = "1100010100000";
    let bits: Vec<u8> = [begin, &copy.repeat(300_000), "0000000"].concat().into_bytes();
    let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | (bit - b'0'));
    bits.chunks(8).map(byte).collect()
}

/// 64 MiB of zeros, as node's zlib makes of them.
fn brotli() -> Vec<u8> {
    const BODY: &str = "cbffff3ff82700e2b14020f7fe8fffff7ff04f00c4611180eefd1fffffffe09f0088c30200ddfb3ffe\
        ffffc13f0110870500baf77ffcffff837f02200e0b0074effff8ffff07ff04401c1600e8defff1ffff0ffe0980382c00\
        d0bdffcbffff3ffc1300715800a07bff07";
    let digit =
        |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| pair.iter().fold(0, |byte, hex| byte << 4 | digit(*hex).expect("hex"));
    encoded("br", &BODY.as_bytes().chunks(2).map(byte).collect::<Vec<_>>())
}

/// 128 MiB of zeros: 1024 blocks of RFC 8878 that are one byte repeated.
fn zstd() -> Vec<u8> {
    let head = [0x28, 0xb5, 0x2f, 0xfd, 0, 0x88];
    let (block, last) = ([0x02, 0, 0x10, 0], [0x03, 0, 0x10, 0]);
    encoded("zstd", &[&head[..], &block.repeat(1023), &last].concat())
}

fn chunk() -> Vec<u8> {
    [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat()
}

/// A byte each: taking them one by one costs more than there is for the whole.
fn tiny_chunks() -> Vec<u8> {
    b"1\r\nx\r\n".repeat(4096)
}

/// A chunk that says it is longer than anything, again and again: after the first it is its content.
fn one_chunk() -> Vec<u8> {
    b"fffffffffffffff\r\n".repeat(4096)
}

/// What may follow the length of a chunk, and here never ends.
fn extension() -> Vec<u8> {
    [b"5;".as_slice(), &[b'x'; 0x10000]].concat()
}

fn filling() -> Vec<u8> {
    vec![b'x'; 0x10000]
}

/// One more than are read, and small in all.
fn many_headers() -> Vec<u8> {
    [headers_of(101).as_bytes(), b"content-length: 0\r\n\r\n"].concat()
}

fn huge_header() -> Vec<u8> {
    format!("x: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(1 << 20)).into_bytes()
}

fn headers() -> Vec<u8> {
    headers_of(100).into_bytes()
}

fn headers_of(count: usize) -> String {
    (0..count).map(|number| format!("x-{number}: y\r\n")).collect()
}

/// A whole body, and a mebibyte of trailers.
fn trailers() -> Vec<u8> {
    format!("5\r\nhello\r\n0\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)).into_bytes()
}

/// Trailers, behind an end of the body that is a trailer itself from the second time on.
fn trailing() -> Vec<u8> {
    format!("0\r\n{}", headers_of(1000)).into_bytes()
}

fn early_hints() -> Vec<u8> {
    b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(1024)
}

#[tokio::test]
async fn every_bomb_of_an_upstream_is_ended_by_its_limit() {
    let scene = Scene::start().await;
    let row = |bomb: &Bomb| Row { backend: bomb.name, path: "take".to_owned(), fate: bomb.fate };
    scene.walk(Bomb::ALL.iter().map(row)).await;
    scene.gateway.stop().await;
}
