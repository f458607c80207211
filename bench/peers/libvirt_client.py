"""libvirt-python under a benchmark: libvirt_client.py MODE URI COUNT, one JSON line out.

The modes of libvirt-client.ts: list, stats, sequential, parallel (16 threads).
"""
import json
import resource
import sys
import threading
import time

import libvirt

mode, uri, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
connection = libvirt.open(uri)


def all_infos():
    return sum(len([domain.info() for domain in connection.listAllDomains()]) for _ in range(count))


def all_stats():
    return sum(len(connection.getAllDomainStats()) for _ in range(count))


def sequential():
    for _ in range(count):
        connection.getHostname()
    return count


def parallel():
    left = [count]

    def worker():
        while left[0] > 0:
            left[0] -= 1
            connection.getHostname()

    threads = [threading.Thread(target=worker) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count


work = {"list": all_infos, "stats": all_stats, "sequential": sequential, "parallel": parallel}[mode]
work()  # warm
before = resource.getrusage(resource.RUSAGE_SELF)
start = time.monotonic()
done = work()
ms = (time.monotonic() - start) * 1000
after = resource.getrusage(resource.RUSAGE_SELF)
cpu_ms = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000
print(json.dumps({"ms": ms, "cpuMs": cpu_ms, "done": done, "rssMb": after.ru_maxrss / 1024}))
