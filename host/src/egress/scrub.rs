//! Finds credentials in what a service answers. Source: docs/spec/egress.md#scrubbing.
//!
//! It looks for each secret as it is, in hexadecimal and in base64 at each of the three alignments, in four readings
//! of the bytes: as they are, percent-decoded, and with the escapes of JSON or HTML resolved; line breaks are read over.
//! Bytes that could be the beginning of a find are held back until the next chunk decides, so no part of a secret leaves
//! before the whole is seen. It guards against services that echo, not against services that conspire with the connector.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use zeroize::Zeroizing;

/// The answer holds a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found;

/// The spellings to look for, and which bytes begin one.
pub(crate) struct Needles {
    needles: Vec<Needle>,
    begins: [bool; 256],
}

struct Needle {
    bytes: Zeroizing<Vec<u8>>,
    case: Case,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Exact,
    Ignored,
}

impl Needles {
    /// The spellings of every secret.
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets.filter(|secret| secret.len() >= MIN_NEEDLE_BYTES) {
            push_spellings(&mut needles, secret.as_bytes());
        }
        let mut begins = [false; 256];
        for needle in &needles {
            let first = needle.bytes[0];
            for byte in [first, first.to_ascii_lowercase(), first.to_ascii_uppercase()] {
                begins[usize::from(byte)] = true;
            }
        }
        Self { needles, begins }
    }

    /// Looks through a text that is there as a whole.
    pub(crate) fn check(&self, text: &[u8]) -> Result<(), Found> {
        readings(text).try_for_each(|reading| self.find(&reading.decode(text).bytes))
    }

    /// Looks through the name of a header, whose letters have lost their case on the way.
    pub(crate) fn check_name(&self, name: &str) -> Result<(), Found> {
        let name = name.as_bytes();
        let is_in = |needle: &Needle| {
            name.windows(needle.bytes.len()).any(|part| part.eq_ignore_ascii_case(&needle.bytes))
        };
        if self.needles.iter().any(is_in) { Err(Found) } else { Ok(()) }
    }

    fn find(&self, text: &[u8]) -> Result<(), Found> {
        for (at, byte) in text.iter().enumerate() {
            if self.begins[usize::from(*byte)] && self.needles.iter().any(|needle| needle.is_at(text, at)) {
                return Err(Found);
            }
        }
        Ok(())
    }

    /// Where the earliest tail of `text` begins that could grow into a needle.
    fn open_tail(&self, text: &[u8]) -> usize {
        let longest = self.needles.iter().map(|needle| needle.bytes.len()).max().unwrap_or(0);
        let first = text.len().saturating_sub(longest.saturating_sub(1));
        let opens = |at: &usize| {
            self.begins[usize::from(text[*at])]
                && self.needles.iter().any(|needle| needle.may_begin_at(text, *at))
        };
        (first..text.len()).find(opens).unwrap_or(text.len())
    }
}

impl Needle {
    fn is_at(&self, text: &[u8], at: usize) -> bool {
        text.get(at..at + self.bytes.len()).is_some_and(|part| self.equals(part, &self.bytes))
    }

    fn may_begin_at(&self, text: &[u8], at: usize) -> bool {
        let part = &text[at..];
        part.len() < self.bytes.len() && self.equals(part, &self.bytes[..part.len()])
    }

    fn equals(&self, part: &[u8], other: &[u8]) -> bool {
        match self.case {
            Case::Exact => part == other,
            Case::Ignored => part.eq_ignore_ascii_case(other),
        }
    }
}

/// Looks through a stream.
pub(crate) struct Scrubber {
    needles: Needles,
    held: Zeroizing<Vec<u8>>,
}

impl Scrubber {
    pub(crate) fn new(needles: Needles) -> Self {
        Self { needles, held: Zeroizing::new(Vec::new()) }
    }

    /// The needles, for texts beside the stream.
    pub(crate) const fn needles(&self) -> &Needles {
        &self.needles
    }

    /// Takes the next chunk and gives what may be handed on by now.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<Bytes, Found> {
        let mut text = Zeroizing::new(Vec::with_capacity(self.held.len() + chunk.len()));
        text.extend_from_slice(&self.held);
        text.extend_from_slice(chunk);
        let readings: Vec<_> = readings(&text).map(|reading| reading.decode(&text)).collect();
        let mut end = text.len();
        for reading in &readings {
            self.needles.find(&reading.bytes)?;
            end = end.min(reading.origin(self.needles.open_tail(&reading.bytes)));
        }
        // A cut inside an escape would make the next round read it differently.
        loop {
            let aligned = readings.iter().fold(end, |end, reading| reading.align(end));
            if aligned == end {
                break;
            }
            end = aligned;
        }
        self.held = Zeroizing::new(text[end..].to_vec());
        Ok(Bytes::copy_from_slice(&text[..end]))
    }

    /// What was held back, once the stream has ended without completing a find.
    pub(crate) fn finish(self) -> Bytes {
        Bytes::copy_from_slice(&self.held)
    }
}

