"""What the real salt.utils.args makes of command lines: a JSON list a line in, [positional, keywords] in the form of typed_json.py out."""

import json
import sys

import salt.utils.args
from typed_json import typed

for line in sys.stdin:
    request = json.loads(line)
    args, kwargs = salt.utils.args.parse_input(request["args"], condition=False, no_parse=request["no_parse"])
    print(json.dumps([typed(args), typed(kwargs)]))
