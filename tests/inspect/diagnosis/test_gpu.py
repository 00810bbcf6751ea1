"""The checks of the GPU and its driver: what is told, what is not, and that each remedy cures."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from packaging.version import Version

from nixenv.evidence.gpu import Gpu, GpuDriver, Platform, query_driver
from nixenv.evidence.machine import Machine
from nixenv.findings import Finding, Severity
from nixenv.inspect.diagnosis.gpu import check_gpu
from tests.inspect.diagnosis.remedies import command_in

NAME = "python3.12-sglang-python312-cuda12_8-sm90-avx2-0.5.9"
EVERY = NAME.replace("sm90", "all")
H200 = Gpu("NVIDIA H200", "9.0", 143771)
L4 = Gpu("NVIDIA L4", "8.9", 23034)
DRIVER = GpuDriver(
    devices=("/dev/nvidia0",),
    pci=("0000:01:00.0",),
    module="570.86.15",
    nvidia_smi="/usr/bin/nvidia-smi",
    version="570.86.15",
    gpus=(H200,),
    libcuda="/run/opengl-driver/lib/libcuda.so.1",
    host_libcuda="/usr/lib/x86_64-linux-gnu/libcuda.so.1",
)


def check(
    driver: GpuDriver = DRIVER,
    *,
    cuda: str | None = "12.8",
    name: str = NAME,
    torch: str | None = None,
    **variables: str,
) -> list[Finding]:
    return list(check_gpu(Machine("x86_64", driver=driver, variables=variables), cuda, name, torch))


def only(findings: list[Finding], code: str, severity: Severity) -> Finding:
    assert [(found.code, found.severity) for found in findings] == [(code, severity)]
    return findings[0]


def with_version(version: str) -> GpuDriver:
    return evolve(DRIVER, version=version, module=version)


@pytest.mark.parametrize("name", [NAME, EVERY, NAME.replace("sm90", "sm90a"), "sglang-0.5.9"])
def test_a_healthy_gpu(name: str) -> None:
    """Nothing to know is nothing said."""
    assert check(name=name) == []


def test_a_program_without_cuda() -> None:
    """It does not care about any of it."""
    broken = GpuDriver(devices=("/dev/nvidia0",), nvidia_smi="/x", failure="no")
    assert check(broken, cuda=None, name="python3-3.12.12-env") == []
    for findings in (
        check(broken, cuda=None, name=NAME),
        check(broken, cuda=None, name="vllm-0.11", torch="12.8"),
    ):
        assert "gpu-nvidia-smi-failed" in [found.code for found in findings]


# No GPU ------------------------------------------------------------------------------------------


def test_no_gpu() -> None:
    """It is said, and is no error; the words of an nvidia-smi are shown."""
    found = only(check(GpuDriver()), "gpu-none", Severity.NOTE)
    assert (found.evidence, found.remedy) == ((), "")
    words = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    driver = GpuDriver(nvidia_smi="/usr/bin/nvidia-smi", failure=words)
    assert only(check(driver), "gpu-none", Severity.NOTE).evidence == (words,)


def test_a_gpu_without_kernel_module() -> None:
    """Loading it is the next step; in a container it is the host's, and loaded."""
    driver = GpuDriver(pci=("0000:01:00.0",))
    found = only(check(driver), "gpu-driver-not-loaded", Severity.WARNING)
    assert found.evidence == ("PCI 0000:01:00.0",)
    assert "modprobe nvidia" in found.remedy
    in_container = evolve(driver, module="570.86.15", version="570.86.15")
    found = only(check(in_container), "gpu-driver-not-loaded", Severity.WARNING)
    assert "--gpus all" in found.remedy
    given = evolve(DRIVER, pci=driver.pci)
    assert check(given) == []


def test_a_gpu_that_only_nvidia_smi_knows() -> None:
    """As in WSL, which has neither device files nor a PCI bus."""
    assert check(evolve(DRIVER, devices=(), pci=(), module=None)) == []


# nvidia-smi --------------------------------------------------------------------------------------


def test_no_nvidia_smi() -> None:
    """The package is named, of the branch that the kernel module tells."""
    driver = evolve(DRIVER, nvidia_smi=None, gpus=())
    found = only(check(driver), "gpu-nvidia-smi-missing", Severity.WARNING)
    assert "nvidia-utils-570" in found.remedy
    assert found.evidence == ("/dev/nvidia0",)
    without_library = check(evolve(driver, libcuda=None))
    assert [finding.code for finding in without_library] == [
        "gpu-nvidia-smi-missing",
        "gpu-libcuda-unreachable",
    ]


