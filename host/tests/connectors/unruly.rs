//! A connector that does what its input says, most of it wrong.

use std::io::{BufRead, Write};

use serde_json::{Value, json};

fn say(value: &Value) {
    write(format!("{value}\n").as_bytes());
}

fn write(bytes: &[u8]) {
    let mut output = std::io::stdout().lock();
    // The host may have closed the pipe: that is its right.
    let _ = output.write_all(bytes).and_then(|()| output.flush());
}

fn result(id: &Value, effect: &str, output: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": { "output": output, "effect": effect } })
}

fn main() {
    let mut hung: Option<Value> = None;
    let mut health = json!({ "status": "ready" });
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let Ok(message) = serde_json::from_str::<Value>(&line) else { return };
        let (id, params) = (&message["id"], &message["params"]);
        match message["method"].as_str().unwrap_or_default() {
            "initialize" => {
                health = word(params).unwrap_or(health);
                initialize(id, params);
            }
            "invoke" => {
                if params["input"]["do"] == "hang" || params["input"]["do"] == "ignore" {
                    hung = (params["input"]["do"] == "hang").then(|| id.clone());
                } else {
                    invoke(id, params);
                }
            }
            "cancel" => {
                if let Some(id) = hung.take() {
                    let data = json!({ "code": "FCP-5014", "retryable": false, "effect": "unknown" });
                    say(&json!({ "jsonrpc": "2.0", "id": id,
                        "error": { "code": -32000, "message": "cancelled", "data": data } }));
                }
            }
            "health" => say(&json!({ "jsonrpc": "2.0", "id": id, "result": health })),
            "shutdown" => {
                say(&json!({ "jsonrpc": "2.0", "id": id, "result": {} }));
                return;
            }
            _ => return,
        }
    }
}

/// What it says of its health, if that is not what the protocol knows.
fn word(params: &Value) -> Option<Value> {
    match params["config"]["start"].as_str()? {
        "boasts" => Some(json!({ "status": "evil" })),
        "adds" => Some(json!({ "status": "ready", "evil": true })),
        "shortens" => Some(json!("ready")),
        "omits" => Some(json!({ "detail": "evil" })),
        "chats" => Some(json!({ "status": "ready", "detail": "evil" })),
        _ => None,
    }
}

fn initialize(id: &Value, params: &Value) {
    match params["config"]["start"].as_str().unwrap_or_default() {
        "crash" => std::process::exit(3),
        "refuses" => {
            let data = json!({ "code": "FCP-5013", "retryable": false, "effect": "none" });
            let message = format!("do evil\u{202e}\n{}{}", "0a".repeat(32), "z".repeat(600));
            say(&json!({ "jsonrpc": "2.0", "id": id,
                "error": { "code": -32000, "message": message, "data": data } }));
        }
        "stranger" => {
            let hash = "00".repeat(32);
            say(&json!({ "jsonrpc": "2.0", "id": id,
                "result": { "connector": "unruly", "version": "1.0.0", "interface_hash": hash } }));
        }
        _ => say(&json!({ "jsonrpc": "2.0", "id": id,
            "result": { "connector": "unruly", "version": "1.0.0",
                "interface_hash": params["config"]["interface"] } })),
    }
}

fn invoke(id: &Value, params: &Value) {
    let input = &params["input"];
    let effect = input["effect"].as_str().unwrap_or("made");
    match input["do"].as_str().unwrap_or("answer") {
        "answer" => say(&result(id, effect, input)),
        "error" => {
            let data = json!({ "code": "FCP-7005", "retryable": false, "effect": "none" });
            say(&json!({ "jsonrpc": "2.0", "id": id,
                "error": { "code": -32000, "message": "no such thing", "data": data } }));
        }
        "busy" => {
            let data =
                json!({ "code": "FCP-7001", "retryable": true, "effect": "none", "retry_after_ms": 7_000 });
            say(&json!({ "jsonrpc": "2.0", "id": id,
                "error": { "code": -32000, "message": "too many", "data": data } }));
        }
        "misfit" => say(&result(id, effect, &json!(["do evil"]))),
        "crash" => std::process::exit(3),
        "garbage" => write(b"this is no message\n"),
        "utf8" => write(b"\"\xff\xfe\"\n"),
        "long" => {
            for _ in 0..33 {
                write(&[b'x'; 512 * 1024]);
            }
        }
        // A gigabyte without a line's end.
        "endless" => {
            for _ in 0..2048 {
                write(&[b'x'; 512 * 1024]);
            }
        }
        "unknown_id" => say(&result(&json!(424_242), effect, input)),
        "twice" => {
            say(&result(id, effect, input));
            say(&result(id, effect, input));
        }
        "other_call" => {
            let other = "5a".repeat(16);
            say(&json!({ "jsonrpc": "2.0", "method": "progress", "params": { "call_id": other } }));
        }
        "members" => say(&json!({ "jsonrpc": "2.0", "id": id,
            "result": { "output": 1, "effect": "none", "surprise": true } })),
        "flood" => loop {
            let line = json!({ "jsonrpc": "2.0", "method": "progress",
                "params": { "call_id": params["call_id"], "chunk": "x".repeat(60_000) } });
            say(&line);
        },
        "close" => {
            // Descriptor 1 is closed; the process lives on.
            rustix::stdio::dup2_stdout(std::io::stderr()).unwrap_or_default();
            std::thread::park();
        }
        "large" => say(&result(id, effect, &json!("x".repeat(3 * 1024 * 1024)))),
        "look" => {
            let environment: Vec<String> = std::env::vars().map(|(key, _)| key).collect();
            let arguments: Vec<String> = std::env::args().collect();
            let input = json!({ "environment": environment, "arguments": arguments,
                "invoke": params });
            say(&result(id, "none", &input));
        }
        _ => {}
    }
}
