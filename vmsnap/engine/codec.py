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

from vmsnap.model import JsonObject, JsonValue

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


def from_json(kind: type[Value], data: JsonObject) -> Value:
    """Decode what `to_json` made of a dataclass of type `kind`."""
    hints = _hints(typing.cast("Hashable", kind))
    return kind(**{name: _decode(hints[name], item) for name, item in data.items()})


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decode(hint: Any, data: Any) -> Any:  # noqa: ANN401 - the hint says at run time what it is
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        return _decode(next(arm for arm in typing.get_args(hint) if arm is not type(None)), data)
    if origin is tuple:
        return _decode_tuple(typing.get_args(hint), data)
    if origin is not None and issubclass(origin, Mapping):
        key_hint, item_hint = typing.get_args(hint)
        return {_decode(key_hint, key): _decode(item_hint, item) for key, item in data.items()}
    hint = getattr(hint, "__supertype__", hint)
    if is_dataclass(hint):
        return from_json(typing.cast("type[Any]", hint), data)
    if hint is datetime:
        return datetime.fromisoformat(data)
    if isinstance(hint, type) and issubclass(hint, Enum | Path):
        return hint(data)
    return data


def _decode_tuple(arms: tuple[Any, ...], data: list[Any]) -> tuple[Any, ...]:
    if arms[-1] is Ellipsis:
        return tuple(_decode(arms[0], item) for item in data)
    return tuple(_decode(arm, item) for arm, item in zip(arms, data, strict=True))
