"""Shares of secrets, and the dealings that name wrong ones."""

import blake3

from check.canonical import decode
from check.runner import Accept, Mismatch, Reject, demand, equal, raw

BLIND_BYTES, MAX_SECRET = 32, 32 * 1024


def multiply(a, b):
    """A product in GF(2^8) with 0x11B."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = (a << 1) ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def invert(a):
    """The inverse, by trying."""
    return next(b for b in range(1, 256) if multiply(a, b) == 1)


def interpolate(points, x):
    """The polynomials' values at `x`, from pairs of an index and their values there."""
    values = bytes(len(points[0][1]))
    for i, data in points:
        weight = 1
        for j, _ in points:
            if i != j:
                weight = multiply(weight, multiply(j ^ x, invert(j ^ i)))
        values = bytes(a ^ multiply(weight, b) for a, b in zip(values, data))
    return values


def points_of(shares):
    """Index and data of each share, or the reason why they are none."""
    for share in shares:
        if len(share) < 2:
            return None, "EmptySecret" if not share or share[0] else "ReservedIndex"
        if share[0] == 0:
            return None, "ReservedIndex"
    indices = [share[0] for share in shares]
    for place, index in enumerate(indices):
        if index in indices[:place]:
            return None, f"DuplicateIndex({index})"
    if len({len(share) for share in shares}) != 1:
        return None, "MismatchedLengths"
    return [(share[0], share[1:]) for share in shares], None


def shares_of(case):
    """The shares of a case."""
    return [bytes.fromhex(share) for share in case["shares"]]


def combine(case):
    """All shares together give the secret."""
    points, error = points_of(shares_of(case))
    demand(error is None, error)
    equal(interpolate(points, 0), raw(case, "secret"), "secret")


def combine_reject(case):
    """Shares are refused."""
    equal(points_of(shares_of(case))[1], case["error"], "reason")


class Dealing:
    """What is published of a shared secret."""

    def __init__(self, encoded):
        fields = decode(encoded)
        names = ["secret_id", "generation", "threshold", "total", "share_hashes", "secret_hash"]
        equal(sorted(fields), sorted(names), "fields")
        self.secret_id, self.generation, self.threshold, self.total, self.hashes, self.secret_hash = (
            fields[name] for name in names
        )
        demand(1 <= self.threshold <= self.total <= 255 and len(self.hashes) == self.total, "numbers")

    def hash(self, domain, content):
        """The hash of a share or of what is shared."""
        terms = self.secret_id + self.generation.to_bytes(4, "little") + bytes([self.threshold, self.total])
        return blake3.blake3(domain + terms + content).digest()

    def fault(self, case, share, right):
        """What is wrong with a share; `right` are the indices of those before it that are not."""
        if raw(case, "secret_id") != self.secret_id:
            return "OtherSecret"
        if int(case["generation"]) != self.generation:
            return f"OtherGeneration({int(case['generation'])})"
        if not 1 <= share[0] <= self.total:
            return "NoSuchIndex"
        if self.hash(b"FCP2-SHARE-V1", share) != self.hashes[share[0] - 1]:
            return "Altered"
        return "Duplicate" if share[0] in right else None

    def open(self, case):
        """The secret, and what is wrong with the shares."""
        shares, right, faults = shares_of(case), set(), []
        for share in shares:
            fault = self.fault(case, share, right)
            if fault:
                faults.append(f"({share[0]}, {fault})")
            else:
                right.add(share[0])
        if faults:
            return None, f"Faulty([{', '.join(faults)}])"
        if len(shares) < self.threshold:
            return None, f"TooFew {{ have: {len(shares)}, need: {self.threshold} }}"
        blinded = interpolate([(share[0], share[1:]) for share in shares], 0)
        if self.hash(b"FCP2-SHARED-SECRET-V1", blinded) != self.secret_hash:
            return None, "DealtWrongly"
        return blinded[:-BLIND_BYTES], None


def dealing(case):
    """A dealing's shares give the secret; those that are not given follow from them and have their hashes."""
    dealt = Dealing(raw(case, "dealing"))
    secret, error = dealt.open(case)
    if error:
        raise Mismatch(error)
    equal(secret, raw(case, "secret"), "secret")
    points = [(share[0], share[1:]) for share in shares_of(case)]
    for index in range(1, dealt.total + 1):
        known = dict(points).get(index)
        share = bytes([index]) + (known or interpolate(points, index))
        equal(dealt.hash(b"FCP2-SHARE-V1", share), dealt.hashes[index - 1], f"hash {index}")


def dealing_reject(case):
    """A dealing refuses shares by name."""
    equal(Dealing(raw(case, "dealing")).open(case)[1], case["error"], "reason")


def split_fault(case):
    """Why a secret is not dealt."""
    secret, threshold, total = raw(case, "secret") * int(case.get("times", 1)), int(case["threshold"]), int(case["total"])
    if not secret:
        return "EmptySecret"
    if len(secret) > MAX_SECRET:
        return "SecretTooLong"
    if threshold < 1:
        return "ThresholdTooSmall"
    return "ThresholdExceedsTotal" if threshold > total else None


def split(case):
    """A secret dealt anew, with the blind and the coefficients that were drawn, those of the first power first."""
    equal(split_fault(case), None, "fault")
    blinded, rows = raw(case, "secret") + raw(case, "blind"), [bytes.fromhex(it) for it in case["coefficients"]]
    demand(len(rows) == int(case["threshold"]) - 1 and all(len(row) == len(blinded) for row in rows), "coefficients")
    shares = []
    for index in range(1, int(case["total"]) + 1):
        values = bytes(len(blinded))
        for row in [*reversed(rows), blinded]:
            values = bytes(multiply(a, index) ^ b for a, b in zip(values, row))
        shares.append(bytes([index]) + values)
    equal(shares, shares_of(case), "shares")
    dealt = Dealing(raw(case, "dealing"))
    named = (dealt.secret_id, dealt.generation, dealt.threshold, dealt.total)
    told = (raw(case, "secret_id"), *(int(case[name]) for name in ("generation", "threshold", "total")))
    equal(named, told, "numbers of the dealing")
    equal(dealt.hashes, [dealt.hash(b"FCP2-SHARE-V1", share) for share in shares], "hashes of the shares")
    equal(dealt.hash(b"FCP2-SHARED-SECRET-V1", blinded), dealt.secret_hash, "hash of the secret")


def split_reject(case):
    """A secret is not dealt."""
    equal(split_fault(case), case["error"], "reason")


FILES = {
    "combine.json": Accept(combine),
    "reject.json": Reject(combine_reject, "combine.json"),
    "dealing.json": Accept(dealing),
    "dealing_reject.json": Reject(dealing_reject, "dealing.json"),
    "splitting.json": Accept(split, prose=frozenset({"seed"})),
    "splitting_reject.json": Reject(split_reject, "splitting.json"),
}
