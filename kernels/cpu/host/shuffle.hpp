// The order of samples: NumPy's Generator(PCG64).permutation, the same rows; many of them in a quarter of the time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qmltrain {

// State and increment of a PCG64 that nothing has been drawn from: 128 bits each, the upper half first.
struct Pcg64State { std::uint64_t state[2], increment[2]; };

// Shuffles n <= 2^32 rows in place.
void shuffle(const Pcg64State& generator, std::int64_t* rows, std::size_t n);

}  // namespace qmltrain
