"""Source of `input_layers(x)` and `head(x)`: what is trained before the circuit, and behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qmltrain.data.protocol import FloatArray
from qmltrain.errors import InputError
from qmltrain.numpy_source.arrays import Arrays
from qmltrain.training.model import Model

ACTIVATIONS = {
    "none": "{}",
    "tanh": "np.tanh({})",
    "relu": "np.maximum({}, 0.0)",
    "sigmoid": "0.5 + 0.5 * np.tanh(0.5 * ({}))",  # never overflows
}


def input_source(model: Model, parameters_P: FloatArray, arrays: Arrays) -> list[str]:
    """Lines that define `input_layers`; none where there are no such layers."""
    layers = model.input
    if layers is None:
        return []
    activations = [layers.activation] * (len(layers.sizes) - 1)
    body = [
        f'"""(B, {layers.n_outputs}) what the circuit encodes, from preprocessed features x (B, {layers.n_inputs})."""',
        *_dense("INPUT", layers.sizes, layers.bias, activations, parameters_P, arrays),
    ]
    last = "return x" if layers.scale == 1.0 else f"return {float(layers.scale)!r} * x"
    return _function("input_layers(x)", [*body, last])


def head_source(model: Model, parameters_P: FloatArray, arrays: Arrays) -> list[str]:
    """Lines that define `head`; none for expectation values as they are."""
    head = model.head
    if head.name not in HEADS:
        raise InputError(f"head.name: {head.name} cannot be written for other programs; --to qasm3 writes the circuit")
    body = HEADS[head.name](head, parameters_P, arrays)
    if not body:
        return []
    meaning = f'"""(B, {head.n_outputs}) outputs of expectation values x (B, {head.n_observables})."""'
    return _function("head(x)", [meaning, *body])


def _raw(head: Any, parameters_P: FloatArray, arrays: Arrays) -> list[str]:
    return []


def _scaled(head: Any, parameters_P: FloatArray, arrays: Arrays) -> list[str]:
    return [f"return {float(parameters_P[0])!r} * x"]


def _bias(head: Any, parameters_P: FloatArray, arrays: Arrays) -> list[str]:
    return [f"return x + {arrays.add('HEAD_BIAS', parameters_P)}"]


def _linear(head: Any, parameters_P: FloatArray, arrays: Arrays) -> list[str]:
    sizes = (head.n_observables, head.n_outputs)
    bias = head.n_parameters > sizes[0] * sizes[1]
    return [*_dense("HEAD", sizes, bias, ["none"], parameters_P, arrays), "return x"]


def _mlp(head: Any, parameters_P: FloatArray, arrays: Arrays) -> list[str]:
    sizes = head.layers.sizes
    activations = [head.layers.activation] * (len(sizes) - 2) + ["none"]
    return [*_dense("HEAD", sizes, head.layers.bias, activations, parameters_P, arrays), "return x"]


HEADS: dict[str, Callable[[Any, FloatArray, Arrays], list[str]]] = {
    "raw": _raw,
    "scaled": _scaled,
    "linear": _linear,
    "bias": _bias,
    "mlp": _mlp,
}


def _dense(
    group: str,
    sizes: Sequence[int],
    bias: bool,
    activations: Sequence[str],
    parameters_P: FloatArray,
    arrays: Arrays,
) -> list[str]:
    """A line a layer: parameters are weights (outputs, inputs) row by row, then biases, layer after layer."""
    lines, first = [], 0
    several = len(sizes) > 2
    for k, (n_inputs, n_outputs) in enumerate(zip(sizes, sizes[1:], strict=False)):
        name = f"{group}_{k}" if several else group
        end = first + n_inputs * n_outputs
        weight = arrays.add(f"{name}_WEIGHT", parameters_P[first:end].reshape(n_outputs, n_inputs))
        text, first = f"x @ {weight}.T", end
        if bias:
            text += f" + {arrays.add(f'{name}_BIAS', parameters_P[first : first + n_outputs])}"
            first += n_outputs
        lines.append(f"x = {ACTIVATIONS[activations[k]].format(text)}")
    return lines


def _function(signature: str, body: Sequence[str]) -> list[str]:
    return ["", f"def {signature}:", *(f"    {line}" for line in body), ""]
