"""Hashes, keys, signatures, phrases and stored keys."""

import argon2.low_level
import blake3
import nacl.bindings
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from mnemonic import Mnemonic

from check.canonical import decode, encode
from check.runner import Accept, Mismatch, Reject, demand, equal, raw

# Encodings of the points of small order (RFC 7748 section 6 names why they are dangerous), and of their doubles.
IDENTITY = bytes([1]) + bytes(31)


def key_id(public):
    """The first eight bytes of BLAKE3 in derive-key mode."""
    return blake3.blake3(public, derive_key_context="FCP2-KID").digest()[:8]


def secret_key_id(secret):
    """The id of a symmetric key."""
    return blake3.blake3(secret, derive_key_context="FCP2-SECRET-KEY-ID").digest()[:8]


def signing_bytes(schema, item):
    """What is signed for an item of a schema."""
    return b"FCP2-SIGN-V1" + blake3.blake3(schema.encode()).digest()[:8] + encode(item)


def public_of(seed):
    """The Ed25519 public key of a seed."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def sign(seed, message):
    """An Ed25519 signature."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def is_sound(public):
    """Whether bytes are the canonical encoding of a point that is not of small order."""
    return nacl.bindings.crypto_core_ed25519_is_valid_point(public)


def verify(public, message, signature):
    """Whether a signature holds by two libraries; keys and nonces of small order never do."""
    if not (is_sound(public) and is_sound(signature[:32])):
        return False
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        nacl.bindings.crypto_sign_open(signature + message, public)
    except (InvalidSignature, nacl.exceptions.BadSignatureError, ValueError):
        return False
    return True


def hkdf(salt, secret, info, length):
    """HKDF-SHA256; an absent salt is an empty one."""
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt or None, info=info).derive(secret)


def check_blake3(case):
    modes = {
        "hash": lambda: {},
        "keyed_hash": lambda: {"key": raw(case, "key")},
        "derive_key": lambda: {"derive_key_context": case["context"]},
    }
    length = int(case["length"])
    data = (bytes(range(251)) * (length // 251 + 1))[:length]
    equal(blake3.blake3(data, **modes[case["mode"]]()).digest(), raw(case, "hash"), "hash")


def check_ed25519(case):
    seed, public, message = raw(case, "seed"), raw(case, "public"), raw(case, "message")
    equal(public_of(seed), public, "public key")
    equal(sign(seed, message), raw(case, "signature"), "signature")
    demand(verify(public, message, raw(case, "signature")), "the signature does not verify")


def reject_ed25519(case):
    demand(not verify(raw(case, "public"), raw(case, "message"), raw(case, "signature")), "the signature verifies")


def check_hkdf(case):
    expected = raw(case, "output")
    equal(hkdf(raw(case, "salt"), raw(case, "secret"), raw(case, "info"), len(expected)), expected, "output")


def check_key_id(case):
    equal(key_id(raw(case, "public")), raw(case, "key_id"), "key id")


def check_encryption_key(case):
    private = x25519.X25519PrivateKey.from_private_bytes(raw(case, "secret"))
    equal(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), raw(case, "public"), "public key")


def check_x25519(case):
    scalar, u = raw(case, "scalar"), raw(case, "u")
    for _ in range(int(case["times"])):
        private, public = x25519.X25519PrivateKey.from_private_bytes(scalar), x25519.X25519PublicKey.from_public_bytes(u)
        scalar, u = private.exchange(public), scalar
    equal(scalar, raw(case, "output"), "output")


def check_phrase(case):
    entropy = raw(case, "entropy")
    equal(Mnemonic("english").to_mnemonic(entropy), case["words"], "words")
    equal(bytes(Mnemonic("english").to_entropy(case["words"])), entropy, "entropy")
    equal(public_of(hkdf(b"", entropy, b"FCP2-OWNER-V1", 32)).hex(), case["owner"], "owner key")


def reject_phrase(case):
    words = case["words"].lower().split()
    known = len(words) == 24 and Mnemonic("english").check(" ".join(words))
    demand(not known, "it is a phrase")


def check_signing_bytes(case):
    equal(signing_bytes(case["schema"], decode(raw(case, "item"))), raw(case, "bytes"), "signing bytes")


def frame(data):
    """The length as a 64-bit little-endian integer, then the data."""
    return len(data).to_bytes(8, "little") + data


class NotOpened(Exception):
    """A stored key that does not open."""


def within(source):
    """Whether a cost of stretching is one that may be paid."""
    memory, passes, lanes = source["memory_kib"], source["passes"], source["lanes"]
    return (
        19 * 1024 <= memory <= 1024 * 1024
        and 2 <= passes <= 16
        and 1 <= lanes <= 16
        and memory * passes <= 4 * 1024 * 1024
    )


def covered(sealed, purpose, binding):
    """What the tag of a box under a symmetric key covers besides its content."""
    head = {name: sealed[name] for name in ("version", "algorithm", "key_id")}
    return b"FCP2-SEAL-V1" + frame(encode(head)) + frame(purpose.encode()) + binding


def open_sealed(sealed, key, purpose, binding):
    """The content of a box under a symmetric key."""
    if sealed["version"] != 1 or sealed["algorithm"] != "xchacha20poly1305":
        raise NotOpened("Version")
    if sealed["key_id"] != secret_key_id(key):
        raise NotOpened("OtherKey")
    try:
        return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            sealed["ciphertext"], covered(sealed, purpose, binding), sealed["nonce"], key
        )
    except (nacl.exceptions.CryptoError, ValueError) as error:  # the latter for less than a tag
        raise NotOpened("NotAuthentic") from error


