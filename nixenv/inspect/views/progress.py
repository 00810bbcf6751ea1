"""A bar that shows how far a look has come, where that takes longer than people wait."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

_PATIENCE = 1.0
"""Seconds before the bar appears: who is served sooner wants no flicker."""


@contextmanager
def show_progress(stages: int, *, is_shown: bool) -> Iterator[Callable[[str], None]]:
    """Give what is to be called with the name of each stage; the bar is on stderr, and goes away.

    Args:
        stages: How many there will be.
        is_shown: Whether there is somebody to see it.
    """
    if not is_shown:
        yield lambda _stage: None
        return
    progress = Progress(
        TextColumn("nixenv: {task.description}"),
        BarColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = progress.add_task("", total=stages)
    timer = Timer(_PATIENCE, progress.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda stage: progress.update(task, description=stage, advance=1)
    finally:
        timer.cancel()
        timer.join()  # it may just be starting the bar
        progress.stop()
