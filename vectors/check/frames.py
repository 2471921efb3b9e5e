"""Frames: symbols, datagrams, control frames and signed frames (docs/spec/fcps.md, docs/spec/fcpc.md)."""

import nacl.bindings
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from check import link
from check.handshake import NODE, SKEW, mac, number, prefixed, schedule
from check.keys import hkdf, sign, verify
from check.objects import zone_id_hash
from check.runner import Accept, Reject, demand, equal, raw

HEADER, RECORD, PREFIX, CONTROL, TAG = 114, 22, 40, 36, 16
MAX_FRAME, MAX_DATAGRAM, MAX_CONTENT = 2_048, 1_200, 4 * 1024 * 1024
FLAGS, ENCRYPTED, RESPONSE, ERROR, STREAMING, STREAM_END = 0x0FFF, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6


def at(data, place, size):
    """The number at a place."""
    return int.from_bytes(data[place : place + size], "little")


def seal_symbol(case, key, symbol, associated):
    """A symbol's sealed bytes."""
    nonce = raw(case, "frame_seq") + raw(symbol, "esi")
    if case["algorithm"] == "chacha20-poly1305":
        return ChaCha20Poly1305(key).encrypt(nonce, raw(symbol, "bytes"), associated)
    demand(case["algorithm"] == "xchacha20-poly1305", "algorithm")
    nonce = raw(case, "instance") + nonce + bytes(4)
    return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(raw(symbol, "bytes"), associated, nonce, key)


def check_symbols(case):
    """The frame made anew."""
    key, symbols, records = sender_key(case), case["symbols"], b""
    size = len(raw(symbols[0], "bytes"))
    for symbol in symbols:
        demand(len(raw(symbol, "bytes")) == size, "size")
        named = raw(symbol, "esi") + raw(symbol, "k")
        zone = raw(case, "zone_id_hash") + raw(case, "zone_key_id") + raw(case, "epoch")
        records += named + seal_symbol(case, key, symbol, raw(case, "object_id") + named + zone)
    header = b"FCPS" + number(1, 2) + raw(case, "flags") + number(len(symbols), 4) + number(len(records), 4)
    header += raw(case, "object_id") + number(size, 2) + raw(case, "zone_key_id") + raw(case, "zone_id_hash")
    header += raw(case, "epoch") + raw(case, "instance") + raw(case, "frame_seq")
    equal(header + records, raw(case, "frame"), "frame")


def sender_key(case):
    """The key of one start of one node."""
    info = b"FCP2-SENDER-KEY-V1" + prefixed(case["node"].encode()) + raw(case, "instance")
    return hkdf(raw(case, "zone_key_id"), raw(case, "zone_key"), info, 32)


def open_symbol(case, frame, record):
    """A symbol's number, K and bytes, or that it is not authentic."""
    nonce, covered = frame[106:114] + record[:4], frame[16:48] + record[:6] + frame[58:90] + frame[50:58] + frame[90:98]
    try:
        if case["algorithm"] == "chacha20-poly1305":
            opened = ChaCha20Poly1305(sender_key(case)).decrypt(nonce, record[6:], covered)
        else:
            demand(case["algorithm"] == "xchacha20-poly1305", "algorithm")
            nonce = frame[98:106] + nonce + bytes(4)
            opened = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(record[6:], covered, nonce, sender_key(case))
    except (InvalidTag, nacl.exceptions.CryptoError):
        return {"error": "DecryptFailed"}
    return {"esi": record[:4].hex(), "k": record[4:6].hex(), "bytes": opened.hex()}


def open_symbols(case):
    """What is wrong with a frame as one of the case's encoding set, or its symbols."""
    frame, zone = raw(case, "frame"), zone_id_hash(case["zone"])
    equal(symbols_fault(frame), None, "a rule that the frame breaks")
    if not at(frame, 6, 2) & ENCRYPTED:
        return "NotSealed", []
    if frame[50:90] != raw(case, "zone_key_id") + raw(case, "zone_id_hash") or frame[98:106] != raw(case, "instance"):
        return "OtherKey", []
    if frame[16:48] != raw(case, "object_id") or frame[50:90] != raw(case, "set_zone_key_id") + zone:
        return "OtherEncoding", []
    size = RECORD + at(frame, 48, 2)
    return None, [open_symbol(case, frame, frame[it : it + size]) for it in range(HEADER, len(frame), size)]


def check_opening(case):
    """The symbols of a frame; those that are not authentic are left out, those behind them are not."""
    equal(open_symbols(case), (None, case["symbols"]), "symbols")


def opening_fault(case):
    """Why a frame gives no symbol."""
    fault, symbols = open_symbols(case)
    return fault or (None if any("bytes" in it for it in symbols) else "DecryptFailed")


def symbols_fault(frame):
    """The first rule that a frame of symbols breaks."""
    if len(frame) > MAX_FRAME:
        return "ExceedsMtu"
    if len(frame) < HEADER:
        return "TooShort"
    flags, count, claimed, size = at(frame, 6, 2), at(frame, 8, 4), at(frame, 12, 4), at(frame, 48, 2)
    if frame[:4] != b"FCPS":
        return "InvalidMagic"
    if at(frame, 4, 2) != 1:
        return "UnsupportedVersion"
    wrong_pair = flags & ERROR and flags & RESPONSE or flags & STREAM_END and not flags & STREAMING
    if flags & ~FLAGS or wrong_pair:
        return "InvalidFlags"
    if size == 0:
        return "InvalidSymbolSize"
    if count * (RECORD + size) >= 1 << 32:
        return "SymbolCountOverflow"
    if claimed != count * (RECORD + size):
        return "LengthMismatch"
    return None if len(frame) == HEADER + claimed else "FrameSizeMismatch"


