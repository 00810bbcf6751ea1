"""Which interpreter, which modules, in which order: the rules on plain data."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixenv.road.choice import Reason
from nixenv.road.launcher import Launcher, Place
from nixenv.road.modules import FloxModules, ModuleDirectory
from nixenv.road.probe import Probe, StoreObject
from nixenv.road.python import (
    EnvironmentWithoutPython,
    Interpreter,
    Part,
    PythonAmbiguous,
    PythonNotFound,
    PythonUnsupported,
    PythonWithoutModules,
    SitePackages,
    choose_interpreter,
    has_python,
    order_site_packages,
)
from tests.closures import (
    closure_of,
    interpreter,
    launcher,
    module,
    probe_of,
    site_packages,
    store_path,
)

ROOT = StoreObject(store_path("python3.12-sglang-python312-cuda12_8-0.5.9"))
P312 = interpreter("python3-3.12.12", "3.12")
P313 = interpreter("python3-3.13.1", "3.13")
ENV = interpreter("python3-3.12.12-env", "3.12")
DEBUG = interpreter("python3-3.12.12-debug", "3.12")
MINIMAL = interpreter("python3-minimal-3.12.12", "3.12")


def chosen(
    *objects: StoreObject, launched: Launcher | None = None, wanted: str | None = None
) -> str:
    found = choose_interpreter(closure_of(*objects), probe_of(*objects, launched=launched), wanted)
    return f"{found.path} {found.version}"


def test_the_launchers_interpreter_is_taken() -> None:
    """It names the exact store object, even where a newer patch version is there."""
    newer = interpreter("python3-3.12.13", "3.12")
    objects = (newer, P312, P313, ROOT)
    launched = launcher("python3-3.12.12")
    found = choose_interpreter(closure_of(*objects), probe_of(*objects, launched=launched), None)
    assert (found.path, found.version) == (P312.path, "3.12")
    assert found.reasons == (Reason.LAUNCHER_HAS_VERSION, Reason.LAUNCHER)


def test_a_wanted_version_goes_before_the_launcher() -> None:
    """--python decides the version; the launcher's object is of another and does not count."""
    found = chosen(P312, P313, ROOT, launched=launcher("python3-3.12.12"), wanted="3.13")
    assert found == f"{P313.path} 3.13"


def test_the_roots_own_site_packages_tell_the_version() -> None:
    """Without a wrapper, what the root holds decides among several versions."""
    root = module("python3.13-vllm-0.9", "3.13")
    assert chosen(P312, P313, root) == f"{P313.path} 3.13"


@pytest.mark.parametrize(
    ("objects", "wanted", "reasons"),
    [
        ((P312, ENV), None, (Reason.ONLY_VERSION, Reason.PLAIN_INTERPRETER)),
        ((P312, P313), "3.12", (Reason.ASKED_FOR, Reason.ONLY_INTERPRETER)),
    ],
)
def test_the_interpreter_tells_why_it_was_chosen(
    objects: tuple[StoreObject, ...], wanted: str | None, reasons: tuple[Reason, ...]
) -> None:
    """Why this version, then why this store object."""
    objects = (*objects, ROOT)
    found = choose_interpreter(closure_of(*objects), probe_of(*objects), wanted)
    assert found.reasons == reasons


def test_the_only_version_needs_no_hint() -> None:
    """One version in the closure is the one."""
    assert chosen(P312, ENV, ROOT) == f"{P312.path} 3.12"


def test_several_versions_and_no_hint_are_an_error_that_lists_them() -> None:
    """Guessing would be silently wrong; also where nothing is noted on the root."""
    with pytest.raises(PythonAmbiguous):
        choose_interpreter(closure_of(P312, P313, ROOT), probe_of(P312, P313), None)
    with pytest.raises(PythonAmbiguous, match="3.12 .*python3-3.12.12\n.*3.13 .*\n.*--python X.Y"):
        chosen(P312, P313, ROOT)


