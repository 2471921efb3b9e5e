//! What all keepers share: programs, limits, egress, and which calls are open.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId, Digest};
use fcp_proto_core::object::{RevocationObject, RevocationScope};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::Now;
use fcp_state_machines::call::egress::EgressHandle;

use super::chronicle::{Account, Chronicle, Telling};
use super::revocation::{Footing, Verdict, verdict};
use super::{Limits, OffLimits};
use crate::egress::EgressClient;
use crate::sandbox::{CodeImages, Sandbox};

/// What all keepers share.
pub(super) struct Shared {
    pub(super) sandbox: Sandbox,
    pub(super) engine: PathBuf,
    pub(super) images: CodeImages,
    pub(super) limits: Limits,
    pub(super) off_limits: OffLimits,
    pub(super) clock: fn() -> Now,
    pub(super) egress: Mutex<EgressClient>,
    chronicle: Arc<dyn Chronicle>,
    entropy: Mutex<Entropy>,
    open: Mutex<Open>,
}

/// The open calls, and the revocations that a call decided before them might rest on.
#[derive(Default)]
struct Open {
    calls: BTreeMap<CallId, OpenCall>,
    revocations: VecDeque<(RevocationObject, u64)>,
    newest_seal: u64,
    /// Digests of revoked binaries, each with the head that first held the revocation.
    revoked_binaries: BTreeMap<Digest, u64>,
}

struct OpenCall {
    footing: Footing,
    handle: Option<(EgressHandle, EgressClient)>,
    /// Why it gets no handle any more.
    barred: Option<Barred>,
}

/// What a revocation overtakes, or a connector that is disabled takes along.
pub(super) struct Overtaken {
    /// The calls.
    pub(super) calls: Vec<(CallId, Footing)>,
    /// What egress must close.
    pub(super) handles: Vec<(EgressHandle, EgressClient)>,
}

/// Why a call may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barred {
    /// A revocation speaks of it.
    Revoked,
    /// A call of this name is open.
    Twice,
    /// Its connector was disabled.
    Disabled,
}

impl Barred {
    /// What the caller is told.
    pub(super) fn words(self) -> (Code, String) {
        let (code, message) = match self {
            Self::Revoked => (Code::TokenRevoked, "what the call rests on was revoked after its decision"),
            Self::Twice => (Code::CallInProgress, "a call of this name is open"),
            Self::Disabled => {
                (Code::ConnectorDisabled, "an operator disabled or removed it before the call began")
            }
        };
        (code, message.to_owned())
    }
}

