//! The calls of a keeper: admitted, handed over, ended.

use std::sync::Arc;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ZoneId};
use fcp_proto_core::manifest::Operation;
use fcp_proto_core::object::CredentialRecord;
use fcp_proto_core::time::Instant;
use fcp_state_machines::call::egress::credential::CredentialGrant;
use fcp_state_machines::call::egress::{EgressHandle, OpenCall};
use fcp_state_machines::call::supervisor::{CallEnd, Cause, Input};
use fcp_state_machines::node::{Dispatch, Outcome};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::finish::{Body, Finish};
use super::health::Means;
use super::{Keeper, Pending, Retirement, not_delivered};
use crate::connectors::chronicle::{Account, Telling};
use crate::connectors::evidence::{Local, Power, Reader};
use crate::connectors::launch::{Installation, Launch, Program, Secrets};
use crate::connectors::process::Line;
use crate::connectors::protocol::{self, Invoke};
use crate::connectors::{rules, walls};
use crate::egress::{EgressClient, OpenWithSecrets, SlotSecret};

/// A call as the runner hands it over.
pub(in crate::connectors) struct NewCall {
    pub(in crate::connectors) dispatch: Dispatch,
    pub(in crate::connectors) launch: Launch,
    pub(in crate::connectors) started: Instant,
    pub(in crate::connectors) deadline: Instant,
    pub(in crate::connectors) reply: oneshot::Sender<Outcome>,
}

/// A call of this keeper.
pub(super) struct Entry {
    pub(super) call: NewCall,
    pub(super) stage: Stage,
    /// The way to the network that egress opened for it.
    pub(super) egress: Option<(EgressHandle, EgressClient)>,
    /// The answer, until the supervisor takes it.
    pub(super) body: Option<Body>,
    /// Why it is to end, beside the supervisor's own causes.
    pub(super) told: Option<(Code, String)>,
    /// Whether the supervisor was told that its time is over.
    overdue: bool,
    /// Bytes and messages of progress.
    pub(super) progress: (usize, usize),
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for the process.
    Waiting,
    /// Egress is being asked to open it.
    Opening,
    /// It was written, as this request.
    Written(u64),
}

/// What came of asking egress to open a call.
pub(super) struct Opened {
    pub(super) call: CallId,
    pub(super) handle: EgressHandle,
    pub(super) client: EgressClient,
    pub(super) result: Result<(), (Code, String)>,
}

impl Entry {
    fn new(call: NewCall) -> Self {
        Self {
            call,
            stage: Stage::Waiting,
            egress: None,
            body: None,
            told: None,
            overdue: false,
            progress: (0, 0),
        }
    }

    fn id(&self) -> CallId {
        self.call.dispatch.call_id
    }

    /// When its time is over, unless that was said already.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.overdue).then_some(self.call.deadline)
    }

    fn operation(&self) -> Option<&Operation> {
        self.call.launch.installation.manifest.operation(self.call.dispatch.authorized.operation())
    }
}

impl Keeper {
    pub(super) fn on_call(&mut self, call: NewCall) {
        if self.closing {
            self.shared.leave(call.dispatch.call_id);
            return not_delivered(call.reply, Code::Draining, "the node stops");
        }
        let stale = self.run.as_ref().is_some_and(|run| *run.installation != *call.launch.installation);
        if stale {
            self.retire(Retirement::Replaced);
        }
        if self.run.as_ref().is_none_or(|run| run.retirement.is_none()) {
            return self.admit(Entry::new(call));
        }
        if self.held.len() >= self.shared.limits.supervision.max_waiting {
            self.shared.leave(call.dispatch.call_id);
            return not_delivered(call.reply, Code::Exhausted, "too many calls wait for the connector");
        }
        self.held.push_back(Entry::new(call));
    }

    /// Gives a call to the present run, or to a new one.
    pub(super) fn admit(&mut self, entry: Entry) {
        match &self.run {
            None => self.begin(Arc::clone(&entry.call.launch.installation)),
            // Held calls may be of different installations.
            Some(run) if *run.installation != *entry.call.launch.installation => {
                self.held.push_back(entry);
                return self.retire(Retirement::Replaced);
            }
            Some(_) => {}
        }
        self.means = Some(Means::of(&entry.call.launch));
        let call = entry.id();
        self.calls.insert(call, entry);
        self.feed(Input::Demand { call });
        while let Some(next) = self.next_held() {
            self.admit(next);
        }
    }

    /// The next held call, if the present run takes calls.
    fn next_held(&mut self) -> Option<Entry> {
        let takes = self.run.as_ref().is_some_and(|run| run.retirement.is_none());
        if takes { self.held.pop_front() } else { None }
    }

