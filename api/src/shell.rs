//! Words of the command lines that answers name.

/// A word of a shell's line: as it is if nothing in it means anything to a shell, else in single quotes.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in ["", "plain", "z:work/a.b", "two words", "it's", "a\"b$c`d\\e", "*", "--flag;x", "\n"] {
            let line = format!("printf %s {}", quoted(text));
            let told = std::process::Command::new("sh").arg("-c").arg(line).output().unwrap();
            assert_eq!(String::from_utf8(told.stdout).unwrap(), text);
        }
    }
}
