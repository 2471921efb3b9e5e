//! What a connector implements.

use std::rc::Rc;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::manifest::Manifest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Call, Egress, Error, Outcome};

/// A connector. Its futures run on one thread, side by side.
pub trait Connector: Sized + 'static {
    /// The connector's manifest. A coded connector parses the one it was built with; only the declarative engine
    /// takes the one `offered` by the host.
    ///
    /// # Errors
    /// Says why there is none.
    fn manifest(offered: Option<&str>) -> Result<Manifest, Error>;

    /// Makes the connector ready; called once, before every other call.
    ///
    /// # Errors
    /// Says why it cannot work with this setup.
    fn start(setup: Setup) -> impl Future<Output = Result<Self, Error>>;

    /// Performs one call.
    ///
    /// # Errors
    /// Says what failed and what is known of the effect.
    fn invoke(&self, call: Call) -> impl Future<Output = Result<Outcome, Error>>;

    /// Says how the connector is, from what it can see by itself.
    fn health(&self) -> impl Future<Output = Health>;
}

/// What a connector is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its manifest.
    pub manifest: Rc<Manifest>,
    /// The zone it serves.
    pub zone: ZoneId,
    /// Its configuration, complete and checked against the manifest.
    pub config: Value,
    /// The way to the network, if the sandbox has one; calls use [`Call::send`].
    pub egress: Option<Egress>,
}

/// How a connector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Calls can be served.
    Ready,
    /// Some calls can be served.
    Degraded,
    /// No call can be served.
    Error,
}

/// How a connector is, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// How it is.
    pub status: HealthStatus,
    /// Why, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Health {
    /// All is well.
    pub const fn ready() -> Self {
        Self { status: HealthStatus::Ready, detail: None }
    }

    /// Nothing works, because of `detail`.
    pub fn error(detail: impl Into<String>) -> Self {
        Self { status: HealthStatus::Error, detail: Some(detail.into()) }
    }
}

impl Setup {
    /// Parses a manifest; for [`Connector::manifest`].
    ///
    /// # Errors
    /// [`Code::ManifestInvalid`] with the place.
    pub fn parse_manifest(text: &str) -> Result<Manifest, Error> {
        Manifest::parse(text.as_bytes()).map_err(|error| Error::new(Code::ManifestInvalid, error.to_string()))
    }
}
