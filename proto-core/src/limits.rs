//! Bounds that every decoder and machine keeps. Sources: the wire sheet's table of numbers unless said otherwise.

/// Largest canonical object, schema prefix included, in bytes.
pub const MAX_OBJECT_BYTES: usize = 64 * 1024 * 1024;

/// Deepest nesting of a CBOR or JSON value; the root is depth 0.
pub const MAX_DEPTH: usize = 128;

/// Largest capability token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// Largest box sealed to a device, encapsulated key and tag included, in bytes.
pub const MAX_HPKE_BOX_BYTES: usize = 64 * 1024;

/// Longest canonical identifier, in bytes.
pub const MAX_ID_BYTES: usize = 128;

/// Longest zone identifier, in bytes.
pub const MAX_ZONE_ID_BYTES: usize = 64;

/// Clock skew tolerated when a capability token's times are checked, in seconds.
pub const TOKEN_SKEW_SECS: u64 = 300;

/// Largest JSON input of one operation, in bytes. Chosen: room for a file upload of 4 MiB in base64.
pub const MAX_INPUT_BYTES: usize = 8 * 1024 * 1024;

/// Longest line of the connector protocol, in bytes. Chosen: twice the largest input.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// Oldest revocation head that a risky call may rest on, in seconds.
pub const REVOCATION_FRESHNESS_SECS: u64 = 300;

/// Longest idempotency key, in bytes. Chosen: as the common provider limit.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
