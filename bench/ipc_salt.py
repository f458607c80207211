"""Real Salt's side of bench/ipc.ts: ipc_salt.py SOCK_DIR server | subscribe COUNT | fire COUNT RATE.

Prints one JSON line when it is ready, and one when it has done its part, with times in milliseconds of CLOCK_MONOTONIC.
RATE 0: as fast as it goes.
"""

import json
import logging
import os
import sys
import time

import salt.config
import salt.utils.event

# The level of a daemon with default settings; without it Salt formats trace lines.
logging.getLogger().setLevel(logging.WARNING)

sock_dir, role, *arguments = sys.argv[1:]
opts = salt.config.DEFAULT_MASTER_OPTS.copy()
opts.update({"sock_dir": sock_dir, "id": "bench_master", "__role": "master"})


def now():
    return time.monotonic() * 1000


if role == "server":
    # What salt/master.py starts in a process of its own.
    if hasattr(salt.utils.event, "EventPublisher"):
        salt.utils.event.EventPublisher(opts).run()
    else:
        import salt.channel.server

        pki = os.path.join(sock_dir, "pki")
        os.makedirs(pki)
        opts.update({"pki_dir": pki, "cachedir": sock_dir})
        salt.channel.server.MasterPubServerChannel.factory(opts)._publish_daemon()
    sys.exit()

count = int(arguments[0])
bus = salt.utils.event.get_event("master", sock_dir=sock_dir, opts=opts, listen=role == "subscribe")

if role == "subscribe":
    assert bus.connect_pub(timeout=10)
    print(json.dumps({"ready": True}), flush=True)
    seen = 0
    latencies = []
    while seen < count:
        event = bus.get_event(wait=60, tag="bench/", full=True)
        assert event is not None, "no event within 60 s"
        assert event["data"]["number"] == seen
        if "sent" in event["data"]:
            latencies.append(now() - event["data"]["sent"])
        seen += 1
    print(json.dumps({"ended": now(), "latencies": latencies}), flush=True)
    sys.stdin.readline()
else:
    rate = float(arguments[1])
    assert bus.connect_pull(timeout=10)
    print(json.dumps({"ready": True}), flush=True)
    sample = json.loads(sys.stdin.readline())
    began = now()
    print(json.dumps({"began": began}), flush=True)
    for number in range(count):
        sample["number"] = number
        if rate > 0:
            time.sleep(max(0, began / 1000 + number / rate - time.monotonic()))
            sample["sent"] = now()
        bus.fire_event(sample, "bench/lifecycle")
    print(json.dumps({"fired": now()}), flush=True)
    sys.stdin.readline()
