"""Capability tokens: COSE_Sign1 over CWT claims (docs/spec/tokens.md), with the `pycose` library."""

import blake3
from pycose.algorithms import EdDSA
from pycose.headers import KID, Algorithm
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import Sign1Message

from check import keys
from check.canonical import Refused, decode, encode
from check.runner import Accept, Mismatch, Reject, demand, equal, raw
from check.typed import item

MAX_TOKEN = 64 * 1024
SUB, AUD, EXP, NBF, IAT, CTI, CNF = 2, 3, 4, 5, 6, 7, 8
ZONE, PRINCIPAL, ISS_NODE, AUD_BINARY, GRANT_IDS = -65538, -65540, -65543, -65544, -65545
HOLDER_NODE, CHK_ID, CHK_SEQ, CONSTRAINTS, GRANTS = -65546, -65547, -65548, -65549, -65550
INSTANCE, VERSION = -65551, -65552
REQUIRED = {SUB, AUD, EXP, NBF, IAT, CTI, CNF, ZONE, PRINCIPAL, ISS_NODE, GRANT_IDS, CONSTRAINTS, GRANTS, VERSION}
OPTIONAL = {AUD_BINARY, HOLDER_NODE, CHK_ID, CHK_SEQ, INSTANCE}
CONSTRAINT_FIELDS = {
    "resource_allow", "resource_deny", "credential_allow", "arguments", "max_calls", "max_bytes", "not_before", "expires",
}


def need(holds, what):
    """A rule of the format."""
    if not holds:
        raise Refused(what)


def is_uint(value):
    """Whether a value is an unsigned integer and no bool."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_set(values, order):
    """Whether a value is an array in strictly ascending order, and not empty."""
    if not isinstance(values, list) or not values:
        return False
    ranks = [order(it) for it in values]
    return all(a < b for a, b in zip(ranks, ranks[1:]))


def grant_order(grant):
    """By capability, then by operation, where every operation comes before one."""
    need(isinstance(grant, dict) and {"capability"} <= grant.keys() <= {"capability", "operation"}, "a grant")
    return (grant["capability"], "operation" in grant, grant.get("operation", ""))


def read(token, issuer):
    """The claims of a token that verifies under `issuer`, in the order that the specification demands."""
    need(len(token) <= MAX_TOKEN, "too large")
    untagged = token[1:] if token[:1] == b"\xd2" else token
    envelope = decode(untagged)
    need(isinstance(envelope, list) and len(envelope) == 4, "no COSE_Sign1")
    protected, unprotected, payload, signature = envelope
    need(all(isinstance(it, bytes) for it in (protected, payload, signature)), "no COSE_Sign1 with a payload")
    need(unprotected == {} and len(signature) == 64, "unprotected headers, or a signature of another length")
    check_header(decode(protected), issuer)
    decode(payload)
    # By COSE's own library, and once more by hand.
    message = Sign1Message.from_cose_obj([protected, {}, payload, signature], allow_unknown_attributes=False)
    message.key = OKPKey(crv=Ed25519, x=issuer)
    need(message.verify_signature(), "the signature, as COSE reads it")
    need(keys.verify(issuer, encode(["Signature1", protected, b"", payload]), signature), "the signature")
    claims = decode(payload)
    check_claims(claims)
    return claims


def check_header(header, issuer):
    """The strict header policy."""
    need(isinstance(header, dict) and header.keys() <= {1, 2, 4} and header.keys() >= {1, 4}, "header parameters")
    need(header[1] == -8 and isinstance(header[4], bytes) and len(header[4]) == 8, "algorithm or key id")
    need(header[4] == keys.key_id(issuer), "another key")
    if 2 in header:
        need(isinstance(header[2], list) and header[2] and set(header[2]) <= {1, 4}, "critical parameters")


def check_claims(claims):
    """The rules of each claim and between claims."""
    need(isinstance(claims, dict) and all(isinstance(it, int) for it in claims), "no map with integer keys")
    need(claims.keys() >= REQUIRED and claims.keys() <= REQUIRED | OPTIONAL, "claims missing or unknown")
    need(claims[VERSION] == 1 and claims[SUB] == claims[PRINCIPAL] and claims[AUD] == claims[ZONE], "claims disagree")
    need(all(is_uint(claims[it]) for it in (EXP, NBF, IAT)), "times")
    need(claims[NBF] < claims[EXP] and claims[IAT] < claims[EXP], "times out of order")
    need(isinstance(claims[CTI], bytes) and len(claims[CTI]) == 16, "token id")
    need((CHK_ID in claims) == (CHK_SEQ in claims), "half a checkpoint")
    need(is_set(claims[GRANT_IDS], bytes) and is_set(claims[GRANTS], grant_order), "an empty list, or one out of order")
    need(claims[CONSTRAINTS].keys() <= CONSTRAINT_FIELDS, "unknown constraint")
    confirmation = claims[CNF]
    need(isinstance(confirmation, dict) and confirmation.keys() == {1}, "confirmation")
    key = confirmation[1]
    need(isinstance(key, dict) and key.keys() == {1, -1, -2} and (key[1], key[-1]) == (1, 6), "confirmation by an Ed25519 key")
    need(keys.nacl.bindings.crypto_core_ed25519_is_valid_point(key[-2]), "a weak key")


def accept(case):
    token, issuer = raw(case, "token"), raw(case, "issuer")
    claims = read(token, issuer)
    equal(claims[PRINCIPAL], case["principal"], "principal")
    equal(claims[ZONE], case["zone"], "zone")


def minted(case):
    seed, claims = raw(case, "seed"), item(case["claims"])
    issuer = keys.public_of(seed)
    protected = {Algorithm: EdDSA, KID: keys.key_id(issuer)}
    message = Sign1Message(phdr=protected, payload=encode(claims))
    message.key = OKPKey(crv=Ed25519, d=seed, x=issuer)
    token = message.encode(tag=False)
    equal(token, raw(case, "token"), "the token made anew")
    equal(encode(read(token, issuer)), encode(claims), "claims")


def reject(case):
    try:
        read(raw(case, "token"), raw(case, "issuer"))
    except Refused:
        return
    raise Mismatch("it is accepted")


def call_proof(case):
    """What a token's holder signs over one call (docs/spec/calls.md#the-call-digest, docs/spec/keys.md)."""
    covered = {
        "format": 1,
        "resources": sorted(case["resources"].split()),
        "credentials": sorted(case["credentials"].split()),
        **{name: case[name] for name in ("zone", "principal", "connector", "operation", "input")},
        **({"idempotency_key": case["idempotency_key"]} if "idempotency_key" in case else {}),
    }
    digest = blake3.blake3(b"FCP2-CALL-V1" + encode(covered)).digest()
    equal(digest, raw(case, "call_digest"), "call digest")
    statement = {
        "call_digest": digest,
        "token_id": raw(case, "token_id"),
        "node_id": case["node"],
        "audience": case["zone"],
        "challenge": raw(case, "challenge"),
    }
    signed = keys.signing_bytes("fcp.call-proof/1.0.0", {"role": "agent", "statement": statement})
    equal(signed, raw(case, "bytes"), "what is signed")
    equal(keys.public_of(raw(case, "seed")), raw(case, "holder"), "the holder's key")
    equal(keys.sign(raw(case, "seed"), signed), raw(case, "signature"), "signature")


FILES = {
    "accept.json": Accept(accept),
    "call_proof.json": Accept(call_proof),
    "minted.json": Accept(minted),
    "reject.json": Reject(reject, sound="accept.json"),
}