/// A way to read bytes.
#[derive(Clone, Copy)]
enum Reading {
    Plain,
    Percent,
    Json,
    Html,
}

/// The readings in which a text may differ from how it stands, and that one.
fn readings(text: &[u8]) -> impl Iterator<Item = Reading> {
    READINGS.into_iter().filter(|reading| reading.escape().is_none_or(|escape| text.contains(&escape)))
}

/// Decoded bytes and, for each, where its spelling began; the last entry is where the next would.
struct Decoded {
    bytes: Zeroizing<Vec<u8>>,
    origins: Vec<usize>,
}

impl Decoded {
    fn origin(&self, index: usize) -> usize {
        self.origins[index.min(self.origins.len() - 1)]
    }

    /// The largest beginning of a spelling that is not beyond `at`.
    fn align(&self, at: usize) -> usize {
        self.origins[self.origins.partition_point(|origin| *origin <= at).saturating_sub(1)]
    }
}

impl Reading {
    /// What begins a spelling of its own.
    const fn escape(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Percent => Some(b'%'),
            Self::Json => Some(b'\\'),
            Self::Html => Some(b'&'),
        }
    }

    fn decode(self, text: &[u8]) -> Decoded {
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
        let mut origins = Vec::with_capacity(text.len() + 1);
        let (mut at, mut breaks) = (0, 0);
        while at < text.len() {
            let (byte, length) = match self {
                Self::Plain => (text[at], 1),
                Self::Percent => percent(&text[at..]),
                Self::Json => json(&text[at..]),
                Self::Html => html(&text[at..]),
            };
            if length == 0 {
                break;
            }
            // Long texts are wrapped. One line break at a time, so that a find has a greatest length.
            breaks = if matches!(byte, b'\r' | b'\n') { breaks + 1 } else { 0 };
            if !(1..=LINE_BREAK_BYTES).contains(&breaks) {
                bytes.push(byte);
                origins.push(at);
            }
            at += length;
        }
        origins.push(at);
        Decoded { bytes, origins }
    }
}

/// The byte that begins `text` and the length of its spelling; zero if the spelling is cut off.
fn percent(text: &[u8]) -> (u8, usize) {
    if text[0] != b'%' {
        return (text[0], 1);
    }
    match hexadecimal(&text[1..], 2) {
        Digits::Value(value) => (u8::try_from(value).unwrap_or(b'%'), 3),
        Digits::Cut => (0, 0),
        Digits::Other => (b'%', 1),
    }
}

/// As [`percent`], for JSON's escapes; characters outside ASCII read as a byte no secret holds.
fn json(text: &[u8]) -> (u8, usize) {
    match text {
        [b'\\'] => (0, 0),
        [b'\\', b'u', rest @ ..] => match hexadecimal(rest, 4) {
            Digits::Value(value) => (u8::try_from(value).unwrap_or(0xff), 6),
            Digits::Cut => (0, 0),
            Digits::Other => (b'\\', 1),
        },
        [b'\\', b'n' | b'r', ..] => (b'\n', 2),
        [b'\\', escaped, ..] => (*escaped, 2),
        [first, ..] => (*first, 1),
        [] => (0, 0),
    }
}

/// As [`percent`], for HTML's characters by number and the five that have names everywhere.
fn html(text: &[u8]) -> (u8, usize) {
    if text[0] != b'&' {
        return (text[0], 1);
    }
    let name = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'#';
    let length = text[1..].iter().take(LONGEST_ENTITY).take_while(name).count();
    match text.get(1 + length) {
        Some(b';') => entity(&text[1..=length]).map_or((b'&', 1), |byte| (byte, length + 2)),
        None if length < LONGEST_ENTITY => (0, 0),
        Some(_) | None => (b'&', 1),
    }
}

