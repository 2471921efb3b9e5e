"""Sessions between nodes (docs/spec/mesh-sessions.md): what is made and what is refused."""

from check import exchange
from check.canonical import Refused
from check.handshake import (
    SKEW,
    cookie_of,
    next_keys,
    read,
    schedule,
    signed_ack,
    signed_hello,
    signed_rekey,
    signed_request,
)
from check.keys import verify
from check.runner import Accept, Mismatch, Reject, demand, equal, raw


def check_keys(case, keys, chain):
    """Compares 32 bytes each."""
    for place, name in enumerate(("mac_i2r", "mac_r2i", "context", chain)):
        equal(keys[32 * place : 32 * place + 32], raw(case, name), name)


def check_schedule(case):
    demand(raw(case, "suite") in (b"\x01", b"\x02"), "suite")
    check_keys(case, schedule(case), "chain")


def check_handshake(case):
    hello, ack = read("hello", raw(case, "hello")), read("ack", raw(case, "ack"))
    cookie = cookie_of(raw(case, "cookie_key"), hello)
    equal(cookie, raw(case, "cookie"), "cookie")
    demand(hello.get("cookie", cookie) == cookie, "the hello's cookie")
    demand((hello["from"], hello["to"]) == (ack["to"], ack["from"]), "parties")
    demand(ack["suite"] in hello["suites"], "the suite was not offered")
    now = int.from_bytes(raw(case, "now"), "little")
    demand(all(abs(it["timestamp"] - now) <= SKEW for it in (hello, ack)), "time")
    demand(verify(raw(case, "initiator_key"), signed_hello(hello), hello["signature"]), "the hello's signature")
    demand(verify(raw(case, "responder_key"), signed_ack(ack, hello), ack["signature"]), "the ack's signature")


def check_rekey(case):
    request, ack = read("rekey_request", raw(case, "request")), read("rekey_ack", raw(case, "ack"))
    for name in ("session_id", "generation"):
        demand(request[name] == ack[name], name)
    demand((request["from"], request["to"]) == (ack["to"], ack["from"]), "parties")
    demand(verify(raw(case, "requester_key"), signed_request(request), request["signature"]), "the request's signature")
    demand(verify(raw(case, "answerer_key"), signed_rekey(ack, request), ack["signature"]), "the ack's signature")
    check_keys(case, next_keys(case, ack, request, raw(case, "shared")), "next_chain")


def reject_message(case):
    """A sound case has its message under the name of its kind."""
    message = raw(case, case["kind"] if case["kind"] in case else "message")
    try:
        read(case["kind"], message)
    except Refused:
        return
    raise Mismatch("it is accepted")


FILES = exchange.FILES | {
    "handshake.json": Accept(check_handshake),
    "key_schedule.json": Accept(check_schedule),
    "messages_reject.json": Reject(reject_message, sound="handshake.json"),
    "rekey.json": Accept(check_rekey),
}
