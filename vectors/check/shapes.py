"""What the fields of objects are, as the tables of docs/spec/values.md and docs/spec/kinds.md say it.

The tables are read here as they stand, so that whoever follows the specification reads what this checker reads.
"""

import re
from pathlib import Path

from check import cutting, keys

SPECIFICATION = Path(__file__).resolve().parents[2] / "docs" / "spec"
FORMS = {
    "Signed": {"signer": ("key id", False), "signature": ("bytes[64]", False)},
    "Signed over a transcript": {"signature": ("bytes[64]", False)},
    "Certified": {"quorum_signatures": ("SignatureSet", False)},
    "Unsigned": {},
}
NAMES = ("capability", "connector", "credential", "node", "operation", "principal", "role")
LENGTHS = {"object id": 32, "digest": 32, "key id": 8, "call id": 16, "secret id": 16, "token id": 16}
ENCAPSULATED = {"hpke_x25519": 32, "x_wing": 1120}


class Broken(Exception):
    """A rule that an item breaks, by the name of its error."""


def need(holds, error):
    """Demands that a rule holds."""
    if not holds:
        raise Broken(error)


def rows(section):
    """The rows of the tables in a section, as their cells."""
    for line in section.splitlines():
        cells = [it.strip() for it in line.strip("|").split("|")]
        if line.startswith("| `") and not cells[0] == "`type`":
            yield cells


def fields_of(section):
    """The fields of a table: a name's type, and whether it may be left out."""
    return {it[0].strip("?").strip("`"): (it[1].strip("`"), it[0].endswith("?")) for it in rows(section)}


def sections(page, level):
    """The sections of a page under the headings of a level that stand in code font."""
    text = (SPECIFICATION / page).read_text()
    for part in re.split(rf"^{level} `", text, flags=re.MULTILINE)[1:]:
        name, rest = part.split("`", 1)
        yield name, re.split(r"^#+ ", rest, flags=re.MULTILINE)[0]


def choice_of(section):
    """The shapes of a part that names itself under `type`."""
    shapes = {}
    for kind, name, expected, _ in rows(section):
        shape = shapes.setdefault(kind.strip("`"), {})
        if name:
            shape[name.strip("?").strip("`")] = (expected.strip("`"), name.endswith("?"))
    return shapes


def read_words():
    """The words of each set of words, in their order."""
    page = (SPECIFICATION / "values.md").read_text()
    section = page.split("## Words", 1)[1].split("\n## ", 1)[0]
    return {it[0].strip("`"): re.findall(r"`([^`]+)` \(", it[1]) for it in rows(section)}


def read_kinds():
    """The fields of every kind, those of its form with them."""
    kinds = {}
    for name, section in sections("kinds.md", "###"):
        form = re.search(r"\*\*([A-Za-z ]+)\.\*\*", section).group(1)
        kinds[name] = {**fields_of(section), **FORMS[form]}
    return kinds


WORDS = read_words()
CHOICES = {name: choice_of(it) for name, it in sections("values.md", "###") if "| `type` |" in it}
PARTS = {name: fields_of(it) for name, it in sections("values.md", "###") if "| `type` |" not in it}
PARTS["Header"] = fields_of((SPECIFICATION / "objects.md").read_text().split("\n## Header", 1)[1].split("\n## ", 1)[0])
PARTS["ZoneCheckpoint"] = fields_of(dict(sections("kinds.md", "###"))["fcp.zone:ZoneCheckpoint@1.0.0"])
KINDS = read_kinds()


