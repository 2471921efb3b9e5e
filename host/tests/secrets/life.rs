//! The life of a credential, and the search for it at each step.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::SystemTime;

use fcp_api::client::Client;
use fcp_api::routes::{
    Endpoint, Explain, GetStatus, InvokeOperation, ListAuditEvents, ListCalls, ListCredentials, ListReceipts,
    RemoveCredential, TestCredential,
};
use fcp_api::types::{AuditQuery, ErrorBody, HistoryQuery, Nothing, ReceiptQuery};
use fcp_proto_core::error::Code;

use crate::accounts::{entry, typed, unsettled};
use crate::canary::{Canary, Search};
use crate::place::{LEDGER, Place, zone};
use crate::processes::{self, Victim};
use crate::processes_searched::{assert_clean, assert_found, assert_leaves_no_core};
use crate::service::{Hold, Stage};

/// A credential's world, and everything that was said in it.
struct Life {
    place: Place,
    began: SystemTime,
    search: Search,
    said: Vec<String>,
}

impl Life {
    /// Nobody holds one: no process, no file, no answer.
    async fn nowhere(&mut self, when: &str) {
        self.others_are_clean(when).await;
        let egress = processes::find(self.place.daemon_id().await, Victim::Egress).await;
        assert_clean(&self.search, &format!("{when}: egress"), egress).await;
        self.at_rest(when);
    }

    /// No process but egress holds one.
    async fn others_are_clean(&self, when: &str) {
        let daemon = self.place.daemon_id().await;
        let egress = processes::find(daemon, Victim::Egress).await;
        let own = self.place.family().await.into_iter().map(|it| it.id).filter(|id| *id != egress);
        for id in own.chain([daemon]) {
            // One that ended meanwhile holds nothing.
            let Ok(words) = std::fs::read_to_string(format!("/proc/{id}/cmdline")) else { continue };
            if !words.is_empty() {
                assert_clean(&self.search, &format!("{when}: {words:?}"), id).await;
            }
        }
    }

    /// No file holds one: journal, index, vault, configuration, logs; and no answer.
    fn at_rest(&self, when: &str) {
        self.search.assert_not_below(self.place.home.parent().unwrap());
        for folder in [std::env::temp_dir(), PathBuf::from("/tmp")] {
            self.search.assert_not_in(&folder, self.began);
        }
        for said in &self.said {
            assert_eq!(self.search.found(said.as_bytes()), None, "{when}: {said}");
        }
    }

    /// Keeps an answer.
    fn keep<T: serde::Serialize>(&mut self, answer: &Result<T, ErrorBody>) {
        self.said.push(match answer {
            Ok(answer) => serde_json::to_string(answer).unwrap(),
            Err(error) => serde_json::to_string(error).unwrap(),
        });
    }

    fn keep_output(&mut self, output: &Output) {
        for stream in [&output.stdout, &output.stderr] {
            self.said.push(String::from_utf8_lossy(stream).into_owned());
        }
    }

    async fn read<E: Endpoint<Request = Nothing>>(&mut self, path: &[&str], query: &E::Query) -> E::Answer
    where
        E::Answer: serde::Serialize,
    {
        let answer = self.place.operator.get::<E>(path, query).await.map(|reply| reply.body);
        self.keep(&answer);
        answer.unwrap()
    }

    /// Reads all that is told of what was done.
    async fn read_everything(&mut self) {
        let calls = self.read::<ListCalls>(&[], &HistoryQuery::default()).await;
        for call in calls.calls {
            self.read::<Explain>(&[&call.call_id.to_string()], &Nothing {}).await;
        }
        self.read::<ListReceipts>(&[], &ReceiptQuery::default()).await;
        self.read::<ListCredentials>(&[], &Nothing {}).await;
        self.read::<GetStatus>(&[], &Nothing {}).await;
        for zone in [None, Some(zone())] {
            self.read::<ListAuditEvents>(&[], &AuditQuery { zone, ..AuditQuery::default() }).await;
        }
    }

    /// The owner stores it, as the owner does.
    async fn set(&mut self, canary: &Canary) {
        let words =
            ["auth", "set", LEDGER, "--connector", LEDGER, "--slot", "token", "--zone", "z:work", "--stdin"];
        let mut typing = self.place.fwc(&words).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        assert_leaves_no_core_soon(typing.id());
        typing.stdin.take().unwrap().write_all(canary.text.as_bytes()).unwrap();
        let output = typing.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        self.keep_output(&output);
    }

    async fn call(&mut self, agent: &mut Client, operation: &str, name: &str) -> Result<(), Code> {
        let answer = agent.send::<InvokeOperation>(&[], &entry(LEDGER, operation, name)).await;
        let answer = answer.map(|reply| reply.body);
        self.keep(&answer);
        answer.map(|_| ()).map_err(|error| error.code)
    }

