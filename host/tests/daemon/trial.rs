//! Tries routes one by one and holds what they leave in the audit against what the table of routes says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fcp_api::client::Client;
use fcp_api::routes::{Endpoint, GetAuditHead, ListAuditEvents, Told};
use fcp_api::types::{AuditHeadQuery, AuditQuery, ErrorBody};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::object::AuditEventKind as Kind;

/// How many events each chain has.
type Ends = BTreeMap<ZoneId, u64>;

/// What was tried so far.
pub struct Trial {
    /// An operator on a connection of its own, who only reads.
    eye: Client,
    home: PathBuf,
    pub done: BTreeSet<&'static str>,
    refused: BTreeMap<&'static str, BTreeSet<Kind>>,
}

/// What a route does when the journal takes nothing.
#[derive(Clone, Copy)]
pub enum OnFull {
    /// It is refused and has no effect.
    Refuses,
    /// It only takes away, which is in force before it is durable; it is not tried.
    TakesAway,
}

impl Trial {
    pub fn new(eye: Client, home: &Path) -> Self {
        Self { eye, home: home.to_owned(), done: BTreeSet::new(), refused: BTreeMap::new() }
    }

    async fn ends(&mut self) -> Ends {
        let heads = self.eye.get::<GetAuditHead>(&[], &AuditHeadQuery::default()).await.unwrap().body;
        heads.chains.into_iter().map(|chain| (chain.zone, chain.events)).collect()
    }

    /// What was told since; what is counted comes in its own time.
    async fn since(&mut self, before: &Ends) -> Vec<Kind> {
        let mut kinds = Vec::new();
        for (zone, end) in self.ends().await {
            let from_seq = Some(before.get(&zone).copied().unwrap_or(0));
            if from_seq == Some(end) {
                continue;
            }
            let query = AuditQuery { zone: Some(zone), from_seq, limit: Some(1000), ..AuditQuery::default() };
            let told = self.eye.get::<ListAuditEvents>(&[], &query).await.unwrap().body.events;
            kinds.extend(told.into_iter().map(|event| event.kind).filter(|kind| *kind != Kind::CallsRefused));
        }
        kinds
    }

    /// Waits until what was counted is told.
    pub async fn counted(&mut self) {
        let query = AuditQuery {
            kind: Some(Kind::CallsRefused),
            last: Some(1),
            wait_ms: Some(30_000),
            ..AuditQuery::default()
        };
        let told = self.eye.get::<ListAuditEvents>(&[], &query).await.unwrap().body.events;
        assert_eq!(told.len(), 1);
    }

    /// A route that stores nothing, whatever it answers.
    pub async fn look<E: Endpoint, T>(
        &mut self,
        mut ask: impl AsyncFnMut() -> Result<T, ErrorBody>,
    ) -> Result<T, ErrorBody> {
        let name = E::ROUTE.name;
        assert!(matches!(E::ROUTE.told, Told::Nothing | Told::Unstored), "{name} writes, says the table");
        let before = self.ends().await;
        let answer = ask().await;
        assert_eq!(self.since(&before).await, [], "{name} stores nothing, says the table");
        self.done.insert(name);
        answer
    }

    /// A route that does something: first on a full disk, then with room.
    pub async fn act<E: Endpoint, T>(
        &mut self,
        full: OnFull,
        mut ask: impl AsyncFnMut() -> Result<T, ErrorBody>,
    ) -> T {
        let name = E::ROUTE.name;
        let Told::Events { done, .. } = E::ROUTE.told else {
            panic!("{name} stores nothing, says the table")
        };
        let before = self.ends().await;
        if let OnFull::Refuses = full {
            fs::write(self.home.with_extension("fault"), "full 1").unwrap();
            let refused = ask().await.err().unwrap_or_else(|| panic!("{name} needs no record"));
            let fired = fs::remove_file(self.home.with_extension("fired")).is_ok();
            assert!(fired, "{name} writes nothing: {refused:?}");
            assert_eq!(refused.code, Code::StoreFull, "{name}: {refused:?}");
            assert_eq!(self.since(&before).await, [], "{name} on a full disk");
        }
        let answer = ask().await.unwrap_or_else(|refused| panic!("{name}: {refused:?}"));
        let told = self.since(&before).await;
        assert!(!told.is_empty() && told.iter().all(|kind| done.contains(kind)), "{name} told {told:?}");
        self.done.insert(name);
        answer
    }

    /// The same route, asked for what it refuses.
    pub async fn refuse<E: Endpoint, T>(
        &mut self,
        mut ask: impl AsyncFnMut() -> Result<T, ErrorBody>,
    ) -> ErrorBody {
        let name = E::ROUTE.name;
        let Told::Events { refused, .. } = E::ROUTE.told else {
            panic!("{name} stores nothing, says the table")
        };
        let before = self.ends().await;
        let answer = ask().await.err().unwrap_or_else(|| panic!("{name} was not refused"));
        let told = self.since(&before).await;
        assert!(told.iter().all(|kind| refused.contains(kind)), "{name} was refused and told {told:?}");
        self.refused.entry(name).or_default().extend(told);
        answer
    }

    /// Every route of the table was tried, every writing one refused too, and every kind that a refusal tells was seen.
    pub fn is_whole(&self) {
        for route in fcp_api::routes::ROUTES {
            let name = route.name;
            assert!(self.done.contains(name), "{name} was not tried");
            let Told::Events { refused, .. } = route.told else { continue };
            let seen = self.refused.get(name).unwrap_or_else(|| panic!("{name} was never refused"));
            // What is counted of calls is seen by the test of floods.
            let counted = |kind: &&Kind| **kind == Kind::CallsRefused;
            let unseen: Vec<_> =
                refused.iter().filter(|kind| !seen.contains(kind) && !counted(kind)).collect();
            assert!(unseen.is_empty(), "no refusal of {name} told {unseen:?}");
        }
    }
}
