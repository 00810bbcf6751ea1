"""The closure as people ask about it: all that the second looks found."""

from attrs import frozen

from nixenv.evidence.distributions import SiteListing
from nixenv.evidence.graph import Graph
from nixenv.evidence.toolkit_files import ToolkitFiles


@frozen
class Contents:
    """What a closure holds, beyond what ``export`` needs.

    Attributes:
        sites: What each site-packages directory holds.
        files: What the include and library directories hold.
        graph: References and sizes; None where there is no Nix to ask.
    """

    sites: tuple[SiteListing, ...]
    files: ToolkitFiles
    graph: Graph | None
