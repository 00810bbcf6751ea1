"""What classify tells of its choices."""

import pytest

from nixenv.findings import Severity
from nixenv.road.choice import Choice, Reason, because
from nixenv.road.classify import Inventory, Program, classify, find_ambiguities, tell_source
from nixenv.road.cuda import CudaNotFound, CudaToolkit
from nixenv.road.cuda_files import CudaWheels, Torch
from nixenv.road.nix import NixFailed
from nixenv.road.probe import StoreObject
from nixenv.road.python import PythonNotFound, PythonUnsupported
from nixenv.road.query import Origin
from tests.closures import closure_of, interpreter, launcher, module, probe_of, store_path

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
    assert found.summary.endswith(f": {because((reason,))}")
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
    assert "CUDA 12.8 comes as Python distributions" in found.summary
    assert "--layout linked" in found.remedy
    assert find_ambiguities(inventory(toolkit), linked=True) == ()
    whole = toolkit._replace(homes=(site,), whole=True)
    assert find_ambiguities(inventory(whole), linked=False) == ()


# What is chosen together --------------------------------------------------------------------------


P312 = interpreter("python3-3.12.12", "3.12")
P313 = interpreter("python3-3.13.1", "3.13")


def torch(name: str, built_for: str | None) -> StoreObject:
    return module(name, "3.12")._replace(torch=Torch(built_for))


def nvcc(version: str) -> StoreObject:
    path = store_path(f"cuda{version}-cuda_nvcc-{version}.93")
    return StoreObject(path, programs=("nvcc",), cuda_marker=True)


def test_the_torch_that_is_imported_says_which_cuda() -> None:
    """The first on the path, not one that is only mentioned."""
    root = module("root", "3.12", "torch")
    objects = (nvcc("12.8"), nvcc("13.0"), P312, torch("other", "13.0"), torch("torch", "12.8"))
    found = classify(closure_of(*objects, root), probe_of(*objects, root))
    assert found.cuda is not None
    assert (found.torch_cuda, found.cuda.version) == ("12.8", "12.8")
    assert found.cuda.reasons[0] is Reason.BUILT_FOR
    assert found.interpreter is not None
    assert found.interpreter.path == P312.path
    assert [part.own for part in found.site_packages] == [True, True, False]


def test_a_torch_for_the_cpu_says_nothing_and_the_roots_name_does() -> None:
    """It is the one that is imported all the same."""
    root = module("sglang-cuda12_8-0.5", "3.12", "torch")
    objects = (nvcc("12.8"), nvcc("13.0"), P312, torch("other", "13.0"), torch("torch", None))
    found = classify(closure_of(*objects, root), probe_of(*objects, root))
    assert found.cuda is not None
    assert (found.torch_cuda, found.cuda.version) == (None, "12.8")
    assert found.cuda.reasons[0] is Reason.ROOT_HAS_VERSION


def test_what_is_asked_for_is_taken() -> None:
    """Both versions."""
    root = module("root", "3.12")
    objects = (nvcc("12.8"), nvcc("13.0"), P312, P313, root)
    found = classify(closure_of(*objects), probe_of(*objects), python="3.13", cuda="12.8")
    assert found.interpreter is not None
    assert found.cuda is not None
    assert (found.interpreter.version, found.cuda.version) == ("3.13", "12.8")
    assert found.root == root.path


def test_the_compiler_is_one_that_the_toolkit_accepts() -> None:
    """By what is noted on the nvcc that was chosen."""
    older, newer = (
        StoreObject(store_path(f"gcc-wrapper-{version}"), programs=("gcc", "g++"))
        for version in ("13.3.0", "15.1.0")
    )
    objects = (newer, older, nvcc("12.8")._replace(newest_gcc=14), P312, module("root", "3.12"))
    found = classify(closure_of(*objects), probe_of(*objects))
    assert found.host_compiler is not None
    assert found.host_compiler.path == older.path


def test_the_toolkit_may_be_among_the_modules() -> None:
    """As Python distributions, where their site-packages is in use."""
    part = module("nvidia-cuda-nvcc-13.0.88", "3.12")
    site = f"{part.path}/lib/python3.12/site-packages"
    wheels = CudaWheels(f"{site}/nvidia/cu13", site, version="13.0", programs=("nvcc",))
    objects = (part._replace(wheels=(wheels,)), P312, module("root", "3.12"))
    found = classify(closure_of(*objects), probe_of(*objects))
    assert found.cuda is not None
    assert found.cuda.home == wheels.home


def test_python_and_cuda_are_wanted_only_where_they_are_required() -> None:
    """Python is unless told otherwise, or asked for; CUDA the other way round."""
    root = StoreObject(store_path("root"), programs=("ninja",))
    closure, probe = closure_of(root), probe_of(root)
    found = classify(closure, probe, python_required=False)
    assert found == Inventory(
        root.path, None, (), None, None, Choice(root.path, Reason.HAS_NINJA), None, None
    )
    with pytest.raises(PythonNotFound):
        classify(closure, probe)
    for python, required in (("3.12", False), (None, True)):
        with pytest.raises(PythonNotFound):
            classify(closure, probe, python=python, python_required=required)
    for cuda, required in (("12.8", False), (None, True)):
        with pytest.raises(CudaNotFound):
            classify(closure, probe, python_required=False, cuda=cuda, cuda_required=required)
    pypy = StoreObject(store_path("pypy3.11-7.3"))
    with pytest.raises(PythonUnsupported):
        classify(closure_of(pypy), probe_of(pypy), python_required=False)


def test_the_program_is_told_where_its_launcher_is_known() -> None:
    """By the name that it was asked for under, with what its launcher sets."""
    launched = launcher("python3-3.12.12", "root")._replace(carried=(("A", "b"),))
    objects = (P312, module("root", "3.12"))
    closure, probe = closure_of(*objects), probe_of(*objects, launched=launched)
    program = classify(closure, probe, program="sglang").program
    assert program == Program("sglang", f"{store_path('root')}/bin/sglang", (("A", "b"),))
    assert classify(closure, probe).program is None
    assert classify(closure, probe_of(*objects), program="sglang").program is None


def test_a_closure_that_nix_did_not_list_is_told() -> None:
    """With Nix's own words, and what to do about it; a snapshot of it has no words."""
    listed = closure_of(P312)
    assert [*tell_source(listed)] == []
    assert [*tell_source(listed._replace(origin=Origin.REQUISITES))] == []
    failure = NixFailed(("nix-store", "-qR"), 1, "error: no\n")
    stand_in = listed._replace(origin=Origin.STAND_IN, source="/f/requisites.txt")
    (found,) = tell_source(stand_in._replace(failure=failure))
    assert (found.code, found.severity) == ("nix-failed", Severity.WARNING)
    assert "/f/requisites.txt was taken" in found.summary
    assert found.evidence == tuple(failure.reason.splitlines())
    assert found.remedy == failure.remedy
    (found,) = tell_source(stand_in)
    assert (found.evidence, found.remedy) == ((), "ask on the machine that it was recorded on")


def test_reasons_are_told_one_after_the_other() -> None:
    """Why this version, then why this store object."""
    both = (Reason.ONLY_VERSION, Reason.NVCC_OF_VERSION)
    assert because(both) == f"{both[0]}; {both[1]}"
