"""The CUDA rules of the classify station: which of the toolkits that a closure holds.

Pure: everything is decided from names and from the probe's notes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nixenv.errors import NixenvError
from nixenv.road.choice import Reason
from nixenv.road.cuda_files import CudaWheels
from nixenv.road.cuda_parts import Candidate, Part, find_candidates
from nixenv.road.probe import Probe
from nixenv.road.redistributables import numbers
from nixenv.storepath import StorePath
from nixenv.typed import NamedTuple


class CudaNotFound(NixenvError):
    """No store object with bin/nvcc, or none of the wanted version, where one is required."""

    wanted: str | None
    present: Sequence[str]

    def _texts(self) -> tuple[str, str, Sequence[str]]:
        version = f" of CUDA {self.wanted}" if self.wanted else ""
        others = "; nvcc there is:" if self.present else ""
        if self.present and self.wanted:
            remedy = "choose one of these with --cuda X.Y, or drop the version from the profile"
        elif self.present:
            remedy = "ask one for its version (`nvcc --version`), and give that as --cuda X.Y"
        else:
            remedy = (
                "JIT compilers need it: take a CUDA build of the program, or set "
                "`required = false` under [cuda] in the profile"
            )
        reason = f"no store object with bin/nvcc{version} in the closure{others}"
        return (reason, remedy, self.present)


class Evidence(NamedTuple):
    """What the program says of its CUDA version.

    Attributes:
        torch: The version ``X.Y`` that its torch was built for.
        name: The version that its root's name has.
    """

    torch: str | None = None
    name: str | None = None


class CudaToolkit(NamedTuple):
    """The parts of one CUDA version in the closure.

    Attributes:
        version: ``X.Y``.
        home: The directory with ``bin/nvcc``: a store object, or ``nvidia/cuNN`` in one.
        nvcc: The store object that it is or is in.
        reasons: Why this version, and why this nvcc of it.
        members: The store paths that belong to this version, in closure order.
        homes: What each of them has that is laid out as a toolkit: itself, or ``nvidia/cuNN``.
        include_dirs: Their include directories, each real directory once.
        library_dirs: Their library directories, each real directory once.
        stub_dirs: Their directories of link-time stand-ins (``libcuda.so``), never for run time.
        tools: Their programs besides nvcc: the paths.
        cudart: Which of the library directories has libcudart.
        newest_gcc: The highest major version of gcc that nvcc accepts; None when nothing tells.
        whole: Whether nvcc finds the headers in it that it includes by itself.
        others: Store objects with an nvcc of another version.
        passed_over: Store objects of other patch levels, of which it takes nothing.
    """

    version: str
    home: str
    nvcc: StorePath
    reasons: tuple[Reason, ...]
    members: tuple[StorePath, ...]
    homes: tuple[str, ...]
    include_dirs: tuple[str, ...] = ()
    library_dirs: tuple[str, ...] = ()
    stub_dirs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    cudart: str | None = None
    newest_gcc: int | None = None
    whole: bool = False
    others: tuple[StorePath, ...] = ()
    passed_over: tuple[StorePath, ...] = ()

    @property
    def of_wheels(self) -> bool:
        """Whether it came as Python distributions."""
        return self.home != self.nvcc

    @property
    def tool_dirs(self) -> tuple[str, ...]:
        """The directories of the tools, besides nvcc's own."""
        homes = (tool.rpartition("/")[0] for tool in self.tools)
        return tuple(home for home in dict.fromkeys(homes) if home != f"{self.home}/bin")

    def find_tool(self, name: str) -> str | None:
        """Find one of the tools, such as ``cuobjdump``."""
        return next((tool for tool in self.tools if tool.rpartition("/")[2] == name), None)

    @property
    def in_one_place(self) -> bool:
        """Whether one directory has all of it: it is a CUDA_HOME by itself."""
        return self.whole and self.homes == (self.home,)


