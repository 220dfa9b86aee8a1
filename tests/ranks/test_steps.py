"""The bits of steps of several ranks: those of one rank, for both kinds of steps."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from qmltrain.engines.cpu import unavailable_reason
from qmltrain.engines.protocol import GradientOptions
from qmltrain.engines.ranks import blocks_of, samples_of
from qmltrain.errors import NonFiniteError
from qmltrain.fusion.reductions.planner import ReducedPlanner
from qmltrain.fusion.reductions.setting import Setting
from qmltrain.ranks.communicator import AnotherRankFailed, Communicator
from qmltrain.training.gradients import Evaluator, StepAbandoned
from qmltrain.training.state import TrainingState
from tests.ranks.thread_ranks import on_ranks
from tests.training.step_cases import StepCase, first_parameters, rows_of, run

pytestmark = pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")

SIZES = (21, 100, 3, 64, 144)  # of batches: a few samples, fewer blocks than ranks, as many, no multiple
CASES = {
    "trainable encoding": StepCase(encoding="reuploading", encoding_options={"repeats": 2, "trainable": "weights"}),
    "dense layers": StepCase(dense=(4, 3), dense_options={"activation": "tanh"}, head="mlp"),
    "amplitudes": StepCase(encoding="amplitude", n_features=6),
    "amplitudes behind layers": StepCase(encoding="amplitude", n_features=3, dense=(8,)),
    "parameters of the loss": StepCase(
        n_qubits=4, head="raw", loss="weighted_fidelity", n_classes=2, observable_options={"qubits": [0, 1, 2]}
    ),
    "regression, lanes of qubits": StepCase(n_qubits=6, n_classes=None, loss="mean_squared_error", clip_norm=0.1),
    "one matrix": StepCase(layers=8),
}
PROGRAMS = {
    "": {},
    "two threads": {"threads": 2},
    "reversible": {"mode": GradientOptions("reversible")},
    "cones": {"cones": 2},
    "blocks": {"planner": ReducedPlanner(("shared_blocks",), Setting(144, "complex64"))},
}


WAYS = pytest.mark.parametrize(
    ("native", "memory"), [(True, True), (True, False), (False, True)], ids=["native", "native, messages", "arrays"]
)


def bits(case: StepCase, size: int, spans: list[int], *, memory: bool = True, **options) -> list:
    """Of every rank."""
    return on_ranks(size, lambda ranks: rows_of(case, spans, ranks=ranks, **options), memory=memory)


@WAYS
@pytest.mark.parametrize("case", CASES)
def test_steps_have_the_bits_of_one_rank(case: str, native: bool, memory: bool) -> None:
    steps = replace(CASES[case], sizes=SIZES)
    alone = rows_of(steps, [5], native=native)
    for size in (2, 3, 8):
        assert bits(steps, size, [5], native=native, memory=memory) == [alone] * size


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("native", [True, False], ids=["native", "arrays"])
def test_every_program_has_the_bits_of_one_rank(case: str, program: str, native: bool) -> None:
    steps = replace(CASES[case], sizes=(*SIZES, 1, 17, 257))
    if program in ("cones", "blocks") and case.startswith("amplitudes"):
        pytest.skip("amplitudes have neither")
    for precision in ("complex64", "complex128"):
        options = {"native": native, "precision": precision, **PROGRAMS[program]}
        alone = rows_of(steps, [8], **options)
        for size in (2, 3, 5, 8):
            assert bits(steps, size, [8], **options) == [alone] * size


@pytest.mark.parametrize("program", ["two threads", "reversible", "cones", "blocks"])
def test_programs_have_the_bits_of_one_rank(program: str) -> None:
    case = replace(CASES["one matrix"], sizes=(144, 21, 100))
    options = PROGRAMS[program]
    if program == "blocks":
        assert case.program(case.model(), **options).plan.shared_blocks
    alone = rows_of(case, [3], **options)
    assert bits(case, 5, [3], **options) == [alone] * 5


def test_ranks_share_the_work() -> None:
    """What is exchanged are nodes of the tree, but where samples meet in one matrix, which every rank makes."""

    def exchanged(ranks: Communicator, case: StepCase) -> int:
        rows_of(case, [1], ranks=ranks)
        return ranks._transport.exchanged

    for case, whole in ((CASES["trainable encoding"], False), (CASES["one matrix"], True)):
        assert all((found == 0) == whole for found in on_ranks(2, partial(exchanged, case=replace(case, sizes=(144,)))))


def test_spans_may_end_anywhere() -> None:
    case = replace(CASES["regression, lanes of qubits"], sizes=(40,) * 7)
    alone = rows_of(case, [7])
    assert bits(case, 3, [2, 1, 4]) == [alone] * 3
    assert bits(case, 3, [7], per_slab=2) == [alone] * 3


@WAYS
def test_spans_end_together(native: bool, memory: bool) -> None:
    """As soon as one ends, whichever that is."""
    case = replace(CASES["dense layers"], sizes=(40,) * 9)

    def steps_of(ranks: Communicator) -> list[int]:
        model = case.model()
        steps, state = (
            case.steps(model, case.program(model), native, None, ranks),
            TrainingState(first_parameters(model)),
        )
        return [run(steps, state, most).n_steps for most in ([5, 2, 2] if ranks.rank == 1 else [2, 5, 2])]

    assert on_ranks(2, steps_of, memory=memory) == ([[2, 2, 2]] * 2 if native else [[1, 1, 1]] * 2)


@WAYS
@pytest.mark.parametrize("asked", [0, 2])
def test_ranks_stop_after_the_same_step(native: bool, memory: bool, asked: int) -> None:
    """One is asked to."""
    case = replace(CASES["trainable encoding"], sizes=(40,) * 6)
    alone = rows_of(case, [6], native=native)[0][6]

    def stopped(ranks: Communicator) -> tuple[int, bytes]:
        heard, model = [], case.model()

        def stop() -> bool:
            heard.append(1)
            return ranks.rank == asked and len(heard) > (0 if native else 3)

        steps = case.steps(model, case.program(model, "complex64"), native, None, ranks, stop=stop)
        state = TrainingState(first_parameters(model))
        try:
            while state.step < 6 and not run(steps, state, 3).stopped:
                pass
        except StepAbandoned:
            pass
        return state.step, state.theta_P.tobytes()

    found = on_ranks(3, stopped, memory=memory)
    after = found[0][1]
    assert found == [(3, after)] * 3
    assert after == alone[2 * len(after) : 3 * len(after)]


@WAYS
def test_what_is_not_finite_ends_all(native: bool, memory: bool) -> None:
    """It is in the share of the last."""
    case = replace(CASES["regression, lanes of qubits"], sizes=(40,) * 2)

    def work(ranks: Communicator) -> None:
        model, data = case.model(), case.data()
        data.targets_N[79] = np.inf
        steps, state = (
            case.steps(model, case.program(model), native, data, ranks),
            TrainingState(first_parameters(model)),
        )
        assert run(steps, state).n_steps == 1
        run(steps, state)

    found = on_ranks(3, work, memory=memory)
    assert isinstance(found[2], NonFiniteError) and str(found[2]).startswith("step 2: ")
    assert [str(error) for error in found[:2]] == [f"rank 2: NonFiniteError: {found[2]}"] * 2


@WAYS
def test_a_rank_that_fails_ends_all(native: bool, memory: bool) -> None:
    case = replace(CASES["dense layers"], sizes=(40,) * 6)

    def work(ranks: Communicator) -> None:
        model = case.model()
        steps, state = (
            case.steps(model, case.program(model), native, None, ranks),
            TrainingState(first_parameters(model)),
        )
        while state.step < 6:
            run(steps, state)
            if ranks.rank == 1 and state.step == 3:
                raise OSError("the disk is gone")

    found = on_ranks(3, work, memory=memory)
    assert isinstance(found[1], OSError)
    for error in (found[0], found[2]):
        assert isinstance(error, AnotherRankFailed) and error.rank == 1
        assert str(error) == "rank 1: OSError: the disk is gone"


@pytest.mark.parametrize("n_samples", [1, 16, 17, 64, 100, 257])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_shares_are_neighbours(n_samples: int, size: int) -> None:
    shares = [samples_of(n_samples, rank, size) for rank in range(size)]
    assert [sample for share in shares for sample in share] == list(range(n_samples))
    assert all(share.start % 16 == 0 for share in shares if share)
    lengths = [len(blocks_of(n_samples, rank, size)) for rank in range(size)]
    assert max(lengths) - min(lengths) <= 1


def test_outputs_are_those_of_one_rank() -> None:
    case = CASES["dense layers"]
    model, x_BI = case.model(), replace(case, sizes=(100,)).data().x_NF
    theta_P = first_parameters(model)

    def outputs(ranks: Communicator | None) -> list[bytes]:
        evaluator = Evaluator(model, case.program(model, "complex64"), 32, ranks)
        return [evaluator.outputs(theta_P, x_BI[:count]).tobytes() for count in (100, 7, 33)]

    for size in (2, 8):
        assert on_ranks(size, outputs) == [outputs(None)] * size


def test_outputs_are_left_together() -> None:
    case = CASES["dense layers"]
    model = case.model()

    def outputs(ranks: Communicator) -> None:
        evaluator = Evaluator(model, case.program(model), 16, ranks)
        with pytest.raises(StepAbandoned):
            evaluator.outputs(first_parameters(model), case.data().x_NF, lambda: ranks.rank == 2)

    assert on_ranks(3, outputs) == [None] * 3
