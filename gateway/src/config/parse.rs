//! From TOML values to typed ones: one function a type, each saying what it expected.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeValue;

use super::cursor::Value;
use super::fault::Problem;
use super::secret::SecretRef;
use super::spelling;
use super::url::{Endpoint, Origin};

const MAX_TEXT_BYTES: usize = 4096;

/// A text that is not empty, has no control characters and fits in 4 KiB.
pub(super) fn text(value: &Value<'_>) -> Result<String, Problem> {
    let text = value.text()?;
    if text.is_empty() {
        return Err(Problem::new("is empty"));
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(Problem::new(format!("is longer than {MAX_TEXT_BYTES} bytes")));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::new("contains a control character"));
    }
    Ok(text.to_owned())
}

/// `true` or `false`.
pub(super) fn boolean(value: &Value<'_>) -> Result<bool, Problem> {
    value.toml.as_bool().ok_or_else(|| value.expected("true or false"))
}

/// `true`, where the key is only there to say so.
pub(super) fn yes(value: &Value<'_>) -> Result<(), Problem> {
    match boolean(value)? {
        true => Ok(()),
        false => Err(Problem::new("can only be true").with_help("leave the key out instead")),
    }
}

/// An integer within bounds.
pub(super) fn integer<T>(least: T, most: T) -> impl Fn(&Value<'_>) -> Result<T, Problem>
where
    T: TryFrom<i64> + PartialOrd + std::fmt::Display,
{
    move |value| {
        let found = value.toml.as_integer().ok_or_else(|| value.expected("an integer"))?;
        let number = i64::from_str_radix(found.as_str(), found.radix()).ok();
        number
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| *number >= least && *number <= most)
            .ok_or_else(|| Problem::new(format!("expected an integer from {least} to {most}")))
    }
}

/// A duration within bounds, as people write it.
pub(super) fn duration(
    least: Duration,
    most: Duration,
) -> impl Fn(&Value<'_>) -> Result<Duration, Problem> {
    move |value| {
        let text = value
            .text()
            .map_err(|problem| problem.with_help("write it as \"30s\" or \"1h30m\""))?;
        let duration = humantime::parse_duration(text).map_err(|_| {
            Problem::new(format!("`{}` is not a duration", brief(text)))
                .with_help("write it as \"30s\", \"5m\" or \"1h30m\"")
        })?;
        if duration < least || duration > most {
            let (least, most) =
                (humantime::format_duration(least), humantime::format_duration(most));
            return Err(Problem::new(format!("must be from {least} to {most}")));
        }
        Ok(duration)
    }
}

/// A size in bytes within bounds, as people write it.
pub(super) fn size(least: u64, most: u64) -> impl Fn(&Value<'_>) -> Result<u64, Problem> {
    move |value| {
        let text = value.text().map_err(|problem| problem.with_help("write it as \"64MiB\""))?;
        let size = bytesize::ByteSize::from_str(text).map_err(|_| {
            Problem::new(format!("`{}` is not a size", brief(text)))
                .with_help("write it as \"32KiB\", \"64MiB\" or \"1GiB\"")
        })?;
        if size.as_u64() < least || size.as_u64() > most {
            let (least, most) = (bytesize::ByteSize(least), bytesize::ByteSize(most));
            return Err(Problem::new(format!("must be from {least} to {most}")));
        }
        Ok(size.as_u64())
    }
}

/// An address and a port.
pub(super) fn socket_address(value: &Value<'_>) -> Result<SocketAddr, Problem> {
    let text = value.text()?;
    text.parse().map_err(|_| {
        Problem::new(format!("`{}` is not an address with a port", brief(text))).with_help(
            "write it as \"127.0.0.1:8443\" or \"[::]:8443\"; names are not resolved here",
        )
    })
}

