//! What was asked, what was told of it, and what must be true of it afterwards.

use std::time::Duration;

use fcp_api::client::Client;
use fcp_api::routes::{InvokeOperation, ListCalls, SettleCall};
use fcp_api::types::{self, CallOptions, CallRequest, ErrorBody, HistoryQuery, Invoke, InvokeAnswer};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ObjectId;
use fcp_proto_core::object::Effect;
use serde_json::{Value, json};

use crate::place::{self, CLI_AGENT, LEDGER, Place};

/// What the caller was told of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was made; whether that is said of an earlier call under the same key.
    Made { receipt: ObjectId, replayed: bool },
    /// Nobody knows; the intent, where it was named.
    Unknown { intent: Option<ObjectId> },
    /// It was not made.
    Refused(Code),
    /// Nothing: the daemon, or the caller, ended before the answer.
    Nothing,
}

/// The call that makes `entry`, under the key of that name.
pub fn entry(connector: &str, operation: &str, entry: &str) -> Invoke {
    Invoke {
        call: CallRequest {
            connector: place::connector(connector),
            operation: place::operation(connector, operation),
            input: json!({ "text": entry }),
            handles: std::collections::BTreeMap::new(),
            zone: None,
            credential: None,
            idempotency_key: Some(entry.into()),
        },
        options: CallOptions::default(),
        holder_proof: None,
    }
}

fn told(answer: &Result<InvokeAnswer, ErrorBody>) -> Told {
    match answer {
        Ok(made) => {
            assert_eq!(made.effect, Effect::Made, "{made:?}");
            Told::Made { receipt: made.receipt_id, replayed: made.replayed }
        }
        Err(error) => refused(error.code, error.why.as_deref().unwrap_or_default()),
    }
}

fn refused(code: Code, why: &str) -> Told {
    match code {
        Code::OutcomeUnknown => {
            let words = why.split(|c: char| !c.is_ascii_hexdigit());
            Told::Unknown { intent: words.filter_map(|word| word.parse().ok()).next() }
        }
        // The daemon was gone before it heard of the call.
        Code::DaemonUnreachable => Told::Nothing,
        code => Told::Refused(code),
    }
}

/// Asks for `name` once.
pub async fn ask(agent: &mut Client, name: &str) -> Told {
    ask_of(agent, LEDGER, name).await
}

/// As [`ask`], through this connector.
pub async fn ask_of(agent: &mut Client, connector: &str, name: &str) -> Told {
    told(&agent.send::<InvokeOperation>(&[], &entry(connector, "add", name)).await.map(|reply| reply.body))
}

/// What a finished `fwc invoke` said; nothing if it was killed.
pub fn said(output: &std::process::Output) -> Told {
    let Ok(document) = serde_json::from_slice::<Value>(&output.stdout) else { return Told::Nothing };
    if output.status.success() {
        let made: InvokeAnswer = serde_json::from_value(document["data"].clone()).unwrap();
        return told(&Ok(made));
    }
    let name = document["error"]["name"].as_str().unwrap();
    let code = Code::ALL.iter().find(|code| code.name() == name).unwrap();
    refused(*code, document["error"]["why"].as_str().unwrap_or_default())
}

/// The words of `fwc` that make `name`.
pub fn typed(name: &str) -> Vec<String> {
    let input = json!({ "text": name }).to_string();
    let words = ["--agent", CLI_AGENT, "invoke", "ledger.add", "--input", &input, "--idempotency-key", name];
    words.map(str::to_owned).into()
}

/// One who asks again.
pub enum Caller<'a> {
    /// The bot, in a session.
    Bot(&'a mut Client),
    /// The agent of the command line.
    Typist,
}

impl Caller<'_> {
    async fn ask(&mut self, place: &Place, name: &str) -> Told {
        match self {
            Caller::Bot(client) => ask(client, name).await,
            Caller::Typist => {
                let words = typed(name);
                let words: Vec<_> = words.iter().map(String::as_str).collect();
                said(&tokio::process::Command::from(place.fwc(&words)).output().await.unwrap())
            }
        }
    }

    /// Asks until the answer is final. What a fault left unfit for a while is waited for.
    pub async fn ask_until_told(&mut self, place: &Place, name: &str) -> Told {
        for _ in 0..600 {
            match self.ask(place, name).await {
                Told::Refused(code) if code.retryable() || code == Code::ConnectorFailed => {
                    tokio::time::sleep(Duration::from_millis(20)).await
                }
                told => return told,
            }
        }
        panic!("{name} is not answered for good");
    }
}

/// Asks for `name` again under its key and holds the answer against what was `told` before and what the service did.
/// In the end the entry was made exactly once.
pub async fn account_for(place: &mut Place, caller: &mut Caller<'_>, name: &str, told: Told) {
    let before = place.service.effects(name);
    let again = caller.ask_until_told(place, name).await;
    let effects = place.service.effects(name);
    let seen = format!("{name}: told {told:?}, then {again:?}; {before} effects, then {effects}");
    match (told, again) {
        (Told::Made { receipt, .. }, Told::Made { receipt: same, replayed: true }) if receipt == same => {}
        (Told::Made { .. }, _) => panic!("what was acknowledged is lost: {seen}"),
        (_, Told::Made { replayed: true, .. }) => assert_eq!((before, effects), (1, 1), "{seen}"),
        (Told::Unknown { .. }, Told::Made { .. }) => panic!("an unknown outcome was forgotten: {seen}"),
        (_, Told::Made { .. }) => assert_eq!((before, effects), (0, 1), "{seen}"),
        (_, Told::Unknown { intent }) => {
            assert_eq!(before, effects, "{seen}");
            settle(place, intent.unwrap_or_else(|| panic!("no intent is named: {seen}")), before == 1).await;
            let settled = caller.ask_until_told(place, name).await;
            assert!(
                matches!(settled, Told::Made { replayed, .. } if replayed == (before == 1)),
                "{seen}, {settled:?} after it was settled"
            );
        }
        (_, Told::Refused(_) | Told::Nothing) => panic!("{seen}"),
    }
    assert_eq!(place.service.effects(name), 1, "{seen}");
}

/// Calls whose outcome nobody knows.
pub async fn unsettled(place: &mut Place) -> Vec<types::CallView> {
    let query = HistoryQuery { unsettled: Some(true), ..HistoryQuery::default() };
    place.operator.get::<ListCalls>(&[], &query).await.unwrap().body.calls
}

/// Says of the call what the service did.
async fn settle(place: &mut Place, intent: ObjectId, happened: bool) {
    let settle = types::Settle { happened, note: "the service was asked".into() };
    place.operator.send::<SettleCall>(&[&intent.to_string()], &settle).await.unwrap();
}
