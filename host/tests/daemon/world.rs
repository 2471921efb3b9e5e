//! A real daemon on a home of its own, and those who speak with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use fcp_api::client::{Client, Target};
use fcp_api::routes::{
    AddAgent, AddGrant, BeginCeremony, ConfirmCeremony, GetHealth, InstallConnector, IssueChallenge,
    OpenSession, UnlockOperator,
};
use fcp_api::secret::Secret;
use fcp_api::types::{self, CeremonyBegun, ErrorBody, KeyProof, KeySourceRequest, Nothing, WordProof};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::crypto::phrase::RecoveryPhrase;
use fcp_proto_core::crypto::proof::{EnrolmentProof, SessionProof};
use fcp_proto_core::crypto::role::{Agent, Publisher};
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::ids::{ConnectorId, OperationId, PrincipalId, ZoneId};
use fcp_proto_core::manifest::package::Package;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::token::constraints::Constraints;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use zeroize::Zeroizing;

use crate::copy::copy;
use crate::programs::programs;

/// What every passphrase of these tests is.
pub const PASSPHRASE: &str = "a passphrase for tests";

/// A daemon that is ended with its test.
pub struct Daemon {
    child: Child,
    pub home: PathBuf,
    log: tempfile::NamedTempFile,
}

impl Daemon {
    /// Starts a daemon and waits until it answers.
    pub async fn start(home: &Path) -> Self {
        Self::spawn(home).answering().await
    }

    /// Starts a daemon on a home that may not have been used for long: the clock is right all the same.
    pub async fn start_after_long(home: &Path) -> Self {
        Self::spawn_with(home, &[("FCP_ACCEPT_CLOCK", "1")]).answering().await
    }

    async fn answering(self) -> Self {
        let mut daemon = self;
        for _ in 0..600 {
            if daemon.client().get::<GetHealth>(&[], &Nothing {}).await.is_ok() {
                return daemon;
            }
            if let Some(status) = daemon.child.try_wait().unwrap() {
                panic!("the daemon ended with {status}: {}", daemon.errors());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the daemon does not answer");
    }

    /// Starts a daemon.
    pub fn spawn(home: &Path) -> Self {
        Self::spawn_with(home, &[])
    }

    /// Starts the daemon of a program that lies elsewhere, and waits until it answers.
    pub async fn start_program(program: &Path, home: &Path) -> Self {
        Self::spawn_of(program, home, &[]).answering().await
    }

    fn spawn_with(home: &Path, environment: &[(&str, &str)]) -> Self {
        Self::spawn_of(Path::new(env!("CARGO_BIN_EXE_fcp-host")), home, environment)
    }

    fn spawn_of(program: &Path, home: &Path, environment: &[(&str, &str)]) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let child = Command::new(program)
            .args(["daemon", "--home"])
            .arg(home)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log.reopen().unwrap()))
            .spawn()
            .unwrap();
        Self { child, home: home.to_owned(), log }
    }

    pub fn socket(&self) -> PathBuf {
        self.home.join("run").join("fcp.sock")
    }

    pub fn client(&self) -> Client {
        Client::new(Target::Unix(self.socket()))
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        let status = self.child.wait().unwrap();
        (status, self.errors())
    }

    /// Ends it without warning.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Waits for one that does not start.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.errors())
    }

    /// Waits until the log says it.
    pub async fn says(&self, text: &str) {
        for _ in 0..400 {
            if self.errors().contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the log does not say {text:?}: {}", self.errors());
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.log.path()).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that has ended cannot be ended again.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A folder for a home, with a path that is short enough for a socket.
pub fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::Builder::new().prefix("fcp").tempdir().unwrap();
    let home = folder.path().join("home");
    (folder, home)
}

pub fn passphrase(text: &str) -> KeySourceRequest {
    KeySourceRequest::Passphrase { passphrase: Secret::new(text) }
}

/// Begins the ceremony.
pub async fn begin(client: &mut Client) -> Result<CeremonyBegun, ErrorBody> {
    let request = types::BeginCeremony {
        operator: PrincipalId::new("alice").unwrap(),
        key_source: passphrase(PASSPHRASE),
        node: None,
    };
    client.send::<BeginCeremony>(&[], &request).await.map(|reply| reply.body)
}

