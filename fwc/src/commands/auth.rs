//! `auth`: credentials of outside services. Secrets are typed or piped, never arguments, and never come out again.

use clap::{Args, Subcommand, ValueEnum};
use fcp_api::client::Client;
use fcp_api::routes::{
    GetConnector, GetReceipt, ListCredentials, PutCredential, RemoveCredential, TestCredential,
};
use fcp_api::secret::Secret;
use fcp_api::types::{self, CredentialMaterial, Nothing, ReceiptView, Reply};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, CredentialId, ObjectId, ZoneId};
use fcp_proto_core::manifest::AuthKind;

use crate::context::Context;
use crate::render::{Answer, Outcome};
use crate::{Failure, Result, passphrase, usage};

/// Credentials.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Auth {
    /// Stores or replaces a credential; the secret is asked for, or read with --stdin
    Set(Set),
    /// Lists what may be known of the credentials
    List(List),
    /// Makes a harmless call with a credential
    Test(Named),
    /// Removes a credential
    Remove(Named),
}

/// How a credential is presented, on the command line.
#[derive(ValueEnum, Clone, Copy, Debug)]
pub(crate) enum KindArg {
    /// A token after `Authorization: Bearer`
    Bearer,
    /// The value of the header that the manifest names
    Header,
    /// A user name and password
    Basic,
    /// OAuth 2 tokens
    Oauth2,
}

impl From<AuthKind> for KindArg {
    fn from(kind: AuthKind) -> Self {
        match kind {
            AuthKind::Bearer => Self::Bearer,
            AuthKind::Header => Self::Header,
            AuthKind::Basic => Self::Basic,
            AuthKind::Oauth2 => Self::Oauth2,
        }
    }
}

/// Stores a credential.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc auth set me --connector github --slot token --zone z:work\n  \
    pass show github | fwc auth set me --connector github --slot token --zone z:work --stdin\n  \
    fwc auth set crm --connector crm --slot login --zone z:work --username me")]
pub(crate) struct Set {
    /// The credential's name
    pub(crate) name: CredentialId,
    /// The connector that may use it
    #[arg(long)]
    pub(crate) connector: ConnectorId,
    /// The slot it fills, as `fwc show CONNECTOR` lists them
    #[arg(long)]
    pub(crate) slot: String,
    /// The zone that may use it
    #[arg(long)]
    pub(crate) zone: ZoneId,
    /// How it is presented; as the connector's manifest says otherwise
    #[arg(long)]
    pub(crate) kind: Option<KindArg>,
    /// The user name (basic)
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// The client's id (oauth2)
    #[arg(long)]
    pub(crate) client_id: Option<String>,
    /// Reads the secret from standard input; for oauth2 a JSON object with access_token, refresh_token, client_secret
    #[arg(long)]
    pub(crate) stdin: bool,
}

/// Lists credentials.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc auth list")]
pub(crate) struct List {}

/// Names a credential.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc auth test me\n  fwc auth remove me")]
pub(crate) struct Named {
    /// The credential's name
    pub(crate) name: CredentialId,
}

/// What people see of a credential.
const COLUMNS: [(&str, &str); 7] = [
    ("name", "NAME"),
    ("connector", "CONNECTOR"),
    ("slot", "SLOT"),
    ("kind", "KIND"),
    ("zone", "ZONE"),
    ("stored_at", "STORED"),
    ("accepted_at", "ACCEPTED"),
];

/// `fwc auth`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: Auth, context: &mut Context) -> Result<Outcome> {
    match command {
        Auth::Set(args) => set(args, context).await,
        Auth::List(List {}) => {
            let reply = context.as_operator().await?.get::<ListCredentials>(&[], &Nothing {}).await?;
            Ok(Answer::of(reply)?.table("credentials", &COLUMNS).into())
        }
        Auth::Test(args) => test(&args, context).await,
        Auth::Remove(args) => {
            let path = [args.name.as_str()];
            Ok(Answer::of(context.as_operator().await?.send::<RemoveCredential>(&path, &Nothing {}).await?)?
                .into())
        }
    }
}

async fn test(args: &Named, context: &mut Context) -> Result<Outcome> {
    let client = context.as_operator().await?;
    match client.send::<TestCredential>(&[args.name.as_str()], &Nothing {}).await {
        Ok(reply) => {
            let refused = (!reply.body.accepted).then(|| refused_by_service(&reply.body));
            Ok(Answer::of(reply)?.or_failed(refused))
        }
        Err(failure) => Err(about_its_operation(client, failure).await),
    }
}

