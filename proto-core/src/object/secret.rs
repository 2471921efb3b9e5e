//! Secrets in the mesh: sealed whole, or shared so that no device has one; and the right to use one once or twice.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Object, Schema, Signed, SignedBody};
use crate::crypto::hpke::{HpkeBox, OpeningKey};
use crate::crypto::seal::SealedBox;
use crate::crypto::shamir::{Dealing, HeldShare, SealedShareError, ShareRecipient};
use crate::crypto::wrap::WrappableKey;
use crate::encoding::cbor::ShapeError;
use crate::ids::{KeyId, NodeId, PrincipalId, SecretId, TokenId, ZoneId};
use crate::time::UnixTime;
use crate::{cbor_enum, cbor_map, cbor_tagged};

/// How long the right to use a secret may last, in seconds.
pub const MAX_SECRET_ACCESS_SECS: u64 = 300;

cbor_enum! {
    /// What a secret is.
    pub enum SecretType {
        /// A key of an API.
        ApiKey = "api_key",
        /// A token of OAuth.
        OAuthToken = "o_auth_token",
        /// A password.
        Password = "password",
        /// A private key.
        PrivateKey = "private_key",
        /// A certificate with its key.
        Certificate = "certificate",
        /// A symmetric key.
        SymmetricKey = "symmetric_key",
    }
}

cbor_tagged! {
    /// How a secret's bytes are to be read.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum SecretFormat {
        /// As they are.
        Raw = "raw" {},
        /// PEM (RFC 7468).
        Pem = "pem" {},
        /// DER.
        Der = "der" {},
        /// Standard base64.
        Base64 = "base64" {},
        /// A share of a secret.
        ThresholdShare = "threshold_share" {
            /// Which, from 1.
            index: u16,
            /// How many are needed.
            threshold: u16,
            /// How many there are.
            total: u16,
        },
        /// A key under another key.
        WrappedKey = "wrapped_key" {},
    }
}

cbor_map! {
    /// A secret of the header's zone, sealed; signed by an operator with `auth`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretObject {
        /// Its name.
        pub secret_id: SecretId,
        /// What it is.
        pub secret_type: SecretType,
        /// How it is to be read.
        pub format: SecretFormat,
        /// What a person calls it.
        pub label: Option<String>,
        /// The secret, with the purpose and binding of [`SecretObject::binding`].
        pub sealed: SealedBox,
        /// Until when it may be used, exclusive.
        pub expires_at: Option<UnixTime>,
        /// How often it may be used.
        pub max_access_count: Option<u64>,
    }
    => SecretObject::check
}

impl SecretObject {
    /// What its sealed box is for.
    pub const PURPOSE: &'static str = "secret-object";

    /// What its sealed box belongs to: this secret, in this zone, under this schema.
    //= docs/spec/objects.md#secrets
    pub fn binding(secret_id: &SecretId, zone: &ZoneId) -> Vec<u8> {
        let schema = <Self as SignedBody>::SCHEMA.id().hash();
        [&secret_id.as_bytes()[..], schema.as_bytes(), zone.as_str().as_bytes()].concat()
    }

    fn check(&self) -> Result<(), ShapeError> {
        match self.format {
            SecretFormat::ThresholdShare { index, threshold, total } => {
                check_threshold(threshold, total)?;
                if (1..=total).contains(&index) {
                    Ok(())
                } else {
                    Err(ShapeError::Invalid("a share's index is one of 1 to the number of shares"))
                }
            }
            SecretFormat::Raw {}
            | SecretFormat::Pem {}
            | SecretFormat::Der {}
            | SecretFormat::Base64 {}
            | SecretFormat::WrappedKey {} => Ok(()),
        }
    }
}

impl SignedBody for SecretObject {
    const SCHEMA: Schema = Schema { namespace: "fcp.secret", name: "Secret", version: "1.0.0" };
}

cbor_enum! {
    /// How a secret is shared.
    pub enum SharingScheme {
        /// Shamir's scheme, byte by byte over GF(2^8) with the polynomial 0x11B.
        ShamirGf256 = "shamir_gf256",
    }
}

cbor_map! {
    /// A share, sealed to one device.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WrappedShare {
        /// Which, from 1.
        pub index: u16,
        /// The key of the device that it is sealed to.
        pub recipient_key_id: KeyId,
        /// When it was sealed.
        pub issued_at: UnixTime,
        /// The share, sealed.
        pub sealed: HpkeBox,
    }
}

cbor_map! {
    /// How a shared secret is renewed.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretRotation {
        /// It is shared anew after so many seconds.
        pub rotate_after_secs: u64,
        /// The old shares are good for so many seconds more.
        pub overlap_secs: u64,
    }
}

impl Default for SecretRotation {
    /// 90 days, and one day of overlap.
    fn default() -> Self {
        Self { rotate_after_secs: 7_776_000, overlap_secs: 86_400 }
    }
}

