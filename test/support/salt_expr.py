"""Whether tags match expressions by the real salt.utils.stringutils.expr_match: a JSON list [tag, expression] a line in, true or false out."""

import json
import sys

import salt.utils.stringutils

for line in sys.stdin:
    print(json.dumps(salt.utils.stringutils.expr_match(*json.loads(line))))
