"""Multicasts one message of udev, as udevd does after it has handled an event of the kernel: libvirtd's node devices follow these.

Usage: udev_send.py ACTION DEVPATH SUBSYSTEM [NAME=VALUE...], in a network namespace of its own and its daemon's.
"""
import socket
import struct
import sys

UDEV_GROUP = 2
NETLINK_KOBJECT_UEVENT = 15


def murmur2(data, seed=0):
    """The hash that libudev's filters look at (systemd, src/basic/MurmurHash2.c)."""
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    h = (seed ^ len(data)) & mask
    while len(data) >= 4:
        k = struct.unpack_from("<I", data)[0] * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
        data = data[4:]
    for i in reversed(range(len(data))):
        h ^= data[i] << 8 * i
    if data:
        h = h * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


action, devpath, subsystem = sys.argv[1:4]
fields = {"ACTION": action, "DEVPATH": devpath, "SUBSYSTEM": subsystem, "SEQNUM": "9999", "USEC_INITIALIZED": "1"}
fields.update(argument.split("=", 1) for argument in sys.argv[4:])
properties = b"".join(f"{name}={value}".encode() + b"\0" for name, value in fields.items())
header = b"libudev\0" + struct.pack(">I", 0xFEEDCAFE) + struct.pack("=III", 40, 40, len(properties))
header += struct.pack(">IIII", murmur2(subsystem.encode()), 0, 0, 0)
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT) as netlink:
    netlink.bind((0, 0))
    netlink.sendto(header + properties, (0, UDEV_GROUP))
