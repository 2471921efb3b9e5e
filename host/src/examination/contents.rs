//! What the files of a home say: opened by what opens them for good, over files whose changes stay in memory.

use std::path::Path;
use std::sync::Arc;

use fcp_api::examination::{Finding, Look};
use fcp_api::types::WarningKind;
use fcp_proto_core::crypto::role;
use fcp_proto_core::crypto::secret::SymmetricKey;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::Digest;
use fcp_proto_core::manifest::Runtime;
use fcp_runtime_tokio::drive::{clock, entropy};
use fcp_runtime_tokio::storage::error::StorageError;
use fcp_runtime_tokio::storage::files::Files;
use fcp_runtime_tokio::storage::{Options, Recovered, Storage};
use fcp_state_machines::node::{Node, NodeConfig, NodeKeys};
use fcp_state_machines::trust::ceremony::HomeFacts;

use super::Examination;
use crate::connectors::Engine;
use crate::home::{Config, Home, HomeError, HomeState, IDLE_TABLE_REMEDY, lost};
use crate::keys::{
    CREDENTIALS_VARIABLE, KeyStore, KeyStoreError, LoadedKeys, is_stored, missing_of_people,
    missing_of_zones, restore_alone,
};
use crate::vault::{Vault, VaultError};
use crate::{api, daemon};

impl Examination {
    /// Looks at everything that the files say. A running daemon writes the journal, so it is not read then.
    pub(super) fn contents(&mut self, running: bool) {
        if !self.is_a_home() {
            return self.not_a_home();
        }
        let files: Arc<dyn Files> = Arc::clone(&self.files) as Arc<dyn Files>;
        let home = match Home::open_in(files, &self.path) {
            Ok(home) => Some(home),
            // The layout named it.
            Err(error) if is_of_layout(&error) => None,
            Err(error) => {
                self.wrong("home.toml", &error);
                None
            }
        };
        if let Some(home) = &home {
            self.settings(home);
        }
        if running {
            let look = Look::new("journal", Finding::Unknown, UNREAD);
            self.add(look.remedy("`fwc audit verify` has the daemon read it again"));
            return home.iter().for_each(|home| self.vault_beside_daemon(home));
        }
        let opened = self.journal();
        match (home, opened) {
            (Some(home), Some((storage, _))) => self.made(&home, &storage),
            (None, _) | (_, None) => {
                let look =
                    Look::new("keys", Finding::Unknown, "not opened: put right what is named above first");
                self.add(look);
            }
        }
    }

    fn not_a_home(&mut self) {
        let is_empty = std::fs::read_dir(&self.path).is_ok_and(|mut entries| entries.next().is_none());
        if is_empty {
            return self.ok("home.toml", "the folder is empty; `fwc up` makes a home of it");
        }
        self.wrong("home", &HomeError::NotAHome(self.path.clone()));
    }

    fn settings(&mut self, home: &Home) {
        let config = match home.config() {
            Ok(config) => config,
            Err(error) => return self.wrong("config.toml", &error),
        };
        self.ok("config.toml", "every setting is known and in its range");
        self.publishers();
        self.admission(home, &config);
    }

    fn publishers(&mut self) {
        let path = self.path.join("publishers.txt");
        match daemon::publishers_of(&self.path) {
            Err(why) => {
                let look = Look::problem("publishers.txt", Code::ConfigInvalid, why);
                let look = look.at(path.display()).why("no package can be installed");
                self.add(look.remedy("correct the line named"));
            }
            Ok(trusted) if !trusted.development.is_empty() => {
                let detail =
                    format!("{} development keys may sign for `install --dev`", trusted.development.len());
                let look = Look::new("publishers.txt", Finding::Warning, detail).at(path.display());
                let look = look.why("a development key lies in a plain file, beside the work that it signs");
                self.add(look.remedy("remove the lines that begin with `dev` once the work is done"));
            }
            Ok(_) => {}
        }
    }

