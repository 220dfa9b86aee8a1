// Settings: what is fixed for the life of an engine.
#pragma once

namespace qmltrain {

constexpr int kBlock = 16;         // samples of a block, the unit of gradient sums
constexpr int kShareRowBits = 10;  // rows of a share of a long state: enough work for a thread to be called to it

// Where backward takes psi from.
enum class Mode {
  kKeep,        // psi after every set of rotations was kept
  kReversible,  // psi is un-applied
  kCheckpoint,  // psi is recomputed from checkpoints, a segment at a time
};

struct Settings {
  Mode mode;
  int interval;  // moments from checkpoint to checkpoint; 0: none
  int threads;
  bool fusion;   // else every gate run and every diagonal has a pass of its own, for comparison
  int share_row_bits = kShareRowBits;
};

}  // namespace qmltrain
