"""What a first activation takes of `typing`, without its import.

That, and what it makes of each annotation, would cost it milliseconds (docs/architecture.md, "What
makes a first activation quick"). A type checker sees the real ones, and refuses what those refuse.
Modules that no first activation loads take the real ones.
"""

import sys

TYPE_CHECKING = False

# From 3.14 on, only typing reads the annotations of a class that is still in the making.
if TYPE_CHECKING or sys.version_info >= (3, 14):
    from typing import NamedTuple, NewType, dataclass_transform
else:
    from collections import namedtuple

    class _Maker(type):
        """Makes a named tuple of a class that is written as for `typing.NamedTuple`."""

        def __new__(cls, name, _bases, body):
            kinds = body.get("__annotations__", {})
            fields = tuple(kinds)
            defaults = [body[field] for field in fields if field in body]
            made = namedtuple(  # noqa: PYI024 -- the other is what this stands in for
                name, fields, defaults=defaults, module=body["__module__"]
            )
            made.__new__.__annotations__ = kinds
            for key, value in body.items():
                if key not in fields:
                    setattr(made, key, value)
            return made

    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})

    def NewType(_name, supertype):  # noqa: N802 -- the name in typing
        """Give the type itself: at run time there is no other."""
        return supertype

    def dataclass_transform():
        """Give a decorator that leaves a class as it is."""
        return lambda kind: kind


__all__ = ("NamedTuple", "NewType", "dataclass_transform")
