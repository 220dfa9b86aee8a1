// CacheSpread: where the rows of a tiled state lie.
//
// A tile's rows differ in a few high address bits, which would put them all on the same few sets of the caches; so row
// r lies at r ^ (r >> 5) ^ (r >> 10) ^ ... The map is linear over GF(2): XORs of offsets stay XORs of offsets. Masks of
// pairs go along with it, masks of parities against it.
#pragma once
#include "plan.hpp"

namespace qmltrain {

class CacheSpread {
 public:
  CacheSpread() = default;
  CacheSpread(int lane_bits, int row_bits) : lane_bits_(lane_bits), row_bits_(row_bits), on_(true) {}
  bool on() const { return on_; }
  Mask row(Mask r) const {
    if (on_)
      for (Mask moved = r >> kStep; moved; moved >>= kStep) r ^= moved;
    return r;
  }
  Mask pair(Mask m) const { return row(m >> lane_bits_) << lane_bits_ | (m & low()); }
  Mask parity(Mask m) const {  // parity(f & r) = parity(f' & row(r)), since r = row(r) ^ (row(r) >> 5)
    if (!on_) return m;
    const Mask f = m >> lane_bits_, all = (Mask(1) << row_bits_) - 1;
    return (f ^ (f << kStep & all)) << lane_bits_ | (m & low());
  }

 private:
  static constexpr int kStep = 5;  // 32 rows of 128 bytes: a page, and the sets of a first cache
  Mask low() const { return (Mask(1) << lane_bits_) - 1; }
  int lane_bits_ = 0, row_bits_ = 0;
  bool on_ = false;
};

}  // namespace qmltrain
