"""Fields of a message by their declared types; a value of another type is reported."""

from __future__ import annotations

import re
import struct
from fractions import Fraction

from netspec.diagnostics import Diagnostic, Diagnostics, Label
from netspec.diagnostics.source import Span
from netspec.diagnostics.suggest import did_you_mean
from netspec.importers.caffe.schema import FieldType, fields_of
from netspec.syntax.protobuf_text.ast import Message, MessageField, Scalar

MAX_INTEGER = 2**63 - 1
MAX_DIGITS = 60

_TRUE = {"true", "True", "t", "1"}
_FALSE = {"false", "False", "f", "0"}


class MessageFields:
    """The fields of one message, by the declaration of its type.

    Values of a wrong type are reported once, when they are asked for, and are then as if absent.
    A message that is given several times is merged, as protobuf does; of a value that is given
    several times the last counts.
    """

    def __init__(
        self, kind: str, messages: tuple[Message, ...], span: Span, diagnostics: Diagnostics
    ) -> None:
        self.kind = kind
        self.span = span
        self.diagnostics = diagnostics
        self._fields: dict[str, list[MessageField]] = {}
        for message in messages:
            for field in message.fields:
                self._fields.setdefault(field.name, []).append(field)

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def given(self, name: str) -> list[MessageField]:
        """The fields of this name as they are in the text."""
        return self._fields.get(name, [])

    def all(self) -> list[MessageField]:
        """All fields; those of one name follow each other."""
        return [field for fields in self._fields.values() for field in fields]

    def place(self, name: str) -> Span:
        """The place of a value; that of the whole message where it is not given."""
        given = self.given(name)
        return given[-1].value.span if given else self.span

    # --- values ----------------------------------------------------------------------------------

    def integer(self, name: str) -> int:
        """The value of an `int`, else its default, else 0."""
        value = self.maybe_integer(name)
        return 0 if value is None else value

    def maybe_integer(self, name: str) -> int | None:
        """The value of an `int`, else its default, else None."""
        values = self._numbers(name)
        default = self._declared(name).default
        return values[-1] if values else int(default) if default is not None else None

    def integers(self, name: str) -> list[int]:
        """All values of a repeated `int`."""
        return self._numbers(name)

    def _numbers(self, name: str) -> list[int]:
        found = []
        for field in self.given(name):
            number = self._number(field)
            if number is None:
                continue
            if number.denominator != 1 or abs(number) > MAX_INTEGER:
                self._wrong(field, "a whole number")
            else:
                found.append(int(number))
        return found

    def number(self, name: str) -> Fraction:
        """The value of a `float`, else its default, else 0."""
        values = self.numbers(name)
        return values[-1] if values else Fraction(self._declared(name).default or 0)

    def maybe_number(self, name: str) -> Fraction | None:
        """The value of a `float`, else its default, else None."""
        values = self.numbers(name)
        default = self._declared(name).default
        return values[-1] if values else Fraction(default) if default is not None else None

    def numbers(self, name: str) -> list[Fraction]:
        """All values of a repeated `float`; those that a program wrote are as it meant them."""
        found = ((self._number(field), field.value) for field in self.given(name))
        return [_as_meant(number, value) for number, value in found if number is not None]

    def flag(self, name: str) -> bool:
        """The value of a `bool`, else its default, else False."""
        return bool(self.maybe_flag(name))

    def maybe_flag(self, name: str) -> bool | None:
        """The value of a `bool`, else its default, else None."""
        default = self._declared(name).default
        result = None if default is None else default == "true"
        for field in self.given(name):
            text = field.value.text if isinstance(field.value, Scalar) else ""
            if text in _TRUE | _FALSE and getattr(field.value, "kind", "") != "string":
                result = text in _TRUE
            else:
                self._wrong(field, "true or false")
        return result

    def placed_integer(self, name: str) -> tuple[int, Span]:
        """The value of an `int` as `integer` gives it, and its place."""
        return self.integer(name), self.place(name)

    def placed_number(self, name: str) -> tuple[Fraction, Span]:
        """The value of a `float` as `number` gives it, and its place."""
        return self.number(name), self.place(name)

    def placed_flag(self, name: str) -> tuple[bool, Span]:
        """The value of a `bool` as `flag` gives it, and its place."""
        return self.flag(name), self.place(name)

    def word(self, name: str) -> str:
        """The word of an enum's value, else of its default, else an empty string."""
        declared = self._declared(name)
        result = declared.default or ""
        for field in self.given(name):
            result = self._word(field, declared) or result
        return result

    def _word(self, field: MessageField, declared: FieldType) -> str:
        text = field.value.text if isinstance(field.value, Scalar) else ""
        if text.isdigit() and len(text) < 9 and int(text) < len(declared.words):
            return declared.words[int(text)]
        if text in declared.words:
            return text
        known = ", ".join(declared.words)
        message = f"{field.name} is one of {known}, not {_shown(field)}"
        self._report("unknown-value", message, field.value.span, did_you_mean(text, declared.words))
        return ""

    def text(self, name: str) -> str:
        """The value of a `string`, else an empty string."""
        values = self.texts(name)
        return values[-1][0] if values else ""

    def texts(self, name: str) -> list[tuple[str, Span]]:
        """All values of a repeated `string`, with their places."""
        found = []
        for field in self.given(name):
            value = field.value
            if isinstance(value, Scalar) and value.kind == "string":
                found.append((value.text, value.span))
            else:
                text = value.text if isinstance(value, Scalar) else ""
                self._wrong(field, "a string", f'write `{field.name}: "{text}"`' if text else "")
                if text:
                    found.append((text, value.span))
        return found

    def message(self, name: str) -> MessageFields:
        """An inner message, all that are given merged into one; empty without any."""
        kind = self._declared(name).kind if name in fields_of(self.kind) else name
        return self.inner(name, kind)

    def inner(self, name: str, kind: str) -> MessageFields:
        """An inner message of a kind that the declaration does not say."""
        messages = tuple(f.value for f in self._messages(name) if isinstance(f.value, Message))
        span = messages[-1].span if messages else self.span
        return MessageFields(kind, messages, span, self.diagnostics)

    def messages(self, name: str) -> list[MessageFields]:
        """All messages of a repeated field."""
        kind = self._declared(name).kind
        return [
            MessageFields(kind, (f.value,), f.span, self.diagnostics)
            for f in self._messages(name)
            if isinstance(f.value, Message)
        ]

    def _messages(self, name: str) -> list[MessageField]:
        for field in self.given(name):
            if not isinstance(field.value, Message):
                self._wrong(field, "a message", f"write `{field.name} {{ ... }}`")
        return self.given(name)

    # --- checks ----------------------------------------------------------------------------------

    def check(self) -> None:
        """Warn of fields that the message does not have, and of contradicting values."""
        declared = fields_of(self.kind)
        for name, fields in self._fields.items():
            if name not in declared:
                self._unknown(fields[0], declared)
            elif len(fields) > 1 and not declared[name].repeated:
                texts = [f.value.text for f in fields if isinstance(f.value, Scalar)]
                if len(set(texts)) > 1:
                    self._contradiction(fields)
        self.warn_of_lost()

    def warn_of_lost(self) -> None:
        """Warn of fields that mean something which a spec can't say, if not their default."""
        declared = fields_of(self.kind)
        for name, fields in self._fields.items():
            if name in declared and declared[name].lost:
                usual = (declared[name].default or "").lower()
                texts = [f.value.text.lower() for f in fields if isinstance(f.value, Scalar)]
                usual_words = {
                    usual,
                    "1" if usual == "true" else "0" if usual == "false" else usual,
                }
                if not texts or not set(texts) <= usual_words:
                    message = f"{name} of {self.kind} can't be said in a spec, and is lost"
                    self._report("ignored-field", message, fields[0].name_span)

    def _unknown(self, field: MessageField, declared: dict[str, FieldType]) -> None:
        message = f"{self.kind} has no field {field.name} in Caffe; it is ignored"
        self._report("ignored-field", message, field.name_span, did_you_mean(field.name, declared))

    def _contradiction(self, fields: list[MessageField]) -> None:
        message = f"{fields[-1].name} is given twice; the last value counts"
        others = (Label(fields[0].span, "another value"),)
        self._report("ignored-field", message, fields[-1].span, others=others)

    def _declared(self, name: str) -> FieldType:
        return fields_of(self.kind)[name]

    def _number(self, field: MessageField) -> Fraction | None:
        text = field.value.text if isinstance(field.value, Scalar) else ""
        if isinstance(field.value, Scalar) and field.value.kind == "number":
            number = number_of(text)
            if number is not None:
                return number
            self._wrong(field, "a number of reasonable size")
        else:
            self._wrong(field, "a number")
        return None

    def _wrong(self, field: MessageField, wanted: str, help_: str = "") -> None:
        message = f"{field.name} takes {wanted}, not {_shown(field)}"
        self._report("wrong-type", message, field.value.span, (help_,) if help_ else ())

    def _report(
        self,
        code: str,
        message: str,
        span: Span,
        help: tuple[str, ...] = (),
        others: tuple[Label, ...] = (),
    ) -> None:
        """Report an error or a warning; reading goes on as if the value were absent."""
        self.diagnostics.add(Diagnostic(code, message, span, help=help, others=others))


