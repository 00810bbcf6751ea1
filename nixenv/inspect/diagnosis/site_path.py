"""The site-packages directories in use, in the order of the path, with what they hold. Pure."""

from collections.abc import Iterable, Sequence

from attrs import frozen
from packaging.utils import canonicalize_name

from nixenv.evidence.distributions import Distribution, SiteListing
from nixenv.road.classify import Inventory


@frozen
class Site:
    """One directory of the path.

    Attributes:
        listing: What it holds.
        own: Whether the program itself uses it. Where nothing tells which of them it uses, all.
    """

    listing: SiteListing
    own: bool

    @property
    def directory(self) -> str:
        """Its path."""
        return self.listing.directory


@frozen
class Installed:
    """A distribution in its place."""

    distribution: Distribution
    site: Site

    @property
    def title(self) -> str:
        """``torch 2.9.1``."""
        return f"{self.distribution.name} {self.distribution.version}"


def order_sites(inventory: Inventory, sites: Iterable[SiteListing]) -> tuple[Site, ...]:
    """Put the directories in use into the order in which Python looks into them."""
    listings = {listing.directory: listing for listing in sites}
    parts = [part for part in inventory.site_packages if part.directory in listings]
    is_told = any(part.own for part in parts)
    return tuple(Site(listings[part.directory], part.own or not is_told) for part in parts)


def group_by_project(path: Sequence[Site]) -> dict[str, list[Installed]]:
    """Give the distributions by normalised name; of several, the first one wins."""
    projects: dict[str, list[Installed]] = {}
    for site in path:
        for found in site.listing.distributions:
            projects.setdefault(canonicalize_name(found.name), []).append(Installed(found, site))
    return projects