    pub(super) fn turn_held_away(&mut self, code: Code, message: &str) {
        for entry in self.held.drain(..) {
            self.shared.leave(entry.id());
            not_delivered(entry.call.reply, code, message);
        }
    }

    /// Ends a call for a reason that is not the supervisor's.
    pub(super) fn end(&mut self, call: CallId, code: Code) {
        if let Some(at) = self.held.iter().position(|entry| entry.id() == call) {
            if let Some(entry) = self.held.remove(at) {
                self.shared.leave(call);
                not_delivered(entry.call.reply, code, ending(code));
            }
        } else if let Some(entry) = self.calls.get_mut(&call) {
            entry.told.get_or_insert((code, ending(code).to_owned()));
            self.feed(Input::CancelRequested { call });
        }
    }

    pub(super) fn end_overdue(&mut self, now: Instant) {
        let due = |entry: &Entry| entry.due().is_some_and(|at| at <= now);
        let held: Vec<CallId> = self.held.iter().filter(|entry| due(entry)).map(Entry::id).collect();
        for call in held {
            self.end(call, Code::ConnectorTimeout);
        }
        // A call that waits for a process hears why there is none.
        let words = self.run.as_ref().and_then(|run| run.words());
        let why = words.map_or_else(|| OVERDUE.to_owned(), |words| format!("{OVERDUE}; {words}"));
        let overdue: Vec<CallId> = self.calls.values().filter(|entry| due(entry)).map(Entry::id).collect();
        for call in overdue {
            if let Some(entry) = self.calls.get_mut(&call) {
                entry.overdue = true;
                // A connector that is told to stop says that it was cancelled; what cancelled it is the time.
                let code = Code::ConnectorTimeout;
                entry.told.get_or_insert_with(|| (code, why.clone()));
            }
            self.feed(Input::TimedOut { call });
        }
    }

