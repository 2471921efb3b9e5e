//! What a credential is made of.

use std::fmt;

use fcp_proto_core::crypto::secret::SecretBytes;
use fcp_proto_core::manifest::AuthKind;
use fcp_proto_core::time::UnixTime;
use zeroize::Zeroizing;

/// Longest part of a secret, in bytes. Chosen: tokens reach some KiB.
const MAX_PART: usize = 64 * 1024;

/// A credential's secret; wiped when dropped, never shown.
#[derive(PartialEq, Eq)]
pub enum Secret {
    /// A token after `Authorization: Bearer`.
    Bearer(SecretBytes),
    /// The value of the header that the manifest names.
    Header(SecretBytes),
    /// A user and a password.
    Basic {
        /// The user, without a colon.
        user: SecretBytes,
        /// The password.
        password: SecretBytes,
    },
    /// OAuth 2 tokens.
    OAuth2(Box<OAuth2>),
}

/// OAuth 2 tokens and what refreshes them.
#[derive(PartialEq, Eq)]
pub struct OAuth2 {
    /// The access token.
    pub access: SecretBytes,
    /// The refresh token, if it can be refreshed.
    pub refresh: Option<SecretBytes>,
    /// Until when the access token is good, if that is known.
    pub expires_at: Option<UnixTime>,
    /// Where it is refreshed.
    pub token_url: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret, if it has one.
    pub client_secret: Option<SecretBytes>,
}

/// Why a secret cannot be presented, or bytes are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretInvalid {
    /// A part that must be there is empty.
    Empty,
    /// A part is too long.
    TooLong,
    /// A part has a character that a header cannot carry.
    Character,
    /// The user's name has a colon.
    Colon,
    /// The stored bytes are not such a secret.
    Malformed,
}

impl fmt::Display for SecretInvalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "a part of the secret is empty",
            Self::TooLong => "a part of the secret is longer than 64 KiB",
            Self::Character => "the secret has a character that a header cannot carry",
            Self::Colon => "a user name has no colon",
            Self::Malformed => "the content is not a secret of its kind",
        })
    }
}

impl std::error::Error for SecretInvalid {}

impl Secret {
    /// How it is presented.
    pub const fn kind(&self) -> AuthKind {
        match self {
            Self::Bearer(_) => AuthKind::Bearer,
            Self::Header(_) => AuthKind::Header,
            Self::Basic { .. } => AuthKind::Basic,
            Self::OAuth2(_) => AuthKind::Oauth2,
        }
    }

    /// Whether it can be presented to a service.
    ///
    /// # Errors
    /// The first thing that forbids it.
    pub fn check(&self) -> Result<(), SecretInvalid> {
        match self {
            Self::Bearer(value) | Self::Header(value) => in_header(value),
            Self::Basic { user, password } => {
                printable(user.expose())?;
                printable(password.expose())?;
                if user.expose().contains(&b':') { Err(SecretInvalid::Colon) } else { Ok(()) }
            }
            Self::OAuth2(oauth2) => {
                in_header(&oauth2.access)?;
                [&oauth2.refresh, &oauth2.client_secret].into_iter().flatten().try_for_each(in_header)?;
                [&oauth2.token_url, &oauth2.client_id]
                    .into_iter()
                    .try_for_each(|text| printable(text.as_bytes()))
            }
        }
    }

