"""The probe station's second look, for people: what each site-packages directory holds.

``export`` does without it: listing hundreds of directories is what makes a shell slow.
"""

import os
from importlib.metadata import PathDistribution
from pathlib import Path

from attrs import frozen

from nixenv.probe import Probe


@frozen
class Distribution:
    """An installed distribution, by its own metadata."""

    name: str
    version: str


@frozen
class SiteListing:
    """What one site-packages directory holds.

    Attributes:
        directory: Its path.
        distributions: The distributions whose metadata is in it, by name.
        path_files: Its ``.pth`` files, which work in a site directory but not on PYTHONPATH.
    """

    directory: str
    distributions: tuple[Distribution, ...]
    path_files: tuple[str, ...]


def probe_distributions(probe: Probe) -> tuple[SiteListing, ...]:
    """List every site-packages directory of the closure; one that cannot be read is empty."""
    return tuple(
        _list_site_packages(f"{found.path}/lib/python{version}/site-packages")
        for found in probe.objects
        for version in found.site_packages
    )


def _list_site_packages(directory: str) -> SiteListing:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        names = []
    metadata = [name for name in names if name.endswith((".dist-info", ".egg-info"))]
    return SiteListing(
        directory,
        tuple(_read_distribution(directory, name) for name in metadata),
        tuple(name for name in names if name.endswith(".pth")),
    )


def _read_distribution(directory: str, name: str) -> Distribution:
    """Read Name and Version; where the metadata has none, the directory's name has to do."""
    stem, _, version = name.rpartition(".")[0].partition("-")
    version = version or "?"
    try:
        metadata = PathDistribution(Path(directory, name)).metadata
        return Distribution(metadata["Name"] or stem, metadata["Version"] or version)
    except (OSError, ValueError, LookupError):
        return Distribution(stem, version)
