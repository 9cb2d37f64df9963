"""A network of one's own, so that tests which start servers at the same time do not get hold of each other's ports."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
import sys

CLONE_NEWNET = 0x40000000  # linux/sched.h
GET_FLAGS, SET_FLAGS, IS_UP = 0x8913, 0x8914, 0x1  # linux/sockios.h, linux/if.h


def leave_network() -> bool:
    """Move this thread, and all that it starts, to a network that has nothing but a loopback.

    Returns whether that was possible: it is on Linux, for those who may.
    """
    if sys.platform != "linux" or ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", b"lo", 0)
        _, flags, *_ = struct.unpack("16sH22s", fcntl.ioctl(any_socket, GET_FLAGS, request))
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH22x", b"lo", flags | IS_UP))
    return True
