"""Canonical CBOR."""

import json

from check.canonical import Refused, decode, diagnostic, encode
from check.runner import Accept, Mismatch, Reject, demand, equal, raw


def data(case):
    """`hex`, after as many repetitions as the case asks for."""
    return bytes.fromhex(case.get("repeat", "")) * int(case.get("times", "0")) + raw(case, "hex")


def accept(case):
    item = decode(data(case))
    equal(encode(item), data(case), "encoding")
    if "json" in case:
        value = json.loads(case["json"])
        # 1 and 1.0 are one number in JSON and two in CBOR.
        equal(encode(value).hex() if type(value) is not type(item) else encode(value), encode(item), "the JSON value")
    else:
        equal(diagnostic(item), case["diagnostic"], "diagnostic notation")


def reject(case):
    try:
        decode(data(case))
    except Refused:
        return
    raise Mismatch("it is accepted")


FILES = {"accept.json": Accept(accept), "reject.json": Reject(reject, sound="accept.json")}
