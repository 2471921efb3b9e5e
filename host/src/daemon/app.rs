//! What every request can reach.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use fcp_api::types::{ErrorBody, Warning};
use fcp_proto_core::crypto::hash::Hasher;
use fcp_proto_core::crypto::proof::ChannelBinding;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{Digest, NodeId, ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::object::{AnyObject, StoredObject};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_runtime_tokio::drive::{self, clock};
use fcp_runtime_tokio::storage::Storage;
use fcp_state_machines::node::{Answer, Failure, Node, Request, SessionId};
use fcp_state_machines::trust::ceremony::Ceremony;
use tokio::sync::watch;

use super::acts::Acts;
use super::challenges::Challenges;
use super::chronicle::Chronicle;
use super::founding::MakeRunner;
use super::operators::Operators;
use super::records::Records;
use super::runner::Runner;
use super::schemas::Schemas;
use super::tries::Tries;
use crate::api::Versions;
use crate::connectors::OffLimits;
use crate::home::{Config, Home};
use crate::keys::KeyStore;
use crate::vault::Vault;

/// What every request can reach.
pub struct App {
    /// The home.
    pub home: Home,
    /// The settings in force.
    pub config: RwLock<Arc<Config>>,
    /// Since when the daemon runs.
    pub started_at: UnixTime,
    /// The journal.
    pub storage: Arc<Storage>,
    /// The indexes over it.
    pub records: Arc<Mutex<Records>>,
    /// The compiled schemas.
    pub schemas: Schemas,
    /// Everything that exists only once the home is made.
    pub serving: OnceLock<Serving>,
    /// A ceremony whose phrase was shown.
    pub ceremony: tokio::sync::Mutex<Option<Underway>>,
    /// Challenges that wait.
    pub challenges: Challenges,
    /// What was signed in this second.
    pub acts: Acts,
    /// Operators whose keys are open.
    pub operators: Operators,
    /// Tries at passphrases.
    pub tries: Tries,
    /// Open sessions by the names that may be shown.
    pub sessions: Mutex<BTreeMap<[u8; 16], SessionEntry>>,
    /// Binds sessions to this start of the daemon and to whoever connects.
    pub instance: [u8; 32],
    /// Where systemd puts credentials, if it does.
    pub credentials: Option<PathBuf>,
    /// What was found at the start that the owner should know.
    pub warnings: Mutex<Vec<Warning>>,
    /// Why the settings that were read last are not in force, if they are not.
    pub refused_settings: Mutex<Option<Warning>>,
    /// Held by who verifies the audit chains: one at a time.
    pub verifying: tokio::sync::Mutex<()>,
    /// Held while a package is kept and its record made: whoever removes a refused one must not take another's.
    pub installing: tokio::sync::Mutex<()>,
    /// Which answers were given, and since when.
    pub versions: Versions,
    /// Whether the daemon stops.
    pub draining: watch::Sender<bool>,
    /// The operator who asked for the stop; the system did if nobody is named.
    pub stopped_by: OnceLock<PrincipalId>,
    /// The digest of what admits a caller over TCP; nobody is admitted without.
    pub admission: Option<Digest>,
    /// Makes the runner once there is a node.
    pub make_runner: MakeRunner,
    /// Tells the audit chains what the runner sees.
    pub chronicle: Arc<Chronicle>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "App({})", self.home.path().display())
    }
}

/// A ceremony whose phrase was shown.
pub struct Underway {
    /// Names this beginning.
    pub id: [u8; 16],
    /// The machine.
    pub ceremony: Ceremony,
}

/// A session, as the host keeps it.
#[derive(Clone, Debug)]
pub struct SessionEntry {
    /// Its secret name.
    pub id: SessionId,
    /// Whose.
    pub principal: PrincipalId,
    /// Until when, which may be earlier than the node says because its agent wished so.
    pub expires_at: UnixTime,
    /// The connection that opened it, with which it ends.
    pub connection: u64,
}

/// Everything that exists only once the home is made.
pub struct Serving {
    /// The node.
    pub node: drive::Handle,
    /// Its name.
    pub node_id: NodeId,
    /// The stored keys.
    pub keys: KeyStore,
    /// The sealed credentials.
    pub vault: Arc<Vault>,
    /// Held from a secret's sealing until its record has put it in force or was refused, and over a removal: two changes
    /// at once would take each other for left over.
    pub credentials: tokio::sync::Mutex<()>,
    /// Who runs the connectors.
    pub runner: Arc<dyn Runner>,
}

