"""Frozen values to JSON and back, for the journal."""

import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from vmsnap.errors import HostFileError
from vmsnap.model import JsonValue

Value = TypeVar("Value")


def to_json(value: object) -> JsonValue:
    """Encode dataclasses, enums, paths, times, tuples and mappings with text keys."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Enum):
        return to_json(value.value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if is_dataclass(value):
        return {item.name: to_json(getattr(value, item.name)) for item in fields(value)}
    message = f"no JSON for {type(value).__name__}"
    raise TypeError(message)


def from_json(kind: type[Value], data: object) -> Value:
    """Decode what `to_json` made of a dataclass of type `kind`.

    Raises HostFileError for anything else: a field that is missing or unknown, a value of another
    type.
    """
    try:
        return _decode_fields(kind, data)
    except (TypeError, ValueError) as error:
        message = f"the journal is damaged: it holds no {kind.__name__} where one should be"
        raise HostFileError(message) from error


def _decode_fields(kind: type[Value], data: object) -> Value:
    hints = _hints(typing.cast("Hashable", kind))
    given = _checked(dict, data)
    if not given.keys() <= hints.keys():
        raise ValueError("unknown fields")
    # A field that is missing is a TypeError.
    return kind(**{name: _decode(hints[name], item) for name, item in given.items()})


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {item.name: hints[item.name] for item in fields(typing.cast("Any", kind))}


def _decode(hint: Any, data: object) -> Any:  # noqa: ANN401 - the hint says at run time what it is
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        return _decode(next(arm for arm in typing.get_args(hint) if arm is not type(None)), data)
    if origin is tuple:
        return _decode_tuple(typing.get_args(hint), _checked(list, data))
    if origin is not None and issubclass(origin, Mapping):
        key_hint, item_hint = typing.get_args(hint)
        items = _checked(dict, data).items()
        return {_decode(key_hint, key): _decode(item_hint, item) for key, item in items}
    return _decode_plain(getattr(hint, "__supertype__", hint), data)


def _decode_plain(hint: Any, data: object) -> Any:  # noqa: ANN401 - as above
    if is_dataclass(hint):
        return _decode_fields(typing.cast("type[Any]", hint), data)
    if hint is datetime:
        return _aware(datetime.fromisoformat(_checked(str, data)))
    if issubclass(hint, Path):
        return hint(_checked(str, data))
    if issubclass(hint, Enum):
        return hint(data)
    if hint is float and isinstance(data, int):
        return _checked(int, data)
    return _checked(hint, data)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment


def _decode_tuple(arms: tuple[Any, ...], data: list[Any]) -> tuple[Any, ...]:
    if arms[-1] is Ellipsis:
        return tuple(_decode(arms[0], item) for item in data)
    return tuple(_decode(arm, item) for arm, item in zip(arms, data, strict=True))


def _checked(kind: type[Value], data: object) -> Value:
    # A bool is an int to Python.
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise ValueError(f"no {kind.__name__}")
    return data