def read(expected, item):
    """Reads an item as a type, or raises the error of the first rule that it breaks."""
    bounded = re.fullmatch(r"(.+) ≤ (\d+)", expected)
    if bounded:
        read(bounded.group(1), item)
        need(len(item) <= int(bounded.group(2)), "OutOfRange")
    elif expected.startswith(("list of ", "set of ")):
        read_array(expected, item)
    elif expected.startswith("map of "):
        of, to = expected.removeprefix("map of ").split(" to ")
        need(isinstance(item, dict), "WrongType")
        for name, value in item.items():
            read(of, name)
            read(to, value)
    elif expected in WORDS:
        need(isinstance(item, str), "WrongType")
        need(item in WORDS[expected], "UnknownVariant")
    elif expected in CHOICES:
        read_choice(CHOICES[expected], item)
    elif expected in PARTS:
        read_struct(PARTS[expected], item)
        PART_RULES.get(expected, lambda _: None)(item)
    else:
        read_simple(expected, item)


def read_array(expected, item):
    """A list, or a set in its order."""
    of = expected.split(" of ", 1)[1]
    need(isinstance(item, list), "WrongType")
    for it in item:
        read(of, it)
    if expected.startswith("set of "):
        ranks = [rank(of, it) for it in item]
        need(all(a < b for a, b in zip(ranks, ranks[1:])), "Invalid")


def rank(of, item):
    """What the order of a set goes by (docs/spec/encoding.md#sets)."""
    if of in WORDS:
        return WORDS[of].index(item)
    if of in PARTS:
        return [(name in item, rank(PARTS[of][name][0], item[name]) if name in item else 0) for name in PARTS[of]]
    return item.encode() if isinstance(item, str) else item


def read_struct(fields, item):
    """A map with these fields and no others."""
    need(isinstance(item, dict), "WrongType")
    for name, (expected, optional) in fields.items():
        need(optional or name in item, "MissingField")
        if name in item:
            read(expected, item[name])
    need(item.keys() <= fields.keys(), "UnknownField")


def read_choice(shapes, item):
    """A map that names its shape."""
    need(isinstance(item, dict), "WrongType")
    need("type" in item, "MissingField")
    need(item["type"] in shapes, "UnknownVariant")
    read_struct({"type": ("text", False), **shapes[item["type"]]}, item)


def read_simple(expected, item):
    """A type that is not made of others."""
    if expected == "bool":
        need(isinstance(item, bool), "WrongType")
    elif expected in ("time", "seconds", "milliseconds", "level") or re.fullmatch(r"u\d+", expected):
        need(isinstance(item, int) and not isinstance(item, bool) and item >= 0, "WrongType")
        bits = int(expected[1:]) if expected.startswith("u") else 64
        need(item < 2**bits and (expected != "level" or item <= 100), "OutOfRange")
    elif expected in LENGTHS or expected.startswith("bytes") or expected in BYTES:
        need(isinstance(item, bytes), "WrongType")
        exact = re.fullmatch(r"bytes\[(\d+)\]", expected)
        need(len(item) == LENGTHS.get(expected, int(exact.group(1)) if exact else len(item)), "WrongLength")
        BYTES.get(expected, lambda _: None)(item)
    elif expected == "hint":
        read("list of u32", item)
        need(1 <= len(item) <= 100 and len(set(item)) == len(item), "Invalid")
    elif expected == "scalar":
        need(item is None or isinstance(item, (bool, int, float, str)), "WrongType")
    elif expected == "number":
        need(isinstance(item, (int, float)) and not isinstance(item, bool), "Invalid")
    else:
        need(isinstance(item, str), "WrongType")
        TEXTS[expected](item)


def read_key(item):
    """An Ed25519 key that may verify."""
    need(len(item) == 32, "WrongLength")
    need(keys.is_sound(item), "Invalid")


def read_information(item):
    """Transmission information that is the one form of its object."""
    need(len(item) == 12, "WrongLength")
    need(cutting.transmission_fault({"bytes": item.hex()}) is None, "Invalid")


def read_sketch(item):
    """No cells, or enough of them."""
    need(len(item) <= 128_000, "OutOfRange")
    need(not item or (len(item) % 12 == 0 and len(item) >= 64 * 12), "WrongLength")


