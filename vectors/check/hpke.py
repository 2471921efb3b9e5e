"""Boxes to a device: HPKE in base mode, over X25519 and over X-Wing."""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from kyber_py.ml_kem import ML_KEM_768

from check.canonical import encode
from check.runner import Accept, Reject, demand, equal, raw

SUITES = {"hpke_x25519": b"HPKE\x00\x20\x00\x01\x00\x03", "x_wing": b"HPKE\x64\x7a\x00\x01\x00\x03"}
KEM = b"KEM\x00\x20"
ENC_BYTES = {"hpke_x25519": 32, "x_wing": 1120}
LABEL = b"\\.//^\\"


def extract(suite, salt, label, secret):
    """LabeledExtract of RFC 9180 section 4."""
    return hmac.new(salt or bytes(32), b"HPKE-v1" + suite + label + secret, hashlib.sha256).digest()


def expand(suite, key, label, info, length):
    """LabeledExpand of RFC 9180 section 4, for one block."""
    info = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()[:length]


def public_of(secret):
    """The public half of an X25519 secret."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def exchange(secret, public):
    """X25519; raises for a point of small order."""
    return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))


class DhKem:
    """DHKEM(X25519, HKDF-SHA256)."""

    public = staticmethod(public_of)

    @staticmethod
    def shared(exchanged, enc, public):
        """What both sides have."""
        return expand(KEM, extract(KEM, b"", b"eae_prk", exchanged), b"shared_secret", enc + public, 32)

    @classmethod
    def encapsulate(cls, public, ephemeral):
        """The encapsulated key and the shared secret, with the key pair that `ephemeral` gives."""
        secret = expand(KEM, extract(KEM, b"", b"dkp_prk", ephemeral), b"sk", b"", 32)
        enc = public_of(secret)
        return enc, cls.shared(exchange(secret, public), enc, public)

    @classmethod
    def decapsulate(cls, secret, enc):
        """The shared secret."""
        return cls.shared(exchange(secret, enc), enc, public_of(secret))


class XWing:
    """X-Wing: ML-KEM-768, whose encapsulation is by one library and whose opening by another, beside X25519."""

    @staticmethod
    def halves(seed):
        """The secrets of both halves, which SHAKE256 makes of the seed."""
        wide = hashlib.shake_256(seed).digest(96)
        return MLKEM768PrivateKey.from_seed_bytes(wide[:64]), wide[64:]

    @classmethod
    def public(cls, seed):
        """ML-KEM's public key, then X25519's."""
        lattice, curve = cls.halves(seed)
        return lattice.public_key().public_bytes_raw() + public_of(curve)

    @staticmethod
    def combine(lattice, exchanged, enc, public):
        """The combiner: both secrets, and X25519's half of what was sent and of whom to."""
        return hashlib.sha3_256(lattice + exchanged + enc + public + LABEL).digest()

    @classmethod
    def encapsulate(cls, public, ephemeral):
        """The encapsulated key and the shared secret, with 32 bytes of `ephemeral` for each half."""
        lattice, enc_lattice = ML_KEM_768._encaps_internal(public[:1184], ephemeral[:32])
        enc = public_of(ephemeral[32:])
        shared = cls.combine(lattice, exchange(ephemeral[32:], public[1184:]), enc, public[1184:])
        return enc_lattice + enc, shared

    @classmethod
    def decapsulate(cls, seed, enc):
        """The shared secret."""
        lattice, curve = cls.halves(seed)
        exchanged = exchange(curve, enc[1088:])
        return cls.combine(lattice.decapsulate(enc[:1088]), exchanged, enc[1088:], public_of(curve))


KEMS = {"hpke_x25519": DhKem, "x_wing": XWing}


def schedule(kem, shared, info):
    """The key and the first nonce."""
    suite = SUITES[kem]
    context = b"\x00" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    secret = extract(suite, shared, b"secret", b"")
    return expand(suite, secret, b"key", context, 32), expand(suite, secret, b"base_nonce", context, 12)


def seal(kem, public, info, aad, plaintext, ephemeral):
    """`enc || ciphertext || tag`."""
    enc, shared = KEMS[kem].encapsulate(public, ephemeral)
    key, nonce = schedule(kem, shared, info)
    return enc + ChaCha20Poly1305(key).encrypt(nonce, plaintext, aad)


def open_packed(kem, secret, info, aad, sealed):
    """The content, or None."""
    enc = sealed[: ENC_BYTES[kem]]
    try:
        key, nonce = schedule(kem, KEMS[kem].decapsulate(secret, enc), info)
        return ChaCha20Poly1305(key).decrypt(nonce, sealed[len(enc) :], aad)
    except (InvalidTag, ValueError):
        return None


def additional(case):
    """What a box is bound to."""
    texts = {"purpose": "purpose", "zone_id": "zone", "recipient_node_id": "node"}
    bound = {name: case[field].encode() for name, field in texts.items()}
    return encode({**bound, "issued_at": int(case["issued_at"])})


def open_box(case):
    """The content of a box, and what is wrong with it; `key_kem` is the kind of the key, if it is not that of the box."""
    sealed = raw(case, "sealed")
    if not ENC_BYTES[case["kem"]] + 16 <= len(sealed) <= 65_536:
        return None, f"Length({len(sealed)})"
    if case.get("key_kem", case["kem"]) != case["kem"]:
        return None, "OtherKem"
    content = open_packed(case["kem"], raw(case, "secret"), b"FCP2-HPKE", additional(case), sealed)
    return content, "NotOpened" if content is None else None


def base(case):
    """The published ephemeral key gives the published bytes, and these open."""
    kem, secret = case["kem"], raw(case, "secret")
    equal(KEMS[kem].public(secret), raw(case, "public"), "public key")
    parts = [raw(case, name) for name in ("public", "info", "aad", "plaintext", "ephemeral")]
    sealed = seal(kem, *parts)
    equal(sealed, raw(case, "sealed"), "sealed bytes")
    equal(open_packed(kem, secret, parts[1], parts[2], sealed), parts[3], "content")


def box(case):
    """A box opens."""
    equal(open_box(case)[0], raw(case, "plaintext"), "content")


def box_reject(case):
    """A box does not open."""
    equal(open_box(case)[1], case["error"], "reason")


def is_recipient(kem, public):
    """Whether there is a public key to seal to: of the right length, and one that gives a secret."""
    if len(public) != {"hpke_x25519": 32, "x_wing": 1216}[kem]:
        return False
    try:
        exchange(bytes(32), public[-32:])
        if kem == "x_wing":
            MLKEM768PublicKey.from_public_bytes(public[:1184])
    except ValueError:
        return False
    return True


def recipient_reject(case):
    """Nothing is sealed to a key."""
    demand(not is_recipient(case["kem"], raw(case, "public")), "a key to seal to")
    equal(case["error"], "RecipientKey", "reason")


FILES = {
    "base.json": Accept(base),
    "boxes.json": Accept(box),
    "boxes_reject.json": Reject(box_reject, "boxes.json"),
    "recipients_reject.json": Reject(recipient_reject, "base.json"),
}
