//! A device's place in the group of a zone, as bytes, and what each operation of MLS (RFC 9420) makes of it.
//!
//! Every operation reads the place that is stored and gives a new one: nothing of the library lives on between two, so
//! what is not made durable has not happened.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use fcp_proto_core::cbor_map;
use fcp_proto_core::crypto::mls::{MlsSuite, SUITE};
use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::ids::{NodeId, ZoneId};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::UnixTime;
use mls_rs::client_builder::MlsConfig;
use mls_rs::error::MlsError;
use mls_rs::extension::ExtensionType;
use mls_rs::group::{CommitEffect, CommitSecrets, ReceivedMessage};
use mls_rs::mls_rs_codec::{MlsDecode, MlsEncode};
use mls_rs::storage_provider::KeyPackageData;
use mls_rs::storage_provider::in_memory::{InMemoryGroupStateStorage, InMemoryKeyPackageStorage};
use mls_rs::time::MlsTime;
use mls_rs::{Client, Extension, ExtensionList, Group, GroupStateStorage, MlsMessage};
use mls_rs_core::group::GroupState;
use zeroize::Zeroizing;

use super::directory::{Directory, OnlyMembership, name_of};
use super::secret::Secret;
use super::{Commit, Roll};

/// Where the exporter of an epoch gives the zone's key.
const EXPORT_LABEL: &[u8] = b"FCP2-GROUP-ZONE-KEY-V1";
/// The extension of a welcome by which a zone's other keys are handed over (chosen in the range for private use).
const HANDOVER: ExtensionType = ExtensionType::new(0xf0c2);

/// MLS refuses it, whatever the rule: a signature, a key, an order, a tag, an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused;

impl From<MlsError> for Refused {
    fn from(_: MlsError) -> Self {
        Self
    }
}

impl From<mls_rs::mls_rs_codec::Error> for Refused {
    fn from(_: mls_rs::mls_rs_codec::Error) -> Self {
        Self
    }
}

/// Who acts, whose keys count, and the entropy of the operation.
pub(super) struct Actor<'a> {
    pub(super) me: &'a NodeId,
    pub(super) key: &'a SigningKey<Node>,
    pub(super) roll: &'a Roll,
    pub(super) zone: &'a ZoneId,
    pub(super) entropy: &'a mut Entropy,
}

cbor_map! {
    /// A device's place in a group, with all its secrets.
    #[derive(Clone, Debug)]
    pub(super) struct Place {
        /// The group.
        pub group_id: ByteString,
        /// What the library keeps.
        pub state: Secret,
    }
}

/// A place in an epoch.
pub(super) struct Seated {
    pub(super) place: Place,
    /// The epoch.
    pub(super) epoch: u64,
    /// The zone's key in this epoch.
    pub(super) key: Zeroizing<[u8; 32]>,
}

/// What a commit leads to.
pub(super) struct Next {
    /// The device's place; none if the commit removes it.
    pub(super) seat: Option<Seated>,
    /// Who committed.
    pub(super) committer: NodeId,
    /// Who is in the group afterwards.
    pub(super) roster: BTreeSet<NodeId>,
    /// What the committer said beside it.
    pub(super) said: Vec<u8>,
}

/// What a committer changes besides its own leaf.
pub(super) struct Change<'a> {
    /// Who leaves.
    pub(super) removes: &'a BTreeSet<NodeId>,
    /// The packages of those who come.
    pub(super) adds: &'a [&'a [u8]],
    /// What is said beside the commit.
    pub(super) says: Vec<u8>,
    /// What those who come are handed over.
    pub(super) hands_over: Vec<u8>,
}

impl Place {
    /// The place of the only member of a new group.
    pub(super) fn found(actor: &mut Actor<'_>) -> Result<Self, Refused> {
        let (client, stores) = client(actor);
        let group = client.create_group(ExtensionList::new(), ExtensionList::new(), None)?;
        stores.take(group)
    }

