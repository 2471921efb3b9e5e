//! Refresh tokens that serve once: what is lost when a process dies between the service's rotation and the vault.

use std::convert::Infallible;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fcp_api::client::Client;
use fcp_api::routes::{
    AddException, AddGrant, InstallConnector, InvokeOperation, ListAuditEvents, PutCredential, TestCredential,
};
use fcp_api::secret::Secret;
use fcp_api::types::{self, CredentialMaterial, ErrorBody, ExceptionRule, Nothing};
use fcp_proto_core::crypto::hash;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, OperationId};
use fcp_proto_core::manifest::package::Package;
use fcp_proto_core::object::AuditEventKind;
use fcp_proto_core::time::UnixTime;
use fcp_proto_core::token::constraints::Constraints;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertifiedIssuer, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::programs::programs;
use crate::world::{Bot, Daemon, PASSPHRASE, call, ceremony, folder, signed_for_development, unlock};

/// A service that takes each refresh token once.
#[derive(Default)]
struct Service {
    /// How many tokens it gave; the newest bear this number.
    issued: Mutex<u64>,
    /// How often it was asked for new ones.
    asked: Mutex<u64>,
    /// Set while its answers to that get lost.
    mute: Mutex<bool>,
    rotated: Notify,
}

impl Service {
    /// Serves on loopback; its port, and its certificate authority.
    async fn start(self: &Arc<Self>) -> (u16, String) {
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = names.signed_by(&key, &ca).unwrap().der().clone();
        let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], private)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, service) = (acceptor.clone(), Arc::clone(&service));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let answer = service_fn(move |request| Arc::clone(&service).answer(request));
                    // A client that is killed is what the test is about.
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
        (port, ca.pem())
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let (status, answer) = match head.uri.path() {
            "/token" => self.rotate(&body).await,
            _ => {
                let wanted = format!("Bearer access-token-{}", self.issued.lock().unwrap());
                let given = head.headers.get("authorization").and_then(|value| value.to_str().ok());
                (if given == Some(&wanted) { 200 } else { 401 }, json!({}))
            }
        };
        let response = Response::builder().status(status).header("content-type", "application/json");
        Ok(response.body(Full::from(answer.to_string())).unwrap())
    }

    async fn rotate(&self, form: &[u8]) -> (u16, serde_json::Value) {
        *self.asked.lock().unwrap() += 1;
        let number = {
            let mut issued = self.issued.lock().unwrap();
            let wanted = format!("refresh_token=refresh-token-{issued}&");
            if !std::str::from_utf8(form).unwrap().contains(&wanted) {
                return (400, json!({ "error": "invalid_grant" }));
            }
            *issued += 1;
            *issued
        };
        self.rotated.notify_one();
        if *self.mute.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        let (access, refresh) = (format!("access-token-{number}"), format!("refresh-token-{number}"));
        (200, json!({ "access_token": access, "refresh_token": refresh, "expires_in": 1 }))
    }

    fn asked(&self) -> u64 {
        *self.asked.lock().unwrap()
    }

    /// Stores the newest tokens, whose access token is over already.
    async fn sign_in(&self, operator: &mut Client) {
        let number = *self.issued.lock().unwrap();
        let request = types::PutCredential {
            connector: pages(),
            slot: "main".into(),
            zone: "z:work".parse().unwrap(),
            material: CredentialMaterial::Oauth2 {
                access_token: Secret::new(format!("access-token-{number}")),
                refresh_token: Some(Secret::new(format!("refresh-token-{number}"))),
                expires_at: Some(UnixTime::from_secs(1)),
                client_id: Some("client".into()),
                client_secret: None,
            },
        };
        operator.send::<PutCredential>(&["mine"], &request).await.unwrap();
    }
}

fn pages() -> ConnectorId {
    ConnectorId::new("pages").unwrap()
}

/// The connector of these tests with a credential that is refreshed at the service.
async fn install(operator: &mut Client, home: &std::path::Path, port: u16, authority: &str) {
    let slot = format!(
        "[lifecycle]\nhealth = \"pages.get\"\nhealth_interval_s = 300\n[auth.main]\nkind = \"oauth2\"\ndescription = \"Tokens.\"\n\
         hosts = [\"{{config.base_url}}\"]\ntoken_url = \"https://127.0.0.1:{port}/token\"\n[http]"
    );
    let manifest = include_str!("pages.toml")
        .replace("[http]", &slot)
        .replace(", \"*.files.example\"", "")
        .replace("required = [\"page\"]", "")
        .replace("\"pages:page/{page}\"", "\"pages:all\"")
        .replace("/pages/{page}", "/pages")
        .replace("idempotency = \"none\"", "idempotency = \"none\"\nauth = \"main\"");
    let package = home.with_extension("fcp");
    let built = Package::build(manifest.as_bytes(), b"", None).unwrap();
    let bytes = signed_for_development(home, built);
    fs::write(&package, &bytes).unwrap();
    let request = types::Install {
        package: types::PackageSource::Path { path: package.to_str().unwrap().into() },
        package_digest: hash::digest(&bytes),
        zones: Some(vec!["z:work".parse().unwrap()]),
        config: json!({ "base_url": format!("https://127.0.0.1:{port}") }),
        dev: true,
    };
    operator.send::<InstallConnector>(&[], &request).await.unwrap();
    let ca_file = home.with_extension("pem");
    fs::write(&ca_file, authority).unwrap();
    let rule = ExceptionRule::Egress {
        host: "127.0.0.1".into(),
        network: "127.0.0.1/32".into(),
        port,
        ca_file: Some(ca_file.to_str().unwrap().into()),
        ca_digest: None,
    };
    let request =
        types::AddException { connector: pages(), rule, reason: "a test".into(), lifetime_secs: None };
    operator.send::<AddException>(&[], &request).await.unwrap();
}

