//! What one call may do on the network, from the manifest, the configuration and the owner's exceptions.
//! Source: docs/spec/connectors.md#network.

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::Digest;
use fcp_proto_core::manifest::{AuthKind, AuthSlot, HostRule, Network, Operation, Part, PathPattern};
use fcp_proto_core::manifest::{Source, Template, scalar_text};
use fcp_proto_core::object::CredentialRecord;
use fcp_state_machines::call::egress::credential::{CredentialGrant, Injection};
use fcp_state_machines::call::egress::{
    EgressRule, HostPattern, Limits, Method, PathTemplate, Scheme, Target,
};
use serde_json::Value;

use super::launch::Installation;

/// Why a call has no rules: the manifest, the configuration or the credential does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuleError {
    /// The registered reason.
    pub(super) code: Code,
    /// In words.
    pub(super) message: String,
}

impl RuleError {
    fn config(message: impl Into<String>) -> Self {
        Self { code: Code::ConfigInvalid, message: message.into() }
    }

    fn manifest(message: impl Into<String>) -> Self {
        Self { code: Code::ManifestInvalid, message: message.into() }
    }

    fn credential(message: impl Into<String>) -> Self {
        Self { code: Code::CredentialNotAllowed, message: message.into() }
    }
}

/// The rules of an operation: one for its declared hosts, and one for each host that the configuration names, for that
/// brings its own port and path.
pub(super) fn egress_rules(
    installation: &Installation,
    operation: &Operation,
    max_request_bytes: u64,
) -> Result<Vec<EgressRule>, RuleError> {
    let Some(network) = &operation.network else { return Ok(Vec::new()) };
    let base = base_path(installation)?;
    let mut declared = Vec::new();
    let mut rules = Vec::new();
    for host in &network.hosts {
        match host {
            HostRule::Exact(_) | HostRule::Below(_) => declared.push(pattern(host)?),
            HostRule::Config(name) => {
                let target = configured(installation, name)?;
                let base = base.clone().unwrap_or_else(|| base_of(&target));
                let hosts = vec![HostPattern::Exact(target.origin.host)];
                rules.push(rule(network, hosts, vec![target.origin.port], &base, max_request_bytes)?);
            }
        }
    }
    if !declared.is_empty() {
        let base = base.unwrap_or_default();
        rules.push(rule(network, declared, network.ports.clone(), &base, max_request_bytes)?);
    }
    Ok(rules)
}

/// Whether requests that fit the rules can change anything (RFC 9110 §9.2.1).
pub(super) fn can_change(rules: &[EgressRule]) -> bool {
    rules.iter().flat_map(|rule| &rule.methods).any(|method| match method {
        Method::Get | Method::Head | Method::Options => false,
        Method::Post | Method::Put | Method::Patch | Method::Delete => true,
    })
}

/// A credential as egress may use it: only in the operation's slot, only where manifest and record both allow.
pub(super) fn grant(
    installation: &Installation,
    operation: &Operation,
    record: &CredentialRecord,
) -> Result<CredentialGrant, RuleError> {
    let manifest = &installation.manifest;
    let slot = manifest.auth.get(&record.slot).filter(|_| operation.auth.as_ref() == Some(&record.slot));
    let Some(slot) = slot else {
        return Err(RuleError::credential("the operation does not use the credential's slot"));
    };
    if record.connector != manifest.connector.id || record.removed {
        return Err(RuleError::credential("the credential is another connector's, or was removed"));
    }
    if record.kind != slot.kind.to_string() {
        return Err(RuleError::credential("the credential is not of the slot's kind"));
    }
    let ours = host_patterns(installation, &slot.hosts)?;
    let hosts: Result<Vec<HostRule>, _> = record.hosts.iter().map(|host| host.parse()).collect();
    let hosts = match hosts {
        Ok(hosts) => host_patterns(installation, &hosts)?,
        // The record may name a host that no manifest can, such as an address the owner opened.
        Err(_) => record
            .hosts
            .iter()
            .map(|host| host.parse())
            .collect::<Result<_, _>>()
            .map_err(|_| RuleError::credential("the credential names a host that is none"))?,
    };
    Ok(CredentialGrant {
        slot: record.slot.clone(),
        credential: record.credential.clone(),
        injection: injection(slot),
        allowed_hosts: common(&ours, &hosts),
    })
}