    /// Commits a change, and gives what only the committer can make of it. The place stays as it is.
    pub(super) fn commit(
        &self,
        change: Change<'_>,
        actor: &mut Actor<'_>,
    ) -> Result<(Commit, Secret), Refused> {
        let (client, _) = self.client(actor)?;
        let mut group = client.load_group(&self.group_id.0)?;
        let members = group.roster().members();
        let mut builder = group.commit_builder().authenticated_data(change.says);
        if !change.adds.is_empty() {
            let mut extensions = ExtensionList::new();
            extensions.set(Extension::new(HANDOVER, change.hands_over));
            builder = builder.set_group_info_ext(extensions);
        }
        for member in members {
            if name_of(&member).is_none_or(|name| change.removes.contains(&name)) {
                builder = builder.remove_member(member.index)?;
            }
        }
        for package in change.adds {
            builder = builder.add_member(MlsMessage::from_bytes(package)?)?;
        }
        let (output, secrets) = builder.build_detached()?;
        let message = ByteString(output.commit_message.to_bytes()?);
        let welcome = output.welcome_messages.first().map(MlsMessage::to_bytes).transpose()?;
        Ok((Commit { message, welcome: welcome.map(ByteString) }, Secret::new(secrets.to_bytes()?)))
    }

    /// What `commit` makes of the place: from its message, or by the secrets of whoever committed.
    pub(super) fn after(
        &self,
        commit: &Commit,
        own: Option<&Secret>,
        actor: &mut Actor<'_>,
    ) -> Result<Next, Refused> {
        let (client, stores) = self.client(actor)?;
        let mut group = client.load_group(&self.group_id.0)?;
        let members = group.roster().members();
        let description = match own {
            Some(secrets) => group.apply_detached_commit(CommitSecrets::from_bytes(secrets.expose())?)?,
            None if !renews_path(&commit.message.0)? => return Err(Refused),
            None => match group.process_incoming_message(MlsMessage::from_bytes(&commit.message.0)?)? {
                ReceivedMessage::Commit(description) => description,
                ReceivedMessage::ApplicationMessage(_)
                | ReceivedMessage::Proposal(_)
                | ReceivedMessage::GroupInfo(_)
                | ReceivedMessage::Welcome
                | ReceivedMessage::KeyPackage(_) => return Err(Refused),
            },
        };
        let committer = members.iter().find(|it| it.index == description.committer);
        let committer = committer.and_then(name_of).ok_or(Refused)?;
        let (mut roster, said) = (roster(&group)?, description.authenticated_data);
        let seat = match description.effect {
            CommitEffect::NewEpoch(_) => Some(Seated::of(group, &stores, actor.zone)?),
            CommitEffect::Removed { .. } => {
                // Whoever is removed does not see the group without it.
                roster.remove(actor.me);
                None
            }
            CommitEffect::ReInit(_) => return Err(Refused),
        };
        Ok(Next { seat, committer, roster, said })
    }

    fn client(&self, actor: &mut Actor<'_>) -> Result<(Client<impl MlsConfig + use<>>, Stores), Refused> {
        let (client, mut stores) = client(actor);
        let state =
            GroupState { id: self.group_id.0.clone(), data: Zeroizing::new(self.state.expose().to_vec()) };
        stores.places.write(state, Vec::new(), Vec::new()).map_err(|_| Refused)?;
        Ok((client, stores))
    }
}

impl Seated {
    /// The secret that the key comes from is forgotten with this: what is stored gives no key a second time.
    //= docs/spec/zone-keys.md#the-key-of-an-epoch
    fn of<C: MlsConfig>(mut group: Group<C>, stores: &Stores, zone: &ZoneId) -> Result<Self, Refused> {
        let exported = group.export_secret(EXPORT_LABEL, zone.as_str().as_bytes(), 32)?;
        let key: &[u8; 32] = exported.as_bytes().try_into().map_err(|_| Refused)?;
        let (key, epoch) = (Zeroizing::new(*key), group.current_epoch());
        group.delete_exporter();
        Ok(Self { place: stores.take(group)?, epoch, key })
    }
}

/// A device's secrets for joining, and the package that others add it by.
pub(super) fn package(now: UnixTime, actor: &mut Actor<'_>) -> Result<(Secret, Vec<u8>), Refused> {
    let (client, stores) = client(actor);
    let time = Some(MlsTime::from(now.as_secs()));
    let message = client.generate_key_package_message(ExtensionList::new(), ExtensionList::new(), time)?;
    let (id, data) = stores.packages.key_packages().into_iter().next().ok_or(Refused)?;
    let mut secrets = id.mls_encode_to_vec()?;
    data.mls_encode(&mut secrets)?;
    Ok((Secret::new(secrets), message.to_bytes()?))
}