async fn grant(operator: &mut Client, bot: &Bot) {
    let request = types::AddGrant {
        agent: Some(bot.name.clone()),
        role: None,
        zone: bot.zone.clone(),
        connector: pages(),
        operations: vec![OperationId::new("pages.get").unwrap()],
        constraints: Constraints {
            resource_allow: vec!["*".parse().unwrap()],
            credential_allow: ["mine".parse().unwrap()].into(),
            ..Constraints::default()
        },
        not_before: None,
        lifetime_secs: 3600,
    };
    operator.send::<AddGrant>(&[], &request).await.unwrap();
}

/// How many refreshed tokens the audit tells of.
//= docs/spec/audit.md#connectors
async fn refreshes_told(operator: &mut Client) -> usize {
    let query = types::AuditQuery {
        zone: Some("z:work".parse().unwrap()),
        kind: Some(AuditEventKind::SecretStored),
        limit: Some(1000),
        ..types::AuditQuery::default()
    };
    let told = operator.get::<ListAuditEvents>(&[], &query).await.unwrap().body.events;
    told.iter().filter(|event| event.detail.as_deref() == Some("mine, refreshed")).count()
}

/// Reads a page, again while there is no egress process.
async fn read(agent: &mut Client) -> Result<(), ErrorBody> {
    let mut read = call("pages.get", json!({}), None);
    read.call.connector = pages();
    loop {
        match agent.send::<InvokeOperation>(&[], &read).await {
            Err(error) if error.code == Code::EgressUnavailable => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer => return answer.map(|_| ()),
        }
    }
}

/// Kills the egress process of a daemon, whichever thread made it.
fn kill_egress(daemon: i32) {
    let threads = fs::read_dir(format!("/proc/{daemon}/task")).unwrap();
    let children: String = threads
        .map(|thread| fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default())
        .collect();
    let is_egress = |child: &&str| {
        fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default().ends_with(b"\0egress\0")
    };
    let child = children.split_whitespace().find(is_egress).unwrap();
    kill_process(Pid::from_raw(child.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    Egress,
    Daemon,
}

//= docs/spec/vault.md#refreshed-tokens
#[tokio::test]
async fn a_token_that_is_lost_with_a_killed_process_is_named_with_its_remedy_and_not_asked_for_again() {
    for victim in [Victim::Egress, Victim::Daemon] {
        let service = Arc::new(Service::default());
        let (port, authority) = service.start().await;
        let (guard, home) = folder();
        let mut daemon = Daemon::start_program(&programs().join("fcp-host"), &home).await;
        let (mut operator, bot) = (daemon.client(), Bot::new("bot"));
        ceremony(&mut operator).await;
        unlock(&mut operator, PASSPHRASE).await.unwrap();
        install(&mut operator, &home, port, &authority).await;
        bot.enrol(&mut operator).await.unwrap();
        grant(&mut operator, &bot).await;
        service.sign_in(&mut operator).await;
        let mut agent = daemon.client();
        bot.open(&mut agent).await.unwrap();
        read(&mut agent).await.unwrap();
        read(&mut agent).await.unwrap();
        assert_eq!(service.asked(), 2, "each rotated token was stored, for the next was taken");
        assert_eq!(refreshes_told(&mut operator).await, 2, "the audit knows of both");

        *service.mute.lock().unwrap() = true;
        // That of the reads before.
        service.rotated.notified().await;
        let asking = tokio::spawn(async move {
            let answer = read(&mut agent).await;
            (agent, answer)
        });
        service.rotated.notified().await;
        *service.mute.lock().unwrap() = false;
        let mut agent = match victim {
            Victim::Egress => {
                kill_egress(daemon.client().daemon_pid().await.unwrap());
                let (agent, lost) = asking.await.unwrap();
                lost.unwrap_err();
                agent
            }
            Victim::Daemon => {
                daemon.kill();
                asking.await.unwrap().1.unwrap_err();
                daemon = Daemon::start_program(&programs().join("fcp-host"), &home).await;
                operator = daemon.client();
                unlock(&mut operator, PASSPHRASE).await.unwrap();
                let mut agent = daemon.client();
                bot.open(&mut agent).await.unwrap();
                agent
            }
        };
        for _ in 0..3 {
            let lost = read(&mut agent).await.unwrap_err();
            assert_eq!((lost.code, lost.retryable), (Code::CredentialSpent, false), "{victim:?}: {lost:?}");
            assert!(lost.next.contains("fwc auth set"), "{lost:?}");
        }
        let tested = operator.send::<TestCredential>(&["mine"], &Nothing {}).await.unwrap_err();
        assert_eq!(tested.code, Code::CredentialSpent, "{tested:?}");
        assert_eq!(
            service.asked(),
            4,
            "{victim:?}: one was lost, one refused, and none asked for after that"
        );

        service.sign_in(&mut operator).await;
        read(&mut agent).await.unwrap();
        drop(guard);
    }
}
