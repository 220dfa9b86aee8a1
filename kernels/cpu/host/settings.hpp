// Settings: what is fixed for the life of an engine. Chosen in Python (qmltrain/engines/cpu/setting.py), where plans
// are scheduled and memory is forecast; no size is chosen twice.
#pragma once
#include <cstddef>

namespace qmltrain {

constexpr int kBlock = 16;  // samples of a block, the unit of gradient sums: BLOCK of qmltrain/engines/protocol.py

// Where backward takes psi from.
enum class Mode {
  kKeep,        // psi after every set of rotations was kept
  kReversible,  // psi is un-applied
  kCheckpoint,  // psi is recomputed from checkpoints, a segment at a time
};

struct Settings {
  Mode mode;
  int interval;             // moments from checkpoint to checkpoint; 0: none
  int threads;
  bool fusion;              // else every gate run and every diagonal has a pass of its own, for comparison
  int share_row_bits;       // rows of a share of a long state, at least kLowBits
  std::size_t table_bytes;  // most that whole tables of diagonals take (DiagonalShape::whole_table)
  bool own_matrix;          // native steps decide by themselves about the shared part as one matrix (shared_matrix.hpp)
};

}  // namespace qmltrain