/// `failure`, whose step names the operation that was called: the command line names the credential alone, and the receipt,
/// which the reason names, knows both.
//= docs/spec/output.md#envelope
async fn about_its_operation(client: &mut Client, failure: Failure) -> Failure {
    let words = failure.why.as_deref().unwrap_or_default().split([' ', ',', ';']);
    let receipt = words.filter_map(|word| word.parse::<ObjectId>().ok()).next();
    let Some(receipt) = receipt.filter(|_| failure.next.contains("OPERATION")) else { return failure };
    let called = match client.get::<GetReceipt>(&[&receipt.to_string()], &Nothing {}).await {
        Ok(Reply {
            body: ReceiptView::Operation { operation, .. } | ReceiptView::Decision { operation, .. },
            ..
        }) => operation,
        // What failed is told in any case.
        Err(_) => return failure,
    };
    let next = failure.next.replace("OPERATION", called.as_str());
    failure.next(next)
}

fn refused_by_service(test: &types::CredentialTest) -> Failure {
    Failure::new(Code::UpstreamUnauthorized)
        .because(test.detail.as_deref().unwrap_or_default())
        .next(format!("set it again with `fwc auth set {} …`, then `fwc auth test {}`", test.name, test.name))
}

async fn set(args: Set, context: &mut Context) -> Result<Outcome> {
    let kind = match args.kind {
        Some(kind) => kind,
        None => kind_of_slot(&args, context).await?,
    };
    let material = material(kind, &args)?;
    let request =
        types::PutCredential { connector: args.connector, slot: args.slot, zone: args.zone, material };
    let path = [args.name.as_str()];
    let reply = context.as_operator().await?.send::<PutCredential>(&path, &request).await?;
    let answer = Answer::of(reply)?.next(format!("fwc auth test {}", args.name));
    Ok(answer.into())
}

async fn kind_of_slot(args: &Set, context: &mut Context) -> Result<KindArg> {
    let path = [args.connector.as_str()];
    let detail = context.client()?.get::<GetConnector>(&path, &Nothing {}).await?.body;
    let slot = detail.credential_slots.iter().find(|slot| slot.slot == args.slot);
    slot.map(|slot| slot.kind.into()).ok_or_else(|| {
        let names: Vec<_> = detail.credential_slots.iter().map(|slot| slot.slot.as_str()).collect();
        Failure::new(Code::NotFound)
            .because(format!(
                "the connector {} has no slot {:?}; it has: {}",
                args.connector,
                args.slot,
                names.join(", ")
            ))
            .next(format!("`fwc show {}` lists the slots", args.connector))
    })
}

fn material(kind: KindArg, args: &Set) -> Result<CredentialMaterial> {
    if args.username.is_some() != matches!(kind, KindArg::Basic) {
        return Err(usage("--username belongs to a credential of the kind basic, which needs it"));
    }
    if args.client_id.is_some() && !matches!(kind, KindArg::Oauth2) {
        return Err(usage("--client-id belongs to a credential of the kind oauth2"));
    }
    Ok(match kind {
        KindArg::Bearer => CredentialMaterial::Bearer { token: secret(args, "Token: ")? },
        KindArg::Header => CredentialMaterial::Header { value: secret(args, "Header value: ")? },
        KindArg::Basic => CredentialMaterial::Basic {
            username: args.username.clone().unwrap_or_default(),
            password: secret(args, "Password: ")?,
        },
        KindArg::Oauth2 => oauth2(args)?,
    })
}

fn secret(args: &Set, question: &str) -> Result<Secret> {
    if args.stdin {
        passphrase::from_stdin()
    } else {
        passphrase::ask(question, "pipe the secret in with --stdin")
    }
}

/// The tokens of an OAuth 2 credential, as they are piped in.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    access_token: Secret,
    #[serde(default)]
    refresh_token: Option<Secret>,
    #[serde(default)]
    client_secret: Option<Secret>,
    #[serde(default)]
    expires_at: Option<fcp_proto_core::time::UnixTime>,
}

fn oauth2(args: &Set) -> Result<CredentialMaterial> {
    let tokens = if args.stdin {
        let text = passphrase::from_stdin()?;
        fcp_api::body::read::<Tokens>(text.expose().as_bytes(), text.expose().len()).map_err(|failure| {
            failure.next("pipe in {\"access_token\":…,\"refresh_token\":…,\"client_secret\":…}")
        })?
    } else {
        let instead = "pipe the tokens in with --stdin";
        Tokens {
            access_token: passphrase::ask("Access token: ", instead)?,
            refresh_token: optional(passphrase::ask("Refresh token (empty for none): ", instead))?,
            client_secret: optional(passphrase::ask("Client secret (empty for none): ", instead))?,
            expires_at: None,
        }
    };
    Ok(CredentialMaterial::Oauth2 {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        expires_at: tokens.expires_at,
        client_id: args.client_id.clone(),
        client_secret: tokens.client_secret,
    })
}

/// An empty answer is none.
fn optional(answer: Result<Secret>) -> Result<Option<Secret>> {
    match answer {
        Ok(secret) => Ok(Some(secret)),
        Err(failure) if failure.code == Code::InputInvalid => Ok(None),
        Err(failure) => Err(failure),
    }
}