@pytest.mark.parametrize("decoy", [ENV, DEBUG, MINIMAL], ids=lambda decoy: str(decoy.path)[44:])
@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_other_things_with_an_interpreter_are_not_it(decoy: StoreObject, *, first: bool) -> None:
    """-env, -debug and -minimal hold bin/pythonX.Y too; order does not matter."""
    objects = (decoy, P312, ROOT) if first else (P312, decoy, ROOT)
    assert chosen(*objects) == f"{P312.path} 3.12"


def test_the_highest_patch_version_by_number() -> None:
    """3.12.12 is newer than 3.12.9, and a release than its candidate."""
    others = [interpreter(f"python3-{v}", "3.12") for v in ("3.12.9", "3.12.12", "3.12.12rc1")]
    assert chosen(*others, ROOT) == f"{P312.path} 3.12"


@pytest.mark.parametrize(
    "order", [("3.15.0a1", "3.15.0a2", "3.15.0b1", "3.15.0rc1", "3.15.0rc2", "3.15.0", "3.15.1")]
)
def test_pre_releases_of_interpreters(order: tuple[str, ...]) -> None:
    """Plain interpreters like any other: an alpha comes before a beta, the release after all."""
    held = [interpreter(f"python3-{version}", "3.15") for version in order]
    decoy = interpreter("python3-3.15.9-env", "3.15")
    for number in range(2, len(held) + 1):
        assert chosen(*held[:number], decoy, ROOT) == f"{held[number - 1].path} 3.15"
        assert chosen(decoy, *held[number - 1 :: -1], ROOT) == f"{held[number - 1].path} 3.15"
    for older, newer in itertools.combinations(held, 2):
        assert chosen(newer, older, ROOT) == f"{newer.path} 3.15"


def test_no_interpreter_is_an_error() -> None:
    """The message says that the closure has none."""
    with pytest.raises(PythonNotFound, match="no Python interpreter in the closure"):
        chosen(ROOT)


def test_a_wanted_version_that_is_not_there_lists_what_is() -> None:
    """The next step needs the versions that can be had."""
    with pytest.raises(PythonNotFound, match="no Python 3.11 interpreter(.|\n)*3.12 .*3.12.12"):
        chosen(P312, ROOT, wanted="3.11")


@pytest.mark.parametrize(
    "name",
    [
        "python3-3.12.12-env",
        "python3-aarch64-unknown-linux-gnu-3.12.1",
        "cpython-3.12.1-linux",
        "x",
    ],
)
def test_an_only_interpreter_is_taken_whatever_it_is_called(name: str) -> None:
    """Names break ties, and there is none."""
    only = interpreter(name, "3.12")
    found = choose_interpreter(closure_of(only, ROOT), probe_of(only, ROOT), None)
    assert (found.path, found.reasons[1]) == (only.path, Reason.ONLY_INTERPRETER)


def test_a_tie_without_a_plain_name_is_broken_by_the_version() -> None:
    """Another name is no reason to refuse."""
    names = ("cpython-3.12.9-linux", "cpython-3.12.12-linux", "x")
    others = [interpreter(name, "3.12") for name in names]
    assert chosen(*others, ROOT) == f"{store_path('cpython-3.12.12-linux')} 3.12"


def test_a_free_threaded_build_is_a_version_of_its_own() -> None:
    """It loads other extension modules, and has its own site-packages."""
    free = interpreter("python3.13t-3.13.1", "3.13t")
    assert chosen(free, P313, ROOT, wanted="3.13t") == f"{free.path} 3.13t"
    assert chosen(free, P313, ROOT, wanted="3.13") == f"{P313.path} 3.13"
    with pytest.raises(PythonAmbiguous):
        chosen(free, P313, ROOT)


def test_pypy_is_refused_by_its_name() -> None:
    """At the launcher's end, or as the only Python of the closure; not where another is wanted."""
    pypy = f"{store_path('pypy3.11-7.3.20')}/bin/pypy3.11"
    with pytest.raises(PythonUnsupported, match="PyPy .*pypy3.11-7.3.20"):
        chosen(P312, ROOT, launched=Launcher((), pypy=pypy))
    with pytest.raises(PythonUnsupported, match="PyPy .*pypy3.11-7.3.20"):
        chosen(module("pypy3.11-7.3.20", "3.9"), ROOT)
    assert chosen(P312, ROOT, launched=Launcher((), pypy=pypy), wanted="3.12")


