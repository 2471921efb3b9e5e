"""What one node keeps and binds: the journal, the ceremony's record, the label digest, the connection's binding."""

from struct import pack

from blake3 import blake3

from check.canonical import decode, encode
from check.runner import Accept, equal, raw

SEGMENT_CONTEXT = "fcp journal v1 segment checksums"
HEADER, HEAD, TABLE, BODY = 1, 2, 3, 4


def framed(data):
    """`frame` of docs/spec/objects.md."""
    return pack("<Q", len(data)) + data


def check_labels(case):
    """The label digest (docs/spec/labels.md#the-label-digest)."""
    parts = [raw(case, "context")]
    for kept in case["kept"]:
        parts += [encode(kept["at"]), bytes.fromhex(kept["label"])]
    for label in parts[:1] + parts[2::2]:
        decode(label)
    digest = blake3(b"FCP2-LABELS-V1" + b"".join(map(framed, parts))).digest()
    equal(digest, raw(case, "digest"), "digest")


def check_binding(case):
    """The binding of a connection (docs/spec/sessions.md#the-connections-binding)."""
    peer = framed(b"tcp") if case["uid"] is None else framed(b"unix") + pack("<I", case["uid"])
    binding = blake3(b"fcp.channel-binding/1" + peer, key=raw(case, "instance")).digest()
    equal(binding, raw(case, "binding"), "binding")


def check_record(case):
    """The ceremony's record (docs/spec/ceremony.md#the-record)."""
    content = {
        "node": case["node"],
        "operator": case["operator"],
        "keys": [{"name": key["name"], "bytes": bytes.fromhex(key["bytes"])} for key in case["keys"]],
        "objects": [bytes.fromhex(it) for it in case["objects"]],
    }
    for stored in content["objects"]:
        decode(stored)
    sealed = encode(content)
    checksum = blake3(b"FCP2-CEREMONY-RECORD-V1" + sealed).digest()
    equal(encode({"version": 1, "content": sealed, "checksum": checksum}), raw(case, "record"), "record")


class Segment:
    """A segment of the journal (docs/spec/journal.md)."""

    def __init__(self, home, number):
        """The segment `number` of a home."""
        self.home, self.number = home, number
        key = blake3(derive_key_context=SEGMENT_CONTEXT)
        self.key = key.update(home + pack("<Q", number)).digest()

    def sum(self, domain, data, length):
        """A checksum."""
        return blake3(bytes([domain]) + data, key=self.key).digest(length)

    def header(self, revision, first):
        """The 96 bytes before the first frame."""
        start = b"FCPJRNL\n" + pack("<II", 1, revision) + self.home + pack("<QQ", self.number, first) + bytes(16)
        return start + self.sum(HEADER, start, 16)

    def frame(self, offset, kind, sequence, settled, records):
        """A frame that begins at `offset`."""
        table = b""
        for name, body in records:
            table += name + pack("<I", len(body)) + self.sum(BODY, name + pack("<Q", len(body)) + body, 16)
        bodies = b"".join(body for _, body in records)
        place = pack("<Q", offset)
        head = b"FCJF" + bytes([kind, 0, 0, 0]) + pack("<QQ", sequence, settled)
        head += pack("<II", len(records), 0) + pack("<Q", len(bodies)) + self.sum(TABLE, place + table, 16)
        return head + self.sum(HEAD, place + head, 8) + table + bodies


def segment_of(case):
    """The segment that holds the frames of a case."""
    segment = Segment(raw(case, "home"), case["number"])
    written = segment.header(case["revision"], case["first"])
    for frame in case["frames"]:
        records = [(bytes.fromhex(it["id"]), bytes.fromhex(it["body"])) for it in frame["records"]]
        written += segment.frame(len(written), frame["kind"], frame["sequence"], frame["settled"], records)
    return written


def check_journal(case):
    """A segment, byte for byte."""
    equal(segment_of(case), raw(case, "segment"), "segment")


FILES = {
    "labels.json": Accept(check_labels),
    "binding.json": Accept(check_binding),
    "ceremony.json": Accept(check_record),
    "journal.json": Accept(check_journal),
}
