"""What `compare_bits` runs: command lines of qmltrain, in groups. Only the standard library is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

WHERE_CONFIGS_ARE = ("configs", "qmltrain/configs")  # in a checkout
# experiments on data that is not bundled
NOT_WITHOUT_FILES = {"mnist", "mnist_amplitude", "mnist_full", "cifar10", "cifar10_full"}

BLOBS = "dataset=make_blobs dataset.n_samples=60 dataset.n_features=4 dataset.n_classes=3 dataset.generator_seed=5"
TWO_CLASSES = "dataset=make_moons dataset.n_samples=60 dataset.noise=0.1 dataset.generator_seed=3"
ENGINES = (
    "engine=cpu",
    "engine=cpu engine.precision=complex128",
    "engine=interpreter engine.precision=complex128",
    "engine=reference engine.precision=complex128",
)
MODES = (
    "gradient=auto",
    "gradient=reversible",
    "gradient=reversible gradient.checkpoint_interval=2",
    "gradient=checkpoint",
    "gradient=checkpoint gradient.checkpoint_interval=2",
)
# what an entry needs beside its name
ENCODINGS = {
    "amplitude": "preprocess=amplitudes",
    "basis": "dataset=npz dataset.path=bits.npz preprocess=amplitudes",
    "chebyshev": "preprocess.range=[-0.9,0.9]",
    "python": "encoding.function=parts:encoding",
    "reuploading": "encoding.repeats=2 encoding.gates=[ry,rz]",
    "iqp": "encoding.repeats=2",
    "pauli_feature_map": "encoding.paulis=[Z,XX,ZY]",
}
MORE_ENCODINGS = (
    "encoding=angle encoding.gate=rx",
    "encoding=angle encoding.gate=rz",
    "encoding=reuploading encoding.repeats=3 encoding.trainable=none",
    "encoding=reuploading encoding.repeats=2 encoding.trainable=weights_and_biases encoding.gates=[rx,rz]",
    "encoding=fourier encoding.scaling=exponential",
    "encoding=zz_feature_map encoding.entanglement=linear encoding.alpha=1.5",
    "encoding=qaoa_embedding encoding.repeats=2 encoding.local_field=rx",
    "encoding=amplitude preprocess=standard encoding.pad_with=0.5 ansatz.entangler=cx_ring",
)
ANSATZE = {"qasm": "ansatz.path=circuit.qasm", "python": "ansatz.function=parts:ansatz"}
MORE_ANSATZE = (
    "ansatz=hea ansatz.entangler=cx_ring ansatz.rotations=[ry,rz]",
    "ansatz=hea ansatz.entangler=cz_chain",
    "ansatz=strongly_entangling ansatz.imprimitive=cz ansatz.layers=2 ansatz.ranges=[2,1]",
    "ansatz=two_local ansatz.entangler=rzz ansatz.rotations=[ry,rx] ansatz.entanglement=pairwise",
    "ansatz=efficient_su2 ansatz.entanglement=sca ansatz.skip_final_rotation=true",
)
OBSERVABLES = {
    "hamiltonian": "observable.path=hamiltonian.txt",
    "pauli": "\"observable.terms=['0.5*Z0 Z1 + X2','Y3','Z1 - 2*X0 Y1 Z2']\"",
    "projector": "observable.states=[0,5,6]",
    "python": "observable.function=parts:observable",
    "target_state": "observable.path=state.npy",
    "heisenberg": "observable.couplings=[1,0.5,0.3] observable.field=0.2",
    "ising": "observable.graph=ring observable.field=0.7",
}
DATASETS = {
    "csv": "dataset.path=table.csv dataset.target=kind",
    "hdf5": "dataset.path=data.h5",
    "idx": "dataset.path=images-idx3-ubyte dataset.labels_path=labels-idx1-ubyte preprocess=pca_angles",
    "npz": "dataset.path=data.npz",
    "python": "dataset.function=parts:data",
    "digits": "preprocess=pca_angles dataset.samples=300",
    "wine": "preprocess=pca_angles",
    "breast_cancer": "preprocess=pca_angles",
    "diabetes": "preprocess=pca_angles loss=mean_squared_error",
    "make_friedman1": "dataset.n_samples=50 preprocess=pca_angles loss=mean_squared_error",
    "fourier_series": "dataset.n_samples=50 loss=huber loss.delta=0.5",
    "make_blobs": "dataset.n_samples=50 dataset.n_classes=3",
    "make_classification": "dataset.n_samples=50 preprocess=pca_angles dataset.n_features=6",
    "make_moons": "dataset.n_samples=50",
    "make_circles": "dataset.n_samples=50",
    "linearly_separable": "dataset.n_samples=50 dataset.n_features=4",
    "hidden_manifold": "dataset.n_samples=50 dataset.n_features=4",
    "hyperplanes": "dataset.published=hyperplanes_diff dataset.n_hyperplanes=3",
    "two_curves": "dataset.published=two_curves dataset.n_features=4",
    "bars_and_stripes": "dataset.n_samples=50",
}
LOSSES = {
    "cross_entropy": (f"{BLOBS} head=raw observable.qubits=[0,1,2]", f"{BLOBS} head=scaled observable.qubits=[0,2,3]"),
    "binary_cross_entropy": (f"{TWO_CLASSES} head=scaled observable.qubits=[1]", f"{TWO_CLASSES} head=linear"),
    "hinge": (
        f"{TWO_CLASSES} head=raw observable.qubits=[0]",
        f"{TWO_CLASSES} head=linear",
        f"{TWO_CLASSES} head=bias observable.qubits=[1] head.initial_deviation=0.1",
        f"{TWO_CLASSES} head=mlp head.hidden=[5,3] head.activation=sigmoid",
    ),
    "unhinged": (f"{TWO_CLASSES} head=raw observable.qubits=[0]",),
    "weighted_fidelity": (f"{TWO_CLASSES} head=raw observable.qubits=[0,2]",),
    "mean_squared_error": (f"{TWO_CLASSES} head=raw observable.qubits=[0]", "dataset=diabetes preprocess.pca=4"),
    "huber": ("dataset=diabetes preprocess.pca=4 loss.delta=0.7",),
    "expectation": ("dataset=none encoding=none head=raw observable=ising train.baseline=false",),
    "fidelity": (
        "dataset=none encoding=none head=raw observable=target_state observable.path=state.npy train.baseline=false",
    ),
}
OPTIMIZERS = {
    "lbfgs": ("", "dataset=breast_cancer preprocess=pca_angles preprocess.pca=4"),  # many blocks of samples
    "sgd": ("schedule=constant optimizer.momentum=0.9", "schedule=step schedule.step_epochs=1 schedule.factor=0.5"),
    "adam": (
        "schedule=cosine schedule.warmup_steps=2 schedule.final_fraction=0.1",
        "schedule=constant optimizer.beta_1=0.8 optimizer.beta_2=0.99 optimizer.epsilon=1e-6 optimizer.clip_norm=0.1",
    ),
    "adamw": ("optimizer.weight_decay=0.05",),
}
TRAIN = "engine.threads=1 run.progress=none train.epochs=2 run.gradients=full run.save_every=2"


SCANS = {  # experiment -> words of `qmltrain scan`
    "plateau_mcclean": "circuit.n_qubits=2,5",
    "plateau_cost": "circuit.n_qubits=2,3",
    "expressibility_sim": "",
    "starts": "",
    "digits": "scan.rows=20 ansatz.layers=1,2 scan.gradients=last",
    "vqe_ising": "scan.plane=[random,gradient] scan.resolution=7",
}


@dataclass(frozen=True)
class Command:
    """Words of one `qmltrain` call, the exit code that it must end with, and what stops it: a signal's name, and a
    pattern of the file that sends it as it is renamed into place."""

    words: str
    code: int = 0
    stop: tuple[str, str] | None = None


@dataclass(frozen=True)
class Job:
    """Commands in one folder, one after the other. `emulator`: with tests' stand-in for a GPU."""

    name: str
    commands: tuple[Command, ...]
    environment: dict[str, str] = field(default_factory=dict)
    emulator: bool = False


