//! The connector manifest: everything the host must know to run, constrain and describe a connector, as strict TOML.
//! Spec: `docs/spec/manifest.md`; the signed file around it: [`package`], `docs/spec/package.md`.
//!
//! [`Manifest::parse`] is the only way to a [`Manifest`]; what it returns obeys every rule of the specification.

mod cases;
mod check;
mod error;
mod filling;
mod http;
mod interface;
mod network;
mod operation;
pub mod package;
mod settings;
mod settling;
mod template;
mod vocabulary;

#[cfg(test)]
mod tests;

pub use cases::{Case, CaseAnswer, CaseExchange, CaseExpectation, Cases};
pub use error::{ManifestError, Problem};
pub use filling::fill;
pub use http::{
    BodyFormat, Errors, HttpDefaults, Method, PageKind, Pagination, ParameterPlace, Request, ResponseFormat,
    Retry, Shape,
};
pub use network::{
    AuthKind, AuthSlot, Destination, HostRule, HostRuleError, Network, PathPattern, PathPatternError,
};
pub use operation::{Hints, Input, Operation, Output};
pub use settings::{
    ConfigError, ConfigField, ConfigType, Lifecycle, PathSource, PathSourceError, RateAlgorithm, RateLimits,
    RatePool, RateScope, Sandbox, SandboxProfile, resolve_config,
};
pub use settling::{Finding, Finds, Inquiry, Settling};
pub use template::{
    Field, Form, Part, RenderError, Source, Template, TemplateError, percent_encode, scalar_text,
};
pub use vocabulary::{Archetype, Freshness, Reach, Restart, Role, Runtime, Trust};

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Deref;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::encoding::named;
use crate::ids::{ConnectorId, Digest, KeyId, OperationId, ZoneId};
use error::Places;

/// Largest manifest or case file, in bytes. Chosen: forty times the largest bundled one.
pub const MAX_MANIFEST_BYTES: usize = 1024 * 1024;

/// A manifest that obeys every rule; dereferences to its [`Document`].
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    document: Document,
    source: Vec<u8>,
    interface_hash: Digest,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// Names the first broken rule, its path and its line.
    //= docs/spec/manifest.md#format
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let (text, mut document) = read_toml::<Document>(bytes)?;
        document.fill_in();
        check::check(&document).map_err(|broken| broken.locate(&Places::new(text)))?;
        let interface_hash =
            interface::hash(&document).map_err(|broken| broken.locate(&Places::new(text)))?;
        Ok(Self { document, source: bytes.to_vec(), interface_hash })
    }

    /// The bytes that were read.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Binds approvals to what was seen: everything that bears on security, none of advice, names and versions.
    pub const fn interface_hash(&self) -> Digest {
        self.interface_hash
    }

    /// The operation `id`.
    pub fn operation(&self, id: &OperationId) -> Option<&Operation> {
        self.document.operations.get(id)
    }

    /// The complete configuration from what the owner set.
    ///
    /// # Errors
    /// Names the first value that is unknown, missing or of another type.
    pub fn resolve_config(&self, given: &Value) -> Result<Value, ConfigError> {
        resolve_config(&self.document.config, given)
    }
}

impl Deref for Manifest {
    type Target = Document;

    fn deref(&self) -> &Document {
        &self.document
    }
}

/// The content of a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// What the file is.
    pub manifest: Header,
    /// Which connector it describes.
    pub connector: Connector,
    /// Where it may be bound.
    pub zones: Zones,
    /// What the owner may or must set.
    #[serde(default)]
    pub config: BTreeMap<String, ConfigField>,
    /// The credentials it can use.
    #[serde(default)]
    pub auth: BTreeMap<String, AuthSlot>,
    /// What its requests share (declarative connectors).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpDefaults>,
    /// The network constraints of operations that declare none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Its operations.
    pub operations: BTreeMap<OperationId, Operation>,
    /// Its rate pools.
    #[serde(default)]
    pub rate_limits: RateLimits,
    /// What its process may use.
    pub sandbox: Sandbox,
    /// How it is supervised.
    #[serde(default)]
    pub lifecycle: Lifecycle,
}

