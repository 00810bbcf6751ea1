"""The .env file between the two programs."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.errors import NixenvError
from nixenv.sglang.cache import entry_name
from nixenv.sglang.envfile import (
    EnvFileUnusable,
    format_resolution,
    locate_env_file,
    parse_resolution,
    read_env_file,
    write_env_file,
)
from nixenv.sglang.model import Origin, Resolution
from tests.sglang.programs import (
    DEFAULT_ID,
    TOKENIZER,
    Environment,
    bundle_model,
    make_model,
    without_root_rights,
)

# Whatever the environment or the file system can hold: any bytes but NUL.
ANY_VALUE = st.binary(min_size=1).filter(lambda raw: b"\0" not in raw).map(os.fsdecode)
PLAIN = Resolution("a/b", "/models/a b", Origin.PATH)


@given(requested=ANY_VALUE, path=ANY_VALUE)
def test_every_path_survives(requested: str, path: str) -> None:
    """Line breaks, quotes, bytes that are no UTF-8: what is read is what was written."""
    resolution = Resolution(requested, f"/{path}", Origin.PATH)
    assert parse_resolution(format_resolution(resolution).encode()) == resolution


@pytest.mark.parametrize(
    "resolution",
    [
        Resolution("a/b", "/models/a b", Origin.BUNDLED),
        Resolution("a/b@v1", "/models/a b", Origin.BUNDLED),
        Resolution("a/b", "a/b", Origin.HUB),
        Resolution("a/b@refs/pr/1", "a/b", Origin.HUB, "refs/pr/1"),
        Resolution("s3://bucket/a b?c=%20", "s3://bucket/a b?c=%20", Origin.REMOTE),
    ],
)
def test_every_origin_survives(resolution: Resolution) -> None:
    """With its revision, where SGLang is to look for one."""
    assert parse_resolution(format_resolution(resolution).encode()) == resolution


@given(requested=ANY_VALUE, path=ANY_VALUE)
def test_nothing_in_the_file_means_anything_to_a_shell(requested: str, path: str) -> None:
    """Not that anybody should source it."""
    text = format_resolution(Resolution(requested, f"/{path}", Origin.BUNDLED, "main"))
    assert not set(text) & set(" \t'\"\\`$&|;<>(){}[]*?!#~^")
    assert text.count("\n") == 5


@given(st.binary())
def test_no_other_bytes_are_taken(content: bytes) -> None:
    """What is accepted is exactly what would be written."""
    try:
        resolution = parse_resolution(content)
    except ValueError:
        return
    assert format_resolution(resolution).encode() == content


GOOD = "SGLANG_MODEL_REQUESTED=a/b\nSGLANG_MODEL=/m\n"
WRONG = {
    "empty": "",
    "cut short": GOOD[:-1],
    "a command": GOOD + "touch pwned\n",
    "a substitution": GOOD.replace("/m", "/$(touch pwned)"),
    "backquotes": GOOD.replace("/m", "/`touch pwned`"),
    "a second command": GOOD.replace("/m", "/m;touch pwned"),
    "an export": "export " + GOOD,
    "a function": GOOD + "SGLANG_X() { touch pwned; }\n",
    "quotes": GOOD.replace("/m", "'/m'"),
    "another variable": GOOD + "LD_PRELOAD=/evil.so\n",
    "another known variable": GOOD + "HF_TOKEN=x\n",
    "twice": GOOD + "SGLANG_MODEL=/other\n",
    "another order": "SGLANG_MODEL=/m\nSGLANG_MODEL_REQUESTED=a/b\n",
    "no request": "SGLANG_MODEL=/m\n",
    "no model": "SGLANG_MODEL_REQUESTED=a/b\n",
    "a comment": "# by hand\n" + GOOD,
    "an empty line": GOOD + "\n",
    "an empty value": GOOD.replace("/m", ""),
    "carriage returns": GOOD.replace("\n", "\r\n"),
    "blanks around": GOOD.replace("=", " = "),
    "needless escapes": GOOD.replace("/m", "/%6D"),
    "lower case escapes": GOOD.replace("/m", "/m%0a"),
    "half an escape": GOOD.replace("/m", "/m%0"),
    "offline, not bundled": GOOD + "HF_HUB_OFFLINE=1\n",
    "bundled, not offline": GOOD + "SGLANG_BUNDLED_FROM=a/b\n",
    "bundled from elsewhere": GOOD + "SGLANG_BUNDLED_FROM=c/d\nHF_HUB_OFFLINE=1\n",
    "online": GOOD + "SGLANG_BUNDLED_FROM=a/b\nHF_HUB_OFFLINE=0\n",
    "another ID": GOOD.replace("/m", "c/d"),
    "a flag": GOOD.replace("/m", "--trust-remote-code"),
    "a bundled ID": GOOD.replace("/m", "a/b") + "SGLANG_BUNDLED_FROM=a/b\nHF_HUB_OFFLINE=1\n",
    "no ASCII": GOOD.replace("/m", "/é"),
}


def test_a_file_without_end_is_refused(activated: Environment) -> None:
    """By its size, and without showing it."""
    file = activated.home / "huge.env"
    file.touch(mode=0o600)
    for size in (1 << 40, 1 << 20):
        os.truncate(file, size)
        outcome = activated.serve(SGLANG_MODEL="a/b", SGLANG_MODEL_ENV_FILE=str(file))
        assert (outcome.status, outcome.stdout) == (1, b"")
        assert "next: run sglang-resolve-model" in outcome.stderr
        assert len(outcome.stderr) < 2000


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_a_damaged_file_is_refused_and_never_run(text: str, activated: Environment) -> None:
    """Exit code 1, the file's name and the next step; no line of it is executed."""
    file = activated.home / "model.env"
    file.write_text(text)
    file.chmod(0o600)
    outcome = activated.serve("--dry-run", SGLANG_MODEL="a/b", SGLANG_MODEL_ENV_FILE=str(file))
    assert outcome.status == 1
    assert outcome.stdout == b""
    assert outcome.stderr.startswith(f"sglang-serve: error: {file} is damaged: ")
    assert "next: run sglang-resolve-model with the same variables" in outcome.stderr
    assert not list(activated.home.rglob("pwned"))


