"""The real salt.utils.event of the venv that runs it, on the bus in a sock_dir.

salt_peer.py SOCK_DIR listen get_event|iter_events TAG COUNT   prints "ready", then COUNT events whose tag begins with TAG
salt_peer.py SOCK_DIR match MATCH_TYPE PATTERN COUNT           the same with get_event's match_type
salt_peer.py SOCK_DIR fire TAG                                 fires each of VALUES under TAG, and prints it as it was fired
An event is printed as one line: JSON of its tag and of its data in the form of typed_json.py.
"""

import datetime
import json
import sys

import salt.config
import salt.utils.event
from typed_json import typed

VALUES = [
    {"nested": {"list": [1, [2, {"three": None}], True, False], "empty": {}, "none": []}},
    {"text": "zo\u00eb \u2603 \U0001f600 \u0000 \n\n", "": "empty key", "__proto__": {"polluted": True}},
    {"bytes": b"\x00\xff\x80\n\n", "utf8": "\u00e9".encode(), "long": bytes(range(256)) * 300},
    {"max": 2**63 - 1, "min": -(2**63), "unsigned": 2**64 - 1, "safe": 2**53 - 1, "unsafe": 2**53, "small": -33},
    {"whole": 1.0, "third": 1 / 3, "large": 1e300, "tiny": 5e-324, "zero": -0.0, "infinite": float("inf")},
    {"keys": {1: "one", -(2**40): "far", b"bytes": "b", None: "none", "text": "t"}},
    {"when": datetime.datetime(2026, 11, 20, 23, 30, 40, 204668)},
    {"one": "x" * 500_000, "two": "y" * 500_000},
    {"under": "z" * (1_048_576 - 200)},
    {"over": "z" * 1_100_000, "inside": {"over": b"z" * 700_000, "kept": 1}, "kept": "k"},
    {"wide": "\u2603" * 400_000, "list": [0] * 1_000_000, "kept": "k"},
]

sock_dir, command, *arguments = sys.argv[1:]
opts = salt.config.DEFAULT_MASTER_OPTS.copy()
opts.update({"sock_dir": sock_dir, "id": "peer_master", "__role": "master"})
bus = salt.utils.event.get_event("master", sock_dir=sock_dir, opts=opts, listen=command != "fire")


def show(event):
    print(json.dumps({"tag": event["tag"], "data": typed(event["data"])}), flush=True)


if command == "fire":
    for value in VALUES:
        assert bus.fire_event(value, arguments[0], timeout=10_000)
        show({"tag": arguments[0], "data": value})
    sys.stdin.readline()
    sys.exit()

assert bus.connect_pub(timeout=10)
print("ready", flush=True)
how, tag, count = arguments[0], arguments[1], int(arguments[2])
if command == "listen" and how == "iter_events":
    events = bus.iter_events(tag=tag, full=True)
    for _ in range(count):
        show(next(events))
else:
    match_type = how if command == "match" else None
    for _ in range(count):
        event = bus.get_event(wait=30, tag=tag, full=True, match_type=match_type)
        assert event is not None, "no event within 30 s"
        show(event)
