"""The look at the GPU driver: fake programs that are really started, and a file tree of our own."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.evidence.gpu import Answer, Gpu, GpuDriver, Platform, parse_answer, query_driver

FIELDS = ("name", "driver_version", "compute_cap", "memory.total")
H200 = Gpu("NVIDIA H200", "9.0", 143771)
# What it does not tell is in brackets.
ANSWER = "echo NVIDIA H200, 570.86.15, 9.0, 143771, [N/A], [N/A], [N/A], [N/A], [N/A]"
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The root of an empty machine."""
    return tmp_path


def fake_nvidia_smi(machine: Path, script: str, directory: str = "bin") -> str:
    program = machine / directory / "nvidia-smi"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def file_at(machine: Path, path: str, text: str = "") -> str:
    file = machine / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return str(file)


def query(machine: Path, patience: float = 60, **environ: str) -> GpuDriver:
    return query_driver({"PATH": f"{machine}/bin", **environ}, str(machine), patience)


# The answer --------------------------------------------------------------------------------------


def test_an_answer() -> None:
    """One line for each GPU; a name may hold commas, and what is not known is in brackets."""
    text = (
        "NVIDIA H200, 570.86.15, 9.0, 143771\n"
        "Graphics, by someone, 570.86.15, [N/A], [Not Supported]\n"
    )
    assert parse_answer(text, FIELDS) == Answer(
        "570.86.15", (H200, Gpu("Graphics, by someone", None, None, number=1))
    )


def test_who_may_use_a_gpu_and_how_much_of_it_is_taken() -> None:
    """What is asked for by the newer fields."""
    fields = (*FIELDS, "memory.used", "uuid", "compute_mode", "mig.mode.current")
    text = "NVIDIA H200, 570.86.15, 9.0, 143771, 120000, GPU-0a1b, Exclusive_Process, Enabled\n"
    assert parse_answer(text, fields).gpus == (
        Gpu("NVIDIA H200", "9.0", 143771, 120000, "GPU-0a1b", "Exclusive_Process", is_split=True),
    )


def test_gpus_of_one_name_are_told_apart() -> None:
    """By nvidia-smi's number, the place on the bus and the UUID, as far as it tells them."""
    fields = (*FIELDS, "mig.mode.current", "pci.bus_id", "uuid")
    text = (
        "NVIDIA H100, 570.86.15, 9.0, 81559, Disabled, 00000000:17:00.0, GPU-0a1b\n"
        "NVIDIA H100, 570.86.15, 9.0, 81559, Enabled, 00000000:3D:00.0, GPU-2c3d\n"
        "NVIDIA H100, 570.86.15, [N/A], [N/A], [N/A], on the moon, [N/A]\n"
    )
    assert [gpu.description for gpu in parse_answer(text, fields).gpus] == [
        "GPU 0, NVIDIA H100, compute capability 9.0, 81559 MiB, 00000000:17:00.0, GPU-0a1b",
        "GPU 1, NVIDIA H100, compute capability 9.0, 81559 MiB, split into MIG instances, "
        "00000000:3D:00.0, GPU-2c3d",
        "GPU 2, NVIDIA H100",
    ]


def test_the_answer_of_an_old_nvidia_smi() -> None:
    """It has one value less."""
    old = ("name", "driver_version", "memory.total")
    assert parse_answer("Tesla T4, 470.182.03, 15109\n", old).gpus == (
        Gpu("Tesla T4", None, 15109),
    )


def test_a_gpu_that_tells_little() -> None:
    """It is there all the same."""
    answer = parse_answer("NVIDIA H200, [N/A], [N/A], [N/A]\n", FIELDS)
    assert answer == Answer(None, (Gpu("NVIDIA H200", None, None),))


@pytest.mark.parametrize(
    "line",
    [
        "No devices were found",
        "a, sentence, with, commas",
        ", 570.86.15, 9.0, 1",
        "",
    ],
)
def test_what_is_no_answer(line: str) -> None:
    """Lines without a name and a version are passed over."""
    assert parse_answer(f"{line}\nNVIDIA H200, 570.86.15, 9.0, 143771", FIELDS).gpus == (H200,)


