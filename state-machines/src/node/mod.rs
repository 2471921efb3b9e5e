//! A node: all machines composed, and the one decider over calls.
//!
//! Requests come in with [`Node::handle_request`], what became of dispatched calls with [`Node::handle_outcome`], what
//! became of batches with [`Node::handle_completion`]; [`Node::poll_output`] says what to do, in order. Everything that
//! must not be seen before it is durable (a dispatch, an answer) comes out only after its batch.
//!
//! ```text
//! request ─► prepare (facts) ─► gate ─► reserve ─┐ one step
//!                               intent ◄─────────┘
//!              Persist ─► durable ─► seal still holds? ─► Dispatch ─► outcome
//!                                                         receipt, context, audit ─► Persist ─► durable ─► Answer
//! ```
//!
//! Spec: `docs/spec/calls.md`.

mod admit;
mod apply;
mod authorize;
mod caller;
mod calls;
mod catalog;
mod clock;
mod completion;
mod consent;
mod content;
mod contexts;
mod counted;
mod credential_test;
mod facts;
mod grant_requests;
mod judgement;
mod keys;
mod ledger;
mod lifecycle;
mod output;
pub mod planner;
mod presented;
mod prospects;
mod refusals;
mod rekeyed;
mod rekeyed_zone;
mod replay;
mod request;
mod revoked;
mod room;
pub mod routing;
mod sessions;
mod tokens;
mod waiting;
mod word;

pub use calls::probing::DoubtfulCall;
pub use catalog::{BadInstall, Catalog, Credential, Installed};
pub use clock::ClockState;
pub use judgement::MAX_CANDIDATES;
pub use keys::{NodeKeys, ZoneKeys};
pub use output::{Answer, BoundCall, CallAnswer, Dispatch, Failure, Outcome, Output, Refusal, Verdict};
pub use presented::{PartsToProve, ShownToken};
pub use rekeyed::OwnKeys;
pub use replay::ReplayError;
pub use request::{
    CallRequest, CalledBy, Canceller, FiledApproval, GrantWish, Handle, HeldToken, HolderProof, Request,
    RequestId, SchemaCheck, SessionRequest,
};
pub use room::CallLimits;
pub use sessions::{MintedToken, Session, SessionId, Sessions};
pub use tokens::MAX_MINTED_OPERATIONS;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, KeyId, NodeId, ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::object::{AnyObject, Effect, SettledBy, Usage};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::{Now, UnixTime};

use crate::call::approvals::{Approvals, GrantRequests};
use crate::call::contexts::Contexts;
use crate::call::idempotency;
use crate::call::rates::Rates;
use crate::persist::{self, BatchToken, Completion};
use crate::trust::audit::Chains;
use crate::trust::authority::Authority;
use crate::trust::revocation::Revocations;

use calls::Call;
use ledger::{Ledger, Unit};

/// What follows once a unit is durable.
#[derive(Debug)]
enum Then {
    /// The object takes force.
    Apply(ObjectId, Box<AnyObject>),
    /// The call goes to its connector.
    Dispatch(CallId),
    /// The call is over, by this receipt.
    Ended(CallId, ObjectId),
    /// The intent is settled by the settlement, with this effect.
    Settle(ObjectId, ObjectId, Effect),
    /// The principal sees what joined its context.
    Seen(PrincipalId),
    /// The revocation chain goes on from here; without it, it could not.
    Chain,
    /// The node's new attestation is durable.
    Rekeyed(Box<rekeyed::Rekeyed>),
    /// The request is answered.
    Answer(RequestId, Result<Box<Answer>, Box<Failure>>),
}

/// How a node is set up.
#[derive(Debug)]
pub struct NodeConfig {
    /// The node's name, as attested.
    pub node_id: NodeId,
    /// Its secrets.
    pub keys: NodeKeys,
    /// How long a session lasts, in seconds.
    pub session_secs: u64,
    /// What bounds calls.
    pub limits: CallLimits,
    /// Whether someone vouches for the clock of this start, however far ahead of the last run it is.
    pub clock_confirmed: bool,
    /// Fresh entropy of this start.
    pub entropy: Entropy,
}

