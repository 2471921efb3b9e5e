//! Running connectors: from an authorized call to its outcome. Source: docs/spec/connectors.md.
//!
//! ```text
//!           Dispatch, Launch                    stdio (docs/spec/stdio.md)
//!  daemon ──────────────────► Runner ─► keeper ────────────────────────────► process in its sandbox
//!         ◄────────────────── Outcome    │  one a (connector, zone)                   │ fd 3
//!                                        └─ open, close: egress ◄─────────────────────┘
//! ```
//!
//! A keeper is a task that drives a `Supervisor`; the machine decides, the keeper does. What a connector says is read
//! strictly, and what it did is judged by what egress saw.

mod chronicle;
mod engine;
mod evidence;
mod keeper;
mod launch;
mod off_limits;
mod outputs;
mod process;
mod protocol;
mod revocation;
mod rules;
mod shared;
mod status;
mod walls;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, ZoneId};
use fcp_proto_core::object::{AuditEventKind, RevocationObject, RevocationScope, Usage};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::{Now, UnixTime};
use fcp_state_machines::call::egress::{EgressHandle, Scope};
use fcp_state_machines::call::supervisor;
use fcp_state_machines::node::{Dispatch, Outcome};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::egress::{ClientError, EgressClient, Identity, Strays};
use crate::home::Supervision;
use crate::sandbox::Sandbox;
pub use chronicle::{Account, Chronicle, Telling};
pub use engine::Engine;
use keeper::{Command, Keeper, NewCall};
pub use launch::{Installation, Launch, Opening, Program, Progress, SecretError, Secrets};
pub use off_limits::{Forbidden, OffLimits};
pub(crate) use outputs::compile as compile_schema;
pub use protocol::Violation;
use revocation::Footing;
use shared::{Barred, Overtaken, Shared, lock};
pub use status::{Exercised, HealthCheck, HealthReport, ProcessStatus, StateName, Trouble};
pub(crate) use walls::check_paths;

/// What a runner needs.
pub struct RunnerConfig {
    /// Starts processes.
    pub sandbox: Sandbox,
    /// The engine's program.
    pub engine: PathBuf,
    /// The egress process.
    pub egress: EgressClient,
    /// Reads both clocks.
    pub clock: fn() -> Now,
    /// Fresh randomness of the system.
    pub entropy: Entropy,
    /// Tells the audit chains.
    pub chronicle: Arc<dyn Chronicle>,
    /// Bounds.
    pub limits: Limits,
    /// What no connector is given.
    pub off_limits: OffLimits,
}

/// Bounds of every connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest output as canonical JSON, in bytes.
    pub max_output_bytes: usize,
    /// Largest request body of a connector, in bytes.
    pub max_request_bytes: u64,
    /// The size a file of a connector may grow to, in MiB.
    pub file_size_mib: u32,
    /// How processes are supervised; what a health check exercises, and how often, is the manifest's to say, and when
    /// they are started again if the owner does not.
    pub supervision: supervisor::Config,
    /// What the owner says of single connectors.
    pub supervised: Vec<Supervision>,
}

impl Default for Limits {
    /// The values of docs/spec/connectors.md#limits.
    fn default() -> Self {
        Self {
            max_output_bytes: 8 * 1024 * 1024,
            max_request_bytes: 16 * 1024 * 1024,
            file_size_mib: 4096,
            supervision: supervisor::Config::default(),
            supervised: Vec::new(),
        }
    }
}

/// Runs connectors. Clones share their processes; when the last is dropped, the processes end.
#[derive(Clone)]
pub struct Runner(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    keepers: Mutex<Keepers>,
}

/// One keeper a connector and zone; nothing once the runner is shut down.
type Keepers = Option<BTreeMap<(ConnectorId, ZoneId), mpsc::UnboundedSender<Command>>>;

impl Runner {
    /// A runner without processes; needs a running tokio runtime.
    pub fn new(config: RunnerConfig) -> Self {
        let keepers = Mutex::new(Some(BTreeMap::new()));
        Self(Arc::new(Inner { shared: Arc::new(Shared::new(config)), keepers }))
    }

    /// Makes a call. The call is entered before this returns, so that a revocation that follows finds it; the future
    /// waits for the outcome, and the call goes on if the future is dropped.
    pub fn dispatch(
        &self,
        dispatch: Dispatch,
        launch: Launch,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let entered = self.enter(dispatch, launch);
        async move {
            match entered {
                Err((code, message)) => Outcome::NotDelivered { code, message },
                Ok(outcome) => outcome.await.unwrap_or_else(|_| lost()),
            }
        }
    }

