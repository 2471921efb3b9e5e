//! Fresh entropy of the operating system.

use std::io;

use fcp_proto_core::random::Entropy;
use zeroize::Zeroizing;

/// A generator seeded by the operating system.
///
/// # Errors
/// What the system answers when it has no entropy to give.
pub fn fresh() -> io::Result<Entropy> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(io::Error::other)?;
    Ok(Entropy::from_seed(&seed))
}
