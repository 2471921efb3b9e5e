"""What messages about symbols are signed over (docs/spec/symbols.md)."""

REASONS = ("complete", "cancelled", "duplicate", "budget_exceeded")


def number(value, size):
    """A number in `size` bytes."""
    return value.to_bytes(size, "little")


def prefixed(text):
    """A text behind its length."""
    return number(len(text.encode()), 4) + text.encode()


def hint(fields):
    """The hint of missing symbols; none counts zero."""
    symbols = fields.get("missing_hint", [])
    return number(len(symbols), 4) + b"".join(number(it, 4) for it in symbols)


def encoding(domain, fields):
    """The object, its zone and zone key."""
    names = fields["object_id"] + prefixed(fields["zone_id"]) + fields["zone_key_id"]
    return domain + names + number(fields["epoch_id"], 8)


def receiver(fields):
    """The node that receives the symbols, and its number."""
    return prefixed(fields["recipient_node_id"]) + number(fields["request_nonce"], 8)


def request(fields):
    counts = number(fields["max_symbols"], 4) + number(fields["current_symbols"], 4)
    return encoding(b"FCP2-SYMBOL-REQ-V1", fields) + counts + hint(fields)


def decode_status(fields):
    counts = number(fields["received_unique"], 4) + number(fields["needed"], 4) + number(fields["complete"], 1)
    return encoding(b"FCP2-DECODE-STATUS-V2", fields) + receiver(fields) + counts + hint(fields)


def ack(fields):
    end = number(REASONS.index(fields["reason"]), 1) + number(fields["final_symbol_count"], 4)
    return encoding(b"FCP2-SYMBOL-ACK-V2", fields) + receiver(fields) + end


def of(name, fields):
    """The transcript of a message of a schema."""
    return {"Request": request, "DecodeStatus": decode_status, "Ack": ack}[name](fields)
