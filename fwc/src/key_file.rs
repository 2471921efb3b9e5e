//! Key files: 64 hexadecimal digits on a line after a line that says what they are, readable by their owner alone.

use std::path::Path;

use fcp_proto_core::crypto::role::SigningRole;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::error::Code;
use fcp_proto_core::random::Entropy;
use zeroize::Zeroizing;

use crate::{Failure, Result, internal, private_file};

/// Makes a key from fresh entropy of the operating system.
///
/// # Errors
/// [`Code::Internal`] if the system yields none.
pub(crate) fn generate<R: SigningRole>() -> Result<SigningKey<R>> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    let filled = rustix::rand::getrandom(&mut seed[..], rustix::rand::GetRandomFlags::empty());
    match filled {
        Ok(32) => Ok(SigningKey::generate(&mut Entropy::from_seed(&seed))),
        Ok(_) | Err(_) => Err(internal("the operating system yields no entropy")),
    }
}

/// Stores a new key.
///
/// # Errors
/// [`Code::Conflict`] if the file exists.
pub(crate) fn store<R: SigningRole>(path: &Path, key: &SigningKey<R>) -> Result<()> {
    let mut text = Zeroizing::new(first_line::<R>());
    text.push('\n');
    for byte in key.expose_seed() {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or_default());
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or_default());
    }
    text.push('\n');
    private_file::create(path, text.as_bytes())
}

/// Reads a key of this role.
///
/// # Errors
/// [`Code::NotFound`] if there is none; [`Code::MalformedInput`] if it is something else.
pub(crate) fn load<R: SigningRole>(path: &Path) -> Result<SigningKey<R>> {
    let text = private_file::read(path)?;
    let malformed = || {
        Failure::new(Code::MalformedInput)
            .because(format!("{} is no key file for the role `{}`", path.display(), R::ROLE))
            .next("name another file")
    };
    let (first, rest) = text.split_once('\n').ok_or_else(malformed)?;
    let digits = rest.strip_suffix('\n').unwrap_or(rest);
    if first != first_line::<R>() || digits.len() != 64 {
        return Err(malformed());
    }
    let mut seed = Zeroizing::new([0_u8; 32]);
    for (byte, pair) in seed.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(0).ok_or_else(malformed)? << 4 | digit(1).ok_or_else(malformed)?;
    }
    Ok(SigningKey::from_seed(&seed))
}

fn first_line<R: SigningRole>() -> String {
    format!("fcp-key 1 ed25519 {}", R::ROLE)
}
