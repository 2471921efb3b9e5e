//! The signed connector: one file that holds manifest, cases, code and signatures. Spec: `docs/spec/package.md`.
//!
//! ```text
//! "FCPPKG1\n" | head length u32 LE | head: canonical CBOR | code
//! ```
//!
//! Signatures cover the head without them, and the head holds the code's digest; so they cover everything.

#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Cases, Manifest, ManifestError, Runtime};
use crate::cbor_map;
use crate::crypto::hash;
use crate::crypto::role::Publisher;
use crate::crypto::sign::{Signature, SigningKey, VerifyingKey, signing_bytes};
use crate::encoding::cbor::{self, ByteString, CborError, FromCbor, ShapeError, ToCbor};
use crate::ids::{Digest, KeyId};

/// The first bytes of every package.
pub const MAGIC: &[u8; 8] = b"FCPPKG1\n";

/// Largest head: a manifest, a case file and the signatures.
pub const MAX_HEAD_BYTES: usize = 2 * super::MAX_MANIFEST_BYTES + 64 * 1024;

/// Largest code image. Chosen: four times a statically linked connector with SQLite.
pub const MAX_CODE_BYTES: usize = 64 * 1024 * 1024;

/// Most signatures.
pub const MAX_SIGNATURES: usize = 16;

/// The schema of what is signed.
pub const SCHEMA: &str = "fcp.connector.package.v1";

cbor_map! {
    /// What is signed: everything but the signatures.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct UnsignedHead {
        /// The manifest as it was written.
        pub manifest: ByteString,
        /// The case file as it was written; empty if there is none.
        pub cases: ByteString,
        /// BLAKE3 of the code; absent in a declarative connector.
        pub code_digest: Option<Digest>,
        /// The code's length in bytes.
        pub code_length: u64,
        /// What the code runs on, such as `x86_64-linux`; absent without code.
        pub platform: Option<String>,
    }
}

cbor_map! {
    /// One publisher's signature.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PackageSignature {
        /// The publisher's key.
        pub kid: KeyId,
        /// Ed25519 over [`UnsignedHead::signing_bytes`].
        pub sig: Signature,
    }
}

cbor_map! {
    /// The head as it stands in the file.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Head {
        /// What is signed.
        pub unsigned: UnsignedHead,
        /// By whom, in ascending order of the keys.
        pub signatures: Vec<PackageSignature>,
    }
}

impl UnsignedHead {
    /// What a publisher signs.
    ///
    /// # Errors
    /// [`CborError::TooLarge`] if the parts are larger than an object may be.
    pub fn signing_bytes(&self) -> Result<Vec<u8>, CborError> {
        signing_bytes(SCHEMA, &self.to_cbor())
    }
}

/// A package whose structure and digest are right; its signatures are not checked by that.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    head: Head,
    manifest: Manifest,
    cases: Option<Cases>,
    code: Vec<u8>,
}

/// Why bytes are no package, or parts make none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageError {
    /// Another file, or an older or newer format.
    NotAPackage,
    /// The file ends before its parts do.
    Truncated,
    /// Bytes follow the code.
    TrailingBytes,
    /// The head is larger than [`MAX_HEAD_BYTES`].
    HeadTooLarge,
    /// The code is larger than [`MAX_CODE_BYTES`].
    CodeTooLarge,
    /// The head is no canonical CBOR of its type.
    Head(ShapeError),
    /// The manifest is not valid.
    Manifest(ManifestError),
    /// The case file is not valid.
    Cases(ManifestError),
    /// The code is not the one whose digest is signed.
    DigestMismatch,
    /// A declarative connector with code, or a native one without code or platform.
    RuntimeMismatch,
    /// Too many signatures, or not in ascending order of distinct keys.
    SignatureOrder,
}

impl fmt::Display for PackageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAPackage => f.write_str("not a connector package of a format this release knows"),
            Self::Truncated => f.write_str("the package ends before its parts do"),
            Self::TrailingBytes => f.write_str("bytes follow the package's code"),
            Self::HeadTooLarge => f.write_str("the package's head is too large"),
            Self::CodeTooLarge => f.write_str("the package's code is too large"),
            Self::Head(error) => write!(f, "the package's head: {error}"),
            Self::Manifest(error) => write!(f, "the package's manifest: {error}"),
            Self::Cases(error) => write!(f, "the package's cases: {error}"),
            Self::DigestMismatch => f.write_str("the package's code is not the one that was signed"),
            Self::RuntimeMismatch => {
                f.write_str("code and platform must stand in a native connector, and only there")
            }
            Self::SignatureOrder => {
                f.write_str("the package's signatures are too many, doubled or out of order")
            }
        }
    }
}

