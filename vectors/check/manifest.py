"""Connector manifests: the interface hash (docs/spec/manifest.md#interface-hash), from the TOML text."""

import re
import tomllib

from blake3 import blake3

from check.canonical import encode
from check.runner import Accept, equal, raw

OUTSIDE = ("manifest", "rate_limits", "lifecycle")
OUTSIDE_CONNECTOR = ("name", "version", "description", "publisher")
OUTSIDE_OPERATION = ("hints", "rate_pools")
TAINTS = (
    "PUBLIC_INPUT",
    "UNVERIFIED_LINK",
    "UNTRUSTED_TRANSFORM",
    "WEBHOOK_INJECTED",
    "USER_GENERATED",
    "POTENTIALLY_MALICIOUS",
    "AI_GENERATED",
    "CROSS_ZONE_UNAPPROVED",
)

NETWORK = {
    "ports": [443],
    "max_response_bytes": 10 * 1024 * 1024,
    "connect_timeout_ms": 10_000,
    "total_timeout_ms": 30_000,
    "max_redirects": 0,
    "dns_max_ips": 16,
}
RETRY = {"attempts": 3, "statuses": [429, 502, 503, 504], "base_delay_ms": 500, "max_delay_ms": 10_000}
PAGINATION = {"place": "query", "first": 0, "size": 50, "items": "", "default_items": 100, "max_pages": 10}
REQUEST = {"body_format": "json", "response": "json", "output": {}}


def completed(table, defaults=None, vanishing=()):
    """A table with its defaults, without those of its `vanishing` fields that are empty."""
    whole = {**(defaults or {}), **table}
    return {name: value for name, value in whole.items() if value or name not in vanishing}


def ordered(values, order):
    """A set as the list that stands for it."""
    return sorted(set(values), key=order)


def http(table):
    """What the requests of a connector share."""
    whole = completed(table, {"errors": {}, "retry": {}}, ("headers",))
    whole["errors"] = completed(whole["errors"], None, ("status", "codes"))
    whole["retry"] = completed(whole["retry"], RETRY)
    whole["retry"]["statuses"] = ordered(whole["retry"]["statuses"], int)
    return whole


def network(table):
    """A network table of its own."""
    whole = completed(table, NETWORK, ("methods", "paths", "spki_pins"))
    if "paths" in whole:
        whole["paths"] = [pattern(path) for path in whole["paths"]]
    return whole


def pattern(path):
    """A path pattern; what its placeholders are called does not count."""
    return re.sub(r"\{[^}]*\}", lambda it: "{rest*}" if it[0].endswith("*}") else "{segment}", path)


def request(table):
    """How an operation is performed over HTTP."""
    whole = completed(table, REQUEST, ("query", "headers"))
    whole["output"] = completed(whole["output"], None, ("fields", "beside"))
    if "pagination" in whole:
        whole["pagination"] = completed(whole["pagination"], PAGINATION)
    return whole


def path_pattern(path):
    """The paths that a request's template can have: a segment with a placeholder is free as a whole."""
    segments = []
    for segment in re.split(r"/(?![^{]*\})", path)[1:]:
        placeholder = re.search(r"\{([^}|]+)(\|segments)?", segment)
        segments.append(segment if not placeholder else "{rest*}" if placeholder[2] else "{segment}")
    return "/" + "/".join(segments)


def operation(table, shared):
    """An operation with all that it inherits."""
    whole = completed(table, {"timeout_ms": 30_000})
    if "settling" in whole:
        whole["settling"] = completed(whole["settling"], None, ("made", "none"))
    whole["input"] = completed(whole["input"], {"audience": "public"}, ("roles",))
    whole["output"] = completed(whole["output"], None, ("taints",))
    if "taints" in whole["output"]:
        whole["output"]["taints"] = ordered(whole["output"]["taints"], TAINTS.index)
    if "http" in whole:
        whole["http"] = request(whole["http"])
        if "network" not in whole and shared is not None:
            whole["network"] = shared
    if "network" in whole:
        own = {}
        if "http" in whole:
            own = {"methods": [whole["http"]["method"]], "paths": [path_pattern(whole["http"]["path"])]}
        given = network(whole["network"])
        whole["network"] = {**own, **given}
    return {name: value for name, value in whole.items() if name not in OUTSIDE_OPERATION}


def security_view(text):
    """Everything in a manifest that bears on security."""
    tables = tomllib.loads(text)
    view = {name: table for name, table in tables.items() if name not in OUTSIDE}
    connector = view["connector"]
    view["connector"] = {name: connector[name] for name in connector if name not in OUTSIDE_CONNECTOR}
    view["config"] = view.get("config", {})
    view["auth"] = {slot: completed(it, None, ("scopes",)) for slot, it in view.get("auth", {}).items()}
    if "http" in view:
        view["http"] = http(view["http"])
    if "network" in view:
        view["network"] = network(view["network"])
    view["operations"] = {
        name: operation(it, view.get("network")) for name, it in view["operations"].items()
    }
    view["sandbox"] = completed(view["sandbox"], {"processes": 1, "descriptors": 64}, ("read_only", "writable"))
    return view


def check_interface(case):
    """The hash of a manifest, and what it is taken over."""
    canonical = encode(security_view(case["manifest"]))
    equal(canonical, raw(case, "canonical"), "canonical")
    equal(blake3(b"FCP-INTERFACE-V1" + canonical).digest(), raw(case, "hash"), "hash")


FILES = {"interface.json": Accept(check_interface)}