fn rule(
    network: &Network,
    hosts: Vec<HostPattern>,
    ports: Vec<u16>,
    base: &str,
    max_request_bytes: u64,
) -> Result<EgressRule, RuleError> {
    let methods = network.methods.iter().filter_map(|method| Method::from_wire(&method.to_string()));
    let total_timeout_ms = u64::from(network.total_timeout_ms);
    Ok(EgressRule {
        hosts,
        ports,
        methods: methods.collect(),
        paths: network.paths.iter().map(|path| template(base, path)).collect::<Result<_, _>>()?,
        limits: Limits {
            max_request_bytes,
            max_response_bytes: network.max_response_bytes,
            max_redirects: network.max_redirects,
            dns_max_ips: network.dns_max_ips.into(),
            connect_timeout_ms: network.connect_timeout_ms.into(),
            total_timeout_ms,
            idle_timeout_ms: total_timeout_ms,
        },
        spki_pins: network.spki_pins.iter().map(|pin| self::pin(pin)).collect::<Result<_, _>>()?,
    })
}

/// A manifest's path below the base URL's, in egress's spelling.
fn template(base: &str, path: &PathPattern) -> Result<PathTemplate, RuleError> {
    let mut text = base.to_owned();
    for segment in path.to_string().split('/').skip(1) {
        text.push('/');
        text.push_str(match segment {
            "{}" => "{one}",
            "{**}" => "{rest*}",
            literal => literal,
        });
    }
    text.parse().map_err(|error| RuleError::manifest(format!("the path {text} {error}")))
}

fn pin(text: &str) -> Result<Digest, RuleError> {
    let hex = text.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
    hex.ok_or_else(|| RuleError::manifest("a pinned key is no SHA-256"))
}

/// The path of the base URL that a declarative connector appends its paths to.
fn base_path(installation: &Installation) -> Result<Option<String>, RuleError> {
    let Some(http) = &installation.manifest.http else { return Ok(None) };
    let url = render(&http.base_url, &installation.config)?;
    let target =
        Target::parse(&url).map_err(|refusal| RuleError::config(format!("the base URL: {refusal}")))?;
    Ok(Some(base_of(&target)))
}

fn base_of(target: &Target) -> String {
    target.path.trim_end_matches('/').to_owned()
}

fn render(template: &Template, config: &Value) -> Result<String, RuleError> {
    let mut text = String::new();
    for part in template.parts() {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Field(field) => {
                let value = match field.source {
                    Source::Config => field.lookup(&Value::Null, config).and_then(scalar_text),
                    Source::Input => None,
                };
                text += &value.ok_or_else(|| RuleError::config(format!("`{}` is not set", field.name())))?;
            }
        }
    }
    Ok(text)
}

fn configured(installation: &Installation, name: &str) -> Result<Target, RuleError> {
    let url = installation.config.get(name).and_then(Value::as_str);
    let url = url.ok_or_else(|| RuleError::config(format!("`{name}` is not set")))?;
    let target = Target::parse(url).map_err(|refusal| RuleError::config(format!("`{name}`: {refusal}")))?;
    match target.origin.scheme {
        Scheme::Https => Ok(target),
        Scheme::Http => Err(RuleError::config(format!("`{name}` is not https"))),
    }
}

fn host_patterns(installation: &Installation, hosts: &[HostRule]) -> Result<Vec<HostPattern>, RuleError> {
    let each = hosts.iter().map(|host| match host {
        HostRule::Exact(_) | HostRule::Below(_) => pattern(host),
        HostRule::Config(name) => {
            configured(installation, name).map(|target| HostPattern::Exact(target.origin.host))
        }
    });
    each.collect()
}

fn pattern(host: &HostRule) -> Result<HostPattern, RuleError> {
    let text = String::from(host.clone());
    text.parse().map_err(|refusal| RuleError::manifest(format!("the host {text}: {refusal}")))
}

fn injection(slot: &AuthSlot) -> Injection {
    match slot.kind {
        AuthKind::Bearer | AuthKind::Oauth2 => Injection::Bearer,
        AuthKind::Basic => Injection::Basic,
        AuthKind::Header => Injection::Header {
            // Without a name egress refuses the call.
            name: slot.header.clone().unwrap_or_default().to_ascii_lowercase(),
            prefix: slot.prefix.clone().unwrap_or_default(),
        },
    }
}

