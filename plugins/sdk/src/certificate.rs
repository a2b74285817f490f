//! TLS certificates, as the answer of every backend shows them: `certificate`, `chain`, `private_key`
//! and when it ends.
//!
//! INVARIANT: of what is given only whole PEM blocks are passed on, certificates as certificates and
//! one private key as the key. Whether they belong together is not checked: that needs cryptography,
//! and whoever uses them will see.

use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::{Error, Secret, Timestamp, encoding};

/// One block of PEM: its label and its text, markers included.
#[derive(Debug, PartialEq)]
struct Block {
    label: String,
    text: String,
}

impl Secret {
    /// A certificate of PEM texts, in whatever order its key and its chain come; the first
    /// certificate is the one that the others vouch for.
    pub fn tls(path: impl Into<String>, pem: &[&[u8]]) -> Result<Self, Error> {
        let mut blocks = Vec::new();
        for text in pem {
            blocks.append(&mut split(text).ok_or_else(unreadable)?);
        }
        let (certificates, others): (Vec<_>, Vec<_>) =
            blocks.into_iter().partition(|block| block.label == "CERTIFICATE");
        let (keys, strays): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|block| block.label.ends_with("PRIVATE KEY"));
        let ([leaf, chain @ ..], [key], []) = (&*certificates, &*keys, &*strays) else {
            return Err(unreadable());
        };
        let expires_at = ends(leaf).ok_or_else(unreadable)?;
        let mut fields = vec![("certificate".to_owned(), leaf.text.clone().into_bytes())];
        if !chain.is_empty() {
            let chain: String = chain.iter().map(|block| block.text.as_str()).collect();
            fields.push(("chain".to_owned(), chain.into_bytes()));
        }
        fields.push(("private_key".to_owned(), key.text.clone().into_bytes()));
        let secret = Self::fields(path, fields).described("kind", "tls");
        Ok(Self { expires_at: Some(expires_at), ..secret })
    }
}

fn unreadable() -> Error {
    Error::conflict("certificate_unreadable", "the value is not a certificate with its key, in PEM")
}

/// The blocks of a text. What stands between them is no part of them (RFC 7468 §5.2).
fn split(text: &[u8]) -> Option<Vec<Block>> {
    let text = std::str::from_utf8(text).ok()?;
    let (mut blocks, mut open) = (Vec::new(), None::<Block>);
    for line in text.lines().map(str::trim_end) {
        let marker = |kind: &str| line.strip_prefix(kind)?.strip_suffix("-----");
        match (&mut open, marker("-----BEGIN "), marker("-----END ")) {
            (None, Some(label), _) => {
                open = Some(Block { label: label.to_owned(), text: format!("{line}\n") });
            }
            (None, None, Some(_)) | (Some(_), Some(_), _) => return None,
            (None, None, None) => {}
            (Some(block), None, end) => {
                block.text.push_str(line);
                block.text.push('\n');
                match end {
                    Some(label) if label == block.label => blocks.extend(open.take()),
                    Some(_) => return None,
                    None => {}
                }
            }
        }
    }
    open.is_none().then_some(blocks)
}

/// `notAfter` of a certificate.
fn ends(block: &Block) -> Option<Timestamp> {
    let body: String = block.text.lines().filter(|line| !line.starts_with("-----")).collect();
    let certificate = Certificate::from_der(&encoding::base64(&body)?).ok()?;
    Some(certificate.tbs_certificate().validity().not_after.to_unix_duration().as_secs())
}

#[cfg(test)]
mod tests;
