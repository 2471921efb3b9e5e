//! Why a request does not leave, or its answer does not come back. Source: docs/spec/egress.md#refusals.

use core::fmt;

use alloc::boxed::Box;
use fcp_proto_core::error::Code;
use serde::{Deserialize, Serialize};

use super::address::AddressClass;

/// Declares the refusals: name, code and the sentence a person reads.
macro_rules! refusals {
    ($($variant:ident $(($payload:ty))? $name:literal $code:ident $text:literal;)+) => {
        /// Why egress refuses.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Refusal {
            $(#[doc = $text] $variant $(($payload))?,)+
        }

        impl Refusal {
            /// Its stable name in snake case.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $name,)+ }
            }

            /// Its place in the error registry.
            pub const fn code(&self) -> Code {
                match self { $(Self::$variant { .. } => Code::$code,)+ }
            }

            const fn text(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $text,)+ }
            }
        }
    };
}

refusals! {
    NotAbsolute "not_absolute" EgressUrlInvalid "the URL is not absolute";
    SchemeDenied "scheme_denied" EgressUrlInvalid "the scheme is not https";
    PlaintextDenied "plaintext_denied" EgressUrlInvalid "http in the clear needs an owner's exception for this host and port";
    UserInfo "user_info" EgressUrlInvalid "the URL holds a user name";
    ControlCharacter "control_character" EgressUrlInvalid "the URL holds a space, a control character or a NUL";
    Backslash "backslash" EgressUrlInvalid "the URL holds a backslash";
    Fragment "fragment" EgressUrlInvalid "the URL holds a fragment";
    CharacterDenied "character_denied" EgressUrlInvalid "the URL holds a character that must be percent-encoded";
    PercentInvalid "percent_invalid" EgressUrlInvalid "the URL holds a percent sign without two hexadecimal digits";
    EncodedSlash "encoded_slash" EgressUrlInvalid "the path holds an encoded slash, backslash or NUL";
    DotSegment "dot_segment" EgressUrlInvalid "the path holds a dot segment";
    EmptySegment "empty_segment" EgressUrlInvalid "the path holds an empty segment";
    UrlTooLong "url_too_long" EgressUrlInvalid "the URL is too long";
    PortInvalid "port_invalid" EgressUrlInvalid "the port is not a number from 1 to 65535";
    HostInvalid "host_invalid" EgressUrlInvalid "the host is neither a domain name nor an address";
    HostPercentEncoded "host_percent_encoded" EgressUrlInvalid "the host is percent-encoded";
    HostNotAscii "host_not_ascii" EgressUrlInvalid "the host is not ASCII; international names are written as xn--";
    HostMismatch "host_mismatch" EgressUrlInvalid "the Host header names another host than the URL";
    AddressAmbiguous "address_ambiguous" EgressUrlInvalid "the host is an address in a spelling that programs read differently";
    ZoneIdentifier "zone_identifier" EgressUrlInvalid "the address holds a zone identifier";
    ParameterPresent "parameter_present" EgressUrlInvalid "the query already holds the parameter that the credential fills";
    HostNotDeclared "host_not_declared" EgressHostDenied "the operation does not declare this host";
    PortNotDeclared "port_not_declared" EgressHostDenied "the operation does not declare this port";
    MethodNotDeclared "method_not_declared" EgressMethodDenied "the operation does not declare this method";
    PathNotDeclared "path_not_declared" EgressMethodDenied "the operation does not declare this path";
    AddressLiteral "address_literal" EgressAddressDenied "an address instead of a name needs an owner's exception";
    LocalName "local_name" EgressAddressDenied "the name has only a local meaning";
    AddressDenied(AddressClass) "address_denied" EgressAddressDenied "the host resolves to an address that is not global unicast";
    TooManyAddresses "too_many_addresses" EgressAddressDenied "the host resolves to more addresses than the operation permits";
    NoAddresses "no_addresses" EgressResolveFailed "the host resolves to no address";
    ResolveFailed "resolve_failed" EgressResolveFailed "the host does not resolve";
    ConnectFailed "connect_failed" EgressConnectFailed "no checked address accepts a connection";
    TlsFailed "tls_failed" EgressTlsFailed "the TLS handshake or certificate check failed";
    PinMismatch "pin_mismatch" EgressTlsFailed "the service's key is none of those pinned";
    HandleInvalid "handle_invalid" EgressHandleInvalid "the handle is missing, unknown, ended or another call's";
    CallClosed "call_closed" EgressHandleInvalid "the call was closed while the request was under way";
    Revoked "revoked" EgressHandleInvalid "a revocation closed the call";
    DeadlinePassed "deadline_passed" UpstreamTimeout "the call's deadline has passed";
    SlotUnknown "slot_unknown" CredentialMissing "the call was opened without a credential in this slot";
    CredentialHostDenied "credential_host_denied" CredentialNotAllowed "the credential may not be sent to this host";
    CredentialInClear "credential_in_clear" CredentialNotAllowed "a credential is never sent without TLS";
    RefreshFailed "refresh_failed" CredentialRefreshFailed "the access token is over and could not be refreshed now";
    RefreshRefused "refresh_refused" CredentialSpent "the access token is over, and its refresh token is spent, withdrawn or missing";
    FramingAmbiguous "framing_ambiguous" MalformedInput "the request's length is stated ambiguously";
    RequestTooLarge "request_too_large" InputTooLarge "the request is larger than the operation permits";
    ResponseTooLarge "response_too_large" EgressTooLarge "the answer is larger than the operation permits";
    ConnectTimeout "connect_timeout" UpstreamTimeout "the connection was not made in time";
    TotalTimeout "total_timeout" UpstreamTimeout "the exchange was not finished in time";
    IdleTimeout "idle_timeout" UpstreamTimeout "the service fell silent";
    UpstreamBroken "upstream_broken" UpstreamFailed "the service broke off or does not speak HTTP";
    EncodedAnswer "encoded_answer" EgressAnswerUnsafe "the answer is compressed although no compression was offered";
    SecretInAnswer "secret_in_answer" EgressAnswerUnsafe "the answer repeats the credential";
    RedirectLimit "redirect_limit" EgressRedirectDenied "the service redirects more often than the operation permits";
    RedirectDowngrade "redirect_downgrade" EgressRedirectDenied "the service redirects from https to http";
    RedirectBody "redirect_body" EgressRedirectDenied "the service redirects a request whose body was sent already";
    Redirect(Box<Self>) "redirect" EgressRedirectDenied "the service redirects to a place that is refused";
    Saturated "saturated" Exhausted "too many requests are under way";
}

impl Refusal {
    /// Whether it refuses what was asked for, rather than that the way or the service failed, or the call ended meanwhile.
    //= docs/spec/egress.md#refusals
    pub const fn is_denial(&self) -> bool {
        !matches!(
            self,
            Self::NoAddresses
                | Self::ResolveFailed
                | Self::ConnectFailed
                | Self::TlsFailed
                | Self::CallClosed
                | Self::Revoked
                | Self::DeadlinePassed
                | Self::RefreshFailed
                | Self::RefreshRefused
                | Self::ConnectTimeout
                | Self::TotalTimeout
                | Self::IdleTimeout
                | Self::UpstreamBroken
                | Self::Saturated
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        if let Self::AddressDenied(class) = self {
            write!(f, " ({class})")?;
        }
        if let Self::Redirect(inner) = self {
            write!(f, ": {inner}")?;
        }
        Ok(())
    }
}

impl core::error::Error for Refusal {}