def seal(sealed, key, purpose, binding, content):
    """The box made anew, with the nonce that it has."""
    extra = covered(sealed, purpose, binding)
    ciphertext = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(content, extra, sealed["nonce"], key)
    return {**sealed, "ciphertext": ciphertext}


def open_wrapped(record, passphrase):
    """The secret in a stored key of an agent, and the record made anew from it."""
    source, sealed = record["source"], record["sealed"]
    if record["role"] != "agent" or source["kind"] != "passphrase" or not passphrase or not within(source):
        raise NotOpened("role, source, passphrase or cost")
    stretched = argon2.low_level.hash_secret_raw(
        passphrase.encode(), source["salt"], source["passes"], source["memory_kib"], source["lanes"], 32, argon2.Type.ID, 0x13
    )
    binding = encode({name: record[name] for name in ("version", "key_id", "role", "source")})
    if record["version"] != 1:
        raise NotOpened("another version")
    secret = open_sealed(sealed, stretched, "wrapped-key", binding)
    return secret, encode({**record, "sealed": seal(sealed, stretched, "wrapped-key", binding, secret)})


def check_wrapped_key(case):
    record = decode(raw(case, "record"))
    secret, again = open_wrapped(record, case["passphrase"])
    equal(secret, raw(case, "seed"), "seed")
    equal(key_id(public_of(secret)), record["key_id"], "key id")
    equal(again, raw(case, "record"), "record made anew")


def reject_wrapped_key(case):
    try:
        open_wrapped(decode(raw(case, "record")), case["passphrase"])
    except (NotOpened, KeyError):
        return
    raise Mismatch("it opens")


def check_sealed(case):
    key, binding, sealed = raw(case, "key"), raw(case, "binding"), decode(raw(case, "box"))
    content = open_sealed(sealed, key, case["purpose"], binding)
    equal(content, raw(case, "content"), "content")
    equal(encode(seal(sealed, key, case["purpose"], binding, content)), raw(case, "box"), "box made anew")


def reject_sealed(case):
    try:
        open_sealed(decode(raw(case, "box")), raw(case, "key"), case["purpose"], raw(case, "binding"))
    except NotOpened as error:
        equal(str(error), case.get("error"), "reason")
        return
    raise Mismatch("it opens")


def check_proof(case):
    """What proves that somebody has a key (docs/spec/keys.md#proofs-of-possession)."""
    names = {"session": ("channel_binding", "challenge"), "enrolment": ("challenge",)}[case["kind"]]
    statement = {"principal_id": case["principal"], "node_id": case["node"], **{it: raw(case, it) for it in names}}
    if case["kind"] == "enrolment":
        statement["zone_id"] = case["zone"]
    proof = {"role": case["role"], "statement": statement}
    signed = signing_bytes(f"fcp.{case['kind']}-proof/1.0.0", proof)
    equal(signed, raw(case, "bytes"), "what is signed")
    equal(sign(raw(case, "seed"), signed), raw(case, "signature"), "signature")


FILES = {
    "blake3.json": Accept(check_blake3),
    "ed25519.json": Accept(check_ed25519),
    "ed25519_reject.json": Reject(reject_ed25519, sound="ed25519.json"),
    "encryption_key.json": Accept(check_encryption_key),
    "hkdf.json": Accept(check_hkdf),
    "key_id.json": Accept(check_key_id),
    "phrase.json": Accept(check_phrase),
    "phrase_reject.json": Reject(reject_phrase, sound="phrase.json"),
    "proofs.json": Accept(check_proof),
    "sealed_box.json": Accept(check_sealed),
    "sealed_box_reject.json": Reject(reject_sealed, sound="sealed_box.json"),
    "signing_bytes.json": Accept(check_signing_bytes),
    "wrapped_key.json": Accept(check_wrapped_key),
    "wrapped_key_reject.json": Reject(reject_wrapped_key, sound="wrapped_key.json"),
    "x25519.json": Accept(check_x25519),
}
