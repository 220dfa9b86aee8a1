"""Heads and losses of many draws: from expectations to a loss of each draw, and back.

Sample s belongs to draw s // R and to row s % R. A head with parameters has other ones in each draw, and takes the rows
of one draw at a time; losses take all samples at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import NonFiniteError
from qmltrain.studies.quantities import mean_over_rows
from qmltrain.training.heads import Raw
from qmltrain.training.model import Model
from qmltrain.training.reduction import tree_sum


class Outputs:
    def __init__(self, model: Model, targets_R: NDArray[np.generic]) -> None:
        self.model = model
        self.targets_R = np.asarray(targets_R, dtype=np.float64 if model.loss.n_classes is None else np.int64)
        self.n_rows = len(self.targets_R)

    @property
    def fixed_cotangent(self) -> FloatArray | None:
        """(M,) of the strings, where it is the same whatever the expectations are; else None."""
        model = self.model
        if not (isinstance(model.head, Raw) and model.loss.linear):
            return None
        nothing_1K = np.zeros((1, model.observables.n_observables))
        cotangent_1C = model.loss.cotangent(nothing_1K, self.targets_R[:1]) / self.n_rows
        found: FloatArray = model.string_cotangent(cotangent_1C)[0]
        return found

    def losses(self, head_DH: FloatArray, strings_SM: FloatArray, first: int = 0) -> FloatArray:
        """(D,) mean loss of each draw. Raises NonFiniteError with the draw, counted from `first`."""
        outputs_SC = self._outputs(head_DH, self.model.expectations(strings_SM))
        with np.errstate(over="ignore", invalid="ignore"):  # said below
            values_S = self.model.loss.value(outputs_SC, self._targets(len(head_DH)))
            losses_D = mean_over_rows(values_S[:, None], self.n_rows)[:, 0]
        bad = np.flatnonzero(~np.isfinite(losses_D))
        if len(bad):
            raise NonFiniteError(f"the loss of draw {first + bad[0]} is {losses_D[bad[0]]}")
        return losses_D

    def cotangents(self, head_DH: FloatArray, strings_SM: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradients of a draw's loss: by its strings' expectations (S, M), and by the parameters of its head (D, H)."""
        model, head = self.model, self.model.head
        expectations_SK = model.expectations(strings_SM)
        outputs_SC = self._outputs(head_DH, expectations_SK)
        cotangent_SC = model.loss.cotangent(outputs_SC, self._targets(len(head_DH))) / self.n_rows
        if not head.n_parameters:
            cotangent_SK = head.backward(head_DH[0], expectations_SK, cotangent_SC)
            return model.string_cotangent(cotangent_SK), np.zeros((len(head_DH), 0))
        cotangent_SK, gradient_DH = np.empty_like(expectations_SK), np.empty_like(head_DH)
        for draw, rows in self._rows(len(head_DH)):
            of_draw = head_DH[draw], expectations_SK[rows], cotangent_SC[rows]
            cotangent_SK[rows] = head.backward(*of_draw)
            gradient_DH[draw] = tree_sum(head.sample_gradients(*of_draw))
        return model.string_cotangent(cotangent_SK), gradient_DH

    def _outputs(self, head_DH: FloatArray, expectations_SK: FloatArray) -> FloatArray:
        head = self.model.head
        if not head.n_parameters:
            return head.forward(head_DH[0], expectations_SK)
        return np.concatenate(
            [head.forward(head_DH[draw], expectations_SK[rows]) for draw, rows in self._rows(len(head_DH))]
        )

    def _rows(self, draws: int) -> Iterator[tuple[int, slice]]:
        return ((draw, slice(draw * self.n_rows, (draw + 1) * self.n_rows)) for draw in range(draws))

    def _targets(self, draws: int) -> NDArray[np.generic]:
        return np.tile(self.targets_R, draws)
