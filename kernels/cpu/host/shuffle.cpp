// PCG XSL RR 128/64 (O'Neill, HMC-CS-2014-0905) and the shuffle of Fisher and Yates as NumPy makes it:
//
//   for i = n - 1, ..., 1: swap row i with row j, j uniform among 0, ..., i
//
// j is the low bits of a number of 32 bits, as many as i has, drawn again until it is at most i. More than a quarter of
// the draws are refused (half of those for an i just above a power of two), and no processor can guess which: a branch
// on that is most of NumPy's time. Here a refused draw swaps row i with itself, and i stays.
#include "shuffle.hpp"

namespace qmltrain {

namespace {

__extension__ typedef unsigned __int128 Wide;

class Pcg64 {
 public:
  explicit Pcg64(const Pcg64State& from)
      : state_(wide(from.state)), increment_(wide(from.increment)) {}

  // Of each number of 64 bits the lower half first.
  std::uint32_t next() {
    if (half_) {
      half_ = false;
      return std::uint32_t(word_ >> 32);
    }
    const Wide multiplier = Wide(0x2360ed051fc65da4) << 64 | 0x4385df649fccf645;
    state_ = state_ * multiplier + increment_;
    const std::uint64_t folded = std::uint64_t(state_ >> 64) ^ std::uint64_t(state_);
    const unsigned turn = unsigned(state_ >> 122);
    word_ = folded >> turn | folded << (-turn & 63);
    half_ = true;
    return std::uint32_t(word_);
  }

 private:
  static Wide wide(const std::uint64_t (&halves)[2]) { return Wide(halves[0]) << 64 | halves[1]; }
  Wide state_, increment_;
  std::uint64_t word_ = 0;
  bool half_ = false;
};

}  // namespace

void shuffle(const Pcg64State& generator, std::int64_t* rows, std::size_t n) {
  if (n < 2) return;
  Pcg64 numbers(generator);
  std::size_t i = n - 1;
  while (i > 0) {
    const std::size_t low = std::size_t(1) << (63 - __builtin_clzll(i));  // as many bits from here on
    const std::uint32_t mask = std::uint32_t(2 * low - 1);
    while (i >= low) {
      const std::uint32_t drawn = numbers.next() & mask;
      const bool taken = drawn <= i;
      const std::size_t j = taken ? drawn : i;
      const std::int64_t row = rows[i];
      rows[i] = rows[j], rows[j] = row;
      i -= taken;
    }
  }
}

}  // namespace qmltrain
