"""The rules of each kind of object, as docs/spec/kinds.md tells them, and what a reader says of an object that breaks one.

The fields are read by the tables themselves (`shapes`); the rules below a table are written out here.
"""

import blake3

from check import cutting, keys, sketches
from check.canonical import Refused, decode
from check.shapes import KINDS, Broken, need, read_struct

CHECKPOINT = {"namespace": "fcp.zone", "name": "ZoneCheckpoint", "version": "1.0.0"}


def schema_hash(schema):
    """The hash that every payload of a schema begins with."""
    parts = (schema["namespace"], schema["name"], schema["version"])
    return blake3.blake3(b"FCP2-SCHEMA-V1" + b"".join(keys.frame(it.encode()) for it in parts)).digest()


def named(*ids):
    """Those of the names that are there."""
    return {it for it in ids if it is not None}


def refers(header, *ids):
    """Demands that a header refers to all of these that are there."""
    need(named(*ids) <= set(header["refs"]), "Invalid")


def canonical(data):
    """Demands one item in canonical CBOR."""
    try:
        decode(data)
    except Refused as error:
        raise Broken("Cbor") from error


def device_enrolment(header, it):
    need(set(it["stores_symbols"]) <= set(it["allowed_zones"]), "Invalid")
    need(it.get("expires_at", 2**64) > it["issued_at"], "Invalid")


def zone_key_manifest(header, it):
    lists = [[wrap["recipient"].encode() for wrap in it[name]] for name in ("wrapped_keys", "wrapped_object_id_keys")]
    for nodes in lists:
        need(all(a < b for a, b in zip(nodes, nodes[1:])), "Invalid")
    need(lists[0] == lists[1], "Invalid")
    need(it["terms"].get("prev_zone_key_id") != it["zone_key_id"], "Invalid")


def revocation_head(header, it):
    need(("head_event" in it) == (it["head_seq"] != 0), "Invalid")
    refers(header, it.get("head_event"))


def audit_head(header, it):
    need(it["coverage_bps"] <= 10_000, "OutOfRange")
    refers(header, it["head_event"])


def zone_checkpoint(header, it):
    need(("prev_checkpoint" in it) == (it["checkpoint_seq"] != 0), "Invalid")
    need(it["audit"], "Invalid")
    heads = [it["zone_definition_head"], it["zone_policy_head"], it.get("active_zone_key_manifest")]
    chains = [end["head"] for end in it["audit"].values()] + [it.get("revocation", {}).get("head")]
    all_named = named(*heads, *chains, it.get("prev_checkpoint"))
    need(len(header["refs"]) == len(all_named) and set(header["refs"]) == all_named, "Invalid")


def is_reason(trigger):
    """Whether a trigger is one (docs/spec/objects.md#checkpoints)."""
    match trigger["type"]:
        case "time_elapsed":
            return trigger["elapsed_secs"] > trigger["threshold_secs"]
        case "audit_chain_growth":
            return trigger["new_events"] > trigger["threshold"]
        case "revocation_chain_growth":
            return trigger["new_events"] > 0
        case "policy_change":
            return trigger["old_policy_head"] != trigger["new_policy_head"]
    return True


def checkpoint_proposal(header, it):
    need(it["triggers"] and all(map(is_reason, it["triggers"])), "Invalid")
    zone_checkpoint(it["checkpoint_header"], it["checkpoint"])
    need(it["checkpoint_header"]["schema"] == CHECKPOINT, "Invalid")
    need(it["checkpoint_header"]["zone_id"] == header["zone_id"], "Invalid")


def checkpoint_fork(header, it):
    need(it["checkpoint_a"] < it["checkpoint_b"], "Invalid")
    refers(header, it["checkpoint_a"], it["checkpoint_b"])


def lease(header, it):
    need(header["refs"] == [it["subject_object_id"]], "Invalid")
    need(it["exp"] > header["created_at"], "Invalid")
    need(header.get("ttl_secs") == it["exp"] - header["created_at"], "Invalid")


def handoff(header, it):
    need(it["previous_lease_id"] != it["next_lease_id"] and it["from_holder"] != it["to_holder"], "Invalid")
    need(it["next_token"] > it["previous_token"], "Invalid")
    refers(header, it["previous_lease_id"], it["next_lease_id"], it.get("checkpoint_object_id"))


def state_root(header, it):
    need(it["model"]["type"] != "stateless" or "head" not in it, "Invalid")
    refers(header, it.get("head"))


def state_object(header, it):
    need(("prev" in it) == (it["seq"] != 0), "Invalid")
    canonical(it["state_cbor"])
    refers(header, it.get("prev"), it["lease_object_id"])


def state_snapshot(header, it):
    canonical(it["state_cbor"])
    need(it["covers_head"] not in header["refs"], "Invalid")


def secret(header, it):
    share = it["format"]
    if share["type"] == "threshold_share":
        need(1 <= share["threshold"] <= share["total"] <= 255, "Invalid")
        need(1 <= share["index"] <= share["total"], "Invalid")