def choose_toolkit(
    probe: Probe,
    wanted: str | None,
    *,
    required: bool,
    sites: Sequence[str] = (),
    evidence: Evidence = Evidence(),  # noqa: B008 -- an immutable value
) -> CudaToolkit | None:
    """Choose the CUDA version, and gather its members.

    Args:
        probe: The notes on the closure.
        wanted: The version ``X.Y`` that was asked for.
        required: Whether it is an error when there is none.
        sites: The site-packages directories in use, in their order: CUDA may be in these.
        evidence: What the program says of its version.

    Raises:
        CudaNotFound: there is no nvcc, or none of the wanted version, and one is required or
            wanted.
    """
    candidates = find_candidates(probe, sites, wanted)
    told: dict[str, Candidate] = {}
    for candidate in sorted(candidates, key=lambda candidate: not candidate.whole):
        if candidate.version is not None:
            told.setdefault(candidate.version, candidate)
    if wanted is not None:
        order = iter([(wanted, Reason.ASKED_FOR)] if wanted in told else [])
    else:
        order = _order_versions(told, evidence)
    version, why = next(order, (None, Reason.HIGHEST_VERSION))
    if version is not None:
        return _assemble(version, told[version], why, candidates)
    if required or wanted:
        raise CudaNotFound(wanted, tuple(f"{c.version or '?'}  {c.nvcc.path}" for c in candidates))
    return None


def _assemble(
    version: str, chosen: Candidate, why: Reason, candidates: Iterable[Candidate]
) -> CudaToolkit:
    parts = chosen.parts
    stub_dirs = _once(part.stub_dirs for part in parts)
    library_dirs = _once(part.note.library_dirs for part in parts)
    limits = (part.note.newest_gcc for part in (chosen.nvcc, *parts))
    return CudaToolkit(
        version=version,
        home=chosen.nvcc.home,
        nvcc=chosen.nvcc.path,
        reasons=(why, _nvcc_reason(chosen.nvcc)),
        members=tuple(part.path for part in parts),
        homes=tuple(part.home for part in parts),
        include_dirs=_once(part.note.include_dirs for part in parts),
        library_dirs=tuple(path for path in library_dirs if path not in stub_dirs),
        stub_dirs=stub_dirs,
        tools=tuple(f"{part.home}/bin/{tool}" for part in parts for tool in part.tools),
        cudart=next(filter(None, (part.note.cudart for part in parts)), None),
        newest_gcc=next(filter(None, limits), None),
        whole=chosen.whole,
        others=tuple(c.nvcc.path for c in candidates if c.version != version),
        passed_over=tuple(part.path for part in chosen.passed_over),
    )


def _order_versions(
    told: Mapping[str, Candidate], evidence: Evidence
) -> Iterator[tuple[str, Reason]]:
    """Give the versions, the preferred one first: by what the program says, as far as it is whole.

    "CUDA version" in docs/architecture.md.
    """
    if len(told) == 1:
        yield next(iter(told)), Reason.ONLY_VERSION
    spoken: dict[str, Reason] = {}
    if evidence.torch is not None:
        spoken[evidence.torch] = Reason.BUILT_FOR
    if evidence.name is not None:
        spoken.setdefault(evidence.name, Reason.ROOT_HAS_VERSION)
    whole = [version for version in told if told[version].whole]
    yield from ((version, reason) for version, reason in spoken.items() if version in whole)
    for version in spoken:
        near = [other for other in whole if _major(other) == _major(version)]
        for other in sorted(near, key=lambda other: _distance(other, version)):
            yield other, Reason.NEAREST_WHOLE
    yield from ((v, Reason.HIGHEST_WHOLE) for v in sorted(whole, key=numbers, reverse=True))
    yield from ((version, reason) for version, reason in spoken.items() if version in told)
    yield from ((v, Reason.HIGHEST_VERSION) for v in sorted(told, key=numbers, reverse=True))


def _major(version: str) -> str:
    return version.partition(".")[0]


def _distance(version: str, wanted: str) -> tuple[int, int]:
    # Of two that are as near, the newer: it compiles what the older one does.
    minor = numbers(version)[1]
    return abs(minor - numbers(wanted)[1]), -minor


def _nvcc_reason(nvcc: Part) -> Reason:
    if isinstance(nvcc.note, CudaWheels):
        return Reason.DISTRIBUTIONS
    if nvcc.name.cuda is None:
        return Reason.TOLD_BY_USER
    return Reason.JOINED_TOOLKIT if nvcc.name.joined else Reason.NVCC_OF_VERSION


def _once(directories: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for paths in directories for path in paths))
