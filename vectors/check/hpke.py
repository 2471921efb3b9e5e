"""Boxes to a device: HPKE in base mode, over X25519."""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from check.canonical import encode
from check.runner import Accept, Reject, demand, equal, raw

KEM = b"KEM" + (0x20).to_bytes(2, "big")
SUITE = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x20, 1, 3))
ENC_BYTES = {"hpke_x25519": 32, "x_wing": 1120}


def extract(suite, salt, label, secret):
    """LabeledExtract of RFC 9180 section 4."""
    return hmac.new(salt or bytes(32), b"HPKE-v1" + suite + label + secret, hashlib.sha256).digest()


def expand(suite, key, label, info, length):
    """LabeledExpand of RFC 9180 section 4, for one block."""
    info = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()[:length]


def public_of(secret):
    """The public half."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def schedule(exchanged, enc, public, info):
    """The key and the first nonce."""
    shared = expand(KEM, extract(KEM, b"", b"eae_prk", exchanged), b"shared_secret", enc + public, 32)
    context = b"\x00" + extract(SUITE, b"", b"psk_id_hash", b"") + extract(SUITE, b"", b"info_hash", info)
    secret = extract(SUITE, shared, b"secret", b"")
    return expand(SUITE, secret, b"key", context, 32), expand(SUITE, secret, b"base_nonce", context, 12)


def seal(public, info, aad, plaintext, ephemeral):
    """`enc || ciphertext || tag`, with the key pair that `ephemeral` gives."""
    secret = expand(KEM, extract(KEM, b"", b"dkp_prk", ephemeral), b"sk", b"", 32)
    exchanged = X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    enc = public_of(secret)
    key, nonce = schedule(exchanged, enc, public, info)
    return enc + ChaCha20Poly1305(key).encrypt(nonce, plaintext, aad)


def open_packed(secret, info, aad, sealed):
    """The content, or None."""
    enc = sealed[:32]
    try:
        exchanged = X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(enc))
        key, nonce = schedule(exchanged, enc, public_of(secret), info)
        return ChaCha20Poly1305(key).decrypt(nonce, sealed[32:], aad)
    except (InvalidTag, ValueError):
        return None


def open_box(case):
    """The content of a box, and what is wrong with it."""
    sealed = raw(case, "sealed")
    if not ENC_BYTES[case["kem"]] + 16 <= len(sealed) <= 65_536:
        return None, f"Length({len(sealed)})"
    demand(case["kem"] == "hpke_x25519", "only X25519 is known here")
    texts = {"purpose": "purpose", "zone_id": "zone", "recipient_node_id": "node"}
    aad = {name: case[field].encode() for name, field in texts.items()}
    aad["issued_at"] = int(case["issued_at"])
    content = open_packed(raw(case, "secret"), b"FCP2-HPKE", encode(aad), sealed)
    return content, "NotOpened" if content is None else None


def base(case):
    """The published ephemeral key gives the published bytes."""
    demand(case["kem"] == "hpke_x25519", "only X25519 is known here")
    equal(public_of(raw(case, "secret")), raw(case, "public"), "public key")
    parts = [raw(case, name) for name in ("public", "info", "aad", "plaintext", "ephemeral")]
    equal(seal(*parts), raw(case, "sealed"), "sealed bytes")


def box(case):
    """A box opens."""
    equal(open_box(case)[0], raw(case, "plaintext"), "content")


def box_reject(case):
    """A box does not open."""
    equal(open_box(case)[1], case["error"], "reason")


FILES = {
    "base.json": Accept(base),
    "boxes.json": Accept(box),
    "boxes_reject.json": Reject(box_reject, "boxes.json"),
}
