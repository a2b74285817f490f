//! The PROXY protocol, version 2: who is really there, told by a load balancer that we trust.
//!
//! Only peers named in the configuration may send the header, and they must: a header that is
//! optional lets anyone who reaches the port choose an address.
//! <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use ppp::v2::{Addresses, Command, Header};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest header we take: the fixed part and 520 bytes of addresses and extensions.
const MAX_BYTES: usize = 536;
/// Length of the fixed part.
const FIXED_BYTES: usize = 16;

/// The header is missing, malformed or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the PROXY header is missing, malformed or too long")]
pub(super) struct ProxyError;

/// Whether `peer` is one of `networks`.
pub(super) fn is_within(networks: &[IpNet], peer: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&peer.to_canonical()))
}

/// Reads the header and gives the address of the client; that of the proxy itself for the health
/// checks it makes on its own behalf (`LOCAL`).
pub(super) async fn read_header<S: AsyncRead + Unpin>(
    stream: &mut S,
    peer: SocketAddr,
) -> Result<SocketAddr, ProxyError> {
    let mut bytes = vec![0; FIXED_BYTES];
    stream.read_exact(&mut bytes).await.map_err(|_| ProxyError)?;
    let length = match bytes.get(14..16) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => return Err(ProxyError),
    };
    if FIXED_BYTES + length > MAX_BYTES || !bytes.starts_with(ppp::v2::PROTOCOL_PREFIX) {
        return Err(ProxyError);
    }
    bytes.resize(FIXED_BYTES + length, 0);
    let rest = bytes.get_mut(FIXED_BYTES..).ok_or(ProxyError)?;
    stream.read_exact(rest).await.map_err(|_| ProxyError)?;
    client_of(&Header::try_from(bytes.as_slice()).map_err(|_| ProxyError)?, peer)
}

fn client_of(header: &Header<'_>, peer: SocketAddr) -> Result<SocketAddr, ProxyError> {
    match (header.command, header.addresses) {
        (Command::Local, _) => Ok(peer),
        (Command::Proxy, Addresses::IPv4(a)) => Ok((a.source_address, a.source_port).into()),
        (Command::Proxy, Addresses::IPv6(a)) => Ok((a.source_address, a.source_port).into()),
        (Command::Proxy, Addresses::Unspecified | Addresses::Unix(_)) => Err(ProxyError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ppp::v2::{Builder, Protocol, Version};

    const PEER: &str = "10.0.0.9:1000";

    async fn read(bytes: &[u8]) -> Result<SocketAddr, ProxyError> {
        read_header(&mut &*bytes, PEER.parse().unwrap()).await
    }

    fn header(command: Command) -> Vec<u8> {
        let client: SocketAddr = "192.0.2.1:4711".parse().unwrap();
        let gateway: SocketAddr = "10.0.0.1:443".parse().unwrap();
        let first = Version::Two | command;
        Builder::with_addresses(first, Protocol::Stream, (client, gateway)).build().unwrap()
    }

    #[tokio::test]
    async fn the_client_is_who_the_proxy_names() {
        assert_eq!(read(&header(Command::Proxy)).await, Ok("192.0.2.1:4711".parse().unwrap()));
        assert_eq!(read(&header(Command::Local)).await, Ok(PEER.parse().unwrap()));
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let mut cut = header(Command::Proxy);
        cut.pop();
        let mut long = header(Command::Proxy);
        long[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
        let text = b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n".to_vec();
        for bytes in [vec![], cut, long, text, b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
            assert_eq!(read(&bytes).await, Err(ProxyError));
        }
    }
}