/// Whose package it is, if it names a node with the node's key.
pub(super) fn owner_of(package: &[u8], roll: &Roll) -> Option<NodeId> {
    let package = MlsMessage::from_bytes(package).ok()?.into_key_package()?;
    Directory::new(roll).node(package.signing_identity())
}

/// The epoch that a commit ends.
pub(super) fn epoch_of(commit: &Commit) -> Option<u64> {
    MlsMessage::from_bytes(&commit.message.0).ok()?.epoch()
}

/// Whether it is a member's public commit that renews the member's path. One that only adds need not by RFC 9420 (section
/// 12.4), and the library does not tell; so the fields before the path are read here (sections 6 and 12.4).
//= docs/spec/zone-keys.md#commits
fn renews_path(message: &[u8]) -> Result<bool, Refused> {
    const PUBLIC_MESSAGE: u16 = 1;
    const MEMBER: u8 = 1;
    const COMMIT: u8 = 3;
    const PRESENT: u8 = 1;
    let rest = &mut &*message;
    let _version = u16::mls_decode(rest)?;
    let is_public = u16::mls_decode(rest)? == PUBLIC_MESSAGE;
    let _group_id = Vec::<u8>::mls_decode(rest)?;
    let _epoch = u64::mls_decode(rest)?;
    let is_members = u8::mls_decode(rest)? == MEMBER;
    let _leaf = u32::mls_decode(rest)?;
    let _authenticated_data = Vec::<u8>::mls_decode(rest)?;
    let is_commit = u8::mls_decode(rest)? == COMMIT;
    let _proposals = Vec::<u8>::mls_decode(rest)?;
    let has_path = u8::mls_decode(rest)? == PRESENT;
    Ok(is_public && is_members && is_commit && has_path)
}

/// The seat that a welcome gives to whom the secrets of its package belong, and what is handed over with it.
pub(super) fn join(
    secrets: &Secret,
    welcome: &[u8],
    actor: &mut Actor<'_>,
) -> Result<(Next, Vec<u8>), Refused> {
    let (client, stores) = client(actor);
    let mut rest = secrets.expose();
    let id = Vec::<u8>::mls_decode(&mut rest)?;
    stores.packages.insert(id, KeyPackageData::mls_decode(&mut rest)?);
    let (group, info) = client.join_group(None, &MlsMessage::from_bytes(welcome)?, None)?;
    let handed = info.group_info_extensions().get(HANDOVER).ok_or(Refused)?;
    let committer = group.member_at_index(info.sender).as_ref().and_then(name_of).ok_or(Refused)?;
    let roster = roster(&group)?;
    let seat = Some(Seated::of(group, &stores, actor.zone)?);
    Ok((Next { seat, committer, roster, said: Vec::new() }, handed.extension_data().to_vec()))
}

/// What the library stores during one operation.
struct Stores {
    places: InMemoryGroupStateStorage,
    packages: InMemoryKeyPackageStorage,
}

impl Stores {
    /// What is to be kept of a group.
    fn take<C: MlsConfig>(&self, mut group: Group<C>) -> Result<Place, Refused> {
        group.write_to_storage()?;
        let state = self.places.state(group.group_id()).map_err(|_| Refused)?.ok_or(Refused)?;
        Ok(Place { group_id: ByteString(group.group_id().to_vec()), state: Secret::from(state) })
    }
}

fn client(actor: &mut Actor<'_>) -> (Client<impl MlsConfig + use<>>, Stores) {
    let stores = Stores {
        places: InMemoryGroupStateStorage::default(),
        packages: InMemoryKeyPackageStorage::default(),
    };
    let identity = Directory::identity(actor.me, &actor.key.verifying_key());
    let client = Client::builder()
        .group_state_storage(stores.places.clone())
        .key_package_repo(stores.packages.clone())
        .identity_provider(Directory::new(actor.roll))
        .crypto_provider(MlsSuite::new(actor.key, actor.entropy))
        .mls_rules(OnlyMembership)
        .signing_identity(identity, MlsSuite::signer_handle(), SUITE)
        .build();
    (client, stores)
}

fn roster<C: MlsConfig>(group: &Group<C>) -> Result<BTreeSet<NodeId>, Refused> {
    group.roster().members_iter().map(|member| name_of(&member).ok_or(Refused)).collect()
}
