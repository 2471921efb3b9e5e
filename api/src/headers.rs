//! Names of the headers that the contract gives a meaning.

/// Carries an agent's session: 64 hexadecimal digits.
pub const SESSION: &str = "x-fcp-session";

/// Carries an operator's unlocked session: `Bearer` and 64 hexadecimal digits.
pub const AUTHORIZATION: &str = "authorization";

/// W3C trace context of the caller.
pub const TRACEPARENT: &str = "traceparent";

/// Asks for a whole answer only if it has changed; the answer says so in `meta.status`.
pub const IF_NONE_MATCH: &str = "if-none-match";

/// As [`IF_NONE_MATCH`], by date; the tag wins when both are sent.
pub const IF_MODIFIED_SINCE: &str = "if-modified-since";

/// Admits a caller over TCP, where there are no peer credentials: 64 hexadecimal digits.
pub const ADMISSION: &str = "x-fcp-admission";
