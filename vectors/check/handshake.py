"""The messages of handshakes and rekeys, what they are signed over, and the keys they make (docs/spec/mesh-sessions.md)."""

import hashlib
import hmac
import re

import blake3

from check.canonical import Refused, decode, encode
from check.keys import hkdf
from check.runner import raw

MAX_BYTES, MAX_SUITES, SKEW = 16 * 1024, 16, 120
NODE = re.compile(r"[a-z0-9]([a-z0-9._:-]{0,126}[a-z0-9])?")
HELLO = ("from", "to", "eph_pubkey", "nonce", "cookie", "timestamp", "suites", "transport_limits")
ACK = ("from", "to", "eph_pubkey", "nonce", "session_id", "suite", "timestamp")
REKEY_REQUEST = ("from", "to", "session_id", "generation", "eph_pubkey", "nonce", "timestamp")
REKEY_ACK = ("from", "to", "session_id", "generation", "eph_pubkey", "nonce", "next_session_id", "timestamp")
OPTIONAL = {"cookie": {"hello"}, "transport_limits": {"hello"}}
FIELDS = {
    "hello": (*HELLO, "signature"),
    "retry": ("from", "to", "cookie", "timestamp"),
    "ack": (*ACK, "signature"),
    "rekey_request": (*REKEY_REQUEST, "signature"),
    "rekey_ack": (*REKEY_ACK, "signature"),
}
LENGTHS = {"eph_pubkey": 32, "nonce": 16, "cookie": 32, "session_id": 16, "next_session_id": 16, "signature": 64}
BITS = {"timestamp": 64, "generation": 32, "transport_limits": 16}


def number(value, size):
    """A number in `size` bytes."""
    return value.to_bytes(size, "little")


def prefixed(text):
    """Bytes behind their length."""
    return number(len(text), 4) + text


def is_number(value, bits):
    """Whether a value is an unsigned integer of so many bits."""
    return type(value) is int and 0 <= value < 1 << bits


def is_sound(name, value):
    """Whether a field has its type and its bounds."""
    if name in LENGTHS:
        return isinstance(value, bytes) and len(value) == LENGTHS[name]
    if name in BITS:
        return is_number(value, BITS[name])
    if name == "suite":
        return value in (1, 2)
    if name == "suites":
        return isinstance(value, list) and 0 < len(value) <= MAX_SUITES and all(is_number(it, 8) for it in value)
    return isinstance(value, str) and NODE.fullmatch(value) is not None


def read(kind, message):
    """A message's fields."""
    if len(message) > MAX_BYTES:
        raise Refused("too long")
    fields = decode(message)
    if not isinstance(fields, dict) or fields.keys() - set(FIELDS[kind]):
        raise Refused("no message of the kind")
    for name in FIELDS[kind]:
        absent = name not in fields and kind in OPTIONAL.get(name, ())
        if not absent and (name not in fields or not is_sound(name, fields[name])):
            raise Refused(name)
    return fields


def transcript(domain, names, fields):
    """What the fields of these names are signed as; an absent one is null."""
    return domain + b"".join(encode(fields.get(name)) for name in names)


def context(suite, initiator, responder):
    """The suite and the parties."""
    return bytes([suite]) + prefixed(initiator.encode()) + prefixed(responder.encode())


def schedule(case):
    """The keys of the handshake that a case describes, and the chain."""
    parties = context(raw(case, "suite")[0], case["initiator"], case["responder"])
    return first_keys(parties + raw(case, "hello_nonce") + raw(case, "ack_nonce"), raw(case, "session_id"), raw(case, "shared"))


def first_keys(info, salt, shared):
    """The keys of a handshake, and the chain."""
    keys = hkdf(salt, shared, b"FCP2-SESSION-V1" + info, 96)
    return keys + hkdf(salt, shared, b"FCP2-SESSION-CHAIN-V1" + info, 32)


def mac(suite, key, message):
    """What authenticates a datagram."""
    macs = {
        1: lambda: hmac.new(key, message, hashlib.sha256).digest(),
        2: lambda: blake3.blake3(message, key=key).digest(),
    }
    return macs[suite]()[:16]


def signed_hello(hello):
    """What the initiator signs."""
    return transcript(b"FCP2-HELLO-V1", HELLO, hello)


def signed_ack(ack, hello):
    """What the responder signs."""
    return transcript(b"FCP2-ACK-V1", ACK, ack) + encode(hello["eph_pubkey"]) + encode(hello["nonce"])


def signed_request(request):
    """What the node signs that asks for a rekey."""
    return transcript(b"FCP2-REKEY-REQUEST-V1", REKEY_REQUEST, request)


def signed_rekey(ack, request):
    """What the node signs that answers a request."""
    asked = transcript(b"", ("eph_pubkey", "nonce", "timestamp"), request)
    return transcript(b"FCP2-REKEY-ACK-V1", REKEY_ACK, ack) + asked


def cookie_of(key, hello):
    """The cookie of a hello."""
    covered = transcript(b"", [it for it in HELLO if it != "cookie"], hello)
    return hmac.new(key, covered, hashlib.sha256).digest()


def next_keys(case, ack, request, shared):
    """The keys that a rekey makes, and the chain."""
    signed = signed_rekey(ack, request)
    hashed = blake3.blake3(b"FCP2-REKEY-TRANSCRIPT-V1" + number(len(signed), 8) + signed).digest()
    suite, parties = raw(case, "suite"), context(0, case["initiator"], case["responder"])[1:]
    info = b"FCP2-REKEY-V1" + suite + number(ack["generation"], 4) + parties + hashed
    return hkdf(raw(case, "chain"), shared, info, 128)
