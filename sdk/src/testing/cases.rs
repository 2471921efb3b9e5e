//! Runs a `cases.toml` against a connector.

use std::any::Any;
use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fcp_proto_core::manifest::{Case, CaseExpectation, Cases, Manifest};
use serde_json::{Value, json};

use super::{Double, Host, Invocation, Reply};
use crate::Connector;

/// A case that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFailure {
    /// The case's name.
    pub case: String,
    /// What was otherwise than it says.
    pub differences: Vec<String>,
}

impl fmt::Display for CaseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.differences.join("; "))
    }
}

/// Runs every case, each against a connector on a thread and a double of its own.
pub fn run_cases<C: Connector>(manifest: &Manifest, cases: &Cases) -> Vec<CaseFailure> {
    run_each(manifest, cases, |socket| Host::start::<C>(Some(socket)))
}

/// Runs every case, each against a process of `program` and a double of its own. The process has no sandbox.
pub fn run_program_cases(program: &str, manifest: &Manifest, cases: &Cases) -> Vec<CaseFailure> {
    run_each(manifest, cases, |socket| Host::spawn(program, Some(socket)))
}

fn run_each(
    manifest: &Manifest,
    cases: &Cases,
    start: impl Fn(UnixStream) -> io::Result<Host>,
) -> Vec<CaseFailure> {
    let run = |case: &Case| {
        // A connector that dies or breaks the protocol fails its case, and the next one runs.
        let ran = catch_unwind(AssertUnwindSafe(|| run_case(manifest, case, &start)));
        let differences = ran.unwrap_or_else(|panic| vec![told(panic.as_ref())]);
        (!differences.is_empty()).then(|| CaseFailure { case: case.name.clone(), differences })
    };
    cases.cases.iter().filter_map(run).collect()
}

/// Why a connector could not be followed any further.
fn told(panic: &(dyn Any + Send)) -> String {
    let why = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("the connector ended or broke the protocol: {}", why.unwrap_or("nothing more is known"))
}

fn run_case(manifest: &Manifest, case: &Case, start: impl Fn(UnixStream) -> io::Result<Host>) -> Vec<String> {
    let started = Double::start(case.exchanges.clone())
        .and_then(|(double, socket)| start(socket).map(|host| (double, host)));
    let (double, mut host) = match started {
        Ok(started) => started,
        Err(error) => return vec![format!("the connector did not start: {error}")],
    };
    let begun = host.initialize(json!({
        "connector": manifest.connector.id,
        "zone": manifest.zones.home,
        "config": case.config,
        "manifest": String::from_utf8_lossy(manifest.source()),
        "egress": true,
    }));
    if let Err(error) = begun.0 {
        return vec![format!("the connector did not begin: {}", error["message"])];
    }
    let mut invocation = Invocation::new(case.operation.as_str(), case.input.clone());
    invocation.idempotency_key.clone_from(&case.idempotency_key);
    let id = host.start_invoke(&invocation);
    let reply = host.wait(id);
    let mut differences = compare(&case.expect, reply);
    let chunks = host.progress().iter().filter(|progress| progress.get("chunk").is_some()).count();
    if case.expect.chunks.is_some_and(|want| want as usize != chunks) {
        differences.push(format!("there were {chunks} chunks"));
    }
    differences.extend(double.mismatches().into_iter().map(|mismatch| mismatch.0));
    if !host.finish() {
        differences.push("the connector did not end well".into());
    }
    differences
}

fn compare(expect: &CaseExpectation, reply: Reply) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differ = |what: &str, want: Option<Value>, have: &Value| {
        if let Some(want) = want.filter(|want| want != have) {
            differences.push(format!("{what} should be {want} and is {have}"));
        }
    };
    match reply.0 {
        Ok(result) => {
            differ("the answer", expect.error.map(|code| json!(code)), &result);
            differ("output", expect.output.clone(), &result["output"]);
            differ("effect", expect.effect.clone().map(Value::from), &result["effect"]);
        }
        Err(error) => {
            let data = &error["data"];
            differ("the answer", expect.output.clone(), &error);
            differ("error", expect.error.map(|code| json!(code)), &data["code"]);
            differ("effect", expect.effect.clone().map(Value::from), &data["effect"]);
            differ("retry_after_ms", expect.retry_after_ms.map(Value::from), &data["retry_after_ms"]);
            let message = error["message"].as_str().unwrap_or_default();
            if expect.message.as_ref().is_some_and(|part| !message.contains(part.as_str())) {
                differences.push(format!("the message is {message:?}"));
            }
        }
    }
    differences
}
