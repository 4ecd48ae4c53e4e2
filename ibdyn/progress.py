"""How far a run is: a bar on a terminal, a plain line every half minute elsewhere, on stderr."""

import sys
import time
from types import TracebackType

from tqdm import tqdm

SECONDS = 30


class Progress:
    """Shows epoch, rate, time left and training loss while ``shown``."""

    def __init__(self, epochs: int, *, shown: bool) -> None:
        terminal = sys.stderr.isatty()
        self.bar = tqdm(
            total=epochs, unit="epoch", disable=not (shown and terminal), dynamic_ncols=True
        )
        self.epochs = epochs
        self.lines = shown and not terminal
        self.said = time.monotonic()
        self.begun: tuple[int, float] | None = None
        self.loss = float("nan")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.bar.close()

    def at(self, epoch: int, loss: float | None = None) -> None:
        """The run has reached ``epoch``, maybe with a new mean training loss in nats."""
        self.loss = self.loss if loss is None else loss
        self.bar.set_postfix_str(f"loss {self.loss:.4f} nat", refresh=False)
        self.bar.update(epoch - self.bar.n if not self.bar.disable else 0)
        now = time.monotonic()
        if self.begun is None:
            # The first epochs wait for compilation: rates count from after it.
            self.begun = (epoch, now) if epoch else None
        elif self.lines and now - self.said >= SECONDS:
            self.said = now
            rate = (epoch - self.begun[0]) / (now - self.begun[1])
            left = tqdm.format_interval((self.epochs - epoch) / rate)
            print(
                f"epoch {epoch} of {self.epochs}, {rate:.1f} epochs/s, {left} left, "
                f"loss {self.loss:.4f} nat",
                file=sys.stderr,
            )
