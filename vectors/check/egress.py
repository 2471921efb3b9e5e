"""Egress: whether a URL, its host and what the host resolves to may be reached (docs/spec/egress.md)."""

import ipaddress
import re

from check.runner import Accept, equal

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
LOCAL = "localhost localdomain local internal intranet lan home.arpa onion test invalid example alt".split()
MAX_URL, MAX_ANSWERS = 16 * 1024, 8
V4 = """0.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16
192.0.0.0/24 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 192.31.196.0/24 192.175.48.0/24 192.52.193.0/24 192.88.99.0/24
198.18.0.0/15 224.0.0.0/4 240.0.0.0/4"""
V6 = "2001::/23 2001:db8::/32 3fff::/20 2002::/16 2620:4f:8000::/48 3ffe::/16"
REFUSED = {
    4: [ipaddress.ip_network(block) for block in V4.split()],
    6: [ipaddress.ip_network(block) for block in V6.split()],
}
UNICAST = ipaddress.ip_network("2000::/3")
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
UNRESERVED = r"A-Za-z0-9\-._~"
SUB_DELIMS = r"!$&'()*+,;="
PATH = re.compile(rf"(?:[{UNRESERVED}{SUB_DELIMS}:@/]|%[0-9A-Fa-f]{{2}})*")
QUERY = re.compile(rf"(?:[{UNRESERVED}{SUB_DELIMS}:@/?\[\]]|%[0-9A-Fa-f]{{2}})*")
AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]+))?")


class Denied(Exception):
    """A rule that refuses."""


def need(holds, what):
    """Refuses unless something holds."""
    if not holds:
        raise Denied(what)


def is_public(address):
    """Whether an address is global unicast, and carries no other."""
    if any(address in block for block in REFUSED[address.version]):
        return False
    if address.version == 4:
        return True
    # ISATAP: an interface identifier that carries an IPv4 address.
    isatap = (int(address) >> 32) & 0xFFFFFFFF in (0x00005EFE, 0x02005EFE)
    return address in UNICAST and not isatap


def path_of(path):
    """Checks a path."""
    need(PATH.fullmatch(path), "path")
    need(not re.search(r"%(2f|5c|[01][0-9a-f]|7f)", path, re.IGNORECASE), "an encoded separator or control character")
    segments = path.split("/")[1:]
    for place, segment in enumerate(segments):
        need(segment or place == len(segments) - 1, "an empty segment")
        plain = re.sub("%2e", ".", segment, flags=re.IGNORECASE).split(";")[0]
        need(plain not in (".", ".."), "a dot segment")


def host_of(text):
    """An address, or a name in lower case without a final dot."""
    if text.startswith("["):
        try:
            return ipaddress.IPv6Address(text[1:-1])
        except ValueError as error:
            raise Denied("no address") from error
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    need(len(name) <= 253 and all(LABEL.fullmatch(label) for label in labels), "no name")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        need(re.fullmatch(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}", name), "a number")
        need(not text.endswith("."), "an address with a final dot")
        try:
            return ipaddress.IPv4Address(name)
        except ValueError as error:
            raise Denied("no address") from error
    return name


def split(url):
    """The scheme, host and port of a URL that is canonical or can be made so."""
    need(len(url.encode()) <= MAX_URL, "too long")
    found = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?", url)
    need(found, "no URL")
    scheme, authority, path, query = found.groups()
    need(scheme.lower() in ("http", "https"), "scheme")
    place = AUTHORITY.fullmatch(authority)
    need(place, "authority")
    port = place[2]
    need(port is None or (re.fullmatch("[1-9][0-9]{0,4}", port) and int(port) < 65_536), "port")
    path_of(path)
    need(QUERY.fullmatch(query or ""), "query")
    default = {"http": 80, "https": 443}[scheme.lower()]
    return scheme.lower(), host_of(place[1]), int(port or default), default


def is_declared(host, patterns):
    """Whether a host is one of the declared ones."""
    if patterns is None or "*" in patterns:
        return True
    return any(str(host).endswith(it[1:]) if it.startswith("*.") else str(host) == it for it in patterns)


def reach(case, url):
    """Decides one URL, by the first answer of the resolver."""
    scheme, host, port, default = split(url)
    addresses = [host]
    if isinstance(host, str):
        local = "." not in host or any(host == it or host.endswith("." + it) for it in LOCAL)
        need(not local, "a local name")
        answers = case.get("dns", {}).get(host, [["93.184.216.34"]])
        addresses = [ipaddress.ip_address(it) for it in answers[0]]
    need(is_declared(host, case.get("allowed_hosts")), "not declared")
    need(0 < len(set(addresses)) <= MAX_ANSWERS, "answers")
    need(all(map(is_public, addresses)), "not public")
    return scheme, host, port, default


def ask(case):
    """Decides a case with what follows from it."""
    url = case["url"]
    if "raw" in case:
        method, url, _ = case["raw"]["request_line"].split(" ")
        need(method in METHODS, "method")
        scheme, host, port, _ = split(url)
        need(split(f"{scheme}://{case['raw']['host']}/")[1:3] == (host, port), "another Host")
    scheme, _, _, _ = reach(case, url)
    if "redirect" in case:
        need(case["redirect"]["status"] in (301, 302, 303, 307, 308), "no redirect")
        onward = resolved(url, case["redirect"]["location"].split("#")[0])
        need(not (scheme == "https" and onward.lower().startswith("http:")), "to plain text")
        _, _, port, default = reach(case, onward)
        need(port == default, "port")


def resolved(base, location):
    """A location against the URL that gave it (RFC 3986 section 5.2), without removing dot segments: these are refused."""
    found = re.match(r"([^:/]+)://([^/?#]*)([^?#]*)", base)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location):
        return location
    if location.startswith("//"):
        return f"{found[1]}:{location}"
    if location.startswith("/"):
        return f"{found[1]}://{found[2]}{location}"
    return f"{found[1]}://{found[2]}{found[3].rpartition('/')[0]}/{location}"


def check(case):
    """The decision is the one that the case expects."""
    try:
        ask(case)
        decision = "allow"
    except Denied:
        decision = "deny"
    equal(decision, case["expect"], "decision")


# A changed URL of a refused case is refused as well, so only the decision is bent.
PROSE = frozenset({"id", "category", "reason", "url", "raw", "dns", "allowed_hosts", "redirect", "note"})
FILES = {"classes.json": Accept(check, PROSE), "sample.json": Accept(check, PROSE)}
