"""What a checker of a folder is made of.

A checker is `vectors/check/FOLDER.py` with a table `FILES` from file names to `Accept` or `Reject`.
"""

from dataclasses import dataclass, field


class Mismatch(Exception):
    """A vector that does not hold."""


def equal(actual, expected, what):
    """Demands that two values are the same."""
    if actual != expected:
        shown = [it.hex() if isinstance(it, bytes) else repr(it) for it in (actual, expected)]
        raise Mismatch(f"{what}: {shown[0]} instead of {shown[1]}")


def demand(holds, what):
    """Demands that something holds."""
    if not holds:
        raise Mismatch(what)


def raw(case, name):
    """The bytes of a field."""
    return bytes.fromhex(case[name])


@dataclass(frozen=True)
class Accept:
    """A file of vectors that hold: `check` raises if one does not.

    The self-test bends every field of every case and demands that `check` notices, except for the fields named in `prose`.
    """

    check: callable
    prose: frozenset = field(default_factory=frozenset)


@dataclass(frozen=True)
class Reject:
    """A file of vectors that a reader must refuse: `check` raises if one is taken.

    The self-test gives `check` the sound cases of the file `sound`, and demands that it objects to each.
    """

    check: callable
    sound: str
