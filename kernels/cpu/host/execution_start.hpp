// Execution: the states that forward starts from.
#pragma once
#include "execution.hpp"

namespace qmltrain {

// The encoded input, or the product state that the first rotations make of |0...0>.
template <class Real> void Execution<Real>::write_initial(int u, char* state) {
  const Unit& unit = bundle.unit[u];
  if (!shape.start.empty()) return write_start(u, state);
  if (inputs.initial) {
    // Samples lie a power of two apart, where a few of them fill a set of the first cache: a line of each at a time.
    constexpr std::size_t kLine = 64 / sizeof(double);
    const std::size_t low = (std::size_t(1) << lane_bits) - 1;
    Real* row[kLine];
    for (std::size_t first = 0; first < rows; first += kLine) {
      const std::size_t n = std::min(kLine, rows - first);
      for (std::size_t j = 0; j < n; j++) {
        row[j] = reinterpret_cast<Real*>(state + shape.spread.row(first + j) * row_bytes);
        if (context.planes == 2) std::fill_n(row[j] + lanes, lanes, Real(0));
      }
      for (std::size_t lane = 0; lane < lanes; lane++) {
        const std::size_t sample = std::size_t(sample_of_lane(unit, lane) - inputs.first);
        const double* of_sample = inputs.initial + (sample << shape.n_qubits) + (first << lane_bits) + (lane & low);
        for (std::size_t j = 0; j < n; j++) row[j][lane] = Real(of_sample[j << lane_bits]);
      }
    }
    return;
  }
  Real* first = reinterpret_cast<Real*>(state);
  for (std::size_t lane = 0; lane < lanes; lane++) {
    first[lane] = lane & ((std::size_t(1) << lane_bits) - 1) ? Real(0) : Real(1);
    if (context.planes == 2) first[lanes + lane] = 0;
  }
  alignas(64) Real cosine[kMaxLanes], sine[kMaxLanes];
  std::size_t n_rows = 1;
  std::vector<std::size_t> support;
  bool cleared = false;
  for (int m : shape.initial) {  // rotations within the rows come first
    load_initial(u, m, cosine, sine);
    const Mask pair = shape.rotations[m].pair;
    const std::size_t mask = shape.spread.row(shape.row_of(pair)), exchange = std::size_t(shape.lane_of(pair));
    if (!mask) {
      rotate_first(m, cosine, sine, first);
      continue;
    }
    if (shape.plain_initial) {
      kernels.product(state, n_rows, mask, cosine, sine);
      n_rows *= 2;
      continue;
    }
    if (!cleared) {
      std::memset(state + row_bytes, 0, (rows - 1) * row_bytes);
      support.push_back(0);
      cleared = true;
    }
    const std::size_t count = support.size();
    for (std::size_t i = 0; i < count; i++) {
      Real* p = reinterpret_cast<Real*>(state + support[i] * row_bytes);
      Real* q = reinterpret_cast<Real*>(state + (support[i] ^ mask) * row_bytes);
      for (std::size_t lane = 0; lane < lanes; lane++) q[lane] = sine[lane ^ exchange] * p[lane ^ exchange];
      for (std::size_t lane = 0; lane < lanes; lane++) p[lane] *= cosine[lane];
      support.push_back(support[i] ^ mask);
    }
  }
  if (!cleared && n_rows < rows) std::memset(state + n_rows * row_bytes, 0, (rows - n_rows) * row_bytes);
}

// Cosine and sine (a lane each) of an initial rotation, for unit u.
template <class Real>
void Execution<Real>::load_initial(int u, int rotation, Real* cosine, Real* sine) const {
  const ShapeRotation& r = shape.rotations[std::size_t(rotation)];
  const Real* of_unit = cos_sin + cos_sin_stride * std::size_t(u);
  const Real* of_rotation = of_unit + 2 * lanes * std::size_t(std::max(r.sample_index, 0));
  for (std::size_t i = 0; i < lanes; i++) {
    if (r.sample_index >= 0) cosine[i] = of_rotation[i], sine[i] = of_rotation[lanes + i];
    else cosine[i] = Real(context.gate_runs.cosine[r.gate_run]), sine[i] = Real(context.gate_runs.sine[r.gate_run]);
    if (r.flip) sine[i] = -sine[i];
  }
}

// An initial rotation within the lanes, of the first row.
template <class Real>
void Execution<Real>::rotate_first(int rotation, const Real* cosine, const Real* sine, Real* first) const {
  const std::size_t exchange = std::size_t(shape.lane_of(shape.rotations[std::size_t(rotation)].pair));
  Real next[kMaxLanes];
  for (std::size_t i = 0; i < lanes; i++) next[i] = cosine[i] * first[i] + sine[i ^ exchange] * first[i ^ exchange];
  std::copy(next, next + lanes, first);
}

// What Kernels::product_distances takes of unit u, into worker.observe: the first row, cosines and sines of the rows'
// bits. False where the start is no such product over all rows.
template <class Real> bool Execution<Real>::initial_product(int u) {
  if (inputs.initial || !shape.plain_initial || shape.row_bits > kMostProductBits || shape.spread.on()) return false;
  const std::size_t vectors = 1 + 2 * std::size_t(shape.row_bits) + product_scratch(shape.row_bits);
  worker.observe.reserve(vectors * lanes * sizeof(Real) + 64);
  Real *first = worker.observe.template as<Real>(), *factors = first + lanes;
  for (std::size_t lane = 0; lane < lanes; lane++)
    first[lane] = lane & ((std::size_t(1) << lane_bits) - 1) ? Real(0) : Real(1);
  int bit = 0;
  for (int m : shape.initial) {
    Real *cosine = factors + 2 * lanes * std::size_t(bit), *sine = cosine + lanes;
    if (shape.row_of(shape.rotations[std::size_t(m)].pair)) {
      load_initial(u, m, cosine, sine);
      bit++;
    } else {
      alignas(64) Real c[kMaxLanes], s[kMaxLanes];
      load_initial(u, m, c, s);
      rotate_first(m, c, s, first);
    }
  }
  return bit == shape.row_bits;
}

}  // namespace qmltrain