    fn admission(&mut self, home: &Home, config: &Config) {
        match api::admission(home, config) {
            Ok(None) => {}
            Ok(Some(_)) => self.ok("admission", "the token that admits callers over TCP is there"),
            Err(daemon::StartError::Home(error)) => self.wrong("admission", &error),
            Err(error) => self.add(Look::problem("admission", error.code(), error.to_string())),
        }
    }

    /// Opens the journal as a start does.
    fn journal(&mut self) -> Option<(Storage, Recovered)> {
        let files = Arc::clone(&self.files) as Arc<dyn Files>;
        let index = self.path.join("index").join("objects.redb");
        let indexed = index.symlink_metadata().is_ok();
        let folder = self.path.join("journal");
        match Storage::open(&self.path, &Options { files, ..Options::default() }) {
            Ok((storage, recovered)) => {
                if let Some(torn) = &recovered.torn {
                    let detail = format!(
                        "{} ends in {} bytes that were never acknowledged; the next start cuts them",
                        torn.file, torn.bytes
                    );
                    self.add(
                        Look::new("journal", Finding::Warning, detail).at(folder.join(&torn.file).display()),
                    );
                }
                self.ok("journal", format!("{} batches, each whole", recovered.last_sequence));
                if indexed && self.files.made(&index) {
                    let look = Look::new(
                        "index",
                        Finding::Warning,
                        "it cannot be used, and the next start makes it anew",
                    );
                    self.add(look.at(index.display()).why("nothing is lost: it is made of the journal"));
                }
                Some((storage, recovered))
            }
            Err(StorageError::Corrupt(damages)) => {
                for damage in damages {
                    let look = Look::problem("journal", Code::StoreCorrupt, damage.to_string());
                    self.add(
                        look.at(folder.join(&damage.file).display())
                            .why(JOURNAL_WHY)
                            .remedy(restore(&folder)),
                    );
                }
                None
            }
            Err(error) => {
                let error = HomeError::from(error);
                if is_of_layout(&error) {
                    return None;
                }
                if let HomeError::Storage(damage) = &error
                    && damage.code() == Code::StoreCorrupt
                {
                    let look = Look::problem("journal", damage.code(), damage.to_string());
                    self.add(look.at(folder.display()).remedy(restore(&folder)));
                } else {
                    self.wrong("journal", &error);
                }
                None
            }
        }
    }

    /// Looks at what a home has once it has an owner.
    fn made(&mut self, home: &Home, storage: &Storage) {
        let facts = match home.state() {
            Ok(HomeState::Made(facts)) => facts,
            Ok(HomeState::HalfMade) => {
                let detail = "a ceremony was confirmed and not completed; the next start goes on with it";
                return self.add(Look::new("home.toml", Finding::Warning, detail).remedy("`fwc up`"));
            }
            Ok(HomeState::New) if self.was_made() || lost::has_records(storage).unwrap_or(true) => {
                return self.wrong("home.toml", &lost::error(&self.path, storage));
            }
            Ok(HomeState::New) => {
                return self.ok("home.toml", "the home has no owner yet; `fwc up` makes one");
            }
            Err(error) => return self.wrong("home.toml", &error),
        };
        self.ok("home.toml", format!("node {}, owner's key {}", facts.node, facts.owner_key));
        let Some(LoadedKeys { node, vault, .. }) = self.keys(home, open_keys(home)) else { return };
        if self.keys_of_zones(home, storage) {
            return;
        }
        let Some(mut node) = self.node(&facts, node, storage) else { return };
        let credentials = std::env::var_os(CREDENTIALS_VARIABLE).map(std::path::PathBuf::from);
        let taken =
            KeyStore::open(home, credentials.as_deref()).and_then(|keys| keys.take_attested(&mut node));
        if let Err(KeyStoreError::File(error)) = taken {
            return self.wrong("keys", &error);
        }
        self.keys_of_people(home, &node);
        self.chains(storage, &facts, &node);
        self.open_vault(home, vault, Some(&node));
        self.connectors(home, &node);
        self.idle_tables(home, &node);
    }

