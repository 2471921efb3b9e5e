//! No more to a node that has not proved itself than it sent, times a factor.

/// Bytes sent for each byte received, before the receiver is authenticated. Chosen: a request is about 300 bytes, and
/// one symbol of the default size fits into what it pays for.
pub const FACTOR: u64 = 10;

/// What went to and came from a node that nobody has authenticated.
//= docs/spec/admission.md#amplification
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amplification {
    received: u64,
    sent: u64,
}

impl Amplification {
    /// Something came.
    pub const fn received(&mut self, bytes: u64) {
        self.received = self.received.saturating_add(bytes);
    }

    /// Counts what is to be sent, if it may be.
    #[must_use]
    pub const fn send(&mut self, bytes: u64) -> bool {
        if bytes > self.left() {
            return false;
        }
        self.sent = self.sent.saturating_add(bytes);
        true
    }

    /// Bytes that may still be sent.
    pub const fn left(&self) -> u64 {
        self.received.saturating_mul(FACTOR).saturating_sub(self.sent)
    }
}
