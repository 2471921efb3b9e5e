//! Keys that the owner seals to each device.

use fcp_proto_core::crypto::agree::EncryptionKey;

use super::*;

struct Scene {
    device: EncryptionKey,
    other: EncryptionKey,
    keys: ManifestKeys,
}

impl Scene {
    fn new(bounds: Option<Bounds>) -> Self {
        let device = EncryptionKey::generate(&mut entropy(1));
        let other = EncryptionKey::generate(&mut entropy(2));
        Self { device, other, keys: ManifestKeys::new(bounds) }
    }

    fn both(&self) -> BTreeMap<NodeId, PublicEncryptionKey> {
        [(node(0), self.device.recipient()), (node(1), self.other.recipient())].into()
    }

    fn offer(
        &mut self,
        manifest: &Object<Signed<ZoneKeyManifest>>,
    ) -> Result<Vec<ManifestOutput>, ManifestRefusal> {
        let (owner, me, mut out) = (owner().verifying_key(), node(0), Vec::new());
        let recipient = Recipient { owner: &owner, me: &me, key: &self.device };
        self.keys.handle_manifest(manifest, &recipient, at(START), &mut out).map(|()| out)
    }

    fn take(&mut self, manifest: &Object<Signed<ZoneKeyManifest>>) {
        let out = self.offer(manifest).unwrap();
        let [ManifestOutput::Persist { batch, .. }] = &out[..] else { panic!("a write") };
        self.keys.handle_stored(*batch, Completion::Durable, &mut Vec::new());
    }
}

fn id(secret: u8) -> KeyId {
    ZoneKey::from_bytes([secret; 32].into()).key_id()
}

fn members(n: usize) -> BTreeSet<NodeId> {
    (0..n).map(node).collect()
}

//= docs/spec/zone-keys.md#epochs
#[test]
fn a_key_has_an_end_where_the_mode_says_so() {
    let mut scene = Scene::new(Some(BOUNDS));
    let to = scene.both();
    let endless = ZoneKeyTerms { valid_until: None, ..terms(START, None) };
    let long = ZoneKeyTerms { valid_until: Some(at(START + BOUNDS.max_key_secs + 1)), ..terms(START, None) };
    let wide = ZoneKeyTerms { overlap_secs: BOUNDS.overlap_secs + 1, ..terms(START, None) };
    for terms in [endless.clone(), long, wide] {
        assert_eq!(scene.offer(&manifest(terms, 1, &to)).map(drop), Err(ManifestRefusal::Bounds));
    }
    scene.take(&manifest(terms(START, None), 1, &to));
    assert_eq!(scene.keys.due(&members(2), at(START)), None);
    assert_eq!(scene.keys.due(&members(2), at(START + BOUNDS.max_key_secs * 3 / 4)), Some(Due::Ending));
    let end = at(START + BOUNDS.max_key_secs);
    assert!(scene.keys.sealing_key(&members(2), end).is_err());
    let mut fixed = Scene::new(None);
    fixed.take(&manifest(endless, 1, &to));
    assert!(fixed.keys.sealing_key(&members(2), end).is_ok());
}

//= docs/spec/zone-keys.md#the-record
#[test]
fn a_key_serves_once_its_manifest_is_durable_and_comes_back_at_a_restart() {
    let mut scene = Scene::new(Some(BOUNDS));
    let to = scene.both();
    let first = manifest(terms(START, None), 1, &to);
    let out = scene.offer(&first).unwrap();
    assert_eq!(
        scene.keys.sealing_key(&members(2), at(START)).map(|key| key.id),
        Err(ManifestRefusal::Outside)
    );
    assert_eq!(scene.offer(&first).map(drop), Err(ManifestRefusal::Writing));
    let [ManifestOutput::Persist { batch, .. }] = &out[..] else { panic!("a write") };
    scene.keys.handle_stored(*batch, Completion::Durable, &mut Vec::new());
    let second = manifest(terms(START + 10, Some(id(1))), 2, &to);
    scene.take(&second);
    let (owner, me) = (owner().verifying_key(), node(0));
    let recipient = Recipient { owner: &owner, me: &me, key: &scene.device };
    let restored = ManifestKeys::restore(Some(BOUNDS), [&first, &second], &recipient).unwrap();
    let sealing = restored.sealing_key(&members(2), at(START + 10)).map(|key| key.id);
    assert_eq!(sealing, Ok(id(2)));
    assert!(restored.ring().unwrap().reading_key(id(1)).is_ok());
    let out = scene.offer(&manifest(terms(START + 20, Some(id(2))), 3, &to)).unwrap();
    let [ManifestOutput::Persist { batch, .. }] = &out[..] else { panic!("a write") };
    scene.keys.handle_stored(*batch, Completion::Failed, &mut Vec::new());
    let failed = scene.keys.sealing_key(&members(2), at(START + 20)).map(|key| key.id);
    assert_eq!(failed, Err(ManifestRefusal::Failed));
}

