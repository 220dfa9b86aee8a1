"""Data sets that come with scikit-learn, and its generators. Nothing is downloaded.

A generator's seed is 0 where none is given and not derived from `run.seed`: a sweep over seeds sees one data set.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.data.array_source import ArraySource, array_source
from qmltrain.data.checks import ArrayNames, describe
from qmltrain.errors import InputError

# As scikit-learn names them; its files do not. iris in cm; breast_cancer: of the nuclei of a tumour.
_IRIS = tuple(f"{part} {measure} (cm)" for part in ("sepal", "petal") for measure in ("length", "width"))
_WINE = (
    *("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids"),
    *("nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines", "proline"),
)
_NUCLEUS = (
    *("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points", "symmetry"),
    "fractal dimension",
)
_NUCLEI = tuple(pattern.format(measure) for pattern in ("mean {}", "{} error", "worst {}") for measure in _NUCLEUS)
_DIABETES = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


def digits() -> ArraySource:
    """1797 handwritten digits of 8 x 8 pixels, 0 to 16."""
    table = _numbers("digits.csv.gz", ",")
    images = table[:, :-1].reshape(-1, 8, 8)
    return _checked("digits", images, table[:, -1].astype(np.int64), tuple(str(digit) for digit in range(10)))


def iris() -> ArraySource:
    """150 flowers of 3 species, 4 lengths in cm."""
    return _table("iris", "iris.csv", _IRIS)


def wine() -> ArraySource:
    """178 wines of 3 growers, 13 chemical measures."""
    return _table("wine", "wine_data.csv", _WINE)


def breast_cancer() -> ArraySource:
    """569 tumours, malignant or benign, 30 measures of cell nuclei."""
    return _table("breast_cancer", "breast_cancer.csv", _NUCLEI)


def diabetes() -> ArraySource:
    """442 patients, 10 measures in their own units, progression of the disease after a year (regression)."""
    # The scaled variant is scaled with the statistics of all rows, which would leak the test split.
    x, y = _numbers("diabetes_data_raw.csv.gz", " "), _numbers("diabetes_target.csv.gz", " ")
    return _checked("diabetes", x, y, (), _DIABETES)


def make_moons(*, n_samples: int = 1000, noise: float = 0.1, generator_seed: int = 0) -> ArraySource:
    """Two interleaved half circles; `noise` is the standard deviation added."""
    from sklearn.datasets import make_moons as generate

    _check_generator(n_samples, 2, noise, generator_seed)
    x, y = generate(n_samples, noise=noise, random_state=generator_seed)
    return _checked("make_moons", x, y, ("upper", "lower"))


def make_circles(*, n_samples: int = 1000, noise: float = 0.05, generator_seed: int = 0) -> ArraySource:
    """A circle of radius 1 around one of radius 0.5; `noise` is the standard deviation added."""
    from sklearn.datasets import make_circles as generate

    _check_generator(n_samples, 2, noise, generator_seed)
    x, y = generate(n_samples, noise=noise, factor=0.5, random_state=generator_seed)
    return _checked("make_circles", x, y, ("outer", "inner"))


def make_blobs(
    *, n_samples: int = 1000, n_features: int = 2, n_classes: int = 2, generator_seed: int = 0
) -> ArraySource:
    """One Gaussian of standard deviation 1 per class, centres uniform in [-10, 10]."""
    from sklearn.datasets import make_blobs as generate

    _check_generator(n_samples, n_classes, 0.0, generator_seed, n_features)
    x, y = generate(n_samples, n_features, centers=n_classes, random_state=generator_seed)
    return _checked("make_blobs", x, y)


def make_classification(
    *, n_samples: int = 1000, n_features: int = 4, n_classes: int = 2, generator_seed: int = 0
) -> ArraySource:
    """One cluster a class at corners of a hypercube; every feature is informative, 1 % of the labels are random."""
    from sklearn.datasets import make_classification as generate

    _check_generator(n_samples, n_classes, 0.0, generator_seed, n_features)
    if n_features < n_classes.bit_length() - (n_classes & (n_classes - 1) == 0):
        raise InputError(
            f"dataset.n_classes: {n_classes} clusters do not fit on the {2**n_features} corners of "
            f"{n_features} features; at most 2^n_features"
        )
    x, y = generate(
        n_samples,
        n_features,
        n_informative=n_features,
        n_redundant=0,
        n_classes=n_classes,
        n_clusters_per_class=1,
        random_state=generator_seed,
    )
    return _checked("make_classification", x, y)


def make_friedman1(
    *, n_samples: int = 1000, n_features: int = 5, noise: float = 0.0, generator_seed: int = 0
) -> ArraySource:
    """``10 sin(pi x0 x1) + 20 (x2 - 1/2)^2 + 10 x3 + 5 x4`` of features uniform in [0, 1], more have no effect;
    `noise` is the standard deviation added (regression). Friedman, Annals of Statistics 19, 1 (1991)."""
    from sklearn.datasets import make_friedman1 as generate

    _check_generator(n_samples, 2, noise, generator_seed, n_features)
    if n_features < 5:
        raise InputError(f"dataset.n_features: {n_features} is too few for make_friedman1; at least 5")
    x, y = generate(n_samples, n_features, noise=noise, random_state=generator_seed)
    return _checked("make_friedman1", x, y, ())


def _table(name: str, file: str, feature_names: tuple[str, ...]) -> ArraySource:
    """A table whose first line has its sizes and the names of the classes, and whose last column is the class."""
    with _installed(file).open(encoding="utf-8") as stream:
        class_names = stream.readline().strip().split(",")[2:]
    table = _numbers(file, ",", skiprows=1)
    x, y = np.ascontiguousarray(table[:, :-1]), table[:, -1].astype(np.int64)
    return _checked(name, x, y, tuple(class_names), feature_names)


def _numbers(file: str, delimiter: str, skiprows: int = 0) -> Any:
    return np.loadtxt(_installed(file), delimiter=delimiter, skiprows=skiprows)


def _installed(file: str) -> Path:
    """A file of scikit-learn's, read without importing the package: that takes longer than many a training."""
    found = find_spec("sklearn")
    folders = (found and found.submodule_search_locations) or ()
    for folder in folders:
        path = Path(folder) / "datasets" / "data" / file
        if path.is_file():
            return path
    raise InputError(f"dataset.name: {file} of scikit-learn is not there; install scikit-learn again")


def _checked(
    name: str, x: Any, y: Any, class_names: tuple[str, ...] | None = None, feature_names: tuple[str, ...] = ()
) -> ArraySource:
    source = array_source(name, x, y, ArrayNames(name), class_names=class_names, feature_names=feature_names)
    return source.told(description=describe(source.info, "scikit-learn"))


def _check_generator(n_samples: int, n_classes: int, noise: float, seed: int, n_features: int = 2) -> None:
    if n_classes < 2:
        raise InputError(f"dataset.n_classes: {n_classes} is not possible; at least 2")
    if n_samples < n_classes:
        raise InputError(f"dataset.n_samples: {n_samples} is fewer than the {n_classes} classes; at least one each")
    if n_features < 1:
        raise InputError(f"dataset.n_features: {n_features} is not possible; at least 1")
    if not 0 <= noise < float("inf"):
        raise InputError(f"dataset.noise: {noise} is not possible; a finite number, 0 or more")
    if not 0 <= seed < 2**32:
        raise InputError(f"dataset.generator_seed: {seed} is not possible; 0 to {2**32 - 1}")