    /// Looks at the sealed credentials of a home whose daemon runs. What its records say of them is not known.
    fn vault_beside_daemon(&mut self, home: &Home) {
        if !matches!(home.state(), Ok(HomeState::Made(_))) {
            return;
        }
        let unknown = match open_keys(home) {
            // The daemon was given it; that this process was not is no fault of the home.
            Err(error @ KeyStoreError::CredentialMissing(_)) => error.to_string(),
            opened => match self.keys(home, opened) {
                Some(loaded) => return self.open_vault(home, loaded.vault, None),
                None => "the node's keys do not open".into(),
            },
        };
        let look = Look::new("vault", Finding::Unknown, format!("not looked at: {unknown}"));
        self.add(look.remedy("`fwc auth list` has the daemon look"));
    }

    fn open_vault(&mut self, home: &Home, key: SymmetricKey<role::Vault>, node: Option<&Node>) {
        match entropy::fresh().map_err(|error| error.to_string()).map(|fresh| Vault::open(home, key, fresh)) {
            Ok(Ok(vault)) => self.vault(node, &vault),
            Ok(Err(VaultError::File(error))) => self.wrong("vault", &error),
            Ok(Err(error)) => self.add(Look::problem("vault", error.code(), error.to_string())),
            Err(error) => self.add(Look::new("vault", Finding::Unknown, error)),
        }
    }

    fn keys(
        &mut self,
        home: &Home,
        opened: Result<(LoadedKeys, usize), KeyStoreError>,
    ) -> Option<LoadedKeys> {
        match opened {
            Ok((loaded, count)) => {
                self.ok("keys", format!("{count} keys; the node's open"));
                Some(loaded)
            }
            Err(KeyStoreError::File(error)) => {
                self.wrong("keys", &error);
                None
            }
            Err(error) => {
                let remedy = error.remedy().unwrap_or_else(|| restore(&home.keys()));
                let look = Look::problem("keys", error.code(), error.to_string()).at(home.keys().display());
                self.add(
                    look.why("the daemon does not start, and no key is made anew in its place")
                        .remedy(remedy),
                );
                None
            }
        }
    }

    /// Whether keys of zones are gone: then nothing can be said of the records in them.
    fn keys_of_zones(&mut self, home: &Home, storage: &Storage) -> bool {
        // A journal that cannot be read is named where its records are replayed.
        let missing = missing_of_zones(home, storage).unwrap_or_default();
        for file in &missing {
            self.wrong("keys", &HomeError::FileMissing(file.clone()));
        }
        !missing.is_empty()
    }

    /// The keys that people open: a start does without, and whoever needs one later cannot act.
    fn keys_of_people(&mut self, home: &Home, node: &Node) {
        let now = clock::now().unix;
        let live = node.authority().live_operators(None, node.revocations(), now);
        let live: Vec<_> = live.map(|(key, it)| (it.operator.clone(), key)).collect();
        for told in api::revoked(node, clock::now()) {
            let look = Look::problem("authority", Code::IssuerKeyRevoked, told.message);
            let look = if told.kind == WarningKind::Revoked {
                look
            } else {
                Look { finding: Finding::Warning, code: None, ..look }
            };
            self.add(Look { remedy: told.remedy, ..look });
        }
        let stored = live.iter().filter(|(name, key)| is_stored(home, name, *key)).map(|(_, key)| *key);
        if let Some(told) = api::unheld(node, &stored.collect(), clock::now()) {
            let look = Look::problem("authority", Code::NotPermitted, told.message);
            self.add(Look { finding: Finding::Warning, code: None, remedy: told.remedy, ..look });
        }
        for (file, anew) in missing_of_people(home, &live) {
            let look = Look::problem("keys", Code::StoreCorrupt, "the key is missing").at(file.display());
            let look = look.why("nobody can sign with it, and no key is made anew in its place");
            self.add(look.remedy(restore_alone(&file, &anew)));
        }
    }