cbor_map! {
    /// A secret of the header's zone that no device has; signed by an operator with `auth`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ThresholdSecretObject {
        /// Its name, its generation, how many shares restore it of how many, and what each share is judged by.
        pub dealing: Dealing,
        /// What it is.
        pub secret_type: SecretType,
        /// How it is shared.
        pub scheme: SharingScheme,
        /// One share a device.
        pub wrapped_shares: BTreeMap<NodeId, WrappedShare>,
        /// How it is renewed.
        pub rotation: SecretRotation,
        /// What a person calls it.
        pub label: Option<String>,
        /// Until when it may be used, exclusive.
        pub expires_at: Option<UnixTime>,
    }
    => ThresholdSecretObject::check
}

impl ThresholdSecretObject {
    /// Its name.
    pub const fn secret_id(&self) -> SecretId {
        SecretId::from_bytes(self.dealing.terms().secret_id)
    }

    //= docs/spec/objects.md#secrets
    fn check(&self) -> Result<(), ShapeError> {
        let total = u16::from(self.dealing.terms().total);
        let indices: BTreeSet<u16> = self.wrapped_shares.values().map(|share| share.index).collect();
        if self.wrapped_shares.len() != usize::from(total) || !indices.into_iter().eq(1..=total) {
            return Err(ShapeError::Invalid(
                "there is one share for each index, each with a device of its own",
            ));
        }
        if self.rotation.overlap_secs > self.rotation.rotate_after_secs {
            return Err(ShapeError::Invalid("old shares end before the new ones do"));
        }
        Ok(())
    }
}

impl SignedBody for ThresholdSecretObject {
    const SCHEMA: Schema = Schema { namespace: "fcp.secret", name: "ThresholdSecret", version: "1.0.0" };
}

/// Why a shared secret gives a device no share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrappedShareError {
    /// There is no share for the device.
    NotARecipient,
    /// It is sealed to another key of the device.
    OtherKey(KeyId),
    /// It does not open, or is not the share that was dealt.
    Sealed(SealedShareError),
    /// It is the share of this other index.
    OtherIndex(u8),
}

impl fmt::Display for WrappedShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARecipient => f.write_str("there is no share for this device"),
            Self::OtherKey(key) => write!(f, "the share is sealed to the key {key}"),
            Self::Sealed(error) => error.fmt(f),
            Self::OtherIndex(index) => write!(f, "the box holds share {index}"),
        }
    }
}

impl core::error::Error for WrappedShareError {}

impl Object<Signed<ThresholdSecretObject>> {
    /// Opens the share of `node` with its encryption key, and checks that it is the one that was dealt. What the dealing
    /// is worth rests on the signature, which the caller has checked.
    ///
    /// # Errors
    /// Why there is no share.
    //= docs/spec/objects.md#secrets
    pub fn open_share<K: OpeningKey>(&self, node: &NodeId, key: &K) -> Result<HeldShare, WrappedShareError> {
        let secret = &self.body.fields;
        let wrapped = secret.wrapped_shares.get(node).ok_or(WrappedShareError::NotARecipient)?;
        if wrapped.recipient_key_id != WrappableKey::key_id(key) {
            return Err(WrappedShareError::OtherKey(wrapped.recipient_key_id));
        }
        let to =
            ShareRecipient { zone_id: &self.header.zone_id, node_id: node, issued_at: wrapped.issued_at };
        let held = secret.dealing.open_share(&wrapped.sealed, key, to).map_err(WrappedShareError::Sealed)?;
        let index = held.share.index();
        if u16::from(index) == wrapped.index { Ok(held) } else { Err(WrappedShareError::OtherIndex(index)) }
    }
}

//= docs/spec/objects.md#secrets
fn check_threshold(threshold: u16, total: u16) -> Result<(), ShapeError> {
    if (1..=total).contains(&threshold) && total <= 255 {
        Ok(())
    } else {
        Err(ShapeError::Invalid(
            "a threshold is at least 1, at most the number of shares, and that at most 255",
        ))
    }
}

cbor_map! {
    /// The right to use a secret of the header's zone for a short time; signed by a node.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SecretAccessToken {
        /// Its name.
        pub token_id: TokenId,
        /// The secret.
        pub secret_id: SecretId,
        /// For whom.
        pub requester: PrincipalId,
        /// What for.
        pub purpose: String,
        /// From when.
        pub issued_at: UnixTime,
        /// Until when, exclusive.
        pub expires_at: UnixTime,
        /// How often.
        pub max_uses: u32,
    }
    => SecretAccessToken::check
}

impl SecretAccessToken {
    //= docs/spec/objects.md#secrets
    fn check(&self) -> Result<(), ShapeError> {
        let life = self.expires_at.saturating_since(self.issued_at);
        if (1..=MAX_SECRET_ACCESS_SECS).contains(&life) {
            Ok(())
        } else {
            Err(ShapeError::Invalid("the right to use a secret lasts from 1 s to 300 s"))
        }
    }

    /// Whether it may be used at `now`, after `uses` uses.
    //= docs/spec/objects.md#secrets
    pub fn permits(&self, now: UnixTime, uses: u32) -> bool {
        self.issued_at <= now && now < self.expires_at && uses < self.max_uses
    }
}

impl SignedBody for SecretAccessToken {
    const SCHEMA: Schema = Schema { namespace: "fcp.secret", name: "AccessToken", version: "1.0.0" };
}