impl core::error::Error for PackageError {}

/// Why a package's signatures do not suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UntrustedPackage {
    /// The threshold is zero, which would trust everything.
    NoThreshold,
    /// A signature by a trusted key does not verify.
    BadSignature(KeyId),
    /// The manifest names another publisher than those who signed.
    PublisherDidNotSign(KeyId),
    /// Fewer trusted publishers signed than are needed.
    TooFew {
        /// How many trusted publishers signed.
        have: usize,
        /// How many are needed.
        need: usize,
    },
}

impl fmt::Display for UntrustedPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoThreshold => f.write_str("a threshold of zero publishers is not allowed"),
            Self::BadSignature(kid) => write!(f, "the signature by {kid} does not verify"),
            Self::PublisherDidNotSign(kid) => {
                write!(f, "the publisher {kid} named by the manifest did not sign")
            }
            Self::TooFew { have, need } => write!(f, "{have} trusted publishers signed, {need} are needed"),
        }
    }
}

impl core::error::Error for UntrustedPackage {}

/// The proof that enough trusted publishers signed this package; only [`Package::verify`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedPackage {
    package: Package,
    signers: Vec<KeyId>,
}

impl VerifiedPackage {
    /// The package.
    pub const fn package(&self) -> &Package {
        &self.package
    }

    /// The trusted publishers whose signatures verified.
    pub fn signers(&self) -> &[KeyId] {
        &self.signers
    }

    /// The package, the proof given up.
    pub fn into_package(self) -> Package {
        self.package
    }
}

impl Package {
    /// An unsigned package of its parts: `platform` and `code` for a native connector, neither for a declarative one.
    ///
    /// # Errors
    /// Names the part that is not valid or too large.
    pub fn build(manifest: &[u8], cases: &[u8], code: Option<(&str, Vec<u8>)>) -> Result<Self, PackageError> {
        let (platform, code) =
            code.map_or((None, Vec::new()), |(platform, code)| (Some(platform.into()), code));
        let code_digest = platform.as_ref().map(|_: &String| digest(&code));
        let unsigned = UnsignedHead {
            manifest: ByteString(manifest.to_vec()),
            cases: ByteString(cases.to_vec()),
            code_digest,
            code_length: code.len() as u64,
            platform,
        };
        Self::assemble(Head { unsigned, signatures: Vec::new() }, code)
    }