    /// Gives the journal to a node, as a start does.
    fn node(&mut self, facts: &HomeFacts, keys: NodeKeys, storage: &Storage) -> Option<Node> {
        let replayed = entropy::fresh().map_err(|error| error.to_string()).and_then(|entropy| {
            let (session_secs, limits) = (Config::default().sessions.session_secs, Config::default().limits);
            let limits = limits.of_calls();
            let node_id = facts.node.clone();
            let clock_confirmed = true;
            let mut node =
                Node::new(NodeConfig { node_id, keys, session_secs, limits, clock_confirmed, entropy });
            let owner = |node: &Node| node.authority().owner().map(|owner| owner.public_key.key_id());
            match replay(&mut node, storage) {
                Err(error) => {
                    // What it knew until then tells which link of a chain is the bad one.
                    self.chains(storage, facts, &node);
                    Err(error)
                }
                Ok(()) if owner(&node) == Some(facts.owner_key) => Ok(node),
                Ok(()) => Err("its owner is not the one that home.toml names".into()),
            }
        });
        match replayed {
            Ok(node) => {
                self.ok("records", "every record has force");
                Some(node)
            }
            Err(detail) => {
                let folder = self.path.join("journal");
                let look = Look::problem("records", Code::StoreCorrupt, detail).at(folder.display());
                self.add(look.why(JOURNAL_WHY).remedy(restore(&folder)));
                None
            }
        }
    }

    fn chains(&mut self, storage: &Storage, facts: &HomeFacts, node: &Node) {
        let report = api::verify_chains(storage, &facts.node, node);
        if report.valid {
            return self.ok(
                "audit",
                format!("{} events, {} signed heads, every link holds", report.events, report.heads),
            );
        }
        for problem in report.problems {
            let detail = format!("event {} of {}: {}", problem.seq, problem.zone, problem.problem);
            let folder = self.path.join("journal");
            let look = Look::problem("audit", Code::AuditBroken, detail).at(folder.display());
            self.add(look.why("what the chain tells can no longer be proved").remedy(restore(&folder)));
        }
    }

    /// Looks at every sealed credential, and whether those that the records of a node name are there.
    fn vault(&mut self, node: Option<&Node>, vault: &Vault) {
        let before = self.looks.len();
        let mut listing = vault.list();
        // A daemon that runs may replace a file between its listing and its reading. What is damaged stays so.
        if node.is_none() && !listing.as_ref().is_ok_and(|listing| listing.invalid.is_empty()) {
            listing = vault.list();
        }
        let listing = match listing {
            Ok(listing) => listing,
            Err(error) => return self.add(Look::problem("vault", error.code(), error.to_string())),
        };
        for error in listing.invalid {
            let look = Look::problem("vault", error.code(), error.to_string());
            let look = look.why("calls that need this credential are refused; no other is affected");
            self.add(if let VaultError::Invalid { file, .. } = &error {
                look.at(file.display())
            } else {
                look
            });
        }
        let recorded = node.into_iter().flat_map(|node| node.catalog().credentials());
        for credential in recorded.filter(|credential| !credential.record.removed) {
            let key = daemon::vault_key(credential);
            if let Err(VaultError::Missing(_)) = vault.get(&key, credential.record.version) {
                let detail = format!("the secret of {key} is gone");
                let look = Look::problem("vault", Code::CredentialMissing, detail);
                self.add(
                    look.at(self.path.join("vault").display()).remedy(format!("`fwc auth set {}`", key.name)),
                );
            }
        }
        if self.looks.len() == before {
            self.ok("vault", format!("{} credentials, each opens", listing.credentials.len()));
        }
    }