    fn enter(
        &self,
        dispatch: Dispatch,
        launch: Launch,
    ) -> Result<oneshot::Receiver<Outcome>, (Code, String)> {
        let authorized = &dispatch.authorized;
        let installation = &launch.installation;
        //= docs/spec/connectors.md#keeper
        if installation.code_digest != *authorized.code_digest()
            || installation.manifest.interface_hash() != *authorized.interface_hash()
            || installation.manifest.connector.id != *authorized.connector()
        {
            let message = "what is installed is no longer what the call was decided for";
            return Err((Code::ConnectorUnavailable, message.to_owned()));
        }
        let footing = Footing::of(&dispatch, &launch);
        self.0.shared.enter(dispatch.call_id, footing).map_err(Barred::words)?;
        let started = self.0.shared.now().mono;
        let silence = u64::from(installation.manifest.sandbox.wall_clock_ms);
        let allowed = Duration::from_millis(dispatch.timeout_ms.min(silence));
        let (reply, outcome) = oneshot::channel();
        let (connector, zone) = (authorized.connector().clone(), authorized.zone().clone());
        let deadline = started.saturating_add(allowed);
        let call_id = dispatch.call_id;
        let call = NewCall { dispatch, launch, started, deadline, reply };
        if self.tell(Identity { connector, zone }, Command::Call(Box::new(call))) {
            Ok(outcome)
        } else {
            self.0.shared.leave(call_id);
            Err((Code::Draining, "the node stops".to_owned()))
        }
    }

    /// Ends a call: the connector is told, and ended if it does not listen. The call's outcome says what came of it.
    pub fn cancel(&self, call: CallId) {
        self.tell_all(|| Command::End(call, Code::Cancelled));
    }

    /// Ends what rests on what was revoked. When this returns, egress has closed the calls in question, and the
    /// processes of a revoked connector are gone. `sequence` is the number of the revocation head that first holds the
    /// revocation: calls that were decided at that head or later are not touched.
    pub async fn revoked(&self, revocation: &RevocationObject, sequence: u64) {
        let Overtaken { calls, handles } = self.0.shared.revoke(revocation, sequence);
        close(handles).await;
        let code = code_of(revocation.scope);
        for (call, footing) in &calls {
            self.tell_known(&footing.connector, &footing.zone, Command::End(*call, code));
        }
        if revocation.scope == RevocationScope::ConnectorBinary {
            self.kill_revoked(revocation).await;
        }
    }

    /// Kills the processes that run a revoked binary, and waits until they are gone.
    async fn kill_revoked(&self, revocation: &RevocationObject) {
        let mut gone = Vec::new();
        for keeper in self.all() {
            let (reply, answer) = oneshot::channel();
            if keeper.send(Command::Revoke(revocation.clone(), reply)).is_ok() {
                gone.push(answer);
            }
        }
        for answer in gone {
            // A keeper that ended has no process.
            if timeout(KILL_TIME, answer).await.is_err() {
                tracing::error!("the process of a revoked connector is not gone");
            }
        }
    }