def keys_of(case):
    """The key that authenticates the direction's datagrams, and the one that seals control frames."""
    direction, keys = raw(case, "direction")[0], schedule(case)
    demand(direction in (0, 1), "direction")
    return keys[32 * direction : 32 * direction + 32], keys[64:96]


def datagram_mac(case, seq, frame):
    """The MAC of a datagram."""
    message = raw(case, "session_id") + raw(case, "direction") + seq + frame
    return mac(raw(case, "suite")[0], keys_of(case)[0], message)


def check_datagram(case):
    """The first datagram of a session, made anew."""
    seq, frame = number(1, 8), raw(case, "frame")
    equal(raw(case, "session_id") + seq + datagram_mac(case, seq, frame) + frame, raw(case, "datagram"), "datagram")


def datagram_fault(case):
    """The first rule that a datagram breaks."""
    datagram = raw(case, "datagram")
    if len(datagram) < PREFIX:
        return "TooShort"
    if len(datagram) > MAX_DATAGRAM:
        return "TooLarge"
    if datagram[:16] != raw(case, "session_id"):
        return "OtherSession"
    if at(datagram, 16, 8) == 0:
        return "ReplayRejected"
    expected = datagram_mac(case, datagram[16:24], datagram[PREFIX:])
    return None if datagram[24:PREFIX] == expected else "NotAuthentic"


def check_control(case):
    """The first control frame of a session, made anew."""
    demand(raw(case, "suite") in (b"\x01", b"\x02"), "suite")
    content, session, seq, flags = raw(case, "content"), raw(case, "session_id"), number(1, 8), number(1, 2)
    header = b"FCPC" + number(1, 2) + session + seq + flags + number(len(content), 4)
    nonce = raw(case, "direction") + bytes(3) + seq
    sealed = ChaCha20Poly1305(keys_of(case)[1]).encrypt(nonce, content, session + seq + flags)
    equal(header + sealed, raw(case, "frame"), "frame")


def control_fault(case):
    """The first rule that a control frame breaks."""
    frame = raw(case, "frame")
    if len(frame) < CONTROL + TAG:
        return "TooShort"
    if frame[:4] != b"FCPC":
        return "InvalidMagic"
    if at(frame, 4, 2) != 1:
        return "UnsupportedVersion"
    if at(frame, 30, 2) != 1:
        return "InvalidFlags"
    if at(frame, 32, 4) > MAX_CONTENT:
        return "PayloadTooLarge"
    if at(frame, 32, 4) != len(frame) - CONTROL - TAG:
        return "LengthMismatch"
    if frame[6:22] != raw(case, "session_id"):
        return "OtherSession"
    if at(frame, 22, 8) == 0:
        return "ReplayRejected"
    nonce = raw(case, "direction") + bytes(3) + frame[22:30]
    try:
        ChaCha20Poly1305(keys_of(case)[1]).decrypt(nonce, frame[CONTROL:], frame[6:32])
    except InvalidTag:
        return "NotAuthentic"
    return None


def signed_bytes(source, time, frame):
    """What the signature of a frame is over."""
    return b"FCP2-FRAME-SIG-V1" + prefixed(source) + time + prefixed(frame)


def check_signed(case):
    """The signed frame made anew."""
    source, time, frame = case["node"].encode(), raw(case, "timestamp"), raw(case, "frame")
    signature = sign(raw(case, "seed"), signed_bytes(source, time, frame))
    equal(number(len(source), 2) + source + time + signature + frame, raw(case, "signed"), "signed frame")


def signed_fault(case):
    """The first rule that a signed frame breaks."""
    signed = raw(case, "signed")
    if len(signed) < 74:
        return "TooShort"
    length = at(signed, 0, 2)
    if length == 0:
        return "SourceIdEmpty"
    if length > 128:
        return "InvalidSourceIdLength"
    if len(signed) < 74 + length:
        return "TooShort"
    source, rest = signed[2 : 2 + length], signed[2 + length :]
    try:
        if not NODE.fullmatch(source.decode()):
            return "InvalidSourceId"
    except UnicodeDecodeError:
        return "InvalidUtf8"
    if abs(at(rest, 0, 8) - at(raw(case, "now"), 0, 8)) > SKEW:
        return "TimestampSkew"
    holds = verify(raw(case, "key"), signed_bytes(source, rest[:8], rest[72:]), rest[8:72])
    return None if holds else "InvalidSignature"


def rejects(fault):
    """A check that demands the fault whose name the case gives; its numbers are not compared."""

    def check(case):
        equal(fault(case), case["error"].split(" ")[0].split("(")[0], "reason")

    return check


FILES = link.FILES | {
    "datagram.json": Accept(check_datagram),
    "datagram_reject.json": Reject(rejects(datagram_fault), sound="datagram.json"),
    "fcpc.json": Accept(check_control),
    "fcpc_reject.json": Reject(rejects(control_fault), sound="fcpc.json"),
    "fcps.json": Accept(check_symbols),
    "fcps_opening.json": Accept(check_opening),
    "fcps_opening_reject.json": Reject(rejects(opening_fault), sound="fcps_opening.json"),
    "fcps_reject.json": Reject(rejects(lambda case: symbols_fault(raw(case, "frame"))), sound="fcps.json"),
    "signed.json": Accept(check_signed),
    "signed_reject.json": Reject(rejects(signed_fault), sound="signed.json"),
}
