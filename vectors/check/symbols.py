"""Symbols: how objects are cut, and the messages about them (docs/spec/symbols.md)."""

from check import rfc6330, transcripts
from check.canonical import decode, encode
from check.keys import public_of, sign, verify
from check.runner import Accept, Reject, demand, equal, raw

MAX_WHOLE, MAX_OBJECT, MAX_BLOCK, MAX_BLOCKS = 1 << 20, 64 << 20, 1_032, 255
MAX_HINT, MAX_UNKNOWN, MAX_KNOWN, MAX_ANYBODY = 100, 32, 1_000, 2_001
SCHEMAS = {"request": "Request", "status": "DecodeStatus", "ack": "Ack"}
HINT = 'Invalid("a hint names from 1 to 100 symbols, each once")'
SIZES = 'Invalid("a manifest whose sizes and chunks do not fit together")'


def information(length, size):
    """The twelve bytes of RFC 6330 sections 3.3.2 and 3.3.3."""
    blocks = -(-(-(-length // size)) // MAX_BLOCK)
    return length.to_bytes(5, "big") + b"\0" + size.to_bytes(2, "big") + bytes([blocks, 0, 1, 1])


def partition(symbols, blocks):
    """The source symbols of each block (RFC 6330 section 4.4.1.2)."""
    short, longer = divmod(symbols, blocks)
    return [short + 1] * longer + [short] * (blocks - longer)


def check_encoding(case):
    """Source and repair symbols of an object in one block, the last symbol padded with zeros."""
    data, size = raw(case, "object"), int(case["symbol_size"])
    source = tuple(data[at : at + size].ljust(size, b"\0") for at in range(0, len(data), size))
    equal(str(len(source)), case["source_symbols"], "source symbols")
    for named in case["symbols"].split(" "):
        esi, told = named.split(":")
        equal(rfc6330.symbol(source, int(esi)).hex(), told, f"symbol {esi}")


def check_transmission(case):
    length, size = int(case["length"]), int(case["symbol_size"])
    told = information(length, size)
    equal(told, raw(case, "bytes"), "transmission information")
    each = partition(-(-length // size), told[8])
    long = f"{len(each)} blocks, first {each[0]}, last {each[-1]}"
    equal(long if len(each) > 8 else ",".join(map(str, each)), case["blocks"], "blocks")


def transmission_fault(case):
    """The first rule that twelve bytes break."""
    told = raw(case, "bytes")
    length, size = int.from_bytes(told[:5], "big"), int.from_bytes(told[6:8], "big")
    if size == 0:
        return "ZeroSymbolSize"
    if length == 0:
        return "Empty"
    if length > MAX_WHOLE:
        return "TooLong"
    blocks = -(-(-(-length // size)) // MAX_BLOCK)
    if blocks > MAX_BLOCKS:
        return "TooManyBlocks"
    if told[5] != 0:
        return "Reserved"
    if told[8] != blocks:
        return "WrongSourceBlocks"
    if told[9:11] != b"\0\1":
        return "WrongSubBlocks"
    return None if told[11] == 1 else "WrongAlignment"


def check_message(case):
    """The message made anew."""
    fields = decode(raw(case, "body"))
    del fields["signature"]
    message = transcripts.of(SCHEMAS[case["kind"]], fields)
    equal(message, raw(case, "transcript"), "transcript")
    equal(encode({**fields, "signature": sign(raw(case, "seed"), message)}), raw(case, "body"), "body")
    equal(message_fault({**case, "public": public_of(raw(case, "seed")).hex()}), None, "fault")
    if "allowed" in case:
        equal(str(fields["max_symbols"]), case["allowed"], "allowed")


def message_fault(case):
    """Why a message is refused; a case with a seed is of a known requester."""
    fields = decode(raw(case, "body"))
    hint, count = fields.get("missing_hint"), fields.get("max_symbols", 0)
    if hint is not None and (not 0 < len(hint) <= MAX_HINT or len(set(hint)) != len(hint)):
        return HINT
    if fields.get("reason", "complete") not in transcripts.REASONS:
        return f'UnknownVariant("{fields["reason"]}")'
    if case.get("header_zone", "z:work") != fields["zone_id"]:
        return "WrongZone"
    if count > MAX_ANYBODY:
        return "AboveHardCap"
    if case["kind"] == "request" and len(hint or ()) > count:
        return "HintAboveRequest"
    if hint is not None and fields.get("complete"):
        return "HintWhenComplete"
    known = "seed" in case or "requester" not in case
    message = transcripts.of(SCHEMAS[case["kind"]], fields)
    if known and not verify(raw(case, "public"), message, fields["signature"]):
        return "SignatureInvalid"
    most = MAX_UNKNOWN if not known else MAX_KNOWN if hint is None else MAX_ANYBODY
    return f"TooManySymbols {{ most: {most} }}" if count > most else None


def check_range(case):
    total, size, start, end = (int(case[it]) for it in ("total_len", "chunk_size", "start", "end"))
    equal(sizes_fault(total, size, -(-total // size)), None, "manifest")
    demand(start <= end <= total, "the range lies outside")
    pieces = []
    for index in range(start // size, -(-end // size)) if start < end else ():
        first = index * size
        pieces.append(f"{index}:{max(start - first, 0)}..{min(end - first, size)}")
    equal(" ".join(pieces), case["pieces"], "pieces")


def sizes_fault(total, size, chunks):
    """Whether the numbers of a manifest fit together."""
    known = any(size == 1 << it for it in range(16, 20)) and MAX_WHOLE < total <= MAX_OBJECT
    return None if known and chunks == -(-total // size) else SIZES


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
    "encoding.json": Accept(check_encoding),
    "manifest_reject.json": Reject(rejects(manifest_fault), sound="ranges.json"),
    "messages.json": Accept(check_message),
    "messages_reject.json": Reject(rejects(message_fault), sound="messages.json"),
    # A range lies within the object; how much comes behind it changes nothing.
    "ranges.json": Accept(check_range, prose=frozenset({"total_len"})),
    "transmission.json": Accept(check_transmission),
    "transmission_reject.json": Reject(rejects(transmission_fault), sound="transmission.json"),
}
