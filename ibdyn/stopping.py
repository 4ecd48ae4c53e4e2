"""Work that a signal may stop, and the exception in which it ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(KeyboardInterrupt):
    """Work that ended early: what of it is ``kept``, and ``status``, its signal's exit status."""

    def __init__(self, number: int, kept: str) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}, {kept}")
        self.status = 128 + number


@contextmanager
def signals(patience: int) -> Iterator[list[int]]:
    """The numbers of the SIGINTs and SIGTERMs that came, as they come.

    The first ``patience`` of them are only noted; those after raise KeyboardInterrupt. Signals are
    the main thread's: elsewhere there will be none.
    """
    came: list[int] = []

    def note(number: int, _: object) -> None:
        came.append(number)
        if len(came) > patience:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
