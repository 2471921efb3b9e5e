//! A complete connector: one operation that greets, one that asks a service, one that works until it is cancelled.
//!
//! Run it under a host, or try it by hand: `cargo run -p fcp-sdk --example greeter`, then paste
//! `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":"fcp-stdio/1","connector":"greeter","zone":"z:work"}}`.

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use fcp_sdk::core::error::Code;
use fcp_sdk::core::manifest::Manifest;
use fcp_sdk::{Call, Connector, Error, Health, Outcome, Setup, run};
use serde_json::{Value, json};

/// The manifest is part of the program, so that what was installed and what runs cannot differ.
const MANIFEST: &str = include_str!("greeter.toml");

/// Largest answer of the service that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The connector; it keeps what it was started with.
#[derive(Debug)]
pub struct Greeter {
    greeting: String,
}

impl Connector for Greeter {
    fn manifest(_offered: Option<&str>) -> Result<Manifest, Error> {
        Setup::parse_manifest(MANIFEST)
    }

    async fn start(setup: Setup) -> Result<Self, Error> {
        let greeting = setup.config["greeting"].as_str().unwrap_or("Hello").to_owned();
        Ok(Self { greeting })
    }

    async fn invoke(&self, call: Call) -> Result<Outcome, Error> {
        match call.operation.as_str() {
            "greeter.greet" => Ok(self.greet(&call.input)),
            "greeter.fact" => fact(&call).await,
            "greeter.wait" => wait(&call).await,
            _ => Err(Error::new(Code::OperationUnknown, "the connector has no such operation")),
        }
    }

    async fn health(&self) -> Health {
        Health::ready()
    }
}

impl Greeter {
    fn greet(&self, input: &Value) -> Outcome {
        let name = input["name"].as_str().unwrap_or("world");
        Outcome::read(json!({ "text": format!("{}, {name}!", self.greeting) }))
    }
}

/// Asks the service; egress adds the credential of the slot `key`.
async fn fact(call: &Call) -> Result<Outcome, Error> {
    let request = http::Request::get("https://facts.example.com/random")
        .body(Bytes::new())
        .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    let answer = call.send(request, Some("key")).await?;
    if !answer.status.is_success() {
        return Err(Error::new(Code::UpstreamFailed, format!("the service answered {}", answer.status)));
    }
    let body = answer.collect(MAX_ANSWER_BYTES).await?;
    Ok(Outcome::read(json!({ "text": String::from_utf8_lossy(&body) })))
}

/// Reports progress until the call is cancelled or its time is over.
async fn wait(call: &Call) -> Result<Outcome, Error> {
    for step in 1_u32.. {
        call.progress.message(&format!("step {step}")).await;
        call.within(tokio::time::sleep(Duration::from_millis(50))).await?;
    }
    Ok(Outcome::read(json!({})))
}

fn main() -> ExitCode {
    match run::<Greeter>() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("greeter: {error}");
            ExitCode::FAILURE
        }
    }
}
