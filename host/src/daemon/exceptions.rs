//! What the owner opened for a connector, from its records. Source: docs/spec/egress.md#addresses.

use std::collections::BTreeSet;
use std::io::Read;

use fcp_api::shell::quoted;
use fcp_api::types::ExceptionRule;
use fcp_proto_core::crypto::hash;
use fcp_proto_core::ids::{ConnectorId, Digest, ObjectId};
use fcp_proto_core::time::Now;
use fcp_state_machines::call::egress::{Cidr, EgressException, Transport};
use fcp_state_machines::node::Node;

use crate::egress;
use crate::sandbox::Property;

/// The walls that are lowered for a connector.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lowered {
    pub(super) addresses: Vec<EgressException>,
    pub(super) properties: BTreeSet<Property>,
}

/// An exception that cannot be applied; its connector must not run, for it would meet refusals that do not say why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Inapplicable {
    /// The exception.
    pub(super) exception: ObjectId,
    /// What is wrong with it.
    pub(super) why: String,
    /// What to do about it.
    pub(super) remedy: String,
}

/// What is open for a connector now. A record that cannot be read opens nothing.
///
/// # Errors
/// A certificate authority is not the one that was recorded, or cannot be read.
pub(super) fn lowered(node: &Node, connector: &ConnectorId, now: Now) -> Result<Lowered, Inapplicable> {
    let mut lowered = Lowered::default();
    for (id, exception) in node.catalog().exceptions(connector, now.unix) {
        match serde_json::from_str(&exception.rule) {
            Ok(rule) => {
                let remedy = remedy(*id, connector, &rule);
                lowered.add(rule).map_err(|why| Inapplicable { exception: *id, why, remedy })?;
            }
            Err(error) => tracing::error!(%id, %error, "an exception cannot be read and opens nothing"),
        }
    }
    Ok(lowered)
}

/// The commands that end an exception which cannot be applied, and record it anew as things are now.
fn remedy(id: ObjectId, connector: &ConnectorId, rule: &ExceptionRule) -> String {
    let anew = match rule {
        ExceptionRule::Egress { host, network, port, ca_file, .. } => {
            let ca = ca_file.as_ref().map(|path| format!(" --ca-file {}", quoted(path))).unwrap_or_default();
            let (host, network) = (quoted(host), quoted(network));
            format!("fwc exception egress {connector} --to-host {host} --network {network} --port {port}{ca}")
        }
        ExceptionRule::Sandbox { property } => {
            format!("fwc exception sandbox {connector} {}", quoted(property))
        }
    };
    format!("`fwc exception remove {id}`; if it is still needed, record it anew: `{anew} --reason TEXT`")
}

impl Lowered {
    fn add(&mut self, rule: ExceptionRule) -> Result<(), String> {
        match Opened::read(&rule) {
            Ok(Opened::Address(mut address)) => {
                address.ca_pem = authority_of(rule)?;
                self.addresses.push(*address);
            }
            Ok(Opened::Property(property)) => drop(self.properties.insert(property)),
            Err(error) => tracing::error!(error, "an exception opens nothing"),
        }
        Ok(())
    }
}

/// What one exception opens.
pub(crate) enum Opened {
    /// A host at addresses that are refused otherwise; without the certificate authority, which is read when it is used.
    Address(Box<EgressException>),
    /// A property that the sandbox may lack.
    Property(Property),
}

impl Opened {
    /// What the rule opens.
    ///
    /// # Errors
    /// Why it opens nothing.
    pub(crate) fn read(rule: &ExceptionRule) -> Result<Self, String> {
        match rule {
            ExceptionRule::Egress { host, network, port, .. } => {
                Ok(Self::Address(Box::new(EgressException {
                    host: host.parse().map_err(|_| format!("{host:?} is no host"))?,
                    cidr: network_of(network)?,
                    port: *port,
                    transport: Transport::Tls,
                    ca_pem: None,
                })))
            }
            ExceptionRule::Sandbox { property } => {
                let known = Property::ALL.iter().find(|known| known.name() == property);
                known.map(|known| Self::Property(*known)).ok_or_else(|| {
                    let names: Vec<_> = Property::ALL.iter().map(|known| known.name()).collect();
                    format!("the sandbox has no property {property:?}; it has {}", names.join(", "))
                })
            }
        }
    }
}

/// The network of a rule. One that is wider than a network opens nothing, whenever it was recorded.
//= docs/spec/egress.md#addresses
fn network_of(text: &str) -> Result<Cidr, String> {
    let cidr: Cidr = text.parse().map_err(|_| format!("{text:?} is no network"))?;
    if cidr.is_too_wide() {
        return Err(format!(
            "{text} is wider than one network, and would leave nothing of the rule for addresses; name the service's own"
        ));
    }
    Ok(cidr)
}

/// The certificate authority that a rule names, if it names one.
fn authority_of(rule: ExceptionRule) -> Result<Option<String>, String> {
    match rule {
        ExceptionRule::Egress { ca_file: Some(path), ca_digest, .. } => authority(&path, ca_digest).map(Some),
        ExceptionRule::Egress { ca_file: None, .. } | ExceptionRule::Sandbox { .. } => Ok(None),
    }
}

