//! The rules that a manifest's values obey together. Spec: `docs/spec/manifest.md#rules`.

mod request;
mod schema;
mod settling;

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use serde_json::Value;

use super::error::{ManifestError, Places, Problem};
use super::network::{AuthKind, AuthSlot, HostRule, Network};
use super::settings::{ConfigType, PathSource, SandboxProfile};
use super::template::{Form, Part, Source, Template};
use super::vocabulary::Runtime;
use super::{Document, Operation, PROJECT_WILDCARD, is_name};
use crate::ids::{OperationId, ZoneId};
use crate::zone::{Approval, Idempotency, Risk, SafetyTier};
use request::{check_http_defaults, check_request};
use schema::{check_schema, is_required, property};
use settling::check_settling;

/// A broken rule and where.
#[derive(Debug)]
pub(super) struct Broken {
    path: String,
    rule: String,
}

impl Broken {
    pub(super) fn new(path: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { path: path.into(), rule: rule.into() }
    }

    pub(super) fn locate(self, places: &Places<'_>) -> ManifestError {
        ManifestError { line: places.line_of(&self.path), path: self.path, problem: Problem::Rule(self.rule) }
    }
}

type Checked = Result<(), Broken>;

/// Longest description, in bytes. Chosen: a paragraph.
const MAX_TEXT_BYTES: usize = 1_024;

/// Most operations of one connector. Chosen: twice the largest known service.
const MAX_OPERATIONS: usize = 512;

/// Headers that egress owns, which no connector may set.
const OWNED_HEADERS: [&str; 9] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
];

pub(super) fn check(document: &Document) -> Checked {
    require(
        "manifest.format",
        document.manifest.format == "fcp-connector-manifest",
        "must be `fcp-connector-manifest`",
    )?;
    require("manifest.schema_version", document.manifest.schema_version == "3.0", "must be `3.0`")?;
    check_connector(document)?;
    check_zones(document)?;
    check_config(document)?;
    for (slot, auth) in &document.auth {
        check_auth(document, slot, auth)?;
    }
    check_pools(document)?;
    check_sandbox(document)?;
    if let Some(http) = &document.http {
        check_http_defaults(document, http)?;
    }
    if let Some(network) = &document.network {
        check_network(document, "network", network, false)?;
    }
    require("operations", !document.operations.is_empty(), "must declare at least one operation")?;
    require("operations", document.operations.len() <= MAX_OPERATIONS, "declares too many operations")?;
    for (id, operation) in &document.operations {
        check_operation(document, id, operation)?;
    }
    check_lifecycle(document)
}

fn require(path: &str, holds: bool, rule: &str) -> Checked {
    if holds { Ok(()) } else { Err(Broken::new(path, rule)) }
}

fn text(path: &str, text: &str) -> Checked {
    let plain =
        !text.trim().is_empty() && text.len() <= MAX_TEXT_BYTES && !text.chars().any(char::is_control);
    require(path, plain, "must be one line of 1 to 1024 bytes without control characters")
}

fn check_connector(document: &Document) -> Checked {
    let connector = &document.connector;
    text("connector.name", &connector.name)?;
    text("connector.description", &connector.description)?;
    require("connector.version", is_semver(&connector.version), "must be a semantic version such as 1.0.0")?;
    require("connector.archetypes", !connector.archetypes.is_empty(), "must name at least one archetype")?;
    require("connector.archetypes", distinct(&connector.archetypes), "names an archetype twice")?;
    let declarative = connector.runtime == Runtime::Declarative;
    require(
        "http",
        declarative == document.http.is_some(),
        "must stand in a declarative connector, and only there",
    )
}

fn check_zones(document: &Document) -> Checked {
    let zones = &document.zones;
    require("zones.allowed", !zones.allowed.is_empty(), "must name at least one zone")?;
    require("zones.allowed", distinct(&zones.allowed), "names a zone twice")?;
    for zone in &zones.allowed {
        let known = zone == PROJECT_WILDCARD || ZoneId::new(zone.clone()).is_ok();
        require("zones.allowed", known, "holds something that is no zone")?;
    }
    require("zones.home", zones.allows(&zones.home), "must be among the allowed zones")
}

fn check_config(document: &Document) -> Checked {
    for (name, field) in &document.config {
        let path = format!("config.{name}");
        require(&path, is_name(name), "must be named by lower-case letters, digits and underscores")?;
        text(&format!("{path}.description"), &field.description)?;
        if let Some(default) = &field.default {
            let fits = field.kind.accepts(default);
            require(&format!("{path}.default"), fits, &format!("must be a valid {}", field.kind))?;
        }
    }
    Ok(())
}

