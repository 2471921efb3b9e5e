"""Keys that several participants make and refresh together (docs/spec/sealing.md#key-generation)."""

import blake3

from check import canonical
from check.canonical import Refused
from check.edwards import CONTEXT, NEUTRAL, L, add, based, decode, digest, encode, multiply, number, scalar
from check.runner import Accept, Reject, demand, equal, raw

FIRST = {"ceremony_id": 32, "proof": 64}


class Stopped(Exception):
    """Why a ceremony ends."""


def blame(fault, who):
    """Ends a ceremony because of somebody."""
    raise Stopped(f"Misbehaved {{ fault: {fault}, culprits: [{who}] }}")


def polynomial(points, x):
    """The value at `x` of a polynomial whose coefficients are hidden in points."""
    total = NEUTRAL
    for point in reversed(points):
        total = add(multiply(total, x), decode(point))
    return total


def proof_challenge(participant, first, commitment):
    """What a proof of knowing the constant answers."""
    return digest(CONTEXT, b"dkg", scalar(participant), first, commitment)


def read_first(message):
    """The fields of a first message, or none if it is not one."""
    try:
        it = canonical.decode(message)
    except Refused:
        return None
    names = {*FIRST, "generation", "participant", "coefficients"}
    if not isinstance(it, dict) or it.keys() != names or not isinstance(it["coefficients"], list):
        return None
    sized = [(it[name], size) for name, size in FIRST.items()] + [(point, 32) for point in it["coefficients"]]
    sound = all(isinstance(value, bytes) and len(value) == size for value, size in sized)
    return it if sound and all(type(it[name]) is int for name in ("generation", "participant")) else None


class Ceremony:
    """What the first participant knows of a ceremony, and what reached it of the others."""

    def __init__(self, case):
        self.id, self.own = raw(case, "ceremony_id"), raw(case, "own_first")
        self.others = {int(it["participant"]): it for it in case["others"]}
        self.set_plan(case)
        self.constant = "old_share" not in case
        self.firsts, self.seconds = (
            {who: raw(it, name) for who, it in sorted(self.others.items()) if name in it} for name in ("first", "second")
        )

    def set_plan(self, case):
        """Who takes part, and of which key."""
        if "old_share" in case:
            self.old = canonical.decode(raw(case, "old_share")[34:])
            self.members = [int(it) for it in case["participants"].split(" ")]
            self.generation, self.threshold = self.old["generation"] + 1, self.old["threshold"]
        else:
            self.members = list(range(1, int(case["total"]) + 1))
            self.generation, self.threshold = 0, int(case["threshold"])

    def first(self, participant, points, proof):
        """What a participant says to all."""
        said = {"ceremony_id": self.id, "generation": self.generation, "participant": participant}
        return canonical.encode({**said, "coefficients": points, "proof": proof})

    def heard(self):
        """The hash over all first messages."""
        said = [self.own if it == 1 else self.firsts[it] for it in self.members]
        terms = self.id + self.generation.to_bytes(4, "little") + bytes([self.threshold, len(self.members)])
        framed = b"".join(len(it).to_bytes(8, "little") + it for it in said)
        return blake3.blake3(b"FCP2-FROST-HEARD-V1" + terms + framed).digest()

    def head(self, sender, to):
        """How a second message begins."""
        return b"\x01" + self.id + self.generation.to_bytes(4, "little") + bytes([sender, to]) + self.heard()

    def value(self, points, x):
        """The value at `x` of a polynomial that was committed to; that of a refresh goes through zero."""
        return polynomial(points, x) if self.constant else multiply(polynomial(points, x), x)

    def points(self, participant):
        """The points that a participant committed to."""
        message = self.own if participant == 1 else self.firsts[participant]
        return canonical.decode(message)["coefficients"]

    def invite(self, messages):
        """One message of each other member and none of anybody else."""
        for who in messages:
            if who == 1 or who not in self.members:
                raise Stopped(f"Uninvited({who})")
        for who in self.members:
            if who != 1 and who not in messages:
                raise Stopped(f"Missing({who})")

    def check_plan(self):
        """Who is to take part."""
        has_share = self.members if self.constant else [it["participant"] for it in self.old["verifying_shares"]]
        for who in self.members:
            if who not in has_share:
                raise Stopped(f"Uninvited({who})")
        if not 2 <= self.threshold <= len(self.members) <= 255:
            raise Stopped("Quorum")

    def check_first(self, sender, message):
        """The form of a first message."""
        it = read_first(message)
        if it is None:
            blame("Malformed", sender)
        if (it["ceremony_id"], it["generation"]) != (self.id, self.generation):
            blame("OtherCeremony", sender)
        if it["participant"] != sender:
            blame("Misaddressed", sender)
        points, proof = it["coefficients"], it["proof"]
        is_proof = decode(proof[:32]) and number(proof[32:]) < L if self.constant else proof == bytes(64)
        if len(points) != self.threshold - 1 + self.constant or not is_proof or None in map(decode, points):
            blame("Malformed", sender)

    def check_proof(self, sender):
        """That a participant knows its constant."""
        it = canonical.decode(self.own if sender == 1 else self.firsts[sender])
        commitment, first = it["proof"][:32], it["coefficients"][0]
        challenge = proof_challenge(sender, first, commitment)
        right = add(decode(commitment), multiply(decode(first), challenge))
        if encode(based(number(it["proof"][32:]))) != encode(right):
            blame("ProofOfKnowledge", sender)

    def check_second(self, sender, message):
        """The form of a second message."""
        if len(message) != 103 or message[0] != 1:
            blame("Malformed", sender)
        head = self.head(sender, 1)
        if message[1:37] != head[1:37]:
            blame("OtherCeremony", sender)
        if message[37:39] != head[37:39]:
            blame("Misaddressed", sender)
        if message[39:71] != head[39:71]:
            raise Stopped(f"HeardOtherwise({sender})")
        if number(message[71:]) >= L:
            blame("Malformed", sender)

    def check(self):
        """Every rule, in the order in which a participant can know that it is broken."""
        self.check_plan()
        self.invite(self.firsts)
        for sender, message in self.firsts.items():
            self.check_first(sender, message)
        for sender in self.firsts if self.constant else ():
            self.check_proof(sender)
        self.invite(self.seconds)
        for sender, message in self.seconds.items():
            self.check_second(sender, message)
        for sender, message in self.seconds.items():
            if encode(based(number(message[71:]))) != encode(self.value(self.points(sender), 1)):
                blame("DealtShare", sender)

    def fault(self):
        """The first rule that is broken, if one."""
        try:
            self.check()
        except Stopped as error:
            return str(error)
        return None

    def group(self):
        """The group key that comes out."""
        before = {it["participant"]: decode(it["share"]) for it in self.old["verifying_shares"]} if not self.constant else {}
        shares = {}
        for x in [0, *self.members]:
            total = before.get(x, NEUTRAL)
            for dealer in self.members:
                total = add(total, self.value(self.points(dealer), x))
            shares[x] = encode(total)
        return {
            "generation": self.generation,
            "threshold": self.threshold,
            "verifying_key": shares[0] if self.constant else self.old["verifying_key"],
            "verifying_shares": [{"participant": x, "share": shares[x]} for x in self.members],
        }


