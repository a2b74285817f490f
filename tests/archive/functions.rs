//! Not a function more or less: a component that has a new one of an old interface would be refused by
//! a host of the same version, also where the host gives it and old components do not mind.

use std::collections::BTreeSet;

use wit_parser::Resolve;

use super::make::contract;
use super::{archived, decoded, versions};

/// Every function of the contract's interfaces, as `interface#function`.
fn functions(resolve: &Resolve) -> BTreeSet<String> {
    let named = resolve.interfaces.iter().filter_map(|(id, interface)| {
        let name = resolve.id_of(id)?;
        name.starts_with("symbolon:plugin/").then_some((name, interface))
    });
    let all = named.flat_map(|(name, interface)| {
        interface.functions.keys().map(move |function| format!("{name}#{function}"))
    });
    all.collect()
}

#[test]
fn the_functions_of_a_contract_are_those_of_its_archive() {
    for version in versions() {
        let texts = archived(&version);
        let used: BTreeSet<_> =
            texts.iter().flat_map(|(_, text)| functions(&decoded(text).0)).collect();
        let (resolve, _) = contract(&version);
        assert_eq!(functions(&resolve), used, "{version}: the contract and its archive");
    }
}
