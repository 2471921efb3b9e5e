//! What an operation is, demands and yields. Spec: `docs/spec/manifest.md#operations`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::http::Request;
use super::network::Network;
use super::settling::Settling;
use super::template::{RenderError, Template};
use super::vocabulary::{Freshness, Reach, Role, Trust};
use crate::ids::{CapabilityId, OperationId};
use crate::zone::{Approval, Idempotency, Risk, SafetyTier, Taint};

/// One operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// One sentence: what it does.
    pub description: String,
    /// What a grant must give.
    pub capability: CapabilityId,
    /// How bad the worst outcome is.
    pub risk: Risk,
    /// What may drive it.
    pub safety: SafetyTier,
    /// Whether repeating it has a second effect.
    pub idempotency: Idempotency,
    /// Who must agree.
    pub approval: Approval,
    /// What it touches, as templates over the input such as `github:repo/{owner}/{repo}`; a grant's resource
    /// constraints are matched against them.
    pub resources: Vec<Template>,
    /// What goes in.
    pub input: Input,
    /// What comes out.
    pub output: Output,
    /// The credential slot it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// Where it may send; an operation without it has no network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// The rate pools that each call draws from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_pools: Vec<String>,
    /// Longest run of one call, in milliseconds.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u32,
    /// The read operation that shows what a call of unknown outcome did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<OperationId>,
    /// How the probe settles such a call; without it, a person reads the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settling: Option<Settling>,
    /// What helps an agent to use it well; never part of a decision.
    #[serde(default)]
    pub hints: Hints,
    /// How the engine performs it (declarative connectors only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Request>,
}

impl Operation {
    /// How fresh revocation must be before this operation runs.
    pub const fn freshness(&self) -> Freshness {
        Freshness::demanded_by(self.safety)
    }

    /// Whether calling it changes nothing.
    pub const fn is_read(&self) -> bool {
        matches!(self.safety, SafetyTier::Safe)
    }

    /// The resources that a call with `input` touches, sorted and without duplicates.
    ///
    /// # Errors
    /// Names the field that a template needs and `input` lacks.
    pub fn resources(&self, input: &Value, config: &Value) -> Result<Vec<String>, RenderError> {
        let rendered = self.resources.iter().map(|template| template.render_resource(input, config));
        Ok(rendered.collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect())
    }
}

/// An operation's input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// JSON schema (2020-12) of an object that allows no undeclared property.
    pub schema: Value,
    /// What each top-level field does; a field that is not named is [`Role::Control`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Role>,
    /// Who comes to see the content fields.
    #[serde(default = "public")]
    pub audience: Reach,
}

impl Input {
    /// What the top-level field `name` does.
    pub fn role(&self, name: &str) -> Role {
        self.roles.get(name).copied().unwrap_or(Role::Control)
    }
}

/// An operation's output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// JSON schema (2020-12).
    pub schema: Value,
    /// How far its author is trusted.
    pub trust: Trust,
    /// Who may see it.
    pub confidentiality: Reach,
    /// Where it has been.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub taints: BTreeSet<Taint>,
}

/// Advice to an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hints {
    /// When this operation is the right one.
    #[serde(default)]
    pub when_to_use: String,
    /// What callers get wrong.
    #[serde(default)]
    pub mistakes: Vec<String>,
    /// Inputs that work.
    #[serde(default)]
    pub examples: Vec<Value>,
    /// Operations to look at next.
    #[serde(default)]
    pub related: Vec<OperationId>,
}

/// The schema default when a manifest names no audience: everyone, which lets the least content through.
const fn public() -> Reach {
    Reach::Public
}

/// 30 s, as surface sheets of comparable gateways have it.
const fn default_timeout_ms() -> u32 {
    30_000
}
