"""Canonical CBOR (docs/spec/encoding.md) over the `cbor2` library.

`cbor2` reads and writes single items; the order of keys, the limits and the data model are ours, since its own canonical
mode orders keys by length first (RFC 7049).
"""

import functools
import math
import struct
from collections.abc import Mapping

import cbor2

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 128


class Refused(Exception):
    """What a reader must refuse."""


def encode(item, depth=0):
    """The one canonical encoding of `item`."""
    if depth > MAX_DEPTH:
        raise Refused("too deep")
    if isinstance(item, str):
        return _text(item)
    if isinstance(item, bytes):
        return cbor2.dumps(item)
    if item is None or isinstance(item, bool):
        return cbor2.dumps(item)
    if isinstance(item, int):
        if not -(2**64) <= item < 2**64:
            raise Refused("an integer out of range")
        return cbor2.dumps(item)
    if isinstance(item, float):
        return _float(item)
    if isinstance(item, (list, tuple)):
        return _head(4, len(item)) + b"".join(encode(child, depth + 1) for child in item)
    if isinstance(item, Mapping):
        entries = sorted((encode(key, depth + 1), encode(value, depth + 1)) for key, value in item.items())
        return _head(5, len(entries)) + b"".join(key + value for key, value in entries)
    raise Refused(f"{type(item).__name__} is not of the data model")


def decode(data):
    """The item whose canonical encoding is exactly `data`."""
    if len(data) > MAX_BYTES:
        raise Refused("too large")
    try:
        item = cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, OverflowError, RecursionError, TypeError) as error:
        raise Refused(str(error)) from error
    if encode(item) != data:
        raise Refused("another encoding is the canonical one")
    return item


def diagnostic(item):
    """Diagnostic notation (RFC 8949 section 8), floats by their bits."""
    if item is None or isinstance(item, bool):
        return {None: "null", False: "false", True: "true"}[item]
    if isinstance(item, float):
        return "float'" + struct.pack(">d", item).hex() + "'"
    if isinstance(item, int):
        return str(item)
    if isinstance(item, bytes):
        return "h'" + item.hex() + "'"
    if isinstance(item, str):
        return '"' + item + '"'
    if isinstance(item, (list, tuple)):
        return "[" + ", ".join(diagnostic(child) for child in item) + "]"
    entries = sorted((encode(key), diagnostic(key), diagnostic(value)) for key, value in item.items())
    return "{" + ", ".join(f"{key}: {value}" for _, key, value in entries) + "}"


@functools.lru_cache(1024)
def _text(text):
    """A text; names of fields come again and again."""
    return cbor2.dumps(text)


@functools.lru_cache(1024)
def _head(major, count):
    head = bytearray(cbor2.dumps(count))
    head[0] |= major << 5
    return bytes(head)


def _float(x):
    if not math.isfinite(x):
        raise Refused("a float that is not finite")
    x = x if x else 0.0
    for initial, form in ((b"\xf9", ">e"), (b"\xfa", ">f")):
        try:
            packed = struct.pack(form, x)
        except OverflowError:
            continue
        if struct.unpack(form, packed)[0] == x:
            return initial + packed
    return b"\xfb" + struct.pack(">d", x)
