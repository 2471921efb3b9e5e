//! Cookies: a responder under load lets a hello come twice before it spends a signature check on it.

use core::time::Duration;

use zeroize::Zeroizing;

use super::error::SessionError;
use super::message::{Cookie, Hello, HelloRetry};
use super::transcript::Transcript;
use crate::crypto::provider::hmac_sha256;
use crate::limits::COOKIE_KEY_SECS;
use crate::random::Entropy;
use crate::time::{Instant, Now};

/// The keys of a responder's cookies: one that makes them, and the one before it that is still good.
pub struct Cookies {
    current: CookieKey,
    previous: Option<CookieKey>,
}

struct CookieKey {
    key: Zeroizing<[u8; 32]>,
    since: Instant,
}

impl Cookies {
    /// A fresh key.
    pub fn new(now: Instant, entropy: &mut Entropy) -> Self {
        Self { current: CookieKey::generate(now, entropy), previous: None }
    }

    /// The answer to a hello whose sender must show that it can receive.
    ///
    /// # Errors
    /// None in practice: a hello is small.
    pub fn retry(
        &mut self,
        hello: &Hello,
        now: Now,
        entropy: &mut Entropy,
    ) -> Result<HelloRetry, SessionError> {
        self.rotate(now.mono, entropy);
        Ok(HelloRetry {
            from: hello.to.clone(),
            to: hello.from.clone(),
            cookie: self.current.cookie(hello)?,
            timestamp: now.unix,
        })
    }

    /// Whether the hello carries the cookie that was made for it.
    ///
    /// # Errors
    /// [`SessionError::InvalidCookie`].
    //= docs/spec/mesh-sessions.md#cookies
    pub fn check(&mut self, hello: &Hello, now: Instant, entropy: &mut Entropy) -> Result<(), SessionError> {
        self.rotate(now, entropy);
        let shown = hello.cookie.ok_or(SessionError::InvalidCookie)?;
        for key in [Some(&self.current), self.previous.as_ref()].into_iter().flatten() {
            if key.cookie(hello)? == shown {
                return Ok(());
            }
        }
        Err(SessionError::InvalidCookie)
    }

    fn rotate(&mut self, now: Instant, entropy: &mut Entropy) {
        let age = now.saturating_since(self.current.since).as_secs();
        if age < COOKIE_KEY_SECS {
            return;
        }
        // A key that was replaced late was due when its life ended; after two lives it is itself too old to be good.
        let overlaps = age < 2 * COOKIE_KEY_SECS;
        let due = self.current.since.saturating_add(Duration::from_secs(COOKIE_KEY_SECS));
        let fresh = CookieKey::generate(if overlaps { due } else { now }, entropy);
        let retired = core::mem::replace(&mut self.current, fresh);
        self.previous = overlaps.then_some(retired);
    }
}

impl core::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Cookies(..)")
    }
}

impl CookieKey {
    fn generate(since: Instant, entropy: &mut Entropy) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut *key);
        Self { key, since }
    }

    fn cookie(&self, hello: &Hello) -> Result<Cookie, SessionError> {
        cookie(&self.key, hello)
    }
}

/// The cookie for a hello under `key`: over all of the hello but cookie and signature.
///
/// # Errors
/// None in practice: a hello is small.
//= docs/spec/mesh-sessions.md#cookies
pub fn cookie(key: &[u8; 32], hello: &Hello) -> Result<Cookie, SessionError> {
    let covered = Transcript::of(
        "",
        &[
            &hello.from,
            &hello.to,
            &hello.eph_pubkey,
            &hello.nonce,
            &hello.timestamp,
            &hello.suites,
            &hello.transport_limits,
        ],
    )?;
    Ok(Cookie::from_bytes(hmac_sha256(key, &[covered.as_bytes()])))
}