/// The hosts that both lists allow.
fn common(one: &[HostPattern], other: &[HostPattern]) -> Vec<HostPattern> {
    let within =
        |inner: &HostPattern, outer: &[HostPattern]| outer.iter().any(|pattern| holds(pattern, inner));
    let mut both: Vec<HostPattern> = one.iter().filter(|host| within(host, other)).cloned().collect();
    for host in other.iter().filter(|host| within(host, one)) {
        if !both.contains(host) {
            both.push(host.clone());
        }
    }
    both
}

/// Whether every host of `inner` is one of `outer`.
fn holds(outer: &HostPattern, inner: &HostPattern) -> bool {
    match (outer, inner) {
        (outer, HostPattern::Exact(host)) => outer.covers(host),
        (HostPattern::Below(outer), HostPattern::Below(inner)) => {
            inner == outer || inner.strip_suffix(outer.as_str()).is_some_and(|rest| rest.ends_with('.'))
        }
        (HostPattern::Exact(_), HostPattern::Below(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::Program;
    use fcp_proto_core::manifest::Manifest;
    use serde_json::json;

    /// The GitHub connector at this URL.
    fn github(base_url: &str) -> Installation {
        let manifest = Manifest::parse(include_bytes!("../../../connectors/github/manifest.toml")).unwrap();
        let config = manifest.resolve_config(&json!({ "base_url": base_url })).unwrap();
        Installation {
            manifest,
            config,
            program: Program::Engine,
            code_digest: Digest::from_bytes([1; 32]),
            package_digest: Digest::from_bytes([2; 32]),
            egress_exceptions: Vec::new(),
            sandbox_exceptions: std::collections::BTreeSet::new(),
        }
    }

    fn operation<'a>(installation: &'a Installation, id: &str) -> &'a Operation {
        installation.manifest.operation(&id.parse().unwrap()).unwrap()
    }

    fn record(hosts: &[&str]) -> CredentialRecord {
        CredentialRecord {
            credential: "main".parse().unwrap(),
            connector: "github".parse().unwrap(),
            slot: "token".into(),
            kind: "bearer".into(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            version: 1,
            removed: false,
        }
    }

    #[test]
    fn a_configured_url_brings_its_host_port_and_path() {
        let github = github("https://git.example.com:8443/api/v3/");
        let rules = egress_rules(&github, operation(&github, "github.repos.get"), 10).unwrap();
        let [rule] = rules.as_slice() else { panic!("{rules:?}") };
        assert_eq!(rule.hosts, ["git.example.com".parse().unwrap()]);
        assert_eq!(rule.ports, [8443]);
        assert_eq!(rule.methods, [Method::Get]);
        assert_eq!(rule.limits.max_request_bytes, 10);
        let [path] = rule.paths.as_slice() else { panic!("{rule:?}") };
        assert!(path.fits("/api/v3/repos/a/b"));
        assert!(!path.fits("/repos/a/b") && !path.fits("/api/v3/repos/a/b/c"));
        assert!(!can_change(&rules));
        let creates = egress_rules(&github, operation(&github, "github.issues.create"), 10).unwrap();
        assert!(can_change(&creates));
    }

    #[test]
    fn a_credential_goes_only_where_manifest_and_record_allow() {
        let github = github("https://api.github.com");
        let get = operation(&github, "github.repos.get");
        let hosts = |hosts: &[&str]| grant(&github, get, &record(hosts)).unwrap().allowed_hosts;
        assert_eq!(hosts(&["api.github.com", "evil.example"]), ["api.github.com".parse().unwrap()]);
        assert_eq!(hosts(&["*.github.com"]), ["api.github.com".parse().unwrap()]);
        assert_eq!(hosts(&["{config.base_url}"]), ["api.github.com".parse().unwrap()]);
        assert!(hosts(&[]).is_empty() && hosts(&["evil.example"]).is_empty());
    }

    #[test]
    fn a_credential_that_does_not_fit_is_refused() {
        let github = github("https://api.github.com");
        let get = operation(&github, "github.repos.get");
        let refused = |change: fn(&mut CredentialRecord)| {
            let mut record = record(&["api.github.com"]);
            change(&mut record);
            grant(&github, get, &record).is_err()
        };
        assert!(!refused(|_| {}));
        assert!(refused(|record| record.removed = true));
        assert!(refused(|record| record.slot = "other".into()));
        assert!(refused(|record| record.kind = "basic".into()));
        assert!(refused(|record| record.connector = "notion".parse().unwrap()));
    }
}
