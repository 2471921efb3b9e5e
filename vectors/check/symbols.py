"""Symbols of objects, and the messages about them (docs/spec/symbols.md)."""

from check import chunks, decoding, rfc6330, transcripts
from check.canonical import decode, encode
from check.cutting import information, partition, transmission_fault
from check.keys import public_of, sign, verify
from check.runner import Accept, Reject, equal, raw

MAX_HINT, MAX_UNKNOWN, MAX_KNOWN, MAX_ANYBODY = 100, 32, 1_000, 2_001
SCHEMAS = {"request": "Request", "status": "DecodeStatus", "ack": "Ack"}
HINT = 'Invalid("a hint names from 1 to 100 symbols, each once")'


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


def rejects(fault):
    """A check that demands the fault that the case names."""
    return lambda case: equal(fault(case), case["error"], "reason")


FILES = chunks.FILES | decoding.FILES | {
    "encoding.json": Accept(check_encoding),
    "messages.json": Accept(check_message),
    "messages_reject.json": Reject(rejects(message_fault), sound="messages.json"),
    "transmission.json": Accept(check_transmission),
    "transmission_reject.json": Reject(rejects(transmission_fault), sound="transmission.json"),
}
