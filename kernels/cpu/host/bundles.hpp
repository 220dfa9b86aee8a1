// How samples of a chunk are grouped: blocks of kBlock by index, units that fit the lanes, bundles of units.
#pragma once

namespace qmltrain {

constexpr int kMostBundled = 16;

// Samples `first` to `first + count` of block `block`, in the lanes together; its gradient sums are added to row
// `index`.
struct Unit { int index, block, first, count; };

// Units of one shape whose states are stored one after the other.
struct Bundle {
  int index, lane_bits, count;
  Unit unit[kMostBundled];
};

}  // namespace qmltrain
