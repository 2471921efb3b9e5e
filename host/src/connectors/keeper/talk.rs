//! What a process says, and what the keeper makes of it.

use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::CallId;
use fcp_proto_core::manifest::Runtime;
use fcp_proto_core::object::AuditEventKind;
use fcp_state_machines::call::supervisor::{ExitStatus, Input, Process, State};

use super::calls::{Entry, Stage};
use super::finish::Body;
use super::{Keeper, Pending, Talk};
use crate::connectors::chronicle::Account;
use crate::connectors::launch::Progress;
use crate::connectors::process::Event;
use crate::connectors::protocol::{self, Failure, Incoming, Violation};
use crate::connectors::status::Trouble;
use crate::connectors::walls;
use crate::process_log;

impl Keeper {
    pub(super) fn on_event(&mut self, process: Process, event: Event) {
        let Some(run) = self.run.as_mut().filter(|run| run.talk.process == process) else { return };
        match event {
            Event::Spawned { report, launcher } => {
                run.talk.report = Some(report);
                run.talk.launcher = launcher;
                self.feed(Input::Spawned { process });
            }
            Event::SpawnFailed { error, message } => {
                run.trouble = Some(Trouble::Failed(message));
                run.link = None;
                self.feed(Input::SpawnFailed { process, error });
            }
            // After the first violation nothing is believed.
            Event::Said(_) if run.talk.violation.is_some() => {}
            Event::Said(message) => {
                if let Err(violation) = self.on_message(message) {
                    self.on_violation(violation);
                }
            }
            Event::Broke(violation) => self.on_violation(violation),
            Event::Exited { status, unwritten } => self.on_exited(process, status, &unwritten),
        }
    }

    /// The process broke the protocol: it is killed, and its calls end with that.
    fn on_violation(&mut self, violation: Violation) {
        let Some(run) = &mut self.run else { return };
        run.talk.violation.get_or_insert(violation);
        let trouble = format!("the connector broke the protocol: {violation}");
        tracing::warn!(connector = %self.identity.connector, zone = %self.identity.zone, "{trouble}");
        run.trouble = Some(Trouble::Failed(trouble));
        self.note(AuditEventKind::SecurityViolation, Code::ConnectorProtocol, violation.to_string());
        self.kill();
    }

    /// Tells the audit what the connector did.
    //= docs/spec/audit.md#connectors
    fn note(&self, kind: AuditEventKind, code: Code, detail: String) {
        let (zone, connector) = (self.identity.zone.clone(), self.identity.connector.clone());
        let code = Some(code);
        self.shared.note(Account { zone, kind, connector, operation: None, call: None, code, detail });
    }

    fn on_exited(&mut self, process: Process, status: ExitStatus, unwritten: &[CallId]) {
        let words = match status {
            ExitStatus::Code(code) => format!("the process ended with status {code}"),
            ExitStatus::Signal(signal) => format!("the process ended by signal {signal}"),
        };
        self.note_end(status, &words);
        if let Some(run) = &mut self.run {
            run.link = None;
            run.talk.launcher = None;
            if run.talk.violation.is_none() {
                run.trouble.get_or_insert(Trouble::Failed(words));
            }
        }
        let opening = |entry: &Entry| entry.stage == Stage::Opening;
        let mut untouched: Vec<CallId> = unwritten.to_vec();
        untouched.extend(self.calls.iter().filter(|(_, entry)| opening(entry)).map(|(id, _)| *id));
        for call in untouched {
            self.feed(Input::NotWritten { call });
        }
        self.lose_probes();
        self.feed(Input::Exited { process, status });
    }

    /// Tells the audit of an end that nobody planned; what it was killed for as a violation was told already.
    fn note_end(&self, status: ExitStatus, words: &str) {
        let Some(run) = &self.run else { return };
        let asked = matches!(run.supervisor.state(), State::Draining(_)) && status == ExitStatus::Code(0);
        if run.retirement.is_none() && run.talk.violation.is_none() && !asked {
            self.note(AuditEventKind::ConnectorStopped, Code::ConnectorUnavailable, words.to_owned());
        }
    }

    fn on_message(&mut self, message: Incoming) -> Result<(), Violation> {
        match message {
            Incoming::Answer { id, body } => self.on_answer(id, body),
            Incoming::Progress { call_id, message, chunk } => {
                self.on_progress(Progress { call_id, message, chunk })
            }
        }
    }

    fn on_answer(&mut self, id: u64, body: Result<Json, Failure>) -> Result<(), Violation> {
        let Some(run) = &mut self.run else { return Ok(()) };
        if run.talk.late.remove(&id) {
            tracing::debug!(connector = %self.identity.connector, id, "an answer came too late");
            return Ok(());
        }
        match run.talk.pending.remove(&id).ok_or(Violation::UnknownId)? {
            Pending::Initialize => self.on_initialized(body),
            Pending::Health(probe) => self.on_probed(probe, body),
            Pending::Call(call) => {
                let body = match body {
                    Ok(result) => Body::Output(protocol::invoked(result)?),
                    Err(failure) => Body::Error(failure),
                };
                if let Some(entry) = self.calls.get_mut(&call) {
                    entry.body = Some(body);
                }
                self.feed(Input::Answered { call });
                Ok(())
            }
            Pending::Shutdown => Ok(()),
        }
    }