    /// Hands a call to the process, after egress has opened it if it may use the network.
    pub(super) fn deliver(&mut self, call: CallId) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let schema = self.run.as_ref().map(|run| run.outputs.get(entry.call.dispatch.authorized.operation()));
        if let Some(Err(why)) = schema.map(|schema| schema.map(|_| ())) {
            return self.refuse(call, (Code::ManifestInvalid, why));
        }
        let networked = entry.operation().is_some_and(|operation| operation.network.is_some());
        if !networked {
            return self.hand_over(call);
        }
        let handle = EgressHandle::from_bytes(self.shared.random());
        let client = self.shared.egress();
        entry.stage = Stage::Opening;
        let asked = Asked::of(&entry.call);
        let prepared = match self.shared.give_handle(call, handle, &client) {
            Err(barred) => Err(barred.words()),
            Ok(()) => {
                let remaining = entry.call.deadline.saturating_since(self.shared.now().mono);
                open_request(&entry.call, handle, remaining.as_millis(), &self.shared.limits)
            }
        };
        match prepared {
            Ok(open) => self.ask_egress(call, client, open, asked),
            Err(refusal) => self.refuse(call, refusal),
        }
    }

    /// Opens a call with its secrets; the answer comes as [`Opened`].
    pub(super) fn ask_egress(&self, call: CallId, client: EgressClient, open: OpenCall, asked: Asked) {
        let (answers, zone) = (self.opened.0.clone(), self.identity.zone.clone());
        let telling = asked.untold.clone().map(|account| self.shared.tell(account));
        tokio::spawn(async move {
            let handle = open.handle;
            // No record, no secret.
            let result = match told(telling).await {
                Ok(()) => open_with_secrets(&client, open, &zone, &asked).await,
                Err(refusal) => Err(refusal),
            };
            // A keeper that is gone has ended the process, and egress its connection.
            answers.send(Opened { call, handle, client, result }).ok();
        });
    }

    pub(super) fn on_opened(&mut self, opened: Opened) {
        if self.probes.contains_key(&opened.call) {
            return self.on_probe_opened(opened);
        }
        let Opened { call, handle, client, result } = opened;
        match (self.calls.get_mut(&call).filter(|entry| entry.stage == Stage::Opening), result) {
            (Some(_), Err(refusal)) => self.refuse(call, refusal),
            (Some(entry), Ok(())) => {
                entry.egress = Some((handle, client));
                self.hand_over(call);
            }
            // The call ended meanwhile.
            (None, Ok(())) => close_later(client, handle),
            (None, Err(_)) => {}
        }
    }

    /// The call cannot be handed over.
    fn refuse(&mut self, call: CallId, refusal: (Code, String)) {
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.told.get_or_insert(refusal);
        }
        self.feed(Input::NotWritten { call });
    }

    fn hand_over(&mut self, call: CallId) {
        let now = self.shared.now().mono;
        let Some(id) = self.next_id() else { return self.feed(Input::NotWritten { call }) };
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let (dispatch, authorized) = (&entry.call.dispatch, &entry.call.dispatch.authorized);
        let remaining = entry.call.deadline.saturating_since(now).as_millis();
        let invoke = Invoke {
            call_id: call,
            operation: authorized.operation().as_str(),
            input: authorized.input(),
            handle: entry.egress.as_ref().map(|(handle, _)| handle.to_string()),
            deadline_ms: u64::try_from(remaining).unwrap_or(u64::MAX).max(1),
            idempotency_key: authorized.idempotency_key().as_deref(),
            trace: dispatch.trace.as_ref(),
            credentials: dispatch.credentials.iter().map(|record| record.slot.as_str()).collect(),
        };
        let bytes = invoke.line(id);
        entry.stage = Stage::Written(id);
        self.expect(id, Pending::Call(call));
        if !self.write(Some(call), bytes) {
            self.feed(Input::NotWritten { call });
        }
    }

    /// Writes a line to the process. False if it takes none.
    pub(super) fn write(&self, call: Option<CallId>, bytes: Vec<u8>) -> bool {
        let link = self.run.as_ref().and_then(|run| run.link.as_ref());
        link.is_some_and(|link| link.write(Line { call, bytes }))
    }

    pub(super) fn send_cancel(&mut self, call: CallId) {
        match self.calls.get(&call).map(|entry| entry.stage) {
            Some(Stage::Written(_)) => {
                // A process that does not read any more ends, and with it the call.
                self.write(None, protocol::cancel(call));
            }
            Some(Stage::Opening | Stage::Waiting) => {
                let code = if self.calls[&call].overdue { Code::ConnectorTimeout } else { Code::Cancelled };
                self.refuse(call, (code, ending(code).to_owned()));
            }
            None => {}
        }
    }

    /// The supervisor says how a call ended: what it did is judged, and the caller hears it.
    pub(super) fn call_ended(&mut self, call: CallId, end: CallEnd) {
        let Some(entry) = self.calls.remove(&call) else { return };
        self.forget_request(&entry);
        let run = self.run.as_ref();
        let violation = run.and_then(|run| run.talk.violation);
        let told = entry.told.clone().or_else(|| self.own_words(end, violation));
        let installation = &entry.call.launch.installation;
        let finish = Finish {
            shared: Arc::clone(&self.shared),
            call,
            identity: self.identity.clone(),
            operation: entry.call.dispatch.authorized.operation().clone(),
            outputs: run.map(|run| Arc::clone(&run.outputs)).unwrap_or_default(),
            end,
            violation,
            evidence: evidence(installation, entry.operation(), &self.shared.limits),
            told,
            started: entry.call.started,
            body: entry.body,
            egress: entry.egress,
            reply: entry.call.reply,
        };
        tokio::spawn(finish.run());
    }

    /// What can be said of an end beyond its code.
    fn own_words(&self, end: CallEnd, violation: Option<protocol::Violation>) -> Option<(Code, String)> {
        let run = self.run.as_ref()?;
        let (CallEnd::NotDelivered(cause) | CallEnd::OutcomeUnknown(cause)) = end else { return None };
        match cause {
            Cause::ShutDown if run.retirement == Some(Retirement::Replaced) => {
                let message = "the connector was reconfigured before the call was handed over";
                Some((Code::ConnectorUnavailable, message.to_owned()))
            }
            Cause::ProcessEnded if violation.is_some() => {
                Some((Code::ConnectorProtocol, run.words().unwrap_or_default().to_owned()))
            }
            Cause::ProcessEnded | Cause::CrashLooped | Cause::SandboxUnattainable | Cause::CodeMismatch => {
                let code = CallEnd::NotDelivered(cause).code()?;
                Some((code, run.words().unwrap_or("the process ended").to_owned()))
            }
            Cause::Cancelled
            | Cause::TimedOut
            | Cause::WriteFailed
            | Cause::Busy
            | Cause::Disabled
            | Cause::Revoked
            | Cause::ShutDown => None,
        }
    }
}

