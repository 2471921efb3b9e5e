//! Who runs the connectors, as the daemon sees it.

use std::future::Future;
use std::pin::Pin;

use fcp_api::types::{ConnectorHealth, Warning};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{CallId, ConnectorId};
use fcp_proto_core::object::RevocationObject;
use fcp_state_machines::node::{Dispatch, Installed, Node};

/// Runs the connectors. Only [`Runner::closed`] and [`Runner::stop`] take time; everything else starts work and returns.
pub trait Runner: Send + Sync + 'static {
    /// Hands a call to its connector; what became of it is reported to the node.
    fn dispatch(&self, node: &Node, dispatch: Dispatch);

    /// Stops a call.
    fn cancel(&self, call: CallId);

    /// Begins to close what rests on something revoked.
    fn revoked(&self, node: &Node, revocation: &RevocationObject);

    /// Waits until everything that was revoked or disabled so far is closed: whoever asked for it is answered only then.
    fn closed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// A connector's installation changed, or it was disabled, or it is gone: then its calls end.
    fn reconfigured(&self, node: &Node, connector: &ConnectorId);

    /// The health of a connector in the zones where it was called.
    fn health(&self, installed: &Installed) -> Vec<ConnectorHealth>;

    /// Looks again at what changes without being told: the engine's file.
    fn look(&self, node: &Node);

    /// Why no call can be dispatched to a connector, as far as is known without trying.
    fn unrunnable(&self, connector: &ConnectorId) -> Option<(Code, Warning)>;

    /// What the owner should know.
    fn warnings(&self) -> Vec<Warning>;

    /// Ends every process.
    fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
