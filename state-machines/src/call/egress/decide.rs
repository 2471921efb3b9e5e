//! The decisions on one request, each the only way to the next. Source: docs/spec/egress.md#order.

use core::net::{IpAddr, SocketAddr};

use alloc::boxed::Box;
use alloc::vec::Vec;
use fcp_proto_core::ids::Digest;

use super::address::{AddressClass, classify};
use super::host::Host;
use super::open::OpenCall;
use super::refusal::Refusal;
use super::rule::{EgressException, EgressRule, Limits, Method, Transport};
use super::url::{Scheme, Target};

/// A request that its call declares: the proof that resolving the host is permitted.
#[derive(Clone, Debug)]
#[must_use]
pub struct Admitted {
    method: Method,
    target: Target,
    limits: Limits,
    spki_pins: Vec<Digest>,
    exceptions: Vec<EgressException>,
}

impl Admitted {
    /// The method.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The URL.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The limits of the rule it fits.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The keys one of which the service must have; none means any.
    pub fn spki_pins(&self) -> &[Digest] {
        &self.spki_pins
    }

    /// The address that needs no resolving, if the URL writes one.
    pub const fn literal(&self) -> Option<IpAddr> {
        match self.target.origin.host {
            Host::Address(address) => Some(address),
            Host::Name(_) => None,
        }
    }

    /// Decides on what the host resolved to. One refused address refuses them all: a resolver that mixes public and
    /// private answers is not to be trusted with either.
    ///
    /// # Errors
    /// If there is no address, one too many, or one that neither the positive rule nor an exception passes.
    pub fn pin(self, answers: &[IpAddr]) -> Result<Pinned, Refusal> {
        let mut addresses: Vec<IpAddr> = Vec::new();
        for answer in answers {
            if !addresses.contains(answer) {
                addresses.push(*answer);
            }
        }
        if addresses.is_empty() {
            return Err(Refusal::NoAddresses);
        }
        if addresses.len() > usize::from(self.limits.dns_max_ips) {
            return Err(Refusal::TooManyAddresses);
        }
        for address in &addresses {
            self.check_address(*address)?;
        }
        let port = self.target.origin.port;
        let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        Ok(Pinned { admitted: self, addresses })
    }

    fn check_address(&self, address: IpAddr) -> Result<(), Refusal> {
        let in_the_clear = self.target.origin.scheme == Scheme::Http;
        let excepted = self.exceptions.iter().any(|exception| {
            exception.cidr.contains(address) && (!in_the_clear || exception.transport == Transport::Plaintext)
        });
        let class = classify(address);
        if excepted {
            return Ok(());
        }
        if class != AddressClass::GlobalUnicast {
            return Err(Refusal::AddressDenied(class));
        }
        if in_the_clear {
            return Err(Refusal::PlaintextDenied);
        }
        if self.literal().is_some() { Err(Refusal::AddressLiteral) } else { Ok(()) }
    }
}

/// A request whose addresses were checked: the proof that connecting is permitted, to these and no others.
#[derive(Clone, Debug)]
#[must_use]
pub struct Pinned {
    admitted: Admitted,
    addresses: Vec<SocketAddr>,
}

impl Pinned {
    /// The request.
    pub const fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// Where to connect, in the resolver's order.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The owner-approved certificate authorities for the service at `address`.
    pub fn authorities(&self, address: IpAddr) -> impl Iterator<Item = &str> {
        let excepted =
            self.admitted.exceptions.iter().filter(move |exception| exception.cidr.contains(address));
        excepted.filter_map(|exception| exception.ca_pem.as_deref())
    }
}

/// Whether a redirected request still carries its credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carry {
    /// It goes to the place the credential went to before.
    Keep,
    /// It goes elsewhere, or has been elsewhere.
    Drop,
}

impl OpenCall {
    /// Decides on a connector's request.
    ///
    /// # Errors
    /// Names the first part of it that is malformed or not declared.
    pub fn admit(&self, method: &str, url: &str) -> Result<Admitted, Refusal> {
        let method = Method::from_wire(method).ok_or(Refusal::MethodNotDeclared)?;
        self.admit_target(method, Target::parse(url)?)
    }

