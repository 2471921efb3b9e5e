"""What the two ends of a handshake or a rekey take and refuse (docs/spec/mesh-sessions.md), step by step."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from check import handshake
from check.canonical import encode
from check.keys import public_of, sign, verify
from check.runner import Accept, Reject, demand, equal, raw

MAX_COOKIE_AGE, MAX_HELLOS = 120, 64
LAST_GENERATION = (1 << 32) - 1


def place(case, name):
    """A number of the wire."""
    return int.from_bytes(raw(case, name), "little")


def share_of(secret):
    """The public half of an ephemeral key."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def agree(secret, public):
    """The shared secret, or None for one that is all zeros."""
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return None


def skew_fault(message, now):
    """Whether a message is of about now."""
    delta = abs(message["timestamp"] - now)
    return f"TimestampSkew {{ delta: {delta}, max: {handshake.SKEW} }}" if delta > handshake.SKEW else None


def signature_fault(key, signed, message):
    """Whether a message is signed by the key of its sender."""
    return None if verify(key, signed, message["signature"]) else "InvalidSignature"


def share_fault(message, ephemeral=bytes(32)):
    """Whether an ephemeral key gives a secret; whether it does depends on no other key."""
    return "WeakKeyShare" if agree(ephemeral, message["eph_pubkey"]) is None else None


def replay_fault(case, hello, now):
    """Whether a hello came before, or can no longer be told from one that did."""
    heard, forgotten = [], -1
    for old in [*case["answered"], None]:
        at = place(old, "at") if old else now
        forgotten = max([forgotten, *(time for time, _ in heard if at - time > handshake.SKEW)])
        heard = [it for it in heard if at - it[0] <= handshake.SKEW]
        if old:
            heard.append((place(old, "timestamp"), raw(old, "nonce")))
    if hello["timestamp"] <= forgotten or hello["nonce"] in {nonce for _, nonce in heard}:
        return "DuplicateHelloNonce"
    return "TooManyHellos" if len(heard) >= MAX_HELLOS else None


def suite_of(case, hello):
    """The suite that a responder chooses."""
    preference, floor = list(raw(case, "preference")), place(case, "floor")
    demand(set(preference) <= {1, 2} and floor in (1, 2), "a policy of suites that there are")
    return next((it for it in preference if it >= floor and it in hello["suites"]), None)


def cookie_fault(case, hello):
    """Whether a hello has its cookie, under a key that is so many seconds old."""
    if "cookie_key" not in case:
        return None
    right = hello.get("cookie") == handshake.cookie_of(raw(case, "cookie_key"), hello)
    return None if right and place(case, "cookie_age") < MAX_COOKIE_AGE else "InvalidCookie"


def hello_fault(case):
    """The first rule that a hello breaks."""
    hello, now = handshake.read("hello", raw(case, "hello")), place(case, "now")
    if cookie_fault(case, hello):
        return "InvalidCookie"
    if hello["to"] != case["me"] or hello["from"] == case["me"]:
        return "WrongParties"
    signed = signature_fault(public_of(raw(case, "initiator_seed")), handshake.signed_hello(hello), hello)
    found = skew_fault(hello, now) or signed or replay_fault(case, hello, now)
    return found or (share_fault(hello) if suite_of(case, hello) else "NoMutualSuite")


def first_datagram(suite, key, direction, session_id):
    """The first datagram of a direction, without a frame."""
    named, seq = session_id, handshake.number(1, 8)
    return named + seq + handshake.mac(suite, key, named + bytes([direction]) + seq)


def session_datagram(hello, ack, shared):
    """The first datagram of the initiator of a session."""
    info = handshake.context(ack["suite"], hello["from"], hello["to"]) + hello["nonce"] + ack["nonce"]
    keys = handshake.first_keys(info, ack["session_id"], shared)
    return first_datagram(ack["suite"], keys[:32], 0, ack["session_id"])


