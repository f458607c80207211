"""Suspends and resumes the domain `test` as fast as libvirtd answers. Usage: libvirt_driver.py URI PAIRS"""
import sys

import libvirt

connection = libvirt.open(sys.argv[1])
domain = connection.lookupByName("test")
for _ in range(int(sys.argv[2])):
    domain.suspend()
    domain.resume()
