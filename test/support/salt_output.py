"""What the real outputters of Salt print: names in, one a line; a JSON list of texts out, for the returns that functions about events have."""

import json
import sys

import salt.config
import salt.output

opts = salt.config.master_config("/dev/null")
opts["color"] = False
for line in sys.stdin:
    values = [None, True, False, {"local": True}, {"local": False}]
    print(json.dumps([salt.output.try_printout(value, line.strip(), opts) for value in values]))