    /// While the service holds a call of the command line, egress has it and nobody else.
    async fn held(&mut self) {
        let heard = self.place.service.heard();
        self.place.service.hold(Hold { from: heard + 1, stage: Stage::AfterEffect });
        let words = typed("held");
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let typing = self.place.fwc(&words).stderr(Stdio::piped()).spawn().unwrap();
        self.place.service.until_heard(heard + 1).await;
        let daemon = self.place.daemon_id().await;
        let egress = processes::find(daemon, Victim::Egress).await;
        assert_found(&self.search, "egress in a call", egress);
        self.others_are_clean("in a call").await;
        assert_clean(&self.search, "fwc in a call", typing.id()).await;
        let family = self.place.family().await.into_iter().map(|it| it.id);
        for id in family.chain([daemon, typing.id()]) {
            assert_leaves_no_core(&id.to_string(), id);
        }
        self.at_rest("in a call");
        self.place.service.release().await;
        let output = typing.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        self.keep_output(&output);
    }

    /// A call that is given up while the service holds it, by its deadline or because its connector died.
    async fn given_up(&mut self, name: &str, dies: bool) {
        let heard = self.place.service.heard();
        self.place.service.hold(Hold { from: heard + 1, stage: Stage::AfterEffect });
        let mut agent = self.place.session().await;
        let mut invoke = entry(LEDGER, "add", name);
        invoke.options.deadline_ms = (!dies).then_some(3_000);
        let asking = tokio::spawn(async move { agent.send::<InvokeOperation>(&[], &invoke).await });
        self.place.service.until_heard(heard + 1).await;
        if dies {
            processes::kill(processes::find(self.place.daemon_id().await, Victim::Connector).await);
        }
        let answer = asking.await.unwrap().map(|reply| reply.body);
        self.keep(&answer);
        assert_eq!(answer.unwrap_err().code, Code::OutcomeUnknown, "{name}");
        self.place.service.release().await;
        assert!(!unsettled(&mut self.place).await.is_empty(), "{name}");
    }
}

/// A program has its limits a moment after it was started.
fn assert_leaves_no_core_soon(id: u32) {
    let limit = || std::fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    let none = |limits: String| {
        limits.lines().any(|it| it.starts_with("Max core") && it.split_whitespace().nth(4) == Some("0"))
    };
    for _ in 0..200 {
        if none(limit()) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_leaves_no_core("fwc", id);
}

//= docs/spec/keys.md#memory
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_nowhere_but_in_the_sealed_vault_and_in_egress_during_its_call() {
    // The clock by which files are dated.
    let began = tempfile::tempfile().unwrap().metadata().unwrap().modified().unwrap();
    let mut place = Place::new(None).await;
    place.add_typist().await;
    let (first, second) = (Canary::new(), Canary::new());
    let mut life = Life { place, began, search: Search::of(&[&first, &second]), said: Vec::new() };
    life.place.service.take(&first.text);
    life.set(&first).await;
    life.nowhere("stored").await;

    life.held().await;
    life.nowhere("called").await;

    let mut agent = life.place.session().await;
    assert_eq!(life.call(&mut agent, "add", "plain").await, Ok(()));
    assert!(life.call(&mut agent, "pay", "refused").await.is_err());
    // Whether an answer with a secret is cut or refused is not the matter here.
    let _echoed = life.call(&mut agent, "add", "echo").await;
    assert!(life.call(&mut agent, "add", "fail").await.is_err());
    life.given_up("timeout", false).await;
    life.given_up("killed", true).await;
    let tested = life.place.operator.send::<TestCredential>(&[LEDGER], &Nothing {}).await;
    let tested = tested.map(|reply| reply.body);
    life.keep(&tested);
    assert!(tested.unwrap().accepted);
    life.read_everything().await;
    life.nowhere("used").await;

    life.set(&second).await;
    assert!(life.call(&mut agent, "add", "unknown to the service").await.is_err());
    life.place.service.take(&second.text);
    assert_eq!(life.call(&mut agent, "add", "replaced").await, Ok(()));
    let removed = life.place.operator.send::<RemoveCredential>(&[LEDGER], &Nothing {}).await;
    life.keep(&removed.map(|reply| reply.body));
    assert!(life.call(&mut agent, "add", "removed").await.is_err());
    life.read_everything().await;
    life.nowhere("removed").await;
    life.place.daemon.take().unwrap().stop();
    life.at_rest("stopped");
}

#[test]
fn the_search_finds_each_form_wherever_it_stands() {
    let (canary, other) = (Canary::new(), Canary::new());
    let search = Search::of(&[&canary]);
    for form in crate::service::forms(&canary.text) {
        for before in [0, 1, 65_530] {
            let bytes = [vec![b'x'; before], form.clone().into_bytes(), vec![0; 70_000]].concat();
            let (found, _) = search.stream(|at, buffer| {
                let rest = &bytes[usize::try_from(at).unwrap()..];
                let length = rest.len().min(buffer.len());
                buffer[..length].copy_from_slice(&rest[..length]);
                length
            });
            assert!(found.is_some(), "{form} after {before}");
        }
    }
    for form in crate::service::forms(&other.text) {
        assert_eq!(search.found(form.as_bytes()), None);
    }
    let folder = tempfile::tempdir().unwrap();
    let path: &Path = &folder.path().join("leak");
    std::fs::write(path, &canary.text).unwrap();
    let search = std::panic::AssertUnwindSafe(&search);
    let looked = std::panic::catch_unwind(|| search.assert_not_below(folder.path()));
    assert!(looked.is_err(), "a file that holds it is found");
}