def test_the_environment_is_taken_and_its_base_remembered() -> None:
    """Of two 3.12 the one that the environment was made with."""
    newer = interpreter("python3-3.12.13", "3.12")
    launched = launcher("python3-3.12.12")._replace(environment=f"{ENV.path}/bin/python3.12")
    objects = (newer, P312, ENV, ROOT)
    found = choose_interpreter(closure_of(*objects), probe_of(*objects, launched=launched), None)
    assert (found.path, found.base) == (ENV.path, P312.path)
    assert found.reasons[1] is Reason.LAUNCHER_ENVIRONMENT
    assert found.others == (newer.path,)
    assert found.base_executable == f"{P312.path}/bin/python3.12"
    alone = choose_interpreter(closure_of(ENV, ROOT), probe_of(ENV, launched=launched), None)
    assert (alone.path, alone.base) == (ENV.path, None)


def test_the_roots_own_interpreter_may_be_an_environments() -> None:
    """With the one behind it as its base."""
    own = launcher("python3-3.12.12")._replace(environment=f"{ENV.path}/bin/python3.12")
    probe = probe_of(P312, ENV)._replace(root_python=own)
    found = choose_interpreter(closure_of(P312, ENV), probe, None)
    assert (found.path, found.base) == (ENV.path, P312.path)
    assert found.reasons == (Reason.ROOT_HAS_INTERPRETER, Reason.ROOT_INTERPRETER)


def test_a_link_to_the_interpreter_is_no_other_one() -> None:
    """An environment of links has it in its bin; a link to another one is another one."""
    links = StoreObject(
        store_path("environment-develop"), pythons=("3.12",), linked=(P312.path, P313.path)
    )
    others = StoreObject(store_path("others"), pythons=("3.13",), linked=(P313.path,))
    found = choose_interpreter(
        closure_of(P312, P313, others, links), probe_of(P312, P313, others, links), "3.12"
    )
    assert found.path == P312.path
    assert found.others == (P313.path, others.path)


def test_an_environment_has_the_python_that_it_holds_and_no_other() -> None:
    """A package of it, as nixenv, runs on one of its own; --python is the user's own choice."""
    bare = StoreObject(store_path("environment-develop"), programs=("nvcc",))
    with_modules = module("environment-run", "3.12")
    for root, expected in ((bare, False), (with_modules, True)):
        closure = closure_of(P312, root)
        probe = probe_of(P312, root)._replace(is_environment=True)
        assert has_python(closure, probe) is expected
        assert choose_interpreter(closure, probe, "3.12").path == P312.path
        assert has_python(closure, probe._replace(is_environment=False))
    with pytest.raises(EnvironmentWithoutPython, match="environment-develop is an environment"):
        choose_interpreter(
            closure_of(P312, bare), probe_of(P312, bare)._replace(is_environment=True), None
        )
    unnoted = probe_of(P312)._replace(is_environment=True)
    assert not has_python(closure_of(P312, bare), unnoted)
    # A program in it whose launcher ends at an interpreter has that one.
    launched = probe_of(P312, bare, launched=launcher("python3-3.12.12"))
    assert has_python(closure_of(P312, bare), launched._replace(is_environment=True))


def test_the_roots_own_interpreter_goes_before_modules_of_another_version() -> None:
    """Where the launcher tells of no Python, as of a compiled program."""
    root = StoreObject(store_path("root"), pythons=("3.13",), site_packages=("3.12",))
    probe = probe_of(P312, P313, root)._replace(
        launcher=Launcher(()), root_python=launcher("python3-3.13.1", version="3.13")
    )
    found = choose_interpreter(closure_of(P312, P313, root), probe, None)
    assert (found.path, found.version) == (P313.path, "3.13")
    assert found.reasons == (Reason.ROOT_HAS_INTERPRETER, Reason.ROOT_INTERPRETER)


