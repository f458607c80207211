"""Receives lifecycle events with a plain libvirt-python callback and prints what it cost.

Usage: libvirt_receiver.py URI COUNT
Prints "ready", then one JSON line: count, inOrder, cpuMs (of the events alone), totalCpuMs (of the process), wallMs, rssMb.
"""
import json
import resource
import sys
import time

import libvirt


def cpu_ms():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1000


uri, wanted = sys.argv[1], int(sys.argv[2])
state = {"count": 0, "last": None, "in_order": True, "first": 0.0}


def on_event(_connection, _domain, event, _detail, _opaque):
    if state["count"] == 0:
        state["first"] = time.monotonic()
    state["count"] += 1
    if event == state["last"]:
        state["in_order"] = False
    state["last"] = event


libvirt.virEventRegisterDefaultImpl()
connection = libvirt.openReadOnly(uri)
connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_event, None)
print("ready", flush=True)
before = cpu_ms()
while state["count"] < wanted:
    libvirt.virEventRunDefaultImpl()
after = cpu_ms()
print(
    json.dumps(
        {
            "count": state["count"],
            "inOrder": state["in_order"],
            "cpuMs": after - before,
            "totalCpuMs": after,
            "wallMs": (time.monotonic() - state["first"]) * 1000,
            "rssMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
    )
)