def test_the_line_that_is_wrong_is_named(activated: Environment) -> None:
    """With its text, made visible."""
    file = activated.home / "model.env"
    file.write_text(WRONG["a substitution"])
    with pytest.raises(NixenvError, match=r"line 2 is no NAME=value .*\$\(touch pwned\)"):
        read_env_file(str(file), "a/b")


def test_each_model_has_its_own_file(activated: Environment) -> None:
    """Also where the readable part of the name is the same; the place is below the cache."""
    environ = activated.environ({})
    names = ["a/b", "a-b", "a b", "A/b", "/a/b", "é", "\udcff", "x" * 4000]
    files = {locate_env_file(name, environ) for name in names}
    assert len(files) == len(names)
    for file in files:
        assert Path(file).parent == activated.cache / "sglang-models"
        assert len(Path(file).name) < 255


def test_names_of_cache_entries_depend_on_where_content_is_divided() -> None:
    """The same bytes, divided otherwise, are other content."""
    assert entry_name("x", b"ab", b"c") != entry_name("x", b"a", b"bc")


def test_a_relative_place_is_below_the_current_directory(
    activated: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And given as an absolute path."""
    monkeypatch.chdir(activated.home)
    outcome = activated.resolve(SGLANG_MODEL="a/b", SGLANG_MODEL_ENV_FILE="model.env")
    assert os.fsdecode(outcome.stdout) == f"{activated.home}/model.env\n"


def test_another_place_can_be_chosen(activated: Environment) -> None:
    """SGLANG_MODEL_ENV_FILE, for both programs; its directory is made."""
    bundle_model(activated)
    place = {"SGLANG_MODEL_ENV_FILE": str(activated.home / "new/place/model.env")}
    outcome = activated.resolve(**place)
    assert os.fsdecode(outcome.stdout) == place["SGLANG_MODEL_ENV_FILE"] + "\n"
    assert activated.serve("--dry-run", **place).status == 0
    assert not any(activated.cache.iterdir())


def test_the_cache_may_be_read_only_for_a_model_without_shadow(activated: Environment) -> None:
    """Only the .env file has to be written."""
    bundle_model(activated)
    activated.cache.chmod(0o500)
    place = str(activated.home / "model.env")
    outcome = activated.resolve(*without_root_rights(), SGLANG_MODEL_ENV_FILE=place)
    assert outcome.status == 0


def test_a_file_that_cannot_be_written_is_an_error(activated: Environment) -> None:
    """With the variable that chooses another place."""
    bundle_model(activated)
    activated.cache.chmod(0o500)
    outcome = activated.resolve(*without_root_rights())
    assert outcome.status == 1
    assert outcome.stdout == b""
    assert f"the resolved model cannot be written to {activated.cache}/sglang-models/" in (
        outcome.stderr
    )
    assert "Permission denied" in outcome.stderr
    assert "or set SGLANG_MODEL_ENV_FILE to a place that can be written" in outcome.stderr


def test_a_place_below_a_file_is_an_error(activated: Environment) -> None:
    """A wrong SGLANG_MODEL_ENV_FILE ends with a message, not a traceback."""
    (activated.home / "file").write_text("")
    place = str(activated.home / "file/model.env")
    outcome = activated.resolve(SGLANG_MODEL="a/b", SGLANG_MODEL_ENV_FILE=place)
    assert outcome.status == 1
    assert f"cannot be written to {place}: " in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_full_disk_leaves_the_old_file(activated: Environment) -> None:
    """Written beside it, then renamed: half a file is never seen."""
    bundle_model(activated)
    place = activated.home / "model.env"
    changes = {"SGLANG_MODEL_ENV_FILE": str(place)}
    activated.resolve(**changes)
    before = place.read_bytes()
    outcome = activated.resolve("prlimit", "--fsize=0", SGLANG_MODEL="c/d", **changes)
    assert outcome.status == 1
    assert "File too large" in outcome.stderr
    assert place.read_bytes() == before
    assert not list(activated.home.glob(".nixenv-*"))


def test_the_file_is_its_owners_alone(activated: Environment) -> None:
    """Mode 0600 below a directory of mode 0700, whatever the umask."""
    before = os.umask(0)
    try:
        environ = activated.environ({})
        file = locate_env_file("a/b", environ)
        write_env_file(file, PLAIN, environ)
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(file).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(mode: int, activated: Environment) -> None:
    """They could choose the model."""
    file = activated.home / "model.env"
    file.write_text(GOOD)
    file.chmod(mode)
    outcome = activated.serve("--dry-run", SGLANG_MODEL="a/b", SGLANG_MODEL_ENV_FILE=str(file))
    assert outcome.status == 1
    assert f"{file} can be written by others (mode {mode:04o})" in outcome.stderr
    assert "next: run sglang-resolve-model with the same variables" in outcome.stderr


def test_a_file_of_somebody_else_is_refused(activated: Environment) -> None:
    """Its owner can write it, whatever its mode says now."""
    file = activated.home / "model.env"
    file.write_text(GOOD)
    file.chmod(0o644)
    if os.geteuid() == 0:
        os.chown(file, 65534, 65534)
    else:
        file = Path("/etc/passwd")
    outcome = activated.serve("--dry-run", SGLANG_MODEL="a/b", SGLANG_MODEL_ENV_FILE=str(file))
    assert outcome.status == 1
    assert f"{file} belongs to user {file.stat().st_uid}, not to you" in outcome.stderr


def test_a_missing_file_is_an_error_with_the_next_step(activated: Environment) -> None:
    """sglang-serve without sglang-resolve-model."""
    outcome = activated.serve()
    assert outcome.status == 1
    assert f"is not there yet for '{DEFAULT_ID}'" in outcome.stderr
    assert "next: run sglang-resolve-model" in outcome.stderr


def test_the_model_behind_a_shadow_has_gone(activated: Environment) -> None:
    """The shadow is there still, and leads nowhere."""
    model = make_model(activated.home / "model", tokenizer_config__json=TOKENIZER)
    name = {"SGLANG_MODEL": str(model)}
    activated.resolve(**name)
    (model / "config.json").unlink()
    outcome = activated.serve("--dry-run", **name)
    assert outcome.status == 1
    assert f"is stale: '{activated.shadow}' is gone" in outcome.stderr


@pytest.mark.parametrize("thing", ["directory", "fifo"])
def test_what_is_no_file_is_refused_at_once(thing: str, activated: Environment) -> None:
    """A FIFO would keep the program waiting for ever."""
    place = activated.home / "model.env"
    if thing == "fifo":
        os.mkfifo(place, 0o600)
    else:
        place.mkdir()
    outcome = activated.serve("--dry-run", SGLANG_MODEL_ENV_FILE=str(place))
    assert outcome.status == 1
    assert f"{place} is no file" in outcome.stderr or "Is a directory" in outcome.stderr


def test_a_file_for_another_model_is_refused(activated: Environment) -> None:
    """One place for several models: the last one resolved is not served as another."""
    bundle_model(activated)
    place = {"SGLANG_MODEL_ENV_FILE": str(activated.home / "model.env")}
    activated.resolve(**place)
    outcome = activated.serve("--dry-run", SGLANG_MODEL="a/b", **place)
    assert outcome.status == 1
    assert f"was made for '{DEFAULT_ID}', but SGLANG_MODEL is 'a/b'" in outcome.stderr


def test_a_stale_file_is_refused(activated: Environment) -> None:
    """The model has gone since, by an update or a garbage collection."""
    model = make_model(activated.home / "model")
    name = {"SGLANG_MODEL": str(model)}
    activated.resolve(**name)
    model.rename(activated.home / "elsewhere")
    outcome = activated.serve("--dry-run", **name)
    assert outcome.status == 1
    assert f"is stale: '{model}' is gone" in outcome.stderr
    assert "next: run sglang-resolve-model" in outcome.stderr


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """With the system's reason; that it is not there yet is another matter."""
    (tmp_path / "file").touch()
    with pytest.raises(EnvFileUnusable, match="cannot be read: Not a directory"):
        read_env_file(str(tmp_path / "file" / "model.env"), "a/b")
    with pytest.raises(EnvFileUnusable, match="is not there yet for 'a/b'"):
        read_env_file(str(tmp_path / "model.env"), "a/b")