def environment(**distributions: int) -> Probe:
    """Make the probe of an environment with Python 3.13 and so many distributions a version."""
    root = StoreObject(store_path("root"), pythons=("3.13",), site_packages=("3.12", "3.13"))
    return probe_of(P312, P313, root)._replace(
        root_python=launcher("python3-3.13.1", version="3.13"),
        directories=tuple(
            ModuleDirectory(site_packages("root", version[1:].replace("_", ".")), (), (), number)
            for version, number in distributions.items()
        ),
    )


def test_an_environment_whose_python_has_no_modules_is_refused() -> None:
    """With the Python that it has, and the one that the modules are for."""
    closure = closure_of(P312, P313, StoreObject(store_path("root")))
    with pytest.raises(PythonWithoutModules, match="has Python 3.13, (.|\n)*Python 3.12"):
        choose_interpreter(closure, environment(v3_12=2), None)
    for probe in (environment(v3_12=2, v3_13=1), environment()):
        assert choose_interpreter(closure, probe, None).version == "3.13"
    assert choose_interpreter(closure, environment(v3_12=2), "3.13").version == "3.13"


def test_modules_elsewhere_are_no_reason_to_refuse() -> None:
    """The root is no environment, is not noted, or its launcher brings modules of its version."""
    version = "3.13"
    empty = environment(v3_12=2)
    closure = closure_of(P312, P313, StoreObject(store_path("root")))
    launched = launcher("python3-3.13.1", "other", version=version)
    note = ModuleDirectory(site_packages("other", version), (), (), 1)
    served = empty._replace(root_python=launched, directories=(*empty.directories, note))
    assert choose_interpreter(closure, served, None).version == version
    unnoted = empty._replace(objects=tuple(o for o in empty.objects if o.path != closure.root))
    assert choose_interpreter(closure, unnoted, None).version == version
    with pytest.raises(PythonWithoutModules) as caught:
        choose_interpreter(closure, empty, None)
    assert (caught.value.root, caught.value.version) == (closure.root, version)
    assert caught.value.present == ["3.12"]


def directories(
    *objects: StoreObject,
    launched: Launcher | None = None,
    notes: tuple[ModuleDirectory, ...] = (),
    flox: FloxModules | None = None,
) -> list[str]:
    return [part.directory for part in parts(*objects, launched=launched, notes=notes, flox=flox)]


def parts(
    *objects: StoreObject,
    launched: Launcher | None = None,
    notes: tuple[ModuleDirectory, ...] = (),
    flox: FloxModules | None = None,
) -> tuple[SitePackages, ...]:
    probe = probe_of(*objects, launched=launched)._replace(directories=notes, flox=flox)
    chosen = Interpreter(P312.path, "3.12", (), ())
    return order_site_packages(closure_of(*objects), probe, chosen)


OLD = module("python3.12-packaging-20.9", "3.12")
NEW = module("python3.12-packaging-25.0", "3.12")
TORCH = module("python3.12-torch-2.9.1", "3.12", "python3.12-packaging-25.0")
SGLANG = module("root", "3.12", "python3.12-torch-2.9.1")


def test_the_wrappers_list_comes_first_in_its_order() -> None:
    """Then the rest; so the program's own version wins."""
    launched = launcher(
        "python3-3.12.12", "root", "python3.12-torch-2.9.1", "python3.12-packaging-25.0"
    )
    assert directories(OLD, NEW, TORCH, SGLANG, launched=launched) == [
        site_packages("root"),
        site_packages("python3.12-torch-2.9.1"),
        site_packages("python3.12-packaging-25.0"),
        site_packages("python3.12-packaging-20.9"),
    ]