/// A network, or a single address.
pub(super) fn network(value: &Value<'_>) -> Result<IpNet, Problem> {
    let text = value.text()?;
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let net = net.map_err(|_| {
        Problem::new(format!("`{}` is not a network", brief(text)))
            .with_help("write it as \"10.0.0.0/8\" or as a single address")
    })?;
    if net.trunc() != net {
        return Err(Problem::new(format!(
            "has bits beyond its prefix; the network is `{}`",
            net.trunc()
        )));
    }
    Ok(net)
}

/// A path, resolved against the directory of the configuration file.
pub(super) fn path(value: &Value<'_>) -> Result<PathBuf, Problem> {
    text(value).map(|text| resolve(value.file, &text))
}

/// `text` as a path, resolved against the directory of `file`.
pub(super) fn resolve(file: &Path, text: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(text)
}

/// Anything that core parses from a text: names, aliases.
pub(super) fn name<T: FromStr<Err: std::fmt::Display>>(value: &Value<'_>) -> Result<T, Problem> {
    chosen_name(value.text()?)
}

/// A name that the operator chose as a key.
pub(super) fn chosen_name<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::new(error.to_string()))
}

/// One of a fixed set of words.
pub(super) fn one_of<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&Value<'_>) -> Result<T, Problem> {
    move |value| {
        let text = value.text()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*meaning);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let help = spelling::nearest(text, &known).map(|near| format!("did you mean `{near}`?"));
        let message = format!("expected one of {}", spelling::list(&known));
        Err(Problem { message, help })
    }
}

/// An origin: scheme, host and port, nothing else.
pub(super) fn origin(value: &Value<'_>) -> Result<Origin, Problem> {
    Origin::parse(value.text()?)
}

/// A URL under which something is fetched or published.
pub(super) fn endpoint(value: &Value<'_>) -> Result<Endpoint, Problem> {
    Endpoint::parse(value.text()?)
}

/// A host name in lower case, or an address.
pub(super) fn host(value: &Value<'_>) -> Result<String, Problem> {
    checked_host(value.text()?)
}

/// A host name in lower case, or an address.
pub(super) fn checked_host(text: &str) -> Result<String, Problem> {
    match url::Host::parse(text) {
        Ok(host) if host.to_string() == text && text.len() <= 253 => Ok(text.to_owned()),
        Ok(host) => {
            Err(Problem::new("is not a host name in its one form")
                .with_help(format!("write `{host}`")))
        }
        Err(_) => Err(Problem::new(format!("`{}` is not a host name", brief(text)))
            .with_help("a name like \"bao.example\" without scheme, port or path")),
    }
}

/// A reference to a secret. A literal one is refused, and never shown.
pub(super) fn secret(value: &Value<'_>) -> Result<SecretRef, Problem> {
    SecretRef::parse(value.text()?, value.file)
}

/// Any value, as JSON.
pub(super) fn json(value: &Value<'_>) -> Result<serde_json::Value, Problem> {
    to_json(value.toml)
}

fn to_json(value: &DeValue<'_>) -> Result<serde_json::Value, Problem> {
    Ok(match value {
        DeValue::String(text) => serde_json::Value::String(text.to_string()),
        DeValue::Boolean(boolean) => serde_json::Value::Bool(*boolean),
        DeValue::Datetime(datetime) => serde_json::Value::String(datetime.to_string()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(serde_json::Value::from)
            .map_err(|_| Problem::new("has an integer beyond 64 bits"))?,
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(serde_json::Value::Number)
            .ok_or_else(|| Problem::new("has a number that JSON cannot express"))?,
        DeValue::Array(items) => {
            items.iter().map(|item| to_json(item.get_ref())).collect::<Result<_, _>>()?
        }
        DeValue::Table(table) => {
            let member =
                |(key, value): (
                    &toml::Spanned<std::borrow::Cow<'_, str>>,
                    &toml::Spanned<DeValue<'_>>,
                )| { Ok((key.get_ref().to_string(), to_json(value.get_ref())?)) };
            serde_json::Value::Object(table.iter().map(member).collect::<Result<_, Problem>>()?)
        }
    })
}

/// The beginning of a text, for a message.
pub(super) fn brief(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}