    /// Reads a package and checks all but its signatures.
    ///
    /// # Errors
    /// Names the first thing that is wrong.
    //= docs/spec/package.md#reading
    pub fn inspect(bytes: &[u8]) -> Result<Self, PackageError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(PackageError::NotAPackage)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(PackageError::Truncated)?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_HEAD_BYTES {
            return Err(PackageError::HeadTooLarge);
        }
        let (head, code) = rest.split_at_checked(length).ok_or(PackageError::Truncated)?;
        let value = cbor::decode(head).map_err(|error| PackageError::Head(error.into()))?;
        let head = Head::from_cbor(value).map_err(PackageError::Head)?;
        match (code.len() as u64).cmp(&head.unsigned.code_length) {
            core::cmp::Ordering::Less => Err(PackageError::Truncated),
            core::cmp::Ordering::Greater => Err(PackageError::TrailingBytes),
            core::cmp::Ordering::Equal => Self::assemble(head, code.to_vec()),
        }
    }

    /// Adds a publisher's signature, in place of an earlier one by the same key.
    ///
    /// # Errors
    /// [`PackageError::SignatureOrder`] if there would be too many; [`PackageError::HeadTooLarge`] likewise.
    pub fn sign(&mut self, key: &SigningKey<Publisher>) -> Result<(), PackageError> {
        let bytes = self.head.unsigned.signing_bytes().map_err(|_| PackageError::HeadTooLarge)?;
        let kid = key.key_id();
        let signature = PackageSignature { kid, sig: key.sign(&bytes) };
        let signatures = &mut self.head.signatures;
        match signatures.binary_search_by(|other| other.kid.cmp(&kid)) {
            Ok(at) => signatures[at] = signature,
            Err(_) if signatures.len() >= MAX_SIGNATURES => return Err(PackageError::SignatureOrder),
            Err(at) => signatures.insert(at, signature),
        }
        Ok(())
    }

    /// Checks that at least `threshold` of the `trusted` publishers signed, the manifest's own publisher among them
    /// if it names one.
    ///
    /// # Errors
    /// Says what is missing. A bad signature by a trusted key is an error even if others suffice.
    //= docs/spec/package.md#trust
    pub fn verify(
        self,
        trusted: &[VerifyingKey<Publisher>],
        threshold: usize,
    ) -> Result<VerifiedPackage, UntrustedPackage> {
        if threshold == 0 {
            return Err(UntrustedPackage::NoThreshold);
        }
        let signers = self.signers_among(trusted)?;
        if let Some(publisher) = self.manifest.connector.publisher.filter(|kid| !signers.contains(kid)) {
            return Err(UntrustedPackage::PublisherDidNotSign(publisher));
        }
        if signers.len() < threshold {
            return Err(UntrustedPackage::TooFew { have: signers.len(), need: threshold });
        }
        Ok(VerifiedPackage { package: self, signers })
    }

    /// Checks that at least one of the `development` publishers signed. The publisher that the manifest names need not:
    /// it is the one of releases.
    ///
    /// # Errors
    /// As [`Package::verify`].
    //= docs/spec/package.md#development
    pub fn verify_development(
        self,
        development: &[VerifyingKey<Publisher>],
    ) -> Result<VerifiedPackage, UntrustedPackage> {
        let signers = self.signers_among(development)?;
        if signers.is_empty() {
            return Err(UntrustedPackage::TooFew { have: 0, need: 1 });
        }
        Ok(VerifiedPackage { package: self, signers })
    }

    /// Who of these signed.
    fn signers_among(&self, keys: &[VerifyingKey<Publisher>]) -> Result<Vec<KeyId>, UntrustedPackage> {
        // A head that was decoded or assembled within its bounds always encodes.
        let bytes = self.head.unsigned.signing_bytes().unwrap_or_default();
        let mut signers = Vec::new();
        for signature in &self.head.signatures {
            let Some(key) = keys.iter().find(|key| key.key_id() == signature.kid) else { continue };
            key.verify(&bytes, &signature.sig).map_err(|_| UntrustedPackage::BadSignature(signature.kid))?;
            signers.push(signature.kid);
        }
        Ok(signers)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`PackageError::HeadTooLarge`] if manifest and cases together are.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PackageError> {
        let head = cbor::encode(&self.head).map_err(|_| PackageError::HeadTooLarge)?;
        if head.len() > MAX_HEAD_BYTES {
            return Err(PackageError::HeadTooLarge);
        }
        let length = u32::try_from(head.len()).map_err(|_| PackageError::HeadTooLarge)?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend(head);
        bytes.extend_from_slice(&self.code);
        Ok(bytes)
    }

    /// The head.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The manifest.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The cases, if the package has any.
    pub const fn cases(&self) -> Option<&Cases> {
        self.cases.as_ref()
    }

    /// The code; empty in a declarative connector.
    pub fn code(&self) -> &[u8] {
        &self.code
    }

    /// BLAKE3 of the code, which revocation names; absent in a declarative connector.
    pub const fn code_digest(&self) -> Option<Digest> {
        self.head.unsigned.code_digest
    }

    fn assemble(head: Head, code: Vec<u8>) -> Result<Self, PackageError> {
        let unsigned = &head.unsigned;
        if code.len() > MAX_CODE_BYTES {
            return Err(PackageError::CodeTooLarge);
        }
        let signatures = &head.signatures;
        if signatures.len() > MAX_SIGNATURES || signatures.windows(2).any(|pair| pair[0].kid >= pair[1].kid) {
            return Err(PackageError::SignatureOrder);
        }
        let manifest = Manifest::parse(&unsigned.manifest.0).map_err(PackageError::Manifest)?;
        let native = manifest.connector.runtime == Runtime::Native;
        let has_code = unsigned.code_digest.is_some() && !code.is_empty();
        let has_platform = unsigned.platform.as_deref().is_some_and(|platform| !platform.is_empty());
        let has_nothing = unsigned.code_digest.is_none() && code.is_empty() && unsigned.platform.is_none();
        if !(if native { has_code && has_platform } else { has_nothing }) {
            return Err(PackageError::RuntimeMismatch);
        }
        if unsigned.code_digest.is_some_and(|signed| signed != digest(&code)) {
            return Err(PackageError::DigestMismatch);
        }
        let cases = match unsigned.cases.0.as_slice() {
            [] => None,
            bytes => Some(Cases::parse(bytes).map_err(PackageError::Cases)?),
        };
        Ok(Self { head, manifest, cases, code })
    }
}

/// BLAKE3 of a code image.
pub fn digest(code: &[u8]) -> Digest {
    hash::digest(code)
}
