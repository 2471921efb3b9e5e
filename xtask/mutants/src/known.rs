//! The changes that alter nothing anyone could see, each with its reason: `xtask/mutants/equivalent.txt`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::places::Mutant;

/// The listed changes.
pub(crate) struct Known(BTreeSet<String>);

impl Known {
    /// Reads the list: `FILE FUNCTION: CHANGE # REASON`, one a line.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let path = root.join("xtask/mutants/equivalent.txt");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut known = BTreeSet::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (change, reason) = line.rsplit_once(" # ").with_context(|| format!("no reason: {line}"))?;
            ensure!(!reason.trim().is_empty(), "an empty reason: {line}");
            known.insert(change.trim().to_owned());
        }
        Ok(Self(known))
    }

    /// Whether a change is listed.
    pub(crate) fn is_equivalent(&self, mutant: &Mutant) -> bool {
        self.0.contains(&mutant.name())
    }
}
