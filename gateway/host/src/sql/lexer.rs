//! The tokens of a statement, as PostgreSQL's own scanner would find them.
//!
//! Rendering quotes every value; this looks at the outcome once more, from the server's side: each
//! quoted piece must be exactly one token. A template that puts a piece inside a string, a comment
//! or a quoted name would otherwise let the piece end what it stands in.
//!
//! INVARIANT: what is not closed (string, quoted name, comment, dollar quote) is an error, and so is
//! a second statement. Strings are read as with `standard_conforming_strings = on`, which every
//! connection sets.

/// What a token is, as far as anybody here asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or keyword without quotes.
    Word,
    /// `'…'`, in any of its forms, or a dollar quote.
    Text,
    /// `"…"`.
    Quoted,
    /// `$1`.
    Parameter,
    /// `;`.
    End,
    /// Numbers, operators, brackets.
    Other,
}

/// One token: where it begins and ends, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Something that begins and does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unclosed;

/// The tokens of `text`, without white space and comments.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Unclosed> {
    let mut cursor = Cursor { bytes: text.as_bytes(), at: 0 };
    let mut tokens = Vec::new();
    while cursor.skip_blank()? {
        let start = cursor.at;
        let kind = cursor.token()?;
        tokens.push(Token { kind, start, end: cursor.at });
    }
    Ok(tokens)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

const fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

