//! Handles, connections, closing, revocation, and the process itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fcp_host::egress::{ClientError, Effect, EgressClient};
use fcp_state_machines::call::egress::{EgressHandle, OpenRefusal, Scope};
use http::Response;
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use crate::process::Process;
use crate::world::{Answerer, Chunks, Connector, Service, World, get, read, secret, text};

fn ok() -> Answerer {
    Arc::new(|_| Response::new(text("fine")))
}

#[tokio::test]
async fn a_handle_works_for_its_connector_in_its_zone_until_its_call_ends() {
    let service = Service::start(&["api.example.com"], &["h2"], ok()).await;
    let world = World::start().await;
    let own = world.connector("github", "z:work").await;
    let other_zone = world.connector("github", "z:private").await;
    let other_connector = world.connector("slack", "z:work").await;
    let handle = world.open(world.call(&service)).await;
    let url = format!("https://api.example.com:{}/", service.port);
    for stranger in [&other_zone, &other_connector] {
        let got = stranger.get(handle, &url, Some("main")).await;
        assert_eq!((got.status, got.header("x-fcp-egress-error")), (403, Some("FCP-7105")));
    }
    let unknown = EgressHandle::from_bytes([9; 32]);
    assert_eq!(own.get(unknown, &url, None).await.refusal().as_deref(), Some("handle_invalid"));
    let mut bare = get(handle, &url, None);
    bare.headers_mut().remove("x-fcp-egress-handle");
    assert_eq!(own.send(bare).await.refusal().as_deref(), Some("handle_invalid"));
    let mut doubled = get(handle, &url, None);
    doubled.headers_mut().append("x-fcp-egress-handle", unknown.to_string().parse().expect("value"));
    assert_eq!(own.send(doubled).await.refusal().as_deref(), Some("handle_invalid"));
    assert_eq!(service.connections.load(Ordering::SeqCst), 0);

    assert_eq!(own.get(handle, &url, Some("main")).await.status, 200);
    let report = world.client.close_call(handle).await.expect("report");
    assert_eq!((report.requests, report.effect), (1, Effect::Maybe));
    assert_eq!(report.hosts, [format!("api.example.com:{}", service.port)]);
    assert_eq!(own.get(handle, &url, Some("main")).await.refusal().as_deref(), Some("handle_invalid"));
    assert_eq!(world.client.close_call(handle).await, Err(ClientError::UnknownCall));
    assert_eq!(service.requests().len(), 1);
    //= docs/spec/egress.md#connection
    let strays = world.client.strays().await.expect("counted");
    let of =
        |strays: fcp_host::egress::Strays| (strays.identity.connector, strays.identity.zone, strays.requests);
    let counted: Vec<_> =
        strays.into_iter().map(of).map(|(who, zone, n)| format!("{who} {zone} {n}")).collect();
    assert_eq!(counted, ["github z:private 1", "github z:work 4", "slack z:work 1"]);
    assert_eq!(world.client.strays().await, Ok(Vec::new()), "each is told once");
}

/// A service that sends a first chunk and then nothing, and a call whose answer it is.
async fn hanging() -> (World, Service, Connector, EgressHandle, mpsc::Sender<Vec<u8>>) {
    let (sender, receiver) = mpsc::channel(4);
    let receiver = std::sync::Mutex::new(Some(receiver));
    let answer: Answerer = Arc::new(move |_| {
        Response::new(Chunks(receiver.lock().expect("lock").take().expect("one request")).boxed())
    });
    let service = Service::start(&["api.example.com"], &["http/1.1"], answer).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let handle = world.open(world.call(&service)).await;
    sender.send(b"first".to_vec()).await.expect("sent");
    (world, service, connector, handle, sender)
}

#[tokio::test]
async fn a_revocation_cuts_the_answer_under_way_and_closes_the_connection() {
    let (world, service, mut connector, handle, _sender) = hanging().await;
    let request = get(handle, &format!("https://api.example.com:{}/", service.port), Some("main"));
    let mut response = connector.sender.send_request(request).await.expect("head");
    assert!(response.body_mut().frame().await.is_some_and(|frame| frame.is_ok()));
    let scope = Scope::Connector("github".parse().expect("id"));
    assert_eq!(world.client.revoke(scope.clone(), 10).await, Ok(vec![]), "sealed at that head");
    assert_eq!(world.client.revoke(scope, 11).await, Ok(vec![handle]));
    assert!(read(response).await.cut);
    service.deserted().await;
    let url = format!("https://api.example.com:{}/", service.port);
    assert_eq!(connector.get(handle, &url, None).await.refusal().as_deref(), Some("handle_invalid"));
    let report = world.client.close_call(handle).await.expect("report");
    assert_eq!(report.refusals.iter().map(|refusal| refusal.name()).collect::<Vec<_>>(), ["revoked"]);
    let late = world.client.open_call(world.call(&service)).await;
    assert_eq!(late, Err(ClientError::NotOpened(OpenRefusal::Revoked)));
    let mut fresh = world.call(&service);
    fresh.open.seal = 11;
    assert_eq!(world.client.open_call(fresh).await, Ok(()));
}