    /// Settings for connectors that are not installed. Settings that are wrong were named before.
    fn idle_tables(&mut self, home: &Home, node: &Node) {
        let Ok(config) = home.config() else { return };
        for told in config.idle_tables(|connector| node.catalog().get(connector).is_some()) {
            let look = Look::new("config.toml", Finding::Warning, told);
            self.add(look.at(self.path.join("config.toml").display()).remedy(IDLE_TABLE_REMEDY));
        }
    }

    /// Whether what the installed connectors run is there, and is what was installed.
    fn connectors(&mut self, home: &Home, node: &Node) {
        let engine = Engine::new(self.programs.join("fcp-connector-engine"));
        for installed in node.catalog().iter() {
            let install = &installed.install;
            let check = format!("connector {}", install.connector);
            let path = home.packages().join(install.package_digest.to_string());
            let package = digest_of(&path);
            if package != Some(install.package_digest) {
                let what = if package.is_some() { "is not what was installed" } else { "is missing" };
                let look = Look::problem(&check, Code::PackageInvalid, format!("its package {what}"))
                    .at(path.display());
                let look = match installed.manifest.connector.runtime {
                    Runtime::Native => look.why("its program is in there, so it cannot be run"),
                    Runtime::Declarative => Look { finding: Finding::Warning, ..look }
                        .why("it runs without; only installing it again needs it"),
                };
                self.add(look.remedy("`fwc install PACKAGE` with the same package"));
            } else if installed.manifest.connector.runtime == Runtime::Declarative
                && engine.digest().ok() != Some(install.code_digest)
            {
                let detail = "the engine beside the daemon is not the one that it was installed with";
                let command = daemon::accept_engine(&home.packages(), install);
                let look = Look::problem(&check, Code::EngineChanged, detail);
                self.add(look.at(self.programs.display()).remedy(format!("`{command}`")));
            } else {
                self.ok(&check, "what it runs is what was installed");
            }
            if install.dev {
                let detail = "it is in development: no trusted publisher signed it";
                let remedy = "have a trusted publisher sign its package, and `fwc install` it without --dev";
                self.add(Look::new(&check, Finding::Warning, detail).remedy(remedy));
            }
        }
    }
}

/// Whether the look at the layout names it already.
const fn is_of_layout(error: &HomeError) -> bool {
    matches!(
        error,
        HomeError::OpenToOthers { .. } | HomeError::ForeignOwner { .. } | HomeError::WrongKind { .. }
    )
}

/// Opens the keys that the node serves with, and counts all.
fn open_keys(home: &Home) -> Result<(LoadedKeys, usize), KeyStoreError> {
    let credentials = std::env::var_os(CREDENTIALS_VARIABLE).map(std::path::PathBuf::from);
    let keys = KeyStore::open(home, credentials.as_deref())?;
    let count = keys.report()?.len();
    Ok((keys.load_node_keys()?, count))
}

/// Gives a journal to a node, up to the first record that it does not take.
fn replay(node: &mut Node, storage: &Storage) -> Result<(), String> {
    for batch in storage.batches().map_err(|error| error.to_string())? {
        for record in &batch.map_err(|error| error.to_string())?.batch.records {
            node.replay(record.id, &record.bytes, clock::now()).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// What is not looked at while a daemon runs.
const UNREAD: &str = "not read: a daemon writes it; so its records, and what they say of credentials and connectors, \
                      were not looked at";

/// Why a damaged journal matters.
const JOURNAL_WHY: &str = "it is the one durable record: the daemon does not start on a part of it";

/// The remedy of what cannot be made anew.
fn restore(path: &Path) -> String {
    format!("restore {} from a backup, with everything else of the home from the same one", path.display())
}

fn digest_of(path: &Path) -> Option<Digest> {
    Some(fcp_proto_core::crypto::hash::digest(&std::fs::read(path).ok()?))
}
