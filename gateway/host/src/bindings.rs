//! The contract as Rust types, generated from `wit/0.1.0`.
//!
//! The world `everything` is generated, and none of its all-or-nothing instantiation is used: a
//! plugin exports what it has, and the host finds that out from the component's exports, interface
//! by interface. [`typecheck`] is where a component's idea of an interface is held against the
//! host's, once, at admission: WIT types are closed, so one case too many is refused there and not
//! at the first call.

use wasmtime::component::{Instance, InstancePre};

use crate::manifest::Interface;
use crate::state::State;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1.0",
        world: "everything",
        imports: {
            "symbolon:plugin/sql": async,
        },
    });
}

pub(crate) use generated::exports::symbolon::plugin as guest;
pub(crate) use generated::symbolon::plugin::{config, log, sql, types};

/// Holds the types of the `interface` that `instance` exports against the contract.
pub(crate) fn typecheck(
    interface: Interface,
    pre: &InstancePre<State>,
    store: &mut wasmtime::Store<State>,
    instance: &Instance,
) -> wasmtime::Result<()> {
    macro_rules! check {
        ($module:ident) => {
            guest::$module::GuestIndices::new(pre)?.load(store, instance).map(drop)
        };
    }
    match interface {
        Interface::Describe => check!(describe),
        Interface::Check => check!(check),
        Interface::Secrets => check!(secrets),
        Interface::Credentials => check!(credentials),
        Interface::Exchange => check!(exchange),
        Interface::Rotate => check!(rotate),
    }
}
