//! After any history, a restarted node decides every call as the live one would.

use crate::home::{Home, agent, approval, everything, policy, work};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::{
    ApprovalDecision, Budget, ConnectorState, Effect, RevocationScope, Usage, ZonePolicy,
};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::token::constraints::Constraints;
use fcp_state_machines::node::{Answer, CallRequest, Outcome, Request};
use fcp_state_machines::persist::{Completion, Refusal};

const HISTORIES: u8 = 10;
const STEPS: usize = 40;

/// A history that is being made.
struct History {
    home: Home,
    dice: Entropy,
    grants: Vec<ObjectId>,
    version: u64,
}

impl History {
    fn new(seed: u8) -> Self {
        let mut home = Home::new();
        let grants = vec![home.grant(everything())];
        Self { home, dice: Entropy::from_seed(&[seed; 32].into()), grants, version: 1 }
    }

    fn pick(&mut self, bound: usize) -> usize {
        usize::try_from(self.dice.below(bound as u64)).expect("a small number")
    }

    fn call(&mut self) -> CallRequest {
        let name = ["notes.get", "notes.comments", "notes.touch", "notes.put"][self.pick(4)];
        let key = [None, Some("k1"), Some("k2"), Some("k3")][self.pick(4)];
        let note = ["a", "b"][self.pick(2)];
        let mut call = self.home.call(name, &input(name, note), key);
        call.keep = self.pick(3) == 0;
        call
    }

    fn outcome(&mut self) -> Outcome {
        let usage = Usage {
            requests: self.dice.below(4),
            bytes_sent: self.dice.below(100),
            bytes_received: self.dice.below(100),
            duration_ms: 0,
        };
        let effect = [Effect::None, Effect::Made, Effect::Unknown][self.pick(3)];
        let code = [Code::InputInvalid, Code::ConnectorFailed, Code::ConnectorUnavailable][self.pick(3)];
        let message = String::from("so it is");
        match self.pick(6) {
            0 => Outcome::NotDelivered { code, message },
            1 => Outcome::Failed { code, message, effect, usage, retry_after_ms: None },
            2 => Outcome::Unknown { code, message, usage },
            _ => Outcome::Succeeded { output: "{}".into(), effect, usage },
        }
    }

    fn step(&mut self) {
        match self.pick(16) {
            0..=6 => {
                let (call, outcome) = (self.call(), self.outcome());
                let _permitted = self.home.invoke_with(call, outcome);
            }
            7 | 8 => self.decide_request(),
            9 => {
                let constraints = Constraints {
                    max_calls: [None, Some(3)][self.pick(2)],
                    max_bytes: [None, Some(400)][self.pick(2)],
                    ..everything()
                };
                let grant = self.home.grant(constraints);
                self.grants.push(grant);
            }
            10 => {
                let at = self.pick(self.grants.len());
                let grant = self.grants[at];
                self.home.revoke(RevocationScope::Capability, grant.as_bytes());
            }
            11 => {
                let opened = Request::OpenContext { principal: agent(), actor: "op".into() };
                self.home.ask(opened).expect("a context");
            }
            12 => self.settle_one(),
            13 => self.change_rules(),
            14 => self.refuse_one(),
            _ => {
                let secs = self.dice.below(45) + 1;
                self.home.pass(secs);
            }
        }
        // Time passes, so that no two objects are the same.
        self.home.pass(1);
    }

    fn decide_request(&mut self) {
        let key = [Some("k1"), Some("k2"), Some("k3")][self.pick(3)];
        let call = self.home.call("notes.put", &input("notes.put", "a"), key);
        let filed = self.home.ask(Request::FileApproval { call, note: None, valid_secs: 600 });
        let Ok(Answer::Filed(filed)) = filed else { return };
        let mut token = approval(&filed, self.home.now);
        if self.pick(4) == 0 {
            token.decision = ApprovalDecision::Deny;
        }
        self.home.operate(&work(), token);
    }

    fn settle_one(&mut self) {
        let Some(intent) = self.home.node.unsettled().next().copied() else { return };
        let effect = [Effect::None, Effect::Made][self.pick(2)];
        let settle = Request::Settle { intent, effect, note: None, actor: "op".into() };
        self.home.ask(settle).expect("a settlement");
    }

    fn change_rules(&mut self) {
        if self.pick(3) == 0 {
            let enabled = self.pick(3) > 0;
            let connector = "notes".parse().expect("an id");
            self.home.operate(&work(), ConnectorState { connector, enabled, removed: false, reason: None });
            return;
        }
        self.version += 1;
        let budget = Budget { name: "b".into(), unit: "requests".into(), amount: 30, period_secs: 600 };
        let budgets = if self.pick(2) == 0 { vec![budget] } else { Vec::new() };
        let max_token_secs = [900, 60][self.pick(2)];
        self.home.operate(&work(), ZonePolicy { budgets, max_token_secs, ..policy(self.version) });
    }

    /// A call whose intent the disk has no room for.
    fn refuse_one(&mut self) {
        let call = self.call();
        self.home.disk_answers = false;
        self.home.send(Request::Invoke(call));
        self.home.run();
        while !self.home.waiting.is_empty() {
            self.home.disk(Completion::Refused(Refusal::Full));
        }
        self.home.disk_answers = true;
        assert!(self.home.dispatched.is_empty());
    }

    /// What the node decides over each of all calls.
    fn decisions(&mut self) -> Vec<String> {
        self.home.node.handle_timeout(self.home.now);
        self.home.run();
        let mut decided = Vec::new();
        for name in ["notes.get", "notes.comments", "notes.touch", "notes.put"] {
            for key in [None, Some("k1"), Some("k2"), Some("k3")] {
                for note in ["a", "b"] {
                    let call = self.home.call(name, &input(name, note), key);
                    let answer = match self.home.ask(Request::Simulate(call)) {
                        Ok(Answer::Simulated {
                            refused,
                            replay,
                            approvals,
                            standing_approval: _,
                            bound: _,
                        }) => {
                            format!(
                                "{:?} {replay:?} {approvals:?}",
                                refused.map(|it| (it.check, it.code, it.rule))
                            )
                        }
                        Ok(other) => panic!("{other:?}"),
                        Err(failure) => failure.code.name().to_string(),
                    };
                    decided.push(format!("{name} {note} {key:?}: {answer}"));
                }
            }
        }
        decided
    }
}

fn input(name: &str, note: &str) -> String {
    if name == "notes.put" {
        format!(r#"{{"note":"{note}","text":"hello"}}"#)
    } else {
        format!(r#"{{"note":"{note}"}}"#)
    }
}

#[test]
fn a_restarted_node_decides_as_the_live_one() {
    let mut permitted = 0;
    for seed in 0..HISTORIES {
        let mut history = History::new(seed);
        for step in 0..STEPS {
            history.step();
            assert!(!history.home.node.has_failed(), "history {seed}, step {step}");
            if step % 8 == 7 {
                let live = history.decisions();
                permitted += live.iter().filter(|it| it.contains(": None None []")).count();
                history.home.restart();
                assert_eq!(history.decisions(), live, "history {seed}, step {step}");
            }
        }
    }
    assert!(permitted > 25, "histories permit something: {permitted}");
}
