"""`make bench`: what an activation costs, against the bash walk, on closures of three sizes."""

import argparse
import tempfile
from pathlib import Path

from benchmarks.measure import Timing, time_commands
from benchmarks.report import describe_machine, plot, summary, to_json, to_markdown
from benchmarks.scenario import activations, make_scenario

RESULTS = Path(__file__).with_name("results")
PLOT = Path(__file__).parents[1] / "docs/activation-cost.svg"

# Store paths, and rounds: the walk takes twelve seconds on the largest.
SIZES = {600: 31, 2_000: 21, 10_000: 5}


def main() -> None:
    """Measure, and write benchmarks/results/ and the plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="three rounds of the smaller sizes, written nowhere"
    )
    quick = parser.parse_args().quick
    sizes = {600: 3, 2_000: 3} if quick else SIZES
    results: dict[int, dict[str, Timing]] = {}
    with tempfile.TemporaryDirectory(prefix="nixenv-bench-") as base:
        for size, rounds in sizes.items():
            print(f"{size} store paths, {rounds} rounds ...", flush=True)
            scenario = make_scenario(Path(base), size)
            results[size] = time_commands(activations(scenario), rounds)
    print(summary(results))
    if not quick:
        machine = describe_machine()
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "activation.json").write_text(to_json(results, machine))
        (RESULTS / "activation.md").write_text(to_markdown(results, machine))
        plot(results, PLOT)
        print(f"written to {RESULTS.name}/ and {PLOT.name}")


if __name__ == "__main__":
    main()