@given(st.text(alphabet=st.sampled_from("0123456789.,[] \n\r\x0bN٣²")) | st.text())
def test_no_answer_is_too_odd(text: str) -> None:
    """Whatever is printed, there is an answer, and its values are what they should be."""
    for gpu in parse_answer(text, FIELDS).gpus:
        assert gpu.name
        assert gpu.memory is None or 0 <= gpu.memory < 10**9
        assert gpu.compute_capability is None or float(gpu.compute_capability) < 100


# nvidia-smi --------------------------------------------------------------------------------------


def test_a_healthy_driver(machine: Path) -> None:
    """It is asked once, for what is told."""
    smi = fake_nvidia_smi(
        machine,
        f'echo "$@" >> {machine}/asked; {ANSWER}',
    )
    found = query(machine)
    assert found == GpuDriver(nvidia_smi=smi, version="570.86.15", gpus=(H200,))
    assert (machine / "asked").read_text() == (
        "--query-gpu=name,driver_version,compute_cap,memory.total,memory.used,uuid,compute_mode,"
        "mig.mode.current,pci.bus_id --format=csv,noheader,nounits\n"
    )


def test_an_nvidia_smi_that_does_not_know_the_compute_capability(machine: Path) -> None:
    """It is asked again without."""
    fake_nvidia_smi(
        machine,
        'case "$1" in *compute_cap*)\n'
        "  echo 'Field \"compute_cap\" is not a valid field to query.'; exit 2;;\nesac\n"
        "echo Tesla T4, 470.182.03, 15109",
    )
    found = query(machine)
    assert (found.version, found.gpus) == ("470.182.03", (Gpu("Tesla T4", None, 15109),))
    assert found.failure == ""


def test_a_driver_that_fails(machine: Path) -> None:
    """Its words are kept, wherever it printed them; the module still tells a version."""
    fake_nvidia_smi(
        machine, f"echo '{MISMATCH}'; echo 'NVML library version: 570.133' >&2; exit 18"
    )
    file_at(machine, "sys/module/nvidia/version", "570.124.06\n")
    found = query(machine)
    assert found.failure == f"{MISMATCH}\nNVML library version: 570.133"
    assert (found.module, found.version, found.gpus) == ("570.124.06", "570.124.06", ())


def test_a_gpu_that_fell_off_the_bus(machine: Path) -> None:
    """What was told of the others is kept beside the failure."""
    fake_nvidia_smi(
        machine,
        f"{ANSWER}; echo 'Unable to determine the device'; exit 15",
    )
    found = query(machine)
    assert found.gpus == (H200,)
    assert "Unable to determine the device" in found.failure


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 9", "it ended without a word (exit status 9)"),
        ("echo No devices were found", "No devices were found"),
        ("head -c 300000 /dev/zero | tr '\\0' x; exit 1", "x" * 300),
        ("yes line | head -n 1000; exit 1", "\n".join(["line"] * 5)),
        ("printf '\\377\\n'; exit 1", "\udcff"),
    ],
)
def test_the_words_of_a_failure(machine: Path, script: str, words: str) -> None:
    """A few lines, of any bytes."""
    fake_nvidia_smi(machine, script)
    assert query(machine, PATH=f"{machine}/bin:/usr/bin:/bin").failure == words


def test_a_program_that_cannot_be_started(machine: Path) -> None:
    """The system's words are the failure."""
    fake_nvidia_smi(machine, "")
    (machine / "bin/nvidia-smi").write_text("#!/nowhere/sh\n")
    assert query(machine).failure == "No such file or directory"


def test_a_driver_that_hangs(machine: Path) -> None:
    """It is left, asked no second time, and the program is gone afterwards."""
    fake_nvidia_smi(
        machine,
        f"echo $$ >> {machine}/asked; exec /usr/bin/sleep 600",
    )
    found = query(machine, patience=2, LD_LIBRARY_PATH="/nowhere")
    assert found.failure == "nvidia-smi gave no answer within 2 seconds"
    (pid,) = (machine / "asked").read_text().split()
    assert not Path(f"/proc/{pid}").exists()


