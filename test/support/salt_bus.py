"""A client of a Salt bus with the real salt.utils.event of the venv that runs it.

salt_bus.py SOCK_DIR get_event|iter_events TAG COUNT   prints "ready", then COUNT events whose tag begins with TAG
salt_bus.py SOCK_DIR fire TAG                          fires SAMPLES under TAG/0, TAG/1 ...
An event is printed as one JSON line {"tag", "data"}; bytes as {"__bytes__": BASE64}.
"""
import base64
import json
import sys

import salt.config
import salt.utils.event

SAMPLES = [
    {"nested": {"list": [1, [2, {"three": None}], True, False], "empty": {}, "none": []}},
    {"text": "zo\u00eb \u2603 \U0001f600 \u0000 \"quoted\" back\\slash"},
    {"bytes": b"\x00\xff\x80binary", "utf8 bytes": "\u00e9".encode()},
    {"max": 2**63 - 1, "min": -(2**63), "unsigned": 2**64 - 1, "safe": 2**53, "small": -1},
    {"whole": 1.0, "third": 1 / 3, "large": 1e300, "tiny": 5e-324, "negative zero": -0.0},
    {"big": "x" * 1_000_000},
]


def plain(value):
    return {"__bytes__": base64.b64encode(value).decode()}


def show(event):
    print(json.dumps({"tag": event["tag"], "data": event["data"]}, default=plain), flush=True)


sock_dir, command, tag = sys.argv[1:4]
opts = salt.config.DEFAULT_MASTER_OPTS.copy()
opts.update({"sock_dir": sock_dir, "id": "test_master", "__role": "master"})
listen = command != "fire"
bus = salt.utils.event.get_event("master", sock_dir=sock_dir, opts=opts, listen=listen)
if command == "fire":
    for number, sample in enumerate(SAMPLES):
        assert bus.fire_event(sample, "%s/%d" % (tag, number), timeout=5000)
    print("fired", flush=True)
    sys.stdin.read()
else:
    assert bus.connect_pub(timeout=5)
    print("ready", flush=True)
    left = int(sys.argv[4])
    if command == "get_event":
        while left > 0:
            event = bus.get_event(wait=20, tag=tag, full=True)
            assert event is not None, "no event within 20 s"
            show(event)
            left -= 1
    else:
        for event in bus.iter_events(tag=tag, full=True):
            show(event)
            left -= 1
            if left == 0:
                break