/// The words that a confirmation repeats.
pub fn words(begun: &CeremonyBegun) -> Vec<WordProof> {
    let words: Vec<_> = begun.phrase.expose().split(' ').collect();
    let proof = |place: &u8| WordProof { place: *place, word: Secret::new(words[usize::from(*place) - 1]) };
    begun.confirm_words.iter().map(proof).collect()
}

/// Holds the ceremony; the owner's words.
pub async fn ceremony(client: &mut Client) -> Secret {
    let begun = begin(client).await.unwrap();
    let request = types::ConfirmCeremony { ceremony_id: begun.ceremony_id, words: words(&begun) };
    client.send::<ConfirmCeremony>(&[], &request).await.unwrap();
    begun.phrase
}

/// Opens the operator's key on the client's connection.
pub async fn unlock(client: &mut Client, text: &str) -> Result<(), ErrorBody> {
    unlock_as(client, None, text).await
}

/// As [`unlock`], of one operator of several.
pub async fn unlock_as(client: &mut Client, name: Option<&str>, text: &str) -> Result<(), ErrorBody> {
    let operator = name.map(|name| PrincipalId::new(name).unwrap());
    let request = types::UnlockOperator { operator, key_source: passphrase(text) };
    let unlocked = client.send::<UnlockOperator>(&[], &request).await?;
    client.set_operator(Some(unlocked.body.bearer));
    Ok(())
}

/// An agent with its key.
pub struct Bot {
    pub name: PrincipalId,
    pub zone: ZoneId,
    pub key: SigningKey<Agent>,
}

impl Bot {
    pub fn new(name: &str) -> Self {
        let seed = *hash::digest(name.as_bytes()).as_bytes();
        let key = SigningKey::generate(&mut Entropy::from_seed(&Zeroizing::new(seed)));
        Self { name: PrincipalId::new(name).unwrap(), zone: ZoneId::new("z:work").unwrap(), key }
    }

    /// Is enrolled by the operator of `client`.
    pub async fn enrol(&self, client: &mut Client) -> Result<types::AgentView, ErrorBody> {
        let issued = client.send::<IssueChallenge>(&[], &Nothing {}).await?.body;
        let proof = EnrolmentProof {
            principal_id: self.name.clone(),
            zone_id: self.zone.clone(),
            node_id: issued.node,
            challenge: issued.challenge.0,
        };
        let signature = proof.sign(&self.key).unwrap();
        let request = types::AddAgent {
            name: self.name.clone(),
            zone: self.zone.clone(),
            public_key: self.key.verifying_key(),
            key_source: "a test".into(),
            proof: KeyProof { challenge: issued.challenge, signature },
            roles: Vec::new(),
        };
        client.send::<AddAgent>(&[], &request).await.map(|reply| reply.body)
    }

    /// Opens a session on the client's connection.
    pub async fn open(&self, client: &mut Client) -> Result<types::SessionOpened, ErrorBody> {
        let issued = client.send::<IssueChallenge>(&[], &Nothing {}).await?.body;
        let proof = SessionProof {
            principal_id: self.name.clone(),
            node_id: issued.node,
            channel_binding: issued.channel_binding.0,
            challenge: issued.challenge.0,
        };
        let signature = proof.sign(&self.key).unwrap();
        let request = types::OpenSession {
            agent: self.name.clone(),
            proof: KeyProof { challenge: issued.challenge, signature },
            lifetime_secs: None,
        };
        let opened = client.send::<OpenSession>(&[], &request).await?.body;
        client.set_session(Some(opened.session.clone()));
        Ok(opened)
    }
}

/// The bytes of a package, signed with a development key that the home has from now on.
pub fn signed_for_development(home: &Path, mut package: Package) -> Vec<u8> {
    let key = SigningKey::<Publisher>::from_seed(&Zeroizing::new([0x1d; 32]));
    fs::write(home.join("publishers.txt"), format!("dev {}\n", key.verifying_key())).unwrap();
    package.sign(&key).unwrap();
    package.to_bytes().unwrap()
}

