"""Canonical CBOR, by the `cbor2` library; and the rule that other bytes break first, read from the left by hand."""

import json
import math
import struct

from check.canonical import MAX_BYTES, MAX_DEPTH, Refused, decode, diagnostic, encode
from check.runner import Accept, Mismatch, Reject, equal, raw


class Fault(Exception):
    """A broken rule of docs/spec/encoding.md#canonical-cbor."""


class Reader:
    """What reads an item and stops at the first rule that is broken."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        """The next bytes."""
        if count > len(self.data) - self.at:
            raise Fault("Truncated")
        self.at += count
        return self.data[self.at - count : self.at]

    def argument(self, info):
        """The number of a head, in its shortest form."""
        if info < 24:
            return info
        if info > 27:
            raise Fault("IndefiniteLength" if info == 31 else "ReservedHead")
        width = 1 << (info - 24)
        number = int.from_bytes(self.take(width), "big")
        if number < (24 if width == 1 else 1 << (4 * width)):
            raise Fault("NonShortest")
        return number

    def item(self, depth=0):
        """Reads an item."""
        if depth > MAX_DEPTH:
            raise Fault("TooDeep")
        major, info = divmod(self.take(1)[0], 32)
        if major < 2:
            self.argument(info)
        elif major == 2:
            self.take(self.argument(info))
        elif major == 3:
            self.text(self.take(self.argument(info)))
        elif major < 6:
            self.items(self.argument(info), major == 5, depth + 1)
        elif major == 6:
            raise Fault("UnsupportedTag")
        else:
            self.simple(info)

    def text(self, data):
        """Checks a text."""
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise Fault("InvalidUtf8") from error

    def items(self, count, is_map, depth):
        """Reads what is in an array or a map."""
        if count * (2 if is_map else 1) > len(self.data) - self.at:
            raise Fault("Truncated")
        before = b""
        for _ in range(count):
            start = self.at
            self.item(depth)
            key = self.data[start : self.at]
            if is_map:
                if key <= before:
                    raise Fault("DuplicateKey" if key == before else "KeyOrder")
                before = key
                self.item(depth)

    def simple(self, info):
        """Reads a simple value or a float."""
        if info not in range(20, 23):
            if info in range(25, 28):
                self.float(info)
            else:
                self.argument(info if info > 27 else 0)
                raise Fault("UnsupportedSimple")

    def float(self, info):
        """Reads a float of the least width."""
        forms = {25: ">e", 26: ">f", 27: ">d"}
        x = struct.unpack(forms[info], self.take(1 << (info - 24)))[0]
        if not math.isfinite(x):
            raise Fault("NonFiniteFloat")
        if x == 0 and math.copysign(1, x) < 0:
            raise Fault("NegativeZero")
        if 1 << (info - 24) != len(encode(x)) - 1:
            raise Fault("NonShortest")


def fault(data):
    """The first broken rule, or None."""
    if len(data) > MAX_BYTES:
        return "TooLarge"
    reader = Reader(data)
    try:
        reader.item()
    except Fault as broken:
        return str(broken)
    return None if reader.at == len(data) else "TrailingBytes"


def data(case):
    """`hex`, after as many repetitions as the case asks for."""
    return bytes.fromhex(case.get("repeat", "")) * int(case.get("times", "0")) + raw(case, "hex")


def accept(case):
    item = decode(data(case))
    equal(encode(item), data(case), "encoding")
    equal(fault(data(case)), None, "broken rule")
    if "json" in case:
        value = json.loads(case["json"])
        # 1 and 1.0 are one number in JSON and two in CBOR.
        equal(encode(value).hex() if type(value) is not type(item) else encode(value), encode(item), "the JSON value")
    else:
        equal(diagnostic(item), case["diagnostic"], "diagnostic notation")


def reject(case):
    equal(fault(data(case)), case["error"], "broken rule")
    try:
        decode(data(case))
    except Refused:
        return
    raise Mismatch("it is accepted")


FILES = {"accept.json": Accept(accept), "reject.json": Reject(reject, sound="accept.json")}
