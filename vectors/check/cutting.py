"""The numbers by which objects are cut into symbols and chunks (docs/spec/symbols.md)."""

MAX_WHOLE, MAX_OBJECT, MAX_BLOCK, MAX_BLOCKS = 1 << 20, 64 << 20, 1_032, 255


def information(length, size):
    """The twelve bytes of RFC 6330 sections 3.3.2 and 3.3.3."""
    blocks = -(-(-(-length // size)) // MAX_BLOCK)
    return length.to_bytes(5, "big") + b"\0" + size.to_bytes(2, "big") + bytes([blocks, 0, 1, 1])


def partition(symbols, blocks):
    """The source symbols of each block (RFC 6330 section 4.4.1.2)."""
    short, longer = divmod(symbols, blocks)
    return [short + 1] * longer + [short] * (blocks - longer)


def transmission_fault(case):
    """The first rule that twelve bytes break."""
    told = bytes.fromhex(case["bytes"])
    length, size = int.from_bytes(told[:5], "big"), int.from_bytes(told[6:8], "big")
    if size == 0:
        return "ZeroSymbolSize"
    if length == 0:
        return "Empty"
    if length > MAX_WHOLE:
        return "TooLong"
    blocks = -(-(-(-length // size)) // MAX_BLOCK)
    if blocks > MAX_BLOCKS:
        return "TooManyBlocks"
    if told[5] != 0:
        return "Reserved"
    if told[8] != blocks:
        return "WrongSourceBlocks"
    if told[9:11] != b"\0\1":
        return "WrongSubBlocks"
    return None if told[11] == 1 else "WrongAlignment"


def sizes_fault(total, size, chunks):
    """Whether the numbers of a manifest fit together."""
    known = any(size == 1 << it for it in range(16, 20)) and MAX_WHOLE < total <= MAX_OBJECT
    fits = known and chunks == -(-total // size)
    return None if fits else 'Invalid("a manifest whose sizes and chunks do not fit together")'
