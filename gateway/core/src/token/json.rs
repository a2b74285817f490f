//! Strict JSON for what strangers send: headers, claims, key sets.
//!
//! Two parsers that read one text differently are an attack; so everything on which parsers disagree
//! is refused: duplicate member names (at every depth, compared after unescaping), lone surrogates,
//! a byte-order mark, trailing data, `NaN`. Numbers stay the text they were, so that no `f64` turns
//! a date of the far future into one of the past.
//!
//! INVARIANT: time and memory are linear in the input times the small limits of [`Limits`], and the
//! depth of the call stack is at most [`Limits::depth`].

/// Bounds of one kind of document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Objects and arrays within each other, the outermost included.
    pub(crate) depth: usize,
    /// Members of the outermost object.
    pub(crate) top: usize,
    /// Members of an object within.
    pub(crate) members: usize,
    /// Items of an array.
    pub(crate) items: usize,
    /// Bytes of a string or a member name, unescaped.
    pub(crate) string: usize,
}

/// Bytes of a number's literal; `i64` needs 20, a date with nanoseconds 20.
const MAX_NUMBER_BYTES: usize = 64;

/// Why a text is not JSON, or not JSON that is accepted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    Utf8,
    /// Not JSON.
    #[error("it is not JSON")]
    Syntax,
    /// Something after the value.
    #[error("there is more after the end")]
    Trailing,
    /// JSON, but not an object.
    #[error("it is not an object")]
    NotAnObject,
    /// Two members of one name.
    #[error("a member is there twice")]
    Duplicate,
    /// Half of a surrogate pair.
    #[error("a text has half a character")]
    Surrogate,
    /// Deeper than allowed.
    #[error("it is nested too deeply")]
    Depth,
    /// An object or array with too many entries.
    #[error("an object or array has too many entries")]
    Entries,
    /// A string or number that is too long.
    #[error("a text or number is too long")]
    Length,
}

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Value>),
    Object(Object),
}

impl Value {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Object(_) => {
                None
            }
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Array(_) => None,
        }
    }
}

/// The members of an object, in the order of the text, no name twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object(Vec<(String, Value)>);

