"""Write results down: JSON for programs, Markdown for people, a plot of cost against size."""

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import nixenv
from benchmarks.measure import Timing
from benchmarks.scenario import EMPTY, NIX, WALKED

_COLUMNS = (
    *("median", "min", "max"),
    *("bash walk ÷ this", "this ÷ empty bash", "this ÷ nix-store", "memory"),
)

Results = Mapping[int, Mapping[str, Timing]]


def describe_machine() -> dict[str, str]:
    """Tell what the numbers were measured on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    cores = str(len([*Path("/sys/devices/system/cpu").glob("cpu[0-9]*")]))
    return {
        "processor": cpu,
        "cores": cores,
        "kernel": platform.release(),
        "bash": _first_line("bash", "--version"),
        "nix": _first_line("nix-store", "--version"),
        "python": platform.python_version(),
        "nixenv": nixenv.__version__,
    }


def to_json(results: Results, imports: Results, machine: Mapping[str, str]) -> str:
    """Write every run, in seconds; memory in bytes."""
    document = {
        "schema": 1,
        "machine": dict(machine),
        "activation, by store paths": _plain(results),
        "imports, by site-packages directories": _plain(imports),
    }
    return json.dumps(document, indent=1) + "\n"


def to_markdown(results: Results, imports: Results, machine: Mapping[str, str]) -> str:
    """Write a table for each size, with the ratios that the project holds itself to."""
    lines = ["# What an activation costs", ""]
    lines += [f"- {name}: {value}" for name, value in machine.items()]
    lines += ["", "Whole processes, interleaved in one run; medians. `make bench` makes this page."]
    for size, timings in results.items():
        runs = len(next(iter(timings.values())).seconds)
        lines += ["", f"## {size} store paths, {runs} runs each", ""]
        lines.append(f"| | {' | '.join(_COLUMNS)} |")
        lines.append("|---|" + "---:|" * len(_COLUMNS))
        lines += [_row(name, timing, timings) for name, timing in timings.items()]
    lines += ["", "# What the environment costs the program", ""]
    lines += ["Start-up, and an import of every module of the program.", ""]
    return "\n".join(lines) + f"\n{summary(imports, 'site-packages directories')}"


def summary(results: Results, unit: str) -> str:
    """Write a short table, such as those of docs/cost.md: medians by size."""
    sizes = list(results)
    lines = ["| | " + " | ".join(f"{size} {unit}" for size in sizes) + " |"]
    lines.append("|---|" + "---:|" * len(sizes))
    for name in next(iter(results.values())):
        cells = [_milliseconds(results[size][name]) for size in sizes]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def plot(results: Results, file: Path) -> None:
    """Draw cost against closure size as SVG."""
    import matplotlib as mpl  # noqa: PLC0415 -- of the `bench` group only

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "nixenv"
    from matplotlib import pyplot as plt  # noqa: PLC0415 -- after the backend is chosen

    figure, axes = plt.subplots(figsize=(7, 4.2))
    sizes = list(results)
    for name in next(iter(results.values())):
        axes.plot(sizes, [results[s][name].median * 1e3 for s in sizes], marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="store paths in the closure", ylabel="milliseconds")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def _plain(results: Results) -> dict[str, object]:
    return {
        str(size): {
            name: {"seconds": t.seconds, "memory": t.memory, "failed": t.failed}
            for name, t in timings.items()
        }
        for size, timings in results.items()
    }


def _row(name: str, timing: Timing, timings: Mapping[str, Timing]) -> str:
    cells = [
        name + (" (fails)" if timing.failed else ""),
        *(f"{seconds * 1e3:.1f} ms" for seconds in (timing.median, *_extremes(timing.seconds))),
        f"{timings[WALKED].median / timing.median:.2f}",
        f"{timing.median / timings[EMPTY].median:.2f}",
        f"{timing.median / timings[NIX].median:.2f}",
        f"{timing.memory / (1 << 20):.0f} MiB",
    ]
    return "| " + " | ".join(cells) + " |"


def _extremes(seconds: Sequence[float]) -> tuple[float, float]:
    return min(seconds), max(seconds)


def _milliseconds(timing: Timing) -> str:
    return f"{timing.median * 1e3:.1f} ms" + (" (fails)" if timing.failed else "")


def _first_line(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
