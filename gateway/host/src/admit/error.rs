//! Why a component is refused: the step, the reason and the fix, for the operator.

use std::fmt;

use symbolon_core::id::{KeyName, PluginName};

use crate::compiler::CompileLimit;
use crate::manifest::{CONTRACT, Interface, SECTION};

/// Why a component is refused. Its text is `step: reason; fix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdmitError {
    /// Too large.
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The cap.
        max: usize,
    },
    /// A signature file that breaks a rule.
    Signatures(String),
    /// A signature file of other bytes.
    SignedElse,
    /// A signature that names a configured key and is not by it.
    SignatureWrong(KeyName),
    /// Too few keys have signed it.
    NotEndorsed {
        /// Who it says it is.
        name: PluginName,
        /// The keys that signed it and count for this name.
        signed_by: Vec<KeyName>,
        /// What is demanded.
        wanted: String,
    },
    /// Without a signature, and not named among those that may be.
    Unsigned(PluginName),
    /// The manifest is another than the one that was signed for.
    SignedAs(&'static str),
    /// A core module.
    CoreModule,
    /// Not a component at all.
    NotComponent(String),
    /// Not exactly one manifest.
    Manifests(usize),
    /// A manifest that breaks a rule.
    Manifest(String),
    /// Built for another version of the contract.
    Contract {
        /// The version it was built for.
        found: String,
    },
    /// Imports what is not given.
    Import {
        /// The import.
        import: String,
        /// Why not.
        reason: String,
    },
    /// Lacks an interface that every plugin exports.
    Missing(Interface),
    /// Does not compile.
    Compile(String),
    /// Takes more to compile than it may.
    CompileLimit(CompileLimit),
    /// Cannot be compiled by anybody: there is no compiler.
    Compiler(String),
    /// Imports are there but do not fit.
    Link(String),
    /// An exported interface differs from the contract.
    Types {
        /// The interface.
        interface: Interface,
        /// How.
        reason: String,
    },
    /// The smoke call failed.
    Smoke(String),
    /// `describe` says something else than the manifest.
    Differs(&'static str),
}

impl AdmitError {
    pub(crate) fn manifest(reason: impl Into<String>) -> Self {
        Self::Manifest(reason.into())
    }

    /// The audit code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "plugin_too_large",
            Self::Signatures(_) => "plugin_signature_file",
            Self::SignedElse => "plugin_signature_digest",
            Self::SignatureWrong(_) => "plugin_signature_wrong",
            Self::NotEndorsed { .. } => "plugin_not_endorsed",
            Self::Unsigned(_) => "plugin_unsigned",
            Self::SignedAs(_) => "plugin_signed_as_another",
            Self::CoreModule => "plugin_core_module",
            Self::NotComponent(_) => "plugin_not_component",
            Self::Manifests(_) => "plugin_manifest_count",
            Self::Manifest(_) => "plugin_manifest",
            Self::Contract { .. } => "plugin_contract",
            Self::Import { .. } => "plugin_import",
            Self::Missing(_) => "plugin_export_missing",
            Self::Compile(_) => "plugin_compile",
            Self::CompileLimit(limit) => limit.code(),
            Self::Compiler(_) => "plugin_compiler",
            Self::Link(_) => "plugin_link",
            Self::Types { .. } => "plugin_types",
            Self::Smoke(_) => "plugin_smoke",
            Self::Differs(_) => "plugin_describe_differs",
        }
    }

    /// The step of admission that refuses.
    #[must_use]
    pub const fn step(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "size",
            Self::Signatures(_)
            | Self::SignedElse
            | Self::SignatureWrong(_)
            | Self::NotEndorsed { .. }
            | Self::Unsigned(_)
            | Self::SignedAs(_) => "signature",
            Self::CoreModule | Self::NotComponent(_) => "parse",
            Self::Manifests(_) | Self::Manifest(_) => "manifest",
            Self::Contract { .. } => "contract",
            Self::Import { .. } => "imports",
            Self::Missing(_) => "exports",
            Self::Compile(_) | Self::CompileLimit(_) | Self::Compiler(_) => "compile",
            Self::Link(_) => "link",
            Self::Types { .. } => "types",
            Self::Smoke(_) | Self::Differs(_) => "smoke call",
        }
    }

    /// Why it refuses.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::TooLarge { bytes, max } => {
                format!("{bytes} bytes, and at most {max} are admitted")
            }
            Self::Signatures(reason) => format!("the signature file cannot be read: {reason}"),
            Self::SignedElse => "the signature file is of another component".to_owned(),
            Self::SignatureWrong(key) => {
                format!("a signature names the key `{key}` and is not by it")
            }
            Self::NotEndorsed { name, signed_by, wanted } => {
                format!("`{name}` is signed by {}, and {wanted} is demanded", listed(signed_by))
            }
            Self::Unsigned(name) => format!("`{name}` is not signed"),
            Self::SignedAs(field) => format!("its manifest has another `{field}` than was signed"),
            Self::CoreModule => "this is a core module, not a component".to_owned(),
            Self::NotComponent(reason) => {
                format!("this is not a WebAssembly component: {reason}")
            }
            Self::Manifests(count) => {
                format!("{count} custom sections `{SECTION}`, and exactly one is needed")
            }
            Self::Manifest(reason) | Self::Compile(reason) | Self::Link(reason) => reason.clone(),
            Self::CompileLimit(limit) => format!("compiling it takes more than {limit}"),
            Self::Compiler(reason) => format!("it cannot be compiled here: {reason}"),
            Self::Contract { found } => {
                format!("built for {found}, and this host speaks {CONTRACT}")
            }
            Self::Import { import, reason } => format!("`{import}` is not linked: {reason}"),
            Self::Missing(interface) => {
                format!("`{}` is missing; every plugin exports it", interface.export())
            }
            Self::Types { interface, reason } => {
                format!("`{}` differs from contract {CONTRACT}: {reason}", interface.export())
            }
            Self::Smoke(reason) => format!("`describe` failed: {reason}"),
            Self::Differs(field) => format!("`describe` and the manifest differ in `{field}`"),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "strip debug sections",
            Self::Signatures(_) | Self::SignedElse => {
                "sign the component again with `symbolon plugin sign`, into a new file"
            }
            Self::SignatureWrong(_) => {
                "do not use this component; get it and its signatures anew from who made it"
            }
            Self::NotEndorsed { .. } => {
                "have it signed by those keys, or change `[plugins.signatures]` or the key's `plugins`"
            }
            Self::Unsigned(_) => "sign it, or name it in `plugins.unsigned` if it may be unsigned",
            Self::SignedAs(_) => "sign what was built, or build what was signed",
            Self::CoreModule => "encode it with `wasm-tools component new`",
            Self::NotComponent(_) => "build it again, and copy it whole",
            Self::Manifests(_) => "build with the plugin SDK",
            Self::Manifest(_) => "correct it and build again",
            Self::Contract { .. } => "build with the matching SDK or use a matching gateway",
            Self::Import { .. } => "build without it",
            Self::Missing(_) => "export it, which the plugin SDK does",
            Self::Compile(_) => "build it again with a current toolchain, smaller or simpler",
            Self::CompileLimit(_) => {
                "build it smaller or simpler, or raise `plugins.compile` if you trust who made it"
            }
            Self::Compiler(_) => "start the gateway anew, and look into its log if that is no help",
            Self::Link(_) | Self::Types { .. } => "build with the matching SDK",
            Self::Smoke(_) => "make `describe` answer from constants alone",
            Self::Differs(_) => "build both from one source",
        }
    }
}

