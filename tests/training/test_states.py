"""States of rows of features, judged by the reference; chunks and threads change no bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import BLOCK, EngineOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.training import states as module
from qmltrain.training.states import StateMap, states_chunk
from tests.circuit import dense
from tests.engines.comparison import assert_same_states
from tests.training.small_models import MODELS, inputs, make

needs_cpu = pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model(name):
    model = make(name)
    theta, x, _ = inputs(model, 19)
    expected = StateMap(model, ReferenceEngine()).states(theta, x)
    assert expected.dtype == np.complex128
    features = model.features(model.split(theta), x)
    initial = model.initial_state(features)
    for row in (0, 18):
        unitary = dense.unitary(model.circuit, theta[: model.circuit.n_parameters], features[row])
        start = np.eye(8)[0] if initial is None else initial[row]
        np.testing.assert_allclose(expected[row], unitary @ start, atol=1e-12)
    for engine in [InterpreterEngine(), *([] if unavailable_reason() else [CpuEngine()])]:
        assert_same_states(StateMap(model, engine, "complex128").states(theta, x), expected)


@needs_cpu
def test_chunks_and_threads_change_no_bit(monkeypatch):
    model = make("biases too")
    theta, x, _ = inputs(model, 75)
    found = []
    for threads, n_bytes in ((1, 1), (2, 1), (2, BLOCK * 16 * 8 * 3), (1, 1 << 24)):
        monkeypatch.setattr(module, "CHUNK_BYTES", n_bytes)
        map_ = StateMap(model, CpuEngine(), "complex64", EngineOptions(threads=threads))
        assert map_.chunk == {1: 16, BLOCK * 16 * 8 * 3: 48}.get(n_bytes, map_.chunk)
        found.append(map_.states(theta, x).tobytes())
    assert len(set(found)) == 1


@needs_cpu
def test_a_state_that_fits_alone_is_a_chunk():
    model = replace(make("angle, scaled, binary"))
    forecast = StateMap(model, CpuEngine()).program.forecast
    assert states_chunk(replace(forecast, few=(0, 1000), block_bytes=10**9, memory_bytes=2500), 3) == 2
    with pytest.raises(MemoryLimitError, match="1 sample needs"):
        states_chunk(replace(forecast, few=(0, 1000), block_bytes=10**9, memory_bytes=900), 3)


def test_features_that_cannot_be_encoded_are_refused():
    model = make("angle, scaled, binary")
    theta, x, _ = inputs(model, 4)
    x[2, 1] = np.nan
    with pytest.raises(InputError, match="sample 2"):
        StateMap(model, InterpreterEngine()).states(theta, x)