/// Why a call ends with this code before its connector answered.
//= docs/spec/api.md#calls
#[allow(clippy::wildcard_enum_match_arm, reason = "no other code ends a call from outside")]
const fn ending(code: Code) -> &'static str {
    match code {
        Code::Cancelled => "its caller or an operator asked for that before the connector had answered",
        Code::ConnectorTimeout => OVERDUE,
        Code::ConnectorDisabled => "an operator disabled or removed it while the call was open",
        Code::TokenRevoked => "a revocation named its token while it was open",
        Code::IssuerKeyRevoked => "a revocation named a key that it rests on while it was open",
        Code::NodeRevoked => "a revocation named this device while it was open",
        Code::ZoneKeyRevoked => "a revocation named the key of its zone while it was open",
        Code::ConnectorRevoked => "a revocation named the connector's binary while it was open",
        _ => "it was ended from outside while it was open",
    }
}

/// Why a call ends whose time is over.
const OVERDUE: &str = "the time that the call may take is over";

/// What opening a call needs beside the message to egress.
pub(super) struct Asked {
    pub(super) secrets: Arc<dyn Secrets>,
    pub(super) credentials: Vec<CredentialRecord>,
    /// What the audit must be told before a secret is opened. Of a call the node has told it.
    pub(super) untold: Option<Account>,
}

impl Asked {
    fn of(call: &NewCall) -> Self {
        let credentials = call.dispatch.credentials.clone();
        Self { secrets: Arc::clone(&call.launch.secrets), credentials, untold: None }
    }
}

async fn told(telling: Option<Telling>) -> Result<(), (Code, String)> {
    match telling {
        Some(telling) => telling.await,
        None => Ok(()),
    }
}

async fn open_with_secrets(
    client: &EgressClient,
    open: OpenCall,
    zone: &ZoneId,
    asked: &Asked,
) -> Result<(), (Code, String)> {
    let mut secrets = Vec::new();
    let deadline = std::time::Duration::from_millis(open.deadline_ms);
    for record in &asked.credentials {
        let opening = timeout(deadline, asked.secrets.open(zone, record)).await;
        let secret = opening
            .map_err(|_| (Code::ConnectorTimeout, "the vault did not answer in time".to_owned()))?
            .map_err(|error| (error.code, error.message))?;
        secrets.push(SlotSecret { slot: record.slot.clone(), secret });
    }
    let opened = client.open_call(OpenWithSecrets { open, secrets }).await;
    opened.map_err(|error| (error.code(), error.to_string()))
}

fn open_request(
    call: &NewCall,
    handle: EgressHandle,
    remaining_ms: u128,
    limits: &crate::connectors::Limits,
) -> Result<OpenCall, (Code, String)> {
    let authorized = &call.dispatch.authorized;
    let installation = &call.launch.installation;
    let wrong = |error: rules::RuleError| (error.code, error.message);
    let unknown = || (Code::OperationUnknown, "the connector has no such operation".to_owned());
    let operation = installation.manifest.operation(authorized.operation()).ok_or_else(unknown)?;
    let grants = call.dispatch.credentials.iter().map(|record| {
        if authorized.credentials().contains(&record.credential) {
            rules::grant(installation, operation, record).map_err(wrong)
        } else {
            let message = "the call was not authorized to use this credential".to_owned();
            Err((Code::CredentialNotAllowed, message))
        }
    });
    Ok(OpenCall {
        handle,
        call: call.dispatch.call_id,
        connector: authorized.connector().clone(),
        zone: authorized.zone().clone(),
        operation: authorized.operation().clone(),
        rules: rules::egress_rules(installation, operation, limits.max_request_bytes).map_err(wrong)?,
        exceptions: installation.egress_exceptions.clone(),
        credentials: grants.collect::<Result<Vec<CredentialGrant>, _>>()?,
        deadline_ms: u64::try_from(remaining_ms).unwrap_or(u64::MAX),
        seal: authorized.seal().revocation_seq,
    })
}

/// What is known of a call before egress reports; what it sent is filled in then.
fn evidence(
    installation: &Installation,
    operation: Option<&Operation>,
    limits: &crate::connectors::Limits,
) -> (Power, Local, Reader) {
    let local = walls::local(installation);
    let reader = match installation.program {
        Program::Engine => Reader::Engine,
        Program::File(_) | Program::Bytes(_) => Reader::Package,
    };
    let reads = operation.is_some_and(|operation| {
        let rules = rules::egress_rules(installation, operation, limits.max_request_bytes);
        let harmless = rules.is_ok_and(|rules| !rules::can_change(&rules));
        operation.is_read() || (local == Local::Nothing && harmless)
    });
    (if reads { Power::Read } else { Power::Write }, local, reader)
}

/// Closes a handle that nobody will use.
pub(super) fn close_later(client: EgressClient, handle: EgressHandle) {
    tokio::spawn(async move {
        if let Err(error) = client.close_call(handle).await {
            tracing::warn!(%error, "an unused call could not be closed");
        }
    });
}
