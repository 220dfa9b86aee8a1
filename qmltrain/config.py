"""Every option of qmltrain: its name, type, default, what is allowed and what it means, once.

One dataclass a group; `Config` holds the groups. Hydra composes into these dataclasses (`qmltrain.cli.composing`), so
unknown keys and wrong types are refused there; `validate` refuses values that cannot be. Names of encodings,
ansaetze, datasets, ... are looked up in their registries by the code that builds them. Options that a named entry
does not take must stay null. `docs/config.md` opens with the same keys, defaults and comments (tested).
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from qmltrain.errors import InputError

LARGEST_COUNT = 2**31 - 1
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Rule:
    """What a value must satisfy, and the words that say so. Null always passes (the entry's own default)."""

    accepts: Callable[[Any], bool]
    allowed: str


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def between(lowest: int, highest: int) -> Rule:
    return Rule(lambda value: _is_integer(value) and lowest <= value <= highest, f"integers from {lowest} to {highest}")


def one_of(*names: str) -> Rule:
    return Rule(lambda value: value in names, ", ".join(names))


def each(rule: Rule, *, distinct: bool = False) -> Rule:
    """A list, not empty, of values that all satisfy `rule`."""

    def accepts(values: Any) -> bool:
        if not isinstance(values, list) or not values or not all(rule.accepts(value) for value in values):
            return False
        return not distinct or len(set(values)) == len(values)

    return Rule(accepts, f"a list [a, b, ...] of {'different ' if distinct else ''}values: {rule.allowed}")


def _accepts_size(value: Any) -> bool:
    return COUNT.accepts(value) or (isinstance(value, list) and len(value) == 2 and all(map(COUNT.accepts, value)))


def _accepts_range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[0] < value[1]


def _accepts_run_name(value: Any) -> bool:
    if not isinstance(value, str) or not value.strip() or value in (".", ".."):
        return False
    return not any(character in "/\\" or ord(character) < 32 for character in value)


def _accepts_monitor(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("val/") and len(value) > len("val/")


COUNT = between(1, LARGEST_COUNT)
COUNT_OR_ZERO = between(0, LARGEST_COUNT)
SEED = between(0, LARGEST_SEED)
QUBIT = between(0, 39)
FINITE = Rule(_is_number, "a finite number")
POSITIVE = Rule(lambda value: _is_number(value) and value > 0, "a finite number above 0")
NOT_NEGATIVE = Rule(lambda value: _is_number(value) and value >= 0, "a finite number, 0 or more")
FRACTION = Rule(lambda value: _is_number(value) and 0 <= value <= 1, "0 to 1")
BELOW_ONE = Rule(lambda value: _is_number(value) and 0 <= value < 1, "0 or more and below 1")
SPLIT = Rule(lambda value: _is_number(value) and 0 < value < 1, "above 0 and below 1")
TEXT = Rule(lambda value: isinstance(value, str) and bool(value.strip()), "a name")
SHA256 = Rule(
    lambda value: isinstance(value, str) and len(value) == 64 and not set(value.lower()) - set("0123456789abcdef"),
    "64 hexadecimal digits",
)
SIZE = Rule(_accepts_size, "a side (an integer of 1 or more) or [height, width]")
RANGE = Rule(_accepts_range, "[low, high] with low < high")
RUN_NAME = Rule(_accepts_run_name, "a name without slashes and control characters")
MONITOR = Rule(_accepts_monitor, "a metric of the validation split, as val/loss or val/accuracy")
LABEL = Rule(
    lambda value: (_is_integer(value) and value >= 0) or (isinstance(value, str) and bool(value.strip())),
    "labels (0, 1, ...) or names of classes",
)
OUTCOME = Rule(
    lambda value: (
        (_is_integer(value) and value >= 0) or (isinstance(value, str) and bool(value) and not set(value) - set("01"))
    ),
    "an integer of 0 or more, or a bit string as '0110'",
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
        COUNT,
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
        "ttn | mps | python",
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
    graph: str | None = option(None, "qaoa: ring | complete | random_regular | file (null: ring)")
    degree: int | None = option(None, "qaoa, graph=random_regular: edges of a vertex (null: 3)", COUNT)
    seed: int | None = option(None, "pauli_two_design, random_layers, qaoa with graph=random_regular (null: 0)", SEED)
    path: str | None = option(None, "qaoa, graph=file: text file, 'i j' or 'i j weight' a line", TEXT)
    function: str | None = option(None, "python: package.module:name; this runs your code")


@dataclass
class ObservableConfig:
    name: str = option("z", "z | pauli | projector | python", TEXT)
    qubits: list[int] | None = option(
        None, "z: measured qubits; projector: qubits that are read (null: all)", each(QUBIT, distinct=True)
    )
    terms: list[str] | None = option(None, 'pauli: one string an observable, as "0.5*Z0 Z1 + X2"', each(TEXT))
    states: list[Any] | None = option(
        None, "projector: outcomes, integers or bit strings (leftmost bit: highest qubit)", each(OUTCOME, distinct=True)
    )
    function: str | None = option(None, "python: package.module:name; this runs your code")


@dataclass
class HeadConfig:
    name: str = option("linear", "raw | scaled (one trainable factor) | linear (trainable weights and biases)", TEXT)


@dataclass
class LossConfig:
    name: str = option("cross_entropy", "cross_entropy | binary_cross_entropy | mean_squared_error", TEXT)


@dataclass
class DatasetConfig:
    name: str = option(
        "digits",
        "digits | iris | wine | breast_cancer | diabetes | make_moons | make_circles | make_blobs | "
        "make_classification | idx | npz | hdf5 | python",
        TEXT,
    )
    path: str | None = option(None, "idx: file of the images; npz, hdf5: the file")
    labels_path: str | None = option(None, "idx: file of the labels")
    root: str | None = option(None, "folder where relative paths start (null: $QMLTRAIN_DATA, else where you are)")
    sha256: str | None = option(None, "checksum of the file at path; another file is refused", SHA256)
    n_samples: int | None = option(None, "make_*: samples", COUNT)
    noise: float | None = option(None, "make_moons, make_circles: standard deviation of the noise", NOT_NEGATIVE)
    n_features: int | None = option(None, "make_blobs, make_classification: features", COUNT)
    n_classes: int | None = option(None, "make_blobs, make_classification: classes", between(2, LARGEST_COUNT))
    generator_seed: int | None = option(None, "make_*: seed of the generator", between(0, 2**32 - 1))
    x_key: str | None = option(None, "npz, hdf5: name of the features (null: x)")
    y_key: str | None = option(None, "npz, hdf5: name of the labels (null: y)")
    task: str | None = option(
        None,
        "npz, hdf5, python: classification | regression (null: by the kind of labels)",
        one_of("classification", "regression"),
    )
    function: str | None = option(None, "python: package.module:name; this runs your code")
    classes: list[Any] | None = option(
        None,
        "keep these labels or class names, relabelled 0, 1, ... in this order (null: all)",
        each(LABEL, distinct=True),
    )
    samples: int | None = option(None, "keep a stratified subsample of this many (null: all)", COUNT)
    validation: float = option(0.2, "fraction of the samples for validation", SPLIT)
    test: float = option(0.2, "fraction of the samples for the test at the end", SPLIT)


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
    learning_rate: float = option(0.05, "step size", POSITIVE)
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
    step_epochs: int | None = option(None, "step: epochs between two steps", COUNT)
    factor: float | None = option(None, "step: what a step multiplies the learning rate by", POSITIVE)


@dataclass
class EngineConfig:
    name: str = option(
        "auto",
        "auto (cuda, else cpu, else interpreter) | cuda | cpu | interpreter | reference",
        one_of("auto", "cuda", "cpu", "interpreter", "reference"),
    )
    precision: str = option("complex64", "complex64 | complex128", one_of("complex64", "complex128"))
    threads: int = option(0, "0: SLURM_CPUS_PER_TASK, else all cores that this process may use", between(0, 4096))
    memory_gib: float | None = option(None, "memory for states, GiB (null: what the device has)", POSITIVE)
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
    batch_size: int = option(32, "samples of one step", COUNT)
    max_steps: int | None = option(None, "stop after this many steps (null: epochs alone decide)", COUNT)
    monitor: str = option("val/loss", "what chooses the best parameters: a metric of the validation split", MONITOR)
    patience: int | None = option(None, "early stopping: epochs without improvement (null: never)", COUNT)
    baseline: bool = option(True, "fit logistic regression (or ridge) on the same features, to compare")
    initial: str = option("uniform", "first parameters: uniform | normal | zeros", one_of("uniform", "normal", "zeros"))
    initial_scale: float | None = option(
        None, "uniform: [-s, s] (null: pi); normal: standard deviation (null: 0.1)", POSITIVE
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
    output: str | None = option(None, "gradient: HDF5 file to write (null: gradient.h5)", TEXT)
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


def validate(config: Config) -> Config:
    """Refuse what cannot be; returns `config`.

    Raises InputError: one line with the key, what was found and what is allowed.
    """
    for key, value, item in options(config):
        rule: Rule | None = item.metadata["rule"]
        if value is not None and rule is not None and not rule.accepts(value):
            raise InputError(f"{key}: found {_shown(value)}; allowed: {rule.allowed}")
    dataset, n_qubits = config.dataset, config.circuit.n_qubits
    if dataset.validation + dataset.test >= 1:
        raise InputError(
            f"dataset.validation, dataset.test: found {dataset.validation:g} and {dataset.test:g}; "
            "allowed: a sum below 1, so that samples are left to train on"
        )
    for qubit in config.observable.qubits or []:
        if qubit >= n_qubits:
            raise InputError(
                f"observable.qubits: found {qubit}; allowed: 0 to {n_qubits - 1} (circuit.n_qubits={n_qubits})"
            )
    return config


def to_dict(config: Config) -> dict[str, dict[str, Any]]:
    """Plain dictionaries and lists, a copy."""
    return dataclasses.asdict(config)


def to_yaml(config: Config) -> str:
    """The resolved config as YAML; `from_yaml` reads it back to an equal `Config`."""
    import yaml

    return yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)


def from_yaml(text: str, source: str = "config") -> Config:
    """A config that `to_yaml` wrote, validated.

    Keys that are missing keep their defaults. Raises InputError, in one line that names `source`: not YAML, a key
    that this version does not know, a wrong type, an impossible value.
    """
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        stored = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{source}: the stored config is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(stored, dict) or not all(isinstance(node, dict) for node in stored.values()):
        raise InputError(f"{source}: the stored config holds no groups of options")
    known = set(known_keys())
    for group, node in stored.items():
        for name in node:
            if f"{group}.{name}" not in known:
                raise InputError(
                    f"{source}: the stored config names {group}.{name}, unknown to this version of qmltrain; "
                    "use the version that wrote it"
                )
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.create(stored))
        config = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        message = str(error.msg or error).splitlines()[0]
        raise InputError(f"{source}: stored config, {error.full_key}: {message}") from error
    assert isinstance(config, Config)
    try:
        return validate(config)
    except InputError as error:
        raise InputError(f"{source}: stored config, {error}") from error


def known_keys() -> list[str]:
    """All keys, as `circuit.n_qubits`, in order."""
    return [key for key, _, _ in options(Config())]


def nearest_key(key: str) -> str | None:
    """The known key or group that `key` is most like, for messages; None where nothing is near."""
    keys = known_keys()
    if "." in key:
        matches = difflib.get_close_matches(key, keys, n=1, cutoff=0.75)
    else:  # a group, or an option whose group was left out
        names = {full.split(".")[1]: full for full in reversed(keys)} | {name: name for name in (*GROUPS, "experiment")}
        matches = [names[name] for name in difflib.get_close_matches(key, names, n=1, cutoff=0.75)]
    return matches[0] if matches else None


def allowed_values(key: str) -> str | None:
    """What `key` takes, in words for messages; None where there is no such key."""
    for full, _, item in options(Config()):
        if full == key:
            rule: Rule | None = item.metadata["rule"]
            return rule.allowed if rule is not None else _TYPES.get(str(item.type), str(item.type))
    return None


_TYPES = {
    "str": "text",
    "str | None": "text or null",
    "bool": "true or false",
    "bool | None": "true, false or null",
    "list[str] | None": "a list [a, b, ...] or null",
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
