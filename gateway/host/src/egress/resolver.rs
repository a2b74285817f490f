//! Names to addresses.
//!
//! The resolver only answers; [`check_all`] decides. It refuses the lot if any one address is
//! refused: a name that points at the public and at the inside at once is a mistake or an attack,
//! and dialling only the good one would make the outcome depend on the order of the answer.

use std::fmt;
use std::io;
use std::net::IpAddr;

use ipnet::IpNet;

use super::BoxFuture;
use super::address::{self, Checked};
use super::error::EgressError;

/// Most addresses of one name that are considered; a longer answer is cut after all were checked.
const MAX_DIALLED: usize = 4;

/// Where addresses come from.
pub trait Resolver: Send + Sync + fmt::Debug {
    /// Every address of `name`. Called under a deadline; may be dropped at any time.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver: `/etc/hosts`, then DNS, as the machine is set up.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Checks every address against the networks that a grant names.
pub(super) fn check_all(found: &[IpAddr], granted: &[IpNet]) -> Result<Vec<Checked>, EgressError> {
    let check = |address: &IpAddr| {
        address::check(*address, granted)
            .map_err(|class| EgressError::AddressRefused { address: *address, class })
    };
    let mut checked = found.iter().map(check).collect::<Result<Vec<_>, _>>()?;
    checked.truncate(MAX_DIALLED);
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_refused_address_refuses_the_lot_wherever_it_stands() {
        let public: IpAddr = "1.1.1.1".parse().unwrap();
        let private: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(check_all(&[public; 6], &[]).unwrap().len(), MAX_DIALLED);
        for found in [
            vec![public, private],
            vec![private, public],
            [vec![public; 9], vec![private]].concat(),
        ] {
            let refused = check_all(&found, &[]).unwrap_err();
            assert!(
                matches!(refused, EgressError::AddressRefused { address, .. } if address == private)
            );
        }
    }
}
