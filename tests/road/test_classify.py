"""What classify tells of its choices."""

import pytest

from nixenv.findings import Severity
from nixenv.road.choice import Reason
from nixenv.road.classify import Inventory, find_ambiguities
from nixenv.road.cuda import CudaToolkit
from tests.closures import store_path

NVCC = store_path("cuda12.8-cuda_nvcc-12.8.93")
OTHER = store_path("cuda13.0-cuda_nvcc-13.0.48")
GUESSED = (Reason.NEAREST_WHOLE, Reason.HIGHEST_WHOLE, Reason.HIGHEST_VERSION)
KNOWN = (Reason.ASKED_FOR, Reason.BUILT_FOR, Reason.ROOT_HAS_VERSION, Reason.ONLY_VERSION)


def inventory(toolkit: CudaToolkit | None) -> Inventory:
    return Inventory(store_path("root"), None, (), toolkit, None, None)


def toolkit_for(reason: Reason, *others: str) -> CudaToolkit:
    return CudaToolkit(
        version="12.8",
        home=NVCC,
        nvcc=NVCC,
        reasons=(reason, Reason.NVCC_OF_VERSION),
        members=(NVCC,),
        homes=(NVCC,),
        others=tuple(map(store_path, others)),
    )


@pytest.mark.parametrize("reason", GUESSED)
@pytest.mark.parametrize("linked", [True, False])
def test_several_compilers_are_told_where_one_was_guessed(reason: Reason, *, linked: bool) -> None:
    """The version, the compiler, why, and those that were not taken."""
    toolkit = toolkit_for(reason, "cuda13.0-cuda_nvcc-13.0.48")
    (found,) = find_ambiguities(inventory(toolkit), linked=linked)
    assert (found.code, found.severity) == ("cuda-several-compilers", Severity.WARNING)
    assert "CUDA 12.8" in found.summary
    assert NVCC in found.summary
    assert found.evidence == (OTHER,)
    assert "--cuda X.Y" in found.remedy


@pytest.mark.parametrize("reason", KNOWN)
def test_several_compilers_are_no_matter_where_the_program_decides(reason: Reason) -> None:
    """Or whoever asked: then there is nothing to choose."""
    toolkit = toolkit_for(reason, "cuda13.0-cuda_nvcc-13.0.48")
    assert find_ambiguities(inventory(toolkit), linked=False) == ()


@pytest.mark.parametrize("reason", GUESSED)
def test_a_guess_without_alternative_is_none(reason: Reason) -> None:
    """One nvcc in the closure, or none."""
    assert find_ambiguities(inventory(toolkit_for(reason)), linked=False) == ()
    assert find_ambiguities(inventory(None), linked=False) == ()


def test_cuda_of_distributions_is_told_in_layout_store() -> None:
    """Where nvcc does not find its other parts; a toolkit root of links has them all."""
    site = f"{NVCC}/lib/python3.12/site-packages/nvidia/cu13"
    toolkit = toolkit_for(Reason.ONLY_VERSION)._replace(home=site, homes=(site, "/other"))
    (found,) = find_ambiguities(inventory(toolkit), linked=False)
    assert (found.code, found.evidence) == ("cuda-distributions", (site, "/other"))
    assert find_ambiguities(inventory(toolkit), linked=True) == ()
    whole = toolkit._replace(homes=(site,), whole=True)
    assert find_ambiguities(inventory(whole), linked=False) == ()