def make_jobs(checkout: Path) -> list[Job]:
    """All jobs; entries of the groups are those of `checkout`."""
    configs = next(path for name in WHERE_CONFIGS_ARE if (path := checkout / name).is_dir())

    def entries(group: str) -> list[str]:
        return sorted(path.stem for path in (configs / group).glob("*.yaml"))

    encodings = [f"encoding={name} {ENCODINGS.get(name, '')}" for name in entries("encoding")]
    ansatze = [f"ansatz={name} {ANSATZE.get(name, '')}" for name in entries("ansatz")]
    observables = [f"observable={name} {OBSERVABLES.get(name, '')}" for name in entries("observable")]
    datasets = [(name, DATASETS.get(name, "")) for name in entries("dataset")]
    losses = [(name, words) for name in entries("loss") for words in LOSSES.get(name, ("",))]
    optimizers = [(name, words) for name in entries("optimizer") for words in OPTIMIZERS.get(name, ("",))]
    experiments = [name for name in entries("experiment") if name not in NOT_WITHOUT_FILES]
    on_cpu = "engine=cpu engine.threads=1 run.progress=none"
    small = f"{_train('')} {TWO_CLASSES} circuit.n_qubits=2 preprocess=angles"
    jobs = {
        "encodings": _gradients(_in_turn([*encodings, *MORE_ENCODINGS]), "ansatz.layers=2"),
        "ansatze": _gradients(_in_turn([*ansatze, *MORE_ANSATZE]), "encoding=angle"),
        "observables": _gradients([(o, w) for o in observables for w in ENGINES], "encoding=angle"),
        "modes": _gradients([*_modes(ENGINES[:2]), *_modes(ENGINES[2:3], (4,))], "study.rows=35"),
        "large": _gradients(_large(((10, 1), (14, 2), (18, 2)), ENGINES[:2]), "study.rows=3"),
        "losses": _trainings([f"loss={name} {words} circuit.n_qubits=4" for name, words in losses]),
        "optimizers": _trainings([f"optimizer={name} circuit.n_qubits=4 {words}" for name, words in optimizers]),
        "beginnings": _trainings(list(_beginnings())),
        "datasets": tuple(
            Command(f"gradient dataset={name} circuit.n_qubits=4 preprocess.pca=4 {words} study.output={name}.h5")
            if "pca_angles" in words
            else Command(f"gradient preprocess=angles dataset={name} circuit.n_qubits=4 {words} study.output={name}.h5")
            for name, words in datasets
            if name in DATASETS
        ),
        "experiments": tuple(
            Command(f"experiment={name} engine=cpu engine.threads=1 run.progress=none train.max_steps=3 train.epochs=1")
            for name in experiments
        ),
        "afterwards": tuple(_afterwards()),
        "sweep": (Command(f"-m hydra.sweep.dir=sweep {small} run.seed=0,1"),),
        "scans": tuple(
            Command(f"scan experiment={name} scan.draws=5 {on_cpu} {words}")
            for name, words in SCANS.items()
            if name in experiments
        ),
        "kernels": tuple(
            Command(f"kernel experiment=kernel_digits dataset.samples=700 {on_cpu} {words}")
            for words in ("", "kernel=projected kernel.fit=false", "encoding=angle engine.precision=complex128")
            if "kernel_digits" in experiments
        ),
        "stops": tuple(_stops()),
        "text": tuple(_text()),
    }
    some = _modes(("engine=cpu", "engine=cpu engine.precision=complex128"), (3, 7))[::2]
    some += [(e, "engine=cpu") for e in observables]
    cuda = ("engine=cuda", "engine=cuda engine.precision=complex128")
    emulated = _gradients(_modes(cuda, (2, 5)), "study.rows=20")
    emulated += _gradients(_large(((11, 1), (13, 1)), cuda), "study.rows=2", "large-")
    emulated += _gradients([(e, "engine=cuda") for e in (*encodings, *observables)], "study.rows=5", "more-")
    emulated += _trainings([f"engine=cuda optimizer={o} circuit.n_qubits=4" for o in ("adam", "lbfgs")])
    return [
        *(Job(name, tuple(commands)) for name, commands in jobs.items()),
        Job("avx2", _gradients(some, "study.rows=20"), {"QMLTRAIN_SIMD": "avx2"}),
        Job("baseline", _gradients(some, "study.rows=20"), {"QMLTRAIN_SIMD": "baseline"}),
        Job("cuda", emulated, emulator=True),
    ]


