//! The daemon: one process on one home.
//!
//! ```text
//! home ─► settings ─► journal (lock) ─► keys ─► node (replayed) ─► runner ─► API
//!                                        └─ none yet: the ceremony, held over the API, makes them
//! ```
//!
//! Guide: `docs/guide/operating.md`.

mod acts;
mod app;
mod challenges;
mod chronicle;
mod connecting;
mod egress_process;
mod error;
mod exceptions;
mod founding;
mod health;
mod manifests;
mod operators;
mod origin;
pub(crate) mod packages;
mod ports;
mod publishers;
mod records;
mod reinstalling;
mod runner;
mod schemas;
mod signals;
mod tries;
mod unrunnable;
mod vault_secrets;

pub use app::{App, Serving, SessionEntry, Underway, owner_zone};
pub use challenges::Challenges;
pub use chronicle::Chronicle;
pub use connecting::Connecting;
pub use error::StartError;
pub(crate) use exceptions::{Opened, pin as pin_authority};
pub(crate) use founding::key_of as vault_key;
pub use founding::{ACCEPT_CLOCK_VARIABLE, Founding, MakeRunner};
pub use operators::{Operators, Unlocked};
pub use origin::Origin;
pub use publishers::Trusted;
pub(crate) use publishers::publishers_of;
pub use records::{
    ApprovalEntry, AsksFor, CallEntry, ContextEntry, DecisionEntry, EventEntry, HeadEntry, Made, Records,
    RevocationEntry,
};
pub(crate) use reinstalling::{accept_engine, example, fields};
pub use runner::Runner;
pub use schemas::{Schemas, check_manifest};
pub use tries::{Tries, Try};
pub(crate) use vault_secrets::is_usable;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Duration;

use fcp_api::types::{Warning, WarningKind};
use fcp_runtime_tokio::drive::{clock, entropy};
use fcp_runtime_tokio::storage::{Options, Recovered, Storage};
use tokio::sync::watch;

use crate::api;
use crate::home::{Config, Home};
use crate::keys::CREDENTIALS_VARIABLE;

/// Changes what is logged, and how, while the daemon runs.
pub type SetLog = Box<dyn Fn(&Config) + Send + Sync>;

/// Runs the daemon of a home, its journal opened with `options`, until it is asked to stop.
///
/// # Errors
/// Why it does not start. Once it serves, it ends in order.
pub async fn run(
    path: &Path,
    options: &Options,
    make_runner: MakeRunner,
    set_log: SetLog,
) -> Result<(), StartError> {
    let home = Home::create(path).map_err(StartError::Home)?;
    let config = home.config().map_err(StartError::Home)?;
    set_log(&config);
    let opened = Storage::open(home.path(), options);
    let (storage, recovered) = opened.map_err(|error| StartError::Home(error.into()))?;
    home.remove_leftovers().map_err(StartError::Home)?;
    let app = Arc::new(assemble(home, config, storage, &recovered, make_runner)?);
    drop(recovered);
    Connecting::check(&app)?;
    let inner = Arc::clone(&app);
    let resumed = tokio::task::spawn_blocking(move || founding::resume(&inner)).await;
    resumed.map_err(|_| StartError::Defect)??;
    let config = app.config();
    let socket = app.home.socket();
    let listeners = api::listen(&socket, &config).await?;
    let signals = signals::watch(&app, set_log)?;
    tracing::info!(
        home = %app.home.path().display(),
        socket = %socket.display(),
        tcp = ?config.listen.tcp,
        made = app.serving.get().is_some(),
        "ready"
    );
    let housekeeping = tokio::spawn(keep_house(Arc::clone(&app)));
    let serving = tokio::spawn(api::serve(Arc::clone(&app), listeners));
    let mut draining = app.draining.subscribe();
    // The sender lives in `app`, so the wait ends only by the change.
    draining.wait_for(|draining| *draining).await.map_err(|_| StartError::Defect)?;
    stop(&app).await;
    serving.await.map_err(|_| StartError::Defect)?;
    housekeeping.abort();
    signals.abort();
    let storage = Arc::clone(&app.storage);
    let closed = tokio::task::spawn_blocking(move || storage.close()).await;
    closed.map_err(|_| StartError::Defect)?.map_err(StartError::Storage)?;
    tracing::info!("stopped");
    Ok(())
}

fn assemble(
    home: Home,
    config: Config,
    storage: Storage,
    recovered: &Recovered,
    make_runner: MakeRunner,
) -> Result<App, StartError> {
    let mut fresh = entropy::fresh().map_err(StartError::Entropy)?;
    let admission = api::admission(&home, &config)?;
    Ok(App {
        started_at: clock::now().unix,
        config: RwLock::new(Arc::new(config)),
        storage: Arc::new(storage),
        records: Arc::new(Mutex::new(Records::default())),
        schemas: Schemas::default(),
        serving: OnceLock::new(),
        ceremony: tokio::sync::Mutex::new(None),
        challenges: Challenges::new(fresh.derive()),
        acts: acts::Acts::default(),
        operators: Operators::new(fresh.derive()),
        tries: Tries::default(),
        sessions: Mutex::new(BTreeMap::new()),
        instance: fresh.bytes(),
        credentials: std::env::var_os(CREDENTIALS_VARIABLE).map(Into::into),
        warnings: Mutex::new(recovery_warnings(recovered)),
        refused_settings: Mutex::default(),
        verifying: tokio::sync::Mutex::new(()),
        installing: tokio::sync::Mutex::new(()),
        versions: api::Versions::default(),
        draining: watch::Sender::new(false),
        stopped_by: OnceLock::new(),
        admission,
        make_runner,
        chronicle: Arc::default(),
        home,
    })
}

/// What recovery had to do that the owner should know.
fn recovery_warnings(recovered: &Recovered) -> Vec<Warning> {
    let lost = recovered.lost.iter().map(|lost| Warning {
        kind: WarningKind::Integrity,
        message: format!(
            "the journal's batches {} to {} were lost and that was accepted",
            lost.first, lost.last
        ),
        remedy: None,
    });
    lost.collect()
}

/// Ends what serves: calls first, then processes, then keys.
async fn stop(app: &App) {
    let grace = Duration::from_secs(app.config().limits.drain_secs);
    if let Some(serving) = app.serving.get() {
        tracing::info!(grace_secs = grace.as_secs(), "stopping");
        serving.node.stop(grace, app.stopped_by.get().cloned()).await;
        serving.runner.stop().await;
    }
    app.operators.close_all();
}

/// Forgets, every few seconds, what has ended.
async fn keep_house(app: Arc<App>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    loop {
        ticks.tick().await;
        let now = clock::now();
        app.operators.expire(now);
        app.sessions().retain(|_, entry| now.unix < entry.expires_at);
    }
}