impl App {
    /// The settings in force.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The indexes.
    pub fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sessions.
    pub fn sessions(&self) -> MutexGuard<'_, BTreeMap<[u8; 16], SessionEntry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        clock::now()
    }

    /// What exists only once the home is made.
    ///
    /// # Errors
    /// [`Code::CeremonyRequired`].
    pub fn serving(&self) -> Result<&Serving, ErrorBody> {
        self.serving.get().ok_or_else(|| ErrorBody::new(Code::CeremonyRequired))
    }

    /// Reads the node's state.
    ///
    /// # Errors
    /// [`Code::CeremonyRequired`] before there is a node, [`Code::Draining`] once it stopped.
    pub async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Node, Now) -> T + Send + 'static,
    ) -> Result<T, ErrorBody> {
        self.serving()?.node.query(read).await.map_err(|_| ErrorBody::new(Code::Draining))
    }

    /// Asks the node.
    ///
    /// # Errors
    /// What the node refuses.
    pub async fn ask(&self, request: Request) -> Result<Answer, Failure> {
        match self.serving.get() {
            Some(serving) => serving.node.request(request).await,
            None => Err(Failure::new(Code::CeremonyRequired, Code::CeremonyRequired.meaning())),
        }
    }

    /// An object, read and opened.
    ///
    /// # Errors
    /// [`Code::NotFound`], or [`Code::StoreCorrupt`] for one that cannot be read back.
    pub async fn load(&self, id: ObjectId) -> Result<AnyObject, ErrorBody> {
        let storage = Arc::clone(&self.storage);
        let loaded = tokio::task::spawn_blocking(move || storage.load(&id)).await;
        let loaded = loaded.map_err(|error| ErrorBody::new(Code::Internal).because(error.to_string()))?;
        let record = loaded.map_err(|error| ErrorBody::new(error.code()).because(error.to_string()))?;
        let record = record
            .ok_or_else(|| ErrorBody::new(Code::NotFound).because(format!("there is no object {id}")))?;
        StoredObject::from_bytes(&record.bytes)
            .and_then(|stored| AnyObject::open(&stored))
            .map_err(|error| ErrorBody::new(Code::StoreCorrupt).because(format!("{id}: {error}")))
    }

    /// What binds a session to whoever connects: a value of this start of the daemon and of the peer's user.
    //= docs/spec/sessions.md#the-connections-binding
    pub fn binding(&self, uid: Option<u32>) -> ChannelBinding {
        binding(&self.instance, uid)
    }

    /// Whether a text admits a caller over TCP; looked at by its digest, so that timing tells nothing.
    pub fn admits(&self, text: &str) -> bool {
        self.admission == Some(fcp_proto_core::crypto::hash::digest(text.as_bytes()))
    }

    /// The folder of the programs that the daemon starts: that of its own.
    pub fn programs(&self) -> PathBuf {
        let own = std::env::current_exe().ok();
        own.and_then(|own| own.parent().map(PathBuf::from)).unwrap_or_default()
    }

    /// What no connector is given: the home, what its settings name outside it, and the programs.
    //= docs/spec/connectors.md#walls
    pub fn off_limits(&self) -> OffLimits {
        let listen = self.config().listen.clone();
        let outside = [listen.socket, listen.tcp_token_file, self.credentials.clone()];
        OffLimits::new(&self.home, self.programs()).and(outside.into_iter().flatten())
    }

    /// Whether the daemon stops.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}

/// The zone whose chain tells of the node itself.
pub fn owner_zone() -> ZoneId {
    ZoneId::new("z:owner").unwrap_or_else(|_| unreachable!("a well-known zone is well-formed"))
}

fn binding(instance: &[u8; 32], uid: Option<u32>) -> ChannelBinding {
    let hasher = Hasher::keyed(instance, "fcp.channel-binding/1");
    match uid {
        Some(uid) => hasher.with_framed(b"unix").with(&uid.to_le_bytes()).finish(),
        None => hasher.with_framed(b"tcp").finish(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    /// Another implementation makes the same bindings.
    #[test]
    fn bindings_are_those_of_the_vectors() {
        let file = include_str!("../../../vectors/node/binding.json");
        let file: Value = serde_json::from_str(file).expect("JSON");
        for case in file["cases"].as_array().expect("cases") {
            let bytes = |name: &str| -> [u8; 32] {
                hex::decode(case[name].as_str().expect("a text")).expect("hex").try_into().expect("32 bytes")
            };
            let uid = case["uid"].as_u64().map(|uid| u32::try_from(uid).expect("a user id"));
            assert_eq!(super::binding(&bytes("instance"), uid), bytes("binding"), "{case}");
        }
    }
}