    /// The content of the seal: each part behind its length (u32, little-endian), an absent part as the length 2³² − 1.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let expiry;
        let parts: &[Option<&[u8]>] = match self {
            Self::Bearer(value) | Self::Header(value) => &[Some(value.expose())],
            Self::Basic { user, password } => &[Some(user.expose()), Some(password.expose())],
            Self::OAuth2(oauth2) => {
                expiry = oauth2.expires_at.map(|at| at.as_secs().to_le_bytes());
                &[
                    Some(oauth2.access.expose()),
                    oauth2.refresh.as_ref().map(SecretBytes::expose),
                    expiry.as_ref().map(|bytes| &bytes[..]),
                    Some(oauth2.token_url.as_bytes()),
                    Some(oauth2.client_id.as_bytes()),
                    oauth2.client_secret.as_ref().map(SecretBytes::expose),
                ]
            }
        };
        // All at once, so that no copy is left behind when it grows.
        let size = parts.iter().map(|part| 4 + part.map_or(0, <[u8]>::len)).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        for part in parts {
            let length = part.map_or(ABSENT, |part| u32::try_from(part.len()).unwrap_or(ABSENT));
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(part.unwrap_or_default());
        }
        bytes
    }

    /// Reads the content of a seal.
    pub(super) fn from_bytes(kind: AuthKind, bytes: &[u8]) -> Result<Self, SecretInvalid> {
        let mut parts = Parts(bytes);
        let secret = match kind {
            AuthKind::Bearer => Self::Bearer(parts.secret()?),
            AuthKind::Header => Self::Header(parts.secret()?),
            AuthKind::Basic => Self::Basic { user: parts.secret()?, password: parts.secret()? },
            AuthKind::Oauth2 => Self::OAuth2(Box::new(OAuth2 {
                access: parts.secret()?,
                refresh: parts.optional()?,
                expires_at: parts.time()?,
                token_url: parts.text()?,
                client_id: parts.text()?,
                client_secret: parts.optional()?,
            })),
        };
        if !parts.0.is_empty() {
            return Err(SecretInvalid::Malformed);
        }
        secret.check().map(|()| secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.kind())
    }
}

/// The length that says that a part is absent.
const ABSENT: u32 = u32::MAX;

/// What is left to read.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn next(&mut self) -> Result<Option<&'a [u8]>, SecretInvalid> {
        let (length, rest) = self.0.split_first_chunk::<4>().ok_or(SecretInvalid::Malformed)?;
        let length = u32::from_le_bytes(*length);
        if length == ABSENT {
            self.0 = rest;
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| SecretInvalid::Malformed)?;
        let (part, rest) = rest.split_at_checked(length).ok_or(SecretInvalid::Malformed)?;
        self.0 = rest;
        Ok(Some(part))
    }

    fn optional(&mut self) -> Result<Option<SecretBytes>, SecretInvalid> {
        Ok(self.next()?.map(|part| SecretBytes::new(part.to_vec())))
    }

    fn secret(&mut self) -> Result<SecretBytes, SecretInvalid> {
        self.optional()?.ok_or(SecretInvalid::Malformed)
    }

    fn text(&mut self) -> Result<String, SecretInvalid> {
        let part = self.next()?.ok_or(SecretInvalid::Malformed)?;
        String::from_utf8(part.to_vec()).map_err(|_| SecretInvalid::Malformed)
    }

    fn time(&mut self) -> Result<Option<UnixTime>, SecretInvalid> {
        let Some(part) = self.next()? else { return Ok(None) };
        let bytes = part.try_into().map_err(|_| SecretInvalid::Malformed)?;
        Ok(Some(UnixTime::from_secs(u64::from_le_bytes(bytes))))
    }
}

/// A part that is sent as a header, or as part of one: visible ASCII, spaces only inside.
fn in_header(value: &SecretBytes) -> Result<(), SecretInvalid> {
    let bytes = value.expose();
    printable(bytes)?;
    let inside = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let edges = [bytes.first(), bytes.last()].into_iter().flatten().all(u8::is_ascii_graphic);
    if edges && bytes.iter().all(inside) { Ok(()) } else { Err(SecretInvalid::Character) }
}

/// A part that is there, of bounded length, without control characters.
fn printable(bytes: &[u8]) -> Result<(), SecretInvalid> {
    if bytes.is_empty() {
        Err(SecretInvalid::Empty)
    } else if bytes.len() > MAX_PART {
        Err(SecretInvalid::TooLong)
    } else if bytes.iter().any(u8::is_ascii_control) {
        Err(SecretInvalid::Character)
    } else {
        Ok(())
    }
}
