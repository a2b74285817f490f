//! `symbolon dev`: a whole gateway in a temporary directory, to try things out.
//!
//! Everything is real but the issuer: its key is made here, and the token that is printed is signed
//! with it. The directory, and with it every key and secret, goes when the process ends.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyUncompressedBin};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::secret::Secret;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::serving::Bound;
use super::{Signals, StartError, Surroundings, demo};
use crate::config::{self, Config};
use crate::time::SystemClock;

/// The issuer of development tokens. `.invalid` never resolves (RFC 6761 §6.4); its keys are in the
/// configuration.
const ISSUER: &str = "https://dev.symbolon.invalid";
/// The gateway's name for itself: the audience of the tokens.
const ORIGIN: &str = "https://localhost:8443";
/// How long the printed token is good for.
const LIFETIME: Duration = Duration::from_secs(3600);

/// What `symbolon dev` is asked for.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the plugins are; looked for if none.
    pub plugins: Option<PathBuf>,
    /// Run the demonstration and end.
    pub demo: bool,
}

/// Runs a development gateway, until SIGINT or SIGTERM or, for the demonstration, until that is over;
/// SIGHUP reloads. The directory goes in every case.
///
/// # Errors
/// [`StartError`] if it does not start, or if the demonstration does not show what it should.
pub async fn dev(
    options: DevOptions,
    mut signals: Signals,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<(), StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let plugins = options.plugins.clone().or_else(find_plugins).ok_or(StartError::NoPlugins)?;
    let scene = Scene {
        plugins,
        unsigned: "static".to_owned(),
        blocks: BACKEND.to_owned(),
        policy: POLICY.to_owned(),
    };
    let kit = Kit::lay_out(&scene, options.listen)?;
    let Some(bound) = Box::pin(kit.open(clock.clone(), &mut signals)).await? else {
        return Ok(());
    };
    let address = bound.addresses().first().copied().unwrap_or(options.listen);
    let app = bound.app.clone();
    let stop = CancellationToken::new();
    let serving = bound.run(stop.clone());
    let visit = async {
        let result = if options.demo {
            tokio::select! {
                shown = Box::pin(demo::demo(&app, &kit, address, say)) => shown,
                () = signals.stop() => Err(StartError::Interrupted),
            }
        } else {
            match kit.welcome(address, clock.now()) {
                Ok(text) => {
                    say(&text);
                    signals.obey(&app).await;
                    Ok(())
                }
                Err(error) => Err(error),
            }
        };
        stop.cancel();
        result
    };
    let ((), result) = tokio::join!(Box::pin(serving), Box::pin(visit));
    result
}

/// What one development gateway has and another has not.
pub(super) struct Scene {
    /// Where its plugins are.
    pub(super) plugins: PathBuf,
    /// The one that loads without a signature.
    pub(super) unsigned: String,
    /// Backends and targets, as the configuration has them.
    pub(super) blocks: String,
    /// Its policy.
    pub(super) policy: String,
}

/// The temporary directory with everything in it.
pub(super) struct Kit {
    directory: TempDir,
    config: PathBuf,
    issuer: EcdsaKeyPair,
}

