"""The C++ kernels through every shape, mode and precision, for sanitizers and valgrind.

    python tests/engines/cpu/kernel_soak.py EXTENSION [quick|full]

loads the given build of the extension in place of the installed one and compares with the reference.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from itertools import product


def load_extension(path: str) -> None:
    """Make `path` the module qmltrain.engines._cpu."""
    import qmltrain.engines

    spec = importlib.util.spec_from_file_location("qmltrain.engines._cpu", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    qmltrain.engines._cpu = module  # type: ignore[attr-defined]


def main() -> None:
    load_extension(sys.argv[1])
    import numpy as np

    from qmltrain.circuit.observables import PauliString
    from qmltrain.engines.cpu import CpuEngine, metric_lines
    from qmltrain.engines.protocol import EngineOptions, GradientOptions
    from qmltrain.engines.reference import ReferenceEngine
    from qmltrain.fusion.compile import compile_plan
    from qmltrain.fusion.reductions import real_states
    from qmltrain.fusion.reductions.setting import Setting
    from qmltrain.runs import metrics_log
    from tests.circuit.strategies import random_inputs
    from tests.engines.cases import hea
    from tests.engines.comparison import assert_close, run
    from tests.engines.real_cases import layered
    from tests.training.step_cases import StepCase, check_equal, encoding_cases, head_and_loss_cases

    def with_start(circuit, strings):
        return replace(compile_plan(circuit, strings), product_start=True)

    def real(circuit, strings):
        plan = real_states.reduce(compile_plan(circuit, strings), circuit, strings, Setting(16, "complex64"))
        assert plan.real
        return plan

    def real_with_start(circuit, strings):
        return replace(real(circuit, strings), product_start=True)

    quick = sys.argv[2:] == ["quick"]
    modes = [GradientOptions(), GradientOptions("reversible", 1), GradientOptions("checkpoint", 2)]
    count = 0
    for n_qubits in (1, 4, 5) if quick else (1, 2, 3, 4, 6):
        circuits = [(hea(n_qubits, 2, entangler), (compile_plan, with_start)) for entangler in ("cz", "cx")]
        circuits += [(layered(n_qubits, 2, entangler), (real, real_with_start)) for entangler in ("cz", "cx", "ccx")]
        for circuit, all_planners in circuits:
            full = (1 << n_qubits) - 1
            strings = (PauliString(0, 1), PauliString(0, full), PauliString(full, 1))
            for batch in (3, 17) if quick else (1, 3, 33):
                theta, x = random_inputs(circuit, batch)
                expected = run(ReferenceEngine(), circuit, strings, theta, x)
                for precision in ("complex64", "complex128"):
                    for overrides in ((), (2, 0), (2, 2), (None, 0, 4), (None, 2, 4)):  # the last two: rows shared out
                        planners = all_planners if batch == 3 else all_planners[:1]
                        for gradient, planner in product(modes[:2] if quick else modes, planners):
                            options = EngineOptions(threads=2, planner=planner)
                            found = run(
                                CpuEngine(*overrides),
                                circuit,
                                strings,
                                theta,
                                x,
                                precision=precision,
                                gradient=gradient,
                                engine_options=options,
                            )
                            assert_close(found, expected, precision, factor=4)
                            count += 1
    long_enough = [(hea(8, 2, "cx"), (compile_plan, with_start)), (layered(8, 2, "ccx"), (real, real_with_start))]
    for lanes, (circuit, all_planners) in product((0, 2), long_enough):  # for shares
        strings = (PauliString(0, 1), PauliString(255, 1))
        theta, x = random_inputs(circuit, 3)
        expected = run(ReferenceEngine(), circuit, strings, theta, x)
        for gradient, planner in product((GradientOptions("reversible"), modes[1]), all_planners):
            options = EngineOptions(threads=2, planner=planner)
            found = run(
                CpuEngine(None, lanes, 4), circuit, strings, theta, x, gradient=gradient, engine_options=options
            )
            assert_close(found, expected, "complex128")
            count += 1
    print(f"{count} cases agree with the reference")

    one_matrix = StepCase(n_qubits=4, n_features=4, layers=12, sizes=(250,))
    copies = StepCase(n_qubits=4, encoding="amplitude", encoding_options={"copies": 2, "pad_with": 0.3})
    before_copies = replace(copies, n_features=5, dense=(4, 3))
    steps = [one_matrix, copies, before_copies, *encoding_cases(), *head_and_loss_cases()]
    for case in steps:
        for lane_bits in (None, 2):  # units of a block on several threads
            check_equal(case, 2, threads=3, lane_bits=lane_bits)
    print(f"native steps of {len(steps)} models agree with array steps")

    numbers = np.random.default_rng(0).integers(0, 2**64, 100_000, dtype=np.uint64)  # the bits of any doubles
    columns = [numbers.view(np.int64), numbers.view(np.float64)]
    if (reason := metric_lines.unavailable_reason()) is None:
        assert metric_lines.format_lines("ab", columns) == metrics_log.format_lines("ab", columns)
    print(reason or f"{len(numbers)} lines are Python's")


if __name__ == "__main__":
    main()
