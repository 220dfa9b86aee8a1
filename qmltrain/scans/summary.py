"""The text that ends `qmltrain scan`: of every point what its draws say, the exact value beside it, and slopes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from qmltrain.scans.point_statistics import Number, Numbers, PointStatistics, point_statistics
from qmltrain.scans.reading import StoredPoint, StoredScan
from qmltrain.scans.slopes import slopes
from qmltrain.studies.exact_values import NothingKnown
from qmltrain.studies.statistics import CONFIDENCE
from qmltrain.wording import plural

MOST_POINTS = 40  # in text; the table has all
Row = list[str]


def statistics_of(scan: StoredScan) -> list[PointStatistics]:
    """Of every point that has draws; each is read, and let go of again."""
    return [point_statistics(point) for point in scan.points if point.draws]


def summary_lines(scan: StoredScan) -> list[str]:
    """One table a quantity, then slopes. Points beyond `MOST_POINTS` are left to `qmltrain collect`."""
    points = statistics_of(scan)
    if not points:
        return ["no draws yet"]
    reasons = dict.fromkeys(
        str(one.setting.values.reason) for one in points if isinstance(one.setting.values, NothingKnown)
    )
    shown, n_left = points[:MOST_POINTS], len(points) - MOST_POINTS
    lines = [f"variances are over {over}" for over in dict.fromkeys(one.setting.over for one in points if _varies(one))]
    lines += reasons
    for title, make in _QUANTITIES:
        rows = [(name_of(one.point), row) for one in shown if (row := make(one.numbers)) is not None]
        if rows:
            lines += ["", *_aligned([(title[0], list(title[1])), *rows])]
    lines += _algebras(shown)
    if n_left > 0:
        lines += ["", f"{plural(n_left, 'point')} more: qmltrain collect {scan.directory}"]
    found = list(_slope_lines(points))
    if found:
        lines += ["", f"slopes of the logarithm, with the {CONFIDENCE:.0%} interval that the draws leave", *found]
    return lines


def name_of(point: StoredPoint) -> str:
    """``n_qubits=4 layers=2``; "all" where nothing is swept."""
    return " ".join(f"{key.rpartition('.')[2]}={_word(value)}" for key, value in point.values.items()) or "all"


def _loss(numbers: Numbers) -> Row | None:
    if "loss_mean" not in numbers:
        return None
    return [
        _with_error(numbers["loss_mean"], numbers["loss_mean_error"]),
        number_text(numbers["loss_mean_exact"]),
        _with_interval(numbers, "loss_variance"),
        number_text(numbers["loss_variance_exact"]),
        number_text(numbers["loss_variance_haar"]),
    ]


def _gradient(numbers: Numbers) -> Row | None:
    if "gradient_zero" not in numbers:
        return None
    count, zero = numbers["gradient_parameters"], numbers["gradient_zero"]
    head = [f"{count}" + (f" ({zero} of them 0)" if zero else "")]
    if count == zero:
        return [*head, "0", "0", "0", "0", number_text(numbers.get("gradient_variance_haar"))]
    return [
        *head,
        _with_error(numbers["gradient_mean"], numbers["gradient_mean_error"]),
        number_text(numbers["gradient_mean_exact"]),
        _with_interval(numbers, "gradient_variance"),
        number_text(numbers["gradient_variance_exact"]),
        number_text(numbers["gradient_variance_haar"]),
    ]


def _norms(numbers: Numbers) -> Row | None:
    return _mean_and_known(numbers, "squared_norm_mean", "squared_norm_mean")


def _entanglement(numbers: Numbers) -> Row | None:
    return _mean_and_known(numbers, "entanglement_mean", "entanglement_mean")


def _expressibility(numbers: Numbers) -> Row | None:
    if "expressibility" not in numbers:
        return None
    return [
        _with_error(numbers["expressibility"], numbers["expressibility_error"]),
        number_text(numbers["expressibility_bias"]),
        number_text(numbers["expressibility_exact"]),
        _with_error(numbers["frame_potential_2"], numbers["frame_potential_2_error"]),
        number_text(numbers["frame_potential_2_exact"]),
        number_text(numbers["frame_potential_2_haar"]),
    ]


def _values(numbers: Numbers) -> Row | None:
    if "value_least" not in numbers:
        return None
    return [number_text(numbers[f"value_{level}"]) for level in ("least", "median", "greatest")]


_QUANTITIES = (
    (("loss", ("mean", "exact", "variance", "exact", "Haar")), _loss),
    (("gradient", ("parameters", "mean", "exact", "variance, mean of those not 0", "exact", "Haar")), _gradient),
    (("squared gradient norm", ("mean", "exact", "Haar")), _norms),
    (("entanglement", ("mean Q", "exact", "Haar")), _entanglement),
    (
        ("fidelity", ("KL to Haar (nats)", "bias", "exact", "frame potential 2", "exact", "Haar")),
        _expressibility,
    ),
    (("loss on the line or plane", ("least", "median", "greatest")), _values),
)


def _mean_and_known(numbers: Numbers, mean: str, known: str) -> Row | None:
    if mean not in numbers:
        return None
    return [
        _with_error(numbers[mean], numbers[f"{mean}_error"]),
        number_text(numbers[f"{known}_exact"]),
        number_text(numbers[f"{known}_haar"]),
    ]


def _algebras(points: Sequence[PointStatistics]) -> list[str]:
    """Dimensions of the dynamical Lie algebra, where there is one to say; reasons stand in the table."""
    found = [(name_of(one.point), one.numbers) for one in points if "lie_algebra" in one.numbers]
    known = [(name, _algebra(numbers)) for name, numbers in found]
    said = [(name, [text]) for name, text in known if text]
    if len(said) > 1 and len({row[0] for _, row in said}) == 1:
        said = [("all points" if len(said) == len(points) else "all that have one", said[0][1])]
    return ["", *_aligned([("dynamical Lie algebra", ["dimension"]), *said])] if said else []


def _algebra(numbers: Numbers) -> str:
    value, note = numbers["lie_algebra"], numbers["lie_algebra_note"]
    if value is not None:
        return str(value)
    return str(note) if str(note).startswith("more than") else ""


def _slope_lines(points: Sequence[PointStatistics]) -> Iterator[str]:
    for slope in slopes(points)[:MOST_POINTS]:
        where = " ".join(f"{key.rpartition('.')[2]}={_word(value)}" for key, value in slope.where.items())
        found = slope.estimate
        known = [
            f"{kind} {number_text(v)}" for kind, v in (("exact", slope.exact), ("Haar", slope.haar)) if v is not None
        ]
        yield (
            f"{slope.of.replace('_', ' ')} per {slope.against}{f' at {where}' if where else ''}: "
            f"{number_text(found.value)} [{number_text(found.low)}, {number_text(found.high)}]"
            + (f"  ({', '.join(known)})" if known else "")
        )


def _word(value: Any) -> str:
    """A config's value as it is typed there."""
    return value if isinstance(value, str) else json.dumps(value)


def _varies(one: PointStatistics) -> bool:
    return "loss_variance" in one.numbers or "gradient_variance" in one.numbers


def _aligned(rows: Sequence[tuple[str, Row]]) -> list[str]:
    widths = [max(len(row[k]) for _, row in rows) for k in range(len(rows[0][1]))]
    first = max(len(name) for name, _ in rows)
    return [
        f"{name:<{first}}  {'  '.join(f'{text:<{width}}' for text, width in zip(row, widths, strict=True))}".rstrip()
        for name, row in rows
    ]


def number_text(value: Number) -> str:
    """Four significant digits; "-" where there is none."""
    if value is None or value != value:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _with_error(value: Number, error: Number) -> str:
    return number_text(value) + (f" +- {error:.2g}" if isinstance(error, float) else "")


def _with_interval(numbers: Numbers, name: str) -> str:
    value, low, high = (numbers[f"{name}{end}"] for end in ("", "_low", "_high"))
    return number_text(value) + (f" [{number_text(low)}, {number_text(high)}]" if low is not None else "")
