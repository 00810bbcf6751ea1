"""What else the shell is set up for: conda, compiler flags, lists of architectures. Pure."""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from nixenv.evidence.gpu import Gpu
from nixenv.evidence.machine import Machine
from nixenv.evidence.nvcc_flags import split_flags, take_ccbin
from nixenv.findings import Code, Finding, Severity
from nixenv.inspect.diagnosis.gpu import oldest_capability, visible_gpus
from nixenv.text import as_code, printable

_FLAGS = (
    *("NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS"),
    *("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "NIX_CFLAGS_COMPILE", "NIX_LDFLAGS"),
)

# What names programs, or directories: gcc's (its manual, "Environment Variables"), and those by
# which triton, flashinfer, torch and CMake are told of CUDA's tools.
_PLACES = (
    *("C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "COMPILER_PATH", "GCC_EXEC_PREFIX", "NVCC_CCBIN"),
    *("TRITON_PTXAS_PATH", "TRITON_CUOBJDUMP_PATH", "TRITON_NVDISASM_PATH"),
    *("FLASHINFER_NVCC", "PYTORCH_NVCC", "CUDACXX"),
)

# What leads a compiler to other headers, libraries or programs: gcc's and nvcc's options, with the
# path behind them in the same word or in the next one. nvcc's have one or two hyphens.
_LEADING = re.compile(
    r"(?:-I|-isystem|-L|-B|-ccbin|--compiler-bindir|--include-path|--library-path|-Wl,-rpath,)"
    r"[= ]?(?P<path>/.*)"
)
_LEADING_WORDS = (
    *("-I", "-isystem", "-L", "-B", "-ccbin"),
    *("--compiler-bindir", "--include-path", "--library-path"),
)

# What separates the entries: torch/utils/cpp_extension.py takes a space as a semicolon, and
# flashinfer/compilation_context.py a space alone. A comma makes both end.
_ARCHITECTURE_LISTS = {"TORCH_CUDA_ARCH_LIST": "[ ;]", "FLASHINFER_CUDA_ARCH_LIST": " "}

# 9.0, 9.0a, 10.3f, 8.6+PTX; names such as Hopper are for torch to know, and are not judged.
_ARCHITECTURE = re.compile(r"(?P<major>[0-9]{1,2})\.(?P<minor>[0-9])(?P<only>[af]?)(?P<ptx>\+PTX)?")
_NAMES = re.compile(r"[A-Z][a-z]+(?:\+[A-Za-z]+)*")

# In nvcc's own flags: -arch=sm_90, --gpu-code sm_90a, -gencode arch=compute_90,code=sm_90.
_NAMED_TO_NVCC = re.compile(r"\b(?:sm|compute)_(?P<code>[0-9]{2,3})[af]?\b")


def check_surroundings(
    variables: Mapping[str, str | None],
    machine: Machine,
    store_dir: str,
    toolkit_version: str | None,
    export_command: str,
    codes: Sequence[str] = (),
    refused: Collection[str] = (),
) -> Iterator[Finding]:
    """Judge what the shell holds for other programs, and compilers of this one obey.

    Args:
        variables: What each variable should be; None for unset.
        machine: The machine as it is.
        store_dir: The store directory.
        toolkit_version: The toolkit's CUDA version, ``12.8``; None where there is no toolkit.
        export_command: What prints this environment for a shell.
        codes: What the toolkit's nvcc compiles for, ``90`` for sm_90, if known.
        refused: The variables that name a compiler which nvcc refuses: another finding has that.
    """
    activate = f'eval "$({export_command})"'
    yield from _check_conda(variables, machine.variables, store_dir, activate)
    yield from _check_tools(machine, activate)
    if toolkit_version is not None:
        yield from _check_flags(variables, machine.variables, store_dir, refused)
        yield from _check_architectures(machine, toolkit_version, codes)
        yield from _check_named_to_nvcc(machine.variables, toolkit_version, codes)


def _check_conda(
    variables: Mapping[str, str | None], now: Mapping[str, str], store_dir: str, activate: str
) -> Iterator[Finding]:
    conda = now.get("CONDA_PREFIX")
    if not conda:
        return
    entries = now.get("PATH", "").split(os.pathsep)
    own = f"{variables.get('VIRTUAL_ENV') or store_dir}/"
    ours = [number for number, entry in enumerate(entries) if entry.startswith(own)]
    theirs = [number for number, entry in enumerate(entries) if entry.startswith(f"{conda}/")]
    is_first = bool(theirs) and (not ours or theirs[0] < ours[0])
    yield Code.CONDA_ACTIVE.found(
        "a conda environment is active as well; its programs come "
        + ("first: compilers and Python may be conda's" if is_first else "behind this one's"),
        (f"CONDA_PREFIX={conda}", *(entries[number] for number in theirs)),
        as_code(f"conda deactivate; {activate}"),
        severity=Severity.WARNING if is_first else Severity.NOTE,
    )


def _check_tools(machine: Machine, activate: str) -> Iterator[Finding]:
    for tool in machine.tools:
        if tool.problem:
            is_named = tool.name != "ninja" and bool(machine.variables.get(tool.name))
            unset = f"unset {tool.name}; " if is_named else ""
            yield Code.TOOL_BROKEN.found(
                f"{tool.name}: {tool.command} does not start; nothing can be compiled with it",
                (tool.problem,),
                f"repair or remove it, or put this environment's first: "
                f"{as_code(unset + activate)}",
            )


def _check_flags(
    variables: Mapping[str, str | None],
    now: Mapping[str, str],
    store_dir: str,
    refused: Collection[str],
) -> Iterator[Finding]:
    # What the profile sets leads where it should: in layout linked, to a farm.
    theirs = {name: value for name, value in now.items() if value != variables.get(name)}
    flox = (now.get("FLOX_ENV", ""), *now.get("FLOX_ENV_DIRS", "").split(os.pathsep))
    known = tuple(f"{place}/" for place in (store_dir, *filter(None, flox)))
    told = (
        *((n, _foreign_words(theirs.get(n, ""), known, is_refused=n in refused)) for n in _FLAGS),
        *((n, _foreign_places(theirs.get(n, ""), known)) for n in _PLACES if n not in refused),
    )
    foreign = {name: words for name, found in told if (words := tuple(found))}
    if foreign:
        yield Code.COMPILER_FLAGS_FOREIGN.found(
            f"{', '.join(foreign)}: compilers are led to headers, libraries or compilers of this "
            "machine",
            tuple(f"{name}: {' '.join(words)}" for name, words in foreign.items()),
            as_code(f"unset {' '.join(foreign)}"),
        )


def _foreign_places(value: str, known: tuple[str, ...]) -> Iterator[str]:
    for place in value.split(os.pathsep):
        if place.startswith("/") and not f"{place}/".startswith(known):
            yield place


def _foreign_words(flags: str, known: tuple[str, ...], *, is_refused: bool) -> Iterator[str]:
    words = split_flags(flags)
    if is_refused:
        words = take_ccbin(words)[1]
    for number, word in enumerate(words):
        following = words[number + 1 : number + 2]
        whole = f"{word} {following[0]}" if word in _LEADING_WORDS and following else word
        found = _LEADING.fullmatch(whole)
        if found and not f"{found['path']}/".startswith(known):
            yield whole


# Lists of architectures ---------------------------------------------------------------------------


def _check_architectures(
    machine: Machine, toolkit_version: str, codes: Sequence[str]
) -> Iterator[Finding]:
    for name, separator in _ARCHITECTURE_LISTS.items():
        text = machine.variables.get(name, "")
        entries = list(filter(None, re.split(separator, text)))
        listed = list(filter(None, map(_ARCHITECTURE.fullmatch, entries)))
        if len(listed) < len(entries):
            yield from _check_entries(name, text, entries)
            continue
        if not listed:
            continue
        gpus = [gpu for _, gpu in visible_gpus(machine)]
        unfit = [gpu for gpu in gpus if not _is_covered(gpu, listed)]
        beyond = [found[0] for found in listed if not _compiles(found, toolkit_version, codes)]
        if unfit:
            yield _tell_unfit(
                name,
                text,
                f"leaves out {', '.join(dict.fromkeys(gpu.name for gpu in unfit))}: what is "
                "compiled does not run there",
                tuple(f"{gpu.label}: compute capability {gpu.compute_capability}" for gpu in unfit),
                Severity.WARNING if len(unfit) < len(gpus) else Severity.ERROR,
            )
        elif beyond:
            unknown = f"asks for {', '.join(beyond)}, which nvcc of CUDA {toolkit_version} does "
            yield _tell_unfit(name, text, f"{unknown}not compile for")


def _check_entries(name: str, text: str, entries: Sequence[str]) -> Iterator[Finding]:
    strange = [
        entry
        for entry in entries
        if not _ARCHITECTURE.fullmatch(entry) and not _NAMES.fullmatch(entry)
    ]
    if strange:
        yield _tell_unfit(
            name,
            text,
            f"cannot be read: {printable(', '.join(strange))} is no architecture; they are written "
            "9.0, with a space between two",
        )


def _tell_unfit(
    name: str,
    text: str,
    what: str,
    evidence: tuple[str, ...] = (),
    severity: Severity = Severity.WARNING,
) -> Finding:
    return Code.ARCHITECTURE_LIST_UNFIT.found(
        f"{name} {what}", (f"{name}={text}", *evidence), as_code(f"unset {name}"), severity
    )


def _check_named_to_nvcc(
    now: Mapping[str, str], toolkit_version: str, codes: Sequence[str]
) -> Iterator[Finding]:
    """Look whether nvcc knows the architectures that each call of it is told besides its own."""
    for name in ("NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS"):
        text = now.get(name, "")
        named = _NAMED_TO_NVCC.finditer(text) if codes else ()
        beyond = dict.fromkeys(found[0] for found in named if found["code"] not in codes)
        if beyond:
            unknown = f"asks for {', '.join(beyond)}, which nvcc of CUDA {toolkit_version} does "
            what = f"{unknown}not compile for: every compilation fails"
            yield _tell_unfit(name, text, what, severity=Severity.ERROR)


def _is_covered(gpu: Gpu, listed: Sequence[re.Match[str]]) -> bool:
    """Say whether what is compiled for one of these runs on the GPU.

    CUDA C++ Programming Guide, "Compute Capabilities": ``a`` runs on that one alone, ``f`` and
    plain ones on later ones of the same major version, PTX on all later ones.
    """
    if gpu.compute_capability is None:
        return True
    has = _capability(gpu.compute_capability)
    return any(
        has == wants
        if found["only"] == "a"
        else wants <= has and (bool(found["ptx"]) or has[0] == wants[0])
        for found in listed
        for wants in [(int(found["major"]), int(found["minor"]))]
    )


def _compiles(found: re.Match[str], toolkit_version: str, codes: Sequence[str]) -> bool:
    if codes:
        return f"{found['major']}{found['minor']}" in codes
    oldest = oldest_capability(toolkit_version)
    return oldest is None or (int(found["major"]), int(found["minor"])) >= _capability(oldest)


def _capability(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor)
