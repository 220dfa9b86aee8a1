"""PTX, what NVRTC's front end and optimiser make of the kernels, as C++ on top of the emulator's machine.

Every PTX register is a local variable, labels and jumps stay labels and jumps; barriers, shuffles and accesses go to
the emulator, so that its orders of threads and its race check hold for the compiled code. Contraction of multiply-adds,
unrolling, predication and the layout of parameters are the compiler's own here. Of PTX it knows what the kernels use
and refuses the rest with the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.engines.cuda.ptx.operations import C_TYPES, PtxError, constant, expression, size_of

_SPECIAL = {
    "%tid.x": "emulator::machine.current->index.x",
    "%ctaid.x": "emulator::machine.block_index.x",
    "%ntid.x": "emulator::machine.block.x",
    "%laneid": "emulator::machine.current->lane",
}
_IGNORED = {
    ".version", ".target", ".address_size", ".maxntid", ".minnctapersm", ".pragma", ".loc", ".file", ".global",
}  # fmt: skip
_SPACES = ("param", "global", "shared", "const")
_REGISTER = re.compile(r"%([a-z]+)(\d*)")


@dataclass
class _Kernel:
    name: str
    parameters: list[tuple[str, int]] = field(default_factory=list)  # name, bytes
    kinds: dict[str, str] = field(default_factory=dict)  # of registers by the start of their names
    variables: dict[str, str] = field(default_factory=dict)  # C++ name -> C++ type
    code: list[str] = field(default_factory=list)


def translated(text: str) -> str:
    """A module of PTX as C++: `emulate_NAME` as the emulator exports it and `parameter_bytes_NAME` for each kernel."""
    return _Translator(text).run()


class _Translator:
    def __init__(self, text: str) -> None:
        self.text = text
        self.flushes = ".ftz." in text
        self.kernels: list[_Kernel] = []
        self.shared: set[str] = set()
        self.line = 0

    def run(self) -> str:
        for statement in self._statements():
            try:
                self._statement(statement)
            except PtxError as error:
                raise PtxError(f"PTX line {self.line}: {error}: {statement}") from None
        parts = ['#include "emulator.h"\n#include "helpers.h"\n']
        return "\n".join([*parts, *(self._emitted(kernel) for kernel in self.kernels)])

    def _statements(self) -> Iterator[str]:
        """Statements without comments, labels and braces by themselves."""
        whole = re.sub(r"/\*.*?\*/", lambda match: "\n" * match[0].count("\n"), self.text, flags=re.DOTALL)
        waiting = ""
        for number, line in enumerate(whole.split("\n"), start=1):
            self.line = number
            for piece in re.findall(r"[^;]*;|[^;]+$", re.sub(r"//.*", "", line).strip()):
                waiting = f"{waiting} {piece.strip()}".strip()
                if waiting.endswith(";") or waiting[0] in "{}).$":  # a directive, parameter or label has no semicolon
                    yield waiting.strip("{, ")
                    waiting = ""

    # ---- statements

    def _statement(self, text: str) -> None:
        if not text or text in ("}", ")"):
            return
        if text.startswith("."):
            self._directive(text)
        elif match := re.fullmatch(r"([$\w]+):", text):
            self.kernels[-1].code.append(f"{_label(match[1])}:;")
        else:
            match = re.fullmatch(r"(?:@(!?)(%p\d+)\s+)?([a-z][\w.:]*)\s*(.*);", text, re.DOTALL)
            if match is None:
                raise PtxError("statement")
            code = self._instruction(match[3].split("."), _operands(match[4]))
            guard = f"if ({match[1]}{self._read(match[2], 'pred')}) " if match[2] else ""
            self.kernels[-1].code.append(f"{guard}{{ {code} }}")

    def _directive(self, text: str) -> None:
        if match := re.match(r"\.extern \.shared .*? (\w+)\[\]", text):
            self.shared.add(match[1])
        elif match := re.match(r"\.visible \.entry (\w+)", text):
            self.kernels.append(_Kernel(match[1]))
        elif match := re.match(r"\.param (?:\.align \d+ )?\.(\w+)(?: \.ptr.*?)? (\w+)(?:\[(\d+)\])?", text):
            self.kernels[-1].parameters.append((match[2], size_of(match[1]) * int(match[3] or 1)))
        elif match := re.match(r"\.reg \.(\w+)\s+(.*);", text):
            for name in match[2].split(","):
                self.kernels[-1].kinds[_REGISTER.match(name.strip())[1]] = match[1]  # type: ignore[index]
        elif text.split()[0] not in _IGNORED:
            raise PtxError("directive")

    def _instruction(self, parts: list[str], operands: list[str]) -> str:
        name, kind = parts[0], parts[-1]
        if name in ("ld", "st"):
            return self._access(parts, operands)
        if name == "mov" and "{" in operands[0] + operands[1]:
            return self._packed(kind, *operands)
        if name == "bra":
            return f"goto {_label(operands[0])};"
        if name == "bar" and operands == ["0"]:
            return f'emulator::wait_here(emulator::Waits::block, "PTX line {self.line}");'
        if name == "shfl" and parts[1:3] == ["sync", "bfly"]:
            value, lanes, clamp, mask = (self._read(operand, "u32") for operand in operands[1:])
            shuffled = f'emulator_shuffle_xor({mask}, {value}, {lanes}, "PTX line {self.line}")'
            whole_warps = f'if ({clamp} != 31) emulator::fail("shuffle within a part of a warp, PTX line {self.line}");'
            return f"{whole_warps} {self._write(operands[0].split('|')[0], 'u32', shuffled)}"
        if name == "ret":
            return "return;"

        def read(number: int, as_kind: str) -> str:
            return self._read(operands[number + 1], as_kind)

        def negated(number: int) -> str:
            operand = operands[number + 1]
            return f"{'!' if operand[0] == '!' else ''}{self._read(operand.lstrip('!'), 'pred')}"

        found = expression(parts, read, negated)
        if found is None:
            raise PtxError("instruction")
        return self._write(operands[0], *found)

    def _access(self, parts: list[str], operands: list[str]) -> str:
        kind, space = parts[-1], next((part for part in parts if part in _SPACES), None)
        if space is None:
            raise PtxError("access to no known space")
        writes = parts[0] == "st"
        place, values = (operands[0], operands[1]) if writes else (operands[1], operands[0])
        listed = _operands(values.strip("{}")) if values.startswith("{") else [values]
        code = [f"char* const place = {self._address(place, space)};"]
        if space != "param":
            bytes_ = len(listed) * size_of(kind)
            code.append(f"ptx::touch(place, {bytes_}, {'true' if writes else 'false'}, {self.line});")
        for i, value in enumerate(listed):
            at = f"place + {i * size_of(kind)}"
            if writes:
                code.append(f"ptx::store<{C_TYPES[kind]}>({at}, {self._read(value, kind)});")
            else:
                code.append(self._write(value, kind, f"ptx::load<{C_TYPES[kind]}>({at})"))
        return " ".join(code)

    def _packed(self, kind: str, target: str, source: str) -> str:
        """Halves of a register taken apart or put together."""
        whole = f"b{kind[1:]}"
        halves = _operands((target if "{" in target else source).strip("{}"))
        half, bits = f"b{int(kind[1:]) // len(halves)}", int(kind[1:]) // len(halves)
        if "{" in target:
            code = [f"const {C_TYPES[whole]} whole = {self._read(source, whole)};"]
            for i, name in enumerate(halves):
                code.append(self._write(name, half, f"({C_TYPES[half]})(whole >> {bits * i})"))
            return " ".join(code)
        joined = (f"({C_TYPES[whole]}){self._read(name, half)} << {bits * i}" for i, name in enumerate(halves))
        return self._write(target, whole, " | ".join(joined))

    # ---- operands

    def _variable(self, name: str) -> tuple[str, str]:
        """C++ name and PTX type of a register."""
        match, kernel = _REGISTER.fullmatch(name), self.kernels[-1]
        if match is None or match[1] not in kernel.kinds:
            raise PtxError(f"register {name}")
        kind = kernel.kinds[match[1]]
        variable = f"{match[1]}_{match[2]}"
        kernel.variables[variable] = C_TYPES[kind]
        return variable, kind

    def _read(self, operand: str, kind: str) -> str:
        if operand in _SPECIAL:
            return f"({C_TYPES[kind]}){_SPECIAL[operand]}"
        if operand.startswith("%"):
            variable, held = self._variable(operand)
            if C_TYPES[held] == C_TYPES[kind]:
                return variable
            if size_of(held) == size_of(kind):
                return f"ptx::as<{C_TYPES[kind]}>({variable})"
            if size_of(kind) < size_of(held) and kind[0] != "f" and held[0] != "f":
                return f"({C_TYPES[kind]}){variable}"
            raise PtxError(f"{operand} as {kind}")
        number = constant(operand, kind)
        if number is not None:
            return number
        names = [name for name, _ in self.kernels[-1].parameters]
        if operand in names:
            return f"({C_TYPES[kind]})(uintptr_t)parameters[{names.index(operand)}]"
        if operand in self.shared:
            return f"({C_TYPES[kind]})0"  # dynamic shared memory starts the window
        raise PtxError(f"operand {operand}")

    def _write(self, operand: str, kind: str, value: str) -> str:
        variable, held = self._variable(operand)
        if C_TYPES[held] == C_TYPES[kind]:
            return f"{variable} = {value};"
        if size_of(held) == size_of(kind):
            return f"{variable} = ptx::as<{C_TYPES[held]}>(({C_TYPES[kind]})({value}));"
        if size_of(kind) < size_of(held) and kind[0] != "f" and held[0] != "f":
            return f"{variable} = ({C_TYPES[held]})({C_TYPES[kind]})({value});"
        raise PtxError(f"{kind} into {operand}")

    def _address(self, text: str, space: str) -> str:
        match = re.fullmatch(r"\[\s*([%\w]+)\s*(?:\+\s*(-?\d+))?\s*\]", text)
        if match is None:
            raise PtxError(f"address {text}")
        base, offset = match[1], int(match[2] or 0)
        if space == "shared":
            shared = base if base in self.shared else None
            held = None if shared else self._variable(base)[1]
            at = "0" if shared else f"(int64_t){self._read(base, 'u64' if size_of(str(held)) == 8 else 'u32')}"
            return f"emulator::machine.shared + {at} + {offset}"
        return f"(char*){self._read(base, 'u64')} + {offset}"

    # ---- the result

    def _emitted(self, kernel: _Kernel) -> str:
        variables = [f"  {kind} {name} = 0;" for name, kind in sorted(kernel.variables.items())]
        sizes = ", ".join(str(n_bytes) for _, n_bytes in kernel.parameters)
        flush = "true" if self.flushes else "false"
        return "\n".join(
            [
                f"static void body_{kernel.name}(void** parameters) {{",
                *variables,
                *(f"  {line}" for line in kernel.code),
                "}",
                f'extern "C" void emulate_{kernel.name}(const unsigned* d, size_t shared_bytes, void** arguments) {{',
                f"  const ptx::FlushDenormals denormals({flush});",
                "  emulator::launch(dim3{d[0], d[1], d[2]}, dim3{d[3], d[4], d[5]}, shared_bytes,",
                f"                   [&]() {{ body_{kernel.name}(arguments); }});",
                "}",
                f'extern "C" int parameter_bytes_{kernel.name}(unsigned number) {{',
                f"  static const int bytes[] = {{{sizes}}};",
                "  return number < sizeof bytes / sizeof bytes[0] ? bytes[number] : -1;",
                "}",
            ]
        )


def _operands(text: str) -> list[str]:
    """Split at commas outside of braces and brackets."""
    return [part.strip() for part in re.findall(r"(?:\{[^}]*\}|\[[^\]]*\]|[^,])+", text) if part.strip()]


def _label(name: str) -> str:
    return "at_" + re.sub(r"\W", "_", name)