//= docs/spec/sealing.md#key-rings
#[test]
fn keys_that_name_each_other_are_no_circle() {
    let mut scene = Scene::new(None);
    let to = scene.both();
    let circle =
        [manifest(terms(START + 10, Some(id(2))), 1, &to), manifest(terms(START + 20, Some(id(1))), 2, &to)];
    for manifest in &circle {
        scene.take(manifest);
    }
    let (owner, me) = (owner().verifying_key(), node(0));
    let recipient = Recipient { owner: &owner, me: &me, key: &scene.device };
    let restored = ManifestKeys::restore(None, &circle, &recipient).unwrap();
    for keys in [scene.keys, restored] {
        let sealing = |secs| keys.sealing_key(&members(2), at(secs)).map(|key| key.id);
        let none_yet = Err(ManifestRefusal::Ring(KeyRingError::NotValid(id(1))));
        assert_eq!(sealing(START), none_yet);
        assert_eq!(sealing(START + 10), Ok(id(1)));
        assert_eq!(sealing(START + 20), Ok(id(2)));
    }
}

//= docs/spec/zone-keys.md#removal
#[test]
fn nothing_is_sealed_under_a_key_that_a_removed_device_has() {
    let mut scene = Scene::new(None);
    let to = scene.both();
    scene.take(&manifest(terms(START, None), 1, &to));
    let alone: BTreeMap<_, _> = [(node(0), scene.device.recipient())].into();
    // The same key sealed to fewer devices has not left the one that had it.
    scene.take(&manifest(terms(START, None), 1, &alone));
    let sealing = |scene: &Scene| scene.keys.sealing_key(&members(1), at(START + 9)).map(|key| key.id);
    assert_eq!(sealing(&scene), Err(ManifestRefusal::RemovalDue));
    assert_eq!(scene.keys.due(&members(1), at(START)), Some(Due::Removal));
    scene.take(&manifest(terms(START + 9, Some(id(1))), 2, &alone));
    assert_eq!(sealing(&scene), Ok(id(2)));
    assert_eq!(scene.keys.due(&members(2), at(START)), Some(Due::Newcomer));
}

//= docs/spec/zone-keys.md#modes
#[test]
fn a_mode_keeps_to_its_bounds() {
    let bad = [
        Bounds { max_key_secs: MAX_KEY_SECS + 1, overlap_secs: 0 },
        Bounds { max_key_secs: 90_000, overlap_secs: MAX_OVERLAP_SECS + 1 },
        Bounds { max_key_secs: 10, overlap_secs: 10 },
    ];
    assert_eq!(Mode::Static.check(), Ok(Mode::Static));
    assert_eq!(Mode::Continuous(POLICY).check(), Ok(Mode::Continuous(POLICY)));
    for bounds in bad {
        assert_eq!(Mode::Epochs(bounds).check(), Err(OutOfBounds));
        assert_eq!(Mode::Continuous(Continuous { bounds, ..POLICY }).check(), Err(OutOfBounds));
    }
    for bad in [
        Continuous { update_secs: 0, ..POLICY },
        Continuous { update_secs: BOUNDS.max_key_secs + 1, ..POLICY },
        Continuous { handed_over: MAX_HANDED_OVER + 1, ..POLICY },
    ] {
        assert_eq!(Mode::Continuous(bad).check(), Err(OutOfBounds));
    }
}
