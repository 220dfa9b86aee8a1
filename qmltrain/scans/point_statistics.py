"""What the draws of one point say, as named numbers, beside the exact values: a row of the table that `collect` writes.

Numbers are named ``<quantity>_<statistic>``: `mean`, `mean_error` (one standard error), `variance` with the ends of its
interval `variance_low` and `variance_high`, `least`, `q05`, ..., `median`, ..., `greatest`; `..._exact` holds for this
circuit and start, `..._haar` for Haar-random states or 2-designs (`qmltrain.studies.exact_values`). What is not known
is None.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import QmltrainError
from qmltrain.scans.point import RANDOM_ANSAETZE, config_of, model_of
from qmltrain.scans.reading import StoredPoint
from qmltrain.studies import haar, statistics
from qmltrain.studies.exact_values import Drawn, ExactValues, Known, LinearLoss, NothingKnown
from qmltrain.studies.starts import Start
from qmltrain.studies.study import ENTANGLEMENT, FIDELITY, GRADIENT, GRADIENT_NORMS, LOSS, VALUE, parameter_labels
from qmltrain.training.initialization import parameter_kinds
from qmltrain.training.model import Model

BINS = 75
UNKNOWN_GATES = 1_000  # of a circuit that is not there, for its rounding
ORDERS = (1, 2, 3)  # of frame potentials
LEVELS = dict(zip(("least", "q05", "q25", "median", "q75", "q95", "greatest"), statistics.LEVELS, strict=True))

Number = float | int | str | None
Numbers = dict[str, Number]


@dataclass(frozen=True)
class Setting:
    """What a point's config says beside its draws. `chosen`: index of each parameter whose gradient is kept."""

    values: ExactValues | NothingKnown
    over: str  # what variances are taken over, in words
    drawn: Drawn
    zero: float  # gradients of at most this are 0 within rounding
    n_bins: int
    chosen: tuple[int, ...] = ()
    layers: Mapping[str, np.ndarray] = field(default_factory=dict)  # parameters of each name of `gradient_norms`


@dataclass(frozen=True)
class PointStatistics:
    """`each`: of every parameter and every layer, by its name, the same numbers. `resamples`: of the variances
    and of the mean squared norm, by name, of which slopes are made."""

    point: StoredPoint
    setting: Setting
    numbers: Numbers
    parameters: dict[str, Numbers]
    layers: dict[str, Numbers]
    resamples: dict[str, FloatArray]


def setting_of(point: StoredPoint) -> Setting:
    """From a point's stored config: its circuit is built again. Where that cannot be, as without the scan's data files,
    no exact values are known, and the numbers say so (`lie_algebra_note`)."""
    config = point.config
    drawn: Drawn = "nothing"
    if config["ansatz.name"] in RANDOM_ANSAETZE and config["ansatz.seed"] is None:
        drawn = "axes" if config["ansatz.name"] == "pauli_two_design" else "circuit"
    options = (config.get(f"train.initial_{option}") for option in ("scale", "shape", "range"))
    start = Start.of(config["train.initial"], *options)
    range_of_features = config.get("train.initial_features")
    features = None if range_of_features is None else Start.of("uniform", range=range_of_features)
    n_bins = config["scan.bins"] or BINS
    try:
        model = model_of(config_of(config))
    except QmltrainError as error:
        unknown = NothingKnown(config["circuit.n_qubits"], f"no exact values: {error}")
        zero = statistics.rounding(config["engine.precision"], UNKNOWN_GATES, 1.0)
        nothing = np.zeros(0, dtype=np.int64)
        layers = dict.fromkeys(point.labels.get(GRADIENT_NORMS, ()), nothing)
        over = f"draws of the parameters (angles {_described(start)})"
        return Setting(unknown, over, drawn, zero, n_bins, tuple(range(len(point.labels.get(GRADIENT, ())))), layers)
    labels = parameter_labels(model, drawn != "nothing")
    place = {name: k for k, name in enumerate(labels)}
    chosen = tuple(place[name] for name in point.labels.get(GRADIENT, ()))
    names, layer_P = model.layers()
    layers = {name: np.flatnonzero(layer_P == k) for k, name in enumerate(names)}
    linear = LinearLoss.of(model)
    scale = 1.0 if linear is None else sum(abs(c) for c, _ in linear.terms)
    zero = statistics.rounding(config["engine.precision"], len(model.circuit.gates), scale)
    every = {"all": np.arange(model.n_parameters)}
    values, over = ExactValues(model, start, drawn, features), _over(model, start, drawn, features)
    return Setting(values, over, drawn, zero, n_bins, chosen, {**layers, **every})


