// LaneFrame: the permutation in which the lanes of each row are kept, linear over GF(2), so that CX costs few shuffles.
//
// Where CX has made masks of many bits, most rotations pair amplitudes of different rows *and* different lanes, and
// every row would have to be permuted when it is loaded and again when it is stored. So the lanes of row r are kept
// permuted:
//
//     lane' = lane ^ A r,   A linear over GF(2), changed while a diagonal stage visits the rows anyway.
//
// A mask of pairs (r, l) becomes (r, l ^ A r), a mask of parities (f, g) becomes (f ^ A^T g, g). A has room for as many
// masks as there are row bits: of n independent masks, all but the number of lane bits come to lie within the rows.
#pragma once
#include <vector>

#include "plan.hpp"

namespace qmltrain {

class LaneFrame {
 public:
  LaneFrame() = default;
  LaneFrame(int lane_bits, int row_bits) : lane_bits_(lane_bits), columns_(std::size_t(row_bits), 0) {}

  Mask lanes(Mask row) const {  // A row
    Mask lane = 0;
    for (std::size_t i = 0; i < columns_.size(); i++)
      if (row >> i & 1) lane ^= columns_[i];
    return lane;
  }
  Mask pair(Mask m) const { return m ^ lanes(m >> lane_bits_); }
  Mask parity(Mask f) const {
    const Mask lane = f & ((Mask(1) << lane_bits_) - 1);
    for (std::size_t i = 0; i < columns_.size(); i++)
      f ^= Mask(parity_of(columns_[i] & lane)) << (std::size_t(lane_bits_) + i);
    return f;
  }

  // Of masks given in the frame A = 0: those that pair different rows and lanes.
  int across(const std::vector<Mask>& pairs) const {
    int n = 0;
    for (Mask m : pairs) n += m >> lane_bits_ && (pair(m) & ((Mask(1) << lane_bits_) - 1));
    return n;
  }

  // The frame in which as many of these masks as possible lie within the rows; elsewhere as this one.
  LaneFrame for_pairs(const std::vector<Mask>& pairs) const {
    std::vector<Mask> reduced;  // (row, lane) with A row = lane, reduced by the highest bit of the row
    auto top = [&](Mask m) { return 63 - __builtin_clzll(m >> lane_bits_) + lane_bits_; };
    for (Mask m : pairs) {
      for (Mask r : reduced)
        if (m >> top(r) & 1) m ^= r;
      if (!(m >> lane_bits_)) continue;
      for (Mask& r : reduced)
        if (r >> top(m) & 1) r ^= m;
      reduced.push_back(m);
    }
    LaneFrame next = *this;
    for (Mask r : reduced) next.columns_[std::size_t(top(r) - lane_bits_)] = 0;
    const Mask lanes = (Mask(1) << lane_bits_) - 1;
    for (Mask r : reduced) next.columns_[std::size_t(top(r) - lane_bits_)] = next.pair(r) & lanes;
    return next;
  }

  // From this frame to another.
  LaneFrame to(const LaneFrame& next) const {
    LaneFrame change = *this;
    for (std::size_t i = 0; i < columns_.size(); i++) change.columns_[i] ^= next.columns_[i];
    return change;
  }

 private:
  int lane_bits_ = 0;
  std::vector<Mask> columns_;  // of A: the lanes of each row bit
};

}  // namespace qmltrain
