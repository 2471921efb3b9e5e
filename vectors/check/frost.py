"""FROST(Ed25519, SHA-512), RFC 9591: signing."""

import hashlib
import itertools

from check import answers, ceremonies
from check.edwards import CONTEXT, NEUTRAL, L, add, based, decode, digest, encode, multiply, number
from check.runner import Accept, Reject, demand, equal, raw

NONCES = ("hiding", "binding")


class Signing:
    """One signature of those participants of a case that have nonces."""

    def __init__(self, case):
        self.key, self.message = raw(case, "verifying_key"), raw(case, "message")
        self.signers = {int(it["participant"]): it for it in case["participants"] if "signature_share" in it}
        self.points = {i: [decode(raw(it, name)) for name in NONCES] for i, it in self.signers.items()}

    def prepare(self):
        """Binding factors, group commitment and challenge."""
        names = {i: i.to_bytes(32, "little") for i in sorted(self.signers)}
        listed = b"".join(names[i] + b"".join(raw(self.signers[i], name) for name in NONCES) for i in names)
        parts = ((b"msg", self.message), (b"com", listed))
        hashes = [hashlib.sha512(CONTEXT + tag + part).digest() for tag, part in parts]
        self.factors = {i: digest(CONTEXT, b"rho", self.key, *hashes, names[i]) for i in names}
        self.commitment = NEUTRAL
        for i, (hiding, binding) in self.points.items():
            self.commitment = add(self.commitment, add(hiding, multiply(binding, self.factors[i])))
        self.challenge = digest(encode(self.commitment), self.key, self.message)

    def weight(self, i):
        """Lagrange's coefficient at zero."""
        weight = 1
        for j in self.signers:
            if i != j:
                weight = weight * j * pow(j - i, -1, L) % L
        return weight

    def is_right(self, i):
        """Whether a signer's share is right, by its point."""
        hiding, binding = self.points[i]
        expected = add(hiding, multiply(binding, self.factors[i]))
        key = decode(raw(self.signers[i], "verifying_share"))
        expected = add(expected, multiply(key, self.challenge * self.weight(i) % L))
        return encode(based(number(raw(self.signers[i], "signature_share")))) == encode(expected)

    def sum(self):
        """The signature."""
        total = sum(number(raw(it, "signature_share")) for it in self.signers.values()) % L
        return encode(self.commitment) + total.to_bytes(32, "little")


def signing(case):
    """The published randomness gives the published values, and the shares are shares of the key."""
    signing = Signing(case)
    demand(len(signing.signers) == int(case["threshold"]), "signers")
    signing.prepare()
    for it in case["participants"]:
        equal(encode(based(number(raw(it, "share")))), raw(it, "verifying_share"), "verifying share")
    for i, it in signing.signers.items():
        nonces = [digest(CONTEXT, b"nonce", raw(it, f"{name}_randomness"), raw(it, "share")) for name in NONCES]
        for nonce, name in zip(nonces, NONCES):
            equal(encode(based(nonce)), raw(it, name), name)
        share = nonces[0] + nonces[1] * signing.factors[i]
        share += signing.weight(i) * number(raw(it, "share")) * signing.challenge
        equal((share % L).to_bytes(32, "little"), raw(it, "signature_share"), "signature share")
    for pair in itertools.combinations(case["participants"], 2):
        equal(encode(based(secret_of(pair))), raw(case, "verifying_key"), "key")
    equal(signing.sum(), raw(case, "signature"), "signature")


def secret_of(participants):
    """The key that the shares give."""
    secret = 0
    for it in participants:
        i, weight = int(it["participant"]), 1
        for other in participants:
            j = int(other["participant"])
            weight = weight * (j * pow(j - i, -1, L) if i != j else 1) % L
        secret += weight * number(raw(it, "share"))
    return secret % L


def fault(case):
    """Who is to blame for what, if anybody."""
    signing = Signing(case)
    if len(signing.signers) < int(case["threshold"]):
        return "Quorum"
    blame = lambda what, who: f"Misbehaved {{ fault: {what}, culprits: {who} }}"  # noqa: E731
    for i, points in signing.points.items():
        if None in points:
            return blame("Malformed", [i])
    for i, it in signing.signers.items():
        if number(raw(it, "signature_share")) >= L:
            return blame("Malformed", [i])
    signing.prepare()
    expected = add(signing.commitment, multiply(decode(signing.key), signing.challenge))
    if encode(based(number(signing.sum()[32:]))) == encode(expected):
        return None
    return blame("SignatureShare", [i for i in sorted(signing.signers) if not signing.is_right(i)])


def signing_reject(case):
    """Signature shares do not come together."""
    equal(fault(case), case["error"], "reason")


FILES = answers.FILES | ceremonies.FILES | {
    "signing.json": Accept(signing),
    "signing_reject.json": Reject(signing_reject, "signing.json"),
}
