"""Runs the real salt.engines.libvirt_events with event.send replaced by a printer: one JSON line an event.

Usage: salt_engine.py URI FILTER[,FILTER...]
"""
import json
import logging
import sys

logging.basicConfig(stream=sys.stderr, level="DEBUG")
import salt.engines.libvirt_events as engine


def send(tag, data):
    sys.stdout.write(json.dumps({"tag": tag, "data": data}, default=repr) + "\n")
    sys.stdout.flush()
    return True


engine.__opts__ = {"__role": "minion", "id": "test"}
engine.__salt__ = {"event.send": send}
engine.start(uri=sys.argv[1], filters=sys.argv[2].split(","))
