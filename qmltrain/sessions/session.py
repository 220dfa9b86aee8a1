"""Session: one process's share of a run: train, evaluate what is held out, write everything, say how it went."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.cluster.signals import StopRequest
from qmltrain.config.identity import config_hash
from qmltrain.config.schema import CommandContext, Config
from qmltrain.config.storage import to_dict, to_yaml
from qmltrain.engines.protocol import FloatArray
from qmltrain.engines.ranks import samples_of
from qmltrain.errors import InputError, InterruptedRun, StorageError
from qmltrain.models.build import Compiled, group_options
from qmltrain.models.data_facts import data_arrays, data_lines
from qmltrain.models.problem import Problem, TrainingData
from qmltrain.models.stored import data_files
from qmltrain.models.stored_files import user_arrays, user_code
from qmltrain.registry import call_builder
from qmltrain.runs.attributes import collect_attributes
from qmltrain.runs.file_layout import FILE_NAME
from qmltrain.runs.metrics_log import format_lines
from qmltrain.runs.snapshots import SNAPSHOTS, Snapshot, SnapshotFolder
from qmltrain.runs.store import RunStore
from qmltrain.sessions.no_store import NoStore
from qmltrain.sessions.results import print_result
from qmltrain.sessions.together import Order, Together, rank_lines, same_parameters
from qmltrain.sessions.unread_options import check_unused
from qmltrain.training.array_steps import ArraySteps
from qmltrain.training.classical_baseline import baseline, hidden_units, perceptron
from qmltrain.training.freezing import frozen_parameters
from qmltrain.training.gradients import StepAbandoned
from qmltrain.training.metrics import metric_names, monitor_direction
from qmltrain.training.native_recipe import step_recipe
from qmltrain.training.native_steps import NativeSteps
from qmltrain.training.optimizer_protocol import FullBatchOptimizer, Optimizer
from qmltrain.training.optimizers import OPTIMIZERS
from qmltrain.training.progress import make_progress
from qmltrain.training.schedules import learning_rate_schedule
from qmltrain.training.span import Steps
from qmltrain.training.state import STEP_METRICS, TrainingPlan, TrainingState
from qmltrain.training.trainer import Trainer, split_metrics
from qmltrain.wording import one_line

OPTIMIZER_PREFIX = "optimizer/"


class Session:
    """One process's share of a run: builds the trainer around the run's files, drives it, closes them."""

    def __init__(
        self,
        config: Config,
        context: CommandContext,
        directory: Path,
        problem: Problem,
        compiled: Compiled,
        stop: StopRequest,
        ranks: Together | None = None,
    ) -> None:
        self.config, self.context, self.directory = config, context, directory
        self.problem, self.compiled, self.stop = problem, compiled, stop
        self.ranks = compiled.evaluator.ranks = ranks
        self._writes = ranks is None or ranks.is_first
        self.user_arrays = user_arrays(config)
        self._config_hash = config_hash(to_dict(config))
        self._best_is_another = False
        optimizer = config.optimizer
        self.optimizer = call_builder(
            OPTIMIZERS,
            "optimizer",
            optimizer.name,
            group_options(optimizer, "learning_rate", "clip_norm"),
            problem.model.n_parameters,
        )
        full_batch = isinstance(self.optimizer, FullBatchOptimizer)
        check_unused(config, full_batch=full_batch, has_data=problem.has_data)
        self.data = TrainingData(problem, full_batch)
        train = config.train
        total = train.epochs * self.data.n_batches
        total = total if train.max_steps is None else min(total, train.max_steps)
        schedule = config.schedule
        self.plan = TrainingPlan(
            epochs=train.epochs,
            total_steps=total,
            save_every=config.run.save_every,
            monitor=train.monitor if problem.has_data else train.monitor.replace("val/", "train/"),
            patience=train.patience,
            clip_norm=optimizer.clip_norm,
            learning_rate=learning_rate_schedule(
                schedule.name,
                optimizer.learning_rate,
                steps_per_epoch=self.data.n_batches,
                total_steps=total,
                warmup_steps=schedule.warmup_steps,
                **{k: v for k, v in group_options(schedule, "warmup_steps").items() if v is not None},
            ),
            parameters_each_epoch=config.run.parameters_every is None,
            frozen_P=frozen_parameters(problem.model, train.freeze),
            flat_window=train.flat_window,
        )
        # (not a method: steps that held the session would keep the data's files open until cycles are collected)
        self._stop_requested = lambda: stop.requested is not None
        self.steps = self._steps()
        if ranks is not None and not problem.data.is_cached:
            self.data.step_share, self.data.judged_share = self._shares(ranks)

    def check(self) -> None:
        """What can only be wrong in combination."""
        self._check_perceptron()
        loss = self.problem.model.loss
        monitor_direction(self.config.train.monitor, loss.n_classes, loss.supervised)
        if self.data.judged() is None and self.config.train.patience is not None:
            raise InputError("train.patience: early stopping needs a validation split; set dataset.validation above 0")

    def _check_perceptron(self) -> None:
        train, problem = self.config.train, self.problem
        if not train.perceptron:
            return
        if not (train.baseline and problem.has_data and len(problem.split.test)):
            raise InputError("train.perceptron: needs train.baseline=true and a test split to be compared on")
        n_outputs = problem.n_classes if problem.n_classes not in (None, 2) else 1
        hidden_units(problem.data.n_features, n_outputs or 1, problem.model.n_parameters)

    def start(self, theta_P: np.ndarray) -> int:
        """A new run."""
        layers, _ = self.problem.model.layers()
        run = self.config.run
        store = RunStore.create(
            self.directory,
            self._attributes(layers),
            metrics=STEP_METRICS,
            epoch_metrics=self._epoch_metrics(),
            n_steps=self.plan.total_steps,
            n_epochs=self._n_epochs,
            n_layers=len(layers),
            parameter_names=self.problem.model.parameter_names,
            gradients=run.gradients,
            gradients_every=run.gradients_every,
            parameters_every=run.parameters_every,
            arrays=data_arrays(self.problem),
            line_formatter=self.steps.format_lines or format_lines,
        )
        with store:
            store.write_parameters_row(0, theta_P)
            store.hold()
            return self._train(store, TrainingState(theta_P))

    def go_on(self, snapshot: Snapshot | None, theta_P: FloatArray | None = None) -> int:
        """From the last snapshot; a run that never wrote one begins again, from `theta_P`."""
        if snapshot is None:
            assert theta_P is not None
            state = TrainingState(theta_P)
        else:
            state = self._restored(snapshot)
        known = snapshot.state.get("rows") if snapshot else None  # snapshots of schema 1 do not know
        self._best_is_another = snapshot is not None and not self._best_belongs()
        formatter = self.steps.format_lines or format_lines
        with RunStore.reopen(
            self.directory, steps=state.step, epochs=state.epoch, known=known, line_formatter=formatter
        ) as store:
            self._check_layout(store)
            if snapshot is None:
                store.write_parameters_row(0, state.theta_P)
            store.hold()
            return self._train(store, state)

    def follow(self, order: Order) -> int:
        """The part of a rank that writes nothing."""
        if order.snapshot is not None:
            return self._train(NoStore(), self._restored(order.snapshot))
        assert order.theta_P is not None
        return self._train(NoStore(), TrainingState(order.theta_P))

    def _restored(self, snapshot: Snapshot) -> TrainingState:
        """The state that the snapshot has; the optimiser's is loaded."""
        prefix = OPTIMIZER_PREFIX
        self.optimizer.load_state(
            {k.removeprefix(prefix): v for k, v in snapshot.arrays.items() if k.startswith(prefix)}
        )
        return TrainingState.restore(snapshot.step, snapshot.epoch, snapshot.arrays, snapshot.state["training"])

    def _best_belongs(self) -> bool:
        """Whether the best snapshot is whole and of this run; if not it is written anew."""
        try:
            best = SnapshotFolder.reader(self.directory / SNAPSHOTS).load_best()
        except StorageError as error:
            warnings.warn(f"{error}; it is written anew", stacklevel=2)
            return False
        return best is None or best.state.get("config_hash", self._config_hash) == self._config_hash

    @property
    def _n_epochs(self) -> int:
        """The most there can be."""
        return min(self.plan.epochs, -(-self.plan.total_steps // self.data.n_batches))

    def _check_layout(self, store: RunStore) -> None:
        """Raise StorageError where the run file has other tables than this config makes: its config is damaged (what
        the hash in a snapshot says first, but in schema 1)."""
        expected = (self.plan.total_steps, self._n_epochs, self.problem.model.n_parameters)
        found = tuple(store.attributes[name] for name in ("n_steps", "n_epochs", "n_parameters"))
        if found != expected:
            raise StorageError(
                f"{store.path}: damaged: laid out for {found[0]} steps, {found[1]} epochs and {found[2]} parameters, "
                f"its config has {expected[0]}, {expected[1]} and {expected[2]}; restore it from a copy"
            )

    def _attributes(self, layers: tuple[str, ...]) -> dict[str, Any]:
        problem, seeds = self.problem, self.problem.seeds
        return {
            **collect_attributes(),
            "config_yaml": to_yaml(self.config),
            "overrides": list(self.context.overrides),
            "command_line": " ".join(self.context.command_line),
            "seeds": json.dumps({"split": seeds.split, "initial": seeds.initial, "order": seeds.order}),
            "device": self.compiled.selection.engine.describe(),
            "choices": json.dumps(self.compiled.choices()),
            "layer_names": list(layers),
            "observable_names": list(problem.model.observables.names),
            "class_names": [str(name) for name in problem.source.info.class_names],
            "dataset": problem.source.info.description,
            "dataset_checksum": problem.source.checksum,
            "preprocessing": problem.data.preprocessor.describe(),
            "data_files": json.dumps(data_files(self.config)),
            "user_code": json.dumps(user_code(self.config)),
            "step_rows": "before the update",
        }

    def _epoch_metrics(self) -> list[str]:
        loss = self.problem.model.loss
        names = ["train/loss"] if loss.n_classes is None else ["train/loss", "train/accuracy"]
        if len(self.problem.split.validation):
            names += [f"val/{name}" for name in metric_names(loss.n_classes, loss.supervised)]
        return names

    def _snapshot(self, state: TrainingState, store: RunStore) -> Snapshot:
        return Snapshot(
            state.step,
            state.epoch,
            {
                **state.arrays(),
                **{OPTIMIZER_PREFIX + name: value for name, value in self.optimizer.state().items()},
                **self.problem.preprocessing_state(),
                **self.user_arrays,
            },
            {
                "training": state.scalars(),
                "choices": self.compiled.choices(),
                "dataset_checksum": self.problem.source.checksum,
                "config_hash": self._config_hash,
                "rows": store.stored_rows(),
            },
        )

    def _steps(self) -> Steps:
        """The path that was chosen when the run began."""
        compiled, optimizer = self.compiled, self.optimizer
        steps = ArraySteps(compiled.evaluator, self.data, optimizer, self.plan, self._stop_requested)
        if compiled.training_step != "native":
            return steps
        assert isinstance(optimizer, Optimizer) and compiled.program.training_steps is not None
        recipe = step_recipe(self.problem.model, optimizer, self.plan)
        return NativeSteps(compiled.program.training_steps(recipe), recipe, steps, optimizer)

    def _shares(self, ranks: Together) -> tuple[Callable[[int], range], Callable[[int], range]]:
        """What this rank reads of a batch and of a chunk that is judged: its own samples, but of a batch that every
        rank computes."""
        rank, size, steps = ranks.rank, ranks.size, self.steps
        batches = set(np.diff(self.data.order.offsets).tolist())
        whole = {n for n in batches if isinstance(steps, NativeSteps) and steps.as_matrix(n)}

        def judged(n: int) -> range:
            return samples_of(n, rank, size)

        return lambda n: range(n) if n in whole else judged(n), judged

    def _train(self, store: RunStore | NoStore, state: TrainingState) -> int:
        run = self.config.run
        begun, first_step = time.monotonic(), state.step
        store.set_attributes(choices=self.compiled.choices())
        snapshots = SnapshotFolder(self.directory / SNAPSHOTS, run.keep) if self._writes else None

        def save(state: TrainingState) -> None:
            store.sync()
            if snapshots and isinstance(store, RunStore):
                snapshots.save(self._snapshot(state, store))

        def save_best(state: TrainingState) -> None:
            if snapshots and isinstance(store, RunStore):
                snapshots.save_best(self._snapshot(state, store))

        shown = run.progress if self._writes else "none"
        progress = make_progress(shown, self.plan.total_steps, state.step, run.log_seconds)  # type: ignore[arg-type]
        trainer = Trainer(
            self.compiled.evaluator,
            self.data,
            self.steps,
            self.plan,
            store,
            save,
            save_best,
            self._stop_requested,
            progress,
            self.problem.unscale,
            [] if self.ranks is None else [same_parameters(self.ranks)],
            best_waits=self._best_is_another,
        )
        try:
            for line in data_lines(self.problem):
                progress.message(line)
            progress.message(f"run {self.directory / FILE_NAME}: {self.compiled.selection.reason}")
            if self.ranks is not None:
                whole = isinstance(self.steps, NativeSteps) and self.steps.as_matrix(self.problem.samples_of_step)
                has_data = self.problem.has_data
                for line in rank_lines(self.ranks, self.problem.samples_of_step, whole=whole, has_data=has_data):
                    progress.message(line)
            state = trainer.run(state)
            seconds = time.monotonic() - begun  # of the training: classical baselines may take longer
            summary = self._finish(trainer, store, state)
            store.set_attributes(
                finished=state.finished,
                summary=summary,
                session_seconds=seconds,
                session_steps=state.step - first_step,
            )
            store.close()
        except StepAbandoned:
            store.close("interrupted")
            by = self.stop.requested or "a signal to another rank"
            raise InterruptedRun(
                f"stopped by {by} after step {state.step}, snapshot saved in {self.directory}; "
                "run the same command again to go on"
            ) from None
        except StorageError:
            store.abandon()
            raise
        except Exception:
            store.close("failed")
            raise
        finally:
            progress.close()
        if self._writes:
            print_result(self.directory)
        return 0

    def _finish(self, trainer: Trainer, store: RunStore | NoStore, state: TrainingState) -> dict[str, float]:
        """Evaluate the best parameters on validation and test; the test split is looked at here and nowhere else."""
        problem = self.problem
        best_P = state.theta_P if state.best_theta_P is None else state.best_theta_P
        store.write_parameters_row(state.step, state.theta_P)
        store.flush()
        summary: dict[str, float] = {"best_epoch": state.best_epoch}
        for split, rows in problem.held_out():
            outputs_BC, targets_B = trainer.outputs(best_P, problem.stream(rows, self.data.judged_share))
            summary |= split_metrics(problem.model.loss_at(best_P), split, outputs_BC, targets_B, problem.unscale)
            predictions_B, scores_BC = problem.model.loss.predict(outputs_BC)
            if problem.n_classes is None:
                predictions_B = problem.unscale(predictions_B)
                targets_B = problem.unscale(np.asarray(targets_B, dtype=np.float64))
            store.write_evaluation(split, rows, targets_B, predictions_B, scores_BC)
        if not self._writes:
            return summary
        if self.config.train.baseline and problem.model.loss.supervised and len(problem.split.test):
            if problem.data.is_cached:
                summary |= self._baselines(problem)
            else:
                trainer.progress.message("no baseline: the features do not fit into memory at once")
        return {name: float(value) for name, value in summary.items()}

    def _baselines(self, problem: Problem) -> dict[str, float]:
        """Metrics of the classical models; one that cannot be fitted is a warning, since the training is done."""
        data, rows = problem.data, problem.split
        targets: list[np.ndarray] = [np.asarray(data.labels(part)) for part in (rows.train, rows.test)]
        if problem.n_classes is None:
            targets = [problem.unscale(part.astype(np.float64)) for part in targets]
        samples = data.features(rows.train), targets[0], data.features(rows.test), targets[1], problem.n_classes
        models: dict[str, Callable[[], dict[str, float]]] = {"baseline": lambda: baseline(*samples)}
        if self.config.train.perceptron:
            models["perceptron"] = lambda: perceptron(*samples, problem.model.n_parameters)
        metrics: dict[str, float] = {}
        for kind, fit in models.items():
            try:
                metrics |= {f"{kind}/{name}": value for name, value in fit().items()}
            except Exception as error:  # whatever scikit-learn raises
                reason = one_line(error).partition(". ")[0][:200] or type(error).__name__
                warnings.warn(f"train.{kind}: could not be fitted ({reason}); the run ends without it", stacklevel=2)
        return metrics
