"""The tree of a text in protobuf's text format: fields with values, each with its place.

Without meaning: which fields a message has, and of what type, is known to the schema of the reader.
"""

from __future__ import annotations

from typing import Literal

from netspec.diagnostics.source import Span
from netspec.lazy_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scalar:
    """A string (unquoted and joined), a number as it is written, or a bare word."""

    kind: Literal["string", "number", "word"]
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Message:
    """`fields` in order; one that repeats is there several times."""

    fields: tuple[MessageField, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class MessageField:
    """`name: value`; the items of `name: [a, b]` are fields of their own."""

    name: str
    name_span: Span
    value: Scalar | Message
    span: Span
