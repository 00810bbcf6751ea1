"""Profiles: one schema, and messages that name the key."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv import __version__, load_profile
from nixenv.errors import Unreadable
from nixenv.road.profile import BUILT_IN, ProfileNotFound, parse_profile, to_document
from nixenv.road.profile_table import ProfileInvalid
from nixenv.road.variables import SHELLS_OWN
from scripts.compile_profiles import COMPILED, FILES, compile_profiles

NEVER_SET = (
    *("NIXENV_ACTIVATION", "PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONNOUSERSITE", "VIRTUAL_ENV"),
    *("CUDA_HOME", "CUDA_PATH", "CPATH", "LIBRARY_PATH", "IFS", "LD_PRELOAD", "LD_AUDIT"),
    *("BASH_ENV", "ENV", "PROMPT_COMMAND", "PYTHONSTARTUP", "__nixenv_x"),
)


def test_the_built_in_profiles_are_what_their_files_say() -> None:
    """`make profiles` has been run."""
    assert COMPILED.read_text() == compile_profiles()
    assert sorted(os.listdir(FILES)) == [f"{name}.toml" for name in BUILT_IN]


def test_profiles_are_compiled_whatever_was_compiled_before(tmp_path: Path) -> None:
    """An older schema, a file that is broken or gone."""
    for part in ("nixenv", "scripts"):
        shutil.copytree(COMPILED.parents[2] / part, tmp_path / part)
    compiled = tmp_path / "nixenv/road/built_in.py"
    argv = (sys.executable, "-m", "scripts.compile_profiles")
    for older in ('SETTINGS = {"x": {"no-such-key": 1}}', "<<<<<<<", None):
        if older is None:
            compiled.unlink()
        else:
            compiled.write_text(older)
        subprocess.run(argv, cwd=tmp_path, check=True)
        assert compiled.read_text() == COMPILED.read_text()


def test_a_built_in_profile_is_nobodys_to_change() -> None:
    """It is one for all."""
    profile = load_profile("vllm")
    for table in (profile.cache, profile.defaults, profile.fixed, profile.prepended):
        with pytest.raises(TypeError):
            table["X"] = "y"  # type: ignore[index]


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_profile_is_of_the_schema(name: str) -> None:
    """It loads by its name, and by its path as a user's own file would."""
    file = str(FILES / f"{name}.toml")
    assert load_profile(file) == load_profile(name)._replace(name=file)


def test_a_users_file_says_everything(tmp_path: Path) -> None:
    """All keys of the schema arrive."""
    file = tmp_path / "nixenv.toml"
    file.write_text(
        'minimum-version = "0.1"\nroot = "{flox_env}"\nlayout = "linked"\n'
        'binary = "comfyui"\npath = ["ninja", "nvcc"]\ncompiler = true\n'
        '[python]\nversion = "3.12"\n[cuda]\nversion = "12.8"\nrequired = true\n'
        '[cache]\nTRITON_CACHE_DIR = "jit/triton"\n[defaults]\nPORT = "8188"\n'
        '[set]\nA = "{root}"\n[prepend]\nLD_LIBRARY_PATH = "{library_dirs}:{flox_env}/lib"\n'
        '[append]\nXDG_DATA_DIRS = "{root}/share:/usr/share"\n[unset]\nB = true\n'
    )
    profile = load_profile(str(file))
    assert (profile.binary, profile.path, profile.compiler) == ("comfyui", ("ninja", "nvcc"), True)
    assert (profile.python, profile.cuda, profile.cuda_required) == ("3.12", "12.8", True)
    assert profile.cache == {"TRITON_CACHE_DIR": "jit/triton"}
    assert profile.defaults == {"PORT": "8188"}
    assert (profile.root, profile.layout) == ("{flox_env}", "linked")
    assert profile.fixed == {"A": "{root}"}
    assert profile.prepended == {"LD_LIBRARY_PATH": "{library_dirs}:{flox_env}/lib"}
    assert profile.appended == {"XDG_DATA_DIRS": "{root}/share:/usr/share"}
    assert profile.removed == ("B",)
    assert profile.variables == {"TRITON_CACHE_DIR", "PORT", "A", *profile.prepended} | {
        *("XDG_DATA_DIRS", "B")
    }


