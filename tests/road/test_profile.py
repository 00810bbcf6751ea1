"""Profiles: one schema, and messages that name the key."""

import os
from pathlib import Path

import pytest

from nixenv import load_profile
from nixenv.errors import Unreadable
from nixenv.road.profile import BUILT_IN, ProfileInvalid, ProfileNotFound


@pytest.mark.parametrize(("name", "binary"), BUILT_IN.items())
def test_the_program_of_a_built_in_profile_is_the_one_in_its_file(
    name: str, binary: str | None
) -> None:
    """It is told beside the name, so that the file need not be read to look it up."""
    assert load_profile(name).binary == binary


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_profiles_are_of_the_schema(name: str) -> None:
    """Each loads by its name, and by its path as a user's own file would."""
    profile = load_profile(name)
    file = Path("nixenv/profiles", f"{name}.toml")
    assert load_profile(str(file)).defaults == profile.defaults
    assert sorted(os.listdir(file.parent)) == sorted(f"{built_in}.toml" for built_in in BUILT_IN)


def test_a_users_file_says_everything(tmp_path: Path) -> None:
    """All keys of the schema arrive."""
    file = tmp_path / "nixenv.toml"
    file.write_text(
        'binary = "comfyui"\npath = ["ninja", "nvcc"]\ncompiler = true\n'
        '[python]\nversion = "3.12"\n[cuda]\nversion = "12.8"\nrequired = true\n'
        '[cache]\nTRITON_CACHE_DIR = "jit/triton"\n[defaults]\nPORT = "8188"\n'
    )
    profile = load_profile(str(file))
    assert (profile.binary, profile.path, profile.compiler) == ("comfyui", ("ninja", "nvcc"), True)
    assert (profile.python, profile.cuda, profile.cuda_required) == ("3.12", "12.8", True)
    assert profile.cache == {"TRITON_CACHE_DIR": "jit/triton"}
    assert profile.defaults == {"PORT": "8188"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("binnary = 'x'", "binnary: is no key of a profile; known here: .*binary"),
        ("[cuda]\nrequire = true", "cuda.require: is no key .* version, required"),
        ("[python]\nversion = 3.12", "python.version: wants a string, not a float"),
        ("[python]\nversion = '3'", "python.version: wants a version X.Y, not '3'"),
        ("[cuda]\nrequired = 'yes'", "cuda.required: wants true or false, not a string"),
        ("cuda = 12.8", "cuda: wants a table, not a float"),
        ("path = 'nvcc'", "path: wants a list of strings, not a string"),
        ("path = ['nvcc', 'gcc']", "path: knows nvcc, ninja, host-compiler, cuda-tools, not 'gcc'"),
        (
            "[defaults]\nA = '{cuda_lob}'",
            "defaults.A: .*unknown name {cuda_lob}; known .*{cuda_lib}",
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
        ("[cache]\nA = ''", "cache.A: wants a plain path"),
        ("[cache]\nA = 'a'\n[defaults]\nA = 'b'", "defaults.A: it stands under .cache. as well"),
        ("a = ", "this is no TOML: Invalid value"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str, tmp_path: Path) -> None:
    """The message holds the file, the key and what is wanted there."""
    file = tmp_path / "nixenv.toml"
    file.write_text(text)
    with pytest.raises(ProfileInvalid, match=message) as caught:
        load_profile(str(file))
    assert str(file) in str(caught.value)
    assert "docs/profiles.md" in str(caught.value)


def test_a_profile_that_is_nowhere_lists_the_built_in_ones() -> None:
    """A name that is no file and no built-in profile is a usage error."""
    with pytest.raises(ProfileNotFound, match="'sglnag'.*\n.*python-cuda, sglang, vllm"):
        load_profile("sglnag")


def test_a_profile_that_is_a_directory_is_unreadable(tmp_path: Path) -> None:
    """The system's reason is passed on."""
    with pytest.raises(Unreadable, match="no regular file"):
        load_profile(str(tmp_path))


def test_bytes_that_are_no_utf8_are_no_toml(tmp_path: Path) -> None:
    """TOML is UTF-8."""
    file = tmp_path / "nixenv.toml"
    file.write_bytes(b"binary = '\xff'")
    with pytest.raises(ProfileInvalid, match="this is no TOML"):
        load_profile(str(file))