def test_variables_that_lead_the_machines_programs_astray(machine: Path) -> None:
    """Where nvidia-smi works without them, its answer counts, and they are told."""
    fake_nvidia_smi(
        machine,
        f'if [ -n "$LD_PRELOAD$LD_LIBRARY_PATH" ]; then echo a stub answered; exit 1; fi\n{ANSWER}',
    )
    found = query(machine, LD_LIBRARY_PATH="/nowhere")
    assert found.gpus == (H200,)
    assert found.hindered_by == ("LD_LIBRARY_PATH",)
    assert found.failure == "a stub answered"
    # Flox's is not to blame, and programs of the store need it.
    found = query(machine, LD_LIBRARY_PATH="/nowhere", LD_AUDIT="ld-floxlib.so")
    assert found.hindered_by == ("LD_LIBRARY_PATH",)
    found = query(machine, LD_LIBRARY_PATH="/nowhere", LD_PRELOAD="none.so")
    assert found.hindered_by == ("LD_LIBRARY_PATH", "LD_PRELOAD")


def test_a_driver_that_prints_without_end(machine: Path) -> None:
    """It is left behind before it fills the memory."""
    fake_nvidia_smi(machine, "exec /usr/bin/yes NVIDIA H200")
    assert query(machine, patience=5).failure.startswith("NVIDIA H200\n")


@pytest.mark.parametrize("directory", ["run/opengl-driver/bin", "usr/bin", "usr/local/nvidia/bin"])
def test_nvidia_smi_beside_the_path(machine: Path, directory: str) -> None:
    """In a Flox environment PATH may not have it; NixOS and containers keep it elsewhere."""
    smi = fake_nvidia_smi(machine, f"{ANSWER}", directory)
    assert query(machine).nvidia_smi == smi


# What the machine shows --------------------------------------------------------------------------


def test_a_machine_without_gpu(machine: Path) -> None:
    """There is nothing to tell."""
    assert query(machine) == GpuDriver()


def test_device_files(machine: Path) -> None:
    """The GPUs' own, in the order of their numbers."""
    for name in ("nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm", "nvidia0x"):
        file_at(machine, f"dev/{name}")
    assert query(machine).devices == (f"{machine}/dev/nvidia2", f"{machine}/dev/nvidia10")


def test_the_pci_bus(machine: Path) -> None:
    """NVIDIA's display controllers; not other vendors' cards, nor a card's audio function."""
    for address, vendor, kind in (
        ("0000:01:00.0", "0x10de", "0x030200"),
        ("0000:01:00.1", "0x10de", "0x040300"),
        ("0000:02:00.0", "0x8086", "0x030000"),
    ):
        file_at(machine, f"sys/bus/pci/devices/{address}/vendor", f"{vendor}\n")
        file_at(machine, f"sys/bus/pci/devices/{address}/class", f"{kind}\n")
    assert query(machine).pci == ("0000:01:00.0",)


# libcuda -----------------------------------------------------------------------------------------


def test_libcuda_by_the_runpath_of_nixpkgs(machine: Path) -> None:
    """/run/opengl-driver/lib, where NixOS puts the driver."""
    libcuda = file_at(machine, "run/opengl-driver/lib/libcuda.so.1")
    assert query(machine).libcuda == libcuda


