//! How identifiers and enumerations of `fcp-proto-core` look in the OpenAPI document.
//!
//! The types themselves cannot carry a schema (they know nothing of HTTP), so each has a namesake here that the
//! contract's types point to with `value_type`.

use std::borrow::Cow;

use fcp_proto_core::limits::{MAX_ID_BYTES, MAX_ZONE_ID_BYTES};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

/// Declares the schema of a text with a grammar.
macro_rules! texts {
    ($($name:ident $max:expr, $pattern:literal, $about:literal;)+) => { $(
        #[doc = $about]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some($pattern))
                    .max_length(Some($max))
                    .description(Some($about))
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+ };
}

texts! {
    ConnectorId MAX_ID_BYTES, "^[a-z0-9][a-z0-9._:-]*$", "A connector, such as `github`.";
    OperationId MAX_ID_BYTES, "^[a-z0-9][a-z0-9._:-]*$", "An operation, such as `github.issues.create`.";
    CapabilityId MAX_ID_BYTES, "^[a-z0-9][a-z0-9._:-]*$", "A capability that operations demand and grants give.";
    PrincipalId MAX_ID_BYTES, "^[a-z0-9][a-z0-9._:-]*$", "The owner, an operator or an agent.";
    RoleId MAX_ID_BYTES, "^[a-z0-9][a-z0-9._:-]*$", "A role that principals share.";
    NodeId MAX_ID_BYTES, "^[a-z0-9][a-z0-9._:-]*$", "A device of the owner.";
    CredentialId MAX_ID_BYTES, "^[a-z0-9][a-z0-9._:-]*$", "A stored credential's name.";
    ZoneId MAX_ZONE_ID_BYTES, "^z:[a-z0-9-]+(:[a-z0-9-]+)*$", "A zone, such as `z:work`.";
    ObjectId 64, "^[0-9a-f]{64}$", "A stored object.";
    Digest 64, "^[0-9a-f]{64}$", "BLAKE3-256 over plain content.";
    PublicKey 64, "^[0-9a-f]{64}$", "An Ed25519 public key.";
    Challenge 64, "^[0-9a-f]{64}$", "Bytes to sign, once and soon.";
    Signature 128, "^[0-9a-f]{128}$", "An Ed25519 signature.";
    BearerText 64, "^[0-9a-f]{64}$", "Proves a session to the daemon; whoever has it may use the session.";
    KeyId 16, "^[0-9a-f]{16}$", "The first eight bytes of a public key's hash.";
    TokenId 32, "^[0-9a-f]{32}$", "A capability token.";
    CallId 32, "^[0-9a-f]{32}$", "A call.";
    SessionId 32, "^[0-9a-f]{32}$", "An agent's session, as audit shows it; not a secret.";
    ErrorCode 8, "^FCP-[0-9]{4}$", "A code of the error registry.";
}

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug)]
pub struct UnixTime;

impl PartialSchema for UnixTime {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0))
            .description(Some("Seconds since 1970-01-01T00:00:00Z."))
            .into()
    }
}

impl ToSchema for UnixTime {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("UnixTime")
    }
}

/// A text that the daemon keeps secret.
impl PartialSchema for crate::secret::Secret {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .description(Some("Never stored, logged or shown again."))
            .into()
    }
}

impl ToSchema for crate::secret::Secret {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Secret")
    }
}

