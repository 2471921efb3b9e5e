//! Resources as a person has them, and as patterns must spell them: percent-encoded, segment by segment, as a manifest's
//! `|segments` renders them.

use std::path::Path;

use fcp_proto_core::manifest::percent_encode;

use crate::{Failure, Result, usage};

/// `kind`, such as `filesystem:file`, of the file or folder at an absolute path.
///
/// # Errors
/// The path is no text.
pub(crate) fn of_path(kind: &str, path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| not_text(path))?;
    Ok(format!("{kind}{}", by_segment(text, percent_encode)))
}

/// The failure of a path that cannot be given to a connector.
pub(crate) fn not_text(path: &Path) -> Failure {
    usage(format!("the path {} is no UTF-8", path.display()))
        .next("name another with `fwc quickstart --home DIR`")
}

/// What `pattern` probably means: its wildcards and what is encoded already stay, all else that is no plain character of a
/// name is encoded.
pub(crate) fn encoded(pattern: &str) -> String {
    let (scheme, rest) = pattern.split_once(':').unwrap_or(("", pattern));
    let rest = by_segment(rest, |segment, out| match segment {
        "*" | "**" => out.push_str(segment),
        _ => encode_once(segment, out),
    });
    format!("{scheme}:{rest}")
}

fn by_segment(text: &str, encode: impl Fn(&str, &mut String)) -> String {
    let mut out = String::new();
    for (index, segment) in text.split('/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        encode(segment, &mut out);
    }
    out
}

/// Encodes a segment, but not the escapes that are in it.
fn encode_once(segment: &str, out: &mut String) {
    for (index, part) in segment.split('%').enumerate() {
        let is_escape = part.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
        match (index, is_escape) {
            (0, _) => {}
            (_, true) => out.push('%'),
            (_, false) => out.push_str("%25"),
        }
        percent_encode(part, out);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_path_is_encoded_as_a_manifest_renders_it() {
        let path = Path::new("/home/mé/my notes/50%");
        assert_eq!(
            of_path("filesystem:file", path).unwrap(),
            "filesystem:file/home/m%C3%A9/my%20notes/50%25"
        );
        assert!(of_path("x:y", Path::new(OsStr::from_bytes(b"/\xff"))).is_err());
    }

    #[test]
    fn a_pattern_keeps_its_wildcards_and_escapes() {
        for (given, meant) in [
            ("filesystem:file/a/my notes.txt", "filesystem:file/a/my%20notes.txt"),
            ("filesystem:file/my notes/*/**", "filesystem:file/my%20notes/*/**"),
            ("filesystem:file/a%20b c/100%", "filesystem:file/a%20b%20c/100%25"),
            ("sqlite:database/a\\b", "sqlite:database/a%5Cb"),
        ] {
            assert_eq!(encoded(given), meant);
        }
    }
}
