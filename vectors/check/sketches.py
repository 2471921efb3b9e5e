"""Rateless sketches (docs/spec/sketches.md)."""

from math import isqrt

from blake3 import blake3

from check.runner import Accept, equal, raw

MASK = (1 << 64) - 1
CHECK, WALK, STEP = 0x636865636B207631, 0x77616C6B20207631, 0x9E3779B97F4A7C15


def mix(z):
    """The finalizer that checks and walks use."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def key_of(salt, name):
    """The key of a name."""
    return int.from_bytes(blake3(b"FCP2-SKETCH-KEY-V1" + name, key=salt).digest()[:8], "little")


def walk(key, end):
    """The cells below `end` that a key belongs to."""
    state, cell = key ^ WALK, 0
    while cell < end:
        yield cell
        state = (state + STEP) & MASK
        root = max(1, isqrt(mix(state)))
        cell += max(1, -(-(2 * cell + 3) * ((1 << 32) - root) // (2 * root)))


def sketch(salt, names, count):
    """The first cells of a set."""
    cells = [[0, 0, 0] for _ in range(count)]
    for name in names:
        key = key_of(salt, name)
        for cell in walk(key, count):
            cells[cell][0] ^= key
            cells[cell][1] ^= mix(key ^ CHECK) >> 40
            cells[cell][2] = (cells[cell][2] + 1) % 256
    return b"".join(k.to_bytes(8, "little") + c.to_bytes(3, "little") + bytes([n]) for k, c, n in cells)


def check_sketch(case):
    """The cells made anew."""
    names = [bytes.fromhex(name) for name in case["names"]]
    cells = raw(case, "cells")
    equal(sketch(raw(case, "salt"), names, len(cells) // 12), cells, "cells")


FILES = {"cells.json": Accept(check_sketch)}