def _over(model: Model, start: Start | None, drawn: Drawn, features: Start | None) -> str:
    """What variances are taken over: what is drawn, and what of the circuit is the same in all draws."""
    circuit = {"nothing": [], "axes": ["the circuit (axes of rotations)"], "circuit": ["the circuit"]}[drawn]
    n_circuit, kinds = model.circuit.n_parameters, set(parameter_kinds(model.circuit))
    if kinds <= {"angle"} and n_circuit == model.n_parameters:
        return f"draws of {' and '.join([*circuit, f'all parameters ({_described(start)})'])}"
    parts = [*circuit]
    if "angle" in kinds:
        parts.append(f"the angles ({_described(start)})")
    if features is not None:
        parts.append(f"weights and biases of features ({features.description})")
    if n_circuit < model.n_parameters:
        parts.append("parameters outside the circuit (as each part starts its own)")
    constant = (
        "" if features is not None or kinds <= {"angle"} else "; weights (1) and biases (0) of features are constant"
    )
    return f"draws of {' and '.join(parts) or 'nothing'}{constant}"


def _described(start: Start | None) -> str:
    return "as train.initial draws them" if start is None else start.description


def point_statistics(point: StoredPoint) -> PointStatistics:
    """Of the draws that a point has. Its bootstrap has a seed of its own, whatever the rest of the grid."""
    setting = setting_of(point)
    numbers: Numbers = {"draws": point.draws}
    parameters: dict[str, Numbers] = {}
    layers: dict[str, Numbers] = {}
    resamples: dict[str, FloatArray] = {}
    columns = dataclasses.replace(point).columns if point.draws else {}  # a copy, so that the draws are not kept
    seed = statistics.SEED + int(point.identity[:8], 16)
    if LOSS in columns:
        known = setting.values.loss()
        numbers |= _scalar(LOSS, columns[LOSS], known, seed)
        resamples["loss_variance"] = statistics.variance_resamples(columns[LOSS], seed)
    if GRADIENT in columns:
        found, parameters, kept = _gradient(columns[GRADIENT], point.labels[GRADIENT], setting, seed)
        numbers |= found
        if kept.any():
            resamples["gradient_variance"] = statistics.variance_resamples(columns[GRADIENT][:, kept], seed)
    if GRADIENT_NORMS in columns:
        layers = _norms(columns[GRADIENT_NORMS], point.labels[GRADIENT_NORMS], setting)
        numbers |= {f"squared_norm_{name}": value for name, value in layers["all"].items()}
        resamples["squared_norm_mean"] = statistics.mean_resamples(columns[GRADIENT_NORMS][:, -1], seed)
    if ENTANGLEMENT in columns:
        known = setting.values.entanglement()
        numbers |= _scalar(ENTANGLEMENT, columns[ENTANGLEMENT], known, seed)
    if FIDELITY in columns:
        numbers |= _fidelity(columns[FIDELITY], setting)
    if VALUE in columns:
        numbers |= _quantiles(VALUE, columns[VALUE])
    else:
        algebra = setting.values.lie_algebra()
        numbers |= {"lie_algebra": algebra.value, "lie_algebra_note": algebra.reason or None}
    return PointStatistics(point, setting, numbers, parameters, layers, resamples)


def _scalar(name: str, values_D: FloatArray, known: Known, seed: int) -> Numbers:
    of_all = statistics.columns(values_D)
    variance = statistics.variance(values_D, seed)
    return {
        f"{name}_mean": float(of_all.mean_G),
        f"{name}_mean_error": _finite(float(of_all.mean_error_G)),
        f"{name}_mean_exact": known.mean,
        f"{name}_mean_haar": known.haar_mean,
        **_variance(name, variance),
        f"{name}_variance_exact": known.variance,
        f"{name}_variance_haar": known.haar_variance,
        **_quantiles(name, values_D),
    }


