//! Signals that come when nobody expects them, and a stop that something stands in the way of.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use symbolon_tests::harness::{Gateway, Setup};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use super::gate;
use crate::attacks::DEMO;
use crate::attacks::wire::{closed, request};
use crate::hostile::upstream::Upstream;
use symbolon_tests::harness::process::{Home, Running};

/// A process that has begun to read its configuration and gets it when it has been signalled.
/// What it finds at that path later is `after`.
async fn signalled_while_it_starts(home: &Home, signal: Signal, after: &str) -> Running {
    let file = home.path().join("symbolon.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    mknodat(CWD, &file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut running = home.spawn();
    let mut pipe = writer(&file).await;
    running.signal(signal);
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, text.replace("\"plain\"", after)).unwrap();
    pipe.write_all(text.as_bytes()).unwrap();
    running
}

/// Opens as soon as somebody reads, and not before.
async fn writer(pipe: &Path) -> std::fs::File {
    let pipe = pipe.to_owned();
    let opening =
        tokio::task::spawn_blocking(move || OpenOptions::new().write(true).open(pipe).unwrap());
    tokio::time::timeout(Duration::from_secs(30), opening).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_while_it_starts_is_obeyed_when_it_runs() {
    let home = Home::new("");
    let mut running = signalled_while_it_starts(&home, Signal::HUP, "\"changed\"").await;
    running.ready().await;
    let token = home.token();
    let reloaded = async {
        while running.read(&token, "demo/app/text").await.unwrap().2 != "changed" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reloaded).await.unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_while_it_starts_it_ends_in_order() {
    let home = Home::new("");
    let mut running = signalled_while_it_starts(&home, Signal::TERM, "\"plain\"").await;
    assert_eq!(running.ended().await.code(), Some(0), "{}", running.log());
    assert!(!home.path().join("admin.sock").exists(), "the socket was left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_hangs_does_not_keep_the_gateway_from_stopping() {
    let upstream = Upstream::start().await;
    let server = "drain_timeout = \"500ms\"".to_owned();
    let setup = Setup { blocks: DEMO.to_owned(), server, ..Setup::default() };
    let gateway = Gateway::start(setup).await;
    let file = gateway.directory.path().join("symbolon.toml");
    // The check of the new backend waits for its upstream.
    let waiting = gate(upstream.address.port())
        .replace("config = {", "limits = { timeout = \"60s\" }\nconfig = { at_check = \"fetch\",");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n{waiting}")).unwrap();
    let mut caller =
        UnixStream::connect(gateway.directory.path().join("admin.sock")).await.unwrap();
    caller.write_all(&request("POST", "/v1/reload", &[], "")).await.unwrap();
    upstream.reached(1).await;
    // The check alone may take ten seconds.
    tokio::time::timeout(Duration::from_secs(6), gateway.stop()).await.unwrap();
    // Whoever waits is cut off, or told that the audit log is closed; nothing is answered without it.
    let said = closed(&mut caller).await;
    let said = String::from_utf8_lossy(&said);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 503 "), "{said}");
    upstream.open_gate();
}
