"""What goes wrong, and what it gets: the documented exit code, empty stdout, a message.

The failures that real Nix gives are real; only those that it won't give on demand are made by a
stand-in for nix-store on PATH.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.closure import SglangClosure
from fixtures.private_store import PrivateStore
from fixtures.synthetic import load_synthetic_closure
from tests.conftest import Nixenv
from tests.real_shells import SEARCH_PATH, require_tool

Environ = dict[str, str]


def refused(done: "subprocess.CompletedProcess[str]", code: int, *words: str) -> None:
    """Exit code, empty stdout, and a message with these words and a next step."""
    assert done.stdout == ""
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("nixenv: error: ")
    for word in (*words, "\n  next: "):
        assert word in done.stderr


# The root: 3 ---------------------------------------------------------------------------------


def test_a_program_that_the_root_does_not_have(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """One that was named is not dropped, as the profile's is for another root."""
    for command in ("export", "snapshot"):
        done = nixenv(command, "nosuch", "--root", sglang.root)
        refused(done, 3, "'nosuch'", f"{sglang.root}/bin")


def test_a_program_that_is_nowhere(nixenv: Nixenv, environ: Environ) -> None:
    """The name and the PATH that was searched."""
    refused(nixenv("export", "sglnag"), 3, "'sglnag'", environ["PATH"], "--root")


def test_a_program_that_the_profile_names(nixenv: Nixenv, environ: Environ) -> None:
    """Who named none is told where it comes from."""
    environ["PATH"] = "/usr/bin:/bin"
    done = nixenv("run", "--profile", "vllm", "--", "true")
    refused(done, 125, "no program 'vllm'", "the profile vllm is for", "name another program")
    refused(nixenv("run", "--", "true"), 125, "no program 'sglang'", "another profile")
    refused(nixenv("export", "vllm"), 3, "no program 'vllm' on PATH")


def test_a_profile_in_the_place_of_a_program(nixenv: Nixenv) -> None:
    """It is told from a program that is missing."""
    refused(nixenv("export", "pytorch"), 3, "the name of a profile", "`--profile pytorch`")


@pytest.mark.parametrize("name", ["", "$(touch ran)", "a\nb", "-"])
def test_an_odd_program_name(name: str, nixenv: Nixenv) -> None:
    """It is looked up like any other, and shown so that nobody is fooled."""
    refused(nixenv("export", "--", name), 3, repr(name))


def test_a_program_outside_the_store(nixenv: Nixenv) -> None:
    """Where it is, and where the store is."""
    refused(nixenv("export", "env"), 3, "/bin/env", "is not in the Nix store", "NIX_STORE_DIR")


def test_a_dangling_link(nixenv: Nixenv, environ: Environ, tmp_path: Path) -> None:
    """A collected store object leaves one behind; "not found" would mislead."""
    (tmp_path / "sglang").symlink_to("/nix/store/gone/bin/sglang")
    environ["PATH"] = f"{tmp_path}:{SEARCH_PATH}"
    refused(nixenv("export"), 3, f"{tmp_path}/sglang", "No such file", "garbage-collected")


def test_a_link_loop(nixenv: Nixenv, environ: Environ, tmp_path: Path) -> None:
    """The link and the system's reason."""
    (tmp_path / "sglang").symlink_to("sglang2")
    (tmp_path / "sglang2").symlink_to("sglang")
    environ["PATH"] = f"{tmp_path}:{SEARCH_PATH}"
    refused(nixenv("export"), 3, f"{tmp_path}/sglang", "Too many levels of symbolic links")


