"""Capability tokens: COSE_Sign1 over CWT claims (docs/spec/tokens.md), with the `pycose` library."""

import base64

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
RESERVED = {1, -65537, -65539, -65541, -65542}
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
    need(isinstance(grant, dict) and {"capability"} <= grant.keys() <= {"capability", "operation"}, "Claims(Invalid)")
    return (grant["capability"], "operation" in grant, grant.get("operation", ""))


def read(token, issuer):
    """The claims of a token that verifies under `issuer`, in the order that the specification demands."""
    need(len(token) <= MAX_TOKEN, "TooLarge")
    envelope = canonical(token[1:] if token[:1] == b"\xd2" else token)
    need(isinstance(envelope, list) and len(envelope) == 4, "NotSign1")
    protected, unprotected, payload, signature = envelope
    need(all(isinstance(it, bytes) for it in (protected, payload, signature)), "NotSign1")
    need(isinstance(unprotected, dict), "NotSign1")
    header = canonical(protected) if protected else {}
    need(isinstance(header, dict), "NotSign1")
    check_header(header, unprotected)
    need(len(signature) == 64, "SignatureInvalid")
    need(header[4] == keys.key_id(issuer), "KeyMismatch")
    # By hand, and once more by COSE's own library.
    need(keys.verify(issuer, encode(["Signature1", protected, b"", payload]), signature), "SignatureInvalid")
    message = Sign1Message.from_cose_obj([protected, {}, payload, signature], allow_unknown_attributes=False)
    message.key = OKPKey(crv=Ed25519, x=issuer)
    demand(message.verify_signature(), "the signature, as COSE reads it")
    claims = canonical(payload)
    check_claims(claims)
    return claims


def read_text(text, issuer):
    """The same of a token as JSON carries it."""
    try:
        token = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused("NotBase64") from error
    need(base64.b64encode(token).decode() == text, "NotBase64")
    return read(token, issuer)


def canonical(data):
    """The item in bytes."""
    try:
        return decode(data)
    except Refused as error:
        raise Refused("Cbor") from error


def check_header(header, unprotected):
    """The strict header policy."""
    need(not unprotected and header.keys() <= {1, 2, 4}, "HeaderPolicy")
    need(isinstance(header.get(4, bytes(8)), bytes) and len(header.get(4, bytes(8))) == 8, "HeaderPolicy")
    critical = header.get(2, [1])
    need(isinstance(critical, list) and critical and all(it in (1, 4) for it in critical), "HeaderPolicy")
    need(header.get(1, -8) == -8, "Algorithm")
    need(header.keys() >= {1, 4}, "MissingHeader")


def check_claims(claims):
    """The rules of each claim and between claims."""
    need(isinstance(claims, dict) and all(isinstance(it, int) for it in claims), "Claims(NotAMap)")
    need(claims.keys() <= REQUIRED | OPTIONAL | RESERVED, "Claims(Unknown)")
    need(not claims.keys() & RESERVED, "Claims(Unsupported)")
    need(claims.keys() >= REQUIRED and (CHK_ID in claims) == (CHK_SEQ in claims), "Claims(Missing)")
    need(claims[VERSION] == 1, "Claims(Version)")
    need(all(isinstance(claims[it], str) and claims[it].startswith("z:") for it in (AUD, ZONE)), "Claims(Invalid)")
    need(claims[SUB] == claims[PRINCIPAL] and claims[AUD] == claims[ZONE], "Claims(Disagree)")
    need(all(is_uint(claims[it]) for it in (EXP, NBF, IAT)), "Claims(Invalid)")
    need(claims[NBF] < claims[EXP] and claims[IAT] < claims[EXP], "Claims(TimesOutOfOrder)")
    need(isinstance(claims[CTI], bytes) and len(claims[CTI]) == 16, "Claims(Invalid)")
    need(claims[GRANT_IDS] != [] and claims[GRANTS] != [], "Claims(Empty)")
    need(is_set(claims[GRANT_IDS], bytes) and is_set(claims[GRANTS], grant_order), "Claims(Invalid)")
    need(claims[CONSTRAINTS].keys() <= CONSTRAINT_FIELDS, "Claims(Invalid)")
    confirmation = claims[CNF]
    need(isinstance(confirmation, dict) and confirmation.keys() == {1}, "Claims(Invalid)")
    key = confirmation[1]
    need(isinstance(key, dict) and key.keys() == {1, -1, -2} and (key[1], key[-1]) == (1, 6), "Claims(Invalid)")
    need(keys.nacl.bindings.crypto_core_ed25519_is_valid_point(key[-2]), "Claims(Invalid)")


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
    """A token is refused by its first fault; what an error says besides its names is not compared."""
    expected = "(".join(case["error"].removesuffix(")").split("(")[: 2 if case["error"].startswith("Claims") else 1])
    try:
        if "text" in case:
            read_text(case["text"], raw(case, "issuer"))
        else:
            read(raw(case, "token"), raw(case, "issuer"))
    except Refused as error:
        equal(str(error).removesuffix(")"), expected, "reason")
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
