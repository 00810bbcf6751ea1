"""What of CUDA lies in a store object: nvcc's own files, torch's, and NVIDIA's wheels."""

import os
import re
import stat
from collections.abc import Iterator

from nixenv.road.disk import find_entries, is_kind, list_names, read_head, require_text
from nixenv.road.nvcc import parse_host_compiler, parse_torch_cuda
from nixenv.road.prefix import (
    Site,
    find_headers,
    find_programs,
    probe_include,
    probe_libraries,
    probe_newest_gcc,
    real_directory,
)
from nixenv.storepath import StorePath, find_store_paths
from nixenv.typed import NamedTuple

_WHEELS = re.compile(r"cu[0-9]{1,3}")
_NVCC_METADATA = re.compile(
    r"nvidia[-_.]cuda[-_.]nvcc-(\d{1,2}\.\d{1,2})(?:\..+)?\.dist-info", re.IGNORECASE
)


class CudaWheels(NamedTuple):
    """The part of a CUDA toolkit that is in one site-packages: its directory ``nvidia/cuNN``.

    NVIDIA's wheels of CUDA 13 and later all unpack into that one directory, laid out as a toolkit.

    Attributes:
        home: The directory.
        site: The site-packages that it is in.
        version: CUDA's version ``X.Y``, by the metadata of nvidia-cuda-nvcc beside it.
        programs: Those of `PROGRAMS` in its ``bin``, and ``cicc`` where ``nvvm/bin`` has it.
        include_dirs, library_dirs, headers, newest_gcc, cudart: As of a store object, which
            `nixenv.road.probe` notes.
    """

    home: str
    site: str
    version: str | None = None
    programs: tuple[str, ...] = ()
    include_dirs: tuple[str, ...] = ()
    library_dirs: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    newest_gcc: int | None = None
    cudart: str | None = None


class Torch(NamedTuple):
    """The torch in a site-packages.

    Attributes:
        cuda: The CUDA version ``X.Y`` that it was built for, by its ``version.py``; None without.
    """

    cuda: str | None


def probe_nvcc(path: StorePath) -> tuple[str | None, tuple[StorePath, ...]]:
    """Read which compiler nvcc calls, and which store paths its files name."""
    profile = require_text(f"{path}/bin/nvcc.profile")
    script = _read_script(f"{path}/bin/nvcc")
    # Since 2026 its headers are a link to those of cuda_crt.
    crt = os.path.realpath(f"{path}/include/crt")
    mentions = find_store_paths(f"{profile}\n{script}\n{crt}", os.path.dirname(path))
    return parse_host_compiler(profile, script), tuple(p for p in mentions if p != path)


def probe_torch(site: Site) -> Torch | None:
    """Look for torch in a site-packages; None without it."""
    text = require_text(f"{site.directory}/torch/version.py") if "torch" in site.entries else ""
    return Torch(parse_torch_cuda(text)) if text else None


def probe_wheels(site: Site, store_dir: str) -> Iterator[CudaWheels]:
    """Look for the parts of CUDA toolkits in a site-packages."""
    if "nvidia" not in site.entries:
        return
    for name in sorted(filter(_WHEELS.fullmatch, list_names(f"{site.directory}/nvidia"))):
        home = real_directory(f"{site.directory}/nvidia/{name}", store_dir)
        if home is not None:
            yield _probe_wheel(home, site, store_dir)


def _probe_wheel(home: str, site: Site, store_dir: str) -> CudaWheels:
    programs = find_programs(f"{home}/bin", list_names(f"{home}/bin"))
    if is_kind(f"{home}/nvvm/bin/cicc", stat.S_ISREG):
        programs = (*programs, "cicc")
    libraries = probe_libraries(find_entries(home) or {}, store_dir)
    include_dirs = probe_include(f"{home}/include", store_dir)
    metadata = map(_NVCC_METADATA.fullmatch, site.entries if "nvcc" in programs else ())
    return CudaWheels(
        home=home,
        site=site.directory,
        version=next((match[1] for match in metadata if match), None),
        programs=programs,
        include_dirs=include_dirs,
        library_dirs=libraries.directories,
        headers=find_headers(include_dirs),
        newest_gcc=probe_newest_gcc(include_dirs),
        cudart=libraries.cudart,
    )


def _read_script(file: str) -> str:
    """Read a script; empty where the file is none."""
    return require_text(file) if read_head(file, 2) == b"#!" else ""
