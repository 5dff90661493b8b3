"""The processes that train together: who they are, and how they meet before TensorFlow connects them."""

import json
import os
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass

from textvae.errors import TextvaeError

WAIT = 600.0  # seconds for the others: a machine of a cluster may take minutes to begin


@dataclass(frozen=True)
class Workers:
    """The processes that train together.

    Args:
        hosts: The address of each, ``"host:port"``; the first one writes.
        index: Which of them this is, from 0.

    Raises:
        TextvaeError: An address is none, or there is no such worker.
    """

    hosts: tuple[str, ...]
    index: int

    def __post_init__(self) -> None:
        for host in self.hosts:
            name, _, port = host.rpartition(":")
            if not name or not port.isdecimal() or not 0 < int(port) < 65536:
                raise TextvaeError(f"--workers: {host!r} is no address", "give host:port of each, as in "
                                   "a.example:2222,b.example:2222")
        if len(set(self.hosts)) < len(self.hosts):
            raise TextvaeError("--workers names an address twice", "every worker needs one of its own")
        if not 0 <= self.index < len(self.hosts):
            raise TextvaeError(f"there is no worker {self.index}: --workers names {len(self.hosts)}",
                               f"--worker goes from 0 to {len(self.hosts) - 1}")


def named(hosts: str | None, index: int | None) -> Workers | None:
    """The workers that the command line names, else those of ``TF_CONFIG``, as cluster managers set it.

    Args:
        hosts: ``"host:port,host:port"``.
        index: Which of them this process is.

    Returns:
        None where there is one process only.

    Raises:
        TextvaeError: One of the two is missing, or ``TF_CONFIG`` cannot be used.

    Example:
        >>> named("a:1,b:1", 1)
        Workers(hosts=('a:1', 'b:1'), index=1)
    """
    if hosts is not None and index is not None:
        found = Workers(tuple(hosts.split(",")), index)
    elif hosts is not None or index is not None:
        raise TextvaeError("--workers and --worker go together", "--workers names all processes, the same everywhere, "
                           "--worker says which of them this one is: 0, 1, ...")
    elif "TF_CONFIG" in os.environ:
        found = _of_cluster(os.environ["TF_CONFIG"])
    else:
        return None
    return found if len(found.hosts) > 1 else None


def _of_cluster(text: str) -> Workers:
    try:
        said = json.loads(text)
        cluster, task = said["cluster"], said["task"]
        hosts = [(kind, place) for kind in ("chief", "worker") for place in range(len(cluster.get(kind, ())))]
        return Workers(tuple(cluster[kind][place] for kind, place in hosts),
                       hosts.index((task["type"], int(task["index"]))))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TextvaeError("TF_CONFIG names no worker that can train", "it needs a cluster of workers and a task of "
                           "type chief or worker; or unset it and give --workers and --worker") from error


def meet(among: Workers, wait: float = WAIT) -> None:
    """Wait until all workers are there; the first one is where they meet.

    TensorFlow waits as well, but for an hour, and can meanwhile not be stopped with Ctrl-C.

    Args:
        among: Who they are, and which of them this is.
        wait: Seconds to wait.

    Raises:
        TextvaeError: One of them did not come, or the address of the first one is not free.
    """
    until = time.monotonic() + wait
    if among.index:
        _come(among, until)
    else:
        _receive(among, until)


def _receive(among: Workers, until: float) -> None:
    port = int(among.hosts[0].rpartition(":")[2])
    with ExitStack() as open_:
        try:
            door = open_.enter_context(_door(port))
        except OSError as error:
            raise TextvaeError(f"--workers: port {port} of this machine is not free: {error.strerror}",
                               "end what uses it, or name another port") from error
        here: dict[int, socket.socket] = {}
        while missing := [place for place in range(1, len(among.hosts)) if place not in here]:
            if time.monotonic() > until:
                raise TextvaeError(f"worker {missing[0]}, {among.hosts[missing[0]]}, did not come",
                                   "start it with the same command and its own --worker")
            door.settimeout(1.0)  # so that Ctrl-C is heard
            try:
                guest = open_.enter_context(door.accept()[0])
                guest.settimeout(10.0)
                here[int(guest.recv(16).decode())] = guest
            except (OSError, ValueError):
                pass  # nobody, or somebody who is no worker
            here = {place: guest for place, guest in here.items() if _waits(guest)}
        for guest in here.values():
            guest.sendall(b"begin")


def _door(port: int) -> socket.socket:
    """Where workers come to, by IPv4 and by IPv6 where this machine has both."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _waits(guest: socket.socket) -> bool:
    """Whether a worker that came is still there: one that was stopped has closed its end."""
    guest.setblocking(False)
    try:
        guest.recv(1)  # nothing comes before it is told to begin, so this is the end of what it says
    except BlockingIOError:
        guest.settimeout(10.0)
        return True
    except OSError:
        pass
    return False


def _come(among: Workers, until: float) -> None:
    host, _, port = among.hosts[0].rpartition(":")
    while time.monotonic() < until:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=5.0) as first:
                first.sendall(str(among.index).encode())
                first.settimeout(max(until - time.monotonic(), 1.0))
                if first.recv(16) == b"begin":
                    return
        except OSError:
            pass  # it is not there yet
        time.sleep(0.5)
    raise TextvaeError(f"worker 0, {among.hosts[0]}, did not come", "start it with the same command and --worker 0")