/// A node: all machines composed, and the one decider over calls.
#[derive(Debug)]
pub struct Node {
    node_id: NodeId,
    keys: NodeKeys,
    session_secs: u64,
    limits: CallLimits,
    entropy: Entropy,
    authority: Authority,
    revocations: Revocations,
    catalog: Catalog,
    contexts: Contexts,
    approvals: Approvals,
    grant_requests: GrantRequests,
    keys_used: idempotency::Index,
    rates: Rates,
    grant_use: BTreeMap<ObjectId, GrantUse>,
    sessions: Sessions,
    minted: tokens::Minted,
    calls: BTreeMap<CallId, Call>,
    unsettled: calls::UnsettledCalls,
    refusals: refusals::Refusals,
    filings: waiting::Filings,
    ledger: Ledger<Then>,
    outputs: VecDeque<Output>,
    clock: clock::Clock,
    failed: bool,
    /// Whether a ceremony is on its way to the disk.
    founding: bool,
    /// Operators' keys whose delegation is on its way to the disk.
    changing: BTreeSet<KeyId>,
    /// Zones whose definition is on its way to the disk: another would follow the one before it.
    defining: BTreeSet<ZoneId>,
    /// What was taken from outside lately, so that nothing is taken twice; with the time until which it could be.
    taken: BTreeMap<ObjectId, UnixTime>,
    replaying: VecDeque<replay::Drawn>,
    /// Whose key sealed each chain when it was read.
    sealed_by: BTreeMap<ZoneId, KeyId>,
}

/// What was called on a grant so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct GrantUse {
    calls: u64,
    bytes: u64,
}

impl GrantUse {
    fn add_call(&mut self) {
        self.calls = self.calls.saturating_add(1);
    }

    /// Adds what a connector says that it used: any numbers.
    fn add_bytes(&mut self, usage: &Usage) {
        self.bytes = self.bytes.saturating_add(usage.bytes_sent).saturating_add(usage.bytes_received);
    }
}

impl Node {
    /// A node that knows nothing yet; [`Node::replay`] what its journal holds, then [`Node::start`].
    pub fn new(config: NodeConfig) -> Self {
        Self {
            ledger: Ledger::new(config.node_id.clone()),
            node_id: config.node_id,
            keys: config.keys,
            session_secs: config.session_secs,
            limits: config.limits,
            entropy: config.entropy,
            authority: Authority::default(),
            revocations: Revocations::default(),
            catalog: Catalog::default(),
            contexts: Contexts::default(),
            approvals: Approvals::default(),
            grant_requests: GrantRequests::default(),
            keys_used: idempotency::Index::new(idempotency::Config::default()),
            rates: Rates::new(),
            grant_use: BTreeMap::new(),
            sessions: Sessions::default(),
            minted: tokens::Minted::default(),
            calls: BTreeMap::new(),
            unsettled: calls::UnsettledCalls::default(),
            refusals: refusals::Refusals::default(),
            filings: waiting::Filings::default(),
            outputs: VecDeque::new(),
            clock: clock::Clock::new(config.clock_confirmed),
            failed: false,
            founding: false,
            changing: BTreeSet::new(),
            defining: BTreeSet::new(),
            taken: BTreeMap::new(),
            replaying: VecDeque::new(),
            sealed_by: BTreeMap::new(),
        }
    }

    /// Takes a request. Its answer comes out with the same id, once.
    pub fn handle_request(&mut self, id: RequestId, request: Request, now: Now, schema: &dyn SchemaCheck) {
        let now = self.advance(now);
        if self.failed {
            self.answer(id, Err(Failure::new(Code::StoreFailed, Code::StoreFailed.meaning())));
            return;
        }
        if let Err(failure) = self.clock_trusted(&request) {
            self.answer(id, Err(failure));
            return;
        }
        let taken = match request {
            Request::Admit { object, actor } => self.admit(id, *object, &actor, now),
            Request::AdmitTogether { objects, actor } => self.admit_together(id, objects, &actor, now),
            Request::ReplaceKeys { attestation, keys, actor } => {
                self.replace_keys(id, *attestation, *keys, &actor, now)
            }
            Request::HoldZoneKey { zone, key } => self.hold_zone_key(id, zone, key),
            Request::OpenSession(request) => self.open_session(id, &request, now),
            Request::CloseSession(session) => self.close_session(id, session),
            Request::MintTokens { session, binding, operations } => {
                self.mint_tokens(id, session, &binding, &operations, now)
            }
            Request::Invoke(call) => self.invoke(id, &call, now, schema),
            Request::Simulate(call) => self.simulate(id, &call, now, schema),
            Request::FileApproval { call, note, valid_secs } => {
                self.file_approval(id, &call, note, valid_secs, now, schema)
            }
            Request::FileGrantRequest(wish) => self.file_grant_request(id, *wish, now),
            Request::TestCredential { test, actor } => self.test_credential(id, *test, &actor, now, schema),
            Request::Cancel { call_id, by } => self.cancel(id, call_id, &by),
            Request::ReadKept { session, binding, result, zone, principal, label } => {
                let read = contexts::KeptRead { result, zone, principal, label };
                self.read_kept(id, session, &binding, &read, now)
            }
            Request::OpenContext { principal, actor } => self.open_context(id, &principal, &actor, now),
            Request::ProbeOutcome { probe, doubtful, actor } => {
                self.probe_outcome(id, *probe, &doubtful, &actor, now, schema)
            }
            Request::Settle { intent, effect, note, actor } => {
                let settled_by = SettledBy::Operator;
                let settling = calls::Settling { intent, effect, settled_by, note, actor };
                self.settle(id, settling, now)
            }
            Request::Record { zone, entry } => self.record(id, &zone, *entry),
        };
        if let Err(failure) = taken {
            self.answer(id, Err(failure));
        }
        self.seal(now);
    }