#[tokio::test]
async fn closing_a_call_cuts_its_answer_and_a_connector_that_leaves_closes_the_connection() {
    let (world, service, mut connector, handle, _sender) = hanging().await;
    let request = get(handle, &format!("https://api.example.com:{}/", service.port), None);
    let mut response = connector.sender.send_request(request).await.expect("head");
    assert!(response.body_mut().frame().await.is_some_and(|frame| frame.is_ok()));
    assert!(world.client.close_call(handle).await.is_ok());
    assert!(read(response).await.cut);
    service.deserted().await;

    let (_world, service, mut connector, handle, _sender) = hanging().await;
    let request = get(handle, &format!("https://api.example.com:{}/", service.port), None);
    let mut response = connector.sender.send_request(request).await.expect("head");
    assert!(response.body_mut().frame().await.is_some_and(|frame| frame.is_ok()));
    drop(response);
    service.deserted().await;
}

#[tokio::test]
async fn a_resealed_call_outlives_the_revocation_it_was_checked_against() {
    let service = Service::start(&["api.example.com"], &["h2"], ok()).await;
    let world = World::start().await;
    let connector = world.connector("github", "z:work").await;
    let handle = world.open(world.call(&service)).await;
    world.client.reseal(handle, 12).await.expect("resealed");
    assert_eq!(world.client.revoke(Scope::Everything, 12).await, Ok(vec![]));
    let url = format!("https://api.example.com:{}/", service.port);
    assert_eq!(connector.get(handle, &url, Some("main")).await.status, 200);
    assert_eq!(world.client.revoke(Scope::Handle(handle), 13).await, Ok(vec![handle]));
    assert_eq!(world.client.reseal(handle, 99).await, Err(ClientError::UnknownCall));
}

#[tokio::test]
async fn a_call_that_does_not_hold_together_is_not_opened() {
    let service = Service::start(&["api.example.com"], &["h2"], ok()).await;
    let world = World::start().await;
    type Breaker = fn(&mut fcp_host::egress::OpenWithSecrets);
    let breakers: [(Breaker, OpenRefusal); 7] = [
        (|call| call.secrets.clear(), OpenRefusal::SecretMissing),
        (|call| call.secrets.push(secret("other", "long-enough-secret")), OpenRefusal::SecretMissing),
        (|call| call.secrets = vec![secret("main", "short")], OpenRefusal::SecretUnusable),
        (|call| call.secrets = vec![secret("main", "two\r\nlines: of it")], OpenRefusal::SecretUnusable),
        (|call| call.open.rules[0].limits.idle_timeout_ms = 0, OpenRefusal::LimitMissing),
        (|call| call.open.exceptions[0].ca_pem = Some("nothing".into()), OpenRefusal::AuthorityInvalid),
        (|call| call.open.deadline_ms = 0, OpenRefusal::DeadlinePassed),
    ];
    for (breaker, refusal) in breakers {
        let mut call = world.call(&service);
        breaker(&mut call);
        assert_eq!(world.client.open_call(call).await, Err(ClientError::NotOpened(refusal)));
    }
    let call = world.call(&service);
    let mut twin = world.call(&service);
    twin.open.handle = call.open.handle;
    world.client.open_call(call).await.expect("opened");
    assert_eq!(world.client.open_call(twin).await, Err(ClientError::NotOpened(OpenRefusal::HandleTwice)));
    assert_eq!(world.client.ping().await.expect("alive").calls, 1);
}

#[test]
fn nothing_shows_a_secret() {
    let secret = secret("main", "very-secret-value");
    assert!(!format!("{secret:?}").contains("very"), "{secret:?}");
}

#[tokio::test]
async fn the_shipped_process_is_hardened_answers_and_ends_when_asked_or_left() {
    for ask in [true, false] {
        let (mut process, control) = Process::shipped();
        let (client, refreshed) = EgressClient::connect(control).expect("client");
        assert_eq!(client.ping().await.expect("alive").calls, 0);
        let limits = process.proc("limits");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("line");
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
        if ask {
            client.shutdown().await.expect("ends");
        }
        drop((client, refreshed));
        assert!(process.ended().await.success());
    }
}

#[tokio::test]
async fn a_descriptor_that_is_no_socket_is_refused_and_nothing_else_suffers() {
    let world = World::start().await;
    let file = std::fs::File::open("/dev/null").expect("file");
    let identity = fcp_host::egress::Identity {
        connector: "github".parse().expect("id"),
        zone: "z:work".parse().expect("zone"),
    };
    assert_eq!(world.client.attach_connector(identity, file.into()).await, Err(ClientError::UnknownCall));
    assert!(world.client.ping().await.is_ok());
}
