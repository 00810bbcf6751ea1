"""Which finding explains a failure."""

from nixenv.findings import Code
from nixenv.prove.steps import Part, Proof, State, Step, explain, to_document

TOO_NEW = Code.CUDA_HOST_COMPILER_TOO_NEW.found("nvcc refuses gcc 16")
NO_HEADERS = Code.CUDA_LIBRARY_WITHOUT_HEADERS.found(
    "libcublas is there without cublas_v2.h and cublasLt.h"
)
FOREIGN = Code.ENVIRONMENT_FOREIGN_ENTRIES.found("LD_LIBRARY_PATH", ("/usr/lib/libcudart.so.12",))


def failed(part: Part, detail: str) -> Step:
    return Step(part, "it", State.FAILED, detail=detail)


def test_what_names_the_missing_file_explains_it() -> None:
    """Before what is merely likely for such a step."""
    words = "k.cu:1:10: fatal error: cublasLt.h: No such file or directory"
    assert explain(failed(Part.DEVICE_CODE, words), [TOO_NEW, NO_HEADERS]) is NO_HEADERS


def test_a_name_is_a_whole_one() -> None:
    """Lt.h is another header than cublasLt.h."""
    words = "fatal error: Lt.h: No such file or directory"
    assert explain(failed(Part.HOST_CODE, words), [NO_HEADERS]) is None


def test_a_library_is_found_by_the_flag_that_names_it() -> None:
    """-lcuda is not every finding that has a cuda in its evidence."""
    runtime = Code.CUDA_RUNTIME_LIBRARY_MISSING.found("built with -lcudart", ("/x-cuda-13/lib",))
    stubs = Code.CUDA_STUBS_MISSING.found("what is built with -lcuda does not link")
    words = "/usr/bin/ld: cannot find -lcuda: No such file or directory"
    assert explain(failed(Part.LAUNCHER, words), [runtime, stubs]) is stubs


def test_a_library_that_is_there_is_not_the_missing_one() -> None:
    """A finding that names the path of another file by its name explains nothing."""
    stub = Code.CUDA_STUBS_ON_RUN_PATH.found("stubs are there", ("/s/lib/stubs/libcuda.so.1",))
    unreachable = Code.GPU_LIBCUDA_UNREACHABLE.found("programs do not find libcuda.so.1, alas")
    words = "OSError: libcuda.so.1: cannot open shared object file: No such file or directory"
    assert explain(failed(Part.DRIVER, words), [stub]) is None
    assert explain(failed(Part.DRIVER, words), [stub, unreachable]) is unreachable


def test_else_what_is_likely_for_the_step() -> None:
    """And nothing where inspect found nothing of the kind."""
    step = failed(Part.DEVICE_CODE, "#error -- unsupported GNU version!")
    assert explain(step, [NO_HEADERS, TOO_NEW]) is TOO_NEW
    assert explain(step, [FOREIGN]) is None
    assert explain(failed(Part.LOAD, "/usr/lib/libcudart.so.12"), [NO_HEADERS, FOREIGN]) is FOREIGN


def test_a_proof_failed_when_a_step_did() -> None:
    """One that was not tried is none."""
    passed, left_out = (Step(Part.LINK, "it", state) for state in (State.PASSED, State.NOT_TRIED))
    assert not Proof("x", "/r", "store", (passed, left_out)).failed
    proof = Proof("x", "/r", "store", (passed, failed(Part.LINK, "")))
    assert proof.failed
    document = to_document(proof)
    assert (document["schema"], document["failed"]) == (1, True)
