//! Regions, their partitions, and the hosts of services.
//!
//! INVARIANT: a host is made of a region that this table knows and of nothing that came with a
//! request, or it is the operator's own `endpoint`.

use symbolon_plugin::Error;

use crate::config::faulty;

/// A part of AWS with accounts and names of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    /// As in an ARN.
    pub(crate) name: &'static str,
    /// Whether its hosts are below `amazonaws.com`. For another one the manifest asks for no host,
    /// so that the operator has to name the endpoint.
    common: bool,
}

/// How regions begin, longer beginnings first. Isolated partitions are not here: they are reached
/// by no public name.
const PARTITIONS: &[(&str, Partition)] = &[
    ("us-gov-", Partition { name: "aws-us-gov", common: true }),
    ("cn-", Partition { name: "aws-cn", common: false }),
    ("eusc-de-", Partition { name: "aws-eusc", common: false }),
    ("us-", COMMERCIAL),
    ("eu-", COMMERCIAL),
    ("ap-", COMMERCIAL),
    ("ca-", COMMERCIAL),
    ("sa-", COMMERCIAL),
    ("me-", COMMERCIAL),
    ("af-", COMMERCIAL),
    ("il-", COMMERCIAL),
    ("mx-", COMMERCIAL),
];

const COMMERCIAL: Partition = Partition { name: "aws", common: true };

/// What stands between the beginning of a region and its number.
const DIRECTIONS: &[&str] = &[
    "north",
    "south",
    "east",
    "west",
    "central",
    "northeast",
    "northwest",
    "southeast",
    "southwest",
];

/// The partition of a region.
pub(crate) fn partition(region: &str) -> Result<&'static Partition, Error> {
    let known = PARTITIONS.iter().find_map(|(beginning, partition)| {
        let (direction, number) = region.strip_prefix(beginning)?.rsplit_once('-')?;
        let number = number.len() == 1 && number.bytes().all(|b| matches!(b, b'1'..=b'9'));
        (number && DIRECTIONS.contains(&direction)).then_some(partition)
    });
    known.ok_or_else(|| faulty("`region` is not a region such as `eu-central-1`"))
}

/// The URL of a service in a region, or the operator's own.
pub(crate) fn url(service: &str, region: &str, endpoint: Option<&str>) -> Result<String, Error> {
    let partition = partition(region)?;
    match endpoint {
        Some(endpoint) => named(endpoint),
        None if partition.common => Ok(format!("https://{service}.{region}.amazonaws.com/")),
        None => Err(faulty(
            "`endpoint` is needed in this region: its hosts are not below amazonaws.com",
        )),
    }
}

fn named(endpoint: &str) -> Result<String, Error> {
    let base = endpoint.strip_suffix('/').unwrap_or(endpoint);
    let host = base.strip_prefix("https://").unwrap_or_default();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._:[]".contains(&b);
    match !host.is_empty() && host.bytes().all(plain) {
        true => Ok(format!("{base}/")),
        false => Err(faulty(
            "`endpoint` is not an address such as `https://vpce-1.sts.eu-central-1.vpce.amazonaws.com`",
        )),
    }
}
