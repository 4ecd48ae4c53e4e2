"""How far a run is: a bar on a terminal, a plain line every half minute elsewhere, on stderr."""

import sys
import time
from types import TracebackType

from tqdm import tqdm

SECONDS = 30


class Progress:
    """Shows how many units of ``total`` are done, rate and time left while ``shown``."""

    def __init__(self, total: int, *, shown: bool, unit: str = "epoch") -> None:
        terminal = sys.stderr.isatty()
        self.bar = tqdm(
            total=total, unit=unit, disable=not (shown and terminal), dynamic_ncols=True
        )
        self.total, self.unit = total, unit
        self.lines = shown and not terminal
        self.said = time.monotonic()
        self.begun: tuple[int, float] | None = None
        self.loss = ""

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.close()

    def at(self, done: int, loss: float | None = None) -> None:
        """So many are ``done``, maybe with a new mean training loss in nats."""
        self.loss = self.loss if loss is None else f"loss {loss:.4f} nat"
        self.bar.set_postfix_str(self.loss, refresh=False)
        self.bar.update(done - self.bar.n if not self.bar.disable else 0)
        now = time.monotonic()
        if self.begun is None:
            # The first wait for compilation: rates count from after it.
            self.begun = (done, now) if done else None
        elif self.lines and done > self.begun[0] and now - self.said >= SECONDS:
            self.said = now
            rate = (done - self.begun[0]) / (now - self.begun[1])
            left = tqdm.format_interval((self.total - done) / rate)
            parts = [f"{self.unit} {done} of {self.total}", f"{rate:.1f} {self.unit}s/s"]
            parts += [f"{left} left", *filter(None, [self.loss])]
            print(", ".join(parts), file=sys.stderr)
