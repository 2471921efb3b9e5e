//! Places for connections, and whose is taken when there is none left.
//!
//! A connection that comes is never kept waiting. If all places are taken, one ends that nobody is being answered on:
//! one on which nothing is open before one with a session, one of whoever has the most before any other, and of those
//! the one that has shown nothing for the longest. An operator's stays.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fcp_api::types::ErrorBody;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::PrincipalId;
use tokio::sync::Notify;

use crate::daemon::Origin;

/// Places beyond `limits.connections`, which no exchange takes but an operator's and those that open an operator's key.
/// Chosen: twice the tries at a passphrase that may wait.
const RESERVE: usize = 16;

/// How long a connection on which nothing is open may rest, or take to send the head of a request. Chosen: a head is
/// one write; one that is slower holds a place for nothing.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// What is open on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Nothing.
    Unknown,
    /// An agent's session, which ends with it.
    Session,
    /// An operator's key, which ends with it.
    Operator,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It rests, or a head is on its way.
    Head,
    /// A head is here, its body is on its way.
    Body,
    /// It is being answered.
    Answer,
}

/// Which exchanges have a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// Anybody's: as many as `limits.connections`.
    Common,
    /// An operator's, and those that open an operator's key: they need the reserve.
    Reserved,
}

/// All places.
#[derive(Debug, Default)]
pub(super) struct Places {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: BTreeMap<u64, Taken>,
    /// Counts what happens, so that what happened last is known without a clock.
    turn: u64,
    /// Exchanges of [`Share::Common`] that are being answered.
    common: usize,
    /// Those of each agent.
    agents: BTreeMap<PrincipalId, usize>,
}

/// A place that is taken.
#[derive(Debug)]
struct Taken {
    origin: Origin,
    standing: Standing,
    phase: Phase,
    /// When it last showed something.
    turn: u64,
    /// Told when the place goes to another.
    lost: Arc<Notify>,
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    connection: u64,
    lost: Arc<Notify>,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection; nothing if every other one is an operator's or being answered.
    //= docs/spec/api.md#room
    pub(super) fn take(self: &Arc<Self>, connection: u64, origin: Origin, most: usize) -> Option<Place> {
        let mut state = self.lock();
        while state.taken.len() >= most.saturating_add(RESERVE) {
            let ended = state.first_to_end()?;
            let ended = state.taken.remove(&ended)?;
            tracing::debug!(origin = ?ended.origin, standing = ?ended.standing, "a connection gave its place away");
            ended.lost.notify_one();
        }
        let lost = Arc::new(Notify::new());
        let turn = state.next_turn();
        let taken =
            Taken { origin, standing: Standing::Unknown, phase: Phase::Head, turn, lost: Arc::clone(&lost) };
        state.taken.insert(connection, taken);
        Some(Place { places: Arc::clone(self), connection, lost })
    }
}

impl State {
    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn show(&mut self, connection: u64, phase: Phase) {
        let turn = self.next_turn();
        if let Some(taken) = self.taken.get_mut(&connection) {
            (taken.phase, taken.turn) = (phase, turn);
        }
    }

    /// The connection that ends first.
    fn first_to_end(&self) -> Option<u64> {
        let mut counts = BTreeMap::<Origin, usize>::new();
        for taken in self.taken.values() {
            *counts.entry(taken.origin).or_default() += 1;
        }
        let count = |origin| counts.get(&origin).copied().unwrap_or(0);
        let may_end = |(_, taken): &(&u64, &Taken)| {
            taken.phase != Phase::Answer && taken.standing != Standing::Operator
        };
        let order = |(_, taken): &(&u64, &Taken)| (taken.standing, Reverse(count(taken.origin)), taken.turn);
        self.taken.iter().filter(may_end).min_by_key(order).map(|(connection, _)| *connection)
    }
}

impl Place {
    /// Returns when the place goes to another, or when the connection has rested for too long.
    pub(super) async fn lost(&self) {
        self.lost_within(HEAD_WITHIN).await;
    }

    async fn lost_within(&self, head: Duration) {
        let rested = async {
            loop {
                let turn = self.turn();
                tokio::time::sleep(head).await;
                if self.has_rested_since(turn) {
                    return;
                }
            }
        };
        tokio::select! {
            () = self.lost.notified() => {}
            () = rested => {}
        }
    }

    fn turn(&self) -> Option<u64> {
        self.places.lock().taken.get(&self.connection).map(|taken| taken.turn)
    }

    fn has_rested_since(&self, turn: Option<u64>) -> bool {
        self.places.lock().taken.get(&self.connection).is_none_or(|taken| {
            taken.phase == Phase::Head && taken.standing == Standing::Unknown && Some(taken.turn) == turn
        })
    }

    /// Notes what is open on the connection.
    pub(super) fn stands(&self, standing: Standing) {
        if let Some(taken) = self.places.lock().taken.get_mut(&self.connection) {
            taken.standing = standing;
        }
    }

    /// Notes that the head of a request is here.
    pub(super) fn begin(&self) -> Exchange {
        self.places.lock().show(self.connection, Phase::Body);
        Exchange { places: Arc::clone(&self.places), connection: self.connection, share: None }
    }