    /// Decides on a redirect, as on a new request. `followed` counts those before it.
    ///
    /// # Errors
    /// If it is one too many, leaves https, would repeat a body, or leads where a request of the connector's own
    /// could not go.
    pub fn redirect(
        &self,
        from: &Admitted,
        status: u16,
        location: &str,
        followed: u8,
    ) -> Result<(Admitted, Carry), Refusal> {
        if followed >= from.limits.max_redirects {
            return Err(Refusal::RedirectLimit);
        }
        let method = match (from.method, status) {
            (Method::Get | Method::Head, _) => from.method,
            (Method::Post | Method::Put | Method::Patch | Method::Delete | Method::Options, 303) => {
                Method::Get
            }
            (Method::Post | Method::Put | Method::Patch | Method::Delete | Method::Options, _) => {
                return Err(Refusal::RedirectBody);
            }
        };
        let elsewhere = |refusal| Refusal::Redirect(Box::new(refusal));
        let target = from.target.join(location).map_err(elsewhere)?;
        if from.target.origin.scheme == Scheme::Https && target.origin.scheme == Scheme::Http {
            return Err(Refusal::RedirectDowngrade);
        }
        let carry = if target.origin == from.target.origin { Carry::Keep } else { Carry::Drop };
        Ok((self.admit_target(method, target).map_err(elsewhere)?, carry))
    }

    fn admit_target(&self, method: Method, target: Target) -> Result<Admitted, Refusal> {
        let (host, port) = (&target.origin.host, target.origin.port);
        let exceptions: Vec<_> = self.exceptions.iter().filter(|e| e.names(host, port)).cloned().collect();
        check_reach(&target, &exceptions)?;
        let rule = self.find_rule(method, &target)?;
        Ok(Admitted { method, limits: rule.limits, spki_pins: rule.spki_pins.clone(), exceptions, target })
    }

    /// The first rule that fits in every part; otherwise the part in which the best rule fails.
    fn find_rule(&self, method: Method, target: &Target) -> Result<&EgressRule, Refusal> {
        let mut refusal = Refusal::HostNotDeclared;
        for rule in &self.rules {
            if !rule.hosts.iter().any(|pattern| pattern.covers(&target.origin.host)) {
                continue;
            }
            if !rule.ports.contains(&target.origin.port) {
                refusal = further(refusal, Refusal::PortNotDeclared);
            } else if !rule.paths.iter().any(|template| template.fits(&target.path)) {
                refusal = further(refusal, Refusal::PathNotDeclared);
            } else if !rule.methods.contains(&method) {
                refusal = further(refusal, Refusal::MethodNotDeclared);
            } else {
                return Ok(rule);
            }
        }
        Err(refusal)
    }
}

/// What needs an exception before anything is asked of the network.
fn check_reach(target: &Target, exceptions: &[EgressException]) -> Result<(), Refusal> {
    if exceptions.is_empty() {
        if let Host::Address(address) = target.origin.host {
            let class = classify(address);
            let public = class == AddressClass::GlobalUnicast;
            return Err(if public { Refusal::AddressLiteral } else { Refusal::AddressDenied(class) });
        }
        if target.origin.host.is_local_name() {
            return Err(Refusal::LocalName);
        }
    }
    let plaintext = exceptions.iter().any(|exception| exception.transport == Transport::Plaintext);
    if target.origin.scheme == Scheme::Http && !plaintext { Err(Refusal::PlaintextDenied) } else { Ok(()) }
}

/// The refusal that comes later in the order of checks.
fn further(known: Refusal, new: Refusal) -> Refusal {
    let order = [Refusal::PortNotDeclared, Refusal::PathNotDeclared, Refusal::MethodNotDeclared];
    let place = |refusal: &Refusal| order.iter().position(|other| other == refusal);
    if place(&new) > place(&known) { new } else { known }
}
