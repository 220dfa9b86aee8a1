"""Source of `preprocess(x)`: the fitted steps of a `Preprocessor`, and what the circuit asks of its features."""

from __future__ import annotations

from qmltrain.circuit.amplitude import NORM_TOLERANCE
from qmltrain.data.preprocessing import Preprocessor
from qmltrain.numpy_source.arrays import Arrays
from qmltrain.training.model import Model

_AVERAGES = '''
def averages(old, new):
    """(new, old) weights: each new pixel is the mean over its share of the old ones."""
    first_new, first_old = np.arange(new)[:, None] * old, np.arange(old)[None, :] * new
    overlap = np.minimum(first_new + old, first_old + new) - np.maximum(first_new, first_old)
    return np.maximum(overlap, 0) / old

'''


_NO_DIRECTION = [
    "if not x.any(axis=1).all():",
    '    raise ValueError("x: a sample whose features are all 0 has no direction")',
]


def preprocess_source(preprocessor: Preprocessor, model: Model, arrays: Arrays) -> list[str]:
    """Lines that define `preprocess`; its numbers are added to `arrays`."""
    shape = preprocessor.sample_shape
    described = "B, " + ", ".join(map(str, shape))
    body = [
        f'"""(B, {preprocessor.n_features}) features of raw samples x ({described})."""',
        "x = np.asarray(x, dtype=np.float64)",
        f"if x.shape[1:] != {shape!r}:",
        f'    raise ValueError(f"x: found shape {{x.shape}}; samples are ({described})")',
        "if not np.isfinite(x).all():",
        '    raise ValueError("x: there are NaN or infinite values")',
    ]
    helpers: list[str] = []
    if preprocessor.resize is not None:
        height, width = preprocessor.resize
        helpers = _AVERAGES.splitlines()
        rows, columns = f"averages({shape[0]}, {height})", f"averages({shape[1]}, {width})"
        body.append(f'x = np.einsum("ih,jw,bhw...->bij...", {rows}, {columns}, x)')
    if preprocessor.resize is not None or len(shape) > 1:
        n_pixels = _pixels(preprocessor)
        body.append(f"x = x.reshape(len(x), {n_pixels})")
    if preprocessor.standard is not None:
        center = arrays.add("STANDARD_CENTER", preprocessor.standard.center_F)
        factor = arrays.add("STANDARD_FACTOR", preprocessor.standard.factor_F)
        body.append(f"x = (x - {center}) * {factor}")
    if preprocessor.pca is not None:
        mean = arrays.add("PCA_MEAN", preprocessor.pca.mean_F)
        components = arrays.add("PCA_COMPONENTS", preprocessor.pca.components_KF)
        body.append(f"x = (x - {mean}) @ {components}.T")
    if preprocessor.scaling is not None:
        scaling = preprocessor.scaling
        center, factor = arrays.add("SCALE_CENTER", scaling.center_F), arrays.add("SCALE_FACTOR", scaling.factor_F)
        shift = f" + {arrays.add('SCALE_SHIFT', scaling.shift_F)}" if scaling.shift_F.any() else ""
        body.append(f"x = (x - {center}) * {factor}{shift}")
        if scaling.clips and scaling.low > -float("inf"):
            body.append(f"x = np.clip(x, {float(scaling.low)!r}, {float(scaling.high)!r})")
    if preprocessor.normalize:
        body += [
            *_NO_DIRECTION,
            "x = x / np.abs(x).max(axis=1, keepdims=True)  # no square overflows, or vanishes",
            "x = x / np.linalg.norm(x, axis=1, keepdims=True)",
        ]
    if preprocessor.standard or preprocessor.pca or preprocessor.scaling:
        body += ["if not np.isfinite(x).all():", '    raise ValueError("x: there are features too large for float64")']
    body += _domain(model)
    return [*helpers, "", "def preprocess(x):", *(f"    {line}" for line in body), "    return x", ""]


def _pixels(preprocessor: Preprocessor) -> int:
    """Numbers of a sample when it is laid out flat."""
    shape = preprocessor.sample_shape
    total = 1
    for side in (*(preprocessor.resize or shape[:2]), *shape[2:]):
        total *= side
    return total


def _domain(model: Model) -> list[str]:
    """What the encoding takes, where features go to it as they are."""
    if model.input is not None:
        return []
    if model.domain.bits:
        return [
            "if not np.isin(x, (0.0, 1.0)).all():",
            '    raise ValueError("x: a feature is neither 0 nor 1, as the encoding needs")',
        ]
    if model.domain.under_arccos:
        return [
            f"if (np.abs(x[:, {model.domain.under_arccos}]) > 1.0).any():",
            '    raise ValueError("x: a feature is outside [-1, 1], where arccos is defined")',
        ]
    if model.circuit.amplitude_encoded:
        if not model.amplitude.normalize:
            n_padded = (1 << model.circuit.n_qubits // model.amplitude.copies) - model.n_inputs
            padded = n_padded * model.amplitude.pad_with**2
            return [
                f"norms = np.sqrt(np.square(x).sum(axis=1){f' + {padded!r}' if padded else ''})",
                f"if not (np.abs(norms - 1.0) <= {NORM_TOLERANCE!r}).all():",
                '    raise ValueError("x: a sample has no norm of 1, as the encoding needs")',
            ]
        if not model.amplitude.pad_with:
            return _NO_DIRECTION
    return []