    /// Ends the open calls of a connector and its processes. The calls are told before this returns, so that a call of
    /// the connector enabled again is not among them; the future waits until egress has closed them and the processes
    /// are gone.
    //= docs/spec/connectors.md#disabling
    pub fn disabled(&self, connector: &ConnectorId) -> impl Future<Output = ()> + Send + 'static {
        let Overtaken { calls, handles } = self.0.shared.disable(connector);
        let calls: Vec<CallId> = calls.into_iter().map(|(call, _)| call).collect();
        let mut gone = Vec::new();
        for ((id, _), keeper) in lock(&self.0.keepers).iter().flatten() {
            let (reply, answer) = oneshot::channel();
            // A keeper that ended has no calls.
            if id == connector && keeper.send(Command::Disable(calls.clone(), reply)).is_ok() {
                gone.push(answer);
            }
        }
        async move {
            close(handles).await;
            for answer in gone {
                // A keeper that ended has no process. Bounded by the supervisor, which kills what does not listen.
                answer.await.ok();
            }
        }
    }

    /// What is installed has changed: the connector's processes finish their calls and are replaced.
    pub fn reconfigured(&self, connector: &ConnectorId) {
        let keepers = lock(&self.0.keepers);
        for ((id, _), keeper) in keepers.iter().flatten() {
            if id == connector {
                // A keeper that ended has nothing to replace.
                keeper.send(Command::Replace).ok();
            }
        }
    }

    /// There is a new egress process: the connectors' processes, which the old one served, are replaced.
    pub fn egress_replaced(&self, client: EgressClient) {
        *lock(&self.0.shared.egress) = client;
        self.tell_all(|| Command::Replace);
    }

    /// Exercises a connector, starting its process if there is none.
    pub async fn health(&self, zone: &ZoneId, launch: Launch) -> HealthCheck {
        let connector = launch.installation.manifest.connector.id.clone();
        let (reply, answer) = oneshot::channel();
        self.tell(Identity { connector, zone: zone.clone() }, Command::Health(launch, reply));
        answer.await.unwrap_or_else(|_| HealthCheck {
            report: HealthReport::Failed,
            exercised: Exercised::Nothing,
            detail: Some("the node stops".to_owned()),
            checked_at: self.unix(),
        })
    }

    /// Tells of the requests that named no call of their connector, counted since this was asked last.
    //= docs/spec/audit.md#connectors
    pub async fn tell_strays(&self) {
        // Egress that is gone has forgotten them, and everything that they could have reached.
        for Strays { identity, requests } in self.0.shared.egress().strays().await.unwrap_or_default() {
            self.0.shared.note(Account {
                zone: identity.zone,
                kind: AuditEventKind::EgressDenied,
                connector: identity.connector,
                operation: None,
                call: None,
                code: Some(Code::EgressHandleInvalid),
                detail: format!("{requests} refused: no open call of the connector was named"),
            });
        }
    }

    /// How every process is.
    pub async fn status(&self) -> Vec<ProcessStatus> {
        let mut statuses = Vec::new();
        for keeper in self.all() {
            let (reply, answer) = oneshot::channel();
            // A keeper that ended has nothing to say.
            if keeper.send(Command::Status(reply)).is_ok()
                && let Ok(status) = answer.await
            {
                statuses.push(status);
            }
        }
        statuses
    }

    /// Lets the calls of all processes finish, ends the processes, and takes no call any more. Bounded by the grace of
    /// the supervisor's configuration.
    pub async fn shutdown(&self) {
        let keepers = lock(&self.0.keepers).take();
        let mut gone = Vec::new();
        for keeper in keepers.into_iter().flatten().map(|(_, keeper)| keeper) {
            let (reply, answer) = oneshot::channel();
            if keeper.send(Command::Shutdown(reply)).is_ok() {
                gone.push((keeper, answer));
            }
        }
        for (_keeper, answer) in gone {
            // A keeper that ended has no process.
            answer.await.ok();
        }
    }

    /// Tells the keeper of a connector in a zone, making it if there is none. False once the runner is shut down.
    fn tell(&self, identity: Identity, command: Command) -> bool {
        let mut keepers = lock(&self.0.keepers);
        let Some(keepers) = keepers.as_mut() else { return false };
        let key = (identity.connector.clone(), identity.zone.clone());
        let keeper =
            keepers.entry(key).or_insert_with(|| Keeper::spawn(Arc::clone(&self.0.shared), identity));
        keeper.send(command).is_ok()
    }

    fn tell_known(&self, connector: &ConnectorId, zone: &ZoneId, command: Command) {
        let keepers = lock(&self.0.keepers);
        let key = (connector.clone(), zone.clone());
        if let Some(keeper) = keepers.as_ref().and_then(|keepers| keepers.get(&key)) {
            // A keeper that ended has no calls.
            keeper.send(command).ok();
        }
    }

    fn tell_all(&self, command: impl Fn() -> Command) {
        for keeper in self.all() {
            // A keeper that ended has no calls.
            keeper.send(command()).ok();
        }
    }

    fn all(&self) -> Vec<mpsc::UnboundedSender<Command>> {
        lock(&self.0.keepers).iter().flatten().map(|(_, keeper)| keeper.clone()).collect()
    }

    fn unix(&self) -> UnixTime {
        self.0.shared.now().unix
    }
}

/// Has egress end open calls, and waits until their requests have let go of their connections.
async fn close(handles: Vec<(EgressHandle, EgressClient)>) {
    let closing: Vec<_> = handles
        .into_iter()
        .map(|(handle, client)| {
            tokio::spawn(async move { client.revoke(Scope::Handle(handle), u64::MAX).await })
        })
        .collect();
    for closed in closing {
        match closed.await {
            // A process that is gone has closed everything.
            Ok(Ok(_) | Err(ClientError::Gone)) => {}
            Ok(Err(error)) => tracing::error!(%error, "egress did not close a call"),
            Err(error) => tracing::error!(%error, "closing a call failed"),
        }
    }
}

/// The outcome of a call whose keeper is gone. What it asked was not counted, so it counts as one request.
fn lost() -> Outcome {
    let usage = Usage { requests: 1, bytes_sent: 0, bytes_received: 0, duration_ms: 0 };
    let message = "the runner was dropped while the call was open".to_owned();
    Outcome::Unknown { code: Code::OutcomeUnknown, message, usage }
}

/// What a call that rests on something revoked is told.
const fn code_of(scope: RevocationScope) -> Code {
    match scope {
        RevocationScope::Capability => Code::TokenRevoked,
        RevocationScope::IssuerKey => Code::IssuerKeyRevoked,
        RevocationScope::NodeAttestation => Code::NodeRevoked,
        RevocationScope::ZoneKey => Code::ZoneKeyRevoked,
        RevocationScope::ConnectorBinary => Code::ConnectorRevoked,
    }
}

/// For the end of a killed process. Chosen: the supervisor repeats the kill after as long.
const KILL_TIME: Duration = Duration::from_secs(5);
