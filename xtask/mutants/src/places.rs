//! What a change is called.

use std::fmt;

/// One change of one place.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    /// By which it is chosen, from 1.
    pub(crate) id: u32,
    /// The file, below `state-machines/src`.
    pub(crate) file: String,
    /// The line.
    pub(crate) line: usize,
    /// The function it is in.
    pub(crate) function: String,
    /// What is changed into what.
    pub(crate) change: String,
}

impl Mutant {
    /// Its name, which stays when lines move.
    pub(crate) fn name(&self) -> String {
        format!("{} {}: {}", self.file, self.function, self.change)
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}: {}", self.file, self.line, self.function, self.change)
    }
}
