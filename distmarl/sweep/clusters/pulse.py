"""Whether the Ray that a session runs on still lives.

Ray itself ends a process that has lost its control service, after a minute and with words of its own; where the node of
this machine is lost, tasks fail that had nothing to do with it. So a thread looks at both, by what can be had at once:
whether somebody still listens at their ports. Another one asks Ray for its nodes, which may hang with Ray.

So may whatever else is asked of Ray: its calls wait for the control service in code that nothing interrupts. One that
has not come back from a Ray that is lost ends this process.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray.exceptions import LocalRayletDiedError, NodeDiedError, OutOfMemoryError, RayError

from distmarl.errors import LostRayError

LOOK_EVERY_S = 1.0
CONNECT_TIMEOUT_S = 5.0
# A control service that keeps its state elsewhere may come back; one of a local Ray does not.
WAIT_FOR_CONTROL_S = 60.0
# Silence is what lasts for so long, and for so many looks: a process that stood still, as under Ctrl-Z, heard nothing.
SILENT_S = LOOK_EVERY_S + CONNECT_TIMEOUT_S
SILENT_LOOKS = 5
# So long a call of Ray may still take once Ray is lost.
WAIT_FOR_CALL_S = 10.0
# A task whose process is lost may be the first sign of a Ray that ends; so long it is given to show.
SHOW_S = 3.0

Port = tuple[str, int]


class Pulse:
    """Looks after a Ray that was started or joined.

    Parameters
    ----------
    name : str
        What to call it.
    address : str or None
        Where it was joined; None for a Ray of this machine alone.
    warn : callable
        Is told in a line of text, from another thread, that the control service does not answer: the main one may wait
        for it.
    give_up : callable
        Says that Ray was lost and ends this process, likewise.

    Attributes
    ----------
    nodes : list of dict
        What Ray has told of each node that is alive, a second ago or so.
    """

    def __init__(
        self,
        name: str,
        address: str | None,
        warn: Callable[[str], None],
        give_up: Callable[[LostRayError], object],
    ) -> None:
        self._name, self._is_local, self._warn, self._give_up = name, address is None, warn, give_up
        self.nodes = _alive_nodes()
        self._own_node: Port | None = None
        if address is not None and "://" in address:  # from outside, by a server of the cluster that asks for us
            self._control = _port(address.rpartition("://")[2])
        else:
            context = ray.get_runtime_context()
            self._control = _port(context.gcs_address)
            own = next((node for node in self.nodes if node["NodeID"] == context.get_node_id()), None)
            if own is not None:
                self._own_node = (own["NodeManagerAddress"], own["NodeManagerPort"])
        self._n_looks = 0
        self._heard_at, self._heard_in_look = time.monotonic(), 0
        self._listens = True
        self._end: str | None = None
        self._asked_at: float | None = None
        self._stopped = threading.Event()
        threading.Thread(target=self._look, name="pulse of Ray", daemon=True).start()
        self._asking = threading.Thread(target=self._ask, name="nodes of Ray", daemon=True)
        self._asking.start()

    @property
    def answers(self) -> bool:
        """Whether the control service does: nothing may be asked of it otherwise, since that would hang."""
        return self._end is None and self._listens and self._silence_s() <= SILENT_S

    def _silence_s(self) -> float:
        """Return for how long the control service has been silent."""
        is_silent = self._n_looks - self._heard_in_look >= SILENT_LOOKS
        return time.monotonic() - self._heard_at if is_silent else 0.0

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Give up this process if the block asks something of a Ray that is lost, and gets no answer."""
        earlier, self._asked_at = self._asked_at, time.monotonic()
        try:
            yield
        finally:
            self._asked_at = earlier

    def check(self) -> None:
        """Raise a LostRayError when there is nothing to be hoped for any more."""
        if self._end is not None:
            raise self.lost(self._end)

    def lost(self, why: object) -> LostRayError:
        """Return the error that says that Ray is lost."""
        self._end = str(why).splitlines()[0]
        return LostRayError(f"{self._name} was lost: {self._end}", can_start_again=self._is_local)

    def lost_and(self, more: str) -> LostRayError:
        """Return the same error where something more is wrong."""
        return self.lost(f"{self._end or 'its control service does not answer'}, and {more}")

    def look_for_end(self, error: RayError) -> None:
        """Raise a LostRayError if what a task ended with is that Ray itself was lost."""
        if isinstance(error, LocalRayletDiedError) or (self._is_local and isinstance(error, NodeDiedError)):
            raise self.lost("the node of this machine has ended") from error
        until = time.monotonic() + (SHOW_S if self._is_local and not isinstance(error, OutOfMemoryError) else 0.0)
        while True:
            self._look_at_ports()
            if self._end is not None:
                raise self.lost(self._end) from error
            if time.monotonic() >= until:
                return
            self._stopped.wait(0.2)

    def stop(self) -> None:
        """Look no more. To be called before Ray is left: it would be started again by being asked."""
        self._stopped.set()
        self._asking.join(CONNECT_TIMEOUT_S)

    def _look(self) -> None:
        """Notice a silence, the end, and calls that outlast it."""
        is_told = False
        while not self._stopped.wait(LOOK_EVERY_S) and self._end is None:
            self._look_at_ports()
            self._n_looks += 1
            silence_s = self._silence_s()
            is_lost = silence_s > WAIT_FOR_CONTROL_S
            if self._end is None and not is_told and (is_lost or not self.answers):
                self._warn(
                    f"the control service of {self._name} does not answer; "
                    f"waiting for it, {WAIT_FOR_CONTROL_S:g} s at most"
                )
            is_told = not self.answers
            if self._end is None and is_lost:
                self._end = f"its control service has not answered for {silence_s:.0f} s"
        asked_at, waited_s = self._asked_at, 0.0
        while not self._stopped.wait(LOOK_EVERY_S):
            waited_s = waited_s + LOOK_EVERY_S if self._asked_at == asked_at else 0.0
            asked_at = self._asked_at
            if asked_at is not None and waited_s > WAIT_FOR_CALL_S:
                self._give_up(self.lost_and("something that was asked of it has no end"))
                return

    def _ask(self) -> None:
        """Ask for the nodes, again and again."""
        while not self._stopped.wait(LOOK_EVERY_S) and self._end is None:
            if self._listens:
                with suppress(Exception):  # whatever Ray, or its client, makes of no answer: the silence tells
                    self.nodes = _alive_nodes()
                    self._heard_at, self._heard_in_look = time.monotonic(), self._n_looks

    def _look_at_ports(self) -> None:
        """Notice whether the control service can be asked, and the end of what cannot come back."""
        if self._own_node is not None and _listens(self._own_node) is False:
            self._end = "the node of this machine has ended"
            return
        listens = _listens(self._control)
        if self._is_local and listens is False:
            self._end = "its control service has ended"
        self._listens = bool(listens)


def _alive_nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _port(address: str) -> Port:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _listens(port: Port) -> bool | None:
    """Return whether somebody listens at a port; None where that cannot be told."""
    try:
        socket.create_connection(port, CONNECT_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return None
    return True
