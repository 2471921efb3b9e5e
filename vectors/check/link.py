"""What control frames carry, and how handshakes travel (docs/spec/fcpc.md#content, docs/spec/mesh-sessions.md#carriage)."""

import cbor2

from check.runner import Accept, Reject, demand, equal, raw

MAX_PIECE, MAX_MESSAGE = 16_384, 16_384
LANES, REASONS = range(4), range(5)
FIELDS = {
    1: ("lane", "last", "position", "bytes"),
    2: ("lane", "again", "received", "limit"),
    3: ("message",),
    4: ("message",),
    5: ("reason",),
}
MESSAGES = {
    1: {"from", "to", "eph_pubkey", "nonce", "cookie", "timestamp", "suites", "transport_limits", "signature"},
    2: {"from", "to", "cookie", "timestamp"},
    3: {"from", "to", "eph_pubkey", "nonce", "session_id", "suite", "timestamp", "signature"},
}


def number(data):
    """An integer of the wire."""
    return int.from_bytes(data, "little")


def check_content(case):
    """The content made of its fields."""
    kind = raw(case, "kind")
    fields = FIELDS.get(kind[0])
    demand(fields is not None and content_fault(raw(case, "content")) is None, "content")
    equal(kind + b"".join(raw(case, name) for name in fields), raw(case, "content"), "content")


def content_fault(content):
    """The first rule that content breaks."""
    if not content:
        return "Empty"
    kind, rest = content[0], content[1:]
    if kind == 1:
        return piece_fault(rest)
    if kind == 2:
        return window_fault(rest)
    if kind == 5:
        if len(rest) != 1:
            return "Length"
        return None if rest[0] in REASONS else "UnknownReason"
    return None if kind in (3, 4) else "UnknownKind"


def piece_fault(rest):
    """The first rule that a piece breaks."""
    if len(rest) < 10 or not 1 <= len(rest) - 10 <= MAX_PIECE:
        return "Length"
    if number(rest[2:10]) + len(rest) - 10 >= 1 << 64:
        return "PositionOverflow"
    return lane_fault(rest)


def window_fault(rest):
    """The first rule that a window breaks."""
    if len(rest) != 18:
        return "Length"
    return "WindowBackwards" if number(rest[10:18]) < number(rest[2:10]) else lane_fault(rest)


def lane_fault(rest):
    """Lane and truth value, which pieces and windows begin with."""
    if rest[0] not in LANES:
        return "UnknownLane"
    return None if rest[1] in (0, 1) else "InvalidFlag"


def check_opening(case):
    """The header of a handshake's message, and which message it is."""
    message, kind = raw(case, "message"), raw(case, "kind")
    demand(kind[0] in MESSAGES and set(cbor2.loads(message)) <= MESSAGES[kind[0]], "kind")
    equal(cbor2.dumps(cbor2.loads(message), canonical=True), message, "message")
    header = b"FCPH" + (1).to_bytes(2, "little") + kind + b"\0" + len(message).to_bytes(4, "little")
    equal(header + message, raw(case, "opening"), "opening")


def opening_fault(opening):
    """The first rule that the carriage of a message breaks."""
    if len(opening) < 12:
        return "Length"
    if opening[:4] != b"FCPH":
        return "InvalidMagic"
    if number(opening[4:6]) != 1:
        return "UnsupportedVersion"
    if opening[6] not in MESSAGES or opening[7] != 0:
        return "UnknownKind"
    if number(opening[8:12]) > MAX_MESSAGE:
        return "Message"
    return None if number(opening[8:12]) == len(opening) - 12 else "Length"


def refuses(fault, field):
    """A check that demands the fault whose name the case gives; its numbers are not compared."""

    def check(case):
        equal(fault(raw(case, field)), case["error"].split(" ")[0].split("(")[0], "reason")

    return check


FILES = {
    "content.json": Accept(check_content),
    "content_reject.json": Reject(refuses(content_fault, "content"), sound="content.json"),
    "opening.json": Accept(check_opening),
    "opening_reject.json": Reject(refuses(opening_fault, "opening"), sound="opening.json"),
}