fn listed(keys: &[KeyName]) -> String {
    if keys.is_empty() {
        return "no key that counts for it".to_owned();
    }
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for AdmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.step(), self.reason(), self.fix())
    }
}

impl std::error::Error for AdmitError {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// One of the variant after that of `error`: a new variant does not compile until it is here.
    fn next(error: &AdmitError) -> Option<AdmitError> {
        let (text, name) = (|| "something".to_owned(), PluginName::parse("vault").unwrap());
        let key = KeyName::parse("ours").unwrap();
        let interface = Interface::Check;
        Some(match error {
            AdmitError::TooLarge { .. } => AdmitError::Signatures(text()),
            AdmitError::Signatures(_) => AdmitError::SignedElse,
            AdmitError::SignedElse => AdmitError::SignatureWrong(key),
            AdmitError::SignatureWrong(_) => {
                AdmitError::NotEndorsed { name, signed_by: vec![key], wanted: text() }
            }
            AdmitError::NotEndorsed { .. } => AdmitError::Unsigned(name),
            AdmitError::Unsigned(_) => AdmitError::SignedAs("name"),
            AdmitError::SignedAs(_) => AdmitError::CoreModule,
            AdmitError::CoreModule => AdmitError::NotComponent(text()),
            AdmitError::NotComponent(_) => AdmitError::Manifests(2),
            AdmitError::Manifests(_) => AdmitError::Manifest(text()),
            AdmitError::Manifest(_) => AdmitError::Contract { found: text() },
            AdmitError::Contract { .. } => AdmitError::Import { import: text(), reason: text() },
            AdmitError::Import { .. } => AdmitError::Missing(interface),
            AdmitError::Missing(_) => AdmitError::Compile(text()),
            AdmitError::Compile(_) => AdmitError::CompileLimit(CompileLimit::Stack),
            AdmitError::CompileLimit(_) => AdmitError::Compiler(text()),
            AdmitError::Compiler(_) => AdmitError::Link(text()),
            AdmitError::Link(_) => AdmitError::Types { interface, reason: text() },
            AdmitError::Types { .. } => AdmitError::Smoke(text()),
            AdmitError::Smoke(_) => AdmitError::Differs("name"),
            AdmitError::Differs(_) => return None,
        })
    }

    #[test]
    fn every_refusal_says_step_reason_and_fix() {
        let first = AdmitError::TooLarge { bytes: 2, max: 1 };
        let all: Vec<_> = std::iter::successors(Some(first), next).collect();
        let codes: BTreeSet<_> = all.iter().map(AdmitError::code).collect();
        assert_eq!(codes.len(), all.len(), "each has a code of its own");
        for error in all {
            let (step, reason, fix) = (error.step(), error.reason(), error.fix());
            assert_eq!(error.to_string(), format!("{step}: {reason}; {fix}"));
            assert!(!step.is_empty() && !reason.is_empty() && fix.len() > 5, "{error:?}");
            assert!(!error.to_string().ends_with('.'), "{error}");
        }
    }
}