def test_a_root_that_does_not_exist(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """Its path."""
    root = f"{sglang.store.store_dir}/{'a' * 32}-sglang"
    refused(nixenv("export", "--root", root), 3, f"{root} does not exist")


def test_a_root_outside_the_store(nixenv: Nixenv, tmp_path: Path) -> None:
    """A directory is no store object."""
    refused(nixenv("export", "--root", str(tmp_path)), 3, f"{tmp_path} is not in the Nix store")


def test_the_store_directory_is_a_setting(nixenv: Nixenv, environ: Environ) -> None:
    """Without NIX_STORE_DIR the same program is outside the store, and the message says which."""
    del environ["NIX_STORE_DIR"]
    refused(nixenv("export"), 3, "is not in the Nix store /nix/store")


# Nix: 4 --------------------------------------------------------------------------------------


def test_a_root_that_is_not_valid(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """On disk, but not registered: real Nix's own words are passed on."""
    root = Path(sglang.store.store_dir, f"{'b' * 32}-not-registered")
    root.mkdir()
    refused(nixenv("export", "--root", str(root)), 4, f"-qR {root}", "is not valid")
    root.rmdir()


def test_no_nix_and_no_record(nixenv: Nixenv, environ: Environ, sglang: SglangClosure) -> None:
    """All the places that were looked in."""
    environ["PATH"] = f"{sglang.root}/bin"
    del environ["NIX_BIN"], environ["FLOX_ENV"]
    refused(nixenv("export"), 4, "no nix-store", "/nix/var/nix/profiles/default/bin", "NIX_BIN")


@pytest.fixture
def stand_in(environ: Environ, tmp_path: Path) -> Callable[[str], Path]:
    """Put a nix-store of these shell lines first on PATH, with no record of Flox's in its stead."""
    del environ["FLOX_ENV"]

    def write(lines: str) -> Path:
        script = tmp_path / "stand-in" / "nix-store"
        script.parent.mkdir()
        script.write_text(f"#!/bin/sh\n{lines}\n")
        script.chmod(0o755)
        environ["PATH"] = f"{script.parent}:{environ['PATH']}"
        return script

    return write


def test_nix_fails(nixenv: Nixenv, stand_in: Callable[[str], Path]) -> None:
    """Its command, status and stderr, verbatim."""
    script = stand_in('echo "error: cannot connect\n  to the daemon" >&2; exit 1')
    words = (f"`{script} -qR ", "exit status 1", "    error: cannot connect\n      to the daemon")
    refused(nixenv("export"), 4, *words)


def test_nix_fails_without_a_word(nixenv: Nixenv, stand_in: Callable[[str], Path]) -> None:
    """That is said."""
    stand_in("exit 7")
    refused(nixenv("export"), 4, "exit status 7", "saying nothing")


def test_nix_is_killed(nixenv: Nixenv, stand_in: Callable[[str], Path]) -> None:
    """The signal's name."""
    stand_in("kill -KILL $$")
    refused(nixenv("export"), 4, "killed by SIGKILL")


def test_nix_prints_nothing(nixenv: Nixenv, stand_in: Callable[[str], Path]) -> None:
    """Status 0 and no closure is a failure too."""
    stand_in("exit 0")
    refused(nixenv("export"), 4, "no usable closure: it is empty")


@pytest.mark.parametrize("line", ["done.", "/etc/passwd", "", "/nix/store/not-a-store-path"])
def test_nix_prints_what_is_no_store_path(
    line: str, nixenv: Nixenv, stand_in: Callable[[str], Path], sglang: SglangClosure
) -> None:
    """The line."""
    stand_in(f"echo '{sglang.root}'; echo '{line}'")
    refused(nixenv("export"), 4, f"{line!r} is no store path of {sglang.store.store_dir}")


def test_nix_answers_about_something_else(
    nixenv: Nixenv, stand_in: Callable[[str], Path], sglang: SglangClosure
) -> None:
    """A closure without its root is another one's."""
    stand_in(f"echo '{sglang.cpu}'")
    refused(nixenv("export"), 4, f"{sglang.root} is not among its 1 store paths")


def test_nix_cannot_be_started(nixenv: Nixenv, stand_in: Callable[[str], Path]) -> None:
    """The system's reason."""
    script = stand_in("")
    script.write_text("#!/no/such/shell\n")
    refused(nixenv("export"), 4, "could not be started: No such file or directory")


def test_requisites_of_another_environment(
    nixenv: Nixenv, environ: Environ, sglang: SglangClosure, tmp_path: Path
) -> None:
    """$FLOX_ENV of one environment and PATH of another."""
    (tmp_path / "requisites.txt").write_text(f"{sglang.cpu}\n")
    environ.update(PATH=f"{sglang.root}/bin", FLOX_ENV=str(tmp_path))
    del environ["NIX_BIN"]
    refused(nixenv("export"), 4, f"{tmp_path}/requisites.txt gave no usable closure")


def test_the_query_asks_for_just_this(
    nixenv: Nixenv, stand_in: Callable[[str], Path], sglang: SglangClosure, tmp_path: Path
) -> None:
    """The argument list, exactly; and a signal is told, though it has no name."""
    script = stand_in(f'printf "<%s>" "$@" >{tmp_path}/asked; kill -{signal.SIGRTMIN + 1} $$')
    killed = f"killed by signal {signal.SIGRTMIN + 1}"
    refused(nixenv("export"), 4, f"`{script} -qR {sglang.root}` failed ({killed}), saying nothing")
    assert (tmp_path / "asked").read_text() == f"<-qR><{sglang.root}>"


# The store: 1 --------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path, environ: Environ) -> PrivateStore:
    """A small store of one's own to break."""
    store = PrivateStore.create(tmp_path / "broken")
    root = load_synthetic_closure(store, 60, python=Path(sys.executable).resolve())
    environ.update(store.environ, PATH=f"{root}/bin:{SEARCH_PATH}")
    return store


def member(store: PrivateStore, part: str) -> Path:
    return next(path for path in sorted(Path(store.store_dir).iterdir()) if part in path.name)


def test_a_member_that_vanished(nixenv: Nixenv, broken: PrivateStore) -> None:
    """Its path; and inspect still works, and tells it as a finding."""
    gone = member(broken, "gcc-wrapper")
    subprocess.run(["chmod", "-R", "u+w", gone], check=True)
    shutil.rmtree(gone)
    refused(nixenv("export"), 1, "not on disk", str(gone), f"--repair-path {gone}")
    assert f"{gone}\n" in nixenv("inspect").stdout
    assert "error  store-object-missing" in nixenv("inspect").stdout


@pytest.mark.parametrize("part", ["gcc-wrapper", "sglang-python312"])
@pytest.mark.parametrize("inside", ["", "bin"])
def test_an_unreadable_member(
    part: str, inside: str, broken: PrivateStore, environ: Environ
) -> None:
    """Its path and the system's reason. Root reads everything, so the capability is dropped."""
    closed = member(broken, part) / inside
    closed.chmod(0)
    drop = (
        [require_tool("setpriv"), "--bounding-set=-dac_override,-dac_read_search"]
        if os.geteuid() == 0
        else []
    )
    done = subprocess.run(
        [
            *drop,
            sys.executable,
            "-I",
            "-m",
            "nixenv",
            "export",
            "--root",
            member(broken, "sglang-python312"),
        ],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    closed.chmod(0o755)
    refused(done, 1, str(closed), "Permission denied")


def test_no_python_in_the_closure(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """That is said."""
    refused(nixenv("export", "--root", sglang.no_python), 1, "no Python interpreter in the closure")


def test_two_pythons_and_no_hint(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """Both, and the option; with it, the environment comes."""
    arguments = ("export", "--root", sglang.two_pythons, "--profile", "python-cuda")
    versions = [
        version.rpartition(".")[0] for version in (sglang.python_version, sglang.other_version)
    ]
    refused(nixenv(*arguments), 1, *versions, "--python X.Y")
    for version in versions:
        done = nixenv(*arguments, "--python", version)
        assert f"python3-{version}." in done.stdout


def test_a_python_that_is_not_there(nixenv: Nixenv) -> None:
    """What is there is listed."""
    refused(nixenv("export", "--python", "3.5"), 1, "no Python 3.5", "-env", "-minimal")


def test_no_nvcc_where_one_is_required(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """The sglang profile requires it."""
    done = nixenv("export", "--root", sglang.cpu, "--profile", "sglang")
    refused(done, 1, "no store object with bin/nvcc", "required = false")


def test_a_cuda_that_is_not_there(nixenv: Nixenv) -> None:
    """13.0 is in the closure, but has no compiler."""
    refused(nixenv("export", "--cuda", "13.0"), 1, "CUDA 13.0", "12.8  ", "cuda_nvcc-12.8.93")


def test_ten_thousand_store_paths(nixenv: Nixenv, environ: Environ, tmp_path: Path) -> None:
    """PYTHONPATH would be too long for Linux: refused with its size, and no crash."""
    store = PrivateStore.create(tmp_path / "large")
    root = load_synthetic_closure(store, 10_000)
    environ.update(store.environ, PATH=f"{root}/bin:{SEARCH_PATH}")
    refused(nixenv("export"), 1, "PYTHONPATH would be ", "Linux takes 131071")
    store.delete()


# Profiles and snapshots: 1 -------------------------------------------------------------------


def test_a_profile_of_a_wrong_type(nixenv: Nixenv, tmp_path: Path) -> None:
    """File, key and what is wanted."""
    file = tmp_path / "own.toml"
    file.write_text("[cuda]\nrequired = 1\n")
    done = nixenv("export", "--profile", str(file))
    refused(done, 1, f"{file}:2: cuda.required: wants true or false, not an integer")


def test_a_profile_that_names_no_program(nixenv: Nixenv) -> None:
    """Usage: nothing to look up."""
    refused(
        nixenv("export", "--profile", "python-cuda"), 2, "the profile python-cuda names neither"
    )


@pytest.fixture
def recorded(nixenv: Nixenv) -> str:
    return nixenv("snapshot").stdout


def test_a_snapshot_that_is_cut_off(nixenv: Nixenv, recorded: str, tmp_path: Path) -> None:
    """Wherever it is cut."""
    file = tmp_path / "snapshot.json"
    for length in (0, 1, 100, len(recorded) // 2, len(recorded) - 3):
        file.write_text(recorded[:length])
        refused(nixenv("export", "--from", str(file)), 1, str(file), "no JSON", "cut off")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(schema=2), "its schema is 2; this nixenv reads 3"),
        (lambda d: d["graph"].pop(), "nodes for"),
        (
            lambda d: d["graph"][0]["references"].append(-1),
            "a reference in its graph is to path -1",
        ),
        (lambda d: d["graph"][0].update(nar_size=-1), "nar_size"),
        (lambda d: d["machine"].update(architecture=1), "architecture"),
        (lambda d: d["machine"]["variables"].update({"X; id": "1"}), "'X; id' is no name"),
        (lambda d: d["machine"]["ports"][0].update(variable="P;id"), "'P;id' is no name"),
        (lambda d: d["machine"]["driver"].update(hindered_by=["A;id"]), "'A;id' is no name"),
        (lambda d: d["request"].update(layout="$(id)"), "no layout '$(id)'"),
        (lambda d: d["request"].update(cuda="12.8;id"), "'12.8;id' is no version"),
        (lambda d: d["request"]["profile"]["cache"].update({"C;id": "c"}), "cache.C;id"),
        (lambda d: d["request"]["profile"].update(path="bin"), "path"),
        (lambda d: d["request"]["profile"].update(path=["evil"]), "path"),
        (lambda d: d["request"]["profile"].update(python="3.1`id`"), "python.version"),
        (lambda d: d["request"]["profile"]["cache"].update(A="../../x"), "cache.A"),
        (lambda d: d["request"]["profile"]["defaults"].update(PATH="/x"), "defaults.PATH"),
        (lambda d: d["request"].update(cache_dir="here"), "no absolute cache directory"),
        (lambda d: d.update({"extra\x1b[2J": 1}), "extra\\x1b[2J"),
        (lambda d: d["machine"]["variables"].update(PATH=["/bin"]), "variables"),
        (lambda d: d.update(schema="1"), 'no "schema" number'),
        (lambda d: d.pop("schema"), 'no "schema" number'),
        (lambda d: d.pop("paths"), "paths"),
        (lambda d: d.update(user="me"), "user"),
        (lambda d: d.update(root=d["root"] + "x"), "is not among its paths"),
        (lambda d: d["paths"].append("/etc"), "'/etc' is no store path"),
        (lambda d: d.update(origin="/flox/env/requisites.txt"), "origin"),
        (
            lambda d: d["probe"].update(faults=[{"path": "/x", "missing": True, "errno": 2**70}]),
            "is not an error number",
        ),
        (lambda d: d["probe"].update(objects=[1]), "objects"),
        (lambda d: d["probe"]["objects"].append(d["probe"]["objects"][0]), "each once"),
        (lambda d: d["probe"]["objects"][0].update(include_dirs=["/tmp/evil"]), "is not in"),
        (lambda d: d["probe"]["objects"][0].update(include_dirs=["."]), "no plain path"),
        (lambda d: d["probe"]["objects"][0].update(include_dirs="abc"), "include_dirs"),
        (lambda d: d["probe"]["objects"][0].update(include_dirs=["\ud800"]), "include_dirs"),
        (lambda d: d["probe"]["objects"][0].update(include_dirs=["\0"]), "include_dirs"),
        (lambda d: d["probe"]["objects"][0].update(pythons=["3.1\x1b"]), "is no version X.Y"),
        (lambda d: d["probe"]["objects"][0].update(cuda_marker="yes"), "cuda_marker"),
        (
            lambda d: d["probe"]["objects"][0].update(path="/nix/store"),
            "'/nix/store' is no store path",
        ),
    ],
)
def test_a_snapshot_that_is_none(
    change: Callable[[dict[str, object]], None],
    words: str,
    nixenv: Nixenv,
    recorded: str,
    tmp_path: Path,
) -> None:
    """What is wrong with it, by its place."""
    document = json.loads(recorded)
    change(document)
    file = tmp_path / "snapshot.json"
    file.write_text(json.dumps(document))
    refused(nixenv("export", "--from", str(file)), 1, str(file), words)


@pytest.mark.parametrize("text", ["[]", "null", "1", '"x"', "\udcff", "[" * 100_000])
def test_a_file_that_is_something_else(text: str, nixenv: Nixenv, tmp_path: Path) -> None:
    """JSON that is no object, and bytes that are no text."""
    file = tmp_path / "snapshot.json"
    file.write_bytes(os.fsencode(text))
    refused(nixenv("export", "--from", str(file)), 1, str(file))


def test_a_snapshot_and_something_else(nixenv: Nixenv, recorded: str, tmp_path: Path) -> None:
    """The snapshot says the root, so nothing else can."""
    file = tmp_path / "snapshot.json"
    file.write_text(recorded)
    arguments = ("export", "--from", str(file))
    refused(nixenv(*arguments, "--root", "/nix/store/x"), 2, "--root and --from")
    refused(nixenv(*arguments, "vllm"), 2, "a snapshot of sglang, not of vllm")


def test_a_snapshot_goes_where_it_is_told(nixenv: Nixenv, tmp_path: Path) -> None:
    """Links are followed, devices and pipes written to; nothing is replaced by a file."""
    # The machine's part differs each time: how much room is left, for one.
    snapshot = ("snapshot", "--no-machine")
    recorded = nixenv(*snapshot).stdout
    target = tmp_path / "target"
    target.write_text("old")
    (tmp_path / "link").symlink_to(target)
    assert nixenv(*snapshot, "-o", str(tmp_path / "link")).returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert target.read_text() == recorded
    assert nixenv(*snapshot, "-o", "-").stdout == recorded
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True)
    assert nixenv(*snapshot, "-o", str(pipe)).returncode == 0
    assert reader.communicate()[0] == recorded
    assert pipe.is_fifo()


@pytest.mark.parametrize("store_dir", ["relative/store", "/nix/st\nore"])
def test_a_store_directory_that_nix_would_not_take(
    store_dir: str, nixenv: Nixenv, environ: Environ
) -> None:
    """The variable to correct."""
    environ["NIX_STORE_DIR"] = store_dir
    refused(nixenv("export"), 2, repr(store_dir), "NIX_STORE_DIR")


def test_no_place_for_caches(nixenv: Nixenv, environ: Environ) -> None:
    """A directory below /tmp that anybody could have made is no substitute."""
    del environ["FLOX_ENV_CACHE"], environ["HOME"]
    refused(nixenv("export"), 2, "FLOX_ENV_CACHE, XDG_CACHE_HOME and HOME", "--cache-dir")
    assert nixenv("export", "--cache-dir", "/x").returncode == 0


def test_a_closed_stdout(environ: Environ) -> None:
    """Told like any other output that fails."""
    for command in ("export", "inspect", "snapshot"):
        done = subprocess.run(
            ["sh", "-c", f'"{sys.executable}" -I -m nixenv {command} >&-'],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "standard output could not be written" in done.stderr


def test_a_snapshot_file_that_is_not_there(nixenv: Nixenv, tmp_path: Path) -> None:
    """The system's reason."""
    refused(nixenv("export", "--from", str(tmp_path / "x")), 1, "No such file or directory")


# Usage: 2, and output: 1 -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "--shell", "elvish"),
        ("export", "--python", "3"),
        ("export", "--cuda", "twelve"),
        ("export", "--no-such-option"),
        ("exprot",),
        ("export", "a", "b"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], nixenv: Nixenv) -> None:
    """What click finds is told as all else is; as JSON, where that is asked for."""
    refused(nixenv(*arguments), 2, "nixenv", "--help")
    command, *rest = arguments
    told = nixenv(command, "--shell", "json", *rest)
    assert (told.returncode, told.stdout) == (2, "")
    document = json.loads(told.stderr)
    assert (document["code"], document["exit_code"]) == ("misused", 2)
    assert "--help" in document["remedy"]


@pytest.mark.parametrize("arguments", [("run", "sglang"), ("run", "--no-such", "--", "a")])
def test_wrong_usage_of_run(arguments: tuple[str, ...], nixenv: Nixenv) -> None:
    """With the status that tells nixenv's failures from the command's."""
    refused(nixenv(*arguments), 125, "`nixenv run --help`")


@pytest.mark.parametrize("arguments", [("sglang", "true"), ("sglang", "-c", "true")])
def test_a_command_that_is_not_set_off(arguments: tuple[str, ...], nixenv: Nixenv) -> None:
    """What is missing is named."""
    refused(nixenv("run", *arguments), 125, "the command is written behind `--`")
    assert "behind `--`" not in nixenv("run", "--no-such", "--", "true").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "meant"),
    [
        (("exprot",), 2, "no command 'exprot': did you mean export?"),
        (("export", "--profile", "sglagn"), 2, "did you mean sglang?"),
        (("export", "sglagn"), 3, "did you mean sglang"),
        (("export", "--shell", "bahs"), 2, "'bash'"),
        (("inspect", "--jsn"), 2, "--json"),
    ],
)
def test_what_may_be_meant_is_named(
    arguments: tuple[str, ...], code: int, meant: str, nixenv: Nixenv
) -> None:
    """Commands, profiles, programs, options."""
    refused(nixenv(*arguments), code, meant)


def test_what_may_be_meant_of_a_root(nixenv: Nixenv, sglang: SglangClosure) -> None:
    """The programs that it has."""
    refused(nixenv("export", "sglagn", "--root", sglang.root), 3, "did you mean sglang")


@pytest.mark.parametrize(
    "arguments", [("inspect", "--json"), ("export", "--shell", "json"), ("prove", "--json")]
)
def test_an_error_as_json(arguments: tuple[str, ...], nixenv: Nixenv) -> None:
    """Where a program reads the answer, it can read the failure."""
    done = nixenv(*arguments, "--profile", "nosuch")
    assert (done.returncode, done.stdout) == (2, "")
    assert json.loads(done.stderr)["code"] == "profile-not-found"


def test_no_command_at_all(nixenv: Nixenv) -> None:
    """The help, on stderr: it was not asked for."""
    done = nixenv()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Commands:" in done.stderr


def test_a_full_disk(nixenv: Nixenv, environ: Environ) -> None:
    """The result could not be written: that is a failure with a reason."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "nixenv", "export"],
            env=environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "standard output could not be written: No space left on device" in done.stderr
    assert nixenv("export").returncode == 0


def test_a_snapshot_keeps_the_old_file_until_the_new_one_is_whole(
    nixenv: Nixenv, tmp_path: Path
) -> None:
    """A failed snapshot neither truncates nor leaves anything."""
    file = tmp_path / "here" / "snapshot.json"
    file.parent.mkdir()
    file.write_text("old")
    done = nixenv("snapshot", "sglnag", "-o", str(file))
    assert done.returncode == 3
    assert file.read_text() == "old"
    refused(nixenv("snapshot", "-o", str(tmp_path / "no" / "file")), 1, "could not be written")
    assert os.listdir(file.parent) == ["snapshot.json"]


def test_no_name_in_a_message_acts_on_a_terminal(nixenv: Nixenv, tmp_path: Path) -> None:
    """A profile's path and keys may be anybody's; what would move the cursor is shown as text."""
    profile = tmp_path / "a\x1b[31mred.toml"
    profile.write_text('"\\u001b[2J" = 1\n')
    done = nixenv("export", "--profile", str(profile))
    assert (done.returncode, done.stdout) == (1, "")
    assert "\x1b" not in done.stderr
    assert "\\x1b[2J" in done.stderr