    /// Takes what became of a batch.
    pub fn handle_completion(&mut self, token: BatchToken, completion: Completion, now: Now) {
        let now = self.advance(now);
        match completion {
            Completion::Durable => {
                for then in self.ledger.complete(token) {
                    self.follow(then, now);
                }
            }
            Completion::Refused(refusal) => {
                let code = match refusal {
                    persist::Refusal::Full => Code::StoreFull,
                    persist::Refusal::TooLarge => Code::InputTooLarge,
                };
                for then in self.ledger.refuse(token) {
                    self.abandon(then, code, now);
                }
            }
            Completion::Failed => self.fail(token),
        }
        self.seal(now);
    }

    /// What to do next; `None` when there is nothing until the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether everything said so far is durable and answered.
    pub fn is_idle(&self) -> bool {
        self.ledger.is_idle() && self.calls.is_empty() && self.outputs.is_empty()
    }

    /// Whether a write failed and the node must be restarted.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// The node's name.
    pub fn node_id(&self) -> &NodeId {
        &self.node_id
    }

    /// Everything the owner has said.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What is revoked.
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// What is installed.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Requests for approval and decisions.
    pub fn approvals(&self) -> &Approvals {
        &self.approvals
    }

    /// Requests for grants.
    pub fn grant_requests(&self) -> &GrantRequests {
        &self.grant_requests
    }

    /// The context of a principal, if there is such a principal.
    pub fn context(&self, principal: &PrincipalId) -> Option<crate::call::contexts::Context> {
        let zone = &self.authority.principal(principal)?.zone;
        Some(self.contexts.of(principal, &self.fresh_label(zone)))
    }

    /// Open sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The audit chains' ends.
    pub fn chains(&self) -> &Chains {
        self.ledger.chains()
    }

    /// Pools and budgets.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// Calls under way.
    pub fn calls_under_way(&self) -> impl Iterator<Item = (&CallId, &PrincipalId)> {
        self.calls.iter().map(|(id, call)| (id, call.principal()))
    }

    /// Calls under way to a connector.
    pub fn calls_to<'a>(&'a self, connector: &'a ConnectorId) -> impl Iterator<Item = &'a CallId> {
        self.calls.iter().filter(move |(_, call)| call.connector() == connector).map(|(id, _)| id)
    }

    /// Whether the connector has the call.
    pub fn is_dispatched(&self, call: &CallId) -> bool {
        self.calls.get(call).is_some_and(Call::is_dispatched)
    }

    /// The key that signs the node's tokens.
    pub fn issuance_key(&self) -> KeyId {
        self.keys.issuance.key_id()
    }

    /// Intents whose outcome is unknown.
    pub fn unsettled(&self) -> impl Iterator<Item = &ObjectId> {
        self.unsettled.intents()
    }

    /// The key that names new objects of a zone.
    pub fn zone_key(&self, zone: &ZoneId) -> Option<&fcp_proto_core::object::ObjectIdKey> {
        self.zone_keys(zone).map(ZoneKeys::serving)
    }

    /// The keys that name the objects of a zone, for whoever verifies what is stored.
    pub fn zone_keys(&self, zone: &ZoneId) -> Option<&ZoneKeys> {
        self.keys.zones.get(zone)
    }

    /// How the wall clock stands to the time that the node goes by.
    pub fn clock(&self) -> ClockState {
        self.clock.state()
    }

    /// The present time, never before any time seen: what has expired never revives.
    fn advance(&mut self, now: Now) -> Now {
        self.clock.read(now)
    }

    fn answer(&mut self, request: RequestId, answer: Result<Answer, Failure>) {
        let answer = answer.map(Box::new).map_err(Box::new);
        self.outputs.push_back(Output::Answer { request, answer });
    }

    fn commit(&mut self, unit: Unit<Then>) {
        self.ledger.push(unit);
    }

    fn seal(&mut self, now: Now) {
        // Nothing may follow a write that failed: its places in the chains may be taken.
        if self.failed {
            let waiting = self.ledger.drain();
            return self.give_up(waiting);
        }
        match self.ledger.seal(&self.keys, now.unix) {
            Ok(Some((token, batch))) => self.outputs.push_back(Output::Persist { token, batch }),
            Ok(None) => {}
            Err(lost) => {
                self.failed = true;
                self.give_up(lost);
                let waiting = self.ledger.drain();
                self.give_up(waiting);
            }
        }
    }
}