fn entity(name: &[u8]) -> Option<u8> {
    match name {
        b"amp" => Some(b'&'),
        b"lt" => Some(b'<'),
        b"gt" => Some(b'>'),
        b"quot" => Some(b'"'),
        b"apos" => Some(b'\''),
        [b'#', b'x' | b'X', digits @ ..] => u8::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok(),
        [b'#', digits @ ..] => core::str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}

enum Digits {
    Value(u32),
    Cut,
    Other,
}

fn hexadecimal(text: &[u8], count: usize) -> Digits {
    let digits = &text[..count.min(text.len())];
    let mut value = 0;
    for digit in digits {
        let Some(digit) = char::from(*digit).to_digit(16) else { return Digits::Other };
        value = value * 16 + digit;
    }
    if digits.len() == count { Digits::Value(value) } else { Digits::Cut }
}

fn push_spellings(needles: &mut Vec<Needle>, secret: &[u8]) {
    let mut push = |bytes: Vec<u8>, case| needles.push(Needle { bytes: Zeroizing::new(bytes), case });
    push(secret.to_vec(), Case::Exact);
    // As forms write it.
    if secret.contains(&b' ') {
        push(secret.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect(), Case::Exact);
    }
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    push(hex.into_bytes(), Case::Ignored);
    for offset in 0..3 {
        // The first and last characters mix with neighbouring bytes; those between depend on the secret alone.
        let mut padded = Zeroizing::new(vec![0; offset]);
        padded.extend_from_slice(secret);
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(&*padded).into_bytes());
        let first = (offset * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        let inner = &encoded[first..last];
        push(inner.to_vec(), Case::Exact);
        let url_safe = inner.iter().map(|b| match b {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        });
        push(url_safe.collect(), Case::Exact);
    }
}

const READINGS: [Reading; 4] = [Reading::Plain, Reading::Percent, Reading::Json, Reading::Html];

/// Of consecutive carriage returns and line feeds, so many are read over: a line break, however it is written.
const LINE_BREAK_BYTES: usize = 2;

/// Letters of the longest spelling between `&` and `;` that is read: a number with some zeros before it.
const LONGEST_ENTITY: usize = 8;

/// Shortest part of a secret that is looked for on its own.
const MIN_NEEDLE_BYTES: usize = 6;

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    use super::*;

    const SECRET: &str = "ghp_S3cr+t/V~lue?123";
    const SPACED: &str = "correct horse/battery";

    fn scrubber() -> Scrubber {
        Scrubber::new(Needles::new([SECRET, SPACED].into_iter()))
    }

    /// The text in lines of 7.
    fn wrapped(text: &str, line_break: &str) -> String {
        let lines: Vec<_> =
            text.as_bytes().chunks(7).map(|line| std::str::from_utf8(line).unwrap()).collect();
        lines.join(line_break)
    }

    fn spellings() -> Vec<String> {
        let percent: String = SECRET.bytes().map(|b| format!("%{b:02x}")).collect();
        let unicode: String = SECRET.bytes().map(|b| format!("\\u{b:04X}")).collect();
        vec![
            SECRET.to_owned(),
            SECRET.replace('/', "\\/"),
            STANDARD.encode(SECRET),
            STANDARD.encode(format!("user:{SECRET}")),
            STANDARD.encode(format!("x:{SECRET}@")),
            URL_SAFE.encode(format!("{{\"t\":\"{SECRET}\"}}")),
            percent,
            SECRET.replace('+', "%2B").replace('/', "%2f"),
            STANDARD.encode(SECRET).replace('=', "%3D"),
            unicode,
            SECRET.bytes().map(|b| format!("{b:02X}")).collect(),
            wrapped(&STANDARD.encode(SECRET), "\r\n"),
            wrapped(&STANDARD.encode(SECRET), "\\n"),
            wrapped(SECRET, "%0A"),
            SECRET.replace('+', "&#43;").replace('/', "&#x2F;").replace('~', "&#0126;"),
            SPACED.replace(' ', "+").replace('/', "%2F"),
        ]
    }

    #[test]
    fn every_spelling_is_found_at_every_cut_and_no_part_of_it_leaves_before() {
        for spelling in spellings() {
            let text = format!("before \\\\ 100%-{spelling} after");
            for cut in 0..text.len() {
                let mut scrubber = scrubber();
                let first = scrubber.push(&text.as_bytes()[..cut]);
                let outcome = first.clone().and_then(|_| scrubber.push(&text.as_bytes()[cut..]));
                assert_eq!(outcome, Err(Found), "{spelling} cut at {cut}");
                assert!(
                    first.map_or(0, |bytes| bytes.len()) <= "before \\\\ 100%-".len() + 8,
                    "{spelling} cut at {cut}"
                );
            }
            let mut scrubber = scrubber();
            assert!(text.bytes().any(|byte| scrubber.push(&[byte]).is_err()), "{spelling} byte by byte");
        }
    }

    #[test]
    fn innocent_streams_pass_whole_however_they_are_cut() {
        let text =
            "ghp_ghp_S3cr 50% off %41%4 \\u00 \\\\u0041 \\\" &amp &#38 &nothing;\r\n\n\n ghp_S3cr+t/V~lue?12"
                .repeat(20);
        for size in [1, 2, 3, 7, 64, 4096] {
            let mut scrubber = scrubber();
            let mut out = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                out.extend_from_slice(&scrubber.push(chunk).expect("innocent"));
            }
            out.extend_from_slice(&scrubber.finish());
            assert_eq!(out, text.as_bytes(), "chunks of {size}");
        }
    }

    #[test]
    fn the_name_of_a_header_is_searched_without_regard_to_case() {
        let needles = Needles::new(["Token-ABCDEF"].into_iter());
        assert_eq!(needles.check_name("x-token-abcdef-y"), Err(Found));
        assert_eq!(needles.check_name("x-token-abcde"), Ok(()));
    }

    #[test]
    fn a_stream_without_a_likeness_is_not_held_back() {
        assert_eq!(scrubber().push(b"data: 1\n\n"), Ok(Bytes::from_static(b"data: 1\n\n")));
    }
}
