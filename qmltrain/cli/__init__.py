"""The command `qmltrain`: words in, one verb run, one exit code out.

Exit codes: 0 done, 1 error, 2 bad config or input, 75 stopped by a signal after a snapshot, 130 interrupted.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
import traceback
from contextlib import AbstractContextManager, nullcontext

from qmltrain import __version__
from qmltrain.cli import dispatch
from qmltrain.cli.arguments import Arguments, parse_arguments
from qmltrain.cli.call import flag_options, path_arguments
from qmltrain.cli.composing import compose_config, composed_yaml
from qmltrain.cli.experiment_options import without_unused
from qmltrain.cli.grids import compose_grid, first_point
from qmltrain.cli.help import help_text, verb_help
from qmltrain.cli.launched import Launched
from qmltrain.cli.streams import prepare_streams
from qmltrain.cli.sweeping import run_sweep
from qmltrain.cli.verb import Takes, Verb
from qmltrain.cluster.signals import FROM_THE_START, SCHEDULER_SIGNALS, WHILE_IMPORTING, StopRequest
from qmltrain.config.schema import CommandContext
from qmltrain.errors import EXIT_DONE, InputError, QmltrainError
from qmltrain.shipped_files import configs_directory

EXIT_KEYBOARD = 130


def main(argv: list[str] | None = None) -> int:
    """Run one command; the only place where errors become messages. Returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    prepare_streams()
    verbose = "-v" in argv or "--verbose" in argv
    launched = Launched(argv)
    try:
        WHILE_IMPORTING.give_up()
        code = _run(parse_arguments(argv), ["qmltrain", *argv], launched)
        sys.stdout.flush()
        launched.leave()
        return code
    except SystemExit as stop:  # of a user's code
        if launched.ranks is None:
            raise
        error = QmltrainError(f"the process was ended by sys.exit({stop.code})")
        code, message = launched.fail(error, *dispatch.describe_error(error))
        launched.say_last(code, message)
        return code
    except KeyboardInterrupt:
        with _interrupted_once():
            if launched.speaks:
                print("qmltrain: interrupted", file=sys.stderr, flush=True)
            launched.abort(EXIT_KEYBOARD)
        return EXIT_KEYBOARD
    except Exception as error:
        if verbose:
            traceback.print_exc()
        with _interrupted_once():
            code, message = launched.fail(error, *dispatch.describe_error(error))
            launched.say_last(code, message)
        return code


def _interrupted_once() -> AbstractContextManager[object]:
    """Around what ends the command anyway: a Ctrl-C changes nothing, a second one leaves at once."""
    in_main = threading.current_thread() is threading.main_thread()
    return StopRequest((signal.SIGINT,), speaks=False) if in_main else nullcontext()


def _run(arguments: Arguments, command_line: list[str], launched: Launched) -> int:
    if arguments.help or arguments.version or arguments.show:
        launched.alone()
    if arguments.help:
        sys.stdout.write(verb_help(arguments.verb) if arguments.verb else help_text(configs_directory()))
        return EXIT_DONE
    if arguments.version:
        print(f"qmltrain {__version__}")
        return EXIT_DONE
    verb = arguments.verb
    assert verb is not None, "asked for by name or by default"
    if not arguments.show:
        launched.check(verb)
    _find_modules_here()
    listens = verb.trains or verb.listens
    if not listens:
        FROM_THE_START.give_up()
    # from the first moment: importing takes seconds on a cluster, and a job that is preempted then must end with 75 too
    with StopRequest(SCHEDULER_SIGNALS) if listens else nullcontext():
        run = _run_on_config if verb.takes is Takes.CONFIG else _run_on_paths
        return run(verb, arguments, command_line, launched)


def _run_on_paths(verb: Verb, arguments: Arguments, command_line: list[str], launched: Launched) -> int:
    paths, options, overrides = path_arguments(verb, arguments.words, arguments.flags)
    context = CommandContext(command_line, overrides, arguments.verbose, launched.open(None) if verb.ranks else None)
    return dispatch.verb_function(verb.name)(*paths, context, **options) or EXIT_DONE


def _run_on_config(verb: Verb, arguments: Arguments, command_line: list[str], launched: Launched) -> int:
    words, directory = arguments.words, arguments.config_directory
    context = CommandContext(command_line, words, arguments.verbose)
    if arguments.show:
        words = first_point(words, directory) if verb.grid else words
        sys.stdout.write(composed_yaml(words, arguments.show, directory))
        return EXIT_DONE
    options = flag_options(verb, arguments.flags)
    if verb.grid:
        grid = compose_grid(words, directory)
        if verb.ranks:
            setting: str = grid.points[0].settle(lambda config: config.run.mpi)
            context = dataclasses.replace(context, ranks=launched.open(setting))
        return dispatch.verb_function(verb.name)(grid, context, **options) or EXIT_DONE
    config = None if arguments.multirun else compose_config(words, directory, validated=False)
    if config is None:  # a sweep, by -m or because the config asks for one
        launched.check(verb, sweep=True)
        return run_sweep(verb, options, context, directory)
    if verb.ranks:
        context = dataclasses.replace(context, ranks=launched.open(config.run.mpi))
    run = dispatch.verb_function(verb.name)
    return without_unused(config, words, directory, lambda config: run(config, context, **options)) or EXIT_DONE


def _find_modules_here() -> None:
    """A user's module beside them is found, as with `python -m`; last, so that it hides nothing."""
    try:
        here = os.getcwd()
    except FileNotFoundError:
        raise InputError("the directory that this runs in is no longer there; change to another") from None
    if here not in sys.path:
        sys.path.append(here)