const fn continues_word(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

impl Cursor<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at.saturating_add(ahead)).copied()
    }

    fn begins_with(&self, text: &[u8]) -> bool {
        self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(text))
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    fn skip_while(&mut self, holds: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&holds) {
            self.skip(1);
        }
    }

    /// Moves to the next token; whether there is one.
    fn skip_blank(&mut self) -> Result<bool, Unclosed> {
        loop {
            if self.begins_with(b"--") {
                self.skip_while(|byte| byte != b'\n' && byte != b'\r');
            } else if self.begins_with(b"/*") {
                self.comment()?;
            } else if self.peek(0).is_some_and(|byte| byte.is_ascii_whitespace() || byte == 0x0b) {
                self.skip(1);
            } else {
                return Ok(self.peek(0).is_some());
            }
        }
    }

    /// PostgreSQL's comments nest.
    fn comment(&mut self) -> Result<(), Unclosed> {
        let mut depth = 0_u32;
        loop {
            if self.begins_with(b"/*") {
                depth = depth.saturating_add(1);
                self.skip(2);
            } else if self.begins_with(b"*/") {
                depth = depth.saturating_sub(1);
                self.skip(2);
            } else {
                self.peek(0).ok_or(Unclosed)?;
                self.skip(1);
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Kind, Unclosed> {
        match self.peek(0) {
            Some(b'\'') => self.quoted(b'\'', false).map(|()| Kind::Text),
            Some(b'"') => self.quoted(b'"', false).map(|()| Kind::Quoted),
            Some(b'e' | b'E') if self.peek(1) == Some(b'\'') => {
                self.skip(1);
                self.quoted(b'\'', true).map(|()| Kind::Text)
            }
            Some(b'$') => self.dollar(),
            Some(b';') => Ok(self.one(Kind::End)),
            Some(byte) if begins_word(byte) => {
                self.skip_while(continues_word);
                Ok(Kind::Word)
            }
            Some(byte) if byte.is_ascii_digit() => {
                self.skip_while(|byte| byte.is_ascii_digit());
                Ok(Kind::Other)
            }
            Some(_) | None => Ok(self.one(Kind::Other)),
        }
    }

    fn one(&mut self, kind: Kind) -> Kind {
        self.skip(1);
        kind
    }

    /// Until the closing quote; a doubled one stands for itself.
    fn quoted(&mut self, quote: u8, escapes: bool) -> Result<(), Unclosed> {
        self.skip(1);
        loop {
            match self.peek(0).ok_or(Unclosed)? {
                b'\\' if escapes => self.skip(2),
                byte if byte == quote && self.peek(1) == Some(quote) => self.skip(2),
                byte if byte == quote => {
                    self.skip(1);
                    if quote != b'\'' || !self.continues() {
                        return Ok(());
                    }
                }
                _ => self.skip(1),
            }
        }
    }

    /// Goes on behind the quote that continues a string after white space with a line's end in it, under
    /// the rules of the string that it continues; if there is one.
    fn continues(&mut self) -> bool {
        let (end, mut has_line) = (self.at, false);
        while let Some(byte) = self.peek(0) {
            if self.begins_with(b"--") {
                self.skip_while(|byte| byte != b'\n' && byte != b'\r');
            } else if byte.is_ascii_whitespace() || byte == 0x0b {
                has_line |= matches!(byte, b'\n' | b'\r');
                self.skip(1);
            } else {
                break;
            }
        }
        let continues = has_line && self.peek(0) == Some(b'\'');
        self.at = if continues { self.at.saturating_add(1) } else { end };
        continues
    }

    /// `$1`, or `$tag$…$tag$`, or a dollar by itself.
    fn dollar(&mut self) -> Result<Kind, Unclosed> {
        if self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) {
            self.skip(1);
            self.skip_while(|byte| byte.is_ascii_digit());
            return Ok(Kind::Parameter);
        }
        let rest = self.bytes.get(self.at.saturating_add(1)..).unwrap_or_default();
        let tag = rest.iter().take_while(|byte| continues_word(**byte) && **byte != b'$').count();
        if rest.get(tag) != Some(&b'$') {
            return Ok(self.one(Kind::Other));
        }
        let end = self.at.saturating_add(tag).saturating_add(2);
        let mark = self.bytes.get(self.at..end).unwrap_or_default();
        self.at = end;
        while !self.begins_with(mark) {
            self.peek(0).ok_or(Unclosed)?;
            self.skip(1);
        }
        self.skip(mark.len());
        Ok(Kind::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Kind, &str)> {
        let tokens = tokens(text).unwrap();
        tokens.iter().map(|token| (token.kind, &text[token.start..token.end])).collect()
    }

    #[test]
    fn tokens_are_found_as_the_server_finds_them() {
        use Kind::{End, Other, Parameter, Quoted, Text, Word};
        for (text, expected) in [
            ("select 1", vec![(Word, "select"), (Other, "1")]),
            ("'a''b' \"c\"\"d\"", vec![(Text, "'a''b'"), (Quoted, "\"c\"\"d\"")]),
            (r"'a\' ;", vec![(Text, r"'a\'"), (End, ";")]),
            (r"E'a\'b' x", vec![(Text, r"E'a\'b'"), (Word, "x")]),
            (r"nameE'a\'", vec![(Word, "nameE"), (Text, r"'a\'")]),
            ("E'a' -- '\n '\\'b' x", vec![(Text, "E'a' -- '\n '\\'b'"), (Word, "x")]),
            ("'a' 'b' /*\n*/ 'c'", vec![(Text, "'a'"), (Text, "'b'"), (Text, "'c'")]),
            ("-- ' ;\n$1", vec![(Parameter, "$1")]),
            ("/* /* ' */ ; */ x", vec![(Word, "x")]),
            ("$$ ' ; $$ $a$ $$ $b$ $a$", vec![(Text, "$$ ' ; $$"), (Text, "$a$ $$ $b$ $a$")]),
            ("a$b$c $ é", vec![(Word, "a$b$c"), (Other, "$"), (Word, "é")]),
            (
                "U&'x' B'1'",
                vec![(Word, "U"), (Other, "&"), (Text, "'x'"), (Word, "B"), (Text, "'1'")],
            ),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_closed_is_an_error() {
        for text in ["'a", "'a''", r"E'a\'", "\"a", "/* /* */", "$$ a", "$x$ a $$", "'"] {
            assert_eq!(tokens(text), Err(Unclosed), "{text}");
        }
    }
}