/// Installs the connector of these tests, in development.
pub async fn install(client: &mut Client, home: &Path) -> Result<types::Installed, ErrorBody> {
    install_code(client, home, b"no program").await
}

/// As [`install`], with other code.
pub async fn install_changed(client: &mut Client, home: &Path) -> Result<types::Installed, ErrorBody> {
    install_code(client, home, b"no other program").await
}

async fn install_code(client: &mut Client, home: &Path, code: &[u8]) -> Result<types::Installed, ErrorBody> {
    let manifest = include_bytes!("notes.toml");
    let package = Package::build(manifest, b"", Some(("x86_64-linux", code.to_vec()))).unwrap();
    let bytes = signed_for_development(home, package);
    let path = home.with_extension("fcp");
    fs::write(&path, &bytes).unwrap();
    let request = types::Install {
        package: types::PackageSource::Path { path: path.to_str().unwrap().into() },
        package_digest: hash::digest(&bytes),
        zones: Some(vec![ZoneId::new("z:work").unwrap()]),
        config: json!({}),
        dev: true,
    };
    client.send::<InstallConnector>(&[], &request).await.map(|reply| reply.body)
}

/// Gives `bot` leave to read and write notes.
pub async fn grant(client: &mut Client, bot: &Bot) -> Result<types::GrantView, ErrorBody> {
    let request = types::AddGrant {
        agent: Some(bot.name.clone()),
        role: None,
        zone: bot.zone.clone(),
        connector: ConnectorId::new("notes").unwrap(),
        operations: ["notes.get", "notes.put"].map(|id| OperationId::new(id).unwrap()).into(),
        constraints: Constraints {
            resource_allow: vec!["notes:note/mine".parse().unwrap()],
            ..Constraints::default()
        },
        not_before: None,
        lifetime_secs: 3600,
    };
    client.send::<AddGrant>(&[], &request).await.map(|reply| reply.body)
}

/// A call of the connector of these tests.
pub fn call(operation: &str, input: serde_json::Value, key: Option<&str>) -> types::Invoke {
    types::Invoke {
        call: types::CallRequest {
            connector: ConnectorId::new("notes").unwrap(),
            operation: OperationId::new(operation).unwrap(),
            input,
            handles: std::collections::BTreeMap::new(),
            zone: None,
            credential: None,
            idempotency_key: key.map(Into::into),
        },
        options: types::CallOptions::default(),
        holder_proof: None,
    }
}

/// A home with an owner, a connector and an agent with a grant; the operator's client and the agent's.
pub struct World {
    pub daemon: Daemon,
    pub operator: Client,
    pub agent: Client,
    pub bot: Bot,
    pub grant: types::GrantView,
    /// The owner's words.
    pub phrase: Secret,
    /// Removed with the world.
    pub _folder: tempfile::TempDir,
}

impl World {
    pub async fn new() -> Self {
        let (folder, home) = folder();
        let daemon = Daemon::start(&home).await;
        let mut operator = daemon.client();
        let phrase = ceremony(&mut operator).await;
        unlock(&mut operator, PASSPHRASE).await.unwrap();
        install(&mut operator, &home).await.unwrap();
        let bot = Bot::new("bot");
        bot.enrol(&mut operator).await.unwrap();
        let grant = grant(&mut operator, &bot).await.unwrap();
        let mut agent = daemon.client();
        bot.open(&mut agent).await.unwrap();
        Self { daemon, operator, agent, bot, grant, phrase, _folder: folder }
    }
}

/// The daemon's programs, with the disk of `host/tests/faults/faulty_host.rs` under the daemon.
pub fn faulty_programs(folder: &Path) -> PathBuf {
    let (own, built) = (folder.join("programs"), programs());
    fs::create_dir(&own).unwrap();
    copy(built.join("examples/faulty-host"), own.join("fcp-host"));
    for name in ["fcp-launcher", "fcp-connector-engine"] {
        copy(built.join(name), own.join(name));
    }
    own
}

/// The words of another home's owner.
pub fn other_words() -> Secret {
    Secret::new(RecoveryPhrase::from_entropy(Zeroizing::new([7; 32])).words().as_str())
}
