//! Whose leaf is whose, and what a commit may change: the two questions that MLS leaves to us.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::VerifyingKey;
use fcp_proto_core::ids::NodeId;
use mls_rs::error::IntoAnyError;
use mls_rs::group::{GroupContext, Member, Roster};
use mls_rs::identity::basic::BasicCredential;
use mls_rs::identity::{CredentialType, SigningIdentity};
use mls_rs::mls_rules::{CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle};
use mls_rs::time::MlsTime;
use mls_rs::{ExtensionList, IdentityProvider, MlsRules};
use mls_rs_core::identity::MemberValidationContext;

use super::Roll;

/// The nodes that the owner attested, by their names and keys. Everybody else is nobody.
#[derive(Clone, Debug)]
pub(super) struct Directory(Arc<BTreeMap<NodeId, VerifyingKey<Node>>>);

/// A leaf is of nobody whom the owner attested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nobody;

impl IntoAnyError for Nobody {}

impl Directory {
    pub(super) fn new(roll: &Roll) -> Self {
        Self(Arc::new(roll.keys.clone()))
    }

    /// The leaf's identity of a node.
    pub(super) fn identity(node: &NodeId, key: &VerifyingKey<Node>) -> SigningIdentity {
        let credential = BasicCredential::new(node.as_str().as_bytes().to_vec());
        SigningIdentity::new(credential.into_credential(), key.as_bytes().to_vec().into())
    }

    /// The node that has this identity, if the key is the node's.
    //= docs/spec/zone-keys.md#members
    pub(super) fn node(&self, identity: &SigningIdentity) -> Option<NodeId> {
        let name = node_of(identity)?;
        let key = self.0.get(&name)?;
        (identity.signature_key.as_ref() == key.as_bytes()).then_some(name)
    }
}

fn node_of(identity: &SigningIdentity) -> Option<NodeId> {
    let name = identity.credential.as_basic()?.identifier();
    NodeId::new(core::str::from_utf8(name).ok()?).ok()
}

/// The node that a member of a group says it is.
pub(super) fn name_of(member: &Member) -> Option<NodeId> {
    node_of(&member.signing_identity)
}

impl IdentityProvider for Directory {
    type Error = Nobody;

    fn validate_member(
        &self,
        identity: &SigningIdentity,
        _: Option<MlsTime>,
        _: MemberValidationContext<'_>,
    ) -> Result<(), Nobody> {
        self.node(identity).map(drop).ok_or(Nobody)
    }

    fn validate_external_sender(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), Nobody> {
        Err(Nobody)
    }

    fn identity(&self, identity: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, Nobody> {
        node_of(identity).map(|node| node.as_str().as_bytes().to_vec()).ok_or(Nobody)
    }

    fn valid_successor(
        &self,
        before: &SigningIdentity,
        after: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<bool, Nobody> {
        Ok(before.credential == after.credential)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        [CredentialType::BASIC].into()
    }
}

/// A commit adds and removes members, and renews its committer's leaf; nothing else of MLS is for zones.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnlyMembership;

/// A commit changes what no commit may, or is by none of the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotForZones;

impl IntoAnyError for NotForZones {}

impl MlsRules for OnlyMembership {
    type Error = NotForZones;

    //= docs/spec/zone-keys.md#the-group
    //= docs/spec/zone-keys.md#commits
    fn filter_proposals(
        &self,
        _: CommitDirection,
        source: CommitSource,
        _: &Roster<'_>,
        _: &GroupContext,
        proposals: ProposalBundle,
    ) -> Result<ProposalBundle, NotForZones> {
        let membership = proposals.add_proposals().len() + proposals.remove_proposals().len();
        match source {
            CommitSource::ExistingMember(_) if membership == proposals.length() => Ok(proposals),
            CommitSource::ExistingMember(_) | CommitSource::NewMember(_) => Err(NotForZones),
        }
    }

    fn commit_options(
        &self,
        _: &Roster<'_>,
        _: &GroupContext,
        _: &ProposalBundle,
    ) -> Result<CommitOptions, NotForZones> {
        Ok(CommitOptions::new().with_path_required(true).with_ratchet_tree_extension(true))
    }

    fn encryption_options(&self, _: &Roster<'_>, _: &GroupContext) -> Result<EncryptionOptions, NotForZones> {
        Ok(EncryptionOptions::default())
    }
}
