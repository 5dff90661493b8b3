"""Batches made by a thread while the step before computes."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")


def ahead(batches: Iterable[Item], most: int = 4) -> Iterator[Item]:
    """The same batches in the same order, made by a thread while the step before computes."""
    made: queue.Queue[Any] = queue.Queue(most)
    stop = threading.Event()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                made.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        try:
            for batch in batches:
                if not put(batch):
                    return
            put(None)
        except BaseException as error:  # handed over, to be raised where the batches are read
            put(error)

    thread = threading.Thread(target=make, daemon=True, name="batches")
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