    fn on_initialized(&mut self, body: Result<Json, Failure>) -> Result<(), Violation> {
        let Some(run) = &self.run else { return Ok(()) };
        let process = run.talk.process;
        let manifest = &run.installation.manifest;
        let trouble = match body {
            Err(failure) => Some(Trouble::Refused(self.refusal(&failure))),
            Ok(result) => {
                let answer = protocol::initialized(result)?;
                let (id, version) = (&manifest.connector.id, &manifest.connector.version);
                let fits = protocol::is_the_installed(&answer, id, version, manifest.interface_hash());
                (!fits).then(|| {
                    let lie = "it says that it is another connector than was installed";
                    self.note(AuditEventKind::SecurityViolation, Code::ConnectorProtocol, lie.to_owned());
                    Trouble::Failed(format!("the connector did not initialize: {lie}"))
                })
            }
        };
        let input = match trouble {
            None => Input::Initialized { process },
            Some(_) => Input::InitializeFailed { process },
        };
        if let Some(run) = &mut self.run {
            run.trouble = trouble;
        }
        self.feed(input);
        Ok(())
    }

    /// A failure in the host's words. Status and the words of a call that was not delivered have no label, so nothing
    /// that a connector or a service wrote may stand in them; the owner finds it in the log.
    //= docs/spec/connectors.md#evidence
    pub(super) fn heard(&self, failure: &Failure) -> String {
        let (connector, zone) = (&self.identity.connector, &self.identity.zone);
        let Failure { code, message, .. } = failure;
        tracing::warn!(%connector, %zone, %code, message, "what a connector says of itself");
        format!("{code}: {}", code.meaning().trim_end_matches('.'))
    }

    /// Why the connector did not begin. Its own words stand in it where it can only repeat what its owner knows: it was
    /// given no file, and no call was handed to it, so that its package and its configuration are all it has seen.
    //= docs/spec/connectors.md#a-connector-that-does-not-begin
    fn refusal(&self, failure: &Failure) -> String {
        let in_code = self.heard(failure);
        let apart = self.run.as_ref().is_some_and(|run| walls::is_without_files(&run.installation));
        if apart {
            let words = process_log::printable(failure.message.as_bytes());
            let words: String = words.chars().take(MAX_OWN_WORDS).collect();
            format!("the connector does not begin, and says {words:?} ({in_code})")
        } else {
            format!("the connector does not begin ({in_code}); its own words are in the daemon's log")
        }
    }

    fn on_progress(&mut self, progress: Progress) -> Result<(), Violation> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let Some(entry) = self.calls.get_mut(&progress.call_id) else {
            run.talk.stale += 1;
            let known =
                run.talk.recent.contains(&progress.call_id) || self.probes.contains_key(&progress.call_id);
            return match (known, run.talk.stale > MAX_STALE) {
                (false, _) => Err(Violation::UnknownCall),
                (true, true) => Err(Violation::Flood),
                (true, false) => Ok(()),
            };
        };
        if !matches!(entry.stage, Stage::Written(_)) {
            return Err(Violation::UnknownCall);
        }
        let text = progress.message.as_ref().map_or(0, String::len);
        entry.progress.0 += text + progress.chunk.as_ref().map_or(0, String::len);
        entry.progress.1 += 1;
        if entry.progress.0 > MAX_PROGRESS_BYTES || entry.progress.1 > MAX_PROGRESS_MESSAGES {
            return Err(Violation::Flood);
        }
        if let Some(listener) = &entry.call.launch.progress {
            // What the listener does not take in time is dropped: the output is whole without it.
            listener.try_send(progress).ok();
        }
        Ok(())
    }

    pub(super) fn send_initialize(&mut self) {
        let Some(id) = self.next_id() else { return };
        self.expect(id, Pending::Initialize);
        let Some(run) = &self.run else { return };
        let manifest = &run.installation.manifest;
        let source = match manifest.connector.runtime {
            Runtime::Declarative => std::str::from_utf8(manifest.source()).ok(),
            Runtime::Native => None,
        };
        let egress = manifest.operations.values().any(|operation| operation.network.is_some());
        let (connector, zone) = (&self.identity.connector, &self.identity.zone);
        let line = protocol::initialize(id, connector, zone, &run.installation.config, source, egress);
        self.write(None, line);
    }

    /// A new request's number.
    pub(super) fn next_id(&mut self) -> Option<u64> {
        let talk = &mut self.run.as_mut()?.talk;
        talk.next_id += 1;
        Some(talk.next_id)
    }

    /// Notes that an answer is due.
    pub(super) fn expect(&mut self, id: u64, what: Pending) {
        if let Some(run) = &mut self.run {
            run.talk.pending.insert(id, what);
        }
    }

    /// A new request, whose answer is due from now on.
    pub(super) fn request(&mut self, what: Pending, line: impl FnOnce(u64) -> Vec<u8>) -> Vec<u8> {
        let id = self.next_id().unwrap_or_default();
        self.expect(id, what);
        line(id)
    }

    /// Nobody waits for the answer to a call's request any more.
    pub(super) fn forget_request(&mut self, entry: &Entry) {
        let Some(run) = &mut self.run else { return };
        if let Stage::Written(id) = entry.stage {
            if run.talk.pending.remove(&id).is_some() {
                run.talk.late.insert(id);
            }
            run.talk.remember(entry.call.dispatch.call_id);
        }
    }
}

impl Talk {
    /// Remembers what ended a moment ago.
    pub(super) fn remember(&mut self, id: CallId) {
        if self.recent.len() >= MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(id);
    }
}

/// Bytes of one call's progress. Chosen: four of the longest lines.
const MAX_PROGRESS_BYTES: usize = 64 * 1024 * 1024;

/// Messages of one call's progress. Chosen: far above any listing a person would page through.
const MAX_PROGRESS_MESSAGES: usize = 100_000;

/// Characters of what a connector says of itself. Chosen: a sentence or two.
const MAX_OWN_WORDS: usize = 300;

/// Messages of progress that come after their call. Chosen: as many as a pipe holds.
const MAX_STALE: usize = 1_000;

/// Ended calls that are remembered. Chosen: four times what a process has at once.
const MAX_RECENT: usize = 256;
