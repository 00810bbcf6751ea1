"""How much a finding harms this program: of one severity, the worst is the next step. Pure.

What keeps it from starting comes before what spoils its work, that before what fails while it
compiles kernels, which matters little to a program that compiles none.
"""

from collections.abc import Callable, Iterable

from packaging.utils import canonicalize_name

from nixenv.evidence.distributions import SiteListing
from nixenv.findings import Finding
from nixenv.inspect.diagnosis.table import Harm, load_table

# The distributions that compile kernels, or that have something to link with CUDA, while they run.
_COMPILERS = frozenset(
    (
        *("flashinfer-python", "apache-tvm-ffi", "triton", "torch", "sgl-kernel", "deep-gemm"),
        *("numba-cuda", "cuda-core", "nvidia-cutlass-dsl", "tilelang", "deepspeed"),
        *("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x"),
    )
)


def weigh_for(sites: Iterable[SiteListing]) -> Callable[[Finding], int]:
    """Give the function that says how much a finding harms a program with these distributions.

    The least number is the worst.
    """
    names = {canonicalize_name(found.name) for site in sites for found in site.distributions}
    table, order = load_table(), list(Harm)
    # Of a program without any distribution nothing is known: it may compile as it likes.
    compiles = not names or not _COMPILERS.isdisjoint(names)

    def weigh(finding: Finding) -> int:
        harm = table.harm_of(finding.code)
        return order.index(harm if compiles or harm is not Harm.COMPILE else Harm.LITTLE)

    return weigh
