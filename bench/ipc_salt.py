"""Real Salt's side of bench/ipc.ts: ipc_salt.py SOCK_DIR server | subscribe COUNT | fire COUNT.

Prints one JSON line when it is ready, and one when it has done its part, with times in milliseconds since 1970.
"""

import json
import logging
import sys
import time

import salt.config
import salt.utils.event

# The level of a daemon with default settings; without it Salt formats trace lines.
logging.getLogger().setLevel(logging.WARNING)

sock_dir, role, *arguments = sys.argv[1:]
opts = salt.config.DEFAULT_MASTER_OPTS.copy()
opts.update({"sock_dir": sock_dir, "id": "bench_master", "__role": "master"})

if role == "server":
    # What salt/master.py starts in a process of its own.
    salt.utils.event.EventPublisher(opts).run()
    sys.exit()

count = int(arguments[0])
bus = salt.utils.event.get_event("master", sock_dir=sock_dir, opts=opts, listen=role == "subscribe")

if role == "subscribe":
    assert bus.connect_pub(timeout=10)
    print(json.dumps({"ready": True}), flush=True)
    seen = 0
    while seen < count:
        event = bus.get_event(wait=60, tag="bench/", full=True)
        assert event is not None, "no event within 60 s"
        assert event["data"]["number"] == seen
        seen += 1
    print(json.dumps({"ended": time.time() * 1000}), flush=True)
else:
    assert bus.connect_pull(timeout=10)
    print(json.dumps({"ready": True}), flush=True)
    sample = json.loads(sys.stdin.readline())
    print(json.dumps({"began": time.time() * 1000}), flush=True)
    for number in range(count):
        sample["number"] = number
        bus.fire_event(sample, "bench/lifecycle")
    sys.stdin.readline()
