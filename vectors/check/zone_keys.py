"""Zone key manifests, and the rings that are made from them (docs/spec/sealing.md)."""

import functools

from check import hpke
from check.canonical import decode
from check.keys import key_id, secret_key_id, signing_bytes, verify
from check.kinds import fault
from check.objects import object_id, signing_text
from check.runner import Accept, Reject, demand, equal, raw

WRAPS = {"wrapped_keys": "FCP2-ZONE-KEY", "wrapped_object_id_keys": "FCP2-OBJECTID-KEY"}
SCHEMA = {"namespace": "fcp.zone", "name": "ZoneKeyManifest", "version": "1.0.0"}


class Stopped(Exception):
    """Why there is no key, or why it is not taken."""


class Manifest:
    """A manifest as it is stored, not yet opened."""

    def __init__(self, stored):
        equal(fault(stored), None, "a rule that the manifest breaks")
        item = decode(stored)
        self.header, self.body = item["header"], item["body"]
        equal(self.header["schema"], SCHEMA, "schema")
        self.zone, self.fields = self.header["zone_id"], decode(self.body[32:])
        self.terms = self.fields["terms"]

    def is_signed_by(self, owner):
        """Whether the owner signed it."""
        fields = {name: it for name, it in self.fields.items() if name not in ("signer", "signature")}
        view = {"header": self.header, "fields": fields, "signer": self.fields["signer"]}
        message = signing_bytes(signing_text(SCHEMA), view)
        return self.fields["signer"] == key_id(owner) and verify(owner, message, self.fields["signature"])

    def unwrap(self, name, case):
        """The key in the wrap for the case's node."""
        wrap = next((it for it in self.fields[name] if it["recipient"] == case["node"]), None)
        if wrap is None:
            raise Stopped("NotARecipient")
        public = hpke.KEMS[case["kem"]].public(raw(case, "secret"))
        if wrap["recipient_key_id"] != key_id(public):
            raise Stopped("OtherKey")
        bound = {"zone": self.zone, "node": case["node"], "purpose": WRAPS[name], "issued_at": wrap["issued_at"]}
        box = {"kem": wrap["sealed"]["kem"], "sealed": wrap["sealed"]["sealed"].hex()}
        content, error = hpke.open_box({**bound, **box, "key_kem": case["kem"], "secret": case["secret"]})
        if error:
            raise Stopped(f"Box({error})")
        return content

    def open(self, case):
        """The zone key and the object-id key."""
        if not self.is_signed_by(raw(case, "owner")):
            raise Stopped("Signature")
        opened = [self.unwrap(name, case) for name in WRAPS]
        ids = [self.fields["zone_key_id"], self.fields["object_id_key_id"]]
        if [secret_key_id(it) if len(it) == 32 else None for it in opened] != ids:
            raise Stopped("OtherKeyInside")
        return opened


def check_manifest(case):
    """A manifest opens, and has its identity under the key inside."""
    manifest = Manifest(raw(case, "object"))
    equal(manifest.open(case), [raw(case, "zone_key"), raw(case, "object_id_key")], "keys")
    identity = object_id(raw(case, "object_id_key"), manifest.header, manifest.body)
    equal(identity, raw(case, "object_id"), "identity")


def manifest_fault(case):
    """Why a manifest gives a device no keys."""
    try:
        Manifest(raw(case, "object")).open(case)
    except Stopped as error:
        return str(error)
    return None


@functools.lru_cache
def opened(stored, owner, node, kem, secret):
    """A manifest that opens; the same ones are asked for again and again."""
    manifest = Manifest(bytes.fromhex(stored))
    manifest.open({"owner": owner, "node": node, "kem": kem, "secret": secret})
    return manifest