/// Declares the schema of a closed enumeration, from all its variants.
macro_rules! enumerations {
    ($($name:ident $source:path, $about:literal;)+) => { $(
        #[doc = $about]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                use $source as Source;
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .enum_values(Some(Source::ALL.iter().map(|variant| variant.as_str())))
                    .description(Some($about))
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+ };
}

enumerations! {
    Risk fcp_proto_core::zone::Risk, "How bad the worst outcome is.";
    SafetyTier fcp_proto_core::zone::SafetyTier, "How carefully an operation is treated.";
    Idempotency fcp_proto_core::zone::Idempotency, "What a repeated call does.";
    Approval fcp_proto_core::zone::Approval, "Who must agree before a call.";
    Taint fcp_proto_core::zone::Taint, "A reason to distrust a value.";
    OperatorRight fcp_proto_core::object::OperatorRight, "What an operator key may do.";
    ApprovalKind fcp_proto_core::object::ApprovalKind, "What an approval permits.";
    Effect fcp_proto_core::object::Effect, "What a call did outside.";
    CallOutcome fcp_proto_core::object::CallOutcome, "How a dispatched call ended.";
    GateCheck fcp_proto_core::object::GateCheck, "A check of the gate, in its order.";
    Verdict fcp_proto_core::object::Verdict, "The gate's verdict.";
    ExceptionKind fcp_proto_core::object::ExceptionKind, "Which wall is lowered.";
    RevocationScope fcp_proto_core::object::RevocationScope, "What kind of thing is revoked.";
    Runtime fcp_proto_core::manifest::Runtime, "What runs a connector's operations.";
    AuthKind fcp_proto_core::manifest::AuthKind, "How a stored credential is presented.";
    Presence fcp_proto_core::token::argument::Presence, "Whether an argument may be left out.";
    AuditEventKind fcp_proto_core::object::AuditEventKind, "What happened.";
}

/// How far a value is trusted, how secret it is, and what taints it.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is read")]
pub struct Label {
    /// The least trusted of all its sources, 0 to 100.
    #[schema(minimum = 0, maximum = 100)]
    integrity: u8,
    /// The most secret of all its sources, 0 to 100.
    #[schema(minimum = 0, maximum = 100)]
    confidentiality: u8,
    /// The taints of all its sources.
    taints: Vec<Taint>,
}

/// Bounds on calls. What is not listed is not permitted; empty constraints permit nothing.
#[derive(ToSchema, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its schema is read")]
pub struct Constraints {
    /// Every resource of a call must fit one of these: a resource in which a whole segment may be `*` and the last
    /// `**`, or `*` alone for everything.
    #[serde(default)]
    resource_allow: Vec<String>,
    /// No resource of a call may fit any of these.
    #[serde(default)]
    resource_deny: Vec<String>,
    /// Every credential of a call must be one of these.
    #[serde(default)]
    #[schema(value_type = Vec<CredentialId>)]
    credential_allow: Vec<String>,
    /// Every rule must let the call's input pass.
    #[serde(default)]
    arguments: Vec<ArgumentRule>,
    /// Most calls over the whole life of the grant.
    #[serde(default)]
    max_calls: Option<u32>,
    /// Most bytes over the whole life of the grant.
    #[serde(default)]
    max_bytes: Option<u64>,
    /// No call before.
    #[serde(default)]
    #[schema(value_type = Option<UnixTime>)]
    not_before: Option<u64>,
    /// No call from here on.
    #[serde(default)]
    #[schema(value_type = Option<UnixTime>)]
    expires: Option<u64>,
}

/// What one argument must be; exactly one check is given.
#[derive(ToSchema, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "only its schema is read")]
pub struct ArgumentRule {
    /// Where the argument stands in the input (RFC 6901).
    pointer: String,
    /// Whether it may be left out; `required` when absent.
    #[serde(default)]
    #[schema(value_type = Option<Presence>)]
    presence: Option<String>,
    /// It is one of these scalars.
    #[serde(default)]
    one_of: Option<Vec<serde_json::Value>>,
    /// It is a number, at least this.
    #[serde(default)]
    min: Option<f64>,
    /// It is a number, at most this.
    #[serde(default)]
    max: Option<f64>,
    /// It is a text that begins so and has no `.` or `..` between slashes.
    #[serde(default)]
    prefix: Option<String>,
    /// It is a text of at most so many characters, or a list or object of at most so many items.
    #[serde(default)]
    max_length: Option<u64>,
}