impl Document {
    /// Where `operation` may send under the resolved configuration `config`; `None` is nowhere.
    pub fn destination(&self, operation: &Operation, config: &Value) -> Option<Destination> {
        let base_url = self.base_url(config);
        operation.network.as_ref().map(|network| network.destination(base_url.as_deref(), config))
    }

    /// The only hosts that the credential of `slot` may be sent to under the resolved configuration `config`.
    pub fn credential_hosts(&self, slot: &str, config: &Value) -> Vec<String> {
        let rules = self.auth.get(slot).map_or(&[][..], |auth| auth.hosts.as_slice());
        network::resolve_hosts(rules, config).into_iter().map(|(host, _)| host).collect()
    }

    /// The base URL of a declarative connector's requests.
    pub fn base_url(&self, config: &Value) -> Option<String> {
        let template = &self.http.as_ref()?.base_url;
        match (template.lone_field(), template.parts()) {
            (Some(field), _) => field.lookup(&Value::Null, config)?.as_str().map(String::from),
            (None, [Part::Literal(url)]) => Some(url.clone()),
            (None, _) => None,
        }
    }

    /// Gives every operation the network constraints that it inherits.
    fn fill_in(&mut self) {
        for operation in self.operations.values_mut() {
            let Some(request) = &operation.http else { continue };
            let Some(network) = operation.network.as_mut() else {
                let mut inherited = self.network.clone();
                if let Some(network) = &mut inherited {
                    complete(network, request);
                }
                operation.network = inherited;
                continue;
            };
            complete(network, request);
        }
    }
}

/// Narrows constraints without methods or paths to those of the operation's own request.
fn complete(network: &mut Network, request: &Request) {
    if network.methods.is_empty() {
        network.methods.push(request.method);
    }
    if network.paths.is_empty() {
        network.paths.push(request.path_pattern());
    }
}

/// The `[manifest]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Always `fcp-connector-manifest`.
    pub format: String,
    /// Always `3.0`.
    pub schema_version: String,
}

/// The `[connector]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// Its identifier, with which its operations begin.
    pub id: ConnectorId,
    /// Its name for people.
    pub name: String,
    /// Its version (semver).
    pub version: String,
    /// What it connects to, in one sentence.
    pub description: String,
    /// What it is for.
    pub archetypes: Vec<Archetype>,
    /// What runs it.
    pub runtime: Runtime,
    /// The key that its publisher signs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<KeyId>,
}

/// The `[zones]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zones {
    /// The zone it is bound to unless the owner says otherwise.
    pub home: ZoneId,
    /// The zones it may be bound to; `z:project:*` stands for every project zone.
    pub allowed: Vec<String>,
}

impl Zones {
    /// Whether the connector may be bound to `zone`.
    pub fn allows(&self, zone: &ZoneId) -> bool {
        self.allowed.iter().any(|allowed| {
            allowed == zone.as_str() || (allowed == PROJECT_WILDCARD && zone.project().is_some())
        })
    }
}

/// Stands for every project zone.
const PROJECT_WILDCARD: &str = "z:project:*";

/// Reads TOML within the bounds, with the place of the first error.
fn read_toml<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<(&'a str, T), ManifestError> {
    let whole = |problem| ManifestError { line: 0, path: String::new(), problem };
    if bytes.len() > MAX_MANIFEST_BYTES {
        return Err(whole(Problem::TooLarge));
    }
    let text = core::str::from_utf8(bytes).map_err(|_| whole(Problem::NotUtf8))?;
    let value = toml::Deserializer::parse(text).and_then(named::read).map_err(|error| {
        let (line, path) = error.span().map_or((0, String::new()), |span| Places::new(text).at(span.start));
        ManifestError { line, path, problem: Problem::Syntax(error.message().to_string()) }
    })?;
    Ok((text, value))
}

/// Whether `text` is a name of a slot, pool, field or configuration value: `[a-z][a-z0-9_]*`, at most 64 bytes.
fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && text.len() <= 64
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
