//! Where a call goes that another node is to run, and what is known when its answer does not come.
//!
//! * [`Route::new`]: here, to one node alone, to the first of several, or nowhere;
//! * [`Forward`]: the way of one call to another node, until its end is known or known to be unknown;
//! * [`Arrivals`]: what another node sent here to be run, once.
//!
//! A call goes over one hop: whoever gets it from another node runs it or refuses it. Who forwards vouches for nothing but
//! itself; the node that runs the call judges it as if it had been asked first. Spec: docs/spec/planner.md.

mod arrivals;
mod forward;
#[cfg(test)]
mod tests;

pub use arrivals::{Arrivals, Envelope, MAX_ARRIVALS, NotAdmitted, WINDOW_SECS};
pub use forward::{ANSWER_TIME, CONNECT_TIME, Ending, Failure, Forward, MAX_TARGETS, Output, Record};

use alloc::vec::Vec;

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::object::StateModel;

/// What decides where a call goes.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// This node.
    pub me: &'a NodeId,
    /// How it came here.
    pub arrival: Arrival,
    /// How its connector keeps state.
    pub state: &'a StateModel,
    /// Who holds the lease of a connector with a single writer, as far as this node knows.
    pub holder: Option<&'a NodeId>,
    /// Whether this node runs the connector.
    pub runs_here: bool,
    /// Other nodes that run it, the best first, as a [ranking](super::planner::Ranking) has them.
    pub others: &'a [NodeId],
}

/// How a call came to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// From a caller of this node.
    FromCaller,
    /// From another node.
    Forwarded,
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// It is run here.
    Here,
    /// To this node and to no other.
    Only(NodeId),
    /// To the first of these that can be reached; at least one.
    FirstOf(Vec<NodeId>),
    /// It is run nowhere.
    Nowhere(NoRoute),
}

/// Why a call goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// No node is known that runs the connector.
    NobodyRunsIt,
    /// Nobody is known to hold the lease of the single writer.
    NoHolder,
    /// It was forwarded here, and is not run here: there is no second hop.
    NotHere,
}

impl Route {
    /// Where a call goes.
    //= docs/spec/planner.md#routes
    pub fn new(question: &Question<'_>) -> Self {
        let Question { me, arrival, state, holder, runs_here, others } = *question;
        let is_holder = holder == Some(me);
        let has_one_writer = match state {
            StateModel::SingletonWriter {} => true,
            StateModel::Stateless {} | StateModel::Crdt { .. } => false,
        };
        if runs_here && (is_holder || !has_one_writer) {
            return Self::Here;
        }
        match (arrival, has_one_writer, holder) {
            (Arrival::Forwarded, ..) => Self::Nowhere(NoRoute::NotHere),
            (Arrival::FromCaller, false, _) => first_of(me, others),
            (Arrival::FromCaller, true, None) => Self::Nowhere(NoRoute::NoHolder),
            (Arrival::FromCaller, true, Some(_)) if is_holder => Self::Nowhere(NoRoute::NobodyRunsIt),
            (Arrival::FromCaller, true, Some(holder)) => Self::Only(holder.clone()),
        }
    }
}

fn first_of(me: &NodeId, others: &[NodeId]) -> Route {
    let others: Vec<_> = others.iter().filter(|node| *node != me).take(MAX_TARGETS).cloned().collect();
    if others.is_empty() { Route::Nowhere(NoRoute::NobodyRunsIt) } else { Route::FirstOf(others) }
}