    /// Room for one more exchange of an agent, of which no other than its own are counted.
    ///
    /// # Errors
    /// [`Code::Exhausted`] if a quarter of `most` are being answered.
    //= docs/spec/api.md#room
    pub(super) fn of_agent(&self, agent: &PrincipalId, most: usize) -> Result<AgentsShare, ErrorBody> {
        let mut state = self.places.lock();
        let count = state.agents.entry(agent.clone()).or_default();
        if *count >= (most / 4).max(1) {
            let why = format!("{agent} has as many requests open as one agent may");
            return Err(ErrorBody::new(Code::Exhausted).because(why).next("wait for one to be answered"));
        }
        *count += 1;
        Ok(AgentsShare { places: Arc::clone(&self.places), agent: agent.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().taken.remove(&self.connection);
    }
}

/// An exchange, from its head to its answer. It outlives its connection if its caller goes away, and still counts.
#[derive(Debug)]
pub(super) struct Exchange {
    places: Arc<Places>,
    connection: u64,
    share: Option<Share>,
}

impl Exchange {
    /// Notes that the request is here whole, and is being answered from now on.
    ///
    /// # Errors
    /// [`Code::Exhausted`] if as many are as `most`.
    //= docs/spec/api.md#room
    pub(super) fn answer(&mut self, share: Share, most: usize) -> Result<(), ErrorBody> {
        let mut state = self.places.lock();
        if share == Share::Common {
            if state.common >= most {
                let why = "as many requests are open as limits.connections";
                return Err(ErrorBody::new(Code::Exhausted).because(why));
            }
            state.common += 1;
        }
        state.show(self.connection, Phase::Answer);
        drop(state);
        self.share = Some(share);
        Ok(())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut state = self.places.lock();
        if self.share == Some(Share::Common) {
            state.common -= 1;
        }
        state.show(self.connection, Phase::Head);
    }
}

/// One exchange of an agent's.
#[derive(Debug)]
pub(super) struct AgentsShare {
    places: Arc<Places>,
    agent: PrincipalId,
}

impl Drop for AgentsShare {
    fn drop(&mut self) {
        let mut state = self.places.lock();
        if let Some(count) = state.agents.get_mut(&self.agent) {
            *count -= 1;
            if *count == 0 {
                state.agents.remove(&self.agent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 4;

    fn process(pid: i32) -> Origin {
        Origin::Process { uid: 1000, pid: Some(pid) }
    }

    fn all(places: &Places) -> Vec<u64> {
        places.lock().taken.keys().copied().collect()
    }

    /// Takes every place but one for a process that shows nothing.
    fn flooded(places: &Arc<Places>) -> Vec<Place> {
        (100..100 + (MOST + RESERVE - 1) as u64)
            .map(|at| places.take(at, process(9), MOST).unwrap())
            .collect()
    }

    //= docs/spec/api.md#room
    #[test]
    fn whoever_has_the_most_loses_its_longest_silent_one() {
        let places = Arc::new(Places::default());
        let _early = places.take(1, process(1), MOST).unwrap();
        let _flood = flooded(&places);
        let _late = places.take(2, process(2), MOST).unwrap();
        assert!(all(&places).starts_with(&[1, 2, 101, 102]), "{:?}", all(&places));
    }

    //= docs/spec/api.md#room
    #[test]
    fn an_operators_place_and_one_that_is_answered_are_not_taken_away() {
        let places = Arc::new(Places::default());
        let flood = flooded(&places);
        flood[0].stands(Standing::Operator);
        let mut answered = flood[1].begin();
        answered.answer(Share::Common, MOST).unwrap();
        flood[2].stands(Standing::Session);
        let slow = flood[3].begin();
        let _more: Vec<_> = (0..3).map(|at| places.take(at, process(9), MOST).unwrap()).collect();
        assert_eq!(all(&places)[3..6], [100, 101, 102], "the slow body is no answer: {:?}", all(&places));
        drop((slow, answered));
        for place in &flood {
            place.stands(Standing::Operator);
        }
        for place in &_more {
            place.stands(Standing::Operator);
        }
        assert!(places.take(50, process(50), MOST).is_none(), "there is none to take");
    }

    //= docs/spec/api.md#room
    #[test]
    fn exchanges_leave_the_reserve_to_operators() {
        let places = Arc::new(Places::default());
        let place = places.take(1, process(1), MOST).unwrap();
        let mut open: Vec<_> = (0..MOST).map(|_| place.begin()).collect();
        for exchange in &mut open {
            exchange.answer(Share::Common, MOST).unwrap();
        }
        let refused = place.begin().answer(Share::Common, MOST).unwrap_err();
        assert_eq!(refused.code, Code::Exhausted);
        place.begin().answer(Share::Reserved, MOST).unwrap();
        open.pop();
        place.begin().answer(Share::Common, MOST).unwrap();
    }

    //= docs/spec/api.md#room
    #[test]
    fn one_agent_has_no_more_than_its_share() {
        let places = Arc::new(Places::default());
        let place = places.take(1, process(1), MOST).unwrap();
        let (one, other) = (PrincipalId::new("one").unwrap(), PrincipalId::new("other").unwrap());
        let held = place.of_agent(&one, MOST).unwrap();
        assert_eq!(place.of_agent(&one, MOST).unwrap_err().code, Code::Exhausted);
        assert!(place.of_agent(&other, MOST).is_ok());
        drop(held);
        assert!(place.of_agent(&one, MOST).is_ok());
    }

    //= docs/spec/api.md#room
    #[tokio::test]
    async fn a_connection_rests_for_long_only_if_something_is_open_on_it() {
        let places = Arc::new(Places::default());
        let place = places.take(1, process(1), MOST).unwrap();
        let turn = place.turn();
        assert!(place.has_rested_since(turn));
        place.stands(Standing::Session);
        assert!(!place.has_rested_since(turn));
        place.stands(Standing::Unknown);
        let body = place.begin();
        assert!(!place.has_rested_since(place.turn()), "its body has a time of its own");
        drop(body);
        assert!(!place.has_rested_since(turn), "it showed something meanwhile");
        place.lost_within(Duration::from_millis(1)).await;
    }
}
