"""Encoding symbols by RFC 6330, written from its section 5 for blocks of one sub-block, without any shortcut: the whole
system of equations is solved by elimination. The tables are those that two other implementations carry (the crate
`raptorq` and cpp-raptorq).
"""

import functools

from check.rfc6330_tables import PARAMETERS, RANDOM

# Section 5.3.5.2: the degree is the number of the last bound that is not above the random number.
BOUNDS = """0 5243 529531 704294 791675 844104 879057 904023 922747 937311 948962 958494 966438 973160 978921 983914 988283
992138 995565 998631 1001391 1003887 1006157 1008229 1010129 1011876 1013490 1014983 1016370 1017662 1048576"""
BOUNDS = [int(bound) for bound in BOUNDS.split()]


def powers():
    """The powers of 2 in the field of 256 elements, modulo x^8 + x^4 + x^3 + x^2 + 1 (section 5.7.3), twice over."""
    listed, value = [], 1
    for _ in range(255):
        listed.append(value)
        value = value << 1 ^ (0x11D if value & 0x80 else 0)
    return listed * 2


POWERS = powers()
LOGARITHMS = {value: place for place, value in enumerate(POWERS[:255])}


def product(a, b):
    """A product in the field."""
    return POWERS[LOGARITHMS[a] + LOGARITHMS[b]] if a and b else 0


# For each factor what becomes of each byte.
TIMES = [bytes(product(factor, byte) for byte in range(256)) for factor in range(256)]


def random(y, i, m):
    """Section 5.3.5.1."""
    mixed = 0
    for place, table in enumerate(RANDOM):
        mixed ^= table[((y >> 8 * place) + i) & 0xFF]
    return mixed % m


def is_prime(number):
    """Whether a small number is prime."""
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


class Code:
    """The equations for a block of `k` source symbols."""

    def __init__(self, k):
        self.k = k
        self.padded, self.index, self.s, self.h, self.w = next(row for row in PARAMETERS if row[0] >= k)
        self.length = self.padded + self.s + self.h
        self.p = self.length - self.w
        self.p1 = next(number for number in range(self.p, 2 * self.p + 2) if is_prime(number))
        self.b = self.w - self.s

    def tuple(self, x):
        """Section 5.3.5.4."""
        y = (10_267 * (self.index + 1) + x * ((53_591 + self.index * 997) | 1)) % 2**32
        v = random(y, 0, 1 << 20)
        degree = next(d for d in range(1, 31) if v < BOUNDS[d])
        d = min(degree, self.w - 2)
        d1 = 2 + random(x, 3, 2) if d < 4 else 2
        first = (d, 1 + random(y, 1, self.w - 1), random(y, 2, self.w))
        return first, (d1, 1 + random(x, 4, self.p1 - 1), random(x, 5, self.p1))

    def neighbours(self, x):
        """The intermediate symbols whose sum is the encoding symbol `x` (section 5.3.5.3)."""
        (d, a, b), (d1, a1, b1) = self.tuple(x)
        found = [(b + step * a) % self.w for step in range(d)]
        while len(found) < d + d1:
            if b1 < self.p:
                found.append(self.w + b1)
            b1 = (b1 + a1) % self.p1
        return found

    def low(self):
        """The coefficients of the low-density equations (section 5.3.3.3)."""
        low = [[0] * self.length for _ in range(self.s)]
        for i in range(self.b):
            a = 1 + i // self.s
            for step in range(3):
                low[(i + step * a) % self.s][i] ^= 1
        for i in range(self.s):
            low[i][self.b + i] ^= 1
            low[i][self.w + i % self.p] ^= 1
            low[i][self.w + (i + 1) % self.p] ^= 1
        return low

    def dense(self):
        """The high-density equations: a sparse matrix times a triangle of powers, from the right to the left."""
        width = self.padded + self.s
        rows = [[0] * self.length for _ in range(self.h)]
        for i, row in enumerate(rows):
            value = 0
            for j in reversed(range(width)):
                if j == width - 1:
                    entry = POWERS[i]
                else:
                    one = random(j + 1, 6, self.h)
                    other = (one + random(j + 1, 7, self.h - 1) + 1) % self.h
                    entry = int(i in (one, other))
                value = product(value, 2) ^ entry
                row[j] = value
            row[width + i] = 1
        return rows


def combined(row, other, factor):
    """`row` plus `factor` times `other`."""
    other = other if factor == 1 else other.translate(TIMES[factor])
    return (int.from_bytes(row, "big") ^ int.from_bytes(other, "big")).to_bytes(len(row), "big")


def solve(rows, length):
    """The right-hand sides that make the first `length` columns the identity: a triangle, then from its end to its begin."""
    for column in range(length):
        # Of the rows that could be next the emptiest, which fills the others least.
        able = (place for place in range(column, len(rows)) if rows[place][column])
        pivot = max(able, key=lambda place: rows[place].count(0, column, length))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        inverse = POWERS[255 - LOGARITHMS[rows[column][column]]]
        own = rows[column] = rows[column].translate(TIMES[inverse])
        for place in range(column + 1, len(rows)):
            if rows[place][column]:
                rows[place] = combined(rows[place], own, rows[place][column])
    values = [row[length:] for row in rows[:length]]
    for column in reversed(range(length)):
        for place in range(column):
            if rows[place][column]:
                values[place] = combined(values[place], values[column], rows[place][column])
    return values


def intermediate_of(code, encoded, size):
    """The intermediate symbols that give these encoding symbols (section 5.3.3.4), and zeros where K is filled up."""
    zeros = bytes(size)
    rows = [bytes(row) + zeros for row in code.low()]
    for x, symbol in [*encoded, *((x, zeros) for x in range(code.k, code.padded))]:
        row = bytearray(code.length)
        for place in code.neighbours(x):
            row[place] ^= 1
        rows.append(bytes(row) + symbol)
    # Those whose coefficients are not bits come last, so that they are seldom added to others.
    rows += [bytes(row) + zeros for row in code.dense()]
    return solve(rows, code.length)


@functools.lru_cache
def intermediate(code, source):
    """The intermediate symbols of the source symbols."""
    return intermediate_of(code, list(enumerate(source)), len(source[0]))


@functools.lru_cache
def code_of(k):
    """The code of blocks of `k` symbols."""
    return Code(k)


def internal(code, esi):
    """The internal symbol id of an encoding symbol id (section 5.3.1)."""
    return esi if esi < code.k else esi + code.padded - code.k


def encoding(code, symbols, x):
    """The encoding symbol `x` of intermediate symbols (section 5.3.5.3)."""
    total = bytes(len(symbols[0]))
    for place in code.neighbours(x):
        total = combined(total, symbols[place], 1)
    return total


def symbol(source, esi):
    """The encoding symbol `esi` of a block (section 5.3.2)."""
    code = code_of(len(source))
    return encoding(code, intermediate(code, source), internal(code, esi))


def source_of(k, received):
    """The source symbols of a block from the symbols by their ids, or none if these do not suffice (section 5.4)."""
    code = code_of(k)
    encoded = [(internal(code, esi), symbol) for esi, symbol in received.items()]
    try:
        symbols = intermediate_of(code, encoded, len(encoded[0][1]))
    except ValueError:  # no row is left for a column
        return None
    return [encoding(code, symbols, esi) for esi in range(k)]
