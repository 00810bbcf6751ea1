"""What LD_LIBRARY_PATH and LD_PRELOAD hold, on plain data."""

from nixenv.evidence.machine import ForeignFile, Machine
from nixenv.evidence.preload import Preloads, Refusal
from nixenv.findings import Finding, Severity
from nixenv.inspect.diagnosis.loader import check_loader


def check(preload: str, preloads: Preloads, *foreign: str) -> list[Finding]:
    files = tuple(ForeignFile("LD_PRELOAD", file, "") for file in foreign)
    return list(
        check_loader(
            Machine(
                "x86_64",
                variables={"LD_PRELOAD": preload},
                preloads=preloads,
                foreign_files=files,
            )
        )
    )


def test_each_remedy_takes_away_what_any_of_them_does() -> None:
    """Followed in whatever order, no entry comes back."""
    preloads = Preloads((Refusal("/gone.so", "cannot open shared object file"),))
    found = check(
        "/gone.so /good.so:/usr/lib/libcudart.so.12", preloads, "/usr/lib/libcudart.so.12"
    )
    assert [finding.code for finding in found] == ["environment-foreign-entries", "preload-ignored"]
    assert {finding.remedy for finding in found} == {"`export LD_PRELOAD=/good.so`"}
    assert found[1].evidence == ("/gone.so: cannot open shared object file",)


def test_one_that_ends_every_program_is_an_error() -> None:
    """With the loader's words, and nothing less beside it."""
    (found,) = check("/x.so", Preloads(failure="version `GLIBC_2.99' not found"))
    assert (found.code, found.severity) == ("preload-fatal", Severity.ERROR)
    assert found.evidence == ("LD_PRELOAD=/x.so", "version `GLIBC_2.99' not found")