def test_a_profile_extends_a_built_in_one(tmp_path: Path) -> None:
    """What it says replaces what the other says, variable by variable, in whatever table."""
    file = tmp_path / "nixenv.toml"
    base = load_profile("vllm")
    file.write_text(
        'extends = "vllm"\npath = []\n[python]\nrequired = false\n'
        '[set]\nTRITON_CACHE_DIR = "/t"\n[unset]\nTVM_FFI_GPU_BACKEND = true\n'
    )
    profile = load_profile(str(file))
    assert (profile.binary, profile.path, profile.python_required) == ("vllm", (), False)
    assert (profile.compiler, profile.cuda_required) == (True, True)
    assert profile.cache == {n: v for n, v in base.cache.items() if n != "TRITON_CACHE_DIR"}
    assert profile.fixed == {"TRITON_CACHE_DIR": "/t"}
    assert profile.removed == ("TVM_FFI_GPU_BACKEND",)
    assert not profile.defaults.keys() & profile.removed


TABLES = ("cache", "defaults", "set", "prepend", "append", "unset")
documents = st.dictionaries(st.sampled_from("ABCDE"), st.sampled_from(TABLES)).map(
    lambda places: {
        table: {
            name: table == "unset" or f"{name}-{table}" for name in places if places[name] == table
        }
        for table in TABLES
    }
)