impl Object {
    /// An object of these members, whose names differ.
    pub(crate) fn of(members: Vec<(&str, Value)>) -> Self {
        Self(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Every member, in the order of the text.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// A number, as the text that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number(String);

impl Number {
    /// The value, if it was written as an integer and fits.
    pub(crate) fn as_long(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// The literal, if it is an integer.
    pub(crate) fn as_integer_text(&self) -> Option<&str> {
        self.as_long().map(|_| self.0.as_str())
    }

    /// A `NumericDate` (RFC 7519 §2) in milliseconds, rounded down: not negative, below 2^53
    /// seconds, without exponent.
    pub(crate) fn as_date(&self) -> Option<i64> {
        let (whole, fraction) = self.0.split_once('.').unwrap_or((&self.0, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return None;
        }
        let seconds = whole.parse::<i64>().ok().filter(|seconds| *seconds < 1 << 53)?;
        let millis = fraction.bytes().chain(*b"000").take(3);
        let millis = millis.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        seconds.checked_mul(1000)?.checked_add(millis)
    }
}

/// Reads one object, and nothing else, from `bytes`.
pub(crate) fn object(bytes: &[u8], limits: Limits) -> Result<Object, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::Utf8)?;
    let mut reader = Reader { rest: text, limits };
    reader.skip_space();
    let value = reader.value(0)?;
    reader.skip_space();
    match value {
        _ if !reader.rest.is_empty() => Err(Fault::Trailing),
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Fault::NotAnObject)
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    limits: Limits,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        match self.peek()? {
            b'{' => self.members(depth + 1).map(Value::Object),
            b'[' => self.items(depth + 1).map(Value::Array),
            b'"' => self.string().map(Value::String),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => self.number().map(Value::Number),
        }
    }

    fn members(&mut self, depth: usize) -> Result<Object, Fault> {
        let limit = if depth == 1 { self.limits.top } else { self.limits.members };
        let mut object = Object::default();
        self.open(depth)?;
        if self.closes(b'}')? {
            return Ok(object);
        }
        loop {
            let name = self.string()?;
            // Linear, and cheaper than hashing for as few members as the limits allow.
            if object.has(&name) {
                return Err(Fault::Duplicate);
            }
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            object.0.push((name, self.value(depth)?));
            if object.0.len() > limit {
                return Err(Fault::Entries);
            }
            if self.ends(b'}')? {
                return Ok(object);
            }
        }
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Value>, Fault> {
        let mut items = Vec::new();
        self.open(depth)?;
        if self.closes(b']')? {
            return Ok(items);
        }
        loop {
            items.push(self.value(depth)?);
            if items.len() > self.limits.items {
                return Err(Fault::Entries);
            }
            if self.ends(b']')? {
                return Ok(items);
            }
        }
    }

    fn open(&mut self, depth: usize) -> Result<(), Fault> {
        self.take(1)?;
        self.skip_space();
        if depth > self.limits.depth { Err(Fault::Depth) } else { Ok(()) }
    }

    /// Whether the object or array just opened is empty.
    fn closes(&mut self, close: u8) -> Result<bool, Fault> {
        let closes = self.peek()? == close;
        if closes {
            self.take(1)?;
        }
        Ok(closes)
    }

    /// Whether an object or array ends after an entry; otherwise another entry follows.
    fn ends(&mut self, close: u8) -> Result<bool, Fault> {
        self.skip_space();
        let byte = self.peek()?;
        self.take(1)?;
        self.skip_space();
        match byte {
            b',' => Ok(false),
            _ if byte == close => Ok(true),
            _ => Err(Fault::Syntax),
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.expect(b'"')?;
        let mut text = String::new();
        loop {
            let is_special = |b: u8| b == b'"' || b == b'\\' || b < b' ';
            let plain = self.rest.bytes().position(is_special).ok_or(Fault::Syntax)?;
            text.push_str(self.take(plain)?);
            if text.len() > self.limits.string {
                return Err(Fault::Length);
            }
            match self.peek()? {
                b'"' => break,
                b'\\' => text.push(self.escape()?),
                _ => return Err(Fault::Syntax),
            }
        }
        self.take(1)?;
        Ok(text)
    }

    fn escape(&mut self) -> Result<char, Fault> {
        match self.take(2)? {
            "\\\"" => Ok('"'),
            "\\\\" => Ok('\\'),
            "\\/" => Ok('/'),
            "\\b" => Ok('\u{8}'),
            "\\f" => Ok('\u{c}'),
            "\\n" => Ok('\n'),
            "\\r" => Ok('\r'),
            "\\t" => Ok('\t'),
            "\\u" => self.code_point(),
            _ => Err(Fault::Syntax),
        }
    }

    fn code_point(&mut self) -> Result<char, Fault> {
        let first = self.code_unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            // `from_u32` refuses exactly the surrogates: here a second half without a first.
            return char::from_u32(first).ok_or(Fault::Surrogate);
        }
        if !self.rest.starts_with("\\u") {
            return Err(Fault::Surrogate);
        }
        self.take(2)?;
        let second = self.code_unit()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(Fault::Surrogate);
        }
        let point = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        char::from_u32(point).ok_or(Fault::Surrogate)
    }

    fn code_unit(&mut self) -> Result<u32, Fault> {
        let digits = self.take(4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Fault::Syntax);
        }
        u32::from_str_radix(digits, 16).map_err(|_| Fault::Syntax)
    }

    fn number(&mut self) -> Result<Number, Fault> {
        let is_number = |b: u8| b.is_ascii_digit() || b"+-.eE".contains(&b);
        let end = self.rest.bytes().position(|b| !is_number(b)).unwrap_or(self.rest.len());
        let literal = self.take(end)?;
        match literal.len() {
            _ if !is_number_literal(literal) => Err(Fault::Syntax),
            length if length > MAX_NUMBER_BYTES => Err(Fault::Length),
            _ => Ok(Number(literal.to_owned())),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Fault> {
        self.rest = self.rest.strip_prefix(word).ok_or(Fault::Syntax)?;
        Ok(value)
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek()? == byte { self.take(1).map(|_| ()) } else { Err(Fault::Syntax) }
    }

    fn peek(&self) -> Result<u8, Fault> {
        self.rest.bytes().next().ok_or(Fault::Syntax)
    }

    fn take(&mut self, bytes: usize) -> Result<&'a str, Fault> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(Fault::Syntax)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// The grammar of RFC 8259 §6.
fn is_number_literal(literal: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = literal.strip_prefix('-').unwrap_or(literal);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let leads_with_zero = whole.len() > 1 && whole.starts_with('0');
    digits(whole) && !leads_with_zero && digits(fraction) && digits(exponent)
}

#[cfg(test)]
mod tests;
