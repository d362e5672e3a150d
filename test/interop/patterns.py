"""What Python makes of patterns: for each [pattern, values] of a JSON file, null where it refuses the pattern, else 1 for each value it is in and 0 for others."""

import json
import re
import sys
import warnings

warnings.simplefilter("ignore")


def found(pattern, values):
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError):
        return None
    return "".join("01"[compiled.search(value) is not None] for value in values)


with open(sys.argv[1], encoding="utf-8") as file:
    print(json.dumps([found(pattern, values) for pattern, values in json.load(file)]))
