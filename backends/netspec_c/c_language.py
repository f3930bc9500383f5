"""Names, numbers and comments in C. What a spec says can be no code there."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable
from math import isinf

from netspec.codegen.identifiers import Identifiers
from netspec.planning.module_functions import Language, Signature
from netspec.symbolic.expr import Apply, Expr, NumberLiteral, Parameter, Symbol, expression_source
from netspec_c.pieces import parameters, words

WIDTH = 120
"""Longest line of an emitted file, but for what has no place to break."""

_KEYWORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int
long register restrict return short signed sizeof static struct switch typedef union unsigned void
volatile while asm typeof bool true false alignas alignof atomic complex imaginary generic noreturn
constexpr nullptr thread_local class namespace template typename new delete this throw try catch
operator private public protected virtual friend using explicit mutable and or not xor and_eq or_eq
not_eq xor_eq bitand bitor compl export static_assert static_cast dynamic_cast const_cast
reinterpret_cast decltype noexcept concept requires wchar_t linux unix i386 main
"""
_LIBRARY = """
 abort abs acos asin assert atan atan2 atexit atof atoi atol bcmp bcopy bsearch bzero cabs cacos
calloc carg casin catan cbrt ccos ceil cexp cimag clock clog conj copysign cos cosh cpow cproj
creal csin csqrt ctan ctanh ctime difftime div drem dprintf erf erfc errno exit exp exp10 exp2
expm1 fabs fclose fdim ffs ffsl finite floor fma fmax fmin fmod fopen fork fputs fread free frexp
fseek fwrite gamma getc getchar getenv gets hypot ilogb index isalnum isalpha isdigit isfinite
isgreater isinf isless isnan isnormal isspace j0 j1 jn kill labs ldexp ldiv lgamma link llabs
llrint llround log log10 log1p log2 logb longjmp lrint lround malloc mblen memchr memcmp memcpy
memmove memset mktime modf nan nearbyint nextafter nexttoward offsetof open perror pow pow10 powl
printf putc putchar puts qsort raise rand read realloc remainder remove remquo rename rewind
rindex rint round scalb scalbln scalbn scanf select send setjmp signal signbit significand sin
sincos sinh sleep snprintf socket sprintf sqrt srand sscanf stat stderr stdin stdout strcat strchr
strcmp strcoll strcpy strcspn strdup strlen strncat strncmp strncpy strpbrk strrchr strspn strstr
strtod strtok strtol system tan tanh tgamma time toupper tolower trunc ungetc va_arg va_end
va_list va_start vprintf wait write y0 y1 yn
"""
RESERVED = frozenset(f"{_KEYWORDS} {_LIBRARY}".split())
"""Names that no function or variable may have: C, C++, and what compilers know of libraries."""


class CNames(Identifiers):
    """Gives out names that are free in C."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        super().__init__((*RESERVED, *words(), "r", "m", "w", *taken))

    def identifier(self, wanted: str) -> str:
        return super().identifier(plain(wanted))


def plain(name: str) -> str:
    """A name in ASCII letters, digits and single underscores, which begins with a letter."""
    name = re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_]", "_", name)).strip("_")
    return name if name[:1].isalpha() else f"net_{name}".rstrip("_")


def comment(text: str, indent: int = 0) -> list[str]:
    """A text as the lines of a comment, which it can't end."""
    text = "".join(c if c.isprintable() else " " for c in text)
    text = text.replace("\\", "/").replace("??", "? ?")
    while "*/" in text or "/*" in text:
        text = text.replace("*/", "* /").replace("/*", "/ *")
    lines = textwrap.wrap(text, WIDTH - indent - 6) or [""]
    lines = [f"{' ' * indent}{'   ' if i else '/* '}{line}" for i, line in enumerate(lines)]
    # What stands at the ends of lines must not make one with what is added.
    return [*lines[:-1], f"{lines[-1].rstrip('*/ ')} */"]


def number(value: float) -> str:
    """A float32 constant."""
    value = float(value)
    if isinf(value):
        return "-INFINITY" if value < 0 else "INFINITY"
    text = f"{value:.9g}"
    return text if text.lstrip("-").isdigit() and abs(value) < 2**24 else f"{_real(text)}f"


def double(value: float) -> str:
    """A constant in double precision."""
    return _real(repr(float(value)))


def _real(text: str) -> str:
    return text if "." in text or "e" in text else f"{text}.0"


def wrapped(text: str, indent: int = 2) -> list[str]:
    """A statement as lines, broken behind commas."""
    lines = textwrap.wrap(
        re.sub(r"(?<!,) ", "\0", text),
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 4),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in lines]


_RECORD = ("at", "channels", "height", "width")
"""The members of a value."""


def language() -> Language:
    """C, for functions of modules."""
    known = frozenset(("RELU", "RELU6", "NONE", "Clamp", "INFINITY", "NULL"))

    def signature(name: str) -> Signature:
        return parameters(name) if name else _RECORD, {}

    return Language(words(), signature, known, _expression, 12, False)


def _expression(expr: Expr, value: Callable[[Symbol], int]) -> Expr | None:
    """An expression that means in C what it means in Python: sums, products, whole quotients."""

    def same(e: Expr) -> bool:
        if isinstance(e, NumberLiteral | Parameter):
            return True
        return isinstance(e, Apply) and e.operator in ("+", "-", "*") and all(map(same, e.operands))

    text = expression_source(expr, lambda symbol: "x")
    return expr if same(expr) and re.fullmatch(r"[\w +*()-]*", text) else None