def check_hello(case):
    """A hello is taken, and this is the answer, and what the initiator says next."""
    equal(hello_fault(case), None, "fault")
    hello, ack = handshake.read("hello", raw(case, "hello")), handshake.read("ack", raw(case, "ack"))
    made = {
        "from": case["me"],
        "to": hello["from"],
        "eph_pubkey": share_of(raw(case, "ephemeral")),
        "suite": suite_of(case, hello),
        "timestamp": place(case, "now"),
        "nonce": ack["nonce"],
        "session_id": ack["session_id"],
    }
    signature = sign(raw(case, "responder_seed"), handshake.signed_ack(made, hello))
    equal(encode({**made, "signature": signature}), raw(case, "ack"), "ack")
    shared = agree(raw(case, "ephemeral"), hello["eph_pubkey"])
    equal(session_datagram(hello, ack, shared), raw(case, "datagram"), "datagram")


def own_hello(case):
    """The hello that a case's initiator made."""
    hello = handshake.read("hello", raw(case, "hello"))
    equal(hello["eph_pubkey"], share_of(raw(case, "ephemeral")), "ephemeral key")
    unsigned = {name: value for name, value in hello.items() if name != "signature"}
    signature = sign(raw(case, "initiator_seed"), handshake.signed_hello(unsigned))
    equal(encode({**unsigned, "signature": signature}), raw(case, "hello"), "hello")
    return unsigned


def retry_fault(case):
    """The first rule that a retry breaks; `before` is one that was taken."""
    hello, retry = own_hello(case), handshake.read("retry", raw(case, "retry"))
    if (retry["from"], retry["to"]) != (hello["to"], hello["from"]) or "before" in case:
        return "AckMismatch"
    return skew_fault(retry, place(case, "now"))


def check_retry(case):
    """A retry is taken, and this is the hello that follows."""
    equal(retry_fault(case), None, "fault")
    again = {**own_hello(case), "cookie": handshake.read("retry", raw(case, "retry"))["cookie"]}
    signature = sign(raw(case, "initiator_seed"), handshake.signed_hello(again))
    equal(encode({**again, "signature": signature}), raw(case, "again"), "hello with a cookie")


def ack_fault(case):
    """The first rule that an ack breaks."""
    hello, ack = own_hello(case), handshake.read("ack", raw(case, "ack"))
    demand(place(case, "floor") in (1, 2), "floor")
    if (ack["from"], ack["to"]) != (hello["to"], hello["from"]):
        return "WrongParties"
    if ack["suite"] < place(case, "floor"):
        return "AckSuiteBelowMinimum"
    if ack["suite"] not in hello["suites"]:
        return "AckSuiteNotOffered"
    signed = signature_fault(raw(case, "responder_key"), handshake.signed_ack(ack, hello), ack)
    return skew_fault(ack, place(case, "now")) or signed or share_fault(ack)


def check_ack(case):
    """An ack is taken, and this is what the initiator says next."""
    equal(ack_fault(case), None, "fault")
    ack = handshake.read("ack", raw(case, "ack"))
    shared = agree(raw(case, "ephemeral"), ack["eph_pubkey"])
    equal(session_datagram(own_hello(case), ack, shared), raw(case, "datagram"), "datagram")


def ends(case):
    """This node and its peer; `side` is 0 for the initiator of the session."""
    demand(raw(case, "side") in (b"\0", b"\1"), "side")
    pair = (case["initiator"], case["responder"])
    return pair if raw(case, "side") == b"\0" else pair[::-1]


def request_fault(case):
    """The first rule that a request for a rekey breaks."""
    request, (me, peer) = handshake.read("rekey_request", raw(case, "request")), ends(case)
    if (request["from"], request["to"]) != (peer, me):
        return "WrongParties"
    follows = place(case, "generation") + 1
    if follows > LAST_GENERATION:
        return "NoMoreGenerations"
    if request["session_id"] != raw(case, "session_id"):
        return "OtherSession"
    if request["generation"] != follows:
        return f"WrongGeneration {{ expected: {follows}, got: {request['generation']} }}"
    signed = signature_fault(raw(case, "requester_key"), handshake.signed_request(request), request)
    return skew_fault(request, place(case, "now")) or signed or share_fault(request)