fn check_auth(document: &Document, slot: &str, auth: &AuthSlot) -> Checked {
    let path = format!("auth.{slot}");
    require(&path, is_name(slot), "must be named by lower-case letters, digits and underscores")?;
    text(&format!("{path}.description"), &auth.description)?;
    check_hosts(document, &path, &auth.hosts)?;
    let is_header = auth.kind == AuthKind::Header;
    let header = auth.header.as_deref();
    require(
        &format!("{path}.header"),
        header.is_some() == is_header,
        "must stand with kind `header`, and only there",
    )?;
    // `Authorization` is a legitimate place for a key of its own scheme; egress writes it itself.
    let free = header.is_none_or(|name| is_header_name(name) && (name == "authorization" || !is_owned(name)));
    require(&format!("{path}.header"), free, "must be a lower-case header name that egress does not own")?;
    require(
        &format!("{path}.prefix"),
        auth.prefix.is_none() || is_header,
        "must stand with kind `header` only",
    )?;
    let printable = auth.prefix.as_deref().is_none_or(is_header_text);
    require(&format!("{path}.prefix"), printable, "must be printable ASCII")?;
    let is_oauth = auth.kind == AuthKind::Oauth2;
    let token_url = auth.token_url.as_ref();
    let fits = token_url.is_none_or(|url| ConfigType::Url.accepts(&Value::String(url.clone())));
    let rule = "must be an https URL, with kind `oauth2` and only there";
    require(&format!("{path}.token_url"), token_url.is_some() == is_oauth && fits, rule)?;
    require(
        &format!("{path}.scopes"),
        is_oauth || auth.scopes.is_empty(),
        "must stand with kind `oauth2` only",
    )
}

fn check_hosts(document: &Document, path: &str, hosts: &[HostRule]) -> Checked {
    let path = format!("{path}.hosts");
    require(&path, !hosts.is_empty(), "must name at least one host")?;
    require(&path, distinct(hosts), "names a host twice")?;
    for host in hosts {
        if let HostRule::Config(name) = host {
            let is_url = document.config.get(name).is_some_and(|field| field.kind == ConfigType::Url);
            require(&path, is_url, &format!("`{name}` must be a configuration value of type url"))?;
        }
    }
    Ok(())
}

fn check_pools(document: &Document) -> Checked {
    let mut seen = BTreeSet::new();
    for pool in &document.rate_limits.pools {
        let path = "rate_limits.pools";
        require(
            path,
            is_name(&pool.id) && seen.insert(&pool.id),
            "needs distinct names of lower-case letters",
        )?;
        let sane = (1..=1_000_000_000).contains(&pool.requests) && (1..=86_400_000).contains(&pool.window_ms);
        require(path, sane, "needs 1 to 10^9 requests and a window of 1 ms to one day")?;
        require(path, pool.burst.is_none_or(|burst| burst >= 1), "needs a burst of at least 1")?;
    }
    Ok(())
}

fn check_sandbox(document: &Document) -> Checked {
    let sandbox = &document.sandbox;
    require("sandbox.memory_mb", (8..=65_536).contains(&sandbox.memory_mb), "must be 8 to 65536")?;
    require("sandbox.cpu_percent", (1..=1_600).contains(&sandbox.cpu_percent), "must be 1 to 1600")?;
    require(
        "sandbox.wall_clock_ms",
        (100..=3_600_000).contains(&sandbox.wall_clock_ms),
        "must be 100 to 3600000",
    )?;
    require("sandbox.processes", (1..=256).contains(&sandbox.processes), "must be 1 to 256")?;
    require("sandbox.descriptors", (16..=4_096).contains(&sandbox.descriptors), "must be 16 to 4096")?;
    for (path, sources) in
        [("sandbox.read_only", &sandbox.read_only), ("sandbox.writable", &sandbox.writable)]
    {
        for source in sources {
            let kind = match source {
                PathSource::Absolute(_) => continue,
                PathSource::Config(name) | PathSource::ConfigParent(name) => {
                    document.config.get(name).map(|field| field.kind)
                }
            };
            let is_path = matches!(kind, Some(ConfigType::Path | ConfigType::PathList));
            require(path, is_path, "must name a configuration value of type path or path_list")?;
        }
    }
    let declarative = document.connector.runtime == Runtime::Declarative;
    let bare = sandbox.read_only.is_empty() && sandbox.writable.is_empty();
    require("sandbox", !declarative || bare, "must give no paths to a declarative connector")?;
    let tight = matches!(sandbox.profile, SandboxProfile::Strict | SandboxProfile::StrictPlus);
    require(
        "sandbox.profile",
        !declarative || tight,
        "must be strict or strict_plus for a declarative connector",
    )
}