def test_a_driver_that_does_not_work() -> None:
    """In its own words; the kernel module decides what comes next."""
    words = "Failed to initialize NVML: Driver/library version mismatch\nNVML library: 570.133"
    driver = evolve(DRIVER, failure=words, gpus=())
    found = only(check(driver), "gpu-nvidia-smi-failed", Severity.ERROR)
    assert found.evidence == (*words.split("\n"), "kernel module: 570.86.15")
    assert "reboot" in found.remedy
    unloaded = evolve(driver, module=None, version=None)
    assert "modprobe nvidia" in check(unloaded)[0].remedy


def test_variables_that_break_nvidia_smi(tmp_path: Path) -> None:
    """The remedy is their removal, which was tried; followed, nothing is left to say."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text(
        '#!/bin/sh\n[ -z "$LD_LIBRARY_PATH" ] || { echo stub; exit 1; }\n'
        "echo NVIDIA H200, 570.86.15, 9.0, 143771, 4, GPU-0, Default, Disabled, [N/A]\n"
    )
    smi.chmod(0o755)
    (tmp_path / "run/opengl-driver/lib").mkdir(parents=True)
    (tmp_path / "run/opengl-driver/lib/libcuda.so.1").write_text("")
    environ = {"PATH": str(tmp_path), "LD_LIBRARY_PATH": "/stubs"}
    found = only(
        check(query_driver(environ, str(tmp_path))), "gpu-nvidia-smi-failed", Severity.WARNING
    )
    assert found.remedy == "`unset LD_LIBRARY_PATH`"
    del environ["LD_LIBRARY_PATH"]
    assert check(query_driver(environ, str(tmp_path))) == []


# The driver's version ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cuda", "version", "code"),
    [
        ("12.8", "535.161.08", "gpu-driver-too-old"),
        ("12.8", "549.99", "gpu-driver-too-old"),
        ("12.8", "550.54.14", "gpu-driver-older-than-toolkit"),
        ("12.8", "565.57.01", "gpu-driver-older-than-toolkit"),
        ("12.8", "570.26", None),
        ("12.9", "550.54.14", "gpu-driver-older-than-toolkit"),
        ("12.9", "545.23.06", "gpu-driver-too-old"),
        ("12.4", "525.60.13", "gpu-driver-older-than-toolkit"),
        ("12.4", "525.60.12", "gpu-driver-too-old"),
        ("12.7", "525.60.13", None),
        ("12.0", "525.60.13", None),
        ("11.8", "450.80.02", "gpu-driver-older-than-toolkit"),
        ("11.4", "450.80.01", "gpu-driver-too-old"),
        ("13.0", "575.57.08", "gpu-driver-too-old"),
        ("13.1", "580.65.06", "gpu-driver-older-than-toolkit"),
        ("13.1", "590.44.01", None),
        ("14.0", "590.44.01", None),
        ("12.8", "unknown", None),
        ("12.8", "٥٣٥.1", None),
    ],
)
def test_the_version_of_the_driver(cuda: str, version: str, code: str | None) -> None:
    """Below the minimum is an error, below the toolkit's own a note; the untold is unsaid."""
    found = check(with_version(version), cuda=cuda)
    assert [finding.code for finding in found] == ([code] if code else [])


def test_the_driver_that_the_remedy_names() -> None:
    """Installed, it cures: for the error and for the note."""
    for version, named in (("535.161.08", "570.26"), ("550.54.14", "570.26")):
        (found,) = check(with_version(version))
        assert named in found.remedy
        assert found.evidence == (f"nvidia-smi: {version}",)
        assert check(with_version(named)) == []
    (found,) = check(with_version("450.80.02"), cuda="12.7")
    assert "525.60.13" in found.remedy


def test_the_version_without_nvidia_smi() -> None:
    """The kernel module tells it, too."""
    driver = evolve(with_version("535.161.08"), nvidia_smi=None, gpus=())
    found = check(driver)
    assert [finding.code for finding in found] == ["gpu-nvidia-smi-missing", "gpu-driver-too-old"]
    assert found[1].evidence == ("/sys/module/nvidia/version: 535.161.08",)


@pytest.mark.parametrize(
    "libcuda", ["/usr/local/cuda/compat/libcuda.so.1", "/usr/local/cuda/compat/lib/libcuda.so.1"]
)
def test_the_forward_compatibility_package(libcuda: str) -> None:
    """Its newer libcuda is made for an older kernel module."""
    assert check(evolve(with_version("535.161.08"), libcuda=libcuda)) == []