impl Shared {
    pub(super) fn new(config: super::RunnerConfig) -> Self {
        Self {
            sandbox: config.sandbox,
            engine: config.engine,
            images: CodeImages::default(),
            limits: config.limits,
            off_limits: config.off_limits,
            clock: config.clock,
            egress: Mutex::new(config.egress),
            chronicle: config.chronicle,
            entropy: Mutex::new(config.entropy),
            open: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> Now {
        (self.clock)()
    }

    pub(super) fn egress(&self) -> EgressClient {
        lock(&self.egress).clone()
    }

    pub(super) fn entropy(&self) -> Entropy {
        lock(&self.entropy).derive()
    }

    pub(super) fn random<const N: usize>(&self) -> [u8; N] {
        lock(&self.entropy).bytes()
    }

    /// Tells the audit; done once it is durable.
    pub(super) fn tell(&self, account: Account) -> Telling {
        self.chronicle.tell(account)
    }

    /// Tells the audit of what has happened already and waits for nothing.
    pub(super) fn note(&self, account: Account) {
        let (kind, telling) = (account.kind, self.chronicle.tell(account));
        tokio::spawn(async move {
            // It happened, told or not. A node that cannot store it takes no more calls until it is started again.
            if let Err((code, message)) = telling.await {
                tracing::error!(%kind, %code, message, "the audit could not be told");
            }
        });
    }

    /// The newest revocation head that is known here.
    pub(super) fn newest_seal(&self) -> u64 {
        lock(&self.open).newest_seal
    }

    /// Enters a call, unless a revocation that its decision did not see speaks of it.
    pub(super) fn enter(&self, call: CallId, footing: Footing) -> Result<(), Barred> {
        let mut open = lock(&self.open);
        let overtaken = open.revocations.iter().any(|(revocation, sequence)| {
            footing.seal < *sequence && verdict(&footing, revocation) == Verdict::Falls
        });
        if overtaken {
            return Err(Barred::Revoked);
        }
        if open.calls.contains_key(&call) {
            return Err(Barred::Twice);
        }
        open.newest_seal = open.newest_seal.max(footing.seal);
        if footing.token.is_some() {
            // A decision at that head or later found it in force again.
            let restored = |digest: &Digest| footing.binaries.contains(digest);
            open.revoked_binaries.retain(|digest, sequence| footing.seal < *sequence || !restored(digest));
        }
        open.calls.insert(call, OpenCall { footing, handle: None, barred: None });
        Ok(())
    }

    /// Names the handle that an entered call will use, unless it is to end.
    pub(super) fn give_handle(
        &self,
        call: CallId,
        handle: EgressHandle,
        client: &EgressClient,
    ) -> Result<(), Barred> {
        let mut open = lock(&self.open);
        let known = open.calls.get_mut(&call).ok_or(Barred::Revoked)?;
        match known.barred {
            Some(barred) => Err(barred),
            None => {
                known.handle = Some((handle, client.clone()));
                Ok(())
            }
        }
    }

    /// Whether a binary was revoked, and no decision since then found it in force.
    pub(super) fn is_revoked(&self, binaries: &[Digest; 3]) -> bool {
        let open = lock(&self.open);
        binaries.iter().any(|digest| open.revoked_binaries.contains_key(digest))
    }

    /// Forgets a call that has ended and whose handle is closed.
    pub(super) fn leave(&self, call: CallId) {
        lock(&self.open).calls.remove(&call);
    }

    /// Marks what a revocation overtakes: those calls get no handle any more.
    pub(super) fn revoke(&self, revocation: &RevocationObject, sequence: u64) -> Overtaken {
        let mut open = lock(&self.open);
        open.newest_seal = open.newest_seal.max(sequence);
        if open.revocations.len() >= MAX_REMEMBERED {
            open.revocations.pop_front();
        }
        open.revocations.push_back((revocation.clone(), sequence));
        if revocation.scope == RevocationScope::ConnectorBinary {
            let digests = revocation.targets.iter().filter_map(|target| target.0.as_slice().try_into().ok());
            open.revoked_binaries.extend(digests.map(|bytes| (Digest::from_bytes(bytes), sequence)));
        }
        open.bar(Barred::Revoked, |footing| {
            footing.seal < sequence && verdict(footing, revocation) == Verdict::Falls
        })
    }

    /// Marks the open calls of a connector that is disabled: they get no handle any more.
    pub(super) fn disable(&self, connector: &ConnectorId) -> Overtaken {
        lock(&self.open).bar(Barred::Disabled, |footing| footing.connector == *connector)
    }
}

impl Open {
    /// Marks the calls whose footing falls.
    fn bar(&mut self, why: Barred, falls: impl Fn(&Footing) -> bool) -> Overtaken {
        let mut overtaken = Overtaken { calls: Vec::new(), handles: Vec::new() };
        for (id, call) in self.calls.iter_mut().filter(|(_, call)| falls(&call.footing)) {
            call.barred.get_or_insert(why);
            overtaken.calls.push((*id, call.footing.clone()));
            overtaken.handles.extend(call.handle.clone());
        }
        overtaken
    }
}

/// Locks; a poisoned lock is taken over, since no critical section here leaves a value half-changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Revocations kept for calls that were decided before them and arrive after. Chosen: such a call is under way for
/// milliseconds.
const MAX_REMEMBERED: usize = 4096;
