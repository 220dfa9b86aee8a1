"""Every option: its name, type, default, rule and comment, once. One dataclass a group; `Config` holds them.

Names of encodings, ansaetze, datasets, ... are looked up in their registries by the code that builds them. An option
that the named entry does not take must stay null.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from qmltrain.config.rules import (
    ANGLE,
    BELOW_ONE,
    CLASS_WEIGHTS,
    COUNT,
    COUNT_OR_ZERO,
    FINITE,
    FRACTION,
    FREEZE,
    GIBIBYTES,
    LABEL,
    LARGEST_COUNT,
    MONITOR,
    NOT_NEGATIVE,
    OUTCOME,
    POSITIVE,
    QUBIT,
    RANGE,
    RUN_NAME,
    SEED,
    SEPARATOR,
    SHA256,
    SIZE,
    SPLIT,
    TEXT,
    Rule,
    between,
    each,
    one_of,
)


def option(default: Any, meaning: str, rule: Rule | None = None) -> Any:
    """A field with its comment and rule; list defaults are copied for every instance."""
    metadata = {"meaning": meaning, "rule": rule}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class CircuitConfig:
    n_qubits: int = option(8, "qubits of the circuit; a state holds 2^n_qubits amplitudes", between(1, 40))


@dataclass
class EncodingConfig:
    name: str = option(
        "reuploading",
        "angle | amplitude | reuploading | basis | iqp | z_feature_map | zz_feature_map | pauli_feature_map | "
        "qaoa_embedding | fourier | chebyshev | none | python",
        TEXT,
    )
    gate: str | None = option(None, "angle (null: ry), fourier, chebyshev (null: rx): rx | ry | rz")
    gates: list[str] | None = option(None, "reuploading: rotations of one encoding block (null: [ry])")
    repeats: int | None = option(
        None,
        "reuploading: encoding blocks, each followed by the ansatz (null: 1); iqp, qaoa_embedding (null: 1) and "
        "*_feature_map (null: 2): repetitions",
        between(1, 1_000_000),
    )
    trainable: str | None = option(None, "reuploading: none | weights | weights_and_biases (null: weights)")
    pad_with: float | None = option(None, "amplitude: value of the missing amplitudes (null: 0)", FINITE)
    normalize: bool | None = option(None, "amplitude: divide by the L2 norm (null: true)")
    entanglement: str | None = option(
        None, "iqp, zz_feature_map, pauli_feature_map: full | linear | circular | ... (null: full)"
    )
    alpha: float | None = option(None, "*_feature_map: factor of the angles (null: 2)", FINITE)
    paulis: list[str] | None = option(None, "pauli_feature_map: Pauli strings (null: [Z, ZZ])", each(TEXT))
    local_field: str | None = option(None, "qaoa_embedding: rx | ry | rz (null: ry)")
    scaling: str | None = option(None, "fourier, chebyshev: constant | tower | exponential (null: constant)")
    function: str | None = option(None, "python: package.module:name; this runs your code")


@dataclass
class AnsatzConfig:
    name: str = option(
        "hea",
        "hea | strongly_entangling | basic_entangler | simplified_two_design | real_amplitudes | efficient_su2 | "
        "two_local | pauli_two_design | random_layers | sim_2 | sim_13 | sim_14 | sim_15 | sim_19 | qaoa | qcnn | "
        "ttn | mps | qasm | python",
        TEXT,
    )
    layers: int = option(1, "layers (real_amplitudes, efficient_su2, two_local: repetitions)", between(1, 1_000_000))
    rotations: list[str] | None = option(
        None,
        "rotations of every qubit: hea (null: [rx, ry, rz]), basic_entangler (null: [rx]), two_local (null: [ry]), "
        "efficient_su2 (null: [ry, rz])",
    )
    entangler: str | None = option(
        None, "hea: cz_ring | cz_chain | cx_ring | cx_chain | none (null: cz_ring); two_local: a gate (null: cx)"
    )
    ranges: list[int] | None = option(None, "strongly_entangling: distance of the entanglers, one a layer", each(COUNT))
    imprimitive: str | None = option(None, "strongly_entangling: cx | cz (null: cx)")
    entanglement: str | None = option(
        None,
        "real_amplitudes, efficient_su2 (null: reverse_linear), two_local (null: full): full | linear | "
        "reverse_linear | circular | pairwise | sca",
    )
    skip_final_rotation: bool | None = option(
        None, "real_amplitudes, efficient_su2, two_local: leave out the last rotations (null: false)"
    )
    n_rotations: int | None = option(None, "random_layers: rotations of one layer (null: as many as qubits)", COUNT)
    ratio_imprimitive: float | None = option(None, "random_layers: share of CX gates (null: 0.3)", BELOW_ONE)
    graph: str | None = option(None, "qaoa: ring | chain | complete | random_regular | file (null: ring)")
    degree: int | None = option(None, "qaoa, graph=random_regular: edges of a vertex (null: 3)", COUNT)
    seed: int | None = option(None, "pauli_two_design, random_layers, qaoa with graph=random_regular (null: 0)", SEED)
    path: str | None = option(
        None,
        "qasm: OpenQASM 2 or 3 file (extra: qasm); qaoa, graph=file: text file, 'i j' or 'i j weight' a line",
        TEXT,
    )
    function: str | None = option(None, "python: package.module:name; this runs your code")


@dataclass
class ObservableConfig:
    name: str = option(
        "z", "z | pauli | projector | parity | hamiltonian | ising | heisenberg | maxcut | target_state | python", TEXT
    )
    qubits: list[int] | None = option(
        None, "z, parity: measured qubits; projector: qubits that are read (null: all)", each(QUBIT, distinct=True)
    )
    terms: list[str] | None = option(None, 'pauli: one string an observable, as "0.5*Z0 Z1 + X2"', each(TEXT))
    states: list[Any] | None = option(
        None, "projector: outcomes, integers or bit strings (leftmost bit: highest qubit)", each(OUTCOME, distinct=True)
    )
    graph: str | None = option(
        None,
        "ising, heisenberg (null: chain), maxcut (null: ring): chain | ring | complete | random_regular | file",
        TEXT,
    )
    degree: int | None = option(None, "graph=random_regular: edges of a vertex (null: 3)", COUNT)
    seed: int | None = option(None, "graph=random_regular: seed (null: 0)", SEED)
    path: str | None = option(
        None,
        "hamiltonian: text file, '0.5 X0 Z1' a line; graph=file: 'i j' or 'i j weight' a line; target_state: .npy of "
        "the amplitudes",
        TEXT,
    )
    coupling: float | None = option(None, "ising: J of -J sum Z Z - h sum X (null: 1)", FINITE)
    couplings: list[float] | None = option(
        None, "heisenberg: [Jx, Jy, Jz] of sum (Jx X X + Jy Y Y + Jz Z Z) - h sum Z (null: [1, 1, 1])", each(FINITE)
    )
    field: float | None = option(None, "h of ising (null: 1), heisenberg (null: 0)", FINITE)
    function: str | None = option(None, "python: package.module:name; this runs your code")


@dataclass
class HeadConfig:
    name: str = option("linear", "raw | scaled (one trainable factor) | linear (trainable weights and biases)", TEXT)


@dataclass
class LossConfig:
    name: str = option(
        "cross_entropy",
        "cross_entropy | binary_cross_entropy | hinge | mean_squared_error | huber | expectation | fidelity (the last "
        "two need head=raw and no labels)",
        TEXT,
    )
    delta: float | None = option(None, "huber: where the square turns into a line (null: 1)", POSITIVE)
    class_weights: Any = option(
        None, "balanced (n / (classes x samples of the class)) or one weight a class (null: all 1)", CLASS_WEIGHTS
    )


@dataclass
class DatasetConfig:
    name: str = option(
        "digits",
        "digits | iris | wine | breast_cancer | diabetes | make_moons | make_circles | make_blobs | "
        "make_classification | make_friedman1 | fourier_series | idx | cifar10 | npz | hdf5 | csv | parquet | python | "
        "none (VQE, QAOA)",
        TEXT,
    )
    path: str | None = option(
        None, "idx: file of the images; cifar10: a batch or the folder of them; npz, hdf5, csv, parquet: the file"
    )
    test_path: str | None = option(
        None, "another such file, whose rows are the test split (null: dataset.test of the rows at path)", TEXT
    )
    labels_path: str | None = option(None, "idx: file of the labels")
    root: str | None = option(None, "folder where relative paths start (null: $QMLTRAIN_DATA, else where you are)")
    sha256: str | None = option(None, "checksum of the file at path; another file is refused", SHA256)
    target: str | None = option(None, "csv, parquet: column of the labels", TEXT)
    features: list[str] | None = option(None, "csv, parquet: columns of the features (null: all others)", each(TEXT))
    split_column: str | None = option(
        None, "csv, parquet: column that says train, validation or test (null: none)", TEXT
    )
    delimiter: str | None = option(None, "csv: what separates the cells (null: a comma)", SEPARATOR)
    n_samples: int | None = option(None, "make_*, fourier_series: samples", COUNT)
    noise: float | None = option(
        None, "make_moons, make_circles, make_friedman1, fourier_series: standard deviation of the noise", NOT_NEGATIVE
    )
    n_features: int | None = option(None, "make_blobs, make_classification, make_friedman1: features", COUNT)
    n_frequencies: int | None = option(None, "fourier_series: frequencies (null: 3)", between(1, 10_000))
    n_classes: int | None = option(None, "make_blobs, make_classification: classes", between(2, LARGEST_COUNT))
    generator_seed: int | None = option(None, "make_*, fourier_series: seed of the generator", between(0, 2**32 - 1))
    x_key: str | None = option(None, "npz, hdf5: name of the features (null: x)")
    y_key: str | None = option(None, "npz, hdf5: name of the labels (null: y)")
    split_key: str | None = option(
        None, "npz, hdf5: name of the array that says train, validation or test (null: split, where there is one)", TEXT
    )
    task: str | None = option(
        None,
        "npz, hdf5, csv, parquet, python: classification | regression (null: by the kind of labels)",
        one_of("classification", "regression"),
    )
    function: str | None = option(None, "python: package.module:name; this runs your code")
    classes: list[Any] | None = option(
        None,
        "keep these labels or class names, relabelled 0, 1, ... in this order (null: all)",
        each(LABEL, distinct=True),
    )
    samples: int | None = option(None, "keep a stratified subsample of this many (null: all)", COUNT)
    validation: float = option(0.2, "fraction of the samples for validation, where the data does not say", SPLIT)
    test: float = option(0.2, "fraction of the samples for the test at the end, where the data does not say", SPLIT)


@dataclass
class PreprocessConfig:
    resize: Any = option(None, "average-pool images to this side or [height, width] (null: as they are)", SIZE)
    pca: int | None = option(8, "principal components, fitted on the training split (null: no PCA)", COUNT)
    scale: str = option(
        "min_max", "none | standard | min_max, fitted on the training split", one_of("none", "standard", "min_max")
    )
    range: list[float] = option([-math.pi / 2, math.pi / 2], "min_max: target, radians for angle encodings", RANGE)
    normalize: bool = option(False, "divide each sample by its L2 norm; a row of zeros is refused")


@dataclass
class OptimizerConfig:
    name: str = option("adam", "sgd | adam | adamw | lbfgs (full batch)", TEXT)
    learning_rate: float = option(0.05, "step size (lbfgs finds its own)", POSITIVE)
    momentum: float | None = option(None, "sgd: momentum (null: 0)", BELOW_ONE)
    beta_1: float | None = option(None, "adam, adamw: decay of the mean (null: 0.9)", BELOW_ONE)
    beta_2: float | None = option(None, "adam, adamw: decay of the square (null: 0.999)", BELOW_ONE)
    epsilon: float | None = option(None, "adam, adamw: added to the root (null: 1e-8)", POSITIVE)
    weight_decay: float | None = option(None, "adamw: decoupled weight decay (null: 0.01)", NOT_NEGATIVE)
    clip_norm: float | None = option(None, "largest L2 norm of the whole gradient (null: no clipping)", POSITIVE)


@dataclass
class ScheduleConfig:
    name: str = option("cosine", "constant | cosine | step", TEXT)
    warmup_steps: int = option(0, "linear warm-up, for every schedule", COUNT_OR_ZERO)
    final_fraction: float | None = option(None, "cosine: last learning rate over the first (null: 0)", FRACTION)
    step_epochs: int | None = option(None, "step: epochs between two steps (null: 10)", COUNT)
    factor: float | None = option(None, "step: what a step multiplies the learning rate by (null: 0.1)", POSITIVE)


@dataclass
class EngineConfig:
    name: str = option(
        "auto",
        "auto (cuda, else cpu, else interpreter) | cuda | cpu | interpreter | reference",
        one_of("auto", "cuda", "cpu", "interpreter", "reference"),
    )
    precision: str = option("complex64", "complex64 | complex128", one_of("complex64", "complex128"))
    threads: int = option(0, "0: SLURM_CPUS_PER_TASK, else all cores that this process may use", between(0, 4096))
    memory_gib: float | None = option(None, "memory for states, GiB (null: what the device has)", GIBIBYTES)
    fusion: bool = option(True, "false: one gate a pass, to compare")


@dataclass
class GradientConfig:
    mode: str = option(
        "auto",
        "auto | reversible (un-apply the gates) | checkpoint (keep states, recompute)",
        one_of("auto", "reversible", "checkpoint"),
    )
    checkpoint_interval: int | None = option(
        None, "layers between kept states (null: chosen); not the snapshots of run.save_every", COUNT
    )


@dataclass
class TrainConfig:
    epochs: int = option(25, "passes over the training split", COUNT)
    batch_size: int = option(32, "samples of one step (lbfgs takes all, in every step)", COUNT)
    max_steps: int | None = option(None, "stop after this many steps (null: epochs alone decide)", COUNT)
    monitor: str = option("val/loss", "what chooses the best parameters: a metric of the validation split", MONITOR)
    patience: int | None = option(None, "early stopping: epochs without improvement (null: never)", COUNT)
    baseline: bool = option(True, "fit logistic regression (or ridge) on the same features, to compare")
    perceptron: bool = option(False, "also fit a perceptron with at most as many parameters as the model")
    initial: str = option(
        "uniform",
        "first parameters: uniform | normal | zeros | beta | identity (pairs of layers that cancel) | from_run",
        one_of("uniform", "normal", "zeros", "beta", "identity", "from_run"),
    )
    initial_scale: float | None = option(
        None, "uniform, beta, identity: [-s, s] (null: pi); normal: standard deviation (null: 0.1)", ANGLE
    )
    initial_shape: list[float] | None = option(
        None, "beta: [alpha, beta] of the distribution (null: [2, 2])", each(POSITIVE)
    )
    initial_run: str | None = option(
        None, "from_run: directory of a run whose circuit is the beginning of this one; its best parameters", TEXT
    )
    initial_rest: str | None = option(
        None,
        "from_run: parameters of layers that the run did not have: zeros | identity | uniform | normal | beta "
        "(null: zeros)",
        one_of("uniform", "normal", "zeros", "beta", "identity"),
    )
    freeze: list[Any] | None = option(
        None,
        "parameters that stay fixed: layers (0, 1, ... over the whole circuit), or beginnings of names as "
        "'ansatz.1', encoding, head (null: none)",
        each(FREEZE, distinct=True),
    )


@dataclass
class RunConfig:
    name: str = option("run", "first part of the run directory's name", RUN_NAME)
    root: str = option("runs", "folder of the run directories", TEXT)
    dir: str | None = option(None, "run directory (null: <root>/<name>-<hash of what changes the result>)", TEXT)
    seed: int = option(0, "the three seeds below derive from it", SEED)
    seed_split: int | None = option(None, "train, validation and test split (null: from seed)", SEED)
    seed_initial: int | None = option(None, "first parameters (null: from seed)", SEED)
    seed_order: int | None = option(None, "order of the samples (null: from seed)", SEED)
    save_every: int = option(100, "steps between snapshots, from which a run goes on", COUNT)
    keep: int = option(3, "snapshots that are kept", COUNT)
    resume: str = option(
        "auto",
        "auto (go on where the same run stopped) | never | must",
        one_of("auto", "never", "must"),
    )
    gradients: str = option("norms", "none | norms (per layer) | full", one_of("none", "norms", "full"))
    gradients_every: int = option(1, "steps between two stored gradients", COUNT)
    parameters_every: int | None = option(None, "steps between two stored parameter rows (null: one an epoch)", COUNT)
    progress: str = option(
        "auto", "auto (bar on a terminal, else lines) | bar | lines | none", one_of("auto", "bar", "lines", "none")
    )
    log_seconds: float = option(30.0, "lines: seconds between two lines", POSITIVE)


@dataclass
class StudyConfig:
    """Options of the verb `gradient`; training does not read them."""

    parameters: str | None = option(None, "gradient: .npy, .npz or .h5 with the parameters (null: train.initial)", TEXT)
    per_sample: bool = option(False, "gradient: also the gradient of every sample alone")
    output: str | None = option(None, "gradient: new HDF5 file; a missing folder is made (null: gradient.h5)", TEXT)
    rows: int | None = option(None, "gradient: first samples of the training split (null: all)", COUNT)


@dataclass
class Config:
    """A whole config, resolved. `validate` it before use."""

    circuit: CircuitConfig = field(default_factory=CircuitConfig)
    encoding: EncodingConfig = field(default_factory=EncodingConfig)
    ansatz: AnsatzConfig = field(default_factory=AnsatzConfig)
    observable: ObservableConfig = field(default_factory=ObservableConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    gradient: GradientConfig = field(default_factory=GradientConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    run: RunConfig = field(default_factory=RunConfig)
    study: StudyConfig = field(default_factory=StudyConfig)


GROUPS: tuple[str, ...] = tuple(item.name for item in dataclasses.fields(Config))


@dataclass(frozen=True)
class CommandContext:
    """What a verb knows of the command that called it: the words typed, the overrides among them, and `-v`."""

    command_line: list[str]
    overrides: list[str]
    verbose: bool = False


def options(config: Config) -> Iterator[tuple[str, Any, dataclasses.Field[Any]]]:
    """Every option of `config` in order: its key (`group.name`), its value, its field."""
    for group in GROUPS:
        node = getattr(config, group)
        for item in dataclasses.fields(node):
            yield f"{group}.{item.name}", getattr(node, item.name), item
