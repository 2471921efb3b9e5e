//! A certificate authority for one run, and a certificate for the service that it vouches for.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What the service speaks TLS with.
pub(super) struct Identity {
    /// The service's side of TLS.
    pub(super) config: Arc<ServerConfig>,
    /// The authority's certificate in PEM. Its key is gone when this is made: it can vouch for nothing else.
    pub(super) authority_pem: String,
}

/// Why there is no certificate.
pub(super) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Makes an authority, and a certificate for `address`.
pub(super) fn make(address: IpAddr) -> Result<Identity, Failed> {
    let authority = CertifiedIssuer::self_signed(authority_params(), KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress(address)];
    params.distinguished_name.push(DnType::CommonName, "FCP quickstart service");
    let certificate = params.signed_by(&key, &authority)?;
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Identity { config: Arc::new(config), authority_pem: authority.pem() })
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "FCP quickstart authority");
    params
}
