"""PTX instructions as C++ expressions. Integers are computed without a sign where the bits are the same, since C++ says
nothing of signed overflow."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

C_TYPES = {
    "pred": "bool", "b8": "uint8_t", "u8": "uint8_t", "s8": "int8_t", "b16": "uint16_t", "u16": "uint16_t",
    "s16": "int16_t", "b32": "uint32_t", "u32": "uint32_t", "s32": "int32_t", "f32": "float", "b64": "uint64_t",
    "u64": "uint64_t", "s64": "int64_t", "f64": "double",
}  # fmt: skip
_BINARY = {"add": "+", "sub": "-", "mul": "*", "div": "/", "rem": "%", "and": "&", "or": "|", "xor": "^"}
_ORDERED = {"eq": "==", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "lo": "<", "ls": "<=", "hi": ">", "hs": ">="}
_OPPOSITE = {"ltu": ">=", "leu": ">", "gtu": "<=", "geu": "<", "neu": "=="}  # what an unordered comparison is not
_ROUNDING = {"rni": "std::nearbyint", "rzi": "std::trunc", "rmi": "std::floor", "rpi": "std::ceil"}


class PtxError(Exception):
    """Something that the translator does not know: what, and where."""


def size_of(kind: str) -> int:
    """Bytes of a PTX type."""
    return 1 if kind == "pred" else int(kind[1:]) // 8


def unsigned(kind: str) -> str:
    return "u" + kind[1:] if kind[0] == "s" else kind


def wide(kind: str) -> str:
    return f"{kind[0]}{2 * int(kind[1:])}"


def expression(
    parts: Sequence[str], read: Callable[[int, str], str], negated: Callable[[int], str]
) -> tuple[str, str] | None:
    """(type, C++) of an instruction that computes one value, None for others.

    `parts` are its name and suffixes; `read(i, type)` is source operand i as that type, `negated(i)` a predicate that
    may have an exclamation mark.
    """
    name, suffixes, kind = parts[0], parts[1:-1], parts[-1]
    if name in ("setp", "selp", "cvt"):
        return {"setp": _compared, "selp": _selected, "cvt": _converted}[name](parts, read, negated)
    if name in ("mul", "mad") and "wide" in suffixes:
        plain = f"({C_TYPES[wide(kind)]}){read(0, kind)} * ({C_TYPES[wide(kind)]}){read(1, kind)}"
        if name == "mul":
            return wide(kind), plain
        return unsigned(wide(kind)), f"({C_TYPES[unsigned(wide(kind))]})({plain}) + {read(2, unsigned(wide(kind)))}"
    if name in _BINARY and kind != "pred":
        computed = kind if name in ("div", "rem") else unsigned(kind)
        return computed, f"{read(0, computed)} {_BINARY[name]} {read(1, computed)}"
    if name in _BINARY:
        return kind, f"{read(0, kind)} {'!=' if name == 'xor' else 2 * _BINARY[name]} {read(1, kind)}"
    if name in ("shl", "shr"):
        computed = unsigned(kind) if name == "shl" else kind
        return computed, f"ptx::shifted_{'left' if name == 'shl' else 'right'}({read(0, computed)}, {read(1, 'u32')})"
    found = {
        "mad": lambda: f"{read(0, unsigned(kind))} * {read(1, unsigned(kind))} + {read(2, unsigned(kind))}",
        "fma": lambda: f"{'std::fma' if kind == 'f64' else 'fmaf'}({read(0, kind)}, {read(1, kind)}, {read(2, kind)})",
        "neg": lambda: f"-{read(0, kind)}",
        "abs": lambda: f"std::abs({read(0, kind)})",
        "not": lambda: f"{'!' if kind == 'pred' else '~'}{read(0, kind)}",
        "min": lambda: _lesser(kind, "<", "std::fmin", read),
        "max": lambda: _lesser(kind, ">", "std::fmax", read),
        "popc": lambda: f"(uint32_t)__builtin_popcountll({read(0, kind)})",
        "bfi": lambda: f"ptx::insert({read(0, kind)}, {read(1, kind)}, {read(2, 'u32')}, {read(3, 'u32')})",
        "mov": lambda: read(0, kind),
        "cvta": lambda: read(0, "u64"),
    }.get(name)
    if found is None:
        return None
    types = {"popc": "u32", "cvta": "u64", "mad": unsigned(kind)}
    return types.get(name, kind), found()


def _lesser(kind: str, sign: str, of_floats: str, read: Callable[[int, str], str]) -> str:
    a, b = read(0, kind), read(1, kind)
    return f"{of_floats}({a}, {b})" if kind[0] == "f" else f"({a} {sign} {b} ? {a} : {b})"


def _compared(parts: Sequence[str], read: Callable[[int, str], str], negated: Callable[[int], str]) -> tuple[str, str]:
    how, kind = parts[1], parts[-1]
    a, b = read(0, kind), read(1, kind)
    if how in _OPPOSITE:
        found = f"!({a} {_OPPOSITE[how]} {b})"
    elif how == "equ":
        found = f"!({a} < {b} || {a} > {b})"
    elif how == "ne":
        found = f"({a} < {b} || {a} > {b})" if kind[0] == "f" else f"{a} != {b}"
    elif how in ("num", "nan"):
        found = f"{'!' if how == 'num' else ''}({a} != {a} || {b} != {b})"
    elif how in _ORDERED:
        found = f"{a} {_ORDERED[how]} {b}"
    else:
        raise PtxError(f"comparison {how}")
    joined = {"and": "&&", "or": "||", "xor": "!="}.get(parts[2])
    return "pred", f"({found}) {joined} {negated(2)}" if joined else found


def _selected(parts: Sequence[str], read: Callable[[int, str], str], negated: Callable[[int], str]) -> tuple[str, str]:
    kind = parts[-1]
    return kind, f"{read(2, 'pred')} ? {read(0, kind)} : {read(1, kind)}"


def _converted(parts: Sequence[str], read: Callable[[int, str], str], negated: Callable[[int], str]) -> tuple[str, str]:
    to, source = parts[-2], parts[-1]
    value = read(0, source)
    rounding = next((_ROUNDING[part] for part in parts if part in _ROUNDING), None)
    if to[0] == "f":
        return to, f"({C_TYPES[to]})({f'{rounding}({value})' if rounding else value})"
    if source[0] == "f":
        if rounding is None:
            raise PtxError(f"conversion {'.'.join(parts)}")
        return to, f"ptx::to_integer<{C_TYPES[to]}>({rounding}({value}))"
    return to, f"({C_TYPES[to]}){value}"


def constant(text: str, kind: str) -> str | None:
    """A literal as C++ of that type, None where `text` is none."""
    if match := re.fullmatch(r"0[fF]([0-9A-Fa-f]{8})", text):
        return f"ptx::as<{C_TYPES[kind]}>((uint32_t)0x{match[1]}u)"
    if match := re.fullmatch(r"0[dD]([0-9A-Fa-f]{16})", text):
        return f"ptx::as<{C_TYPES[kind]}>((uint64_t)0x{match[1]}ull)"
    if re.fullmatch(r"-?(0x[0-9A-Fa-f]+|\d+)U?", text):
        number = int(text.rstrip("U"), 0)
        return f"({C_TYPES[kind]})0x{number & (1 << 64) - 1:x}ull"
    return None