@given(documents, documents)
def test_of_two_profiles_the_one_that_extends_wins(
    lower: dict[str, dict[str, str | bool]], upper: dict[str, dict[str, str | bool]]
) -> None:
    """Each variable stands in one table: the one that the upper says, else the lower's."""
    base = parse_profile(lower, "base")
    found = to_document(parse_profile(upper, "upper", base))
    told = {name: (table, value) for table in TABLES for name, value in lower[table].items()}
    told |= {name: (table, value) for table in TABLES for name, value in upper[table].items()}
    assert told == {n: (table, value) for table in TABLES for n, value in found[table].items()}
    assert to_document(parse_profile(found, "upper")) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("binnary = 'x'", "binnary: is no key of a profile; known here: .*binary"),
        ("[cuda]\nrequire = true", "cuda.require: is no key .* version, required: .* required?"),
        ("[python]\nversion = 3.12", "python.version: wants a string, not a float"),
        ("[python]\nversion = '3'", "python.version: wants a version X.Y, not '3'"),
        ("[cuda]\nrequired = 'yes'", "cuda.required: wants true or false, not a string"),
        ("cuda = 12.8", "cuda: wants a table, not a float"),
        ("path = 'nvcc'", "path: wants a list of strings, not a string"),
        ("path = ['nvcc', 'gcc']", "path: knows nvcc, ninja, host-compiler, cuda-tools, not 'gcc'"),
        (
            "[defaults]\nA = '{cuda_lob}'",
            "defaults.A: .*unknown name {cuda_lob}; known .*{cuda_home}, {cuda_lib}.*{{cuda_lob}}",
        ),
        ("path = [1]", "path: knows .*, not 1"),
        ("binary = ''", "binary: is empty"),
        ("[defaults]\nPORT = 8080", "defaults.PORT: wants a string, not an integer"),
        ("[defaults]\nDAY = 2026-01-01", "defaults.DAY: wants a string, not a date or time"),
        ("[defaults]\n'A B' = 'x'", "defaults.A B: is no name of an environment variable"),
        ("[defaults]\n'A;touch x' = ''", "defaults.A;touch x: is no name"),
        ('[defaults]\nA = "\\u0000"', "defaults.A: holds a NUL"),
        ("[defaults]\nPYTHONPATH = 'x'", "defaults.PYTHONPATH: is not for a profile to set"),
        ("[defaults]\nLD_PRELOAD = 'x'", "defaults.LD_PRELOAD: is not for a profile to set"),
        ("[defaults]\nLD_AUDIT = 'x'", "defaults.LD_AUDIT: is not for a profile to set"),
        ("[defaults]\nBASH_ENV = 'x'", "defaults.BASH_ENV: is not for a profile to set"),
        ("[defaults]\nENV = 'x'", "defaults.ENV: is not for a profile to set"),
        ("[cache]\nPROMPT_COMMAND = 'x'", "cache.PROMPT_COMMAND: is not for a profile to set"),
        ("[defaults]\nPYTHONSTARTUP = 'x'", "defaults.PYTHONSTARTUP: is not for a profile to set"),
        ("[cache]\n__nixenv_list = 'x'", "cache.__nixenv_list: is not for a profile to set"),
        ("[cache]\nA = '/etc'", "cache.A: wants a plain path below the cache directory"),
        ("[cache]\nA = '../x'", "cache.A: wants a plain path"),
        ("[cache]\nA = 'a/./b'", "cache.A: wants a plain path"),
        ("[cache]\nA = ''", "cache.A: wants a plain path"),
        ("[cache]\nA = 'a'\n[defaults]\nA = 'b'", "defaults.A: it stands under .cache. as well"),
        ("a = ", "this is no TOML: Invalid value"),
        ("extends = 'nixenv.toml'", "extends: takes one of .*vllm.*, not 'nixenv.toml'"),
        ("root = 'result'", "root: wants an absolute path, or .* {flox_env}, not 'result'"),
        ("root = '{flox_env}/{cache}'", "root: wants an absolute path"),
        ("root = '$FLOX_ENV'", "root: no shell reads it, .*: write {flox_env}"),
        ("layout = 'flat'", "layout: wants store or linked, not 'flat'"),
        ("minimum-version = '99'", "minimum-version: it needs nixenv 99 or newer, and this is"),
        ("minimum-version = '99'\nnewer = 1", "minimum-version: it needs nixenv 99"),
        ("minimum-version = 'new'", "minimum-version: wants a version of nixenv"),
        ("[set]\nA = '$CUDA_HOME/lib'", "set.A: no shell reads it, and .CUDA_HOME .*{cuda_home}"),
        ("[set]\nA = '${FLOX_ENV_CACHE}/a'", "set.A: .*: write {cache}"),
        ("[defaults]\nA = '${HOME:?}/a'", "defaults.A: .*: write out what it stands for"),
        ("[set]\nDIRS = '/a:$DIRS'", "set.DIRS: .*use .prepend. or .append."),
        ("[cache]\nA = '$FLOX_ENV_CACHE/a'", "cache.A: .*: write {cache}"),
        ("[cache]\nA = '{cache}/a'", "cache.A: wants a plain path below the cache directory"),
        ("[prepend]\nA = '/a::/b'", "prepend.A: wants entries separated by colons, none empty"),
        ("[append]\nA = ''", "append.A: wants entries"),
        ("[append]\nPATH = '/a'", "append.PATH: is not for a profile to set"),
        ("[unset]\nCUDA_HOME = true", "unset.CUDA_HOME: is not for a profile to set"),
        ("[unset]\nA = false", "unset.A: wants true"),
        ("[unset]\nA = 'x'", "unset.A: wants true or false, not a string"),
        ("[set]\nA = 'a'\n[unset]\nA = true", "unset.A: it stands under .set. as well"),
        ("[set]\nLD_LIBRARY_PATH = '/a'", "set.LD_LIBRARY_PATH: .*must begin with a name"),
        ("[prepend]\nLD_LIBRARY_PATH = '{root}:/a'", "prepend.LD_LIBRARY_PATH: .*begin with"),
        ("[set]\nLD_LIBRARY_PATH = '{{root}}/a'", "set.LD_LIBRARY_PATH: .*begin with a name"),
        ("[set]\nLD_LIBRARY_PATH = '{root}/../../a'", "set.LD_LIBRARY_PATH: .*hold no `..`"),
        ("[defaults]\nLD_LIBRARY_PATH = ''", "defaults.LD_LIBRARY_PATH: .*begin with a name"),
        ("[cache]\nLD_LIBRARY_PATH = 'a'", "cache.LD_LIBRARY_PATH: wants a plain path"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str, tmp_path: Path) -> None:
    """The message holds the file, the key and what is wanted there."""
    file = tmp_path / "nixenv.toml"
    file.write_text(text)
    with pytest.raises(ProfileInvalid, match=message) as caught:
        load_profile(str(file))
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# one\nbinary = ''\n", 2),
        ("[set]\nA = 'a'\n\n[defaults]\n  A = 1", 5),
        ("[cuda]\nversion = '12'\n[python]\nversion = '3.12'", 2),
        ("cuda.version = '12'", 1),
        ("[ set ]\n'A B' = ''", 2),
        ('[set]\n"A B" = "a=b"', 2),
        ("binary = ''  # = ''", 1),
        ("path = [\n  'nvcc',\n  'gcc',\n]", 1),
        ("cuda = { version = '12' }", None),
        ("text = '''\nbinary =\n'''\nbinary = ''", None),
    ],
)
def test_the_line_is_named_where_it_can_be_had(text: str, line: int | None, tmp_path: Path) -> None:
    """As compilers name it, for editors to go to; where it is in doubt, none is."""
    file = tmp_path / "nixenv.toml"
    file.write_text(text)
    with pytest.raises(ProfileInvalid) as caught:
        load_profile(str(file))
    assert caught.value.line == line
    where = f"{file}:{line}: " if line else f"{file}: "
    assert str(caught.value).startswith(where)


