"""What Keystone's own code makes of revocations: which tokens they end.

Reads a JSON list of {"event": ..., "token": ...} from standard input, members named as by test/openstack/revocations.test.ts, times in
milliseconds; writes a JSON list of booleans. Events go through Keystone's table and its queries, as they do when it validates a token.
"""

import datetime
import json
import sys
from types import SimpleNamespace

from keystone.common import sql
from keystone.conf import CONF
from keystone.models import revoke_model
from keystone.revoke.backends import sql as backend
from oslo_db import options

COLUMNS = {
    "auditId": "audit_id",
    "auditChainId": "audit_chain_id",
    "userId": "user_id",
    "projectId": "project_id",
    "domainId": "domain_id",
    "domainScopeId": "domain_id",
    "roleId": "role_id",
    "trustId": "trust_id",
}


def moment(ms):
    return datetime.datetime.utcfromtimestamp(ms / 1000)


def text(ms):
    return moment(ms).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def owner(found):
    return (found["id"], found["domain"]) if found else (None, None)


def values_of(token):
    """As Keystone flattens a token before it looks for revocations."""
    audit_ids, trust = token["auditIds"], token["trust"]
    project, project_domain = owner(token["project"])
    return revoke_model.build_token_values(SimpleNamespace(
        expires_at=text(token["expiresAt"]),
        issued_at=text(token["issuedAt"]),
        audit_id=audit_ids[0],
        parent_audit_id=audit_ids[1] if len(audit_ids) > 1 else None,
        user_id=token["user"]["id"],
        user_domain=token["user"]["domain"],
        project_id=project,
        project_domain=project_domain,
        domain_id=token["domainId"],
        roles=token["roles"],
        trust_scoped=trust is not None,
        trust=trust and {"id": trust["id"]},
        trustor=trust and {"id": trust["trustorId"]},
        trustee=trust and {"id": trust["trusteeId"]},
        oauth_scoped=False,
    ))


def row_of(event):
    columns = {column: event[name] for name, column in COLUMNS.items() if name in event}
    for name, column in [("revokedAt", "revoked_at"), ("issuedBefore", "issued_before"), ("expiresAt", "expires_at")]:
        if name in event:
            columns[column] = moment(event[name])
    if "expires_at" in columns:
        columns["expires_at"] = columns["expires_at"].replace(microsecond=0)
    return columns


def is_revoked(driver, case):
    with sql.session_for_write() as session:
        session.query(backend.RevocationEvent).delete()
        session.add(backend.RevocationEvent(**row_of(case["event"])))
    values = values_of(case["token"])
    return revoke_model.is_revoked(driver.list_events(token=values), values)


options.set_defaults(CONF, connection="sqlite://")
CONF([], project="keystone", default_config_files=[])
with sql.session_for_write() as session:
    sql.ModelBase.metadata.create_all(session.get_bind(), tables=[backend.RevocationEvent.__table__])
driver = backend.Revoke()
json.dump([is_revoked(driver, case) for case in json.load(sys.stdin)], sys.stdout)
