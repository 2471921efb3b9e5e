"""Objects rebuilt from the symbols of frames (docs/spec/symbols.md#decoding)."""

from check import rfc6330
from check.canonical import decode
from check.cutting import partition, transmission_fault
from check.frames import open_symbols
from check.kinds import fault
from check.objects import object_id
from check.runner import Accept, Reject, equal, raw

SPARE, IDS = 16, 1 << 24


class Decoder:
    """What came of one object, block by block."""

    def __init__(self, information):
        self.length, self.size = int.from_bytes(information[:5], "big"), int.from_bytes(information[6:8], "big")
        self.blocks = partition(-(-self.length // self.size), information[8])
        self.received = [{} for _ in self.blocks]
        self.solved = [None for _ in self.blocks]

    def add(self, symbol):
        """Takes a symbol, or names the first rule that it breaks."""
        number, data = int.from_bytes(bytes.fromhex(symbol["esi"]), "little"), bytes.fromhex(symbol["bytes"])
        block, esi = divmod(number, IDS)
        if block >= len(self.blocks):
            return "NoSuchBlock"
        k, received = self.blocks[block], self.received[block]
        if int.from_bytes(bytes.fromhex(symbol["k"]), "little") != k:
            return "WrongSourceSymbols"
        if len(data) != self.size:
            return "WrongSymbolSize"
        if esi in received:
            return "Duplicate"
        if self.solved[block] or len(received) >= k + SPARE:
            return "Surplus"
        received[esi] = data
        if len(received) >= k:
            self.solved[block] = rfc6330.source_of(k, received)
        return "taken"

    def finish(self, case):
        """The object, or why there is none."""
        if None in self.solved:
            return None, "Incomplete"
        data = b"".join(symbol for block in self.solved for symbol in block)[: self.length]
        if fault(data):
            return None, "Malformed"
        item = decode(data)
        right = object_id(raw(case, "object_id_key"), item["header"], item["body"]) == raw(case, "object_id")
        return (data, None) if right and item["header"]["zone_id"] == case["zone"] else (None, "WrongObject")


def rebuild(case):
    """What is said to each symbol, and the object or why there is none."""
    equal(transmission_fault({"bytes": case["information"]}), None, "transmission information")
    decoder, answers = Decoder(raw(case, "information")), []
    for frame in case["frames"]:
        fault, symbols = open_symbols({**case, "frame": frame})
        equal(fault, None, "frame")
        answers += [it.get("error") or decoder.add(it) for it in symbols]
    equal(answers, case["answers"], "answers")
    return decoder.finish(case)


def check_decoding(case):
    """An object is rebuilt."""
    equal(rebuild(case), (raw(case, "object"), None), "object")


def reject_decoding(case):
    """No object comes of the symbols."""
    equal(rebuild(case)[1], case["error"], "reason")


FILES = {
    "decoding.json": Accept(check_decoding),
    "decoding_reject.json": Reject(reject_decoding, sound="decoding.json"),
}
