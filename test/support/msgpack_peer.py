"""Python's msgpack as a filter: lines of `pack FORM` and `unpack HEX` in, hex and forms out."""

import json
import sys

import msgpack
from typed_json import typed, untyped

for line in sys.stdin:
    command, text = line.rstrip("\n").split(" ", 1)
    if command == "pack":
        answer = msgpack.packb(untyped(json.loads(text)), use_bin_type=True, unicode_errors="surrogateescape").hex()
    else:
        value = msgpack.unpackb(
            bytes.fromhex(text), raw=False, strict_map_key=False, unicode_errors="surrogateescape", timestamp=0
        )
        answer = json.dumps(typed(value))
    print(answer)
