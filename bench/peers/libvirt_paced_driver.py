"""Suspends and resumes a guest of its own at a given pace, and tells when it began each call.

Usage: libvirt_paced_driver.py URI GUEST
Prints {"ready": 1}. Takes lines on standard input:
  mark              makes an event that is none of the load
  go EVENTS RATE    makes so many events, RATE a second, 0: as fast as the daemon answers; prints {"sent": [times]},
                    one an event, in nanoseconds of CLOCK_MONOTONIC
"""
import json
import sys
import time

import libvirt

uri, name = sys.argv[1:]
XML = "<domain type='test'><name>%s</name><memory>8192</memory><os><type>hvm</type></os></domain>"
connection = libvirt.open(uri)
guest = connection.createXML(XML % name)


def go(count, rate):
    sent = []
    start = time.monotonic_ns()
    for number in range(count):
        if rate:
            due = start + number * 1_000_000_000 // rate
            while (left := due - time.monotonic_ns()) > 0:
                time.sleep(left / 1e9)
        sent.append(time.monotonic_ns())
        if number % 2:
            guest.resume()
        else:
            guest.suspend()
    return sent


print(json.dumps({"ready": 1}), flush=True)
for line in sys.stdin:
    command, *numbers = line.split()
    if command == "mark":
        connection.defineXML(XML % f"{name}-marker").undefine()
    else:
        print(json.dumps({"sent": go(*map(int, numbers))}), flush=True)
guest.destroy()
