use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::*;

/// Says hello, and remembers what went wrong.
#[derive(Default)]
struct Hello(Mutex<Vec<Fault>>);

impl Handler for Hello {
    async fn handle(self: Arc<Self>, _: Arrival) -> Response {
        Response::new(Full::new(Bytes::from_static(b"hello")))
    }

    async fn failed(&self, _: Peer, _: Failure) -> Response {
        Response::new(Full::new(Bytes::new()))
    }

    fn fault(&self, _: Option<IpAddr>, fault: Fault) {
        self.0.lock().unwrap().push(fault);
    }
}

fn settings(places: Places) -> Arc<Settings> {
    let second = Duration::from_secs(1);
    let limits = Limits {
        handshake_timeout: 10 * second,
        header_timeout: 10 * second,
        idle_timeout: 10 * second,
        body_timeout: 10 * second,
        request_timeout: 10 * second,
        max_header_bytes: 16 << 10,
        max_body_bytes: 16 << 10,
    };
    let (proxy_protocol_from, forwarded_from) = (Vec::new(), Vec::new());
    let drain_timeout = second;
    Arc::new(Settings { limits, places, proxy_protocol_from, forwarded_from, drain_timeout })
}

/// What a listener says to one request on a new connection, which is kept.
async fn ask(address: SocketAddr) -> (TcpStream, usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut said = [0; 1024];
    let length = stream.read(&mut said).await.unwrap_or_default();
    (stream, length)
}

#[tokio::test]
async fn a_source_is_counted_over_all_listeners() {
    let (settings, handler) = (settings(Places::new(16, 1, 2)), Arc::new(Hello::default()));
    let (stop, mut running, mut addresses) = (CancellationToken::new(), JoinSet::new(), Vec::new());
    for _ in 0..2 {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(tcp.local_addr().unwrap());
        let (settings, handler) = (settings.clone(), handler.clone());
        running.spawn(Listener { tcp, tls: None, settings, handler }.run(stop.clone()));
    }
    let (first, said) = ask(addresses[0]).await;
    assert!(said > 0, "the first connection is served");
    let (_, said) = ask(addresses[1]).await;
    assert_eq!(said, 0, "the other listener has no place for the same source");
    assert_eq!(*handler.0.lock().unwrap(), [Fault::Crowded]);
    drop(first);
    stop.cancel();
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn places_are_common_and_come_back() {
    let places = Places::new(2, 1, 2);
    let other = places.clone();
    let (one, _two) = (places.take().await, other.take().await);
    assert!(futures_util::poll!(std::pin::pin!(places.take())).is_pending());
    drop(one);
    assert!(futures_util::poll!(std::pin::pin!(other.take())).is_ready());
    let starving = Places::new(1, 1, 3);
    let each = (starving.take().await, starving.take().await, starving.take().await);
    assert!(each.0.is_some() && each.1.is_some() && each.2.is_some(), "one for each listener");
}
