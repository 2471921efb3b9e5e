//! `cases.toml`: what each operation of a declarative connector sends and makes of the answer.
//! Spec: `docs/spec/manifest.md#cases`.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{ManifestError, Places, Problem};
use super::http::Method;
use super::read_toml;
use crate::error::Code;
use crate::ids::OperationId;

/// All cases of a connector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// The cases in order.
    pub cases: Vec<Case>,
}

/// One call, the exchanges it must lead to and what must come of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The operation that is called.
    pub operation: OperationId,
    /// Its input.
    #[serde(default = "empty_object")]
    pub input: Value,
    /// What the owner has set; nothing unless said otherwise.
    #[serde(default = "empty_object")]
    pub config: Value,
    /// The call's idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The exchanges in order; there must be neither more nor fewer.
    #[serde(default)]
    pub exchanges: Vec<CaseExchange>,
    /// What must come of it.
    pub expect: CaseExpectation,
}

/// One request, exactly as it must be sent, and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseExchange {
    /// The method.
    pub method: Method,
    /// Scheme, host and path, percent-encoded as sent.
    pub url: String,
    /// The query, decoded: exactly these parameters; a repeated one is an array.
    #[serde(default)]
    pub query: BTreeMap<String, Value>,
    /// Headers that must be there with this value. `user-agent`, `accept`, `content-type` and the protocol's own
    /// may be there beside them, others may not.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The credential slot asked for.
    #[serde(default)]
    pub auth: Option<String>,
    /// The body as JSON; for `application/x-www-form-urlencoded`, an object of texts.
    #[serde(default)]
    pub body: Option<Value>,
    /// The body as bytes, in base64.
    #[serde(default)]
    pub body_base64: Option<String>,
    /// The answer.
    pub answer: CaseAnswer,
}

/// What the double answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseAnswer {
    /// The status.
    #[serde(default = "ok")]
    pub status: u16,
    /// The headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body as JSON.
    #[serde(default)]
    pub json: Option<Value>,
    /// The body as text.
    #[serde(default)]
    pub text: Option<String>,
    /// The body as bytes, in base64.
    #[serde(default)]
    pub base64: Option<String>,
}

/// What must come of a call: exactly one of `output` and `error`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseExpectation {
    /// The output, exactly.
    #[serde(default)]
    pub output: Option<Value>,
    /// The error's code.
    #[serde(default)]
    pub error: Option<Code>,
    /// Text that the error's message must contain.
    #[serde(default)]
    pub message: Option<String>,
    /// `none`, `made` or `unknown`.
    #[serde(default)]
    pub effect: Option<String>,
    /// The pause that the error must name, in milliseconds.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
    /// How many progress notifications with a chunk there must be.
    #[serde(default)]
    pub chunks: Option<u32>,
}

impl Cases {
    /// Reads a case file.
    ///
    /// # Errors
    /// Names the first broken rule, its path and its line.
    //= docs/spec/manifest.md#cases
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let (text, cases) = read_toml::<Self>(bytes)?;
        for (index, case) in cases.cases.iter().enumerate() {
            let expect = &case.expect;
            let effect_known =
                expect.effect.as_deref().is_none_or(|effect| ["none", "made", "unknown"].contains(&effect));
            if expect.output.is_some() == expect.error.is_some() || !effect_known {
                return Err(ManifestError {
                    line: Places::new(text).nth_table("cases.expect", index),
                    path: "cases.expect".to_string(),
                    problem: Problem::Rule(
                        "needs exactly one of `output` and `error`, and an effect of none, made or unknown"
                            .into(),
                    ),
                });
            }
        }
        Ok(cases)
    }
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

const fn ok() -> u16 {
    200
}
