"""Named tuples that are made without typing are those that typing makes."""

import copy
import inspect
import pickle
import sys
import typing

import pytest

from nixenv import typed


class Plain(typed.NamedTuple):
    """Words."""

    path: str
    kinds: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many."""
        return len(self.kinds)


class Model(typing.NamedTuple):
    """Words."""

    path: str
    kinds: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many."""
        return len(self.kinds)


@pytest.mark.parametrize(
    "name", ["__doc__", "__module__", "__annotations__", "__slots__", "__match_args__", "_fields"]
)
def test_a_class_is_as_typing_makes_it(name: str) -> None:
    """What tells of it, and what other libraries go by."""
    assert getattr(Plain, name) == getattr(Model, name)
    assert Plain._field_defaults == Model._field_defaults
    assert inspect.signature(Plain) == inspect.signature(Model)
    assert issubclass(Plain, tuple)


def test_a_value_is_as_typing_makes_it() -> None:
    """Equal to the tuple of its fields, and to be had again from bytes."""
    value, model = Plain("/a", kinds=("x",)), Model("/a", kinds=("x",))
    assert tuple(value) == tuple(model) == ("/a", ("x",))
    assert (value.size, hash(value)) == (model.size, hash(model))
    assert repr(value) == repr(model).replace("Model", "Plain")
    assert value._replace(path="/b") == Plain("/b", ("x",))
    for again in (pickle.loads(pickle.dumps(value)), copy.copy(value)):
        assert (type(again), again) == (Plain, value)


@pytest.mark.parametrize("kind", [Plain, Model])
def test_a_value_that_is_none_is_refused(kind: type[Plain]) -> None:
    """A field that is missing, unknown, or written to."""
    with pytest.raises(TypeError):
        kind()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        kind("/a", other=1)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        kind("/a").path = "/b"  # type: ignore[misc]


def test_typing_itself_is_used_where_annotations_come_late() -> None:
    """From Python 3.14 on."""
    assert (typed.NamedTuple is typing.NamedTuple) == (sys.version_info >= (3, 14))
