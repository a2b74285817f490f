//! Statements that operators write: SQL with `{{name}}`, `{{password_verifier}}` and `{{expiration}}`.
//!
//! A template is cut into typed pieces when the configuration is loaded; nothing is ever replaced in
//! text. `{{name}}` becomes an identifier, `{{password_verifier}}` a material that only the host
//! knows, `{{expiration}}` a literal, each quoted by the host.
//!
//! INVARIANT: a placeholder stands outside of strings, quoted names, dollar quotes and comments, and
//! touches no token beside it; anything else is refused, with its position. So no value can break
//! out of a literal or become a part of a name.
//!
//! INVARIANT: a template is one statement. There is no splitting on `;`.

mod lexer;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::lexer::{Lexer, Token};
use super::{Statement, timestamp};
use crate::Timestamp;

/// A statement of 16 KiB is a program, and belongs into a function of the database.
const MAX_BYTES: usize = 16 * 1024;

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The name of the user, as an identifier.
    Name,
    /// The verifier of the user's password, as a literal that only the host knows.
    PasswordVerifier,
    /// When the user's password ends, as a literal.
    Expiration,
}

impl Placeholder {
    fn named(name: &str) -> Option<Self> {
        match name {
            "name" => Some(Self::Name),
            "password_verifier" => Some(Self::PasswordVerifier),
            "expiration" => Some(Self::Expiration),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Placeholder(Placeholder),
}

/// A statement of the operator's, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    pieces: Vec<Piece>,
}

/// Why a text is not a template, and at which character (counted from 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Where.
    pub position: usize,
    /// Why.
    pub reason: Reason,
}

/// Why a text is not a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no statement in it.
    Empty,
    /// It is larger than a statement should be.
    TooLarge,
    /// A character that no text of PostgreSQL holds.
    Nul,
    /// A string, name or comment that begins here does not end.
    Unterminated,
    /// A second statement begins here.
    SecondStatement,
    /// A placeholder inside a string, a quoted name or a comment.
    Quoted,
    /// A brace that does not begin a placeholder that there is.
    Unknown,
    /// A placeholder that touches the token beside it.
    Touching,
    /// A backslash in a string without `E`, which means one or the other by the server's settings.
    Backslash,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.reason {
            Reason::Empty => "there is no statement",
            Reason::TooLarge => "the statement is longer than 16 KiB",
            Reason::Nul => "there is a NUL",
            Reason::Unterminated => "what is opened here is never closed",
            Reason::SecondStatement => {
                "a second statement begins; write each as an entry of its own"
            }
            Reason::Quoted => {
                "a placeholder cannot stand in quotes or a comment; it is quoted by itself"
            }
            Reason::Unknown => {
                "the placeholders are {{name}}, {{password_verifier}} and {{expiration}}"
            }
            Reason::Touching => "a placeholder must stand apart from what is beside it",
            Reason::Backslash => "a string with a backslash must be written E'…'",
        };
        write!(f, "at character {}: {reason}", self.position)
    }
}

impl std::error::Error for TemplateError {}

/// What the placeholders of one call stand for.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The name of the user.
    pub name: &'a str,
    /// When the user's password ends.
    pub expiration: Timestamp,
}

impl Template {
    /// Parses a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > MAX_BYTES {
            return Err(TemplateError { position: 1, reason: Reason::TooLarge });
        }
        let (mut pieces, mut plain, mut ended, mut empty) = (Vec::new(), String::new(), None, true);
        let mut lexer = Lexer::new(text);
        while let Some((position, token)) = lexer.next()? {
            let is_blank = matches!(token, Token::Blank(_));
            match ended {
                Some(_) if !is_blank => {
                    return Err(TemplateError { position, reason: Reason::SecondStatement });
                }
                Some(_) | None => {}
            }
            match token {
                Token::End => ended = Some(position),
                Token::Blank(text) => plain.push_str(text),
                Token::Text(text) => {
                    plain.push_str(text);
                    empty = false;
                }
                Token::Placeholder(placeholder) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(Piece::Placeholder(placeholder));
                    empty = false;
                }
            }
        }
        pieces.push(Piece::Text(plain));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        if empty {
            Err(TemplateError { position: 1, reason: Reason::Empty })
        } else {
            Ok(Self { source: text.to_owned(), pieces })
        }
    }

    /// Whether it has a placeholder.
    #[must_use]
    pub fn has(&self, placeholder: Placeholder) -> bool {
        self.pieces.contains(&Piece::Placeholder(placeholder))
    }

    /// The statement, with its placeholders as typed pieces.
    pub fn statement(&self, values: Values<'_>) -> Statement {
        self.pieces.iter().fold(Statement::new(), |statement, piece| match piece {
            Piece::Text(text) => statement.text(text.clone()),
            Piece::Placeholder(Placeholder::Name) => statement.identifier(values.name),
            Piece::Placeholder(Placeholder::PasswordVerifier) => {
                statement.material("password_verifier")
            }
            Piece::Placeholder(Placeholder::Expiration) => {
                statement.literal(timestamp(values.expiration))
            }
        })
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// As it was written.
impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

#[cfg(test)]
mod tests;
