//! From stored keys and a journal to a node that serves; and, once, the ceremony that makes both.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, KeyId, NodeId};
use fcp_proto_core::object::{AnyObject, StoredObject};
use fcp_runtime_tokio::drive::{self, Outcomes, Parts, clock, entropy};
use fcp_state_machines::node::{Credential, Node, NodeConfig, ReplayError};
use fcp_state_machines::trust::ceremony::HomeFacts;

use super::StartError;
use super::app::{App, Serving};
use super::chronicle::Chronicle;
use super::manifests::Manifests;
use super::packages;
use super::ports::HostPorts;
use super::runner::Runner;
use super::vault_secrets::give_out_untold;
use crate::ceremony::{self, CeremonyFailure, Founder};
use crate::home::{Home, HomeError, HomeState, lost};
use crate::keys::{KeyStore, file_of_zone, named_keys};
use crate::vault::{CredentialKey, Vault};

/// The variable whose value `1` vouches for the clock of this start, however far ahead of the last run it is.
//= docs/spec/home.md#the-clock
pub const ACCEPT_CLOCK_VARIABLE: &str = "FCP_ACCEPT_CLOCK";

/// Makes the runner of a node that is about to serve.
pub type MakeRunner =
    Box<dyn Fn(&App, &Arc<Vault>, Outcomes) -> Result<Arc<dyn Runner>, StartError> + Send + Sync>;

/// Begins to serve if the home is made; goes on with a ceremony that was confirmed and interrupted.
///
/// # Errors
/// What is wrong with the home.
pub(super) fn resume(app: &Arc<App>) -> Result<(), StartError> {
    match app.home.state().map_err(StartError::Home)? {
        //= docs/spec/home.md#hometoml
        HomeState::New if lost::has_records(&app.storage).map_err(StartError::Storage)? => {
            Err(StartError::Home(lost::error(app.home.path(), &app.storage)))
        }
        HomeState::New => Ok(()),
        HomeState::Made(facts) => serve(app, &facts),
        HomeState::HalfMade => {
            let owner = stored_owner(app)?;
            let mut founder = Founding::new(app);
            ceremony::resume(&app.home, owner, &mut founder).map_err(StartError::Ceremony)?;
            if app.serving.get().is_none() {
                let facts = app.home.facts().map_err(StartError::Home)?;
                let facts = facts.ok_or(StartError::Ceremony(CeremonyFailure::OtherHome))?;
                serve(app, &facts)?;
            }
            Ok(())
        }
    }
}

/// Gives what a ceremony made to a node that is opened on the keys it stored.
pub struct Founding<'a> {
    app: &'a Arc<App>,
}

impl<'a> Founding<'a> {
    /// For a node that will be part of `app`.
    pub const fn new(app: &'a Arc<App>) -> Self {
        Self { app }
    }
}

impl Founder for Founding<'_> {
    fn found(&mut self, facts: &HomeFacts, objects: Vec<AnyObject>) -> Result<(), CeremonyFailure> {
        let failed = |code: Code, reason: String| CeremonyFailure::Founding { code, reason };
        let node =
            open_node(self.app, &facts.node).map_err(|error| failed(error.code(), error.to_string()))?;
        match node.0.authority().owner() {
            Some(owner) if owner.public_key.key_id() == facts.owner_key => {
                return publish(self.app, node).map_err(|error| failed(error.code(), error.to_string()));
            }
            Some(_) => return Err(failed(Code::CeremonyDone, Code::CeremonyDone.meaning().into())),
            None => {}
        }
        let serving = drive(self.app, node).map_err(|error| failed(error.code(), error.to_string()))?;
        let founded = tokio::runtime::Handle::current().block_on(serving.node.found(objects));
        founded.map_err(|failure| failed(failure.code, failure.message))?;
        self.app
            .serving
            .set(serving)
            .map_err(|_| failed(Code::CeremonyDone, "the node serves already".into()))
    }
}

/// Opens the node of a home that is made, and begins to serve.
fn serve(app: &Arc<App>, facts: &HomeFacts) -> Result<(), StartError> {
    let node = open_node(app, &facts.node)?;
    let owner = node.0.authority().owner().map(|owner| owner.public_key.key_id());
    if owner != Some(facts.owner_key) {
        return Err(StartError::OtherOwner);
    }
    node.1.remove_others(&named_keys(&node.0)).map_err(StartError::Keys)?;
    remove_unrecorded(app, &node.0)?;
    publish(app, node)
}

/// Removes the packages of installations that were refused, or that ended before their record was durable, or that were
/// taken back.
//= docs/spec/package.md#kept-packages
fn remove_unrecorded(app: &App, node: &Node) -> Result<(), StartError> {
    let recorded: BTreeSet<_> = node.catalog().iter().map(|it| it.install.package_digest).collect();
    packages::remove_others(&app.home, &recorded).map_err(StartError::Home)
}

fn publish(app: &Arc<App>, node: Opened) -> Result<(), StartError> {
    let serving = drive(app, node)?;
    app.serving.set(serving).map_err(|_| StartError::OtherOwner)
}