def test_a_directory_that_only_sounds_compatible() -> None:
    """Is none of that package's."""
    libcuda = "/opt/compatible/libcuda.so.1"
    found = check(evolve(with_version("450.80.02"), libcuda=libcuda))
    assert [finding.code for finding in found] == ["gpu-driver-too-old"]


def test_the_tables_agree() -> None:
    """No minimum is newer than the driver that the toolkit came with."""
    from nixenv.inspect.diagnosis import gpu

    for cuda, shipped in gpu._DRIVER_OF_TOOLKIT.items():
        of_major = gpu._MINIMUM_OF_MAJOR[cuda.partition(".")[0]]
        minimum = gpu._MINIMUM_OF_ENVIRONMENTS.get(cuda, of_major)
        assert Version(of_major) <= Version(minimum) <= Version(shipped)


def test_the_tables_are_the_documented_ones() -> None:
    """docs/findings.md tells each driver, for who checks it against NVIDIA's release notes."""
    from nixenv.inspect.diagnosis import gpu

    page = " ".join(Path("docs/findings.md").read_text().split())
    told = page.partition("gpu-driver-older-than-toolkit")[2].partition("came with: ")[2]
    pairs = (item.split(": ") for item in told.partition(" (CUDA")[0].split(" · "))
    assert dict(pairs) == gpu._DRIVER_OF_TOOLKIT


# The GPUs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sm", "capability", "runs"),
    [
        ("sm89", "8.9", True),
        ("sm80", "8.9", True),
        ("sm89", "8.6", False),
        ("sm89", "9.0", False),
        ("sm90", "8.9", False),
        ("sm90a", "9.0", True),
        ("sm100", "10.0", True),
        ("sm100", "10.3", True),
        ("sm100a", "10.3", False),
        ("sm100f", "10.3", True),
        ("sm100", "12.0", False),
        ("sm120", "12.1", True),
        ("sm_75", "7.5", True),
        ("sm80-sm90", "9.0", True),
        ("sm80_sm90", "8.6", True),
        ("sm80-sm90", "7.5", False),
        ("all", "9.0", True),
        ("smart", "9.0", True),
        ("spasm89", "9.0", True),
    ],
)
def test_the_architecture(sm: str, capability: str, *, runs: bool) -> None:
    """Machine code runs on its own major version, from its own minor one on."""
    driver = evolve(DRIVER, gpus=(Gpu("NVIDIA X", capability, None),))
    found = check(driver, name=NAME.replace("sm90", sm))
    assert [finding.code for finding in found] == ([] if runs else ["gpu-architecture-unsupported"])


@pytest.mark.parametrize(
    ("cuda", "capability", "runs"),
    [("11.8", "3.7", True), ("12.8", "3.7", False), ("12.8", "5.0", True), ("13.0", "7.0", False)],
)
def test_a_gpu_that_this_cuda_has_left_behind(cuda: str, capability: str, *, runs: bool) -> None:
    """Whatever the package's name says; an older CUDA cures it."""
    driver = evolve(with_version("590.44.01"), gpus=(Gpu("NVIDIA X", capability, None),))
    found = check(driver, cuda=cuda, name=EVERY)
    assert [finding.code for finding in found] == ([] if runs else ["gpu-too-old"])
    assert all(finding.severity is Severity.ERROR for finding in found)
    beside_a_new_one = evolve(driver, gpus=(*driver.gpus, Gpu("NVIDIA Y", "9.0", None)))
    found = check(beside_a_new_one, cuda=cuda, name=EVERY)
    assert all(finding.severity is Severity.WARNING for finding in found)


def test_the_variant_that_the_remedy_names() -> None:
    """Both names that it gives cure; the GPU's compute capability is the evidence."""
    name = NAME.replace("sm90", "sm89")
    found = only(check(name=name), "gpu-architecture-unsupported", Severity.ERROR)
    assert found.evidence == (name, "GPU 0, NVIDIA H200: compute capability 9.0")
    assert found.remedy.endswith(f"{NAME} or {EVERY}")
    for cured in (NAME, EVERY):
        assert check(name=cured) == []
    (found,) = check(name=NAME.replace("sm90", "sm75-sm80"))
    assert found.remedy.endswith(f"{NAME} or {EVERY}")