def test_this_version_is_new_enough_for_itself() -> None:
    """And for any before it; of a version in the making, its release counts."""
    for version in (__version__.partition(".dev")[0], "0", "0.0.9"):
        parse_profile({"minimum-version": version}, "p")


def test_a_dollar_that_no_shell_would_read_stays(tmp_path: Path) -> None:
    """What stands for no variable of an activation is a value like any other."""
    file = tmp_path / "nixenv.toml"
    file.write_text("""[set]\nA = '{"$schema": "x$y", "cost": "$5"}'\nB = '$ORIGIN/lib'\n""")
    profile = load_profile(str(file))
    assert profile.fixed == {"A": '{"$schema": "x$y", "cost": "$5"}', "B": "$ORIGIN/lib"}


def test_a_profile_that_is_nowhere_lists_the_built_in_ones() -> None:
    """A name that is no file and no built-in profile is a usage error."""
    with pytest.raises(ProfileNotFound, match="'sglnag'.*\n.*comfyui, cuda, .* vllm"):
        load_profile("sglnag")


def test_a_profile_that_is_a_directory_is_unreadable(tmp_path: Path) -> None:
    """The system's reason is passed on."""
    with pytest.raises(Unreadable, match="Is a directory"):
        load_profile(str(tmp_path))


def test_bytes_that_are_no_utf8_are_no_toml(tmp_path: Path) -> None:
    """TOML is UTF-8."""
    file = tmp_path / "nixenv.toml"
    file.write_bytes(b"binary = '\xff'")
    with pytest.raises(ProfileInvalid, match="this is no TOML"):
        load_profile(str(file))


@pytest.mark.parametrize("name", NEVER_SET)
@pytest.mark.parametrize("table", TABLES)
def test_which_names_a_profile_may_not_set(name: str, table: str) -> None:
    """Whatever the table: nixenv's own, what shells live by, and what names code to run."""
    document = {table: {name: table == "unset" or "{root}"}}
    with pytest.raises(ProfileInvalid, match=f"{table}.{name}: is not for a profile to set"):
        parse_profile(document, "p")


def test_other_names_are_a_profiles_to_set() -> None:
    """However near they come to those."""
    names = ("PATHS", "LD_PRELOADED", "CUDA_HOMES", "_PATH", "nixenv", "CC", "MANPATH")
    assert parse_profile({"set": dict.fromkeys(names, "v")}, "p").variables == set(names)


@pytest.mark.parametrize("table", ["set", "defaults"])
@pytest.mark.parametrize("name", sorted(SHELLS_OWN))
def test_what_a_shell_keeps_for_itself_is_refused(table: str, name: str) -> None:
    """bash assigns several variables at once, and none of them where one is read-only."""
    with pytest.raises(ProfileInvalid, match="is not for a profile to set"):
        parse_profile({table: {name: "x"}}, "p")


def test_what_bash_has_read_only_is_among_them() -> None:
    """By its own list."""
    told = subprocess.run(["bash", "-c", "readonly -p"], capture_output=True, text=True, check=True)
    names = {line.split()[2].partition("=")[0] for line in told.stdout.splitlines()}
    assert {"BASHOPTS", "EUID"} <= names <= SHELLS_OWN


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_profile_is_what_its_document_says(name: str) -> None:
    """Written down and read again, nothing of it is lost; nor where another only extends it."""
    profile = load_profile(name)
    other = profile._replace(layout="linked", root="/r", python="3.12", cuda="12.8", compiler=True)
    for one in (profile, other, other._replace(keep_virtualenv=True, python_required=True)):
        assert parse_profile(to_document(one), name) == one
        assert parse_profile({}, "upper", one) == one._replace(name="upper")