def _gradients(pairs: list[tuple[str, str]], more: str, prefix: str = "") -> tuple[Command, ...]:
    """The verb `gradient`, also of every sample alone; later words win, so what an entry needs comes last."""
    common = f"circuit.n_qubits=4 preprocess=angles engine.threads=1 study.per_sample=true {more}"
    return tuple(
        Command(f"gradient {_data(first)} {common} {engine} {first} study.output={prefix}{number:03}.h5")
        for number, (first, engine) in enumerate(pairs)
    )


def _data(words: str) -> str:
    """The usual data set, unless `words` choose another: options of one are refused by the other."""
    return "" if "dataset=" in words else BLOBS


def _in_turn(words: list[str]) -> list[tuple[str, str]]:
    """Each on the CPU engine in single precision, and on one of the others."""
    return [(w, engine) for n, w in enumerate(words) for engine in (ENGINES[0], ENGINES[1 + n % 3])]


def _modes(engines: tuple[str, ...], sizes: tuple[int, ...] = (1, 3, 7)) -> list[tuple[str, str]]:
    """Gradient modes, sizes, entanglers, without fusion, two threads."""
    found = []
    for engine in engines:
        for n in sizes:
            size = f"circuit.n_qubits={n} preprocess.pca={min(n, 4)} encoding=angle"
            ansatze = ("hea", "strongly_entangling") if n > 1 else ("hea",)
            circuits = [f"{size} ansatz={ansatz} ansatz.layers=5" for ansatz in ansatze]
            found += [(f"{circuit} {mode}", engine) for circuit in circuits for mode in MODES]
        if "cuda" in engine:
            found.append((f"{circuits[-1]} engine.fusion=false", engine))
        else:
            found.append((f"{circuits[-1]} engine.threads=2", engine))
    return found