def test_a_gpu_that_does_not_tell() -> None:
    """It is not judged: an old nvidia-smi knows no compute capability."""
    driver = evolve(DRIVER, gpus=(Gpu("Tesla T4", None, None),))
    assert check(driver) == []


def test_gpus_of_which_some_fit() -> None:
    """A warning; the remedy shows programs those that do."""
    driver = evolve(DRIVER, gpus=(L4, H200, L4, H200))
    found = only(check(driver), "gpu-architecture-unsupported", Severity.WARNING)
    assert found.remedy == "`export CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=1,3`"
    order = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert check(driver, **order, CUDA_VISIBLE_DEVICES="1,3") == []
    assert len(check(driver, CUDA_VISIBLE_DEVICES="1,3")) == 1
    assert len(check(driver, **order, CUDA_VISIBLE_DEVICES="GPU-1,3")) == 1


@pytest.mark.parametrize("value", ["", "-1", "NoDevFiles", "-1,0", "1", " 7 ,0"])
def test_gpus_that_are_hidden(value: str) -> None:
    """The remedy is to unset the variable, after which nothing is said."""
    found = only(check(CUDA_VISIBLE_DEVICES=value), "gpu-hidden", Severity.WARNING)
    assert found.remedy == "`unset CUDA_VISIBLE_DEVICES`"
    assert check() == []


@pytest.mark.parametrize("value", ["0", "0,-1", "GPU-8a8b", "MIG-1"])
def test_gpus_that_are_not_hidden(value: str) -> None:
    """All before the first number that is none; and what only the driver can tell."""
    assert check(CUDA_VISIBLE_DEVICES=value) == []


# libcuda -----------------------------------------------------------------------------------------


def test_a_libcuda_that_is_not_on_the_machine() -> None:
    """The package and the container's setting are named."""
    found = only(
        check(evolve(DRIVER, libcuda=None, host_libcuda=None)),
        "gpu-libcuda-unreachable",
        Severity.ERROR,
    )
    assert "NVIDIA_DRIVER_CAPABILITIES" in found.remedy


@pytest.mark.parametrize(
    ("variables", "remedies"),
    [
        ({"LD_AUDIT": "/f/ld-floxlib.so"}, ("activate the Flox environment again", "[options]")),
        ({"FLOX_NOSET_LD_AUDIT": "1"}, ("`unset FLOX_NOSET_LD_AUDIT`, and activate",)),
        ({}, ("`flox activate --mode dev`", "flox.dev/activate-mode", "export LD_LIBRARY_PATH=")),
    ],
    ids=["dev mode", "dev mode, turned off", "run mode"],
)
def test_a_libcuda_that_flox_would_find(
    variables: dict[str, str], remedies: tuple[str, ...]
) -> None:
    """It is Flox that looks for it, at activation, and in dev mode alone."""
    (found,) = check(evolve(DRIVER, libcuda=None), FLOX_ENV="/e", **variables)
    assert all(remedy in found.remedy for remedy in remedies)


