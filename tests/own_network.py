"""A network of one's own, so that tests which start servers at the same time do not get hold of each other's ports."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
import sys

CLONE_NEWNET = 0x40000000  # linux/sched.h
GET_FLAGS, SET_FLAGS, SET_ADDRESS, ADD_ROUTE = 0x8913, 0x8914, 0x8916, 0x890B  # linux/sockios.h
IS_UP = 1  # of an interface in linux/if.h, and of a route in linux/route.h
# Names are only looked up where there is more than a loopback, and Ray takes the address that this one is reached from.
ADDRESS, REACHED = "10.255.255.1", "8.8.8.8"


def leave_network() -> bool:
    """Move this thread, and all that it starts, to a network that has nothing but a loopback with two addresses.

    Returns whether that was possible: it is on Linux, for those who may.
    """
    if sys.platform != "linux" or ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", b"lo", 0)
        _, flags, *_ = struct.unpack("16sH22s", fcntl.ioctl(any_socket, GET_FLAGS, request))
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH22x", b"lo", flags | IS_UP))
        fcntl.ioctl(any_socket, SET_ADDRESS, struct.pack("16s16s8x", b"lo:1", _address(ADDRESS)))
        device = ctypes.create_string_buffer(b"lo")
        to = (_address(REACHED), _address("0.0.0.0"), _address("255.255.255.255"))
        route = (0, *to, IS_UP, 0, 0, 0, 0, ctypes.addressof(device), 0, 0, 0)
        fcntl.ioctl(any_socket, ADD_ROUTE, struct.pack("L16s16s16sHhLPhPLLH", *route))
    return True


def _address(number: str) -> bytes:
    """Return an address as the kernel takes it."""
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(number))
