//! Joins the contract's table with what serves each route.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use fcp_api::routes::{DOCUMENT_PATH, Endpoint, Method, Route};
use fcp_api::types::{ErrorBody, Source};
use fcp_proto_core::error::Code;
use fcp_proto_core::object::TraceContext;
use fcp_proto_core::time::Now;
use http::HeaderMap;

use super::access::Caller;
use super::answer::{self, Answer};
use super::connection::{Peer, most};
use crate::daemon::App;

/// A request for one endpoint, read and admitted.
pub(super) struct Ask<E: Endpoint> {
    pub(super) app: Arc<App>,
    pub(super) caller: Caller,
    pub(super) peer: Arc<Peer>,
    /// The path's parameters, in order.
    pub(super) path: Vec<String>,
    pub(super) query: E::Query,
    pub(super) body: E::Request,
    pub(super) trace: Option<TraceContext>,
    pub(super) now: Now,
}

impl<E: Endpoint> Ask<E> {
    /// The path's parameter at `index`, read as an identifier.
    ///
    /// # Errors
    /// [`Code::InvalidName`].
    pub(super) fn path<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        index: usize,
    ) -> Result<T, ErrorBody> {
        let text = self.path.get(index).ok_or_else(|| ErrorBody::new(Code::Internal))?;
        text.parse().map_err(|error| {
            ErrorBody::new(Code::InvalidName).because(format!("{:?} in the path {error}", truncated(text)))
        })
    }
}

/// What an identifier in an error shows of a text that is none.
fn truncated(text: &str) -> String {
    text.chars().take(128).collect()
}

/// An endpoint of the contract, as this daemon serves it.
pub(super) trait Serve: Endpoint + Sized + 'static {
    /// On whose word its answer stands.
    const SOURCE: Source = Source::Host;
    /// Whether a caller may ask for what changed.
    const CONDITIONAL: bool = false;

    /// Serves a request.
    fn serve(ask: Ask<Self>) -> impl Future<Output = Result<Self::Answer, ErrorBody>> + Send;
}

/// A request that was received whole and is not read yet.
pub(super) struct Received {
    pub(super) app: Arc<App>,
    pub(super) peer: Arc<Peer>,
    pub(super) headers: HeaderMap,
    pub(super) path: Vec<String>,
    pub(super) query: String,
    pub(super) body: Bytes,
    pub(super) now: Now,
}

type Served = Pin<Box<dyn Future<Output = Result<Answer, ErrorBody>> + Send>>;

/// A route and what serves it.
#[derive(Clone, Copy)]
pub(super) struct Mounted {
    pub(super) route: Route,
    pub(super) serve: fn(Received) -> Served,
}

const fn mounted<E>() -> Mounted
where
    E: Serve,
    E::Query: Send,
    E::Request: Send,
    E::Answer: Send,
{
    Mounted { route: E::ROUTE, serve: |received| Box::pin(serve::<E>(received)) }
}

async fn serve<E>(received: Received) -> Result<Answer, ErrorBody>
where
    E: Serve,
    E::Query: Send,
    E::Request: Send,
    E::Answer: Send,
{
    let Received { app, peer, headers, path, query, body, now } = received;
    let caller = Caller::identify(&app, &peer, &headers, E::ROUTE.access, now).await?;
    let _share = caller.only().map(|agent| peer.place.of_agent(agent, most(&app))).transpose()?;
    let place = E::CONDITIONAL.then(|| format!("{} {path:?} {query}", E::ROUTE.path));
    let query = fcp_api::query::read(&query)?;
    let body = fcp_api::body::read_request(&body, E::ROUTE.max_request_bytes)?;
    let trace = super::trace::read(&headers);
    let ask = Ask { app: Arc::clone(&app), caller, peer, path, query, body, trace, now };
    let body = E::serve(ask).await?;
    let conditional = place.map(|place| answer::Condition::read(place, &headers));
    answer::write(&app, body, E::SOURCE, conditional, now)
}