@pytest.fixture
def follow(tmp_path: Path) -> Callable[[str, dict[str, str]], dict[str, str]]:
    """Run a remedy in a real bash; give the variables after it."""

    def run(remedy: str, environ: dict[str, str]) -> dict[str, str]:
        done = subprocess.run(
            ["bash", "--norc", "--noprofile", "-e", "-c", f"{command_in(remedy)}\nexec env -0"],
            env={"PATH": "/usr/bin:/bin", **environ},
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        assert done.stderr == b""
        pairs = (os.fsdecode(item).split("=", 1) for item in done.stdout.rstrip(b"\0").split(b"\0"))
        return dict(pairs)

    return run


@pytest.mark.parametrize("before", [{}, {"LD_LIBRARY_PATH": "/x:/y"}])
def test_the_link_directory_that_the_remedy_makes(
    tmp_path: Path,
    follow: Callable[[str, dict[str, str]], dict[str, str]],
    before: dict[str, str],
) -> None:
    """Followed in bash, the store's loader finds the driver, and nothing else of the machine."""
    directory = tmp_path / "root/usr/lib64"
    directory.mkdir(parents=True)
    for name in ("libcuda.so.1", "libcuda.so.570.86.15", "libnvidia-ml.so.1", "libc.so.6"):
        (directory / name).write_text("")
    environ = {"HOME": str(tmp_path / "it's home"), **before}
    seen = query_driver(environ, str(tmp_path / "root"))
    assert seen.libcuda is None
    driver = evolve(DRIVER, libcuda=None, host_libcuda=seen.host_libcuda)
    found = only(check(driver), "gpu-libcuda-unreachable", Severity.ERROR)
    after = follow(found.remedy, environ)
    links = f"{environ['HOME']}/.cache/nvidia-driver"
    assert after["LD_LIBRARY_PATH"] == ":".join([links, *before.values()])
    assert sorted(os.listdir(links)) == [
        "libcuda.so.1",
        "libcuda.so.570.86.15",
        "libnvidia-ml.so.1",
    ]
    cured = query_driver(after, str(tmp_path / "root"))
    assert check(evolve(driver, libcuda=cured.libcuda)) == []


# Devices, and who else has them ------------------------------------------------------------------


def test_a_device_file_that_is_missing() -> None:
    """Programs need more than the GPU's own; WSL and Jetson have others."""
    driver = evolve(DRIVER, missing_nodes=("/dev/nvidia-uvm",))
    found = only(check(driver), "gpu-device-node-missing", Severity.ERROR)
    assert "/dev/nvidia-uvm" in found.summary
    assert check(evolve(driver, platform=Platform.WSL)) == []


def test_wsl_without_a_gpu() -> None:
    """The driver is installed in Windows, and no module is loaded."""
    found = only(check(GpuDriver(platform=Platform.WSL)), "gpu-driver-not-loaded", Severity.WARNING)
    assert "Windows" in found.remedy
    assert "modprobe" not in found.remedy


@pytest.mark.parametrize("devices", [(), ("/dev/nvidia0",)])
def test_a_jetson(devices: tuple[str, ...]) -> None:
    """It needs no nvidia-smi, and is told what runs on it."""
    driver = GpuDriver(devices=devices, platform=Platform.JETSON, libcuda="/x/libcuda.so.1")
    assert "aarch64" in only(check(driver), "gpu-jetson", Severity.NOTE).remedy


@pytest.mark.parametrize(
    ("visible", "words"),
    [
        ("0", None),
        ("GPU-aa", None),
        ("GPU-aab0,1", None),
        ("0,", None),
        ("GPU-cc", "hides every GPU"),
        ("MIG-aa", "hides every GPU"),
        ("0,7", "names 7, which is not there: programs see no more than what stands before it (1)"),
    ],
)
def test_what_cuda_visible_devices_names(visible: str, words: str | None) -> None:
    """Numbers and UUIDs, whole or begun; CUDA takes none from the first that is not there."""
    gpus = tuple(Gpu("H100", "9.0", 80_000, uuid=uuid) for uuid in ("GPU-aab0", "GPU-bb"))
    found = check(evolve(DRIVER, gpus=gpus), CUDA_VISIBLE_DEVICES=visible)
    assert [finding.code for finding in found] == (["gpu-hidden"] if words else [])
    assert not words or words in found[0].summary


def test_a_split_gpu() -> None:
    """Worth knowing; then a MIG instance may be named."""
    driver = evolve(DRIVER, gpus=(Gpu("H100", "9.0", 80_000, 70_000, is_split=True),))
    for variables in ({"A": ""}, {"CUDA_VISIBLE_DEVICES": "MIG-aa"}):
        only(check(driver, **variables), "gpu-split", Severity.NOTE)


@pytest.mark.parametrize(
    ("modes", "severity"),
    [
        (("Default", "Exclusive_Process", ""), None),
        (("Prohibited",), Severity.ERROR),
        (("Default", "Prohibited"), Severity.WARNING),
    ],
)
def test_gpus_that_no_program_may_use(modes: tuple[str, ...], severity: Severity | None) -> None:
    """The remedy opens those, by their UUIDs; a GPU for one process is none of them."""
    gpus = tuple(
        Gpu("H100", "9.0", 80_000, uuid=f"GPU-{number}", mode=mode)
        for number, mode in enumerate(modes)
    )
    found = check(evolve(DRIVER, gpus=gpus))
    assert [(finding.code, finding.severity) for finding in found] == (
        [("gpu-prohibited", severity)] if severity else []
    )
    closed = f"`nvidia-smi -i GPU-{len(modes) - 1} -c DEFAULT`"
    assert not severity or found[0].remedy == f"as root, {closed}"


@pytest.mark.parametrize(("used", "told"), [(None, 0), (700, 0), (9_000, 1)])
def test_memory_that_others_hold(used: int | None, told: int) -> None:
    """A desktop's share is none to speak of."""
    driver = evolve(DRIVER, gpus=(Gpu("H100", "9.0", 80_000, used),))
    assert [finding.code for finding in check(driver)] == ["gpu-memory-held"] * told
