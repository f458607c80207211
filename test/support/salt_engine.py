"""Runs the real salt.engines.libvirt_events with event.send replaced by a printer: one JSON line an event.

Usage: salt_engine.py URI FILTER[,FILTER...]
       salt_engine.py --about    prints the filters of its table and the release of its bindings as JSON, and ends

Writes "watching" to standard error when all callbacks are registered, before it waits for the first event.
"""
import json
import logging
import sys

logging.basicConfig(stream=sys.stderr, level="DEBUG")
import salt.engines.libvirt_events as engine

if sys.argv[1:] == ["--about"]:
    kinds = [f"{obj}/{name}" for obj, defs in engine.CALLBACK_DEFS.items() for name, _ in defs]
    print(json.dumps({"kinds": kinds, "bindings": engine.libvirt.getVersion()}))
    sys.exit()


def send(tag, data):
    sys.stdout.write(json.dumps({"tag": tag, "data": data}, default=repr) + "\n")
    sys.stdout.flush()
    return True


run = engine.libvirt.virEventRunDefaultImpl


def first_run():
    engine.libvirt.virEventRunDefaultImpl = run
    sys.stderr.write("watching\n")
    sys.stderr.flush()
    return run()


engine.libvirt.virEventRunDefaultImpl = first_run
engine.__opts__ = {"__role": "minion", "id": "test"}
engine.__salt__ = {"event.send": send}
engine.start(uri=sys.argv[1], filters=sys.argv[2].split(","))
