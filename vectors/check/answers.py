"""Stored shares of a key, and what their holders answer to a request to sign (docs/spec/sealing.md#signing)."""

import hashlib

from check.canonical import Refused, decode, encode
from check.edwards import CONTEXT, NEUTRAL, L, add, based, digest, multiply, number, scalar
from check.edwards import decode as point
from check.edwards import encode as bytes_of
from check.keys import is_sound
from check.runner import Accept, Reject, equal, raw

NONCES = ("hiding", "binding")


class Stopped(Exception):
    """Why nothing is signed."""


def need(holds, error="Malformed"):
    """A rule."""
    if not holds:
        raise Stopped(error)


def read(data, fields):
    """A map in canonical CBOR with exactly these fields, each a number or so many bytes."""
    try:
        return fit(decode(data), fields)
    except Refused as error:
        raise Stopped("Malformed") from error


def fit(item, fields):
    """An item that is a map with exactly these fields."""
    need(isinstance(item, dict) and item.keys() == fields.keys())
    for name, size in fields.items():
        it = item[name]
        if isinstance(size, dict):
            need(isinstance(it, list))
            for entry in it:
                fit(entry, size)
        elif size == "number":
            need(type(it) is int and 0 <= it < 1 << 32)
        else:
            need(isinstance(it, bytes) and size in (None, len(it)))
    return item


def ascending(entries):
    """The numbers of participants, which must rise and be none of more than a byte."""
    numbers = [it["participant"] for it in entries]
    need(all(a < b for a, b in zip(numbers, numbers[1:])) and all(it <= 255 for it in numbers))
    return numbers


def weight(own, others):
    """Lagrange's coefficient at zero."""
    product = 1
    for it in others:
        product = product * it * pow(it - own, -1, L) % L if it != own else product
    return product


class Share:
    """A stored share."""

    def __init__(self, stored):
        need(len(stored) > 34 and stored[0] == 1)
        self.participant, self.secret, group = stored[1], number(stored[2:34]), stored[34:]
        entry = {"participant": "number", "share": 32}
        fields = {"generation": "number", "threshold": "number", "verifying_key": 32, "verifying_shares": entry}
        self.group = read(group, fields)
        self.members = ascending(self.group["verifying_shares"])
        need(2 <= self.group["threshold"] <= len(self.members) and 0 not in self.members)
        self.points = {it["participant"]: point(it["share"]) for it in self.group["verifying_shares"]}
        need(None not in self.points.values() and is_sound(self.group["verifying_key"]))
        first, key = self.members[: self.group["threshold"]], NEUTRAL
        for it in first:
            key = add(key, multiply(self.points[it], weight(it, first)))
        need(bytes_of(key) == self.group["verifying_key"])
        need(self.participant in self.points and self.secret < L)
        need(bytes_of(based(self.secret)) == bytes_of(self.points[self.participant]))


def share_fault(case):
    """Whether bytes are a stored share."""
    try:
        Share(raw(case, "key_share"))
    except Stopped as error:
        return str(error)
    return None


def nonces(case, share):
    """The two nonces that the randomness gives."""
    secret = scalar(share.secret)
    return [digest(CONTEXT, b"nonce", bytes.fromhex(it), secret) for it in case["randomness"]]


def commitment(case, share):
    """What the signer says first."""
    told = {name: bytes_of(based(nonce)) for name, nonce in zip(NONCES, nonces(case, share))}
    return {"generation": share.group["generation"], "participant": share.participant, **told}


def signable(case, share):
    """The fields of a request that this signer may answer."""
    entry = {"generation": "number", "participant": "number", "hiding": 32, "binding": 32}
    request = read(raw(case, "request"), {"generation": "number", "message": None, "commitments": entry})
    signers, generation = ascending(request["commitments"]), share.group["generation"]
    need(request["generation"] == generation, "OtherGeneration")
    need(len(signers) >= share.group["threshold"], "Quorum")
    for it in request["commitments"]:
        need(it["participant"] in share.members, f"Uninvited({it['participant']})")
        need(it["generation"] == generation and all(point(it[name]) for name in NONCES))
    need(commitment(case, share) in request["commitments"], "OtherNonces")
    return request, signers


def answer(case):
    """The answer to the case's request (RFC 9591 sections 4.4, 4.5 and 5.2)."""
    share = Share(raw(case, "key_share"))
    request, signers = signable(case, share)
    key, message = share.group["verifying_key"], request["message"]
    listed = b"".join(scalar(it["participant"]) + it["hiding"] + it["binding"] for it in request["commitments"])
    hashes = b"".join(hashlib.sha512(CONTEXT + it).digest() for it in (b"msg" + message, b"com" + listed))
    factors = {it: digest(CONTEXT, b"rho", key, hashes, scalar(it)) for it in signers}
    group = NEUTRAL
    for it in request["commitments"]:
        group = add(group, add(point(it["hiding"]), multiply(point(it["binding"]), factors[it["participant"]])))
    challenge = digest(bytes_of(group), key, message)
    hiding, binding = nonces(case, share)
    total = hiding + binding * factors[share.participant] + weight(share.participant, signers) * share.secret * challenge
    return encode({"generation": request["generation"], "participant": share.participant, "share": scalar(total)})


def check_answer(case):
    """What a signer says first, and what it answers."""
    equal(encode(commitment(case, Share(raw(case, "key_share")))), raw(case, "commitment"), "commitment")
    equal(answer(case), raw(case, "answer"), "answer")


def answer_fault(case):
    """Why a request is not answered."""
    try:
        answer(case)
    except Stopped as error:
        return str(error)
    return None


def rejects(fault):
    """A check that demands the fault that the case names."""
    return lambda case: equal(fault(case), case["error"], "reason")


FILES = {
    "answers.json": Accept(check_answer, prose=frozenset({"seed"})),
    "answers_reject.json": Reject(rejects(answer_fault), "answers.json"),
    "shares_reject.json": Reject(rejects(share_fault), "keygen.json"),
}