def _gradient(
    gradient_DG: FloatArray, labels: tuple[str, ...], setting: Setting, seed: int
) -> tuple[Numbers, dict[str, Numbers], np.ndarray]:
    """Means over the parameters whose gradient is not identically 0, then each parameter's own, then which they are."""
    kept = ~statistics.identically_zero(gradient_DG, setting.zero)
    known = [setting.values.gradient(k) for k in setting.chosen]
    each = statistics.columns(gradient_DG)
    parameters: dict[str, Numbers] = {
        label: {
            "mean": float(each.mean_G[g]),
            "mean_error": _finite(float(each.mean_error_G[g])),
            "mean_exact": known[g].mean,
            "variance": _finite(float(each.variance_G[g])),
            "variance_exact": known[g].variance,
            "variance_haar": known[g].haar_variance,
            "is_zero": int(not kept[g]),
        }
        for g, label in enumerate(labels)
    }
    numbers: Numbers = {"gradient_parameters": len(labels), "gradient_zero": int(np.sum(~kept))}
    if kept.any():
        gradient_DK = gradient_DG[:, kept]
        of_kept = [one for one, is_kept in zip(known, kept, strict=True) if is_kept]
        mean = statistics.columns(gradient_DK.mean(axis=1))
        variance_K = each.variance_G[kept]
        numbers |= {
            "gradient_mean": float(mean.mean_G),
            "gradient_mean_error": _finite(float(mean.mean_error_G)),
            "gradient_mean_exact": _mean([one.mean for one in of_kept]),
            **_variance(GRADIENT, statistics.variance(gradient_DK, seed)),
            "gradient_variance_exact": _mean([one.variance for one in of_kept]),
            "gradient_variance_haar": _mean([one.haar_variance for one in of_kept]),
            "gradient_variance_least": _finite(float(variance_K.min())),
            "gradient_variance_median": _finite(float(np.median(variance_K))),
            "gradient_variance_greatest": _finite(float(variance_K.max())),
            **_quantiles(GRADIENT, gradient_DK),
        }
    return numbers, parameters, kept


def _norms(squares_DL: FloatArray, labels: tuple[str, ...], setting: Setting) -> dict[str, Numbers]:
    """Of each layer, and of all parameters together: squared gradient norms."""
    each = statistics.columns(squares_DL)
    found: dict[str, Numbers] = {}
    for row, label in enumerate(labels):
        known = setting.values.squared_norm(setting.layers[label])
        found[label] = {
            "parameters": len(setting.layers[label]),
            "mean": float(each.mean_G[row]),
            "mean_error": _finite(float(each.mean_error_G[row])),
            "mean_exact": known.mean,
            "mean_haar": known.haar_mean,
            **dict(_levels(squares_DL[:, row])),
        }
    return found


def _fidelity(fidelity_D: FloatArray, setting: Setting) -> Numbers:
    found = haar.expressibility(fidelity_D, setting.values.n_qubits, setting.n_bins)
    numbers: Numbers = {
        "expressibility": found.divergence,
        "expressibility_error": found.error,
        "expressibility_bias": found.bias,
        "expressibility_exact": setting.values.expressibility(setting.n_bins),
    }
    for order in ORDERS:
        of_order, known = statistics.columns(fidelity_D**order), setting.values.frame_potential(order)
        numbers |= {
            f"frame_potential_{order}": float(of_order.mean_G),
            f"frame_potential_{order}_error": _finite(float(of_order.mean_error_G)),
            f"frame_potential_{order}_exact": known.mean,
            f"frame_potential_{order}_haar": known.haar_mean,
        }
    return numbers


def _variance(name: str, found: statistics.Estimate) -> Numbers:
    return {
        f"{name}_variance": _finite(found.value),
        f"{name}_variance_low": _finite(found.low),
        f"{name}_variance_high": _finite(found.high),
    }


def _quantiles(name: str, values: FloatArray) -> Numbers:
    return {f"{name}_{level}": value for level, value in _levels(values)}


def _levels(values: FloatArray) -> Iterator[tuple[str, float]]:
    for level, value in zip(LEVELS, statistics.quantiles(values.reshape(-1), tuple(LEVELS.values())), strict=True):
        yield level, float(value)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