fn check_network(document: &Document, path: &str, network: &Network, complete: bool) -> Checked {
    check_hosts(document, path, &network.hosts)?;
    require(
        &format!("{path}.ports"),
        !network.ports.is_empty() && !network.ports.contains(&0),
        "must name ports",
    )?;
    let bounded = (1..=256 * 1024 * 1024).contains(&network.max_response_bytes);
    require(&format!("{path}.max_response_bytes"), bounded, "must be 1 to 268435456")?;
    let ordered = (1..=network.total_timeout_ms).contains(&network.connect_timeout_ms);
    require(
        &format!("{path}.connect_timeout_ms"),
        ordered,
        "must be at least 1 and at most total_timeout_ms",
    )?;
    require(
        &format!("{path}.total_timeout_ms"),
        network.total_timeout_ms <= 3_600_000,
        "must be at most 3600000",
    )?;
    require(&format!("{path}.max_redirects"), network.max_redirects <= 10, "must be at most 10")?;
    require(&format!("{path}.dns_max_ips"), (1..=64).contains(&network.dns_max_ips), "must be 1 to 64")?;
    let pins = network.spki_pins.iter().all(|pin| is_pin(pin));
    require(&format!("{path}.spki_pins"), pins, "must be `sha256:` and 64 lower-case hexadecimal digits")?;
    let filled = !network.methods.is_empty() && !network.paths.is_empty();
    require(
        path,
        filled || !complete,
        "must name methods and paths, for an operation without an `http` table",
    )
}

//= docs/spec/manifest.md#operations
fn check_operation(document: &Document, id: &OperationId, operation: &Operation) -> Checked {
    let path = format!("operations.\"{id}\"");
    let own =
        id.as_str().strip_prefix(document.connector.id.as_str()).is_some_and(|rest| rest.starts_with('.'));
    require(&path, own, "must begin with the connector's id and a dot")?;
    text(&format!("{path}.description"), &operation.description)?;
    check_tier(&path, operation)?;
    check_schema(&format!("{path}.input.schema"), &operation.input.schema, true)?;
    check_schema(&format!("{path}.output.schema"), &operation.output.schema, false)?;
    for field in operation.input.roles.keys() {
        let declared = property(&operation.input.schema, field).is_some();
        require(
            &format!("{path}.input.roles"),
            declared,
            &format!("`{field}` is no property of the schema"),
        )?;
    }
    check_resources(document, &path, operation)?;
    let timeout = (100..=3_600_000).contains(&operation.timeout_ms);
    require(&format!("{path}.timeout_ms"), timeout, "must be 100 to 3600000")?;
    check_references(document, &path, operation)?;
    if let Some(network) = &operation.network {
        check_network(document, &format!("{path}.network"), network, operation.http.is_none())?;
    }
    let declarative = document.connector.runtime == Runtime::Declarative;
    require(
        &path,
        declarative == operation.http.is_some(),
        "needs an `http` table if declarative, and only then",
    )?;
    match &operation.http {
        Some(request) => check_request(document, &path, operation, request),
        None => Ok(()),
    }
}

fn check_tier(path: &str, operation: &Operation) -> Checked {
    let safe = operation.safety == SafetyTier::Safe;
    let path_of = |field: &str| format!("{path}.{field}");
    let mild = matches!(operation.risk, Risk::Low | Risk::Medium);
    require(&path_of("risk"), !safe || mild, "must be low or medium for a safe operation")?;
    let strict = operation.idempotency != Idempotency::None;
    let reckless = matches!(operation.safety, SafetyTier::Dangerous | SafetyTier::Critical) && !strict;
    require(&path_of("idempotency"), !reckless, "must not be none for a dangerous or critical operation")?;
    let watched = operation.approval != Approval::None;
    let grave = operation.safety == SafetyTier::Critical || operation.risk == Risk::Critical;
    require(&path_of("approval"), !grave || watched, "must not be none for a critical operation")
}

