//! The gate against a second decision function that was written from the spec alone.
//!
//! `cargo test` compares them over 20,000 worlds, `just oracle` over a million; see `docs/dev/oracle.md`. A world is drawn
//! from its number, so the number that a failure prints is the whole world.

mod approvals;
mod bounds;
mod flow;
mod mutations;
mod reference;
mod tokens;
mod worlds;

use std::collections::BTreeMap;
use std::thread;

use fcp_proto_core::error::Code;
use fcp_proto_core::object::GateCheck;
use fcp_proto_core::time::UnixTime;
use fcp_state_machines::call::gate::{Decision, Facts, decide};

use reference::{Verdict, reference};
use worlds::{NOW, Plan};

/// Where the numbers of the worlds begin: any other would do.
const SEED: u64 = 2026_0101;

/// Every code that the spec names for a check.
const NAMED: &[(GateCheck, &[Code])] = &[
    (
        GateCheck::Decode,
        &[
            Code::MalformedInput,
            Code::DuplicateKey,
            Code::InexactNumber,
            Code::InputTooLarge,
            Code::OutOfRange,
        ],
    ),
    (
        GateCheck::TokenSignature,
        &[
            Code::TokenMalformed,
            Code::TokenAudienceMismatch,
            Code::TokenIssuerUnknown,
            Code::TokenSignatureInvalid,
        ],
    ),
    (
        GateCheck::TokenBinding,
        &[Code::TokenZoneMismatch, Code::TokenIssuerUnknown, Code::TokenExpired, Code::TokenNotYetValid],
    ),
    (
        GateCheck::Revocation,
        &[
            Code::TokenRevoked,
            Code::IssuerKeyRevoked,
            Code::NodeRevoked,
            Code::ConnectorRevoked,
            Code::ZoneKeyRevoked,
            Code::RevocationStale,
        ],
    ),
    (GateCheck::Holder, &[Code::HolderProofMissing, Code::HolderProofInvalid, Code::HolderMismatch]),
    (
        GateCheck::Grants,
        &[
            Code::GrantMissing,
            Code::GrantRevoked,
            Code::GrantIssuerInvalid,
            Code::GrantPrincipalMismatch,
            Code::GrantZoneMismatch,
            Code::GrantExpired,
            Code::OperationNotGranted,
            Code::GrantExceeded,
        ],
    ),
    (
        GateCheck::ZonePolicy,
        &[
            Code::ZoneUnknown,
            Code::ZoneMismatch,
            Code::ZonePolicyDenied,
            Code::OperationForbidden,
            Code::RiskAboveCeiling,
        ],
    ),
    (
        GateCheck::Binding,
        &[
            Code::ConnectorUnknown,
            Code::ConnectorDisabled,
            Code::ConnectorNotInZone,
            Code::OperationUnknown,
            Code::CapabilityMissing,
        ],
    ),
    (
        GateCheck::Idempotency,
        &[
            Code::IdempotencyKeyRequired,
            Code::IdempotencyConflict,
            Code::CallInProgress,
            Code::OutcomeUnknown,
            Code::Exhausted,
        ],
    ),
    (GateCheck::Schema, &[Code::InputInvalid]),
    (
        GateCheck::Constraints,
        &[
            Code::ConstraintsEmpty,
            Code::GrantExpired,
            Code::ResourceNotAllowed,
            Code::CredentialNotAllowed,
            Code::ArgumentNotAllowed,
            Code::CallLimitReached,
            Code::ByteLimitReached,
            Code::CredentialMissing,
            Code::Ambiguous,
        ],
    ),
    (GateCheck::Flow, &[Code::TaintViolation, Code::IntegrityTooLow, Code::ConfidentialityTooHigh]),
    (
        GateCheck::Approval,
        &[
            Code::ApprovalRequired,
            Code::ApprovalInvalid,
            Code::ApprovalDenied,
            Code::ApprovalMismatch,
            Code::ApprovalExpired,
            Code::ApprovalUsed,
        ],
    ),
    (GateCheck::Lease, &[Code::LeaseRequired, Code::LeaseSuperseded, Code::LeaseExpired]),
    (GateCheck::Rates, &[Code::RateLimited, Code::BudgetExceeded, Code::Exhausted]),
];

/// The gate's decision in the reference's words.
fn gate(facts: &Facts, now: UnixTime) -> Verdict {
    match decide(facts, now) {
        Decision::Authorized(authorized) => {
            Verdict::Allow(authorized.approvals().clone(), *authorized.standing_approval())
        }
        Decision::Replay(receipt) => Verdict::Replay(receipt),
        Decision::Denied(denial) => Verdict::Deny(denial.check, denial.code, denial.retry_after_ms),
    }
}

