// Execution: final states, as amplitudes in the order of basis states.
//
// Basis state i lies at the plan's address r(i) = start ^ (masks[q] of every bit q of i), in the lane frame at f(r(i)).
// With psi = scale X^F Z^G s (kernels/README.md) its amplitude is, up to a phase of the whole state,
//
//     psi_i = scale (-1)^parity(a & G) s_a,   a = f(r(i)) ^ F,
//
// and f and r are linear over GF(2), so a is one mask for each bit of i.
#pragma once
#include "execution.hpp"

namespace qmltrain {

// states: (B, N).
template <class Real> void Execution<Real>::read_states(const Readout& readout, std::complex<Real>* states) const {
  // Samples lie a power of two apart, where a few of them fill a set of the first cache: a line of each at a time.
  constexpr std::size_t kLine = 64 / sizeof(std::complex<Real>);
  const std::size_t size = std::size_t(1) << shape.n_qubits, together = std::min(kLine, size);
  const Mask first = shape.lane_frame.pair(readout.start) ^ prepared.final_flips;
  std::vector<Mask> masks;
  for (Mask mask : readout.masks) masks.push_back(shape.lane_frame.pair(mask));
  const auto stored_at = [&](std::size_t i) {
    Mask a = first;
    for (std::size_t q = 0; i >> q; q++)
      if (i >> q & 1) a ^= masks[q];
    return a;
  };
  const Real scale = Real(prepared.final_scale);
  for (std::size_t begin = 0; begin < size; begin += together) {
    std::size_t row[kLine], lane[kLine];
    Real factor[kLine];
    for (std::size_t j = 0; j < together; j++) {
      const Mask a = stored_at(begin + j);
      row[j] = shape.spread.row(shape.row_of(a)) * row_bytes, lane[j] = std::size_t(shape.lane_of(a));
      factor[j] = parity_of(a & prepared.final_signs) ? -scale : scale;
    }
    for (std::size_t u = 0; u < std::size_t(units); u++) {
      const Unit& unit = bundle.unit[u];
      const char* state = stored(prepared.stored_states() - 1) + psi_stride * u;
      std::complex<Real>* to = states + std::size_t(unit.first - inputs.first) * size + begin;
      for (std::size_t sample = 0; sample < std::size_t(unit.count); sample++, to += size)
        for (std::size_t j = 0; j < together; j++) {
          const Real* at = reinterpret_cast<const Real*>(state + row[j]) + (sample << lane_bits) + lane[j];
          to[j] = {factor[j] * at[0], context.planes == 2 ? factor[j] * at[lanes] : Real(0)};
        }
    }
    if (!(begin & 0xffff)) check(&worker == &context.workers[0]);
  }
}

}  // namespace qmltrain