fn check_resources(document: &Document, path: &str, operation: &Operation) -> Checked {
    let path = format!("{path}.resources");
    require(&path, !operation.resources.is_empty(), "must name at least one resource")?;
    for resource in &operation.resources {
        let scheme = format!("{}:", document.connector.id);
        let named =
            matches!(resource.parts().first(), Some(Part::Literal(text)) if text.starts_with(&scheme));
        require(&path, named, "must begin with the connector's id and a colon")?;
        check_template(document, Some(&operation.input.schema), &path, resource)?;
        for field in resource.fields() {
            require(
                &path,
                matches!(field.form, Form::Plain | Form::Segments),
                "may hold plain fields and segments only",
            )?;
            let top = field.path.first().map_or("", String::as_str);
            let sure = field.source == Source::Config || is_required(&operation.input.schema, top);
            require(&path, sure, &format!("`{top}` must be required by the input's schema"))?;
        }
    }
    Ok(())
}

fn check_references(document: &Document, path: &str, operation: &Operation) -> Checked {
    if let Some(slot) = &operation.auth {
        let known = document.auth.contains_key(slot);
        require(&format!("{path}.auth"), known, "names no declared credential slot")?;
        require(&format!("{path}.auth"), operation.network.is_some(), "needs network constraints")?;
    }
    for pool in &operation.rate_pools {
        let known = document.rate_limits.pools.iter().any(|declared| declared.id == *pool);
        require(&format!("{path}.rate_pools"), known, "names no declared pool")?;
    }
    if let Some(probe) = &operation.probe {
        let reads = document.operations.get(probe).is_some_and(Operation::is_read);
        require(&format!("{path}.probe"), reads, "must name a safe operation of this connector")?;
    }
    if let Some(settling) = &operation.settling {
        check_settling(document, &format!("{path}.settling"), operation, settling)?;
    }
    for related in &operation.hints.related {
        let known = document.operations.contains_key(related);
        require(&format!("{path}.hints.related"), known, "must name operations of this connector")?;
    }
    Ok(())
}

fn check_lifecycle(document: &Document) -> Checked {
    let Some(health) = &document.lifecycle.health else { return Ok(()) };
    let Some(operation) = document.operations.get(health) else {
        return Err(Broken::new("lifecycle.health", "must name an operation of this connector"));
    };
    let empty =
        operation.input.schema.get("required").and_then(Value::as_array).is_none_or(|list| list.is_empty());
    require(
        "lifecycle.health",
        operation.is_read() && empty,
        "must be a safe operation without required input",
    )
}

/// Every placeholder must name a declared property or configuration value.
//= docs/spec/manifest.md#templates
fn check_template(document: &Document, schema: Option<&Value>, path: &str, template: &Template) -> Checked {
    for field in template.fields() {
        let declared = match (field.source, schema, field.path.as_slice()) {
            (Source::Config, _, [name]) => document.config.contains_key(name),
            (Source::Input, Some(schema), [top, ..]) => property(schema, top).is_some(),
            (Source::Config | Source::Input, _, _) => false,
        };
        require(path, declared, &format!("`{}` is not declared", field.name()))?;
    }
    Ok(())
}

fn check_header(path: &str, name: &str) -> Checked {
    require(path, is_header_name(name), &format!("`{name}` is no lower-case header name"))?;
    require(path, !is_owned(name), &format!("`{name}` belongs to egress"))
}

/// A JSON pointer in which `*` may stand for every element.
fn check_pointer(path: &str, pointer: &str) -> Checked {
    let well_formed = pointer.is_empty() || pointer.starts_with('/');
    require(path, well_formed && pointer.len() <= 512, &format!("`{pointer}` is no JSON pointer"))
}

fn distinct<T: Ord>(items: &[T]) -> bool {
    let mut seen = BTreeSet::new();
    items.iter().all(|item| seen.insert(item))
}

fn is_owned(name: &str) -> bool {
    OWNED_HEADERS.contains(&name) || name.starts_with("x-fcp-")
}

fn is_header_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    !name.is_empty() && name.len() <= 128 && name.bytes().all(plain)
}

fn is_header_text(text: &str) -> bool {
    text.len() <= 128 && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

fn is_pin(pin: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    pin.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.bytes().all(hex))
}

/// `MAJOR.MINOR.PATCH` with an optional pre-release and build (semver.org 2.0.0).
fn is_semver(text: &str) -> bool {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let label = |labels: &str| {
        labels.split('.').all(|l| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    text.len() <= 64
        && core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(label)
        && build.is_none_or(label)
}