class Ring:
    """The keys of a zone, in the order in which they were taken."""

    def __init__(self):
        self.taken, self.gone = [], set()

    def find(self, identity):
        """The place of a key in the order."""
        found = [place for place, it in enumerate(self.taken) if it.fields["zone_key_id"] == identity]
        if not found:
            raise Stopped("Unknown")
        return found[0]

    def take(self, manifest):
        """Takes the next manifest."""
        if self.taken and not self.is_next(manifest):
            return "nothing new"
        self.taken.append(manifest)
        return "taken"

    def is_next(self, manifest):
        """Whether a manifest has another key than the newest; refuses what does not follow."""
        newest, same = self.taken[-1], ("zone_key_id", "object_id_key_id", "terms")
        if manifest.zone != newest.zone:
            raise Stopped("OtherZone")
        if all(manifest.fields[name] == newest.fields[name] for name in same):
            return False
        if manifest.fields["zone_key_id"] in {it.fields["zone_key_id"] for it in self.taken}:
            raise Stopped("Known")
        if manifest.terms.get("prev_zone_key_id") != newest.fields["zone_key_id"]:
            raise Stopped("NotNext")
        if manifest.terms["valid_from"] < newest.terms["valid_from"]:
            raise Stopped("NotLater")
        return True

    def ended(self, manifest, now):
        """Refuses a key that has ended."""
        if manifest.terms.get("valid_until", 2**64) <= now:
            raise Stopped("NotValid")

    def present(self, manifest):
        """Refuses a key that is gone."""
        if manifest.fields["zone_key_id"] in self.gone:
            raise Stopped("Retired")
        return manifest

    def seal(self, now):
        """The key to seal with."""
        begun = [it for it in self.taken if it.terms["valid_from"] <= now]
        if not begun:
            raise Stopped("NotValid")
        self.ended(begun[-1], now)
        return self.present(begun[-1]).fields["zone_key_id"].hex()

    def open(self, identity, now):
        """How to open what others send."""
        place = self.find(identity)
        manifest, later = self.taken[place], self.taken[place + 1 : place + 2]
        self.ended(manifest, now)
        if any(now >= it.terms["valid_from"] + it.terms["overlap_secs"] for it in later):
            raise Stopped("NotValid")
        return self.present(manifest).terms["algorithm"]

    def read(self, identity):
        """How to read what is stored."""
        return self.present(self.taken[self.find(identity)]).terms["algorithm"]

    def retire(self, identity, now):
        """Wipes a key that serves for nothing but reading."""
        try:
            serves = self.find(identity) == len(self.taken) - 1 or self.open(identity, now)
        except Stopped:
            serves = False
        if serves:
            raise Stopped("InUse")
        return self.revoke(identity)

    def revoke(self, identity):
        """Wipes a key at once."""
        self.find(identity)
        self.gone.add(identity)
        return "gone"

    def name(self, *identity):
        """The object-id key that names new objects, or one that earlier objects may be named by."""
        known = [it.fields["object_id_key_id"] for it in self.taken]
        if identity and identity[0] not in known:
            raise Stopped("Unknown")
        return (identity or known[-1:])[0].hex()


def answer(ring, step, manifests):
    """What a ring says to a step, which is a verb, a key or a manifest, and a time."""
    verb, *words = step.split(" ")
    if verb == "take":
        words = [manifests[int(words[0])]]
    else:
        words = [bytes.fromhex(it) if len(it) == 16 else int(it) for it in words]
    try:
        return getattr(ring, verb)(*words)
    except Stopped as error:
        return str(error)


def check_ring(case):
    """A ring is made of manifests, each of which opens, and answers."""
    device = tuple(case[name] for name in ("owner", "node", "kem", "secret"))
    manifests, ring = [opened(it, *device) for it in case["manifests"]], Ring()
    demand(len(case["steps"]) == len(case["answers"]), "an answer to each step")
    for step, expected in zip(case["steps"], case["answers"]):
        equal(answer(ring, step, manifests), expected, step)


FILES = {
    "manifests.json": Accept(check_manifest),
    "manifests_reject.json": Reject(lambda case: equal(manifest_fault(case), case["error"], "reason"), "manifests.json"),
    # Other steps may have the same answers.
    "rings.json": Accept(check_ring, prose=frozenset({"steps"})),
}
