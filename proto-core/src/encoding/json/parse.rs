//! Text to value.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Json, JsonError, JsonRule, MAX_VALUES, Number, Object};
use crate::limits::MAX_DEPTH;

/// The value written in `input`, which may be at most `max_bytes` long.
///
/// # Errors
/// The first rule that the text breaks, and where.
//= docs/spec/encoding.md#strict-json
pub fn parse(input: &[u8], max_bytes: usize) -> Result<Json, JsonError> {
    if input.len() > max_bytes {
        return Err(JsonError { rule: JsonRule::TooLarge, offset: max_bytes, line: 1, column: 1 });
    }
    let text = match core::str::from_utf8(input) {
        Ok(text) => text,
        Err(error) => return Err(locate(input, error.valid_up_to(), JsonRule::InvalidUtf8)),
    };
    let mut reader = Reader { text, at: 0, values: 0 };
    reader.document().map_err(|Fault { rule, at }| locate(input, at, rule))
}

/// A broken rule and its offset; line and column are counted only when the parser gives up.
struct Fault {
    rule: JsonRule,
    at: usize,
}

fn locate(input: &[u8], offset: usize, rule: JsonRule) -> JsonError {
    let before = input.get(..offset).unwrap_or(input);
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    // Continuation bytes of UTF-8 do not begin a character.
    let column = before[line_start..].iter().filter(|b| **b & 0xc0 != 0x80).count() + 1;
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    JsonError { rule, offset, line, column }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Json, Fault> {
        let value = self.value(0)?;
        self.skip_space();
        if self.at == self.text.len() { Ok(value) } else { Err(self.fault(JsonRule::TrailingBytes)) }
    }

    fn fault(&self, rule: JsonRule) -> Fault {
        let ended = self.at >= self.text.len();
        Fault { rule: if ended { JsonRule::UnexpectedEnd } else { rule }, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes `byte` if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Json, Fault> {
        self.skip_space();
        self.values += 1;
        if depth > MAX_DEPTH {
            return Err(Fault { rule: JsonRule::TooDeep, at: self.at });
        }
        if self.values > MAX_VALUES {
            return Err(Fault { rule: JsonRule::TooManyValues, at: self.at });
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) | None => Err(self.fault(JsonRule::ExpectedValue)),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, Fault> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.fault(JsonRule::ExpectedValue));
        }
        self.at += word.len();
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Json, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.is_last(b']')? {
                items.shrink_to_fit();
                return Ok(Json::Array(items));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Fault> {
        self.at += 1;
        let mut members = Vec::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Json::Object(Object::default()));
        }
        loop {
            members.push(self.member(depth)?);
            if self.is_last(b'}')? {
                return unique(members).map(Json::Object);
            }
        }
    }

    /// A key, where it stands, and its value.
    fn member(&mut self, depth: usize) -> Result<(String, usize, Json), Fault> {
        self.skip_space();
        let key_at = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.fault(JsonRule::ExpectedKey));
        }
        let key = self.string()?;
        self.skip_space();
        if !self.take(b':') {
            return Err(self.fault(JsonRule::ExpectedColon));
        }
        Ok((key, key_at, self.value(depth + 1)?))
    }

    /// Whether the container ends here rather than going on after a comma.
    fn is_last(&mut self, end: u8) -> Result<bool, Fault> {
        self.skip_space();
        if self.take(end) {
            Ok(true)
        } else if self.take(b',') {
            Ok(false)
        } else {
            Err(self.fault(JsonRule::ExpectedCommaOrEnd))
        }
    }

    fn number(&mut self) -> Result<Json, Fault> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _signed = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.fault(JsonRule::InvalidNumber));
        }
        Number::from_decimal(&self.text[start..self.at])
            .map(Json::Number)
            .map_err(|_| Fault { rule: JsonRule::InexactNumber, at: start })
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault(JsonRule::InvalidNumber)) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            while matches!(self.peek(), Some(b) if b >= 0x20 && b != b'"' && b != b'\\') {
                self.at += 1;
            }
            out.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    out.shrink_to_fit();
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) | None => return Err(self.fault(JsonRule::ControlCharacter)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        self.at += 1;
        let Some(kind) = self.peek() else { return Err(self.fault(JsonRule::InvalidEscape)) };
        let plain = match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(start),
            _ => return Err(Fault { rule: JsonRule::InvalidEscape, at: start }),
        };
        self.at += 1;
        Ok(plain)
    }

    /// The character of `\uXXXX`, or of two of them that are a surrogate pair.
    fn unicode(&mut self, start: usize) -> Result<char, Fault> {
        let first = self.unit()?;
        let lone = Fault { rule: JsonRule::LoneSurrogate, at: start };
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or(lone);
        }
        if first >= 0xdc00 || !self.take(b'\\') || self.peek() != Some(b'u') {
            return Err(lone);
        }
        let second = self.unit()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(lone)
    }

    /// The four hexadecimal digits after the `u` that comes next.
    fn unit(&mut self) -> Result<u32, Fault> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            unit = unit << 4 | digit.ok_or_else(|| self.fault(JsonRule::InvalidEscape))?;
            self.at += 1;
        }
        Ok(unit)
    }
}

/// The object of `members`, unless one key occurs twice; the fault stands at its second place.
fn unique(mut members: Vec<(String, usize, Json)>) -> Result<Object, Fault> {
    members.sort_by(|a, b| a.0.cmp(&b.0));
    match members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(Fault { rule: JsonRule::DuplicateKey, at: pair[1].1 }),
        None => Ok(Object::from_sorted(members.into_iter().map(|(key, _, value)| (key, value)).collect())),
    }
}
