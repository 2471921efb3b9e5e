"""CBOR items in the JSON of the vectors: `{"bytes": "00ff"}` is a byte string, `{"entries": [[key, value], …]}` a map whose
keys are not texts, anything else itself."""


def item(value):
    """The item that a JSON value stands for."""
    if isinstance(value, list):
        return [item(it) for it in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"bytes"}:
        return bytes.fromhex(value["bytes"])
    if value.keys() == {"entries"}:
        return {item(key): item(it) for key, it in value["entries"]}
    return {name: item(it) for name, it in value.items()}
