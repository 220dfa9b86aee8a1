// How the samples of a chunk are grouped: blocks of 16, units that fit the lanes, bundles of units side by side.
#pragma once

namespace qmltrain {

constexpr int kMostBundled = 16;

// Samples that go through the lanes together; `index`: the row that its gradient sums are added to.
struct Unit { int index, block, first, count; };

// Units of one layout whose states are stored one after the other.
struct Bundle {
  int index, lane_bits, count;
  Unit unit[kMostBundled];
};

// One of `count` shares of the rows that a call works on.
struct Share { int index = 0, count = 1; };

}  // namespace qmltrain