/// A node that read its journal, and what came with its keys.
struct Opened(Node, KeyStore, Arc<Vault>);

fn open_node(app: &Arc<App>, node_id: &NodeId) -> Result<Opened, StartError> {
    let keys = KeyStore::open(&app.home, app.credentials.as_deref()).map_err(StartError::Keys)?;
    let loaded = keys.load_node_keys().map_err(StartError::Keys)?;
    let fresh = || entropy::fresh().map_err(StartError::Entropy);
    let vault = Vault::open(&app.home, loaded.vault, fresh()?).map_err(StartError::Vault)?;
    let mut node = Node::new(NodeConfig {
        node_id: node_id.clone(),
        keys: loaded.node,
        session_secs: app.config().sessions.session_secs,
        limits: app.config().limits.of_calls(),
        clock_confirmed: std::env::var_os(ACCEPT_CLOCK_VARIABLE).is_some_and(|value| value == "1"),
        entropy: fresh()?,
    });
    replay(app, &mut node)?;
    keys.take_attested(&mut node).map_err(StartError::Keys)?;
    let records =
        node.catalog().credentials().map(|credential| (key_of(credential), credential.record.version));
    vault.reconcile(&records.collect(), clock::now().unix).map_err(StartError::Vault)?;
    Ok(Opened(node, keys, Arc::new(vault)))
}

/// Where a credential lies in the vault.
pub(crate) fn key_of(credential: &Credential) -> CredentialKey {
    CredentialKey {
        zone: credential.zone.clone(),
        connector: credential.record.connector.clone(),
        name: credential.record.credential.clone(),
    }
}

/// Gives the journal to the node and the indexes.
fn replay(app: &App, node: &mut Node) -> Result<(), StartError> {
    let now = clock::now();
    let mut records = app.records.lock().unwrap_or_else(PoisonError::into_inner);
    let mut count = 0_u64;
    for replayed in app.storage.batches().map_err(StartError::Storage)? {
        let batch = replayed.map_err(StartError::Storage)?.batch;
        for record in &batch.records {
            let replayed = node.replay(record.id, &record.bytes, now);
            replayed.map_err(|error| not_replayed(&app.home, error))?;
            count += 1;
        }
        let objects = super::records::read_batch(&batch);
        // An act that was durable and not answered for is tried again, maybe in the same second.
        if let Some(at) = objects.iter().map(|(_, object)| object.header().created_at).max() {
            app.acts.are_over(at);
        }
        records.absorb(&objects);
    }
    tracing::info!(records = count, "the journal was read");
    Ok(())
}

/// Why the journal is not taken. A key that is gone is no damage of the journal: it is named by its file.
//= docs/spec/home.md#keys
fn not_replayed(home: &Home, error: ReplayError) -> StartError {
    if let ReplayError::NoKey { zone, key, .. } = &error {
        return StartError::Keys(HomeError::FileMissing(file_of_zone(home, zone, *key)).into());
    }
    StartError::Replay(error)
}

/// Starts to drive the node.
fn drive(app: &Arc<App>, opened: Opened) -> Result<Serving, StartError> {
    let Opened(node, keys, vault) = opened;
    let node_id = node.node_id().clone();
    let (outcomes, queue) = drive::outcomes();
    let runner = (app.make_runner)(app, &vault, outcomes)?;
    let installed: Vec<ConnectorId> =
        node.catalog().iter().map(|installed| installed.install.connector.clone()).collect();
    for connector in &installed {
        app.schemas.refresh(&node, connector);
        runner.reconfigured(&node, connector);
    }
    let manifests = Manifests::new(app.home.manifests());
    manifests.refresh_all(&node);
    let ports = HostPorts {
        records: Arc::clone(&app.records),
        schemas: app.schemas.clone(),
        runner: Arc::clone(&runner),
        manifests,
        stopped: 0,
    };
    let schema = Box::new(app.schemas.clone());
    let node =
        drive::start(Parts { node, storage: Arc::clone(&app.storage), ports, schema, outcomes: queue });
    app.chronicle.begin(node_id.clone(), node.clone());
    tokio::spawn(give_out_untold(Arc::clone(&vault), Arc::<Chronicle>::clone(&app.chronicle)));
    Ok(Serving { node, node_id, keys, vault, credentials: tokio::sync::Mutex::default(), runner })
}

/// The owner that the journal knows, read without the keys that a node needs.
fn stored_owner(app: &App) -> Result<Option<KeyId>, StartError> {
    for replayed in app.storage.batches().map_err(StartError::Storage)? {
        for record in replayed.map_err(StartError::Storage)?.batch.records {
            let opened = StoredObject::from_bytes(&record.bytes).and_then(|stored| AnyObject::open(&stored));
            if let Ok(AnyObject::OwnerRoot(root)) = opened {
                return Ok(Some(root.body.fields.public_key.key_id()));
            }
        }
    }
    Ok(None)
}
