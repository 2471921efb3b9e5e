//! Calls outside a session: a token from a file, and the proof that this is its holder.

use std::path::{Path, PathBuf};

use clap::Args;
use fcp_api::client::Client;
use fcp_api::routes::PrepareCall;
use fcp_api::secret::Secret;
use fcp_api::types::{self, CallPrepared, CallRequest, HolderProof, KeyProof};
use fcp_proto_core::crypto::proof::CallProof;
use fcp_proto_core::crypto::role::Agent;
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::object::CallDigestInput;

use crate::context::Context;
use crate::{Failure, Result, internal, key_file, passphrase};

/// Who calls, outside a session. The token and the key are files, because a command line is seen by everybody.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Without a session")]
pub(crate) struct TokenArgs {
    /// Calls with the token in this file instead of in a session; `fwc token mint` writes it
    #[arg(long = "token", value_name = "PATH")]
    pub(crate) token_file: Option<PathBuf>,
    /// The file with the key of the token's holder; the agent's own in the home otherwise
    #[arg(long, value_name = "PATH", requires = "token_file")]
    pub(crate) key: Option<PathBuf>,
}

impl TokenArgs {
    /// The client, speaking as the holder of the token where one is named, else in a session; and the holder's proof
    /// for `call`.
    ///
    /// # Errors
    /// What makes token or key unfit; [`Code::Unauthenticated`] if nobody speaks.
    pub(crate) async fn speak<'a>(
        &self,
        call: &CallRequest,
        context: &'a mut Context,
    ) -> Result<(&'a mut Client, Option<HolderProof>)> {
        match &self.token_file {
            None => Ok((context.as_agent().await?, None)),
            Some(path) => {
                let proof = self.prove(path, call, context).await?;
                Ok((context.client()?, Some(proof)))
            }
        }
    }

    async fn prove(&self, path: &Path, call: &CallRequest, context: &mut Context) -> Result<HolderProof> {
        let token = passphrase::from_file(path)?;
        let request = types::PrepareCall { token: Secret::new(token.expose()), call: call.clone() };
        let prepared = context.client()?.send::<PrepareCall>(&[], &request).await?.body;
        let own = context.home.agent_key(&prepared.agent);
        let key = key_file::load::<Agent>(self.key.as_deref().unwrap_or(&own))
            .map_err(|failure| failure.next("name the key of the token's holder with --key FILE"))?;
        let statement = statement(call, prepared)?;
        let signature = statement.sign(&key).map_err(|error| internal(&format!("the proof: {error:?}")))?;
        Ok(HolderProof {
            token,
            proof: KeyProof { challenge: fcp_api::hex::Hex(statement.challenge), signature },
        })
    }
}

/// What is signed: this call and no other, whatever the daemon says that its digest is.
fn statement(call: &CallRequest, prepared: CallPrepared) -> Result<CallProof> {
    let input = Json::try_from(call.input.clone())
        .map_err(|error| Failure::new(Code::InexactNumber).because(error.to_string()))?;
    let covered = CallDigestInput {
        format: 1,
        zone: prepared.zone.clone(),
        principal: prepared.agent,
        connector: call.connector.clone(),
        operation: call.operation.clone(),
        input: input.to_canonical(),
        resources: prepared.resources.into_iter().collect(),
        credentials: prepared.credentials.into_iter().collect(),
        idempotency_key: call.idempotency_key.clone(),
    };
    let call_digest = covered.digest().map_err(|error| internal(&format!("the digest: {error:?}")))?;
    let elsewhere = call.zone.as_ref().is_some_and(|zone| *zone != prepared.zone);
    let otherwise = call.credential.as_ref().is_some_and(|named| !covered.credentials.contains(named));
    if elsewhere || otherwise || call_digest != prepared.call_digest {
        return Err(Failure::new(Code::Internal)
            .because("the daemon asks for a signature under another call than this one")
            .next("nothing was signed; `fwc status` shows what this daemon is"));
    }
    Ok(CallProof {
        call_digest,
        token_id: prepared.token_id,
        node_id: prepared.node,
        audience: prepared.zone,
        challenge: prepared.challenge.0,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fcp_proto_core::ids::{Digest, TokenId};
    use serde_json::json;

    use super::*;

    fn call() -> CallRequest {
        CallRequest {
            connector: "notes".parse().unwrap(),
            operation: "notes.get".parse().unwrap(),
            input: json!({"note": "a"}),
            handles: BTreeMap::new(),
            zone: None,
            credential: None,
            idempotency_key: None,
        }
    }

    fn prepared(input: &str) -> CallPrepared {
        let covered = CallDigestInput {
            format: 1,
            zone: "z:work".parse().unwrap(),
            principal: "mail".parse().unwrap(),
            connector: "notes".parse().unwrap(),
            operation: "notes.get".parse().unwrap(),
            input: input.into(),
            resources: ["notes:note/a".into()].into(),
            credentials: ["main".parse().unwrap()].into(),
            idempotency_key: None,
        };
        CallPrepared {
            call_digest: covered.digest().unwrap(),
            token_id: TokenId::from_bytes([1; 16]),
            node: "n1".parse().unwrap(),
            zone: covered.zone,
            agent: covered.principal,
            resources: covered.resources.into_iter().collect(),
            credentials: covered.credentials.into_iter().collect(),
            challenge: fcp_api::hex::Hex([0xc1; 32]),
            expires_at: fcp_proto_core::time::UnixTime::from_secs(9),
        }
    }

    #[test]
    fn only_this_call_is_signed() {
        let signed = statement(&call(), prepared(r#"{"note":"a"}"#)).unwrap();
        assert_eq!(signed.call_digest, prepared(r#"{"note":"a"}"#).call_digest);
        let others = [
            prepared(r#"{"note":"b"}"#),
            CallPrepared { call_digest: Digest::default(), ..prepared(r#"{"note":"a"}"#) },
            CallPrepared { resources: Vec::new(), ..prepared(r#"{"note":"a"}"#) },
            CallPrepared { zone: "z:private".parse().unwrap(), ..prepared(r#"{"note":"a"}"#) },
        ];
        for other in others {
            assert_eq!(statement(&call(), other).unwrap_err().code, Code::Internal);
        }
        let otherwise = CallRequest { credential: Some("another".parse().unwrap()), ..call() };
        assert!(statement(&otherwise, prepared(r#"{"note":"a"}"#)).is_err());
        let elsewhere = CallRequest { zone: Some("z:private".parse().unwrap()), ..call() };
        assert_eq!(statement(&elsewhere, prepared(r#"{"note":"a"}"#)).unwrap_err().code, Code::Internal);
    }
}