/// How often each verdict was given.
#[derive(Default)]
struct Tally {
    allowed: u64,
    /// Those of them that a standing approval spared one.
    spared: u64,
    replayed: u64,
    denied: BTreeMap<(GateCheck, Code), u64>,
    worlds: u64,
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        self.worlds += 1;
        match verdict {
            Verdict::Allow(_, spared) => {
                self.allowed += 1;
                self.spared += u64::from(spared.is_some());
            }
            Verdict::Replay(_) => self.replayed += 1,
            Verdict::Deny(check, code, _) => *self.denied.entry((*check, *code)).or_default() += 1,
        }
    }

    fn add(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.allowed += other.allowed;
        self.spared += other.spared;
        self.replayed += other.replayed;
        for (key, count) in other.denied {
            *self.denied.entry(key).or_default() += count;
        }
    }

    fn by(&self, check: GateCheck) -> u64 {
        self.denied.iter().filter(|((it, _), _)| *it == check).map(|(_, count)| count).sum()
    }

    fn assert_wide(&self) {
        assert!(self.allowed * 5 >= self.worlds, "{} of {} are allowed", self.allowed, self.worlds);
        assert!(self.replayed > 0, "no world replays");
        assert!(
            self.spared * 100 >= self.worlds,
            "{} of {} are spared an approval",
            self.spared,
            self.worlds
        );
        for (check, codes) in NAMED {
            let decided = self.by(*check);
            assert!(decided * 100 >= self.worlds, "{check} decides {decided} of {}", self.worlds);
            for code in *codes {
                assert!(self.denied.contains_key(&(*check, *code)), "{check} never says {code}");
            }
        }
    }

    fn print(&self) {
        let Self { worlds, allowed, spared, replayed, .. } = self;
        println!("{worlds} worlds: {allowed} allowed ({spared} by a standing approval), {replayed} replayed");
        for (check, codes) in NAMED {
            println!("{check}: {}", self.by(*check));
            for code in *codes {
                println!("    {code} {}: {}", code.name(), self.denied.get(&(*check, *code)).unwrap_or(&0));
            }
        }
    }
}

fn disagree(plan: &Plan) -> bool {
    let (facts, now) = (plan.facts(), UnixTime::from_secs(NOW));
    gate(&facts, now) != reference(&facts, now)
}

/// Decides over the worlds of these numbers.
fn compare(seeds: impl Iterator<Item = u64>) -> Tally {
    let now = UnixTime::from_secs(NOW);
    let mut tally = Tally::default();
    for seed in seeds {
        let plan = Plan::draw(seed);
        let facts = plan.facts();
        let (theirs, ours) = (gate(&facts, now), reference(&facts, now));
        if theirs != ours {
            let small = plan.shrink(disagree);
            let facts = small.facts();
            panic!(
                "world {seed}, {:?} with {:?}\ngate:      {:?}\nreference: {:?}",
                small.base,
                small.names(),
                gate(&facts, now),
                reference(&facts, now)
            );
        }
        tally.count(&ours);
    }
    tally
}

fn compare_many(worlds: u64) -> Tally {
    let threads = thread::available_parallelism().map_or(1, |it| it.get() as u64);
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let step = usize::try_from(threads).expect("a number of threads");
        let part = |first: u64| move || compare((SEED + first..SEED + worlds).step_by(step));
        let running: Vec<_> = (0..threads).map(|first| scope.spawn(part(first))).collect();
        for handle in running {
            match handle.join() {
                Ok(part) => tally.add(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    tally
}

#[test]
fn gate_and_reference_agree_over_20_000_worlds() {
    let tally = compare_many(20_000);
    tally.print();
    tally.assert_wide();
}

#[test]
#[ignore = "a million worlds; run by `just oracle`"]
fn gate_and_reference_agree_over_a_million_worlds() {
    let tally = compare_many(1_000_000);
    println!("seed {SEED}");
    tally.print();
    tally.assert_wide();
}

#[test]
fn every_base_is_allowed() {
    for number in 0..1000 {
        let plan = Plan { changes: Vec::new(), ..Plan::draw(number) };
        let verdict = reference(&plan.facts(), UnixTime::from_secs(NOW));
        assert!(matches!(verdict, Verdict::Allow(..)), "{:?}: {verdict:?}", plan.base);
    }
}

#[test]
fn a_number_gives_one_world() {
    for seed in 0..50 {
        assert_eq!(Plan::draw(seed).facts(), Plan::draw(seed).facts());
    }
}