/// Mounts endpoints by name.
macro_rules! mount {
    ($($name:ident),+ $(,)?) => {
        /// Every route that is served, in the order of the contract's table.
        const MOUNTED: &[Mounted] = &[$(mounted::<fcp_api::routes::$name>()),+];
    };
}

mount! {
    GetHealth, GetStatus, Shutdown,
    GetCeremony, BeginCeremony, ConfirmCeremony,
    IssueChallenge, UnlockOperator, LockOperator, OpenSession, CloseSession, MintTokens,
    ListConnectors, InstallConnector, GetConnector, RemoveConnector, EnableConnector, DisableConnector,
    ListOperations, GetOperation,
    PrepareCall, InvokeOperation, SimulateCall, PreflightOperation, ListCalls, GetCall, CancelCall,
    SettleCall, ProbeCall,
    ListReceipts, GetReceipt, GetResult,
    FileRequest, ListApprovals, WatchApprovals, GetApproval, PreviewGrant, ApproveRequest, DenyRequest,
    FileGrantRequest, GetGrantRequest, ApproveGrantRequest, DenyGrantRequest,
    ListAgents, AddAgent, GetAgent, ListGrants, GetGrant, AddGrant,
    ListRoles, GetRole, AddRole, RemoveRole, AssignRole, WithdrawRole,
    ListOperators, GetOperator, AddOperator, RestoreOwner, RenewNode, ReplaceNode, ListRevocations, Revoke,
    OpenContext, GetContext, ListZones, GetZone,
    AddZone, RekeyZone, ChangePolicy,
    ListCredentials, PutCredential, RemoveCredential, TestCredential,
    ListAuditEvents, GetAuditHead, VerifyAudit, Explain, InspectToken, ListExceptions, AddException,
    RemoveException,
}

/// What a request line leads to.
pub(super) enum Found {
    /// A route, with the path's parameters.
    Route(&'static Mounted, Vec<String>),
    /// The path exists, and not with this method.
    OtherMethod,
    /// There is no such path.
    Nothing,
}

/// The table of what is served.
#[derive(Clone, Copy, Debug, Default)]
pub struct Table;

impl Table {
    /// The names of the routes that are served.
    pub fn names() -> impl Iterator<Item = &'static str> {
        MOUNTED.iter().map(|mounted| mounted.route.name)
    }

    /// The methods that a path takes.
    pub(super) fn methods(path: &str) -> Vec<String> {
        let own = (path == DOCUMENT_PATH).then_some(http::Method::GET);
        let mounted = MOUNTED.iter().filter(|mounted| matches(mounted.route.path, path).is_some());
        let methods = mounted.map(|mounted| http::Method::from(mounted.route.method)).chain(own);
        methods.map(|method| method.to_string()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Finds the route of a request. A fixed segment stands before a parameter in the contract's table.
    pub(super) fn find(method: &http::Method, path: &str) -> Result<Found, ErrorBody> {
        let mut other_method = path == DOCUMENT_PATH;
        for mounted in MOUNTED {
            let Some(parameters) = matches(mounted.route.path, path) else { continue };
            if http::Method::from(mounted.route.method) != *method {
                other_method = true;
                continue;
            }
            let parameters =
                parameters.into_iter().map(fcp_api::query::unescape).collect::<Result<_, _>>()?;
            return Ok(Found::Route(mounted, parameters));
        }
        Ok(if other_method { Found::OtherMethod } else { Found::Nothing })
    }
}

/// The parameters of `path`, if it has the shape of `pattern`.
fn matches<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut parameters = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parameters),
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {
                parameters.push(given)
            }
            (Some(wanted), Some(given)) if wanted == given => {}
            (Some(_) | None, Some(_) | None) => return None,
        }
    }
}

/// Whether a method changes nothing, so that its route may be asked while the daemon stops.
pub(super) const fn only_reads(method: Method) -> bool {
    match method {
        Method::Get => true,
        Method::Post | Method::Put | Method::Delete => false,
    }
}
