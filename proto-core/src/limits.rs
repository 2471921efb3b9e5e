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

/// Largest object that travels whole, in bytes; a larger one is cut into chunks.
pub const MAX_WHOLE_BYTES: usize = 1024 * 1024;

/// Most source symbols in a block. Chosen: the solver's time a byte is least near a thousand symbols, and this is the
/// first block size of RFC 6330 (table 2) that holds 1 MiB in symbols of 1,024 bytes.
pub const MAX_BLOCK_SYMBOLS: u16 = 1_032;

/// Most symbols beyond its source symbols that a decoder keeps of a block. Chosen: with this many more than it needs, a
/// block fails once in 256^16 times.
pub const MAX_SURPLUS_SYMBOLS: u32 = 16;

/// Most attempts of a decode that may fail, whichever blocks they are made at. Chosen: a block that never solves has one
/// with each number of symbols that it may keep; and where one in a hundred fails, the 255 of the largest number of
/// blocks have so many once in a hundred million times.
pub const MAX_FAILED_ATTEMPTS: u32 = MAX_SURPLUS_SYMBOLS + 1;

/// Most decodes at once.
pub const MAX_DECODES: usize = 16;

/// Most bytes that decodes hold together, the solver's included. Chosen: 16 objects of 1 MiB need 43 MiB.
pub const MAX_DECODE_BYTES: usize = 64 * 1024 * 1024;

/// Most duplicate symbols of one decode. Chosen: every symbol of a full block may come twice.
pub const MAX_DUPLICATE_SYMBOLS: u32 = 1_032;

/// Longest that a decode may take, in seconds.
pub const DECODE_SECS: u64 = 30;

/// Most entries of a hint of missing symbols.
pub const MAX_MISSING_HINT: usize = 100;

/// Most symbols that one may ask for whose signature nobody has checked.
pub const MAX_SYMBOLS_UNAUTHENTICATED: u32 = 32;

/// Most symbols that a known node may ask for.
pub const MAX_SYMBOLS_AUTHENTICATED: u32 = 1_000;

/// Most symbols that a known node may ask for if it says which it lacks; nobody may ask for more.
pub const MAX_SYMBOLS_REQUESTED: u32 = 2_001;
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

/// Most hellos of one peer that are remembered at a time. Chosen: sixteen peers make 1,024 entries.
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
