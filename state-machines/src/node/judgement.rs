//! Which grant a call stands on.
//!
//! A principal may have several grants of one operation. Each is judged whole and alone, by the same gate, on a token of
//! its own; the first that lets the call pass is the one that it stands on, and only that one is charged. So a narrow
//! grant hides no broad one, and no two ever lend each other anything. Spec: `docs/spec/sessions.md`.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use fcp_proto_core::crypto::hash;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, PrincipalId, ZoneId};
use fcp_proto_core::time::{Now, UnixTime};

use super::caller::{Caller, How};
use super::facts::Prepared;
use super::revoked::Rests;
use super::tokens::ReadToken;
use super::word::Word;
use super::{CallRequest, Failure, Node, SchemaCheck, SessionId};
use crate::call::gate::{self, Decision, Denial};

/// Grants on which one call is tried. Chosen: more than a person oversees, and few enough that a call stays quick.
pub const MAX_CANDIDATES: usize = 64;

/// The grants on which a call is tried.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidates {
    /// By their ids.
    pub tried: BTreeSet<ObjectId>,
    /// How many newer ones are left out.
    left: usize,
}

impl Node {
    /// Decides over a call, with everything that the decision rests on.
    pub(super) fn judge(
        &mut self,
        call: &CallRequest,
        now: Now,
        schema: &dyn SchemaCheck,
    ) -> Result<(Prepared, Decision), Failure> {
        let caller = self.identify(&call.by, now.unix)?;
        self.judge_of(call, caller, now, schema)
    }

    /// As [`Node::judge`], for a caller that is known.
    pub(super) fn judge_of(
        &mut self,
        call: &CallRequest,
        caller: Caller,
        now: Now,
        schema: &dyn SchemaCheck,
    ) -> Result<(Prepared, Decision), Failure> {
        let mut prepared = self.prepare(call, &caller, now, schema)?;
        let mut decision = match caller.how {
            How::Session(session) => self.judge_each(session, &mut prepared, now),
            How::Token(token) => self.judge_on(&mut prepared, token, now),
            How::Word(token, word) => self.judge_on_word(&mut prepared, token, *word, now),
        };
        if let Decision::Denied(denial) = &mut decision {
            self.say_what_is_revoked(denial, &Rests::of(&prepared.facts), now.unix);
        }
        Ok((prepared, decision))
    }

    fn judge_on(&self, prepared: &mut Prepared, token: ReadToken, now: Now) -> Decision {
        let grants = token.grants();
        self.stand(prepared, token, &grants, now);
        gate::decide(&prepared.facts, now.unix)
    }

    fn judge_on_word(&self, prepared: &mut Prepared, token: ReadToken, word: Word, now: Now) -> Decision {
        let given = self.word_facts(&word, &prepared.facts.principal, now.unix);
        self.stand_on(prepared, token, [(word.id, given)].into(), now);
        prepared.word = Some(word);
        gate::decide(&prepared.facts, now.unix)
    }

    /// Tries each of the principal's grants. If none lets the call pass, the refusal that came latest is told.
    //= docs/spec/sessions.md#which-grant-a-call-stands-on
    fn judge_each(&mut self, session: SessionId, prepared: &mut Prepared, now: Now) -> Decision {
        let candidates = core::mem::take(&mut prepared.candidates);
        let mut furthest: Option<(Denial, ReadToken)> = None;
        let mut used_up = None;
        for grant in &candidates.tried {
            let Some(token) = self.token_on(session, grant, now.unix) else { continue };
            match self.judge_on(prepared, token.clone(), now) {
                passed @ (Decision::Authorized(_) | Decision::Replay(_)) => return passed,
                Decision::Denied(denial) => {
                    used_up = used_up.or_else(|| self.used_up(prepared, grant, &denial));
                    let reach = |it: &Denial| (it.check, it.standing);
                    if furthest.as_ref().is_none_or(|(before, _)| reach(&denial) > reach(before)) {
                        furthest = Some((denial, token));
                    }
                }
            }
        }
        let Some((mut denial, token)) = furthest else { return self.judge_without(prepared, now) };
        let grants = token.grants();
        self.stand(prepared, token, &grants, now);
        if let Some(rule) = used_up.filter(|_| denial.is_for_want_of_approval()) {
            denial.rule = rule;
        }
        if candidates.left > 0 {
            denial.rule = format!("{}; {} newer grants were not tried", denial.rule, candidates.left);
        }
        Decision::Denied(denial)
    }

    /// Of a call that a standing approval would have spared an approval, were its calls or bytes not used up: that they are.
    fn used_up(&self, prepared: &Prepared, grant: &ObjectId, denial: &Denial) -> Option<String> {
        let given = self.authority.grant_by_id(grant)?.grant.standing_approval.as_ref()?;
        let input = hash::digest(prepared.facts.input.as_ref().ok()?.canonical.as_bytes());
        let over = matches!(denial.code, Code::CallLimitReached | Code::ByteLimitReached);
        (over && given.is_for_input(&input)).then(|| {
            format!("the standing approval of the grant {grant} is of no use any more: {}", denial.rule)
        })
    }

    /// No grant in force gives the operation: the gate says so, of the newest that ever named it.
    //= docs/spec/sessions.md#which-grant-a-call-stands-on
    fn judge_without(&self, prepared: &mut Prepared, now: Now) -> Decision {
        let facts = &prepared.facts;
        let named = self.authority.grants().filter(|(_, known)| {
            known.grant.connector == facts.connector_id
                && known.grant.operations.contains(&facts.operation_id)
                && self.authority.names(&known.grant.grantee, &facts.principal)
        });
        let newest = named.max_by_key(|(id, known)| (known.created_at, **id)).map(|(id, _)| *id);
        self.stand(prepared, ReadToken::absent(), &newest.into_iter().collect(), now);
        gate::decide(&prepared.facts, now.unix)
    }

    /// The grants in force that give the operation. Where there are too many the newest are left out, so that another
    /// grant takes nothing away from what was permitted before.
    pub(super) fn candidates(
        &self,
        call: &CallRequest,
        principal: &PrincipalId,
        zone: &ZoneId,
        now: UnixTime,
    ) -> Candidates {
        let given = self.grants_in_force(principal, zone, now).filter(|(_, known)| {
            known.grant.connector == call.connector && self.carries(known, &call.operation)
        });
        let mut given: Vec<_> = given.map(|(id, known)| (known.created_at, *id)).collect();
        given.sort_unstable();
        let left = given.len().saturating_sub(MAX_CANDIDATES);
        given.truncate(MAX_CANDIDATES);
        Candidates { tried: given.into_iter().map(|(_, id)| id).collect(), left }
    }
}
