"""Rateless sketches, estimators and filters (docs/spec/sketches.md)."""

from math import isqrt

from blake3 import blake3

from check.runner import Accept, Reject, demand, equal, raw

MASK = (1 << 64) - 1
CHECK, WALK, STEP = 0x636865636B207631, 0x77616C6B20207631, 0x9E3779B97F4A7C15
SIGN = 0x7369676E20207631
LONGER_FROM = (3, 9, 28, 91, 304, 1010, 3362, 11196, 37280)


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


def symbol_key_of(salt, name):
    """The key of a symbol."""
    return int.from_bytes(blake3(b"FCP2-SKETCH-SYMBOL-V1" + name, key=salt).digest()[:8], "little")


def estimator(keys):
    """The counters of a set."""
    counters = [0] * 256
    for key in keys:
        for word in range(4):
            signs = mix(key ^ ((SIGN + word) & MASK))
            for bit in range(64):
                counters[64 * word + bit] += 1 if signs >> bit & 1 else -1
    return b"".join((it % 65536).to_bytes(2, "little") for it in counters)


def difference(one, other):
    """What two sets are estimated to differ in."""
    pairs = zip(*([int.from_bytes(it[at : at + 2], "little") for at in range(0, 512, 2)] for it in (one, other)))
    apart = [(a - b + 32768) % 65536 - 32768 for a, b in pairs]
    return -(-sum(it * it for it in apart) // 256)


def places_of(h, e, s):
    """The three places of a hash."""
    length = 1 << e
    a = (h * s * length) >> 64
    return [a, (a + length) ^ (h >> 18 & (length - 1)), (a + 2 * length) ^ (h & (length - 1))]


def fingerprint(h):
    """The byte that the places of a hash sum up to."""
    return (h ^ (h >> 32)) & 255


def fuse(keys, seed):
    """The filter of some keys, or nothing if the seed is not good for them."""
    n = len(keys)
    e = 2 + sum(n >= it for it in LONGER_FROM)
    c = max(7 * n // 8 + 4983 * n // (1000 * max(1, n.bit_length() - 1)), -(-9 * n // 8))
    s = max(1, -(-c >> e) - 2)
    places = [[] for _ in range((s + 2) << e)]
    for h in (mix((key + seed) & MASK) for key in keys):
        for place in places_of(h, e, s):
            places[place].append(h)
    waiting = [at for at, there in enumerate(places) if len(there) == 1]
    order = []
    while waiting:
        at = waiting.pop()
        if len(places[at]) != 1:
            continue
        h = places[at][0]
        order.append((h, at))
        for place in places_of(h, e, s):
            places[place].remove(h)
            if len(places[place]) == 1:
                waiting.append(place)
    if len(order) != n:
        return None
    bytes_ = bytearray(len(places))
    for h, at in reversed(order):
        a, b, c = (bytes_[place] for place in places_of(h, e, s))
        bytes_[at] = fingerprint(h) ^ a ^ b ^ c
    return seed.to_bytes(8, "little") + bytes([e]) + s.to_bytes(4, "little") + bytes(bytes_)


def read_filter(data):
    """The parts of a filter, or nothing if its length is not what its header says."""
    seed, e, s = int.from_bytes(data[:8], "little"), data[8:9], int.from_bytes(data[9:13], "little")
    sound = len(data) > 13 and e[0] <= 18 and s > 0 and len(data) - 13 == (s + 2) << e[0]
    return (seed, e[0], s, data[13:]) if sound else None


def contains(data, key):
    """Whether a filter says that a key may be in its set."""
    seed, e, s, prints = read_filter(data)
    h = mix((key + seed) & MASK)
    a, b, c = (prints[place] for place in places_of(h, e, s))
    return a ^ b ^ c == fingerprint(h)


def check_estimator(case):
    """The counters of two sets made anew, and what they say."""
    salt = raw(case, "salt")
    sets = [[key_of(salt, bytes.fromhex(name)) for name in case[which]] for which in ("one", "other")]
    one, other = (estimator(keys) for keys in sets)
    equal(one, raw(case, "estimator"), "estimator")
    equal(other, raw(case, "other_estimator"), "the other's estimator")
    equal(difference(one, other), case["difference"], "difference")


def keys_of(case):
    """The keys of the names or the symbols of a case."""
    fold = {"objects": key_of, "symbols": symbol_key_of}[case["kind"]]
    return [fold(raw(case, "salt"), bytes.fromhex(name)) for name in case["names"]]


def check_filter(case):
    """The filter made anew, which knows all of its names."""
    keys, data = keys_of(case), raw(case, "filter")
    equal(fuse(keys, int.from_bytes(data[:8], "little")), data, "filter")
    demand(all(contains(data, key) for key in keys), "a name is missing")


def reject_filter(case):
    """Bytes that are no filter."""
    demand(read_filter(raw(case, "filter")) is None, "it is taken")


FILES = {
    "cells.json": Accept(check_sketch),
    "estimators.json": Accept(check_estimator),
    "filters.json": Accept(check_filter),
    "filters_reject.json": Reject(reject_filter, sound="filters.json"),
}
