"""Which pairs of an event and a token Keystone's own code calls revoked: JSON lines in, one JSON list of booleans out."""
import datetime
import json
import sys

from keystone.models import revoke_model


def time(ms):
    return datetime.datetime.utcfromtimestamp(ms / 1000) if ms is not None else None


def event_of(e):
    event = revoke_model.RevokeEvent(
        audit_id=e.get("auditId"),
        audit_chain_id=e.get("auditChainId"),
        user_id=e.get("userId"),
        project_id=e.get("projectId"),
        domain_id=e.get("domainId"),
        role_id=e.get("roleId"),
        trust_id=e.get("trustId"),
        issued_before=time(e["issuedBefore"]),
        revoked_at=time(e["revokedAt"]),
    )
    # Set here, since the constructor would take a domain beside an expiry for the scope's.
    event.domain_scope_id = e.get("domainScopeId")
    expires = time(e.get("expiresAt"))
    event.expires_at = expires.replace(microsecond=0) if expires else None
    return event


def values_of(t, strict):
    """As build_token_values; with strict, for what that leaves out of domains and chains although the model means it."""
    project, trust = t["project"], t["trust"]
    scope = t["domainId"] or (project["domain"]["id"] if project and strict else None)
    chain = t["auditIds"][-1] if strict or len(t["auditIds"]) > 1 else None
    return {
        "expires_at": time(t["expiresAt"]).replace(microsecond=0),
        "issued_at": time(t["issuedAt"]),
        "audit_id": t["auditIds"][0],
        "audit_chain_id": chain,
        "user_id": t["user"]["id"],
        "identity_domain_id": t["user"]["domain"]["id"],
        "project_id": project["id"] if project else None,
        "assignment_domain_id": scope,
        "roles": [role["id"] for role in t["roles"]],
        "trust_id": trust["id"] if trust else None,
        "trustor_id": trust["trustorId"] if trust else None,
        "trustee_id": trust["trusteeId"] if trust else None,
        "consumer_id": None,
        "access_token_id": None,
    }


def selected(event, t):
    """What the SQL driver asks its table for, before the model is asked."""
    users = [t["user_id"], t["trustor_id"], t["trustee_id"]]
    return (
        event.issued_before >= t["issued_at"]
        and (event.user_id is None or event.user_id in users)
        and (event.project_id is None or event.project_id == t["project_id"])
        and (event.audit_id is None or event.audit_id == t["audit_id"])
    )


def revoked(event, values):
    return selected(event, values) and revoke_model.is_revoked([event], values)


answers = []
for line in sys.stdin:
    event, token = json.loads(line)
    event = event_of(event)
    answers.append([revoked(event, values_of(token, strict)) for strict in (False, True)])
print(json.dumps(answers))
