"""Values as plain JSON data, and back.

On the export road values are named tuples, elsewhere they are of attrs classes; as JSON either is
an object with the field names as keys.
"""

from typing import Any

import cattrs
from cattrs.cols import (
    namedtuple_dict_structure_factory,
    namedtuple_dict_unstructure_factory,
)


def make_converter() -> cattrs.Converter:
    """Make a converter that refuses keys it does not know."""
    converter = cattrs.Converter(forbid_extra_keys=True)

    def structure_named_tuple(kind: Any) -> Any:
        return namedtuple_dict_structure_factory(kind, converter, "from_converter", True)  # noqa: FBT003

    converter.register_structure_hook_factory(_is_named_tuple, structure_named_tuple)
    converter.register_unstructure_hook_factory(
        _is_named_tuple, namedtuple_dict_unstructure_factory
    )
    return converter


def _is_named_tuple(kind: object) -> bool:
    # Not as cattrs knows them, by typing's own: most are of nixenv.typed.
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


_CONVERTER = make_converter()


def to_plain(value: object) -> Any:
    """Give a value as objects, lists and scalars."""
    return _CONVERTER.unstructure(value)
