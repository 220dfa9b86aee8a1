"""What an exchange between ranks takes: median and quartiles of calls of Communicator.gather, on the first rank.

    mpirun -n 2 python scripts/bench/exchange.py [--messages] [--calls N]

A call brings a word of every rank and, in equal parts from all, so many numbers in all. Ranks of one node exchange
through memory; --messages: by messages of MPI, as between nodes.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from qmltrain.engines.ranks import share_of
from qmltrain.ranks.communicator import Communicator
from qmltrain.ranks.mpi import MPI, MpiTransport, open_ranks

NUMBERS = (0, 500, 60212)  # none; a small circuit; the gradient of the headline circuit


def seconds_of_calls(ranks: Communicator, n_numbers: int, calls: int) -> list[float]:
    """Seconds of each call, one after the other; all ranks begin together."""
    shares = [share_of(n_numbers, rank, ranks.size) for rank in range(ranks.size)]
    counts = [len(share) for share in shares]
    numbers, found = np.zeros(n_numbers), []
    for _ in range(calls):
        begun = time.perf_counter()
        ranks.gather(0, numbers, counts)
        found.append(time.perf_counter() - begun)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", action="store_true", help="by messages of MPI, on one node as well")
    parser.add_argument("--calls", type=int, default=2000)
    options = parser.parse_args()
    ranks = Communicator(MpiTransport(MPI.COMM_WORLD)) if options.messages else open_ranks(None)
    if ranks is None:
        parser.error("start two ranks or more: mpirun -n 2 python scripts/bench/exchange.py")
    for n_numbers in NUMBERS:
        seconds_of_calls(ranks, n_numbers, 50)  # the first ones fault their pages in
        quartiles = np.percentile(seconds_of_calls(ranks, n_numbers, options.calls), [25, 50, 75]) * 1e6
        if ranks.is_first:
            print("{:>6} numbers: {:.1f} us ({:.1f} to {:.1f})".format(n_numbers, *quartiles[[1, 0, 2]]), flush=True)


if __name__ == "__main__":
    main()