def identifier_fault(text, kind):
    """The first rule of the grammar of identifiers that a text breaks, or nothing."""
    common = [
        (not text, "Empty"),
        (len(text.encode()) > (64 if kind == "zone" else 128), "TooLong"),
        (not text.isascii(), "NonAscii"),
        (re.search("[A-Z]", text), "UppercaseNotAllowed"),
    ]
    rest = text.removeprefix("z:")
    project = rest.removeprefix("project:")
    zone = [
        (rest == text, "MissingPrefix"),
        ("" in rest.split(":"), "EmptySegment"),
        (rest.startswith("proj-"), "ReservedPrefix"),
        (not re.fullmatch("[a-z0-9:-]*", rest), "InvalidChar"),
        (project != rest and (":" in project or project.strip("-") != project), "InvalidProject"),
    ]
    name = [
        (not re.match("[a-z0-9]", text), "InvalidStartChar"),
        (not re.fullmatch("[a-z0-9._:-]*", text), "InvalidChar"),
    ]
    return next((error for broken, error in common + (zone if kind == "zone" else name) if broken), None)


def read_identifier(kind):
    """The reader of a kind of identifiers."""
    return lambda text: need(identifier_fault(text, kind) is None, "Id")


def read_code(text):
    """A code of the registry."""
    codes = re.findall(r"FCP-\d{4}", (SPECIFICATION / "errors.md").read_text())
    need(text in codes, "UnknownVariant")


def read_pattern(text):
    """A pattern of resources (docs/spec/tokens.md#resources-and-patterns)."""
    if text == "*":
        return
    scheme, colon, rest = text.partition(":")
    need(len(text) <= 1024 and colon and re.fullmatch("[a-z0-9._-]+", scheme), "Invalid")
    need(all(0x21 <= ord(it) < 0x7F and it != "\\" for it in text), "Invalid")
    steps = rest.split("/")
    literal = [it for it in steps[:-1] + steps[-1:] * (steps[-1] != "**") if it != "*"]
    need(not any(it in ("", ".", "..") or "*" in it for it in literal), "Invalid")


def read_pointer(text):
    """An RFC 6901 pointer."""
    need(text == "" or re.fullmatch(r"(/([^~/]|~[01])*)+", text, flags=re.DOTALL), "Invalid")


def grantee(item):
    """Exactly one of the two."""
    need(len(item) == 1, "Invalid")


def constraints(item):
    """No list is empty."""
    need(all(it != [] for it in item.values()), "Invalid")


def argument_rule(item):
    """Exactly one kind of check."""
    kinds = {"min" if it == "max" else it for it in item} - {"pointer", "presence"}
    need(len(kinds) == 1 and item.get("one_of") != [], "Invalid")


def terms(item):
    """A key ends after it begins."""
    need(item.get("valid_until", 2**64) > item["valid_from"], "Invalid")


def dealing(item):
    """A threshold of 1 to the total, and a hash for each share."""
    need(1 <= item["threshold"] <= item["total"] == len(item["share_hashes"]), "Invalid")


def hpke_box(item):
    """The lengths of a packed box."""
    need(ENCAPSULATED[item["kem"]] + 16 <= len(item["sealed"]) <= 65_536, "WrongLength")


def signature_set(item):
    """At most one signature a node, in order."""
    nodes = [it["node_id"].encode() for it in item["signatures"]]
    need(all(a < b for a, b in zip(nodes, nodes[1:])), "Invalid")


BYTES = {
    "Ed25519 key": read_key,
    "transmission information": read_information,
    "sketch": read_sketch,
}
TEXTS = {
    "text": lambda _: None,
    "zone": read_identifier("zone"),
    "code": read_code,
    "pattern": read_pattern,
    "pointer": read_pointer,
    **{name: read_identifier(name) for name in NAMES},
}
PART_RULES = {
    "Grantee": grantee,
    "Constraints": constraints,
    "ArgumentRule": argument_rule,
    "ZoneKeyTerms": terms,
    "Dealing": dealing,
    "HpkeBox": hpke_box,
    "SignatureSet": signature_set,
}
