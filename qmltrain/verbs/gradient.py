"""`qmltrain gradient`: loss, expectations and all gradients at given parameters, on given data, to HDF5."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from qmltrain.config.schema import CommandContext, Config
from qmltrain.config.storage import to_yaml
from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import InputError
from qmltrain.models.build import Compiled, compile_model
from qmltrain.models.first_parameters import initial_theta
from qmltrain.models.problem import Problem, build_problem
from qmltrain.runs.arrays import read_array, write_arrays
from qmltrain.runs.attributes import collect_attributes
from qmltrain.runs.file_layout import FILE_NAME
from qmltrain.runs.output_file import check_new_file
from qmltrain.runs.views import open_run
from qmltrain.sessions.together import SAME_FILES, Together, check_parameters, check_together, of_rank
from qmltrain.training.freezing import frozen_parameters

DEFAULT_OUTPUT = "gradient.h5"


def run(config: Config, context: CommandContext) -> int:
    """Write the file and print what is in it. An existing file is not replaced; a missing folder is made.

    Of the ranks in `context` each computes its share of the rows, and the first one writes.
    """
    ranks: Together | None = context.ranks
    writes = ranks is None or ranks.is_first
    output = Path(config.study.output or DEFAULT_OUTPUT)
    if writes:
        check_new_file(output, "study.output", folder_is_made=True)
    problem = build_problem(config)
    theta_P = load_parameters(config.study.parameters, problem)
    rows = problem.split.train
    if config.study.rows is not None:
        if config.study.rows > len(rows):
            raise InputError(f"study.rows: {config.study.rows} of {len(rows)} training samples; choose at most that")
        rows = rows[: config.study.rows]
    compiled = compile_model(of_rank(config, ranks), problem.model, samples=len(rows))
    if ranks is not None:
        check_together(ranks, problem, compiled)
        check_parameters(ranks, theta_P, SAME_FILES)
        compiled.evaluator.ranks = ranks
    arrays, attributes = compute(config, problem, compiled, theta_P, rows)
    frozen_P = frozen_parameters(problem.model, config.train.freeze)
    if frozen_P is not None:
        for name in ("gradient", "sample_gradients"):
            if name in arrays:
                arrays[name] = np.where(frozen_P, 0.0, arrays[name])
    attributes |= {"config_yaml": to_yaml(config), "command_line": " ".join(context.command_line)}
    if writes:
        write_arrays(output, arrays, {**collect_attributes(), **attributes})
    print(f"gradient   {output}")
    print(f"loss       {attributes['loss']:.6g} (mean over {len(rows)} samples)")
    of_frozen = "" if frozen_P is None else f", {int(frozen_P.sum())} of them frozen (train.freeze), with gradient 0"
    print(f"norm       {np.linalg.norm(arrays['gradient']):.6g} of {len(theta_P)} parameters{of_frozen}")
    drift = attributes["drift"]
    print(
        f"drift      {drift:.2e} (estimated rounding error of a state)"
        if drift == drift  # NaN is not
        else "drift      not measured: no state was un-applied; gradient.mode=reversible measures it"
    )
    return 0


def compute(
    config: Config, problem: Problem, compiled: Compiled, theta_P: FloatArray, rows: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Arrays and attributes of the file."""
    features_BF, targets_B = problem.data.features(rows), np.asarray(problem.data.labels(rows))
    evaluator = compiled.evaluator
    result = evaluator.gradient(theta_P, features_BF, targets_B)
    arrays = {
        "parameters": theta_P,
        "names": np.array(problem.model.parameter_names, dtype=object),
        "gradient": result.gradient_P,
        "rows": rows,
        "targets": targets_B,
        "losses": result.losses_B,
        "outputs": result.outputs_BC,
        "expectations": evaluator.expectations(theta_P, features_BF),
        "observables": np.array(problem.model.observables.names, dtype=object),
    }
    if config.study.per_sample:
        samples = evaluator.sample_gradients(theta_P, features_BF, targets_B)
        arrays |= {"sample_gradients": samples.parameters_BP, "input_gradients": samples.features_BF}
    attributes: dict[str, object] = {
        "loss": result.loss,
        "drift": result.drift,
        "device": compiled.selection.engine.describe(),
        "precision": config.engine.precision,
    }
    return arrays, attributes


def warn_of_other_names(path: Path, names: tuple[str, ...]) -> None:
    """Parameters are taken by position: where those of a run are called otherwise, that is said."""
    if not (path.is_dir() or path.name == FILE_NAME):
        return
    pairs = zip(open_run(path).parameter_names, names, strict=False)
    different = [(theirs, ours) for theirs, ours in pairs if theirs != ours]
    if different:
        warnings.warn(
            f"study.parameters: {len(different)} parameters of {path} have other names than here, the first "
            f"{different[0][0]} where this config has {different[0][1]}; they are taken by position",
            stacklevel=2,
        )


def load_parameters(path: str | None, problem: Problem) -> FloatArray:
    """theta from .npy, .npz (`parameters`) or .h5 (`parameters`, or the last row of a run file); None: the initial."""
    if path is None:
        return initial_theta(problem)
    theta_P = read_array(Path(path), "parameters")
    expected = problem.model.n_parameters
    if theta_P.shape != (expected,):
        raise InputError(
            f"study.parameters: {path} holds an array of shape {theta_P.shape}; this config has {expected} parameters"
        )
    warn_of_other_names(Path(path), problem.model.parameter_names)
    if not np.all(np.isfinite(theta_P)):
        raise InputError(f"study.parameters: {path} holds NaN or infinity")
    return theta_P.astype(np.float64)