def test_the_programs_own_modules_are_marked() -> None:
    """What the launcher, the root and what it propagates bring; the rest of the closure is not."""
    part = ModuleDirectory(site_packages("listed"), path_lines=(f"{store_path('listed')}/line",))
    unread = ModuleDirectory(site_packages("root"), path_lines=(f"{store_path('root')}/line",))
    found = parts(
        OLD,
        NEW,
        TORCH,
        module("listed", "3.12"),
        SGLANG,
        launched=launcher("python3-3.12.12", "listed"),
        notes=(part, unread),
    )
    assert {part.directory: part.own for part in found} == {
        site_packages("listed"): True,
        f"{store_path('listed')}/line": True,
        site_packages("root"): True,
        site_packages("python3.12-torch-2.9.1"): True,
        site_packages("python3.12-packaging-25.0"): True,
        f"{store_path('root')}/line": True,
        site_packages("python3.12-packaging-20.9"): False,
    }


def test_without_a_wrapper_the_propagated_inputs_are_walked() -> None:
    """Depth first, each before what it propagates, as nixpkgs does it."""
    left = module("left", "3.12", "deep")
    right = module("right", "3.12")
    deep = module("deep", "3.12")
    root = module("root", "3.12", "left", "right")
    assert directories(OLD, deep, right, left, root) == [
        site_packages(name)
        for name in ("root", "left", "deep", "right", "python3.12-packaging-20.9")
    ]


def test_of_the_rest_dependents_come_first() -> None:
    """Nix lists references first: an application that is only mentioned must not win."""
    assert directories(OLD, NEW, module("other", "3.12"), ROOT) == [
        site_packages(name)
        for name in ("other", "python3.12-packaging-25.0", "python3.12-packaging-20.9")
    ]


def test_what_an_environment_is_made_of_is_walked() -> None:
    """From the store objects that its site-packages link to."""
    note = ModuleDirectory(site_packages("root"), leads_to=(TORCH.path,))
    root = module("root", "3.12")
    assert directories(NEW, TORCH, OLD, root, notes=(note,)) == [
        site_packages(name)
        for name in (
            *("root", "python3.12-torch-2.9.1", "python3.12-packaging-25.0"),
            "python3.12-packaging-20.9",
        )
    ]


def test_only_what_is_in_use_is_walked() -> None:
    """The directories that the launcher lists, and the root's; links of another lead nowhere."""
    env, other = module("env", "3.12"), module("other", "3.12")
    notes = (
        ModuleDirectory(site_packages("other"), leads_to=(OLD.path,)),
        ModuleDirectory(site_packages("env"), leads_to=(TORCH.path,)),
    )
    launched = launcher("python3-3.12.12", "env")
    found = parts(NEW, TORCH, OLD, other, env, ROOT, launched=launched, notes=notes)
    assert [part.directory for part in found if part.own] == [
        site_packages(name)
        for name in ("env", "python3.12-torch-2.9.1", "python3.12-packaging-25.0")
    ]


def test_path_lines_follow_where_python_reads_them() -> None:
    """In site-packages that the launcher adds as such; else behind the Flox environment's."""
    note = ModuleDirectory(site_packages("root"), path_lines=(f"{store_path('root')}/pp",))
    root = module("root", "3.12")
    flox = FloxModules(
        f"{store_path('flox')}/lib/python3.12/site-packages", P312.path + "/bin/python3.12", ("t",)
    )
    listed = launcher("python3-3.12.12", "root")
    found = parts(OLD, root, launched=listed, notes=(note,), flox=flox)
    assert [(part.directory, part.own, part.part) for part in found] == [
        (site_packages("root"), True, Part.SITE),
        (f"{store_path('root')}/pp", True, Part.LINE),
        (flox.directory, False, Part.SITE),
        (site_packages("python3.12-packaging-20.9"), False, Part.SITE),
    ]
    assert [part.content for part in found] == [(), (), ("t",), ()]
    own = ModuleDirectory(flox.directory, path_lines=(f"{store_path('flox')}/pp",))
    assert directories(OLD, root, notes=(own, note), flox=flox) == [
        site_packages("root"),
        flox.directory,
        f"{store_path('root')}/pp",
        f"{store_path('flox')}/pp",
        site_packages("python3.12-packaging-20.9"),
    ]