def test_libcuda_by_library_path_and_preload(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come before the RUNPATH; relative and empty entries are passed over."""
    monkeypatch.chdir(machine)
    file_at(machine, "a/libcuda.so.1")
    file_at(machine, "libcuda.so.1")
    file_at(machine, "run/opengl-driver/lib/libcuda.so.1")
    by_path = file_at(machine, "b/libcuda.so.1")
    path = f"a:;:{machine}/none;{machine}/b"
    assert query(machine, LD_LIBRARY_PATH=path).libcuda == by_path
    preloaded = file_at(machine, "c/libcuda.so.1")
    preload = f"/x/libjemalloc.so {preloaded}"
    assert query(machine, LD_LIBRARY_PATH=path, LD_PRELOAD=preload).libcuda == preloaded


def test_the_machines_own_libcuda_is_not_seen_by_the_store(machine: Path) -> None:
    """glibc of nixpkgs knows none of the machine's directories."""
    libcuda = file_at(machine, "usr/lib/x86_64-linux-gnu/libcuda.so.1")
    found = query(machine)
    assert (found.libcuda, found.host_libcuda) == (None, libcuda)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LD_FLOXLIB_FILES_PATH", "/x/libnvidia-ml.so.1:{}/usr/lib64/libcuda.so.1"),
        ("LD_FLOXLIB_DIRS_PATH", "{}/usr/lib64"),
        ("FLOX_ENV_LIB_DIRS", "/x:{}/usr/lib64"),
    ],
)
def test_libcuda_by_flox(machine: Path, variable: str, value: str) -> None:
    """ld-floxlib.so finds it; where LD_AUDIT does not name that, it is not asked."""
    libcuda = file_at(machine, "usr/lib64/libcuda.so.1")
    environ = {variable: value.format(machine)}
    audit = "/x/other.so:/nix/store/x-ld-floxlib/lib/ld-floxlib.so"
    assert query_driver({"LD_AUDIT": audit, **environ}, str(machine)).libcuda == libcuda
    assert query_driver(environ, str(machine)).libcuda is None


def test_libcuda_in_the_flox_environment(machine: Path) -> None:
    """Below its lib, as ld-floxlib.so looks there first."""
    libcuda = file_at(machine, "env/lib/libcuda.so.1")
    audit = "/x/ld-floxlib.so"
    assert query(machine, LD_AUDIT=audit, FLOX_ENV_DIRS=f"{machine}/env").libcuda == libcuda


def test_a_stub_is_no_libcuda(machine: Path) -> None:
    """Nor is a link to one, nor one that leads nowhere."""
    file_at(machine, "lib/stubs/libcuda.so")
    (machine / "lib/libcuda.so.1").symlink_to("stubs/libcuda.so")
    (machine / "broken").mkdir()
    (machine / "broken/libcuda.so.1").symlink_to("nowhere")
    path = f"{machine}/lib/stubs:{machine}/lib:{machine}/broken"
    assert query(machine, LD_LIBRARY_PATH=path).libcuda is None


# What else there is ------------------------------------------------------------------------------


def test_the_device_files_beside_the_gpus_own(machine: Path) -> None:
    """Only where there is a GPU's own, something is missing."""
    assert query(machine).missing_nodes == ()
    file_at(machine, "dev/nvidia0", "")
    file_at(machine, "dev/nvidiactl", "")
    assert query(machine).missing_nodes == (f"{machine}/dev/nvidia-uvm",)


@pytest.mark.parametrize(
    ("mark", "platform"),
    [
        ("dev/dxg", Platform.WSL),
        ("usr/lib/wsl/lib/libdxcore.so", Platform.WSL),
        ("etc/nv_tegra_release", Platform.JETSON),
        ("dev/nvidia0", None),
    ],
)
def test_machines_with_a_driver_of_their_own(
    machine: Path, mark: str, platform: Platform | None
) -> None:
    """WSL and Jetson are told by what only they have."""
    file_at(machine, mark, "")
    assert query(machine).platform is platform


def test_a_slow_nvidia_smi_that_fails_is_not_waited_for_again_and_again(tmp_path: Path) -> None:
    """All attempts together have the time of one; what it said is kept."""
    calls = tmp_path / "calls"
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho x >>{calls}\nsleep 1\necho broken >&2\nexit 1\n")
    program.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LD_LIBRARY_PATH": "/x", "LD_AUDIT": "/y"}
    found = query_driver(environ, str(tmp_path / "nothing"), patience=1.5)
    assert "broken" in found.failure
    assert len(calls.read_text().split()) == 2
