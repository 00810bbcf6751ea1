"""What of one severity comes first: what harms this program most."""

import pytest

from nixenv.evidence.distributions import Distribution, SiteListing
from nixenv.findings import Code
from nixenv.inspect.diagnosis.harm import weigh_for
from nixenv.inspect.report import choose_next_step, rank_findings


def site(*names: str) -> SiteListing:
    return SiteListing("/site", tuple(Distribution(name, "1") for name in names))


HEADERS = Code.CUDA_LIBRARY_WITHOUT_HEADERS.found("no headers", remedy="install libcublas")
NINJA = Code.CUDA_NO_NINJA.found("no ninja", remedy="install ninja")
LEAK = Code.PYTHON_PATH_LEAK.found("a leak", remedy="unset it")
OUTDATED = Code.ENVIRONMENT_OUTDATED.found("replaced", remedy="activate")


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["sglang", "Triton"], [OUTDATED, LEAK, NINJA, HEADERS]),
        ([], [OUTDATED, LEAK, NINJA, HEADERS]),
        (["requests"], [OUTDATED, LEAK, HEADERS, NINJA]),
    ],
)
def test_warnings_by_their_harm(names: list[str], order: list[object]) -> None:
    """To start, to work, to compile; a program that compiles nothing does without a compiler."""
    found = rank_findings([HEADERS, NINJA, LEAK, OUTDATED], weigh_for([site(*names)]))
    assert list(found) == order
    assert choose_next_step(found) == "activate"


def test_an_error_comes_before_any_warning() -> None:
    """However little the harm."""
    error = Code.CUDA_HOST_COMPILER_TOO_NEW.found("too new")
    assert rank_findings([OUTDATED, error], weigh_for([site("x")]))[0] is error
