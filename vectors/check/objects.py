"""Objects, their identities, signatures and payloads (docs/spec/objects.md)."""

import blake3

from check import keys, transcripts
from check.canonical import Refused, decode, encode
from check.kinds import fault, schema_hash
from check.runner import Accept, Mismatch, Reject, demand, equal, raw
from check.shapes import identifier_fault
from check.typed import item


def zone_id_hash(zone):
    """The name of a zone where its text must not be seen."""
    return blake3.blake3(b"FCP2-ZONE-ID-V1" + zone.encode()).digest()


def object_id(key, header, body):
    """The identity of an object."""
    content = b"FCP2-OBJECT-V1" + encode(header) + body
    named = b"FCP2-OBJECT-V2" + header["zone_id"].encode() + schema_hash(header["schema"]) + content
    return blake3.blake3(named, key=key).digest()


def signing_text(schema):
    """The text that signatures bind."""
    return f"{schema['namespace']}.{schema['name']}/{schema['version']}"


def signed(header, fields, case):
    """The body with the signatures of the case's keys."""
    text = signing_text(header["schema"])
    if "transcript" in case:
        message = transcripts.of(header["schema"]["name"], fields)
        equal(message, raw(case, "transcript"), "transcript")
        return {**fields, "signature": keys.sign(raw(case, "signer_seed"), message)}
    if "signer_seed" in case:
        seed = raw(case, "signer_seed")
        signer = keys.key_id(keys.public_of(seed))
        view = {"header": header, "fields": fields, "signer": signer}
        return {**fields, "signer": signer, "signature": keys.sign(seed, keys.signing_bytes(text, view))}
    if "voters" in case:
        signatures = []
        for voter in sorted(case["voters"], key=lambda it: it["node_id"]):
            own = {"node_id": voter["node_id"], "signed_at": voter["signed_at"]}
            message = keys.signing_bytes(text, {"header": header, "fields": fields, **own})
            signatures.append({**own, "signature": keys.sign(bytes.fromhex(voter["seed"]), message)})
        return {**fields, "quorum_signatures": {"signatures": signatures}}
    return fields


def create(case):
    """The bytes of the object that a case describes, and its identity."""
    header, fields = item(case["header"]), item(case["fields"])
    body = schema_hash(header["schema"]) + encode(signed(header, fields, case))
    return encode({"header": header, "body": body}), object_id(raw(case, "object_id_key"), header, body)


def check_kind(case):
    stored, identity = create(case)
    equal(stored, raw(case, "object"), "the object made anew")
    equal(fault(stored), None, "a rule that it breaks")
    equal(identity, raw(case, "object_id"), "identity")
    schema = item(case["header"])["schema"]
    equal(f"{schema['namespace']}:{schema['name']}@{schema['version']}", case["schema"], "schema")


def reject_kind(case):
    equal(fault(raw(case, "object")), case["error"], "the rule that it breaks")


def check_identifier(case):
    equal(identifier_fault(case["text"], case["kind"]), case.get("error"), "the rule that it breaks")


def check_schema_hash(case):
    equal(schema_hash(case), raw(case, "hash"), "hash")
    equal(signing_text(case), case["signing_text"], "signing text")
    equal(blake3.blake3(case["signing_text"].encode()).digest()[:8], raw(case, "signing_prefix"), "signing prefix")


def check_zone(case):
    equal(zone_id_hash(case["zone"]), raw(case, "hash"), "hash")


def read_payload(case):
    """The item in a payload of the case's schema."""
    payload, expected = raw(case, "payload"), schema_hash(case["schema"])
    if len(payload) < 32 or payload[:32] != expected:
        raise Refused("another schema")
    return decode(payload[32:])


def check_payload(case):
    equal(encode(read_payload(case)), raw(case, "item"), "item")
    equal(schema_hash(case["schema"]) + raw(case, "item"), raw(case, "payload"), "payload")


def reject_payload(case):
    try:
        read_payload(case)
    except Refused:
        return
    raise Mismatch("it is accepted")


FILES = {
    "identifiers.json": Accept(check_identifier, prose=frozenset({"kind", "text"})),
    "kinds.json": Accept(check_kind, prose=frozenset({"set"})),
    "kinds_reject.json": Reject(reject_kind, sound="kinds.json"),
    "payloads.json": Accept(check_payload),
    "payloads_reject.json": Reject(reject_payload, sound="payloads.json"),
    "schemas.json": Accept(check_schema_hash),
    "zones.json": Accept(check_zone),
}
