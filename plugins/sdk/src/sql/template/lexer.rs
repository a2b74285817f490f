//! PostgreSQL's lexical rules (`scan.l`), as far as they decide what is in quotes and what is not:
//! strings, `E''` with backslashes and their continuation over a line, `U&''`, bit strings, quoted
//! names, dollar quotes with tags, line comments, nested block comments, and names, which may hold
//! a `$` that then quotes nothing.
//!
//! INVARIANT: every byte of the input is in exactly one token, in order.

use super::{Placeholder, Reason, TemplateError};

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// White space or a comment.
    Blank(&'a str),
    /// Anything else that is SQL, one token or a part of one.
    Text(&'a str),
    /// A `;` outside of quotes.
    End,
    /// A placeholder, standing apart.
    Placeholder(Placeholder),
}

/// Reads a template token by token.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

const fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

const fn continues_name(byte: u8) -> bool {
    begins_name(byte) || byte.is_ascii_digit() || byte == b'$'
}

/// What would become one with a quoted value beside it: names, numbers, quotes, `$`, the `&` of
/// `U&''`, other placeholders.
const fn touches(byte: u8) -> bool {
    continues_name(byte) || matches!(byte, b'\'' | b'"' | b'&' | b'{' | b'}' | b'\\')
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token, and the position of its first character.
    pub(super) fn next(&mut self) -> Result<Option<(usize, Token<'a>)>, TemplateError> {
        let start = self.at;
        let Some(first) = self.byte(0) else { return Ok(None) };
        let token = match first {
            0 => return Err(self.fault(start, Reason::Nul)),
            b';' => {
                self.at += 1;
                Token::End
            }
            b'{' | b'}' => Token::Placeholder(self.placeholder(start)?),
            b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C => {
                self.skip(|byte| byte.is_ascii_whitespace() || byte == 0x0B);
                Token::Blank(self.since(start))
            }
            b'-' if self.byte(1) == Some(b'-') => {
                self.skip(|byte| !matches!(byte, b'\n' | b'\r'));
                Token::Blank(self.quoted(start)?)
            }
            b'/' if self.byte(1) == Some(b'*') => {
                self.block(start)?;
                Token::Blank(self.quoted(start)?)
            }
            _ => self.token(start, first)?,
        };
        Ok(Some((self.position(start), token)))
    }

    /// A token that is neither blank nor placeholder.
    fn token(&mut self, start: usize, first: u8) -> Result<Token<'a>, TemplateError> {
        match (first, self.byte(1), self.byte(2)) {
            (b'\'', ..) => self.string(start, 1, false)?,
            (b'e' | b'E', Some(b'\''), _) => self.string(start, 2, true)?,
            (b'b' | b'B' | b'x' | b'X' | b'n' | b'N', Some(b'\''), _) => {
                self.string(start, 2, false)?;
            }
            // In `U&''` a backslash is an escape of its own kind, and never of a quote.
            (b'u' | b'U', Some(b'&'), Some(b'\'')) => self.unicode(start, b'\'')?,
            (b'u' | b'U', Some(b'&'), Some(b'"')) => self.unicode(start, b'"')?,
            (b'"', ..) => {
                self.at += 1;
                self.closed(start, b'"')?;
            }
            (b'$', ..) if self.dollar(start)? => {}
            (byte, ..) if begins_name(byte) => {
                self.skip(continues_name);
                return Ok(Token::Text(self.since(start)));
            }
            _ => {
                // All that remains is ASCII, so one byte is one character.
                self.at += 1;
                return Ok(Token::Text(self.since(start)));
            }
        }
        Ok(Token::Text(self.quoted(start)?))
    }

    /// A string from its opening quote, `prefix` bytes long with it; with all its continuations,
    /// which are strings after white space that holds a line's end, and obey the first one's rules.
    fn string(&mut self, start: usize, prefix: usize, escapes: bool) -> Result<(), TemplateError> {
        self.at += prefix;
        loop {
            match self.byte(0) {
                None => return Err(self.fault(start, Reason::Unterminated)),
                Some(b'\\') if escapes => self.at += 2,
                Some(b'\\') => return Err(self.fault(self.at, Reason::Backslash)),
                Some(b'\'') if self.byte(1) == Some(b'\'') => self.at += 2,
                Some(b'\'') => {
                    self.at += 1;
                    match self.behind_line().map(|at| (at, self.byte_at(at))) {
                        Some((at, Some(b'\''))) => self.at = at + 1,
                        // A value would become a part of this string.
                        Some((at, Some(b'{'))) => return Err(self.fault(at, Reason::Touching)),
                        Some(_) | None => return Ok(()),
                    }
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// What follows behind white space that holds a line's end: a quote there continues a string.
    fn behind_line(&self) -> Option<usize> {
        let mut look = Self { text: self.text, at: self.at };
        let mut line_ended = false;
        loop {
            match look.byte(0)? {
                b'\n' | b'\r' => {
                    line_ended = true;
                    look.at += 1;
                }
                b' ' | b'\t' | 0x0B | 0x0C => look.at += 1,
                b'-' if look.byte(1) == Some(b'-') => {
                    look.skip(|byte| !matches!(byte, b'\n' | b'\r'));
                }
                _ => return line_ended.then_some(look.at),
            }
        }
    }

    fn unicode(&mut self, start: usize, quote: u8) -> Result<(), TemplateError> {
        self.at += 3;
        self.closed(start, quote)
    }

    /// Up to the closing quote; a doubled one closes nothing.
    fn closed(&mut self, start: usize, quote: u8) -> Result<(), TemplateError> {
        loop {
            match self.byte(0) {
                None => return Err(self.fault(start, Reason::Unterminated)),
                Some(byte) if byte == quote && self.byte(1) == Some(quote) => self.at += 2,
                Some(byte) => {
                    self.at += 1;
                    if byte == quote {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// A dollar quote, if there is one here and not a parameter or a lone `$`.
    fn dollar(&mut self, start: usize) -> Result<bool, TemplateError> {
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        let Some((tag, body)) = rest.split_once('$') else { return Ok(false) };
        let of_tag = |byte: u8| begins_name(byte) || byte.is_ascii_digit();
        let is_tag = tag.bytes().all(of_tag) && tag.bytes().next().is_none_or(begins_name);
        if !is_tag {
            return Ok(false);
        }
        let end = format!("${tag}$");
        let length = body.find(&end).ok_or_else(|| self.fault(start, Reason::Unterminated))?;
        self.at += end.len() + length + end.len();
        Ok(true)
    }

    /// A block comment, with those in it.
    fn block(&mut self, start: usize) -> Result<(), TemplateError> {
        let mut depth = 0_u32;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(self.fault(start, Reason::Unterminated)),
            }
        }
    }

    fn placeholder(&mut self, start: usize) -> Result<Placeholder, TemplateError> {
        let rest = self.text.get(start..).unwrap_or_default();
        let name = rest.strip_prefix("{{").and_then(|rest| rest.split_once("}}")).map(|(n, _)| n);
        let placeholder = name.and_then(Placeholder::named);
        let (Some(name), Some(placeholder)) = (name, placeholder) else {
            return Err(self.fault(start, Reason::Unknown));
        };
        self.at = start + name.len() + 4;
        let before = start.checked_sub(1).and_then(|at| self.text.as_bytes().get(at));
        let behind = self.behind_line().and_then(|at| self.byte_at(at));
        let stands_apart = !before.is_some_and(|byte| touches(*byte))
            && !self.byte(0).is_some_and(touches)
            && !matches!(behind, Some(b'\'' | b'{'));
        stands_apart.then_some(placeholder).ok_or_else(|| self.fault(start, Reason::Touching))
    }

    /// What was read since `start`, which is in quotes or a comment and so must hold no placeholder,
    /// and no NUL.
    fn quoted(&self, start: usize) -> Result<&'a str, TemplateError> {
        let text = self.since(start);
        if let Some(at) = text.find('\0') {
            return Err(self.fault(start + at, Reason::Nul));
        }
        match text.char_indices().find(|(at, _)| looks_like_one(text, *at)) {
            Some((at, _)) => Err(self.fault(start + at, Reason::Quoted)),
            None => Ok(text),
        }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.byte_at(self.at + ahead)
    }

    fn byte_at(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn skip(&mut self, pass: impl Fn(u8) -> bool) {
        while self.byte(0).is_some_and(&pass) {
            self.at += 1;
        }
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn fault(&self, at: usize, reason: Reason) -> TemplateError {
        TemplateError { position: self.position(at), reason }
    }

    /// In characters, from 1, as an editor counts.
    fn position(&self, at: usize) -> usize {
        self.text.char_indices().take_while(|(index, _)| *index < at).count() + 1
    }
}

/// Whether braces hold what somebody may have meant as a placeholder: a word. `'{{1,2},{3,4}}'` is an
/// array of the database's.
fn looks_like_one(text: &str, at: usize) -> bool {
    let opened = text.get(at..).and_then(|rest| rest.strip_prefix("{{"));
    let inside = opened.and_then(|rest| rest.split_once("}}")).map(|(word, _)| word);
    inside.is_some_and(|word| {
        let word = word.trim();
        word.bytes().next().is_some_and(begins_name) && word.bytes().all(continues_name)
    })
}
