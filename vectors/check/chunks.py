"""Chunks of large objects, and the ranges that touch them (docs/spec/symbols.md#chunks)."""

import functools

import blake3

from check.canonical import Refused, decode, encode
from check.cutting import sizes_fault
from check.kinds import schema_hash
from check.objects import object_id
from check.runner import Accept, Reject, equal, raw

RAW = {"namespace": "fcp.chunk", "name": "RawChunk", "version": "1.0.0"}


@functools.lru_cache(4)
def identity_of(data, key):
    """The identity of an object in bytes, or none if they are no object."""
    try:
        item = decode(data)
    except Refused:
        return None
    return object_id(key, item["header"], item["body"])


def chunk_object(header, piece, **other):
    """Header and body of the object of a chunk."""
    return {**header, "schema": RAW, "refs": [], "foreign_refs": [], **other}, schema_hash(RAW) + encode({"bytes": piece})


class Cut:
    """An object, and the chunks that a manifest names."""

    def __init__(self, data, key, size):
        self.key, self.data = key, data
        equal(sizes_fault(len(self.data), size, -(-len(self.data) // size)), None, "sizes")
        self.pieces = [self.data[at : at + size] for at in range(0, len(self.data), size)]
        self.header = decode(self.data)["header"]
        ids = [object_id(self.key, *chunk_object(self.header, it)) for it in self.pieces]
        self.named = [(it, blake3.blake3(piece).digest(), len(piece)) for it, piece in zip(ids, self.pieces)]
        self.identity = identity_of(self.data, self.key)

    def told(self):
        """The chunks as vectors list them."""
        return [f"{identity.hex()} {digest.hex()}" for identity, digest, _ in self.named]


@functools.lru_cache(4)
def cut_of(*described):
    """The object that these fields of a case describe, cut; the same ones are asked for again and again."""
    before, repeat, times, after, key, size = described
    data = bytes.fromhex(before) + bytes.fromhex(repeat) * int(times) + bytes.fromhex(after)
    return Cut(data, bytes.fromhex(key), int(size))


def cut(case):
    """The case's object, cut."""
    return cut_of(*(case[name] for name in ("before", "repeat", "times", "after", "object_id_key", "chunk_size")))


def offered(whole, case):
    """The bytes that are offered for a chunk."""
    piece = whole.pieces[int(case["of"])]
    piece = piece[: len(piece) - int(case.get("cut", 0))]
    if "flip" in case:
        at = int(case["flip"])
        piece = piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :]
    return piece


def bytes_fault(whole, case):
    """Why bytes are not those of a chunk; `digest` is another than its own, if the manifest names one."""
    if int(case["index"]) >= len(whole.named):
        return "NoSuchChunk"
    _, digest, length = whole.named[int(case["index"])]
    digest = raw(case, "digest") if "digest" in case else digest
    piece = offered(whole, case)
    if len(piece) != length:
        return "WrongLength"
    return None if blake3.blake3(piece).digest() == digest else "WrongDigest"


def object_fault(whole, case):
    """Why an object is not that of a chunk."""
    if int(case["index"]) >= len(whole.named):
        return "NoSuchChunk"
    other = {"created_at": int(case["created_at"])} if "created_at" in case else {}
    key = raw(case, "other_key") if "other_key" in case else whole.key
    identity = object_id(key, *chunk_object(whole.header, offered(whole, case), **other))
    return "WrongChunkObject" if identity != whole.named[int(case["index"])][0] else bytes_fault(whole, case)


def whole_fault(whole, case):
    """Why chunks, each of which is right, do not make the object that the manifest names."""
    listed = [int(it) for it in case["listed"].split(" ")] if "listed" in case else range(len(whole.pieces))
    order = [int(it) for it in case["order"].split(" ") if it]
    if order != list(range(len(whole.pieces))):
        return "WrongOrder"
    named = raw(case, "named") if "named" in case else whole.identity
    identity = identity_of(b"".join(whole.pieces[it] for it in listed), whole.key)
    if identity is None:
        return "Malformed"
    return None if identity == named else "WrongObject"


def chunk_fault(case):
    """The first rule that what is offered breaks."""
    return {"bytes": bytes_fault, "object": object_fault, "whole": whole_fault}[case["step"]](cut(case), case)


def check_chunks(case):
    """An object cut, and something that is taken."""
    equal(cut(case).identity, raw(case, "object_id"), "identity")
    equal(cut(case).told(), case["chunks"], "chunks")
    equal(chunk_fault(case), None, "fault")


def range_fault(case):
    """Whether a range is one of the object."""
    return None if int(case["start"]) <= int(case["end"]) <= int(case["total_len"]) else "RangeOutOfBounds"


def check_range(case):
    """The chunks that a range touches."""
    total, size, start, end = (int(case[it]) for it in ("total_len", "chunk_size", "start", "end"))
    equal(sizes_fault(total, size, -(-total // size)), None, "manifest")
    equal(range_fault(case), None, "fault")
    pieces = []
    for index in range(start // size, -(-end // size)) if start < end else ():
        first = index * size
        pieces.append(f"{index}:{max(start - first, 0)}..{min(end - first, size)}")
    equal(" ".join(pieces), case["pieces"], "pieces")


def manifest_fault(case):
    """What is wrong with a manifest; a sound case has the numbers of one."""
    if "total_len" in case:
        total, size = int(case["total_len"]), int(case["chunk_size"])
        return sizes_fault(total, size, -(-total // size))
    manifest = decode(raw(case, "manifest"))
    return sizes_fault(manifest["total_len"], manifest["chunk_size"], len(manifest["chunks"]))


def rejects(fault):
    """A check that demands the fault that the case names."""
    return lambda case: equal(fault(case), case["error"], "reason")


FILES = {
    "chunks.json": Accept(check_chunks),
    "chunks_reject.json": Reject(rejects(chunk_fault), sound="chunks.json"),
    "manifest_reject.json": Reject(rejects(manifest_fault), sound="ranges.json"),
    # A range lies within the object; how much comes behind it changes nothing.
    "ranges.json": Accept(check_range, prose=frozenset({"total_len"})),
    "ranges_reject.json": Reject(rejects(range_fault), sound="ranges.json"),
}
