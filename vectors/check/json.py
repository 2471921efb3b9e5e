"""Strict JSON, its canonical text, and pointers (docs/spec/encoding.md)."""

import json
from decimal import Decimal, localcontext

from check.canonical import MAX_DEPTH, Refused
from check.runner import Accept, Mismatch, Reject, equal, raw

MAX_VALUES = 1_048_576
LARGEST = 1 << 20


def number(text):
    """The value of a number, if it can be kept exactly."""
    with localcontext() as context:
        context.prec = 2000
        value = Decimal(text)
        if -(2**63) <= value < 2**64 and value == int(value):
            return int(value)
    nearest = float(text)
    if nearest in (float("inf"), float("-inf")) or Decimal(repr(nearest)) != Decimal(text):
        raise Refused("a number that cannot be kept exactly")
    return nearest


def members(pairs):
    """An object, if no key is there twice."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise Refused("a key twice")
    return dict(pairs)


def check(value, depth=0):
    """Demands depth and text within bounds; gives back how many values there are."""
    if depth > MAX_DEPTH:
        raise Refused("too deep")
    if isinstance(value, str):
        if any(0xD800 <= ord(it) < 0xE000 for it in value):
            raise Refused("half a surrogate pair")
        return 1
    if isinstance(value, list):
        return 1 + sum(check(it, depth + 1) for it in value)
    if isinstance(value, dict):
        for key in value:
            check(key)
        return 1 + sum(check(it, depth + 1) for it in value.values())
    return 1


def never(name):
    """NaN and infinity are no JSON."""
    raise Refused(name)


def parse(data):
    """The value of a strict text."""
    if len(data) > LARGEST or data.startswith(b"\xef\xbb\xbf"):
        raise Refused("too large, or a byte order mark")
    try:
        value = json.loads(
            data.decode(), parse_int=number, parse_float=number, parse_constant=never, object_pairs_hook=members
        )
    except (ValueError, RecursionError, ArithmeticError) as error:
        raise Refused(str(error)) from error
    if check(value) > MAX_VALUES:
        raise Refused("too many values")
    return value


def ecmascript(x):
    """A number that is no integer in range, as ECMAScript writes it."""
    sign, digits, exponent = Decimal(repr(x)).normalize().as_tuple()
    digits, point = "".join(map(str, digits)), len(digits) + exponent
    if 0 < point <= 21:
        text = digits.ljust(point, "0")[:point] + ("." + digits[point:] if len(digits) > point else "")
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        fraction = "." + digits[1:] if len(digits) > 1 else ""
        text = f"{digits[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return "-" + text if sign else text


def canonical(value):
    """The one canonical text."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        return ecmascript(value)
    return json.dumps(value, ensure_ascii=False)


def follow(value, pointer):
    """What stands at a pointer (RFC 6901), or the lack of it."""
    if pointer and not pointer.startswith("/"):
        raise Refused("MissingSlash")
    for token in pointer.split("/")[1:]:
        plain = token.replace("~0", "").replace("~1", "")
        if "~" in plain:
            raise Refused("InvalidEscape")
        token = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            index = token == "0" or (token.isascii() and token.isdigit() and token[0] != "0")
            if not index or int(token) >= len(value):
                return None
            value = value[int(token)]
        elif isinstance(value, dict) and token in value:
            value = value[token]
        else:
            return None
    return canonical(value)


def accept(case):
    value = parse(case["text"].encode())
    equal(canonical(value), case["canonical"], "canonical text")
    equal(canonical(parse(case["canonical"].encode())), case["canonical"], "canonical text of canonical text")


def reject(case):
    try:
        parse(case["text"].encode("utf-8", "surrogatepass") if "text" in case else raw(case, "hex"))
    except Refused:
        return
    raise Mismatch("it is accepted")


def check_pointer(case):
    try:
        found, error = follow(parse(case["document"].encode()), case["pointer"]), None
    except Refused as refusal:
        found, error = None, str(refusal)
    equal(error, case.get("error"), "error")
    equal(found, case.get("value"), "what stands there")


FILES = {
    "accept.json": Accept(accept),
    # Most of a document does not matter to a pointer, and many pointers lead nowhere.
    "pointer.json": Accept(check_pointer, prose=frozenset({"document", "pointer"})),
    "reject.json": Reject(reject, sound="accept.json"),
}
