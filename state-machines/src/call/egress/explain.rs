//! The address and URL rules without a connector. Source: docs/spec/egress.md#explain.

use core::net::IpAddr;

use super::address::{AddressClass, classify};
use super::host::{Host, HostPattern};
use super::refusal::Refusal;
use super::url::Target;

/// Whether a URL names a public place: any public host or address, https or http, within `allowed` if that is given.
/// A connector's own rules always refuse what they do not declare.
///
/// # Errors
/// Names the rule that refuses it.
pub fn url(url: &str, allowed: Option<&[HostPattern]>) -> Result<Target, Refusal> {
    judge(Target::parse(url)?, allowed)
}

/// The same for a redirect from `from`.
///
/// # Errors
/// Names the rule that refuses it.
pub fn redirect(from: &Target, location: &str, allowed: Option<&[HostPattern]>) -> Result<Target, Refusal> {
    judge(from.join(location)?, allowed)
}

/// Whether what a host resolves to is public, every address of it.
///
/// # Errors
/// If there is no address, or one that is not.
pub fn addresses(answers: &[IpAddr]) -> Result<(), Refusal> {
    if answers.is_empty() {
        return Err(Refusal::NoAddresses);
    }
    let refused =
        answers.iter().map(|address| classify(*address)).find(|class| *class != AddressClass::GlobalUnicast);
    refused.map_or(Ok(()), |class| Err(Refusal::AddressDenied(class)))
}

fn judge(target: Target, allowed: Option<&[HostPattern]>) -> Result<Target, Refusal> {
    match target.origin.host {
        Host::Address(address) => addresses(&[address])?,
        Host::Name(_) if target.origin.host.is_local_name() => return Err(Refusal::LocalName),
        Host::Name(_) => {}
    }
    let declared =
        |patterns: &[HostPattern]| patterns.iter().any(|pattern| pattern.covers(&target.origin.host));
    if allowed.is_none_or(declared) { Ok(target) } else { Err(Refusal::HostNotDeclared) }
}
