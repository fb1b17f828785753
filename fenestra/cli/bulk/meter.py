"""How far a bulk job is, on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import Any

_LINE_SECONDS = 10.0  # between two lines of progress where there is no terminal


class Meter:
    """Tells how far the tagging is, how fast, and how long it will take."""

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        """Start counting.

        Args:
            total: bytes that there are to read; 0 if that is not known.
            quiet: nothing is shown: the results run over the same terminal.
        """
        self._began = self._told = time.monotonic()
        self._total, self._read, self._skipped = total, 0, 0
        self._texts = self._tokens = 0
        self._plain = not quiet and not sys.stderr.isatty()
        self._bar = None if quiet or self._plain else _bar(total)

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._plain and kind is None:
            self._tell("")

    def skip(self, read: int) -> None:
        """Count bytes that an earlier run has tagged."""
        self._skipped += read
        if self._bar is not None:
            self._bar.initial += read
            self._bar.update(read)

    def count(self, read: int, texts: int, tokens: int) -> None:
        """Count what was tagged: bytes that were read for it, texts and tokens."""
        self._read += read
        self._texts += texts
        self._tokens += tokens
        if self._bar is not None:
            self._bar.set_postfix_str(f"{self._rate():,.0f} tokens/s", refresh=False)
            self._bar.update(read)
        if self._plain and time.monotonic() - self._told > _LINE_SECONDS:
            self._tell(self._left())

    def _rate(self) -> float:
        return self._tokens / max(time.monotonic() - self._began, 1e-9)

    def _left(self) -> str:
        """How much there is to do, and how long that will take."""
        if not self._total or not self._read:
            return ""
        share = min((self._read + self._skipped) / self._total, 1.0)
        seconds = (time.monotonic() - self._began) * max(self._total - self._skipped - self._read, 0) / self._read
        minutes, seconds = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f", {share:.0%} done, {hours}:{minutes:02}:{seconds:02} left"

    def _tell(self, left: str) -> None:
        self._told = time.monotonic()
        beside = ", beside what an earlier run did" * bool(self._skipped and not left)
        sys.stderr.write(
            f"tagged {self._texts:,} texts, {self._tokens:,} tokens in {self._told - self._began:.1f} s, "
            f"{self._rate():,.0f} tokens/s{left}{beside}\n"
        )


def _bar(total: int) -> Any:  # noqa: ANN401 - tqdm says nothing of its types
    """A bar without the thread that tqdm would start for it: processes could not be forked beside one."""
    from tqdm import tqdm  # takes as long as all of ours

    class Bar(tqdm):  # type: ignore[misc]
        monitor_interval = 0

    return Bar(
        total=total or None, unit="B", unit_scale=True, leave=False, file=sys.stderr, dynamic_ncols=True
    )  # fmt: skip
