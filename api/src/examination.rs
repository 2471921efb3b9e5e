//! What an examination of a home finds: `fcp-host examine` prints it, `fwc doctor` shows it.

use fcp_proto_core::error::Code;
use serde::{Deserialize, Serialize};

/// What a look at one thing found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It is as it should be.
    Ok,
    /// It works, and is weaker than it could be or will be put right by itself.
    Warning,
    /// It is not as it should be.
    Problem,
    /// It could not be looked at.
    Unknown,
}

/// One look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// What was looked at.
    pub check: String,
    /// What was found, in a word.
    pub finding: Finding,
    /// What was found.
    pub detail: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Why it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The registered code of a problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// What puts right a manifest's copy in `connectors/` of a home that cannot be read: a start writes all of them again.
pub const REMEDY_OF_COPY: &str = "`fwc down` if the daemon runs, then `fwc up`: it writes the file again from its journal, or \
                                  removes it if nothing of that name is installed";

impl Look {
    /// A look that found `detail`.
    pub fn new(check: impl Into<String>, finding: Finding, detail: impl Into<String>) -> Self {
        let (check, detail) = (check.into(), detail.into());
        Self { check, finding, detail, place: None, why: None, remedy: None, code: None }
    }

    /// A problem with a code, whose meaning says why it matters, and whose next step what to do.
    pub fn problem(check: impl Into<String>, code: Code, detail: impl Into<String>) -> Self {
        let look = Self::new(check, Finding::Problem, detail).why(code.meaning()).remedy(code.next_step());
        Self { code: Some(code), ..look }
    }

    /// Says where it is.
    #[must_use]
    pub fn at(self, place: impl std::fmt::Display) -> Self {
        Self { place: Some(place.to_string()), ..self }
    }

    /// Says why it matters.
    #[must_use]
    pub fn why(self, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..self }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}
