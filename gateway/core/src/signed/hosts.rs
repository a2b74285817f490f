//! The endpoints of STS, as data: no part of a host's name ever comes from a request.

/// One endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: &'static str,
    pub(super) region: &'static str,
    pub(super) partition: &'static str,
}

/// The partitions: separate clouds, each with accounts of its own.
pub const PARTITIONS: [&str; 3] = ["aws", "aws-cn", "aws-us-gov"];

const fn host(name: &'static str, region: &'static str) -> Host {
    Host { name, region, partition: "aws" }
}

/// Every endpoint (AWS General Reference, "AWS Security Token Service endpoints").
pub(super) const HOSTS: [Host; 43] = [
    host("sts.amazonaws.com", "us-east-1"),
    host("sts.us-east-1.amazonaws.com", "us-east-1"),
    host("sts.us-east-2.amazonaws.com", "us-east-2"),
    host("sts.us-west-1.amazonaws.com", "us-west-1"),
    host("sts.us-west-2.amazonaws.com", "us-west-2"),
    host("sts-fips.us-east-1.amazonaws.com", "us-east-1"),
    host("sts-fips.us-east-2.amazonaws.com", "us-east-2"),
    host("sts-fips.us-west-1.amazonaws.com", "us-west-1"),
    host("sts-fips.us-west-2.amazonaws.com", "us-west-2"),
    host("sts.af-south-1.amazonaws.com", "af-south-1"),
    host("sts.ap-east-1.amazonaws.com", "ap-east-1"),
    host("sts.ap-east-2.amazonaws.com", "ap-east-2"),
    host("sts.ap-northeast-1.amazonaws.com", "ap-northeast-1"),
    host("sts.ap-northeast-2.amazonaws.com", "ap-northeast-2"),
    host("sts.ap-northeast-3.amazonaws.com", "ap-northeast-3"),
    host("sts.ap-south-1.amazonaws.com", "ap-south-1"),
    host("sts.ap-south-2.amazonaws.com", "ap-south-2"),
    host("sts.ap-southeast-1.amazonaws.com", "ap-southeast-1"),
    host("sts.ap-southeast-2.amazonaws.com", "ap-southeast-2"),
    host("sts.ap-southeast-3.amazonaws.com", "ap-southeast-3"),
    host("sts.ap-southeast-4.amazonaws.com", "ap-southeast-4"),
    host("sts.ap-southeast-5.amazonaws.com", "ap-southeast-5"),
    host("sts.ap-southeast-6.amazonaws.com", "ap-southeast-6"),
    host("sts.ap-southeast-7.amazonaws.com", "ap-southeast-7"),
    host("sts.ca-central-1.amazonaws.com", "ca-central-1"),
    host("sts.ca-west-1.amazonaws.com", "ca-west-1"),
    host("sts.eu-central-1.amazonaws.com", "eu-central-1"),
    host("sts.eu-central-2.amazonaws.com", "eu-central-2"),
    host("sts.eu-north-1.amazonaws.com", "eu-north-1"),
    host("sts.eu-south-1.amazonaws.com", "eu-south-1"),
    host("sts.eu-south-2.amazonaws.com", "eu-south-2"),
    host("sts.eu-west-1.amazonaws.com", "eu-west-1"),
    host("sts.eu-west-2.amazonaws.com", "eu-west-2"),
    host("sts.eu-west-3.amazonaws.com", "eu-west-3"),
    host("sts.il-central-1.amazonaws.com", "il-central-1"),
    host("sts.me-central-1.amazonaws.com", "me-central-1"),
    host("sts.me-south-1.amazonaws.com", "me-south-1"),
    host("sts.mx-central-1.amazonaws.com", "mx-central-1"),
    host("sts.sa-east-1.amazonaws.com", "sa-east-1"),
    Host { name: "sts.cn-north-1.amazonaws.com.cn", region: "cn-north-1", partition: "aws-cn" },
    Host {
        name: "sts.cn-northwest-1.amazonaws.com.cn",
        region: "cn-northwest-1",
        partition: "aws-cn",
    },
    Host {
        name: "sts.us-gov-west-1.amazonaws.com",
        region: "us-gov-west-1",
        partition: "aws-us-gov",
    },
    Host {
        name: "sts.us-gov-east-1.amazonaws.com",
        region: "us-gov-east-1",
        partition: "aws-us-gov",
    },
];

/// The hosts of a partition.
pub fn hosts_of(partition: &str) -> impl Iterator<Item = &'static str> {
    HOSTS.iter().filter(move |host| host.partition == partition).map(|host| host.name)
}