def rekey_datagram(case, ack, request, shared, requester):
    """The first datagram of who asked for a rekey, 0 being the initiator of the session."""
    keys = handshake.next_keys(case, ack, request, shared)
    key = keys[32 * requester : 32 * requester + 32]
    return first_datagram(place(case, "suite"), key, requester, ack["next_session_id"])


def check_request(case):
    """A request is taken, and this is the answer, and what the other says next."""
    equal(request_fault(case), None, "fault")
    request = handshake.read("rekey_request", raw(case, "request"))
    ack = handshake.read("rekey_ack", raw(case, "ack"))
    made = {
        **{name: request[name] for name in ("session_id", "generation")},
        **{name: ack[name] for name in ("nonce", "next_session_id")},
        **dict(zip(("from", "to"), ends(case))),
        "eph_pubkey": share_of(raw(case, "ephemeral")),
        "timestamp": place(case, "now"),
    }
    signature = sign(raw(case, "answerer_seed"), handshake.signed_rekey(made, request))
    equal(encode({**made, "signature": signature}), raw(case, "ack"), "ack")
    shared = agree(raw(case, "ephemeral"), request["eph_pubkey"])
    requester = 1 - place(case, "side")
    equal(rekey_datagram(case, ack, request, shared, requester), raw(case, "datagram"), "datagram")


def own_request(case):
    """The request that this node made."""
    request = handshake.read("rekey_request", raw(case, "request"))
    made = {
        **dict(zip(("from", "to"), ends(case))),
        **{name: request[name] for name in ("nonce", "timestamp")},
        "session_id": raw(case, "session_id"),
        "generation": place(case, "generation") + 1,
        "eph_pubkey": share_of(raw(case, "ephemeral")),
    }
    signature = sign(raw(case, "requester_seed"), handshake.signed_request(made))
    equal(encode({**made, "signature": signature}), raw(case, "request"), "request")
    return made


def rekey_fault(case):
    """The first rule that the answer to a request breaks."""
    request, ack = own_request(case), handshake.read("rekey_ack", raw(case, "ack"))
    if (ack["from"], ack["to"]) != (request["to"], request["from"]):
        return "WrongParties"
    if any(ack[name] != request[name] for name in ("session_id", "generation")):
        return "AckMismatch"
    signed = signature_fault(raw(case, "answerer_key"), handshake.signed_rekey(ack, request), ack)
    return skew_fault(ack, place(case, "now")) or signed or share_fault(ack)


def check_rekey_ack(case):
    """An answer is taken, and this is what the node that asked says next."""
    equal(rekey_fault(case), None, "fault")
    request, ack = own_request(case), handshake.read("rekey_ack", raw(case, "ack"))
    shared = agree(raw(case, "ephemeral"), ack["eph_pubkey"])
    told = rekey_datagram(case, ack, request, shared, place(case, "side"))
    equal(told, raw(case, "datagram"), "datagram")


def rejects(fault):
    """A check that demands the fault that the case names."""
    return lambda case: equal(fault(case), case["error"], "reason")


# From seeds another implementation draws as it likes; what it draws stands in the case.
DRAWN = frozenset({"seed", "cookie_seed"})

FILES = {
    "acks.json": Accept(check_ack, prose=DRAWN),
    "acks_reject.json": Reject(rejects(ack_fault), sound="acks.json"),
    # What was answered before is another hello each time; the refusals are about which.
    "hellos.json": Accept(check_hello, prose=DRAWN | {"answered"}),
    "hellos_reject.json": Reject(rejects(hello_fault), sound="hellos.json"),
    "rekey_acks.json": Accept(check_rekey_ack, prose=DRAWN),
    "rekey_acks_reject.json": Reject(rejects(rekey_fault), sound="rekey_acks.json"),
    "rekey_requests.json": Accept(check_request, prose=DRAWN),
    "rekey_requests_reject.json": Reject(rejects(request_fault), sound="rekey_requests.json"),
    "retries.json": Accept(check_retry, prose=DRAWN),
    "retries_reject.json": Reject(rejects(retry_fault), sound="retries.json"),
}
