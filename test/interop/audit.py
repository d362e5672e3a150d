"""Verifies an exported audit, as docs/audit.md describes it. Usage: audit.py FILE"""

import hashlib
import json
import sys


def verify(lines):
    """Number of records; raises ValueError at the first one that is wrong."""
    number, former, restores = 0, "00" * 32, set()
    for line in map(json.loads, lines):
        if "cut" in line:
            number, former = line["cut"]["seq"], line["cut"]["head"]
            continue
        if "restore" in line:
            restores.add((line["restore"]["seq"], line["restore"]["head"]))
            continue
        if "checkpoint" in line:
            end = line["checkpoint"]
            if (end["seq"], end["head"]) != (number, former):
                raise ValueError(f"the end is not record {end['seq']}")
            return number
        previous, claimed = line.pop("previous"), line.pop("hash")
        text = json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        actual = hashlib.sha256(bytes.fromhex(previous) + text.encode()).hexdigest()
        number += 1
        restored = line["kind"] == "configuration" and line["outcome"] == "restored"
        if restored and line["details"] == {"after": number - 1} and (line["seq"], claimed) in restores:
            number = line["seq"]
        if line["seq"] != number or previous != former or actual != claimed:
            raise ValueError(f"record {number} is not right")
        former = claimed
    raise ValueError("the end is missing")


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as lines:
        print(verify(lines))
