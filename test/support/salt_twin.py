"""Carries out a scenario with the real salt.utils.event of the venv that runs it.

salt_twin.py SOCK_DIR    reads the scenario as one JSON line, prints one JSON line a step: {"result": …} or {"error": NAME}

A step "restart" prints {"restart": true} and waits for a line. Events are [TAG, DATA], DATA in the form of typed_json.py, with the
content of _stamp left out. What the steps mean is said in test/salt/twin.ts, which carries out the same steps with this project.
"""

import json
import sys
import time

import salt.config
import salt.utils.event
from typed_json import typed, untyped

LIMIT_S = 30

sock_dir = sys.argv[1]
opts = salt.config.DEFAULT_MASTER_OPTS.copy()
opts.update({"sock_dir": sock_dir, "id": "peer_master", "__role": "master"})
clients = {}
iterators = {}


def data_form(data):
    if isinstance(data, dict) and "_stamp" in data:
        data = {**data, "_stamp": isinstance(data["_stamp"], str)}
    return typed(data)


def form(event, full):
    if event is None:
        return None
    return [event["tag"], data_form(event["data"])] if full else data_form(event)


def arguments(step, *names):
    return {name: step[name] for name in names if name in step}


def get(step, **more):
    names = ("wait", "tag", "full", "match_type", "no_block", "auto_reconnect")
    event = clients[step["as"]].get_event(**arguments(step, *names), **more)
    return form(event, step.get("full"))


def until_some(act):
    deadline = time.time() + LIMIT_S
    while time.time() < deadline:
        result = act()
        if result is not None:
            return result
    raise TimeoutError("nothing within %d s" % LIMIT_S)


def connect(step):
    name = step["as"]
    clients[name] = salt.utils.event.get_event("master", sock_dir=sock_dir, opts=opts, listen=step.get("listen", True))
    return clients[name].cpub


def fire(step):
    return clients[step["as"]].fire_event(untyped(step["data"]), step["tag"], timeout=10_000)


def restart(_):
    print(json.dumps({"restart": True}), flush=True)
    sys.stdin.readline()


def revive(step):
    def once():
        try:
            fire({**step, "as": step["by"]})
        except Exception:  # the bus may not be back
            pass
        return get({**step, "wait": 1}, auto_reconnect=True)

    return until_some(once)


def iterate(step):
    names = ("tag", "full", "match_type", "auto_reconnect")
    events = clients[step["as"]].iter_events(**arguments(step, *names))
    return [form(next(events), step.get("full")) for _ in range(step["n"])]


STEPS = {
    "connect": connect,
    "fire": fire,
    "subscribe": lambda step: clients[step["as"]].subscribe(**arguments(step, "tag", "match_type")),
    "unsubscribe": lambda step: clients[step["as"]].unsubscribe(**arguments(step, "tag", "match_type")),
    "get": get,
    "poll": lambda step: until_some(lambda: get(step, no_block=True)),
    "raw": lambda step: until_some(lambda: form(clients[step["as"]].get_event_noblock(), True)),
    "block": lambda step: form(clients[step["as"]].get_event_block(), True),
    "iterate": iterate,
    "pending": lambda step: [event["tag"] for event in clients[step["as"]].pending_events],
    "close": lambda step: clients[step["as"]].close_pub(),
    "restart": restart,
    "revive": revive,
    "tagify": lambda step: salt.utils.event.tagify(*step["args"]),
    "destroy": lambda step: clients.pop(step["as"]).destroy(),
}

for step in json.loads(sys.stdin.readline()):
    try:
        answer = {"result": STEPS[step["do"]](step)}
    except Exception as error:  # what is thrown is the result
        answer = {"error": type(error).__name__, "text": str(error)}
    print(json.dumps(answer), flush=True)