def _large(sizes: tuple[tuple[int, int], ...], engines: tuple[str, ...]) -> list[tuple[str, str]]:
    """(qubits, threads) beyond the sizes of caches and tiles, where engines take other paths."""
    circuit = "encoding=angle study.per_sample=false ansatz={} ansatz.layers=2 circuit.n_qubits={} engine.threads={}"
    return [
        (circuit.format(ansatz, n, threads), engine)
        for n, threads in sizes
        for ansatz in ("hea", "strongly_entangling")
        for engine in engines
    ]


def _trainings(words: list[str]) -> tuple[Command, ...]:
    return tuple(Command(f"{_data(w)} preprocess=angles run.name=t{n:02} {_train(w)} {w}") for n, w in enumerate(words))


def _train(words: str) -> str:
    """A short training; a batch size is refused where all samples are taken, or there are none."""
    return TRAIN if "lbfgs" in words or "dataset=none" in words else f"{TRAIN} train.batch_size=17"


def _beginnings() -> Iterator[str]:
    """First parameters, freezing, early stopping, weights of classes, baselines, threads, what is stored."""
    common = "circuit.n_qubits=3 preprocess=pca_angles preprocess.pca=3 encoding=angle ansatz.layers=2"
    for name in ("zeros", "normal", "beta", "identity"):
        yield f"{common} train.initial={name}"
    yield f"{common} run.dir=shallow"
    yield f"{common} ansatz.layers=3 train.initial=from_run train.initial_run=shallow train.freeze=[0,1]"
    yield f"{common} train.freeze=[head,ansatz.1]"
    yield f"{common} train.epochs=6 train.patience=1 run.parameters_every=1 run.gradients=norms"
    yield f"{common} loss.class_weights=balanced dataset=wine"
    yield f"{common} loss.class_weights=[1,2,0.5] run.seed=7 run.seed_order=3"
    yield f"{common} dataset=wine train.perceptron=true ansatz.layers=6"
    for engine in (*ENGINES[2:], "engine=cpu engine.threads=2", "engine=cpu engine.precision=complex128"):
        yield f"{common} {engine}"


def _afterwards() -> Iterator[Command]:
    """What reads a run: evaluate with predictions, export, compare, collect, repeat."""
    common = f"{BLOBS} {_train('')} circuit.n_qubits=4 preprocess=angles engine=cpu"
    yield Command(f"{common} run.dir=runs/a")
    yield Command(f"{common} run.dir=runs/b run.seed=1")
    yield Command("evaluate runs/a --predictions own.csv")
    yield Command("evaluate runs/a --predictions own.npz engine.name=interpreter")
    yield Command("evaluate runs/a dataset=npz dataset.path=data.npz --predictions other.csv shots=100 seed=3")
    for name in ("qasm3", "pennylane", "qiskit"):
        yield Command(f"export runs/a --to {name} --output {name}.out")
    yield Command("compare runs/a runs/b")
    yield Command("collect runs --over run.seed --output collected.csv")
    yield Command("repeat runs/a run.dir=repeated")
    yield Command("resume runs/a")


def _stops() -> Iterator[Command]:
    """A kill while a snapshot takes its place, TERM at the same point, and going on."""
    common = f"{BLOBS} circuit.n_qubits=4 preprocess=angles engine=cpu"
    for optimizer, more in (("adam", "train.epochs=4"), ("lbfgs", "train.epochs=12 engine.threads=2")):
        for name, code in (("KILL", -9), ("TERM", 75)):
            words = f"{common} {_train(optimizer)} optimizer={optimizer} {more} run.save_every=3"
            words += f" run.dir={name}-{optimizer}"
            yield Command(words, code, (name, r"step-0*9\.snapshot"))
            yield Command(words)


def _text() -> Iterator[Command]:
    """What is printed: plans, drawings, configs, refusals."""
    for n, words in ((4, "encoding=angle"), (6, "encoding=none ansatz=strongly_entangling ansatz.layers=4")):
        for verb in ("circuit", "plan", "plan engine=cpu engine.threads=1", "--cfg job"):
            yield Command(f"{verb} engine.memory_gib=1 circuit.n_qubits={n} {BLOBS} preprocess=angles {words}")
    yield Command("plan engine.memory_gib=1 circuit.n_qubits=18 encoding=none ansatz.layers=20 engine=cpu")
    yield Command("--help")
    yield Command("evaluate --help")
    for words in ("ansatz.layers=0", "ansatz=none_such", "ansatz.layer=2", "loss=hinge", "engine.precision=single"):
        yield Command(words, 2)
