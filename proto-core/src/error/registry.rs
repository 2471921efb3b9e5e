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
        "correct the syntax at the place named; `fwc --help` and GET /v1/openapi.json show what is taken";
    1002 UnknownMethod "unknown_method" 404 Validation false
        "The method, route or command does not exist."
        "`fwc --help` lists the commands, GET /v1/openapi.json the routes";
    1003 InputInvalid "input_invalid" 422 Validation false
        "The input does not fit what is asked for."
        "correct what the reason names; `fwc --help` and GET /v1/openapi.json show what is taken";
    1004 InputTooLarge "input_too_large" 413 Validation false
        "The input exceeds a size, depth or count limit."
        "send less at once; `fwc --help` and GET /v1/openapi.json show what is taken";
    1005 VersionUnsupported "version_unsupported" 400 Validation false
        "The format version is not one this release reads."
        "use the release that wrote it, or a newer one; `fwc --version` names this one";
    1006 MissingField "missing_field" 400 Validation false
        "A required field is absent."
        "add the field named; `fwc --help` and GET /v1/openapi.json show what is taken";
    1007 UnknownField "unknown_field" 400 Validation false
        "A field is not known here."
        "remove it or correct its spelling; `fwc --help` and GET /v1/openapi.json show what is taken";
    1008 DuplicateKey "duplicate_key" 400 Validation false
        "A JSON object holds the same key twice."
        "write each key once; `fwc --help` and GET /v1/openapi.json show what is taken";
    1009 InexactNumber "inexact_number" 400 Validation false
        "A JSON number cannot be represented exactly."
        "write it as a text, or round it; `fwc --help` and GET /v1/openapi.json show what is taken";
    1010 OutOfRange "out_of_range" 422 Validation false
        "A value is outside its permitted range."
        "use a value in the range named; `fwc --help` and GET /v1/openapi.json show what is taken";
    1011 InvalidName "invalid_name" 400 Validation false
        "An identifier does not follow its grammar."
        "write it as the reason says; `fwc list`, `fwc agent list`, `fwc zones list` and `fwc role list` show the names there are";
    1012 MethodNotAllowed "method_not_allowed" 405 Validation false
        "The path exists, and does not take this method."
        "use a method that the header `allow` names, or the command for it: `fwc --help` lists them";
    2001 TokenMalformed "token_malformed" 400 Denied false
        "The capability token is malformed: it is no canonical COSE_Sign1 / CWT."
        "`fwc token mint OPERATION --to FOLDER` writes a fresh one; in a session none is needed";
    2002 TokenExpired "token_expired" 401 Denied false
        "The capability token's time is over."
        "`fwc token mint OPERATION --to FOLDER` writes a fresh one; in a session none is needed";
    2003 TokenSignatureInvalid "token_signature_invalid" 401 Denied false
        "The token's signature does not verify."
        "`fwc token mint OPERATION --to FOLDER` writes a fresh one; in a session none is needed";
    2004 TokenIssuerUnknown "token_issuer_unknown" 401 Denied false
        "The owner does not vouch, or no longer, for the device that signed the token: no attestation covers its key."
        "the owner attests this device for longer: `fwc node renew`";
    2005 TokenNotYetValid "token_not_yet_valid" 401 Denied false
        "The token's time has not begun."
        "`fwc token inspect --file FILE` shows from when it is good; check this machine's clock";
    2006 TokenAudienceMismatch "token_audience_mismatch" 403 Denied false
        "The token was made for another audience."
        "`fwc token mint OPERATION --to FOLDER` writes one for this device and the agent's zone";
    2007 TokenZoneMismatch "token_zone_mismatch" 403 Denied false
        "The token was made for another zone."
        "`fwc token mint OPERATION --to FOLDER` writes one for the agent's zone";
    2008 Unauthenticated "unauthenticated" 401 Denied false
        "The caller has not proved a key."
        "say who calls: run it inside `fwc agent run NAME -- COMMAND`, or as an operator with --passphrase-file";
    2009 NotPermitted "not_permitted" 403 Denied false
        "The caller's key may not do this."
        "ask the owner or an operator to do it; `fwc status` names the operators";
    2010 ChallengeInvalid "challenge_invalid" 401 Denied false
        "The challenge is unknown, used or expired."
        "run the command again: each challenge serves once and soon; inside `fwc agent run NAME -- COMMAND` none is needed";
    2011 UnlockFailed "unlock_failed" 401 Denied false
        "The passphrase or key source did not open the key."
        "check the passphrase and retry; `fwc status` names the operators";
    2012 PhraseInvalid "phrase_invalid" 422 Validation false
        "The words are no recovery phrase: their number, a word or their checksum is wrong."
        "compare them with the paper, word by word, and give all 24 in their order again; nothing was done, and `fwc operator add --help` says how they are given";
    2013 PhraseOfOther "phrase_of_other" 403 Denied false
        "The phrase is whole, and it is another owner's."
        "find the 24 words that the first `fwc up` of this home showed; nothing was done";
    2014 ConfirmationNeeded "confirmation_needed" 409 Validation false
        "This takes away what only the owner's 24 words, or nothing, brings back, and it was not confirmed."
        "read what the reason says; to do it all the same, repeat the command with --yes, as `fwc revoke --help` shows";
    2101 TokenRevoked "token_revoked" 403 Denied false
        "The token was revoked."
        "`fwc revocations` says why; `fwc token mint OPERATION --to FOLDER` writes another";
    2102 IssuerKeyRevoked "issuer_key_revoked" 403 Denied false
        "A key that this rests on was revoked: its holder's, its signer's or its issuer's."
        "`fwc revocations` says which and why; for an agent, the owner makes another: `fwc agent add OTHER --zone ZONE`";
    2103 NodeRevoked "node_revoked" 403 Denied false
        "The owner's word for this device, its attestation, was revoked."
        "`fwc revocations` says why; the owner attests other keys of this device with the 24 words: `fwc node replace`";
    2104 ConnectorRevoked "connector_revoked" 403 Denied false
        "This connector binary was revoked."
        "`fwc revocations` says why; install a release that is not revoked: `fwc install OTHER`";
    2105 ZoneKeyRevoked "zone_key_revoked" 403 Denied false
        "The zone's key was revoked."
        "`fwc revocations` says why; the owner gives the zone another key with the 24 words: `fwc zones rekey ZONE`";
    2106 RevocationStale "revocation_stale" 503 Denied true
        "What is known of revocations is older than this operation's tier permits."
        "wait until this device has caught up, then retry; `fwc status` shows how it is";
    2201 HolderProofMissing "holder_proof_missing" 401 Denied false
        "The token is bound to a holder and no proof came with the call."
        "name the key of the token's holder with --key, or call inside `fwc agent run NAME -- COMMAND`";
    2202 HolderProofInvalid "holder_proof_invalid" 401 Denied false
        "The holder's proof does not verify for this call."
        "name the key of the token's holder with --key, or call inside `fwc agent run NAME -- COMMAND`";
    2203 HolderMismatch "holder_mismatch" 403 Denied false
        "The proof is of another principal than the token's."
        "`fwc token mint OPERATION --to FOLDER` writes one of your own";
    3001 CapabilityMissing "capability_missing" 403 Denied false
        "The token does not carry the operation's capability."
        "`fwc request OPERATION --grant 1h --max-calls 10` asks for it";
    3002 RateLimited "rate_limited" 429 Service true
        "A rate pool is used up."
        "wait for the time named, then retry; `fwc schema OPERATION` names its rate pools";
    3003 OperationNotGranted "operation_not_granted" 403 Denied false
        "The token does not carry this operation."
        "`fwc request OPERATION --grant 1h --max-calls 10` asks for it";
    3004 ResourceNotAllowed "resource_not_allowed" 403 Denied false
        "The resource is not among those allowed."
        "`fwc request OPERATION --grant 1h --allow RESOURCE` asks for it";
    3005 ArgumentNotAllowed "argument_not_allowed" 403 Denied false
        "An argument is outside what the grant allows."
        "use a value that `fwc grant list --live` shows, or ask for a wider grant: `fwc request OPERATION --grant 1h --max-calls 10`";
    3006 CallLimitReached "call_limit_reached" 403 Denied false
        "The grant's number of calls is used up."
        "`fwc request OPERATION --grant 1h --max-calls 10` asks for more";
    3007 ByteLimitReached "byte_limit_reached" 403 Denied false
        "The grant's number of bytes is used up."
        "`fwc request OPERATION --grant 1h --max-calls 10` asks for more";
    3008 CredentialNotAllowed "credential_not_allowed" 403 Denied false
        "The credential is not among those allowed."
        "`fwc request OPERATION --grant 1h --credential NAME` asks for it";
    3009 ConstraintsEmpty "constraints_empty" 403 Denied false
        "The token or grant carries no constraints, and empty means none."
        "say what it may do: `fwc grant add AGENT OPERATION --zone ZONE --for 1h --allow RESOURCE`";
    3010 GrantMissing "grant_missing" 403 Denied false
        "The token names no grant that exists."
        "`fwc request OPERATION --grant 1h --max-calls 10` asks for one";
    3011 GrantRevoked "grant_revoked" 403 Denied false
        "The grant was revoked."
        "`fwc revocations` says why; `fwc request OPERATION --grant 1h --max-calls 10` asks for a new one";
    3012 GrantExpired "grant_expired" 403 Denied false
        "The grant's time is over or has not begun."
        "`fwc request OPERATION --grant 1h --max-calls 10` asks for a new one";
    3013 GrantPrincipalMismatch "grant_principal_mismatch" 403 Denied false
        "The grant belongs to another principal or role."
        "`fwc request OPERATION --grant 1h --max-calls 10` asks for one of your own";
    3014 GrantZoneMismatch "grant_zone_mismatch" 403 Denied false
        "The grant belongs to another zone."
        "call in the grant's zone, or ask for one in yours: `fwc request OPERATION --grant 1h --max-calls 10`";
    3015 GrantIssuerInvalid "grant_issuer_invalid" 403 Denied false
        "The grant was not signed by the owner or a live operator."
        "the owner or an operator grants it anew: `fwc grant add AGENT OPERATION --zone ZONE --for 1h --allow RESOURCE`";
    3016 GrantExceeded "grant_exceeded" 403 Denied false
        "The token claims more than its grants give."
        "`fwc token mint OPERATION --to FOLDER` writes a fresh one; in a session none is needed";
    3101 ApprovalRequired "approval_required" 403 ApprovalRequired false
        "A person must approve this call first."
        "`fwc request OPERATION --input JSON` asks for it; a person decides with `fwc approvals approve ID`";
    3102 ApprovalInvalid "approval_invalid" 403 Denied false
        "The approval does not verify."
        "`fwc request OPERATION --input JSON` asks for a new one";
    3103 ApprovalExpired "approval_expired" 403 ApprovalRequired false
        "The approval's time is over."
        "`fwc request OPERATION --input JSON` asks for a new one";
    3104 ApprovalUsed "approval_used" 403 ApprovalRequired false
        "The approval was used already; each serves one call."
        "`fwc request OPERATION --input JSON` asks for a new one";
    3105 ApprovalMismatch "approval_mismatch" 403 ApprovalRequired false
        "The approval is for another call, interface, code or label."
        "`fwc request OPERATION --input JSON` asks for one for this call";
    3106 ApprovalDenied "approval_denied" 403 Denied false
        "A person denied this call."
        "`fwc approvals list --status denied` shows it; `fwc explain ID`, with its ID, says who denied it and why";
    3107 ConnectorChanged "connector_changed" 409 Denied false
        "The connector is no longer what it was when this was asked."
        "ask again, of the connector as it is now: `fwc request OPERATION --grant 1h --max-calls 10`";
    4001 ZoneMismatch "zone_mismatch" 403 Denied false
        "The call's zone is not the principal's."
        "leave out --zone: an agent calls in its own zone, which `fwc context show` names";
    4002 TaintViolation "taint_violation" 403 Denied false
        "What the caller has read may not drive an operation of this tier."
        "an operator opens a fresh context: `fwc context new AGENT`; or ask for this one call: `fwc request OPERATION --input JSON`";
    4003 IntegrityTooLow "integrity_too_low" 403 Denied false
        "What steers the operation comes from a source less trusted than it needs."
        "an operator opens a fresh context: `fwc context new AGENT`; or ask for this one call: `fwc request OPERATION --input JSON`";
    4004 ZoneUnknown "zone_unknown" 404 Denied false
        "There is no such zone."
        "`fwc zones list` lists them";
    4005 ZonePolicyDenied "zone_policy_denied" 403 Denied false
        "The zone's policy does not permit this connector or operation."
        "`fwc zones show ZONE` shows the policy, which the owner may change: `fwc zones policy ZONE --connector CONNECTOR`";
    4006 RiskAboveCeiling "risk_above_ceiling" 403 Denied false
        "The operation's risk is above the zone's ceiling."
        "`fwc zones show ZONE` shows the ceiling, which the owner may raise: `fwc zones policy ZONE --max-risk RISK`";
    4007 OperationForbidden "operation_forbidden" 403 Denied false
        "The operation's safety tier is `forbidden`."
        "nothing permits it; `fwc ops CONNECTOR` shows what else there is";
    4008 ConfidentialityTooHigh "confidentiality_too_high" 403 Denied false
        "The content is more confidential than the operation's audience."
        "an operator opens a fresh context: `fwc context new AGENT`; or ask for this one call: `fwc request OPERATION --input JSON`";
    5001 ConnectorUnknown "connector_unknown" 404 Validation false
        "There is no such connector here."
        "`fwc list` shows what is installed";
    5002 OperationUnknown "operation_unknown" 404 Validation false
        "The connector has no such operation."
        "`fwc ops CONNECTOR` lists those it has";
    5003 ConnectorDisabled "connector_disabled" 403 Denied false
        "The connector is disabled."
        "an operator may enable it: `fwc enable CONNECTOR`";
    5004 ConnectorNotInZone "connector_not_in_zone" 403 Denied false
        "The connector is not bound to this zone."
        "`fwc show CONNECTOR` names its zones; an operator binds it to another: `fwc install FILE --zone ZONE`";
    5005 ConnectorUnavailable "connector_unavailable" 503 Service true
        "The connector does not run."
        "`fwc show CONNECTOR` says why and what leads out of it";
    5006 ConnectorCrashLoop "connector_crash_loop" 503 Service false
        "The connector died too often and was stopped."
        "`fwc show CONNECTOR` says why and what leads out of it";
    5007 ConnectorProtocol "connector_protocol" 502 Service false
        "The connector broke its protocol."
        "report it to the connector's author, with what `fwc history` shows of the call";
    5008 ConnectorTimeout "connector_timeout" 504 Service true
        "The connector did not answer in time."
        "retry with a longer --deadline-ms; `fwc schema OPERATION` shows its own limit";
    5009 SandboxUnattainable "sandbox_unattainable" 503 Service false
        "This machine cannot provide a property the sandbox demands."
        "put right what the reason names, or have the owner do without: `fwc exception sandbox CONNECTOR PROPERTY --reason TEXT`; then `fwc enable CONNECTOR`";
    5010 ManifestInvalid "manifest_invalid" 422 Validation false
        "The manifest does not follow its schema."
        "correct the field named, then `fwc package build FOLDER --out FILE`";
    5011 PackageInvalid "package_invalid" 422 Validation false
        "The package is malformed or its digest does not match."
        "build it again: `fwc package build FOLDER --out FILE`";
    5012 PackageUntrusted "package_untrusted" 403 Denied false
        "No trusted publisher signed the package."
        "`fwc package inspect FILE` names the signers: put one you trust into publishers.txt, or sign it with a development key: `fwc install FILE --dev`";
    5013 ConnectorFailed "connector_failed" 502 Service false
        "The connector reported a failure."
        "read the detail named; `fwc history` shows the call";
    5014 Cancelled "cancelled" 409 Service false
        "The call was cancelled."
        "call again if it is still wanted; `fwc history` shows the call";
    5015 AlreadyInstalled "already_installed" 409 Validation false
        "This connector is installed already."
        "`fwc show CONNECTOR` names the version there is; `fwc uninstall CONNECTOR` removes it";
    5016 ConnectorOutputInvalid "connector_output_invalid" 502 Service false
        "The connector's answer does not fit what its operation declares."
        "report it to the connector's author; `fwc schema OPERATION` shows what it declares";
    5017 EngineChanged "engine_changed" 409 Service false
        "The engine beside the daemon is not the one that this declarative connector was installed with."
        "an operator accepts it by installing the package again: `fwc status` has the command";
    6001 NotFound "not_found" 404 Validation false
        "There is no such object."
        "look it up: `fwc history`, `fwc receipts list`, `fwc approvals list`, `fwc grant list`, `fwc agent list` and `fwc role list` name what there is";
    6002 Exhausted "exhausted" 503 Service true
        "A resource of this machine is used up."
        "free what the reason names, then retry; `fwc doctor` shows how this machine is";
    6003 IdempotencyConflict "idempotency_conflict" 409 Validation false
        "The idempotency key was used for another call."
        "use a new key; `fwc history` shows the earlier call";
    6004 BudgetExceeded "budget_exceeded" 429 Service false
        "A budget is used up."
        "`fwc zones show ZONE` shows what is used; the owner may raise it: `fwc zones policy ZONE --budget day=requests:5000/1d`";
    6005 Conflict "conflict" 409 Validation false
        "The change does not fit the present state."
        "look at the present state, such as with `fwc status`, then retry";
    6010 IdempotencyKeyRequired "idempotency_key_required" 400 Validation false
        "The operation is strict and needs an idempotency key."
        "name a key of your choice; a repetition with it has no second effect: `fwc invoke OPERATION --idempotency-key KEY`";
    6011 CallInProgress "call_in_progress" 409 Service true
        "A call with this idempotency key is in progress."
        "`fwc history` shows when it has ended; then retry";
    6012 OutcomeUnknown "outcome_unknown" 409 OutcomeUnknown false
        "The call was dispatched and its outcome is not known."
        "never repeat it blindly: `fwc history --unknown` shows it; look at the service, then say what happened: `fwc settle ID --happened --note TEXT`, or with --did-not";
    6020 LeaseRequired "lease_required" 503 Denied true
        "The operation needs a lease, the right of one device alone to make it, which this one does not hold."
        "retry on the device that holds it; `fwc status` names this one";
    6021 LeaseExpired "lease_expired" 503 Denied true
        "The lease, the right of this device alone to make the call, ends before the call could."
        "retry; `fwc status` shows how this device is";
    6022 LeaseSuperseded "lease_superseded" 409 Denied false
        "Another node holds a newer lease."
        "retry on the device that holds it; `fwc status` names this one";
    7001 UpstreamRateLimited "upstream_rate_limited" 429 Service true
        "The service limits the rate."
        "wait for the time named, then retry; `fwc history` shows the call";
    7002 UpstreamTimeout "upstream_timeout" 504 Service true
        "The service did not answer in time."
        "retry; `fwc schema OPERATION` shows the time limit";
    7003 UpstreamFailed "upstream_failed" 502 Service false
        "The service failed or refused."
        "read the service's answer, which the reason or `fwc history` shows";
    7004 UpstreamUnauthorized "upstream_unauthorized" 502 Service false
        "The service refused the credential."
        "`fwc auth test NAME` tries it; `fwc auth set NAME --connector CONNECTOR --slot SLOT --zone ZONE` stores another";
    7005 UpstreamNotFound "upstream_not_found" 404 Service false
        "The service knows no such thing."
        "check the arguments; `fwc schema OPERATION` says what each of them is";
    7006 UpstreamInvalid "upstream_invalid" 422 Service false
        "The service refused the arguments."
        "read the service's answer and correct the arguments; `fwc schema OPERATION` says what each of them is";
    7101 EgressHostDenied "egress_host_denied" 403 Denied false
        "The host is not declared for this operation."
        "nothing was sent; `fwc schema OPERATION` lists the hosts";
    7102 EgressAddressDenied "egress_address_denied" 403 Denied false
        "The host leads to an address that is not on the public internet."
        "nothing was sent; the owner may permit it: `fwc exception egress CONNECTOR --to-host HOST --network NETWORK --port PORT --reason TEXT`";
    7103 EgressUrlInvalid "egress_url_invalid" 400 Denied false
        "The URL is ambiguous, malformed or of another scheme than https."
        "nothing was sent; `fwc schema OPERATION` says what each argument is";
    7104 EgressMethodDenied "egress_method_denied" 403 Denied false
        "The method or path is not declared for this operation."
        "nothing was sent; report it to the connector's author, with what `fwc history` shows of the call";
    7105 EgressHandleInvalid "egress_handle_invalid" 403 Denied false
        "The egress handle is unknown, ended or another call's."
        "nothing was sent; `fwc history` shows whether the call has ended";
    7106 EgressResolveFailed "egress_resolve_failed" 502 Service true
        "The host's name does not resolve."
        "check the network and the host that `fwc schema OPERATION` names, then retry";
    7107 EgressTlsFailed "egress_tls_failed" 502 Service false
        "The TLS handshake or certificate check failed."
        "check the service's certificate; an authority of your own is trusted by `fwc exception egress CONNECTOR --to-host HOST --network NETWORK --port PORT --ca-file FILE --reason TEXT`";
    7108 EgressConnectFailed "egress_connect_failed" 502 Service true
        "The connection failed."
        "check the network and the host that `fwc schema OPERATION` names, then retry";
    7109 EgressTooLarge "egress_too_large" 502 Service false
        "The answer is larger than the operation permits."
        "ask for less; `fwc schema OPERATION` shows what narrows the answer";
    7110 EgressRedirectDenied "egress_redirect_denied" 403 Denied false
        "The service redirects to a place that is not permitted."
        "nothing more was sent; `fwc schema OPERATION` lists the hosts";
    7111 CredentialMissing "credential_missing" 403 Denied false
        "No credential is stored for this slot."
        "`fwc auth set NAME --connector CONNECTOR --slot SLOT --zone ZONE` stores one";
    7112 CredentialRefreshFailed "credential_refresh_failed" 502 Service true
        "The stored OAuth token could not be refreshed now."
        "retry; `fwc auth test NAME` says more";
    7113 EgressUnavailable "egress_unavailable" 503 Service true
        "The egress process does not run."
        "`fwc doctor` says why";
    7114 EgressAnswerUnsafe "egress_answer_unsafe" 502 Service false
        "The answer repeats the credential, or cannot be checked for it."
        "the service received the request: do not repeat it blindly; `fwc history` shows the call, for the connector's author";
    7115 CredentialSpent "credential_spent" 502 Service false
        "The stored OAuth token is over, and its refresh token is spent, withdrawn or missing."
        "sign in at the service again and store what it gives: `fwc auth set NAME --connector CONNECTOR --slot SLOT --zone ZONE`";
    7201 PeerFrameInvalid "peer_frame_invalid" 400 Denied false
        "What another device sent is no frame or message of the mesh."
        "bring both devices to releases that fit together; `fwc --version` names this one's";
    7202 PeerNotAuthentic "peer_not_authentic" 403 Denied false
        "What another device sent is not what its sender sealed or signed for this one."
        "nothing of it was taken; if it goes on, look at the path between the devices, and at this one with `fwc doctor`";
    7203 PeerReplayed "peer_replayed" 409 Denied false
        "What another device sent came before, or too late to tell."
        "nothing is to be done: it was dropped; if it goes on, `fwc doctor` looks at this device";
    7204 PeerSuiteRefused "peer_suite_refused" 403 Denied false
        "The devices have no cipher suite in common that is strong enough for both."
        "bring the older device up to date, or lower what the other demands; `fwc --version` names this one's release";
    7205 PeerSessionOver "peer_session_over" 409 Transport true
        "The devices' session is another by now, or its keys are used up."
        "wait for the new session that the devices open; `fwc status` shows how this one is";
    7206 SymbolInvalid "symbol_invalid" 422 Denied false
        "A symbol, or what describes it, does not belong to the object that was asked for."
        "ask another device for the object; `fwc status` shows how this one is";
    7207 ObjectIncomplete "object_incomplete" 503 Transport true
        "There are too few symbols to rebuild the object."
        "wait for more symbols, or ask more devices; `fwc status` shows how this one is";
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
        "use that release; `fwc --version` names this one";
    8005 ConfigInvalid "config_invalid" 422 Validation false
        "The configuration does not follow its schema."
        "correct the line named in config.toml; `fwc doctor` reads it again";
    8006 AddressInUse "address_in_use" 409 Validation false
        "The address or socket is in use."
        "choose another, or stop what uses it, then `fwc up`";
    8007 StoreCorrupt "store_corrupt" 500 Internal false
        "A stored record or file is corrupt or missing; nothing was changed."
        "`fwc doctor` names it and says how to recover";
    8008 StoreFull "store_full" 507 Service false
        "The disk is full."
        "free space where the home lies, as `fwc doctor` names it, then retry; revocations are still admitted";
    8009 StoreFailed "store_failed" 500 Internal false
        "A write to the disk failed; nothing more is written until the daemon is started again."
        "check the disk, then `fwc down` and `fwc up`";
    8010 CeremonyRequired "ceremony_required" 409 Validation false
        "This home has no owner yet."
        "`fwc up` runs the ceremony";
    8011 CeremonyDone "ceremony_done" 409 Validation false
        "This home has an owner already."
        "nothing is to be done; `fwc status` shows the home";
    8012 AuditBroken "audit_broken" 500 Internal false
        "The audit chain does not verify."
        "`fwc audit verify` names the first bad link";
    8013 Draining "draining" 503 Transport true
        "The daemon is stopping."
        "start it again with `fwc up`";
    8014 VaultInvalid "vault_invalid" 500 Internal false
        "A sealed credential does not open."
        "store it again: `fwc auth set NAME --connector CONNECTOR --slot SLOT --zone ZONE`";
    8015 ClockSuspect "clock_suspect" 503 Service true
        "The clock is further ahead than time can have passed."
        "set the clock; if it is right, `fwc doctor` says how to confirm it";
    8016 FileForbidden "file_forbidden" 403 Denied false
        "Whose a file is, who may open it or how its file system is mounted forbids its use."
        "put right what the reason names; `fwc doctor` looks at the files of the home";
    9001 Internal "internal" 500 Internal false
        "A defect of FCP itself."
        "report it with the reason above and what `fwc doctor` shows";
    9002 UsageError "usage_error" 400 Usage false
        "The command line cannot be understood."
        "`fwc --help` lists the commands; --help after a command shows its examples";
    9003 CommandUnknown "command_unknown" 400 UnknownCommand false
        "There is no such command."
        "`fwc --help` lists the commands";
    9004 Ambiguous "ambiguous" 400 Ambiguous false
        "The name fits more than one thing."
        "name the one that is meant, as the reason says; `fwc --help` lists the options that do";
}
