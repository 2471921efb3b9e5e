//! When and how long to wait before a request is repeated.

use std::time::Duration;

use fcp_proto_core::random::Entropy;
use http::HeaderMap;
use zeroize::Zeroizing;

/// How often and with which pauses a request is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Most requests, the first included.
    pub attempts: u8,
    /// The first pause.
    pub base: Duration,
    /// The longest pause; a service that asks for more gets no repetition.
    pub max: Duration,
}

/// Whether a failed request may be sent once more without the risk of a second effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It only reads, or carries the service's own idempotency key, or never reached the service.
    Harmless,
    /// It may have had an effect.
    Forbidden,
}

/// The pauses of one request.
#[derive(Debug)]
pub struct Backoff {
    policy: Policy,
    used: u8,
    entropy: Entropy,
}

impl Backoff {
    /// No pause yet. Jitter comes from the operating system's entropy, or, where there is none, is left out.
    pub fn new(policy: Policy) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        // Without entropy the seed stays zero: the jitter is then the same in every process, which harms nobody.
        let _ = getrandom::fill(seed.as_mut_slice());
        Self::with_entropy(policy, Entropy::from_seed(&seed))
    }

    /// As [`Backoff::new`], with jitter from `entropy`.
    pub const fn with_entropy(policy: Policy, entropy: Entropy) -> Self {
        Self { policy, used: 1, entropy }
    }

    /// The pause before the next attempt; `None` if there must be none.
    ///
    /// What the service asks for is kept; else the pause doubles each time and is shortened by up to half.
    pub fn next(&mut self, repeat: Repeat, asked: Option<Duration>) -> Option<Duration> {
        if repeat == Repeat::Forbidden || self.used >= self.policy.attempts {
            return None;
        }
        if let Some(asked) = asked {
            self.used += 1;
            return (asked <= self.policy.max).then_some(asked);
        }
        let doubled = self.policy.base.saturating_mul(1 << u32::from(self.used - 1).min(16));
        self.used += 1;
        let whole = u64::try_from(doubled.min(self.policy.max).as_millis()).unwrap_or(u64::MAX);
        Some(Duration::from_millis(whole - self.entropy.below(whole / 2 + 1)))
    }
}

/// What `Retry-After` asks for (RFC 9110 §10.2.3): seconds, or a date, which is read against the answer's own `Date`.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let now = httpdate::parse_http_date(headers.get(http::header::DATE)?.to_str().ok()?).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy =
        Policy { attempts: 4, base: Duration::from_millis(100), max: Duration::from_millis(300) };

    fn backoff() -> Backoff {
        Backoff::with_entropy(POLICY, Entropy::from_seed(&Zeroizing::new([5; 32])))
    }

    #[test]
    fn pauses_double_with_jitter_up_to_the_longest_and_end() {
        let mut backoff = backoff();
        for whole in [100, 200, 300] {
            let pause = backoff.next(Repeat::Harmless, None).unwrap().as_millis();
            assert!((whole / 2..=whole).contains(&pause), "{pause} of {whole}");
        }
        assert_eq!(backoff.next(Repeat::Harmless, None), None);
    }

    #[test]
    fn a_service_is_obeyed_or_not_asked_again() {
        let (short, long) = (Duration::from_millis(7), Duration::from_secs(1));
        assert_eq!(backoff().next(Repeat::Harmless, Some(short)), Some(short));
        assert_eq!(backoff().next(Repeat::Harmless, Some(long)), None);
    }

    #[test]
    fn what_may_have_had_an_effect_is_never_repeated() {
        assert_eq!(backoff().next(Repeat::Forbidden, Some(Duration::ZERO)), None);
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_date() {
        let of = |after: &str, date: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", after.parse().unwrap());
            headers.insert("date", date.parse().unwrap());
            retry_after(&headers)
        };
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(of("120", date), Some(Duration::from_secs(120)));
        assert_eq!(of("Wed, 21 Oct 2015 07:28:30 GMT", date), Some(Duration::from_secs(30)));
        assert_eq!(of("Wed, 21 Oct 2015 07:00:00 GMT", date), Some(Duration::ZERO));
        for bad in ["-1", "1.5", "soon", ""] {
            assert_eq!(of(bad, date), None, "{bad}");
        }
    }
}
