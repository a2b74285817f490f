//! The checks: one name each, what it proves, and what to do when it fails.

use serde::Serialize;

use crate::misbehaviour::Misbehaviour;

/// What a check is called, what it proves, what to do.
type About = (&'static str, &'static str, &'static str);

macro_rules! checks {
    ($($(#[$doc:meta])+ $check:ident = $about:expr;)+) => {
        /// One thing that is proven of a plugin.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Check {
            $($(#[$doc])+ $check,)+
            /// One way in which the upstream misbehaves.
            Upstream(Misbehaviour),
        }

        /// Those that are not about a misbehaviour.
        const PLAIN: &[Check] = &[$(Check::$check),+];

        impl Check {
            const fn about(self) -> About {
                match self {
                    $(Self::$check => $about,)+
                    Self::Upstream(of) => (of.name(), of.proves(), of.help()),
                }
            }
        }
    };
}

checks! {
    /// The host takes the component.
    Admission = (
        "admission",
        "the host takes the component, and `describe` equals the manifest",
        "build with the SDK; `symbolon plugin inspect FILE` shows what the host sees",
    );
    /// The component accepts the script's configurations.
    ConfigAccepted = (
        "config-accepted",
        "`validate` takes the configuration of every backend of the script",
        "correct the script's configuration, or `validate`",
    );
    /// Every key of the schema has a description.
    ConfigDescribed = (
        "config-described",
        "the schema is one of an object that allows no other keys, and describes each",
        "write a `description` for it in the manifest's `config_schema`",
    );
    /// Every key of the schema is set somewhere in the script, and no other.
    ConfigCovered = (
        "config-covered",
        "every key of the schema is set in some backend that `validate` takes, and no other",
        "add a backend to the script that sets it, or take it out of the schema",
    );
    /// A configuration without a required key is refused.
    ConfigRequired = (
        "config-required",
        "`validate` refuses a configuration without a key that the schema requires",
        "answer `invalid-config` for it",
    );
    /// A configuration or role with an unknown key is refused.
    ConfigUnknown = (
        "config-unknown",
        "`validate` refuses a configuration or role with a key that nobody knows",
        "deny unknown keys when the configuration is parsed (`deny_unknown_fields`), and parse every role in `validate`",
    );
    /// The script has what each exported interface needs.
    Coverage = (
        "coverage",
        "the script has cases for everything that the component exports",
        "add the case to the script",
    );
    /// The plugin asks and answers as the script says.
    Cases = (
        "cases",
        "the plugin sends the requests of the script, in order and no others, and answers what it expects",
        "correct the plugin, or the script",
    );
    /// The same question has the same answer.
    Deterministic = (
        "deterministic",
        "the same question to the same upstream has the same answer",
        "sort what comes out of a hash map; take no randomness into answers",
    );
    /// Pages of a listing do not overlap.
    Paging = (
        "paging",
        "a page begins where the one before it ended, and repeats nothing",
        "hand on the backend's cursor in `next`",
    );
    /// A call that ended something succeeds again when there is nothing left to end.
    RevokeTwice = (
        "revoke-twice",
        "ending what is ended already is a success",
        "take \"not there\" for success in `revoke`",
    );
    /// What never was is ended with success.
    RevokeAbsent = (
        "revoke-absent",
        "ending what never was, known by its reservation alone, is a success",
        "derive the name of what is made from the reservation, and take \"not there\" for success",
    );
    /// The end of what is made is within what was asked.
    Ttl = (
        "ttl",
        "what is issued, renewed or exchanged ends within what was asked, whatever the upstream gives",
        "answer the earlier of what the upstream says and of now and `ttl`",
    );
    /// Every database failure has its kind.
    Database = (
        "database",
        "a database that is away, hangs up or says nothing is `unavailable` or a `timeout`",
        "hand on the host's error as it is",
    );
    /// Every call ends by itself.
    NoHang = (
        "no-hang",
        "every call ends by itself, if its upstream answers at all",
        "do not wait and do not loop: answer `unavailable` and let the host decide",
    );
    /// Nothing is asked again by the plugin itself.
    NoRetries = (
        "no-retries",
        "a request that failed is not sent again by the plugin itself",
        "answer the error with `retry-after-ms`; whether it is tried again is the host's to decide",
    );
    /// What the plugin says of its requests is true.
    RequestSent = (
        "request-sent",
        "`request-sent` is true where a call that acts has sent something, and false where nothing was sent",
        "set it by whether the request left; when in doubt, true",
    );
    /// Nothing secret, and no word of the upstream, is in logs and messages.
    NoLeaks = (
        "no-leaks",
        "no secret of the script, no credential and no word of the upstream is in a log line, a message, a remark, metadata or a handle",
        "write texts of your own; say what went wrong, not what was said",
    );
    /// No limit of the host stops the plugin.
    Limits = (
        "limits",
        "no call traps or reaches a limit of memory, CPU or crossing",
        "refuse what is too large by `content-length`, and do not decompress",
    );
    /// The host takes every answer.
    AnswerRules = (
        "answer-rules",
        "the host takes every answer: sizes, names, versions, metadata, ends",
        "see the limits of the contract in `wit/`",
    );
}

impl Check {
    /// Every check, in the order of the report.
    #[must_use]
    pub fn all() -> Vec<Self> {
        PLAIN.iter().copied().chain(Misbehaviour::ALL.into_iter().map(Self::Upstream)).collect()
    }

    /// The check of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|check| check.name() == name)
    }

    /// Its name, as in reports and after `--check`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.about().0
    }

    /// What it proves.
    #[must_use]
    pub const fn proves(self) -> &'static str {
        self.about().1
    }

    /// What to do when it fails.
    #[must_use]
    pub const fn help(self) -> &'static str {
        self.about().2
    }
}

impl Serialize for Check {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_a_name_of_its_own_by_which_it_is_found() {
        for check in Check::all() {
            assert_eq!(Check::named(check.name()), Some(check));
            assert!(!check.proves().is_empty() && !check.help().is_empty());
        }
        assert_eq!(Check::named("nothing"), None);
    }
}