def test_another_pythons_flox_environment_stays_out() -> None:
    """Its modules are of another version, or for another build."""
    flox = FloxModules("/nix/store/x/lib", f"{P313.path}/bin/python3.13", ("t",))
    assert directories(OLD, flox=flox) == [site_packages("python3.12-packaging-20.9")]


def test_what_the_closure_does_not_hold_stays_out() -> None:
    """A launcher may name anything."""
    places = (Place("/tmp/x", is_site=False), Place(site_packages("gone"), is_site=True))
    line = f"{store_path('root')}/line"
    lines = (ModuleDirectory(site_packages("root"), path_lines=("/etc", "/home/u", line)),)
    launched = launcher("python3-3.12.12")._replace(places=places)
    root = module("root", "3.12")
    assert directories(root, launched=launched, notes=lines) == [site_packages("root"), line]


def test_a_directory_of_scripts_is_no_site_packages() -> None:
    """It is put on the path as it is."""
    place = Place(f"{store_path('root')}/share/webui", is_site=False)
    launched = launcher("python3-3.12.12")._replace(places=(place,))
    assert parts(SGLANG, launched=launched)[0] == SitePackages(
        place.directory, own=True, part=Part.PATH
    )


def test_a_site_packages_that_is_no_site_has_its_path_lines_behind() -> None:
    """As PYTHONPATH would have it: Python reads no .pth file there."""
    places = (Place(site_packages("root"), is_site=False),)
    note = ModuleDirectory(site_packages("root"), path_lines=(f"{store_path('root')}/pp",))
    found = parts(
        NEW,
        module("root", "3.12", "python3.12-packaging-25.0"),
        launched=launcher("python3-3.12.12")._replace(places=places),
        notes=(note,),
    )
    assert [(part.directory, part.part) for part in found] == [
        (site_packages("root"), Part.SITE),
        (site_packages("python3.12-packaging-25.0"), Part.SITE),
        (f"{store_path('root')}/pp", Part.LINE),
    ]


def test_a_cycle_of_propagated_inputs_ends() -> None:
    """Each store object is visited once."""
    a = module("a", "3.12", "root")
    root = module("root", "3.12", "a")
    assert directories(a, root) == [site_packages("root"), site_packages("a")]


def test_other_versions_stay_out() -> None:
    """A 3.13 module in the closure has no place on a 3.12 path."""
    other = module("python3.13-x-1", "3.13")
    assert directories(other, NEW, TORCH, SGLANG) == [
        site_packages("root"),
        site_packages("python3.12-torch-2.9.1"),
        site_packages("python3.12-packaging-25.0"),
    ]


names = st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1)


@given(members=names, listed=names, propagated=st.lists(st.sampled_from("abcdefgh")))
def test_every_directory_is_there_exactly_once(
    members: list[str], listed: list[str], propagated: list[str]
) -> None:
    """All that the closure holds, nothing else, nothing twice, whatever the program lists."""
    objects = [module(name, "3.12", *propagated) for name in members]
    found = directories(*objects, launched=launcher("python3-3.12.12", *listed))
    assert sorted(found) == sorted(site_packages(name) for name in members)
    own = [site_packages(name) for name in listed if name in members]
    assert found[: len(own)] == own


def test_a_launchers_interpreter_outside_the_closure_does_not_count() -> None:
    """It names a store object that the closure lacks: the closure's own is taken."""
    found = choose_interpreter(
        closure_of(P312, ROOT), probe_of(P312, ROOT, launched=launcher("python3-3.12.1")), None
    )
    assert (found.path, found.reasons[1]) == (P312.path, Reason.ONLY_INTERPRETER)


def test_an_interpreter_of_two_versions_is_taken_for_the_launchers() -> None:
    """One store object with bin/python3.12 and bin/python3.13."""
    both = interpreter("both", "3.12", "3.13")
    for version in both.pythons:
        assert chosen(both, ROOT, launched=launcher("both", version=version)) == (
            f"{both.path} {version}"
        )
    with pytest.raises(PythonAmbiguous, match="3.12 .*-both\n.*3.13 .*-both"):
        chosen(both, ROOT)
