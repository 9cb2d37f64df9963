"""Tries to join a Ray cluster, in a process of its own that can be given up at any moment.

    python trial.py ADDRESS

It is run by its path and imports nothing of the package. Ray waits for a cluster in code that hears neither Ctrl-C nor
a timeout. The exit code is 0 if the cluster could be joined; else the last line on the standard error stream says why
not, and until then what is waited for.
"""

from __future__ import annotations

import logging
import socket
import sys
import time

PAUSE_S = 0.5
CONNECT_TIMEOUT_S = 5.0
CLIENT = "ray://"  # before the place of a server that joins for us


def main() -> int:
    """Wait until something listens, then join."""
    address = sys.argv[1]
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        _wait_for(host.strip("[]"), int(port))
        _say("something listens there, but does not answer as a Ray of this version does")
    else:  # such as auto
        _say("no Ray has answered")
    import ray

    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        ray.nodes()
    except Exception as error:  # Ray raises plain ones, too
        _say(_last_words(error))
        return 1
    return 0


def _wait_for(host: str, port: int) -> None:
    """Wait until something listens."""
    while True:
        try:
            socket.create_connection((host, port), CONNECT_TIMEOUT_S).close()
        except (OSError, OverflowError) as error:
            _say(f"nobody listens there ({error})")
            time.sleep(PAUSE_S)
        else:
            return


def _last_words(error: BaseException) -> str:
    """Return the line that says most: the last of what an error comes from."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