def _shown(field: MessageField) -> str:
    if isinstance(field.value, Message):
        return "a message"
    text = field.value.text if len(field.value.text) <= 40 else f"{field.value.text[:37]}..."
    return f'"{text}"' if field.value.kind == "string" else text


def _as_meant(number: Fraction, value: Message | Scalar) -> Fraction:
    """1e-5 for 9.99999974738e-06: the shortest decimal of the same float32.

    A program writes a float32 with digits that it does not have. Numbers with fewer digits, and
    those of which no short decimal is the same float32, are as they are written.
    """
    text = value.text if isinstance(value, Scalar) else ""
    digits = re.sub(r"[^0-9]", "", re.split("[eE]", text)[0]).strip("0")
    if len(digits) < 9:
        return number
    try:
        single = _single(float(number))
        short = next(s for n in range(1, 8) if _single(float(s := f"{single:.{n}g}")) == single)
    except (OverflowError, StopIteration):
        return number
    return Fraction(short)


def _single(number: float) -> float:
    """The float32 nearest to a number. Raises OverflowError."""
    return float(struct.unpack("f", struct.pack("f", number))[0])


def number_of(text: str) -> Fraction | None:
    """The number that a text means; None where it is none, or has too many digits."""
    sign = -1 if text.startswith("-") else 1
    digits = text.removeprefix("-")
    if re.fullmatch(r"0[xX][0-9A-Fa-f]+", digits):
        return sign * Fraction(int(digits, 16)) if len(digits) <= MAX_DIGITS else None
    if re.fullmatch(r"0[0-7]+", digits):
        return sign * Fraction(int(digits, 8)) if len(digits) <= MAX_DIGITS else None
    digits = digits.rstrip("fF")
    match = re.fullmatch(r"(\d*\.?\d*)(?:[eE]([+-]?\d+))?", digits)
    if match is None or len(match[1]) > MAX_DIGITS or match[1] in ("", "."):
        return None
    exponent = match[2] or "0"
    if len(exponent) > 4 or abs(int(exponent)) > MAX_DIGITS:
        return None
    # Fraction knows neither `.5` nor `5.` everywhere.
    whole, _, rest = match[1].partition(".")
    return (
        sign * Fraction(int(whole + rest or "0"), 10 ** len(rest)) * Fraction(10) ** int(exponent)
    )
