//! The table itself, in the order of the numbers.
//!
//! 1xxx input · 2xxx authentication · 3xxx capability · 4xxx zone and flow · 5xxx connector · 6xxx resource ·
//! 70xx service · 71xx egress · 72xx other devices · 8xxx node and home · 9xxx ours.

use super::ExitCode;

/// Declares the registry: one row a code.
macro_rules! registry {
    ($($number:literal $code:ident $name:literal $http:literal $exit:ident $retry:literal $meaning:literal $next:literal;)+) => {
        /// A failure, by its stable number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Code {
            $(#[doc = $meaning] $code = $number,)+
        }

        impl Code {
            /// Every code, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The four digits of `FCP-dddd`.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// The name in snake case, as metrics and logs show it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)+ }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$code => $meaning,)+ }
            }

            /// What to do next, in one clause.
            pub const fn next_step(self) -> &'static str {
                match self { $(Self::$code => $next,)+ }
            }

            /// The status of an HTTP answer that carries it.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$code => $http,)+ }
            }

            /// The exit status of a command that ends with it.
            pub const fn exit_code(self) -> ExitCode {
                match self { $(Self::$code => ExitCode::$exit,)+ }
            }

            /// Whether the same call may succeed later without any change.
            pub const fn retryable(self) -> bool {
                match self { $(Self::$code => $retry,)+ }
            }
        }
    };
}