/// Reads a certificate authority, and compares it with what was recorded. Records of earlier releases name no digest.
///
/// # Errors
/// It cannot be read, is too large, is none, or is another than was recorded.
//= docs/spec/egress.md#addresses
fn authority(path: &str, recorded: Option<Digest>) -> Result<String, String> {
    let mut pem = String::new();
    let file = std::fs::File::open(path).map_err(|error| format!("{path}: {error}"))?;
    file.take(MAX_CA_BYTES + 1).read_to_string(&mut pem).map_err(|error| format!("{path}: {error}"))?;
    if pem.len() as u64 > MAX_CA_BYTES {
        return Err(format!("{path} is larger than {MAX_CA_BYTES} bytes"));
    }
    let found = hash::digest(pem.as_bytes());
    if recorded.is_some_and(|recorded| recorded != found) {
        return Err(format!("{path} is not the certificate authority that was recorded"));
    }
    if egress::is_authority(&pem) { Ok(pem) } else { Err(format!("{path} holds no certificate in PEM")) }
}

/// Names the certificate authority of a rule that is to be recorded by its digest.
///
/// # Errors
/// As when it is used; and if it is another than the operator looked at.
pub(crate) fn pin(rule: ExceptionRule) -> Result<ExceptionRule, String> {
    match rule {
        ExceptionRule::Egress { ca_file: None, ca_digest: Some(_), .. } => {
            Err("`ca_digest` has no use without `ca_file`".into())
        }
        ExceptionRule::Egress { host, network, port, ca_file: Some(path), ca_digest } => {
            let ca_digest = Some(hash::digest(authority(&path, ca_digest)?.as_bytes()));
            Ok(ExceptionRule::Egress { host, network, port, ca_file: Some(path), ca_digest })
        }
        rule @ (ExceptionRule::Egress { ca_file: None, ca_digest: None, .. }
        | ExceptionRule::Sandbox { .. }) => Ok(rule),
    }
}

/// Largest file of a certificate authority. Chosen: a bundle of hundreds.
const MAX_CA_BYTES: u64 = 512 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> String {
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertifiedIssuer::self_signed(ca, key).unwrap().pem()
    }

    fn rule(path: &str, ca_digest: Option<Digest>) -> ExceptionRule {
        let (host, network) = ("git.intern.example".into(), "10.0.0.7/32".into());
        ExceptionRule::Egress { host, network, port: 443, ca_file: Some(path.into()), ca_digest }
    }

    #[test]
    fn another_authority_than_was_recorded_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let name = path.to_str().unwrap();
        std::fs::write(&path, pem()).unwrap();
        let pinned = pin(rule(name, None)).unwrap();
        let ExceptionRule::Egress { ca_digest: Some(_), .. } = &pinned else { panic!("{pinned:?}") };
        let mut lowered = Lowered::default();
        lowered.add(pinned.clone()).unwrap();
        assert_eq!(lowered.addresses.len(), 1);
        std::fs::write(&path, pem()).unwrap();
        let refused = Lowered::default().add(pinned.clone()).unwrap_err();
        assert!(refused.contains("not the certificate authority that was recorded"), "{refused}");
        assert!(pin(pinned.clone()).is_err(), "the operator looked at the one before");
        std::fs::remove_file(&path).unwrap();
        assert!(Lowered::default().add(pinned).is_err());
    }

    #[test]
    fn what_cannot_be_applied_is_removed_and_recorded_anew_by_the_commands_of_its_remedy() {
        let connector = ConnectorId::new("github").unwrap();
        let id = ObjectId::from_bytes([0xab; 32]);
        let removed = format!("`fwc exception remove {id}`; if it is still needed, record it anew: ");
        assert_eq!(
            remedy(id, &connector, &rule("/etc/our ca.pem", None)),
            format!(
                "{removed}`fwc exception egress github --to-host git.intern.example --network 10.0.0.7/32 --port 443 \
                 --ca-file '/etc/our ca.pem' --reason TEXT`"
            )
        );
        let property = ExceptionRule::Sandbox { property: "cpu_bounded".into() };
        assert_eq!(
            remedy(id, &connector, &property),
            format!("{removed}`fwc exception sandbox github cpu_bounded --reason TEXT`")
        );
    }

    #[test]
    fn a_record_of_an_earlier_release_is_read_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, pem()).unwrap();
        let text = format!(
            r#"{{"kind":"egress","host":"git.intern.example","network":"10.0.0.7/32","port":443,"ca_file":"{}"}}"#,
            path.display()
        );
        let old: ExceptionRule = serde_json::from_str(&text).unwrap();
        assert_eq!(
            serde_json::to_value(&old).unwrap(),
            serde_json::from_str::<serde_json::Value>(&text).unwrap()
        );
        let mut lowered = Lowered::default();
        lowered.add(old).unwrap();
        assert!(lowered.addresses[0].ca_pem.is_some());
    }

    #[test]
    fn what_is_no_authority_is_not_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        for content in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&path, content).unwrap();
            assert!(pin(rule(path.to_str().unwrap(), None)).is_err(), "{content}");
        }
        std::fs::write(&path, "x".repeat(MAX_CA_BYTES as usize + 1)).unwrap();
        assert!(pin(rule(path.to_str().unwrap(), None)).unwrap_err().contains("larger"));
    }
}
