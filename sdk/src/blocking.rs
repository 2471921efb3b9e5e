//! The façade for connectors whose work blocks: databases, files, devices.

use std::sync::Arc;

use fcp_proto_core::error::Code;
use fcp_proto_core::manifest::Manifest;

use crate::{Call, Connector, Error, Health, Outcome, Setup};

/// A connector whose calls run on worker threads, so that cancellation and other calls still get through.
///
/// The sandbox of such a connector must allow as many processes as the manifest says; each thread counts as one.
pub trait BlockingConnector: Sized + Send + Sync + 'static {
    /// As [`Connector::manifest`].
    ///
    /// # Errors
    /// Says why there is none.
    fn manifest() -> Result<Manifest, Error>;

    /// As [`Connector::start`].
    ///
    /// # Errors
    /// Says why it cannot work with this setup.
    fn start(setup: Setup) -> Result<Self, Error>;

    /// As [`Connector::invoke`]. Long work asks [`Call::cancel`] and [`Call::remaining`] now and then.
    ///
    /// # Errors
    /// Says what failed and what is known of the effect.
    fn invoke(&self, call: Call) -> Result<Outcome, Error>;

    /// As [`Connector::health`].
    fn health(&self) -> Health;
}

/// Makes a [`Connector`] of a [`BlockingConnector`].
#[derive(Debug)]
pub struct Blocking<T>(Arc<T>);

impl<T: BlockingConnector> Connector for Blocking<T> {
    fn manifest(_offered: Option<&str>) -> Result<Manifest, Error> {
        T::manifest()
    }

    async fn start(setup: Setup) -> Result<Self, Error> {
        T::start(setup).map(|connector| Self(Arc::new(connector)))
    }

    async fn invoke(&self, call: Call) -> Result<Outcome, Error> {
        let connector = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || connector.invoke(call)).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(Code::Internal, "the connector's worker died").with_unknown_effect()),
        }
    }

    async fn health(&self) -> Health {
        let connector = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || connector.health()).await {
            Ok(health) => health,
            Err(_) => Health::error("the connector's worker died"),
        }
    }
}
