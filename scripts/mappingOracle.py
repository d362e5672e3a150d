"""Records what Keystone's own mapping engine makes of random mappings, for test/token/mapping/oracle.test.ts.

Run with Debian's python3-keystone, the seed making sets come in one order:
PYTHONHASHSEED=1 /usr/bin/python3 -W ignore scripts/mappingOracle.py > test/token/mapping/oracle.json
Each case has the rules, the attributes fed to them, and the result of RuleProcessor: what it yields, or "error" where it refuses.
"""

import json
import random

from keystone import exception
from keystone.federation import utils

CASES = 160
ROLES = ["member", "reader", "ops", "dev", "auditor", "dev-lead"]
PROJECTS = ["web", "lab", "data"]
PATTERNS = [
    "^dev", "o", "^mem.*r$", r"\w+-\w+", "(?i)OPS", "^(ops|dev)$", r"^\d+$", "[^a-m]", "lea[d]$", "e{2}|r$",
    r"\Aaud", r"tor\Z", "[[]", r"[\w-]+@", "é", r"^\w+$", r"\s",
]

random.seed(20260101)


def some(values, least=0):
    return random.sample(values, random.randint(least, min(3, len(values))))


def attributes():
    fed = {
        "openstack_user": [random.choice(["ann", "bob", "jürgen", "42", "o'hara", "ann smith"])],
        "openstack_user_domain": ["Default"],
        "openstack_roles": some(ROLES, 1),
        "cloud_id": ["east"],
        "user_id": ["u" + str(random.randint(1, 9))],
    }
    if random.random() < 0.8:
        fed["openstack_project"] = [random.choice(PROJECTS)]
    if random.random() < 0.5:
        fed["openstack_groups"] = some(["g1", "g2", "günther"], 1)
    return fed


def remote(fed):
    kind = random.choice([None, None, None, "any_one_of", "not_any_of", "whitelist", "blacklist"])
    known = ["openstack_user", "openstack_roles", "openstack_project", "openstack_groups", "cloud_id", "user_id"]
    item = {"type": random.choice(known + ["absent"] * (random.random() < 0.2))}
    if kind:
        regex = random.random() < 0.5
        present = fed.get(item["type"], [])
        item[kind] = some(PATTERNS, 1) if regex else some(sorted(set(ROLES + PROJECTS + present)), 1)
        if regex or random.random() < 0.2:
            item["regex"] = regex
    return item


def template(captures):
    texts = ["plain", "x{{y}}", "-"]
    if captures:
        at = [str(random.randrange(captures)) for _ in range(2)]
        texts += ["{" + at[0] + "}", "p-{" + at[0] + "}", "{" + at[0] + "}.{" + at[1] + "}"] * 2
    return random.choice(texts)


def local(captures):
    text = lambda: template(captures)
    item = {}
    if random.random() < 0.6:
        item["user"] = {"name": text()}
        if random.random() < 0.3:
            item["user"]["type"] = random.choice(["ephemeral", "local"])
        if random.random() < 0.2:
            item["user"]["email"] = text()
        if random.random() < 0.2:
            item["user"]["domain"] = {"name": "Other"}
        if random.random() < 0.2:
            item["user"]["id"] = text()
    if random.random() < 0.3:
        item["group"] = random.choice([{"id": text()}, {"name": text(), "domain": {"name": "Default"}}])
    if random.random() < 0.3:
        item["groups"] = random.choice([text(), "['a', 'b']"])
        item["domain"] = random.choice([{"name": "Default"}, {"id": "default"}])
    if random.random() < 0.3:
        item["group_ids"] = text()
    if random.random() < 0.4:
        item["projects"] = [
            {"name": text(), "roles": [{"name": role} for role in some(ROLES)]} for _ in range(random.randint(1, 2))
        ]
    return item


def rule(fed):
    items = [remote(fed) for _ in range(random.randint(1, 3))]
    captures = sum(1 for item in items if "any_one_of" not in item and "not_any_of" not in item)
    return {"remote": items, "local": [local(captures) for _ in range(random.randint(1, 2))]}


def expect(rules, fed):
    assertion = {name: ";".join(values) for name, values in fed.items()}
    try:
        found = utils.RuleProcessor("oracle", rules).process(assertion)
    except exception.ValidationError:
        return "error"
    found["group_ids"] = sorted(found["group_ids"])
    return found


cases = []
while len(cases) < CASES:
    fed = attributes()
    rules = [rule(fed) for _ in range(random.randint(1, 4))]
    utils.validate_mapping_structure({"rules": rules})
    text = json.dumps(rules)
    result = expect(json.loads(text), fed)
    # Not more than a quarter of them where nothing comes of it.
    if result == "error" and sum(1 for case in cases if case["result"] == "error") > CASES / 4:
        continue
    cases.append({"rules": json.loads(text), "attributes": fed, "result": result})

print(json.dumps(cases, ensure_ascii=False, separators=(",", ":")).replace('{"rules"', '\n{"rules"'))
