//! Where requests stand, and in which order they are listed: what waits comes first, by turn, so that no agent's requests
//! hide another's.

use std::cmp::Reverse;

use fcp_api::types::{ApprovalStatus, ErrorBody};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, PrincipalId};
use fcp_proto_core::object::ApprovalDecision;
use fcp_proto_core::time::Now;

use super::withdrawn;
use crate::daemon::{App, ApprovalEntry};

/// Where a request stands, of which `void` says whether it waits in vain.
pub(super) fn status(entry: &ApprovalEntry, void: bool, now: Now) -> ApprovalStatus {
    match entry.decision {
        Some(_) if entry.spent_by.is_some() => ApprovalStatus::Used,
        Some(it) if it.decision == ApprovalDecision::Deny => ApprovalStatus::Denied,
        Some(it) if now.unix < it.expires_at => ApprovalStatus::Approved,
        None if now.unix < entry.expires_at && void => ApprovalStatus::Void,
        None if now.unix < entry.expires_at => ApprovalStatus::Pending,
        Some(_) | None => ApprovalStatus::Expired,
    }
}

/// As [`status`], of one request.
///
/// # Errors
/// [`Code::Draining`] from a node that stops.
pub(super) async fn stands(app: &App, entry: &ApprovalEntry) -> Result<ApprovalStatus, ErrorBody> {
    let id = entry.id;
    let void = app.query(move |node, now| node.why_void(&id, now.unix).is_some()).await?;
    Ok(status(entry, void, app.now()))
}

/// Refuses to approve what waits in vain. The reason of a revocation is told too: whoever approves is an operator.
///
/// # Errors
/// [`Code::Conflict`].
//= docs/spec/calls.md#void-requests
pub(super) async fn check_void(app: &App, id: ObjectId, agent: &PrincipalId) -> Result<(), ErrorBody> {
    let decided = app.records().approval(&id).is_some_and(|entry| entry.decision.is_some());
    let why = app.query(move |node, now| node.why_void(&id, now.unix)).await?;
    let Some(why) = why.filter(|_| !decided) else { return Ok(()) };
    let whose = agent.clone();
    let told = withdrawn::revoked(app, move |node| withdrawn::keys(node, &whose)).await?;
    let why = told.into_iter().fold(why, |why, (_, sentence)| format!("{why}; {sentence}"));
    let next = format!(
        "`fwc approvals deny {id}` answers it; an agent whose key counts asks again, and `fwc agent list` shows them"
    );
    Err(ErrorBody::new(Code::Conflict).because(why).next(next))
}

/// The place of a request in the list.
//= docs/spec/api.md#lists
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// It waits: behind as many of its agent's as waited when it was filed, and then the newer before the older.
    Waiting(u64, Reverse<u64>),
    /// It does not: the newer before the older.
    Other(Reverse<u64>),
}

impl Place {
    /// Of the request with this number, which stands so.
    pub(super) fn of(number: u64, entry: &ApprovalEntry, status: ApprovalStatus) -> Self {
        match status {
            ApprovalStatus::Pending => Self::Waiting(entry.turn, Reverse(number)),
            ApprovalStatus::Approved
            | ApprovalStatus::Denied
            | ApprovalStatus::Expired
            | ApprovalStatus::Used
            | ApprovalStatus::Void => Self::Other(Reverse(number)),
        }
    }

    /// The mark of a page that ends here.
    pub(super) fn mark(self) -> String {
        match self {
            Self::Waiting(turn, Reverse(number)) => format!("{turn}-{number}"),
            Self::Other(Reverse(number)) => number.to_string(),
        }
    }

    /// Where the page ended that has this mark.
    ///
    /// # Errors
    /// [`Code::InputInvalid`] for a mark that no answer gave.
    pub(super) fn read(mark: &str) -> Result<Self, ErrorBody> {
        let read = || match mark.split_once('-') {
            Some((turn, number)) => Some(Self::Waiting(turn.parse().ok()?, Reverse(number.parse().ok()?))),
            None => mark.parse().ok().map(|number| Self::Other(Reverse(number))),
        };
        read().ok_or_else(|| ErrorBody::new(Code::InputInvalid).because("`after` is no mark of a page"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= docs/spec/api.md#lists
    #[test]
    fn what_waits_comes_first_by_turn_and_the_rest_by_age() {
        let (first, newer) = (Place::Waiting(0, Reverse(1)), Place::Waiting(0, Reverse(7)));
        let (second, old, new) =
            (Place::Waiting(1, Reverse(9)), Place::Other(Reverse(2)), Place::Other(Reverse(8)));
        let mut places = [old, second, first, new, newer];
        places.sort();
        assert_eq!(places, [newer, first, second, new, old]);
        for place in places {
            assert_eq!(Place::read(&place.mark()).unwrap(), place);
        }
        for mark in ["", "x", "-", "1-", "-1", "1-2-3"] {
            assert_eq!(Place::read(mark).unwrap_err().code, Code::InputInvalid, "{mark}");
        }
    }
}
