"""FROST(Ed25519, SHA-512), RFC 9591, on plain integers."""

import hashlib
import itertools

import blake3

from check import canonical
from check.runner import Accept, Reject, demand, equal, raw

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
# Points are in extended coordinates (RFC 8032 section 5.1.4): x = X/Z, y = Y/Z, xy = T/Z.
NEUTRAL = (0, 1, 1, 0)
CONTEXT = b"FROST-ED25519-SHA512-v1"


def add(p, q):
    """A sum of two points."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(point, scalar):
    """A point times a scalar."""
    product = NEUTRAL
    while scalar:
        product = add(product, point) if scalar & 1 else product
        point = add(point, point)
        scalar >>= 1
    return product


def decode(encoded):
    """The point, or None if there is none or it is not one of the prime-order group, or is neutral."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    if y >= P or x * x % P != square or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else P - x
    point = (x, y, 1, x * y % P)
    is_neutral = encode(point) == encode(NEUTRAL)
    return point if not is_neutral and encode(multiply(point, L)) == encode(NEUTRAL) else None


def encode(point):
    """32 bytes."""
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


NONCES = ("hiding", "binding")
BASE = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def number(encoded):
    """A scalar from 32 bytes."""
    return int.from_bytes(encoded, "little")


def digest(*parts):
    """A scalar from a hash."""
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L


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
        return encode(multiply(BASE, number(raw(self.signers[i], "signature_share")))) == encode(expected)

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
        equal(encode(multiply(BASE, number(raw(it, "share")))), raw(it, "verifying_share"), "verifying share")
    for i, it in signing.signers.items():
        nonces = [digest(CONTEXT, b"nonce", raw(it, f"{name}_randomness"), raw(it, "share")) for name in NONCES]
        for nonce, name in zip(nonces, NONCES):
            equal(encode(multiply(BASE, nonce)), raw(it, name), name)
        share = nonces[0] + nonces[1] * signing.factors[i]
        share += signing.weight(i) * number(raw(it, "share")) * signing.challenge
        equal((share % L).to_bytes(32, "little"), raw(it, "signature_share"), "signature share")
    for pair in itertools.combinations(case["participants"], 2):
        equal(encode(multiply(BASE, secret_of(pair))), raw(case, "verifying_key"), "key")
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
    if encode(multiply(BASE, number(signing.sum()[32:]))) == encode(expected):
        return None
    return blame("SignatureShare", [i for i in sorted(signing.signers) if not signing.is_right(i)])


def signing_reject(case):
    """Signature shares do not come together."""
    equal(fault(case), case["error"], "reason")


def scalar(value):
    """32 bytes."""
    return (value % L).to_bytes(32, "little")


def proof_challenge(participant, first, commitment):
    """What a proof of knowing the constant answers."""
    return digest(CONTEXT, b"dkg", scalar(participant), first, commitment)


def first_message(ceremony, participant, coefficients, nonce):
    """What a participant says to all, from its polynomial and the nonce of its proof."""
    points = [encode(multiply(BASE, coefficient)) for coefficient in coefficients]
    commitment = encode(multiply(BASE, nonce))
    answer = scalar(nonce + proof_challenge(participant, points[0], commitment) * coefficients[0])
    said = {"ceremony_id": ceremony, "generation": 0, "participant": participant, "coefficients": points}
    return canonical.encode({**said, "proof": commitment + answer})


def polynomial(points, x):
    """The value at `x` of a polynomial whose coefficients are hidden in points."""
    total = NEUTRAL
    for point in reversed(points):
        total = add(multiply(total, x), decode(point))
    return total


def keygen(case):
    """A key that two participants make: the vector's other one is made anew here, and what the first says is checked."""
    ceremony, threshold = raw(case, "ceremony_id"), int(case["threshold"])
    coefficients = [number(bytes.fromhex(it)) for it in case["other_coefficients"]]
    demand(len(coefficients) == threshold, "a coefficient for each of the threshold")
    other = first_message(ceremony, 2, coefficients, number(raw(case, "other_nonce")))
    equal(other, raw(case, "other_first"), "the other's first message")
    own = canonical.decode(raw(case, "own_first"))
    commitment, answer = own["proof"][:32], number(own["proof"][32:])
    challenge = proof_challenge(1, own["coefficients"][0], commitment)
    right = add(decode(commitment), multiply(decode(own["coefficients"][0]), challenge))
    equal(encode(multiply(BASE, answer)), encode(right), "proof")
    said = b"".join(len(it).to_bytes(8, "little") + it for it in (raw(case, "own_first"), other))
    terms = ceremony + bytes(4) + bytes([threshold, 2])
    heard = blake3.blake3(b"FCP2-FROST-HEARD-V1" + terms + said).digest()
    head = lambda sender, to: b"\x01" + ceremony + bytes(4) + bytes([sender, to]) + heard  # noqa: E731
    dealt = sum(coefficient * 1**power for power, coefficient in enumerate(coefficients))
    equal(head(2, 1) + scalar(dealt), raw(case, "other_second"), "the other's second message")
    second = raw(case, "own_second")
    equal(second[:-32], head(1, 2), "head of the second message")
    dealt = encode(multiply(BASE, number(second[-32:])))
    equal(dealt, encode(polynomial(own["coefficients"], 2)), "share that was dealt")
    key_of_both(case, own["coefficients"], canonical.decode(other)["coefficients"])