impl Kit {
    pub(super) fn lay_out(scene: &Scene, listen: SocketAddr) -> Result<Self, StartError> {
        let directory = tempfile::Builder::new()
            .prefix("symbolon-dev-")
            .permissions(PermissionsExt::from_mode(0o700))
            .tempdir();
        let directory =
            directory.map_err(|source| StartError::Write { path: std::env::temp_dir(), source })?;
        let issuer = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| StartError::Interrupted)?;
        let kit = Self { config: directory.path().join("symbolon.toml"), directory, issuer };
        kit.write_certificate()?;
        kit.configure(scene, listen)?;
        Ok(kit)
    }

    /// Writes the configuration and the policy, at first or again.
    pub(super) fn configure(&self, scene: &Scene, listen: SocketAddr) -> Result<(), StartError> {
        self.write("dev.cedar", &scene.policy)?;
        self.write("symbolon.toml", &self.configuration(scene, listen)?)
    }

    /// The gateway of this directory with its listeners bound; none if it is told to stop before.
    pub(super) async fn open(
        &self,
        clock: Arc<dyn Clock>,
        signals: &mut Signals,
    ) -> Result<Option<Bound>, StartError> {
        let config = Config::load(&self.config).map_err(StartError::Config)?;
        let surroundings = Surroundings::of_process(clock)?;
        tokio::select! {
            bound = Box::pin(Bound::start(config, surroundings)) => bound.map(Some),
            () = signals.stop() => Ok(None),
        }
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, name: &str, text: &str) -> Result<(), StartError> {
        let path = self.path().join(name);
        std::fs::write(&path, text).map_err(|source| StartError::Write { path, source })
    }

    fn write_certificate(&self) -> Result<(), StartError> {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let made =
            rcgen::generate_simple_self_signed(names).map_err(|_| StartError::Interrupted)?;
        self.write("tls.pem", &made.cert.pem())?;
        self.write("tls.key", &made.signing_key.serialize_pem())?;
        let path = self.path().join("tls.key");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .map_err(|source| StartError::Write { path, source })
    }

    fn configuration(&self, scene: &Scene, listen: SocketAddr) -> Result<String, StartError> {
        let plugins = scene
            .plugins
            .canonicalize()
            .map_err(|source| StartError::Write { path: scene.plugins.clone(), source })?;
        let text = CONFIGURATION
            .replace("{listen}", &listen.to_string())
            .replace("{origin}", ORIGIN)
            .replace("{issuer}", ISSUER)
            .replace("{keys}", &self.key_set()?)
            .replace("{plugins}", &plugins.display().to_string())
            .replace("{unsigned}", &scene.unsigned);
        Ok(text + &scene.blocks)
    }

    /// The issuer's public key, as the inline table that the configuration takes.
    fn key_set(&self) -> Result<String, StartError> {
        let point: EcPublicKeyUncompressedBin<'_> =
            self.issuer.public_key().as_be_bytes().map_err(|_| StartError::Interrupted)?;
        let coordinates = point.as_ref().get(1..65).ok_or(StartError::Interrupted)?;
        let (x, y) = coordinates.split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        Ok(format!(
            r#"{{ keys = [{{ kty = "EC", crv = "P-256", kid = "dev", use = "sig", alg = "ES256", x = "{x}", y = "{y}" }}] }}"#
        ))
    }

    /// A token of the development issuer for `subject`.
    pub(super) fn token(&self, subject: &str, now: Timestamp) -> Result<Secret, StartError> {
        let header = json!({ "alg": "ES256", "kid": "dev", "typ": "JWT" });
        let claims = json!({
            "iss": ISSUER,
            "sub": subject,
            "aud": ORIGIN,
            "iat": now.seconds(),
            "exp": now.plus(LIFETIME).seconds(),
            "team": "payments",
        });
        let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.issuer.sign(&SystemRandom::new(), message.as_bytes());
        let signature = signature.map_err(|_| StartError::Interrupted)?;
        Ok(Secret::from(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))))
    }

    fn welcome(&self, address: SocketAddr, now: Timestamp) -> Result<String, StartError> {
        let token = self.token("workload/shop", now)?;
        let directory = self.path().display();
        let mut text = String::new();
        let _ = writeln!(text, "A development gateway listens on https://{address}");
        let _ = writeln!(text, "  its configuration, store and audit log: {directory}");
        let _ =
            writeln!(text, "  the development issuer knows you as workload/shop of team payments");
        let _ = writeln!(text, "\nA token, good for an hour:\n");
        let _ = writeln!(text, "{}", token.expose_str().unwrap_or_default());
        let _ = writeln!(text, "\nRead a secret with it:\n");
        let _ = writeln!(
            text,
            "curl --cacert {directory}/tls.pem https://localhost:{}/v1/secrets/demo/shop/greeting \\\n  -H 'Authorization: Bearer {}'",
            address.port(),
            token.expose_str().unwrap_or_default()
        );
        let _ = writeln!(text, "\nOperate it:  symbolon status --socket {directory}/admin.sock");
        let _ = writeln!(text, "End it with Ctrl-C; the directory goes with it.");
        Ok(text)
    }
}

/// Where built plugins usually are: named by the environment, beside the binary, or installed.
fn find_plugins() -> Option<PathBuf> {
    let named = config::variable("SYMBOLON_PLUGINS").map(PathBuf::from);
    let beside = std::env::current_exe().ok().and_then(|binary| {
        binary
            .ancestors()
            .skip(1)
            .take(3)
            .map(|folder| folder.join("plugins"))
            .find(|folder| is_usable(folder))
    });
    let installed = PathBuf::from("/usr/lib/symbolon/plugins");
    [named, beside, Some(installed)].into_iter().flatten().find(|folder| is_usable(folder))
}

fn is_usable(folder: &Path) -> bool {
    folder.join("static.wasm").is_file()
}

const CONFIGURATION: &str = r#"# A development gateway. Everything in it is temporary.
[server]
listen = ["{listen}"]
public_origin = "{origin}"
tls = { certificate = "tls.pem", key = "file:tls.key" }

[store]
path = "store"
cache = "16MiB"

[seal]
key = "file:seal.key"

[audit]
directory = "audit"
reserve = "1MiB"

[admin]
socket = "admin.sock"

[telemetry]
log = "warn,plugin=debug,symbolon_host::egress=info,symbolon::app::stock=error"
log_format = "text"

[plugins]
directory = "{plugins}"
unsigned = ["{unsigned}"]

[policies]
files = ["dev.cedar"]

[issuers.dev]
issuer = "{issuer}"
algorithms = ["ES256"]
keys = { inline = {keys} }

[issuers.dev.attributes]
team = { claim = "/team", type = "string" }
"#;

const BACKEND: &str = r#"
[backends.demo]
plugin = "static"

[backends.demo.config.secrets]
"shop/greeting" = "hello from the other side"
"bank/master-key" = { fields = { user = "root", password = "correct horse battery staple" } }
"#;

const POLICY: &str = r#"// The payments team reads what belongs to the shop, and nothing else.
@id("payments-reads-shop")
permit (
    principal in Issuer::"dev",
    action in [Action::"read", Action::"list"],
    resource in Folder::"demo/shop"
) when {
    principal has oidc && principal.oidc has team && principal.oidc.team == "payments"
};
"#;
