//! The contract as Rust, one world an interface, so that a plugin exports what it has and no more.
//!
//! Not for plugins to name: what they need is re-exported at the top of the crate. The macros in
//! here are reached through [`export!`](crate::export).
//!
//! INVARIANT: all modules share the records of `base`, so that there is one `Error`, one `Context`.

pub mod base {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        world: "base",
        pub_export_macro: true,
        export_macro_name: "export_base",
        default_bindings_module: "symbolon_plugin::bindings::base",
    });
}

pub mod sql {
    wit_bindgen::generate!({
        inline: "package symbolon:sdk; world with-sql { import symbolon:plugin/sql@0.1.0; }",
        path: "../../wit/0.1.0",
        with: { "symbolon:plugin/types@0.1.0": crate::bindings::base::symbolon::plugin::types },
        generate_all,
    });
}

pub mod secrets {
    wit_bindgen::generate!({
        inline: "package symbolon:sdk; world with-secrets { export symbolon:plugin/secrets@0.1.0; }",
        path: "../../wit/0.1.0",
        with: { "symbolon:plugin/types@0.1.0": crate::bindings::base::symbolon::plugin::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_secrets",
        default_bindings_module: "symbolon_plugin::bindings::secrets",
    });
}

pub mod credentials {
    wit_bindgen::generate!({
        inline: "package symbolon:sdk; world with-credentials { export symbolon:plugin/credentials@0.1.0; }",
        path: "../../wit/0.1.0",
        with: { "symbolon:plugin/types@0.1.0": crate::bindings::base::symbolon::plugin::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_credentials",
        default_bindings_module: "symbolon_plugin::bindings::credentials",
    });
}

pub mod exchange {
    wit_bindgen::generate!({
        inline: "package symbolon:sdk; world with-exchange { export symbolon:plugin/exchange@0.1.0; }",
        path: "../../wit/0.1.0",
        with: { "symbolon:plugin/types@0.1.0": crate::bindings::base::symbolon::plugin::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_exchange",
        default_bindings_module: "symbolon_plugin::bindings::exchange",
    });
}

pub mod rotate {
    wit_bindgen::generate!({
        inline: "package symbolon:sdk; world with-rotate { export symbolon:plugin/rotate@0.1.0; }",
        path: "../../wit/0.1.0",
        with: { "symbolon:plugin/types@0.1.0": crate::bindings::base::symbolon::plugin::types },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_rotate",
        default_bindings_module: "symbolon_plugin::bindings::rotate",
    });
}
