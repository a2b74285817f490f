//! `symbolon credential serve`: tokens of targets on loopback, in the shapes that the clouds' own
//! libraries ask for.
//!
//! What is served is what the platform token of this process may have, so whoever can ask here is this
//! workload. INVARIANT: it listens on loopback only; nobody gets anything without the authorization
//! token, which is in a file that its owner alone can read; a request that came by way of a proxy, of a
//! browser, or under a name that is not loopback's is refused (DNS rebinding); no answer may be kept.

mod answer;
mod face;
mod hold;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use serde_json::{Value, json};
use symbolon_core::id::TargetName;
use symbolon_core::secret::Secret;
use tokio::net::TcpListener;

pub(super) use self::answer::subject;
use self::face::Face;
use self::hold::Holds;
use super::face::FaceArgs;
use super::failure::Failure;
use super::output::{self, Form};
use crate::app::Signals;
use crate::keyring::random_id;
use crate::time::SystemClock;

/// A longer authorization token is not one.
const MAX_AUTHORIZATION_BYTES: u64 = 4096;
/// A shorter one could be guessed.
const LEAST_AUTHORIZATION_BYTES: usize = 16;

#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    /// The targets
    #[arg(required_unless_present = "assertion_file", value_name = "TARGET")]
    targets: Vec<TargetName>,
    /// Where to listen: loopback only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = loopback)]
    listen: SocketAddr,
    /// The file with the token that who asks here has to show; made if it is not there
    /// [default: a new one in a private directory, until the end]
    #[arg(long, value_name = "FILE")]
    authorization_file: Option<PathBuf>,
    /// Keep a file with the assertion of a target that delivers it, as AZURE_FEDERATED_TOKEN_FILE
    #[arg(long, value_name = "TARGET=FILE", value_parser = kept_file)]
    assertion_file: Vec<(TargetName, PathBuf)>,
    #[command(flatten)]
    face: FaceArgs,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "is not an address such as 127.0.0.1:9911".to_owned())?;
    match address.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_loopback() => Ok(address),
        IpAddr::V6(ip) if ip.is_loopback() => Ok(address),
        IpAddr::V4(_) | IpAddr::V6(_) => {
            Err("is not a loopback address: what is served here is nobody else's".to_owned())
        }
    }
}

fn kept_file(text: &str) -> Result<(TargetName, PathBuf), String> {
    let (target, file) = text.split_once('=').ok_or("is not TARGET=FILE")?;
    let target = TargetName::parse(target).map_err(|error| error.to_string())?;
    Ok((target, PathBuf::from(file)))
}

/// Serves until it is told to stop.
pub(super) async fn serve(args: ServeArgs, form: Form) -> Result<(), Failure> {
    let mut signals = Signals::install().map_err(|error| Failure::of(&error))?;
    let private = tempfile::Builder::new().prefix("symbolon-").tempdir();
    let private = private.map_err(|error| Failure::of(&error))?;
    let file = args.authorization_file.unwrap_or_else(|| private.path().join("authorization"));
    let authorization = authorization(&file)?;
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener
        .map_err(|error| Failure::new(format!("cannot listen on {}: {error}", args.listen)))?;
    let address = listener.local_addr().map_err(|error| Failure::of(&error))?;
    let (gateway, source) = args.face.sources()?;
    let served = args.targets.iter().chain(args.assertion_file.iter().map(|(target, _)| target));
    let clock = Arc::new(SystemClock::start());
    let holds = Arc::new(Holds::new((gateway, source), served.cloned(), clock));
    tell(&args.targets, address, &file, form)?;
    let face = Arc::new(Face::new(holds.clone(), authorization, address));
    tokio::select! {
        () = face::listen(listener, face) => Ok(()),
        failed = hold::keep_files(&holds, &args.assertion_file) => Err(failed),
        () = signals.stop() => Ok(()),
    }
}

/// What to paste into an environment.
fn tell(
    targets: &[TargetName],
    address: SocketAddr,
    file: &Path,
    form: Form,
) -> Result<(), Failure> {
    let url = |target: &TargetName| format!("http://{address}/credentials/{target}");
    if form == Form::Json {
        let targets: Vec<Value> = targets
            .iter()
            .map(|target| {
                json!({ "target": target.as_str(), "credentials": url(target),
                "assertion": format!("http://{address}/assertions/{target}") })
            })
            .collect();
        let all = json!({ "listen": address.to_string(), "authorization_file": file,
            "targets": targets });
        return output::value(&all, form, &[]);
    }
    targets.iter().try_for_each(|target| {
        output::line(&format!("AWS_CONTAINER_CREDENTIALS_FULL_URI={}", url(target)))
    })?;
    output::line(&format!("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE={}", file.display()))
}

/// The token in `file`, which must be ours alone; or a new one, in a new file.
fn authorization(file: &Path) -> Result<Secret, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(format!("the authorization file {}: {error}", file.display()))
    };
    let fresh = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    match fresh {
        Ok(mut fresh) => {
            let token = random_id().map_err(|error| Failure::of(&error))?;
            fresh.write_all(token.as_bytes()).map_err(failed)?;
            Ok(Secret::from(token))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => existing(file),
        Err(error) => Err(failed(error)),
    }
}

/// Looked at and read through one handle, so that nobody exchanges the file in between.
fn existing(file: &Path) -> Result<Secret, Failure> {
    let named = || format!("the authorization file {}", file.display());
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", named()));
    let flags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(file);
    let opened = opened.map_err(failed)?;
    let found = opened.metadata().map_err(failed)?;
    let is_ours = found.uid() == rustix::process::geteuid().as_raw();
    if !found.is_file() || !is_ours || found.mode() & 0o077 != 0 {
        return Err(Failure::new(format!("{} is not a file of yours alone", named()))
            .with_help("remove it, or give it the mode 0600"));
    }
    let mut bytes = Vec::new();
    let limit = MAX_AUTHORIZATION_BYTES.saturating_add(1);
    let length = opened.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    let token = Secret::new(bytes.trim_ascii_end().to_vec());
    let is_token = token.expose().iter().all(u8::is_ascii_graphic);
    let fits = u64::try_from(length).is_ok_and(|length| length <= MAX_AUTHORIZATION_BYTES);
    if token.len() < LEAST_AUTHORIZATION_BYTES || !fits || !is_token {
        return Err(Failure::new(format!(
            "{} has no token of {LEAST_AUTHORIZATION_BYTES} characters or more",
            named()
        ))
        .with_help("remove it: a new one is made"));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn nothing_but_loopback_is_listened_on() {
        for (text, is_good) in [
            ("127.0.0.1:0", true),
            ("127.8.0.1:9911", true),
            ("[::1]:9911", true),
            ("0.0.0.0:9911", false),
            ("[::]:9911", false),
            ("192.0.2.1:9911", false),
            ("localhost:9911", false),
        ] {
            assert_eq!(loopback(text).is_ok(), is_good, "{text}");
        }
    }

    #[test]
    fn an_authorization_file_is_of_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("authorization");
        let made = authorization(&file).unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, made.len()), (0o600, 22));
        assert_eq!(authorization(&file).unwrap().expose(), made.expose(), "it is found again");
        std::fs::write(&file, "short").unwrap();
        assert!(authorization(&file).is_err());
        std::fs::write(&file, "a token of two words").unwrap();
        assert!(authorization(&file).is_err());
        std::fs::write(&file, "0123456789abcdef\n").unwrap();
        assert_eq!(authorization(&file).unwrap().expose(), b"0123456789abcdef");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(authorization(&file).is_err(), "others can read it");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(authorization(&link).is_err(), "a link is nobody's file");
    }
}