def threshold_secret(header, it):
    indices = sorted(share["index"] for share in it["wrapped_shares"].values())
    need(indices == list(range(1, it["dealing"]["total"] + 1)), "Invalid")
    need(it["rotation"]["overlap_secs"] <= it["rotation"]["rotate_after_secs"], "Invalid")


def access_token(header, it):
    need(1 <= it["expires_at"] - it["issued_at"] <= 300, "Invalid")


def computation_checkpoint(header, it):
    state = it["state"]
    need(state["type"] != "chunked" or state["total_bytes"] > 262_144, "Invalid")
    lease_and_call = (it["request_object_id"], it["lease_object_id"])
    refers(header, *lease_and_call, it.get("receipt_head"), state.get("manifest"))


def chunk_manifest(header, it):
    fault = cutting.sizes_fault(it["total_len"], it["chunk_size"], len(it["chunks"]))
    need(fault is None, "Invalid")
    need(header["refs"] == [chunk["object_id"] for chunk in it["chunks"]], "Invalid")


def summary(header, it):
    need(it["object_count"] <= 10_000 and it["symbol_count"] <= 100_000, "OutOfRange")
    for data in (it["object_filter"], it["symbol_filter"]):
        need(not data or sketches.read_filter(data) is not None, "Invalid")


def gossip_request(header, it):
    need(it["objects"] or it["symbols"], "Invalid")


def reconcile_request(header, it):
    question = it["question"]
    if question["type"] == "cells":
        need(question["count"] > 0 and question["after"] + question["count"] <= 262_144, "OutOfRange")
    if question["type"] == "names":
        need(question["keys"] and len(question["keys"]) % 8 == 0, "WrongLength")


def reconcile_answer(header, it):
    finding = it["finding"]
    if finding["type"] == "cells":
        need(finding["cells"] and len(finding["cells"]) % 12 == 0, "WrongLength")
    if finding["type"] == "page":
        need(finding["names"] or not finding["more"], "Invalid")


def revocation_notice(header, it):
    schema, inner = opened(it["revocation"])
    need(schema == "fcp.revoke:Revocation@1.0.0", "SchemaMismatch")
    need(inner["zone_id"] == header["zone_id"], "Invalid")


RULES = {
    "fcp.membership:DeviceEnrolment@1.0.0": device_enrolment,
    "fcp.zone:ZoneKeyManifest@1.0.0": zone_key_manifest,
    "fcp.revoke:RevocationHead@2.0.0": revocation_head,
    "fcp.audit:AuditHead@2.0.0": audit_head,
    "fcp.zone:ZoneCheckpoint@1.0.0": zone_checkpoint,
    "fcp.zone:CheckpointProposal@1.0.0": checkpoint_proposal,
    "fcp.zone:CheckpointFork@1.0.0": checkpoint_fork,
    "fcp.lease:lease@1.0.0": lease,
    "fcp.lease:handoff@1.0.0": handoff,
    "fcp.connector-state:root@1.0.0": state_root,
    "fcp.connector-state:object@1.0.0": state_object,
    "fcp.connector-state:delta@1.0.0": lambda header, it: canonical(it["delta_cbor"]),
    "fcp.connector-state:snapshot@1.0.0": state_snapshot,
    "fcp.secret:Secret@1.0.0": secret,
    "fcp.secret:ThresholdSecret@1.0.0": threshold_secret,
    "fcp.secret:AccessToken@1.0.0": access_token,
    "fcp.core:ComputationCheckpoint@1.0.0": computation_checkpoint,
    "fcp.chunk:Manifest@1.0.0": chunk_manifest,
    "fcp.gossip:Summary@2.0.0": summary,
    "fcp.gossip:Request@1.0.0": gossip_request,
    "fcp.gossip:ReconcileRequest@2.0.0": reconcile_request,
    "fcp.gossip:ReconcileAnswer@2.0.0": reconcile_answer,
    "fcp.gossip:RevocationNotice@1.0.0": revocation_notice,
}


def opened(data):
    """The schema and the header of an object that keeps every rule, or the error of the first that it breaks."""
    try:
        item = decode(data)
    except Refused as error:
        raise Broken("Cbor") from error
    read_struct({"header": ("Header", False), "body": ("bytes", False)}, item)
    header, body = item["header"], item["body"]
    need(len(body) >= 32, "SchemaMissing")
    need(body[:32] == schema_hash(header["schema"]), "SchemaMismatch")
    schema = "{namespace}:{name}@{version}".format(**header["schema"])
    need(schema in KINDS, "UnknownVariant")
    canonical(body[32:])
    fields = decode(body[32:])
    read_struct(KINDS[schema], fields)
    RULES.get(schema, lambda header, it: None)(header, fields)
    return schema, header


def fault(data):
    """The error of the first rule that an object breaks, or nothing."""
    try:
        opened(data)
    except Broken as broken:
        return str(broken)
    return None
