//! Commits that MLS knows and zones do not, by a member whose library keeps none of our rules.

use fcp_proto_core::crypto::mls::{MlsSuite, SUITE};
use fcp_proto_core::encoding::cbor::encode;
use mls_rs::client_builder::MlsConfig;
use mls_rs::group::CommitOutput;
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules};
use mls_rs::storage_provider::in_memory::InMemoryGroupStateStorage;
use mls_rs::{Client, ExtensionList, Group, GroupStateStorage, MlsMessage, ProtocolVersion};
use mls_rs_core::group::GroupState;

use super::super::directory::Directory;
use super::world::{Message, Without, World};
use super::*;

fn client(i: usize, places: InMemoryGroupStateStorage) -> Client<impl MlsConfig> {
    let options = CommitOptions::new().with_path_required(false).with_ratchet_tree_extension(true);
    let members = roll(1, 0..4);
    Client::builder()
        .group_state_storage(places)
        .identity_provider(Directory::new(&members))
        .crypto_provider(MlsSuite::new(&key(i), &mut entropy(900)))
        .mls_rules(DefaultMlsRules::new().with_commit_options(options))
        .signing_identity(
            Directory::identity(&node(i), &key(i).verifying_key()),
            MlsSuite::signer_handle(),
            SUITE,
        )
        .build()
}

/// The group as member `i` has it.
fn group(world: &World, i: usize) -> Group<impl MlsConfig + use<>> {
    let place = &world.devices[i].machine.record.membership.as_ref().unwrap().place;
    let mut places = InMemoryGroupStateStorage::default();
    let (id, data) = (place.group_id.0.clone(), Zeroizing::new(place.state.expose().to_vec()));
    places.write(GroupState { id: id.clone(), data }, Vec::new(), Vec::new()).unwrap();
    client(i, places).load_group(&id).unwrap()
}

/// What an honest committer says beside its commit.
fn said(world: &World) -> Vec<u8> {
    let Bounds { max_key_secs, overlap_secs } = POLICY.bounds;
    let (membership_epoch, algorithm) = (world.roll.epoch, POLICY.algorithm);
    encode(&Said { membership_epoch, algorithm, max_key_secs, overlap_secs }).unwrap()
}

fn commit(output: &CommitOutput) -> Commit {
    let welcome = output.welcome_messages().first().map(|it| ByteString(it.to_bytes().unwrap()));
    Commit { message: ByteString(output.commit_message().to_bytes().unwrap()), welcome }
}

/// What member 0 says to the commit, offered and chosen.
fn refused(world: &mut World, commit: &Commit) -> [Result<(), Refusal>; 2] {
    let offered = world.act(0, |it, seat, entropy, out| it.handle_commit(commit, seat, entropy, out));
    let now = at(world.time);
    let chosen = world.act(0, |it, seat, entropy, out| it.handle_decided(commit, now, seat, entropy, out));
    [offered, chosen]
}

const REFUSED: [Result<(), Refusal>; 2] = [Err(Refusal::Mls), Err(Refusal::Mls)];

/// A package of device 2, which became a member.
fn package(world: &mut World) -> MlsMessage {
    world.set_members([node(0), node(1), node(2)].into());
    world.ask(2).unwrap();
    world.write(2);
    let Some((_, _, Message::Package(package))) = world.wire.pop() else { panic!("a package") };
    MlsMessage::from_bytes(&package).unwrap()
}

//= docs/spec/zone-keys.md#the-group
//= docs/spec/zone-keys.md#commits
#[test]
fn a_commit_that_changes_more_than_members_is_refused() {
    let mut world = World::settled(2, Without::Nothing);
    let (said, extensions) = (said(&world), ExtensionList::new);
    let mut unruled = group(&world, 1);
    let begun_anew = unruled.commit_builder().authenticated_data(said.clone());
    let begun_anew = begun_anew.reinit(None, ProtocolVersion::MLS_10, SUITE, extensions()).unwrap();
    assert_eq!(refused(&mut world, &commit(&begun_anew.build().unwrap())), REFUSED);

    let mut unruled = group(&world, 1);
    let extended = unruled.commit_builder().authenticated_data(said);
    let extended = extended.set_group_context_ext(extensions()).unwrap();
    assert_eq!(refused(&mut world, &commit(&extended.build().unwrap())), REFUSED);

    let sound = sound(&world);
    let offered = world.act(0, |it, seat, entropy, out| it.handle_commit(&sound, seat, entropy, out));
    assert_eq!(offered, Ok(()), "the same without more");
}

/// A commit that renews its committer's path alone.
fn sound(world: &World) -> Commit {
    let mut unruled = group(world, 1);
    let build = unruled.commit_builder().authenticated_data(said(world));
    let output = build.set_leaf_node_extensions(ExtensionList::new()).build().unwrap();
    commit(&output)
}

/// MLS takes a commit that only adds without a path.
//= docs/spec/zone-keys.md#commits
#[test]
fn a_commit_renews_its_committers_path() {
    let mut world = World::settled(2, Without::Nothing);
    let package = package(&mut world);
    let mut unruled = group(&world, 1);
    let added = unruled.commit_builder().authenticated_data(said(&world)).add_member(package).unwrap();
    assert_eq!(refused(&mut world, &commit(&added.build().unwrap())), REFUSED);
}

/// What a member says in the group, or proposes to it, or what somebody else says to it, is no commit.
//= docs/spec/zone-keys.md#the-group
#[test]
fn what_is_no_members_public_commit_is_refused() {
    let mut world = World::settled(2, Without::Nothing);
    let sound = sound(&world);
    // RFC 9420 section 6: version, wire format, group, epoch, kind of sender, leaf, authenticated data, kind of content.
    let sender = 4 + 1 + usize::from(sound.message.0[4]) + 8;
    let content = sender + 5 + 1 + said(&world).len() + usize::from(said(&world).len() > 63);
    for (at, is, others) in
        [(3, 1, [0, 2, 3, 4, 5].as_slice()), (sender, 1, &[0, 2, 3, 4]), (content, 3, &[0, 1, 2])]
    {
        assert_eq!(sound.message.0[at], is, "{at}");
        for other in others {
            let mut bent = sound.clone();
            bent.message.0[at] = *other;
            assert_eq!(refused(&mut world, &bent), REFUSED, "{other} at {at}");
        }
    }
}

//= docs/spec/zone-keys.md#commits
#[test]
fn a_commit_is_named_by_all_of_it() {
    let commit = |message: &[u8], welcome: Option<&[u8]>| Commit {
        message: ByteString(message.to_vec()),
        welcome: welcome.map(|it| ByteString(it.to_vec())),
    };
    let name = commit(b"a", Some(b"b")).id().unwrap();
    assert_eq!(commit(b"a", Some(b"b")).id(), Some(name));
    for other in [commit(b"c", Some(b"b")), commit(b"a", Some(b"c")), commit(b"a", None)] {
        assert_ne!(other.id(), Some(name));
    }
}