registry! {
    1001 MalformedInput "malformed_input" 400 Validation false
        "The bytes are not well-formed JSON, CBOR, TOML or HTTP."
        "check the input's syntax at the place named";
    1002 UnknownMethod "unknown_method" 404 Validation false
        "The method, route or command does not exist."
        "list what exists with `fwc --help` or GET /v1/openapi.json";
    1003 InputInvalid "input_invalid" 422 Validation false
        "The input does not fit what is asked for."
        "correct what the reason names";
    1004 InputTooLarge "input_too_large" 413 Validation false
        "The input exceeds a size, depth or count limit."
        "send less at once";
    1005 VersionUnsupported "version_unsupported" 400 Validation false
        "The format version is not one this release reads."
        "use the release that wrote it, or a newer one";
    1006 MissingField "missing_field" 400 Validation false
        "A required field is absent."
        "add the field named";
    1007 UnknownField "unknown_field" 400 Validation false
        "A field is not known here."
        "remove it or correct its spelling";
    1008 DuplicateKey "duplicate_key" 400 Validation false
        "A JSON object holds the same key twice."
        "send each key once";
    1009 InexactNumber "inexact_number" 400 Validation false
        "A JSON number cannot be represented exactly."
        "send it as a string, or round it";
    1010 OutOfRange "out_of_range" 422 Validation false
        "A value is outside its permitted range."
        "use a value in the range named";
    1011 InvalidName "invalid_name" 400 Validation false
        "An identifier does not follow its grammar."
        "use the grammar named";
    1012 MethodNotAllowed "method_not_allowed" 405 Validation false
        "The path exists, and does not take this method."
        "use a method that the header `allow` names";
    2001 TokenMalformed "token_malformed" 400 Denied false
        "The capability token is not a canonical COSE_Sign1 / CWT."
        "get a fresh one with `fwc token mint`, or call in a session";
    2002 TokenExpired "token_expired" 401 Denied false
        "The capability token's time is over."
        "get a fresh one with `fwc token mint`, or call in a session";
    2003 TokenSignatureInvalid "token_signature_invalid" 401 Denied false
        "The token's signature does not verify."
        "get a fresh one with `fwc token mint`, or call in a session";
    2004 TokenIssuerUnknown "token_issuer_unknown" 401 Denied false
        "No live attestation covers the key that signed the token."
        "have the owner attest the node longer: `fwc node renew`";
    2005 TokenNotYetValid "token_not_yet_valid" 401 Denied false
        "The token's time has not begun."
        "check the clock, then retry";
    2006 TokenAudienceMismatch "token_audience_mismatch" 403 Denied false
        "The token was made for another audience."
        "ask for a token for this zone";
    2007 TokenZoneMismatch "token_zone_mismatch" 403 Denied false
        "The token was made for another zone."
        "ask for a token for this zone";
    2008 Unauthenticated "unauthenticated" 401 Denied false
        "The caller has not proved a key."
        "run it inside `fwc agent run NAME -- COMMAND`, or unlock the operator key";
    2009 NotPermitted "not_permitted" 403 Denied false
        "The caller's key may not do this."
        "ask the owner or an operator";
    2010 ChallengeInvalid "challenge_invalid" 401 Denied false
        "The challenge is unknown, used or expired."
        "ask for a new challenge and sign it at once";
    2011 UnlockFailed "unlock_failed" 401 Denied false
        "The passphrase or key source did not open the key."
        "check the passphrase, then retry";
    2101 TokenRevoked "token_revoked" 403 Denied false
        "The token was revoked."
        "`fwc revocations` names the revocation; get another with `fwc token mint`";
    2102 IssuerKeyRevoked "issuer_key_revoked" 403 Denied false
        "A key that this rests on was revoked: its holder's, its signer's or its issuer's."
        "the owner enrols another key of the agent, or attests another of the node";
    2103 NodeRevoked "node_revoked" 403 Denied false
        "The node's attestation was revoked."
        "only the owner restores a node";
    2104 ConnectorRevoked "connector_revoked" 403 Denied false
        "This connector binary was revoked."
        "install a release that is not revoked";
    2105 ZoneKeyRevoked "zone_key_revoked" 403 Denied false
        "The zone's key was revoked."
        "wait for the zone's new key";
    2106 RevocationStale "revocation_stale" 503 Denied true
        "What is known of revocations is older than this operation's tier permits."
        "let the node catch up, then retry";
    2201 HolderProofMissing "holder_proof_missing" 401 Denied false
        "The token is bound to a holder and no proof came with the call."
        "sign this call with the token holder's key, or call in a session";
    2202 HolderProofInvalid "holder_proof_invalid" 401 Denied false
        "The holder's proof does not verify for this call."
        "sign this call with the token holder's key, or call in a session";
    2203 HolderMismatch "holder_mismatch" 403 Denied false
        "The proof is of another principal than the token's."
        "use your own token";
    3001 CapabilityMissing "capability_missing" 403 Denied false
        "The token does not carry the operation's capability."
        "`fwc request` asks for it";
    3002 RateLimited "rate_limited" 429 Service true
        "A rate pool is used up."
        "wait for the time named, then retry";
    3003 OperationNotGranted "operation_not_granted" 403 Denied false
        "The token does not carry this operation."
        "`fwc request` asks for it";
    3004 ResourceNotAllowed "resource_not_allowed" 403 Denied false
        "The resource is not among those allowed."
        "`fwc request` asks for it";
    3005 ArgumentNotAllowed "argument_not_allowed" 403 Denied false
        "An argument is outside what the grant allows."
        "use an allowed value, or `fwc request` a wider grant";
    3006 CallLimitReached "call_limit_reached" 403 Denied false
        "The grant's number of calls is used up."
        "`fwc request` asks for more";
    3007 ByteLimitReached "byte_limit_reached" 403 Denied false
        "The grant's number of bytes is used up."
        "`fwc request` asks for more";
    3008 CredentialNotAllowed "credential_not_allowed" 403 Denied false
        "The credential is not among those allowed."
        "`fwc request` asks for it";
    3009 ConstraintsEmpty "constraints_empty" 403 Denied false
        "The token or grant carries no constraints, and empty means none."
        "the owner must say what the grant allows";
    3010 GrantMissing "grant_missing" 403 Denied false
        "The token names no grant that exists."
        "`fwc request` asks for one";
    3011 GrantRevoked "grant_revoked" 403 Denied false
        "The grant was revoked."
        "`fwc request` asks for a new one";
    3012 GrantExpired "grant_expired" 403 Denied false
        "The grant's time is over or has not begun."
        "`fwc request` asks for a new one";
    3013 GrantPrincipalMismatch "grant_principal_mismatch" 403 Denied false
        "The grant belongs to another principal or role."
        "`fwc request` asks for one of your own";
    3014 GrantZoneMismatch "grant_zone_mismatch" 403 Denied false
        "The grant belongs to another zone."
        "call in the grant's zone, or `fwc request` one";
    3015 GrantIssuerInvalid "grant_issuer_invalid" 403 Denied false
        "The grant was not signed by the owner or a live operator."
        "the owner must sign it again";
    3016 GrantExceeded "grant_exceeded" 403 Denied false
        "The token claims more than its grants give."
        "get a fresh one with `fwc token mint`, or call in a session";
    3101 ApprovalRequired "approval_required" 403 ApprovalRequired false
        "A person must approve this call first."
        "`fwc request` files it; `fwc approvals approve ID` decides";
    3102 ApprovalInvalid "approval_invalid" 403 Denied false
        "The approval does not verify."
        "`fwc request` asks for a new one";
    3103 ApprovalExpired "approval_expired" 403 ApprovalRequired false
        "The approval's time is over."
        "`fwc request` asks for a new one";
    3104 ApprovalUsed "approval_used" 403 ApprovalRequired false
        "The approval was used already; each serves one call."
        "`fwc request` asks for a new one";
    3105 ApprovalMismatch "approval_mismatch" 403 ApprovalRequired false
        "The approval is for another call, interface, code or label."
        "`fwc request` asks for one for this call";
    3106 ApprovalDenied "approval_denied" 403 Denied false
        "A person denied this call."
        "`fwc explain ID` shows who and why";
    4001 ZoneMismatch "zone_mismatch" 403 Denied false
        "The call's zone is not the principal's."
        "call in your own zone";
    4002 TaintViolation "taint_violation" 403 Denied false
        "What the caller has read may not drive an operation of this tier."
        "open a fresh context, or ask for an elevation";
    4003 IntegrityTooLow "integrity_too_low" 403 Denied false
        "A control input comes from a source less trusted than the operation needs."
        "open a fresh context, or ask for an elevation";
    4004 ZoneUnknown "zone_unknown" 404 Denied false
        "There is no such zone."
        "`fwc zones list` lists them";
    4005 ZonePolicyDenied "zone_policy_denied" 403 Denied false
        "The zone's policy does not permit this connector or operation."
        "the owner may change the zone's policy";
    4006 RiskAboveCeiling "risk_above_ceiling" 403 Denied false
        "The operation's risk is above the zone's ceiling."
        "the owner may raise the ceiling";
    4007 OperationForbidden "operation_forbidden" 403 Denied false
        "The operation's safety tier is `forbidden`."
        "nothing permits it";
    4008 ConfidentialityTooHigh "confidentiality_too_high" 403 Denied false
        "The content is more confidential than the operation's audience."
        "open a fresh context, or ask for a declassification";
    5001 ConnectorUnknown "connector_unknown" 404 Validation false
        "There is no such connector here."
        "`fwc list` shows what is installed";
    5002 OperationUnknown "operation_unknown" 404 Validation false
        "The connector has no such operation."
        "`fwc ops`, with the connector, lists those it has";
    5003 ConnectorDisabled "connector_disabled" 403 Denied false
        "The connector is disabled."
        "the owner may `fwc enable` it";
    5004 ConnectorNotInZone "connector_not_in_zone" 403 Denied false
        "The connector is not bound to this zone."
        "call in the connector's zone";
    5005 ConnectorUnavailable "connector_unavailable" 503 Service true
        "The connector does not run."
        "`fwc doctor` says why";
    5006 ConnectorCrashLoop "connector_crash_loop" 503 Service false
        "The connector died too often and was stopped."
        "`fwc doctor` says why; `fwc enable` starts it again";
    5007 ConnectorProtocol "connector_protocol" 502 Service false
        "The connector broke its protocol."
        "report it to the connector's author";
    5008 ConnectorTimeout "connector_timeout" 504 Service true
        "The connector did not answer in time."
        "retry, with a longer deadline";
    5009 SandboxUnattainable "sandbox_unattainable" 503 Service false
        "This machine cannot provide a property the sandbox demands."
        "apply the remedy named, or have the owner record an exception";
    5010 ManifestInvalid "manifest_invalid" 422 Validation false
        "The manifest does not follow its schema."
        "correct the field named";
    5011 PackageInvalid "package_invalid" 422 Validation false
        "The package is malformed or its digest does not match."
        "build it again";
    5012 PackageUntrusted "package_untrusted" 403 Denied false
        "No trusted publisher signed the package."
        "trust the publisher, or install with --dev";
    5013 ConnectorFailed "connector_failed" 502 Service false
        "The connector reported a failure."
        "read the detail named";
    5014 Cancelled "cancelled" 409 Service false
        "The call was cancelled."
        "call again if it is still wanted";
    5015 AlreadyInstalled "already_installed" 409 Validation false
        "This connector is installed already."
        "uninstall it first, or install another version";
    5016 ConnectorOutputInvalid "connector_output_invalid" 502 Service false
        "The connector's answer does not fit what its operation declares."
        "report it to the connector's author";
    5017 EngineChanged "engine_changed" 409 Service false
        "The engine beside the daemon is not the one that this declarative connector was installed with."
        "an operator accepts it by installing the package again: `fwc status` has the command";
    6001 NotFound "not_found" 404 Validation false
        "There is no such object."
        "check the identifier";
    6002 Exhausted "exhausted" 503 Service true
        "A resource of this machine is used up."
        "free it, then retry";
    6003 IdempotencyConflict "idempotency_conflict" 409 Validation false
        "The idempotency key was used for another call."
        "use a new key";
    6004 BudgetExceeded "budget_exceeded" 429 Service false
        "A budget is used up."
        "the owner may raise it";
    6005 Conflict "conflict" 409 Validation false
        "The change does not fit the present state."
        "read the present state, then retry";
    6010 IdempotencyKeyRequired "idempotency_key_required" 400 Validation false
        "The operation is strict and needs an idempotency key."
        "pass --idempotency-key";
    6011 CallInProgress "call_in_progress" 409 Service true
        "A call with this idempotency key is in progress."
        "wait for it, then retry";
    6012 OutcomeUnknown "outcome_unknown" 409 OutcomeUnknown false
        "The call was dispatched and its outcome is not known."
        "look at the service, then `fwc settle ID`; never repeat it blindly";
    6020 LeaseRequired "lease_required" 503 Denied true
        "The operation needs a lease this node does not hold."
        "retry at the holder";
    6021 LeaseExpired "lease_expired" 503 Denied true
        "The lease ends before the call could."
        "retry";
    6022 LeaseSuperseded "lease_superseded" 409 Denied false
        "Another node holds a newer lease."
        "retry at the holder";
    7001 UpstreamRateLimited "upstream_rate_limited" 429 Service true
        "The service limits the rate."
        "wait for the time named, then retry";
    7002 UpstreamTimeout "upstream_timeout" 504 Service true
        "The service did not answer in time."
        "retry";
    7003 UpstreamFailed "upstream_failed" 502 Service false
        "The service failed or refused."
        "read the service's answer";
    7004 UpstreamUnauthorized "upstream_unauthorized" 502 Service false
        "The service refused the credential."
        "`fwc auth test NAME`, then set it again";
    7005 UpstreamNotFound "upstream_not_found" 404 Service false
        "The service knows no such thing."
        "check the arguments";
    7006 UpstreamInvalid "upstream_invalid" 422 Service false
        "The service refused the arguments."
        "read the service's answer";
    7101 EgressHostDenied "egress_host_denied" 403 Denied false
        "The host is not declared for this operation."
        "nothing was sent";
    7102 EgressAddressDenied "egress_address_denied" 403 Denied false
        "The host resolves to an address that is not global unicast."
        "the owner may record an exception";
    7103 EgressUrlInvalid "egress_url_invalid" 400 Denied false
        "The URL is ambiguous, malformed or of another scheme than https."
        "nothing was sent";
    7104 EgressMethodDenied "egress_method_denied" 403 Denied false
        "The method or path is not declared for this operation."
        "nothing was sent";
    7105 EgressHandleInvalid "egress_handle_invalid" 403 Denied false
        "The egress handle is unknown, ended or another call's."
        "nothing was sent";
    7106 EgressResolveFailed "egress_resolve_failed" 502 Service true
        "The host's name does not resolve."
        "check the network, then retry";
    7107 EgressTlsFailed "egress_tls_failed" 502 Service false
        "The TLS handshake or certificate check failed."
        "check the service's certificate";
    7108 EgressConnectFailed "egress_connect_failed" 502 Service true
        "The connection failed."
        "check the network, then retry";
    7109 EgressTooLarge "egress_too_large" 502 Service false
        "The answer is larger than the operation permits."
        "ask for less";
    7110 EgressRedirectDenied "egress_redirect_denied" 403 Denied false
        "The service redirects to a place that is not permitted."
        "nothing more was sent";
    7111 CredentialMissing "credential_missing" 403 Denied false
        "No credential is stored for this slot."
        "`fwc auth set` stores one";
    7112 CredentialRefreshFailed "credential_refresh_failed" 502 Service true
        "The stored OAuth token could not be refreshed now."
        "retry; `fwc auth test NAME` says more";
    7113 EgressUnavailable "egress_unavailable" 503 Service true
        "The egress process does not run."
        "`fwc doctor` says why";
    7114 EgressAnswerUnsafe "egress_answer_unsafe" 502 Service false
        "The answer repeats the credential, or cannot be checked for it."
        "report it to the connector's author; the service received the request";
    7115 CredentialSpent "credential_spent" 502 Service false
        "The stored OAuth token is over, and its refresh token is spent, withdrawn or missing."
        "sign in at the service again and store what it gives with `fwc auth set NAME`";
    7201 PeerFrameInvalid "peer_frame_invalid" 400 Denied false
        "What another device sent is no frame or message of the mesh."
        "bring both devices to releases that fit together";
    7202 PeerNotAuthentic "peer_not_authentic" 403 Denied false
        "What another device sent is not what its sender sealed or signed for this one."
        "nothing of it was taken; look at the path between the devices if it goes on";
    7203 PeerReplayed "peer_replayed" 409 Denied false
        "What another device sent came before, or too late to tell."
        "nothing; it was dropped";
    7204 PeerSuiteRefused "peer_suite_refused" 403 Denied false
        "The devices have no cipher suite in common that is strong enough for both."
        "bring the older device up to date, or lower what the other demands";
    7205 PeerSessionOver "peer_session_over" 409 Transport true
        "The devices' session is another by now, or its keys are used up."
        "let the devices open a new session";
    7206 SymbolInvalid "symbol_invalid" 422 Denied false
        "A symbol, or what describes it, does not belong to the object that was asked for."
        "ask another device for the object";
    7207 ObjectIncomplete "object_incomplete" 503 Transport true
        "There are too few symbols to rebuild the object."
        "wait for more symbols, or ask more devices";
    8001 DaemonUnreachable "daemon_unreachable" 503 Transport true
        "The daemon does not answer."
        "start it with `fwc up`";
    8002 HomeMissing "home_missing" 404 Validation false
        "There is no FCP home at this place."
        "make one with `fwc up`";
    8003 HomeLocked "home_locked" 409 Validation false
        "Another daemon uses this home."
        "`fwc status` shows it; `fwc down` stops it";
    8004 HomeTooNew "home_too_new" 409 Validation false
        "A newer release wrote this home."
        "use that release";
    8005 ConfigInvalid "config_invalid" 422 Validation false
        "The configuration does not follow its schema."
        "correct the line named";
    8006 AddressInUse "address_in_use" 409 Validation false
        "The address or socket is in use."
        "choose another, or stop what uses it";
    8007 StoreCorrupt "store_corrupt" 500 Internal false
        "A stored record or file is corrupt or missing; nothing was changed."
        "`fwc doctor` names it and says how to recover";
    8008 StoreFull "store_full" 507 Service false
        "The disk is full."
        "free space, then retry; revocations are still admitted";
    8009 StoreFailed "store_failed" 500 Internal false
        "A durable write failed; the node is sealed until it restarts."
        "check the disk, then `fwc down` and `fwc up`";
    8010 CeremonyRequired "ceremony_required" 409 Validation false
        "This home has no owner yet."
        "`fwc up` runs the ceremony";
    8011 CeremonyDone "ceremony_done" 409 Validation false
        "This home has an owner already."
        "nothing to do";
    8012 AuditBroken "audit_broken" 500 Internal false
        "The audit chain does not verify."
        "`fwc audit verify` names the first bad link";
    8013 Draining "draining" 503 Transport true
        "The daemon is stopping."
        "start it again with `fwc up`";
    8014 VaultInvalid "vault_invalid" 500 Internal false
        "A sealed credential does not open."
        "set it again with `fwc auth set`";
    8015 ClockSuspect "clock_suspect" 503 Service true
        "The clock is further ahead than time can have passed."
        "set the clock; if it is right, `fwc doctor` says how to confirm it";
    9001 Internal "internal" 500 Internal false
        "A defect of ours."
        "report it with the identifier named";
    9002 UsageError "usage_error" 400 Usage false
        "The command line cannot be understood."
        "see `--help`";
    9003 CommandUnknown "command_unknown" 400 UnknownCommand false
        "There is no such command."
        "see `fwc --help`";
    9004 Ambiguous "ambiguous" 400 Ambiguous false
        "The name fits more than one thing."
        "say which";
}
