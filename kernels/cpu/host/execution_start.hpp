// Execution: what forward starts from: per-sample angles and initial states.
#pragma once
#include "execution.hpp"

namespace qmltrain {

template <class Real> void Execution<Real>::load_angles() {
  if (!shape.start.empty()) load_start();
  n_sample_rotations = shape.sample_angles().size(), n_sample_terms = 0;
  cos_sin_stride = 2 * lanes * n_sample_rotations;
  for (const DiagonalStage& stage : shape.stages) n_sample_terms += stage.diagonal.sample_terms.size();
  if (!n_sample_rotations && !n_sample_terms) return;
  const std::size_t reals = lanes * (4 * n_sample_rotations + n_sample_terms) * std::size_t(units);
  const std::size_t half_angles = (lanes >> lane_bits) * n_sample_rotations + lanes;  // and as many cosines and sines
  worker.unit_angles.reserve(reals * sizeof(Real) + 128 + (8 + 2 * sizeof(Real)) * half_angles);
  const std::size_t numbers = cos_sin_stride * std::size_t(units);
  cos_sin = worker.unit_angles.template as<Real>();
  lane_cos_sin = cos_sin + numbers;
  term_angles = reinterpret_cast<IntegerAngle<Real>*>(lane_cos_sin + numbers);
  for (int u = 0; u < units; u++) load_angles(u);
}

template <class Real> void Execution<Real>::load_angles(int u) {
  const Unit& unit = bundle.unit[u];
  const auto& angles = shape.sample_angles();
  const std::size_t n_slots = std::size_t(context.plan.n_per_sample);
  const std::size_t of_unit = cos_sin_stride * std::size_t(u);
  Real *rotations = cos_sin + of_unit, *lane_rotations = lane_cos_sin + of_unit;
  if (n_sample_rotations) {
    // vectors of half angles, [rotation][sample]; where qubits lie in the lanes, what comes of them is spread over the
    // lanes afterwards
    const std::size_t samples = lanes >> lane_bits, vectors = (n_sample_rotations * samples + lanes - 1) / lanes;
    IntegerAngle<Real>* end = term_angles + lanes * n_sample_terms * std::size_t(units);
    double* half = reinterpret_cast<double*>((reinterpret_cast<std::uintptr_t>(end) + 63) & ~std::uintptr_t(63));
    Real* packed = lane_bits ? reinterpret_cast<Real*>(half + lanes * vectors) : rotations;
    const double* values = inputs.per_sample + std::size_t(unit.first - inputs.first) * n_slots;
    for (std::size_t i = 0; i < n_sample_rotations; i++) {
      const AngleData& angle = angles[i];
      for (std::size_t sample = 0; sample < samples; sample++) {
        const std::size_t row = std::min(sample, std::size_t(unit.count) - 1);
        const double value = values[row * n_slots + std::size_t(angle.slot)];
        half[i * samples + sample] = 0.5 * (angle.coefficient * value + angle.offset);
      }
    }
    std::fill(half + n_sample_rotations * samples, half + lanes * vectors, 0.0);
    kernels.cos_sin(vectors, half, packed);
    for (std::size_t i = 0; lane_bits && i < n_sample_rotations; i++)
      for (std::size_t lane = 0; lane < lanes; lane++) {
        const std::size_t at = i * samples + (lane >> lane_bits), from = at / lanes * 2 * lanes + at % lanes;
        rotations[2 * i * lanes + lane] = packed[from];
        rotations[(2 * i + 1) * lanes + lane] = packed[from + lanes];
      }
  }
  for (const DiagonalStage& stage : shape.stages)
    for (const LaneRotationShape& l : stage.lanes) {
      const ShapeRotation& r = shape.rotations[l.rotation];
      if (r.sample_index < 0) continue;
      const Real* from = rotations + 2 * std::size_t(r.sample_index) * lanes;
      Real* to = lane_rotations + 2 * std::size_t(r.sample_index) * lanes;
      for (std::size_t i = 0; i < lanes; i++) {
        to[i] = from[i];
        const Real sine = parity_of(i & Mask(l.lane_parity)) ? from[lanes + i] : -from[lanes + i];
        to[lanes + i] = sine * prepared.tangent[l.rotation];
      }
    }
  IntegerAngle<Real>* to = term_angles + lanes * n_sample_terms * std::size_t(u);
  for (std::size_t i = 0; i < shape.stages.size(); i++)
    for (const SampleTerm& t : shape.stages[i].diagonal.sample_terms) {
      const bool minus = parity_of(t.where.mask & prepared.frame[i]);
      for (std::size_t lane = 0; lane < lanes; lane++) {
        const std::size_t sample = std::size_t(sample_of_lane(unit, lane) - inputs.first);
        const double x = inputs.per_sample[sample * n_slots + std::size_t(t.slot)];
        const IntegerAngle<Real> a = integer_angle<Real>(t.coefficient * x + t.offset);
        to[lane] = minus ? IntegerAngle<Real>(0) - a : a;
      }
      to += lanes;
    }
}

// The encoded input, or the product state that the first rotations make of |0...0>.
template <class Real> void Execution<Real>::write_initial(int u, char* state) {
  const Unit& unit = bundle.unit[u];
  if (!shape.start.empty()) return write_start(u, state);
  if (inputs.initial) {
    const std::size_t low = (std::size_t(1) << lane_bits) - 1;
    for (std::size_t r = 0; r < rows; r++) {
      Real* p = reinterpret_cast<Real*>(state + shape.spread.row(r) * row_bytes);
      for (std::size_t lane = 0; lane < lanes; lane++) {
        const std::size_t sample = std::size_t(sample_of_lane(unit, lane) - inputs.first);
        const double* of_sample = inputs.initial + (sample << shape.n_qubits);
        p[lane] = Real(of_sample[r << lane_bits | (lane & low)]);
        if (context.planes == 2) p[lanes + lane] = 0;
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
template <class Real> bool Execution<Real>::product_start(int u) {
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