def proof_of(participant, coefficients, nonce):
    """A proof of knowing the constant."""
    first, commitment = encode(based(coefficients[0])), encode(based(nonce))
    return commitment + scalar(nonce + proof_challenge(participant, first, commitment) * coefficients[0])


def check_other(run, who, it):
    """What another participant says is made anew from its polynomial, and what the first tells it is checked."""
    coefficients = [number(bytes.fromhex(value)) for value in it["coefficients"]]
    proof = proof_of(who, coefficients, number(raw(it, "nonce"))) if run.constant else bytes(64)
    made = run.first(who, [encode(based(value)) for value in coefficients], proof)
    equal(made, raw(it, "first"), "the other's first message")
    # At 1 every power of the place is 1.
    equal(run.head(who, 1) + scalar(sum(coefficients)), raw(it, "second"), "the other's second message")
    told = raw(it, "own_second")
    equal(told[:-32], run.head(1, who), "head of the own second message")
    equal(encode(based(number(told[-32:]))), encode(run.value(run.points(1), who)), "share that was dealt")


def check_ceremony(case):
    """A ceremony that ends well."""
    run = Ceremony(case)
    demand(len(run.points(1)) == run.threshold - 1 + run.constant, "a coefficient for each of the threshold")
    equal(run.fault(), None, "fault")
    if run.constant:
        run.check_proof(1)
    else:
        equal(run.first(1, run.points(1), bytes(64)), run.own, "own first message")
    for who, it in run.others.items():
        check_other(run, who, it)
    kept, group = raw(case, "key_share"), run.group()
    equal(kept[:2] + kept[34:], b"\x01\x01" + canonical.encode(group), "stored share around its secret")
    equal(encode(based(number(kept[2:34]))), group["verifying_shares"][0]["share"], "secret of the stored share")


def ceremony_reject(case):
    """A ceremony ends at what another participant did."""
    equal(Ceremony(case).fault(), case["error"], "reason")


FILES = {
    "keygen.json": Accept(check_ceremony, prose=frozenset({"seed"})),
    "keygen_reject.json": Reject(ceremony_reject, "keygen.json"),
    "refresh.json": Accept(check_ceremony, prose=frozenset({"seed"})),
    "refresh_reject.json": Reject(ceremony_reject, "refresh.json"),
}
