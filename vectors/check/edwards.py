"""The group of Ed25519 on plain integers, and what FROST(Ed25519, SHA-512) of RFC 9591 hashes into it."""

import functools
import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
# Points are in extended coordinates (RFC 8032 section 5.1.4): x = X/Z, y = Y/Z, xy = T/Z.
NEUTRAL = (0, 1, 1, 0)
CONTEXT = b"FROST-ED25519-SHA512-v1"


def add(p, q):
    """A sum of two points."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(point, scalar):
    """A point times a scalar."""
    product = NEUTRAL
    while scalar:
        product = add(product, point) if scalar & 1 else product
        point = add(point, point)
        scalar >>= 1
    return product


@functools.lru_cache(4096)
def decode(encoded):
    """The point, or None if there is none or it is not one of the prime-order group, or is neutral."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    if y >= P or x * x % P != square or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else P - x
    point = (x, y, 1, x * y % P)
    is_neutral = encode(point) == encode(NEUTRAL)
    return point if not is_neutral and encode(multiply(point, L)) == encode(NEUTRAL) else None


def encode(point):
    """32 bytes."""
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


@functools.lru_cache(1)
def doubled():
    """The base point and what comes of doubling it, again and again."""
    points = [BASE]
    for _ in range(255):
        points.append(add(points[-1], points[-1]))
    return points


def based(scalar):
    """The base point times a scalar."""
    product = NEUTRAL
    for bit, point in enumerate(doubled()):
        product = add(product, point) if scalar >> bit & 1 else product
    return product


def number(encoded):
    """A scalar from 32 bytes."""
    return int.from_bytes(encoded, "little")


def digest(*parts):
    """A scalar from a hash."""
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L


def scalar(value):
    """32 bytes."""
    return (value % L).to_bytes(32, "little")
