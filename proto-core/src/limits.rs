//! Bounds that every decoder and machine keeps. Sources: the wire sheet's table of numbers unless said otherwise.

/// Largest canonical object, schema prefix included, in bytes.
pub const MAX_OBJECT_BYTES: usize = 64 * 1024 * 1024;

/// Deepest nesting of a CBOR or JSON value; the root is depth 0.
pub const MAX_DEPTH: usize = 128;

/// Largest capability token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

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

/// Largest datagram unless a session agreed on less or more, in bytes: what passes every common path unfragmented.
pub const DEFAULT_DATAGRAM_BYTES: usize = 1_200;

/// Symbol size that fills a default datagram with one symbol, in bytes.
pub const DEFAULT_SYMBOL_BYTES: u16 = 1_024;

/// Largest FCPS frame outside a datagram, in bytes.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// Largest content of an FCPC frame unless a session agreed on less, in bytes.
pub const MAX_CONTROL_BYTES: usize = 4 * 1024 * 1024;

/// Largest handshake or rekey message, in bytes.
pub const MAX_HANDSHAKE_BYTES: usize = 16 * 1024;

/// Most suites that one hello may offer. Chosen: eight times what exists.
pub const MAX_OFFERED_SUITES: usize = 16;

/// Clock skew tolerated in handshakes, rekeys and signed frames, in seconds.
pub const SESSION_SKEW_SECS: u64 = 120;

/// How far behind the newest sequence number one may arrive, in numbers.
pub const REPLAY_WINDOW: u8 = 128;

/// Most hellos of one peer that are remembered at a time. Chosen: sixteen peers make the sheet's 1,024 entries.
pub const MAX_HELLOS_PER_PEER: usize = 64;

/// How often the key of handshake cookies is replaced, in seconds.
pub const COOKIE_KEY_SECS: u64 = 60;

/// Most frames that one generation of session keys may seal in one direction.
pub const REKEY_FRAMES: u64 = 1_000_000_000;

/// Longest life of one generation of session keys, in seconds.
pub const REKEY_SECS: u64 = 86_400;

/// Most bytes that one generation of session keys may seal in one direction.
pub const REKEY_BYTES: u64 = 1 << 40;

/// How long the keys before a rekey still open what was under way, in seconds. Chosen: half the tolerated clock skew,
/// far longer than a datagram lives.
pub const REKEY_OVERLAP_SECS: u64 = 60;
