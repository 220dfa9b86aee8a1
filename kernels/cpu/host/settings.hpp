// Settings: what is fixed for the life of an engine.
#pragma once

namespace qmltrain {

constexpr int kBlock = 16;         // samples of a block, the unit of gradient sums
constexpr int kShareRowBits = 10;  // rows of a share of a long state: enough work for a thread to be called to it

enum class Mode { kKeep, kReversible, kCheckpoint };

struct Settings {
  Mode mode;
  int interval;      // steps; 0: none
  int threads;
  bool fusion;
  int share_row_bits = kShareRowBits;
};

}  // namespace qmltrain