def key_of_both(case, own, other):
    """The group's key, and the share that the first participant keeps."""
    points = [encode(add(polynomial(own, x), polynomial(other, x))) for x in (0, 1, 2)]
    shares = [{"participant": x, "share": points[x]} for x in (1, 2)]
    group = {"generation": 0, "threshold": int(case["threshold"]), "verifying_key": points[0], "verifying_shares": shares}
    kept = raw(case, "key_share")
    equal(kept[:2] + kept[34:], b"\x01\x01" + canonical.encode(group), "stored share around its secret")
    equal(encode(multiply(BASE, number(kept[2:34]))), points[1], "secret of the stored share")


def on_zero(points, x):
    """The value at `x` of a polynomial through zero whose other coefficients are hidden in points."""
    return multiply(polynomial(points, x), x)


class Refresh:
    """A refresh by two participants: what the first knows after its own first message."""

    def __init__(self, case):
        old = raw(case, "old_share")
        self.secret, self.group = old[2:34], canonical.decode(old[34:])
        self.ceremony, self.generation = raw(case, "ceremony_id"), self.group["generation"] + 1
        self.own, self.other = raw(case, "own_first"), raw(case, "other_first")
        said = b"".join(len(it).to_bytes(8, "little") + it for it in (self.own, self.other))
        terms = self.ceremony + self.generation.to_bytes(4, "little") + bytes([self.group["threshold"], 2])
        self.heard = blake3.blake3(b"FCP2-FROST-HEARD-V1" + terms + said).digest()

    def first(self, participant, points):
        """What a participant says to all."""
        said = {"ceremony_id": self.ceremony, "generation": self.generation, "participant": participant}
        return canonical.encode({**said, "coefficients": points, "proof": bytes(64)})

    def head(self, sender, to):
        """How a second message begins."""
        return b"\x01" + self.ceremony + self.generation.to_bytes(4, "little") + bytes([sender, to]) + self.heard

    def coefficients(self, first):
        """The points of a first message."""
        return canonical.decode(first)["coefficients"]

    def fault(self, second):
        """The first rule that the other's messages break, if one."""
        first = canonical.decode(self.other)
        blame = lambda what: f"Misbehaved {{ fault: {what}, culprits: [2] }}"  # noqa: E731
        if (first["ceremony_id"], first["generation"]) != (self.ceremony, self.generation):
            return blame("OtherCeremony")
        if first["participant"] != 2:
            return blame("Misaddressed")
        points = first["coefficients"]
        if len(points) != self.group["threshold"] - 1 or first["proof"] != bytes(64) or None in map(decode, points):
            return blame("Malformed")
        if second[:37] != self.head(2, 1)[:37]:
            return blame("OtherCeremony")
        if second[37:39] != bytes([2, 1]):
            return blame("Misaddressed")
        if second[39:71] != self.heard:
            return "HeardOtherwise(2)"
        right = encode(multiply(BASE, number(second[71:]))) == encode(on_zero(points, 1))
        return None if right else blame("DealtShare")


def refresh(case):
    """Two participants refresh a key: the other is made anew here, and what the first says is checked."""
    run = Refresh(case)
    coefficients = [number(bytes.fromhex(it)) for it in case["other_coefficients"]]
    own, other = run.coefficients(run.own), [encode(multiply(BASE, it)) for it in coefficients]
    equal(run.first(1, own), run.own, "own first message")
    equal(run.first(2, other), run.other, "the other's first message")
    equal(run.head(2, 1) + scalar(sum(coefficients)), raw(case, "other_second"), "the other's second message")
    equal(run.fault(raw(case, "other_second")), None, "fault")
    second = raw(case, "own_second")
    equal(second[:-32], run.head(1, 2), "head of the second message")
    equal(encode(multiply(BASE, number(second[-32:]))), encode(on_zero(own, 2)), "share that was dealt")
    kept, shares = raw(case, "key_share"), []
    for old in run.group["verifying_shares"]:
        x = old["participant"]
        added = add(on_zero(own, x), on_zero(other, x))
        shares.append({"participant": x, "share": encode(add(decode(old["share"]), added))})
    group = {**run.group, "generation": run.generation, "verifying_shares": shares}
    equal(kept[:2] + kept[34:], b"\x01\x01" + canonical.encode(group), "stored share around its secret")
    equal(encode(multiply(BASE, number(kept[2:34]))), shares[0]["share"], "secret of the stored share")


def refresh_reject(case):
    """What the other sent is refused."""
    equal(Refresh(case).fault(raw(case, "other_second")), case["error"], "reason")


FILES = {
    "keygen.json": Accept(keygen, prose=frozenset({"seed"})),
    "refresh.json": Accept(refresh, prose=frozenset({"seed"})),
    "refresh_reject.json": Reject(refresh_reject, "refresh.json"),
    "signing.json": Accept(signing),
    "signing_reject.json": Reject(signing_reject, "signing.json"),
}
