// Run: the ends of a run: angles and initial states in; expectations, the bra, sums and gradients out.
#pragma once
#include <complex>

#include "execution.hpp"

namespace qmltrain {

// ---- angles and initial states -------------------------------------------------------------------------------------

template <class Real> void Run<Real>::load_angles() {
  n_turns = s.sample_angles().size(), n_sample_terms = 0;
  for (const Elementwise& e : s.elementwise) n_sample_terms += e.diagonal.sample.size();
  if (!n_turns && !n_sample_terms) return;
  const std::size_t reals = W * (4 * n_turns + n_sample_terms) * std::size_t(units);
  worker.unit_angles.reserve(reals * sizeof(Real) + 128 + (8 + 2 * sizeof(Real)) * ((W >> b) * n_turns + W));
  turn = worker.unit_angles.template as<Real>();
  lane_turn = turn + 2 * W * n_turns * std::size_t(units);
  sample_turn = reinterpret_cast<Turn<Real>*>(lane_turn + 2 * W * n_turns * std::size_t(units));
  for (int u = 0; u < units; u++) load_angles(u);
}

template <class Real> void Run<Real>::load_angles(int u) {
  const Unit& unit = bundle.unit[u];
  const auto& angles = s.sample_angles();
  const std::size_t n_slots = std::size_t(c.plan.n_per_sample);
  Real *turns = turn + 2 * W * n_turns * std::size_t(u), *lane_turns = lane_turn + 2 * W * n_turns * std::size_t(u);
  if (n_turns) {
    // vectors of half angles, [rotation][sample]; where qubits lie in the lanes, their turns are spread over them afterwards
    const std::size_t samples = W >> b, vectors = (n_turns * samples + W - 1) / W;
    Turn<Real>* end = sample_turn + W * n_sample_terms * std::size_t(units);
    double* half = reinterpret_cast<double*>((reinterpret_cast<std::uintptr_t>(end) + 63) & ~std::uintptr_t(63));
    Real* packed = b ? reinterpret_cast<Real*>(half + W * vectors) : turns;
    const double* values = in.per_sample + std::size_t(unit.first) * n_slots;
    for (std::size_t i = 0; i < n_turns; i++) {
      const AngleData& angle = angles[i];
      for (std::size_t sample = 0; sample < samples; sample++) {
        const std::size_t row = std::min(sample, std::size_t(unit.count) - 1);
        half[i * samples + sample] = 0.5 * (angle.coefficient * values[row * n_slots + std::size_t(angle.slot)] + angle.offset);
      }
    }
    std::fill(half + n_turns * samples, half + W * vectors, 0.0);
    k.turns(vectors, half, packed);
    for (std::size_t i = 0; b && i < n_turns; i++)
      for (std::size_t lane = 0; lane < W; lane++) {
        const std::size_t at = i * samples + (lane >> b), from = at / W * 2 * W + at % W;
        turns[2 * i * W + lane] = packed[from];
        turns[(2 * i + 1) * W + lane] = packed[from + W];
      }
  }
  for (const Elementwise& e : s.elementwise)
    for (const LaneRotationShape& l : e.lanes) {
      const ShapeRotation& r = s.rotations[l.rotation];
      if (r.sample_index < 0) continue;
      const Real* from = turns + 2 * std::size_t(r.sample_index) * W;
      Real* to = lane_turns + 2 * std::size_t(r.sample_index) * W;
      for (std::size_t i = 0; i < W; i++) {
        to[i] = from[i];
        to[W + i] = (parity_of(i & Mask(l.lane_parity)) ? from[W + i] : -from[W + i]) * v.tangent[l.rotation];
      }
    }
  Turn<Real>* to = sample_turn + W * n_sample_terms * std::size_t(u);
  for (std::size_t i = 0; i < s.elementwise.size(); i++)
    for (const SampleTerm& t : s.elementwise[i].diagonal.sample) {
      const bool minus = parity_of(t.where.mask & v.frame[i]);
      for (std::size_t lane = 0; lane < W; lane++) {
        const double x = in.per_sample[std::size_t(sample_of_lane(unit, lane)) * n_slots + std::size_t(t.slot)];
        const Turn<Real> a = turn_of<Real>(t.coefficient * x + t.offset);
        to[lane] = minus ? Turn<Real>(0) - a : a;
      }
      to += W;
    }
}

// The encoded input, or the product state that the first rotations make of |0...0>.
template <class Real> void Run<Real>::write_initial(int u, char* state) {
  const Unit& unit = bundle.unit[u];
  if (in.initial) {
    const std::size_t low = (std::size_t(1) << b) - 1;
    for (std::size_t r = 0; r < rows; r++) {
      Real* p = reinterpret_cast<Real*>(state + s.scatter.row(r) * row_bytes);
      for (std::size_t lane = 0; lane < W; lane++) {
        p[lane] = Real(in.initial[(std::size_t(sample_of_lane(unit, lane)) << s.n) + (r << b | (lane & low))]);
        p[W + lane] = 0;
      }
    }
    return;
  }
  const Real* turns = turn + 2 * W * n_turns * std::size_t(u);
  Real* first = reinterpret_cast<Real*>(state);
  for (std::size_t lane = 0; lane < W; lane++) first[lane] = lane & ((std::size_t(1) << b) - 1) ? Real(0) : Real(1), first[W + lane] = 0;
  alignas(64) Real cosine[16], sine[16];
  auto load = [&](int m) {
    const ShapeRotation& r = s.rotations[m];
    for (std::size_t i = 0; i < W; i++) {
      if (r.sample_index >= 0) cosine[i] = turns[2 * std::size_t(r.sample_index) * W + i], sine[i] = turns[(2 * std::size_t(r.sample_index) + 1) * W + i];
      else cosine[i] = Real(c.runs.cosine[r.run]), sine[i] = Real(c.runs.sine[r.run]);
      if (r.flip) sine[i] = -sine[i];
    }
  };
  std::size_t n_rows = 1;
  std::vector<std::size_t> support;
  bool cleared = false;
  for (int m : s.initial) {  // rotations within the rows come first
    load(m);
    const std::size_t mask = s.scatter.row(s.row_of(s.rotations[m].pair)), exchange = std::size_t(s.lane_of(s.rotations[m].pair));
    if (!mask) {
      Real next[16];
      for (std::size_t i = 0; i < W; i++) next[i] = cosine[i] * first[i] + sine[i ^ exchange] * first[i ^ exchange];
      std::copy(next, next + W, first);
      continue;
    }
    if (s.plain_initial) {
      k.product(state, n_rows, mask, cosine, sine);
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
      Real *p = reinterpret_cast<Real*>(state + support[i] * row_bytes), *q = reinterpret_cast<Real*>(state + (support[i] ^ mask) * row_bytes);
      for (std::size_t lane = 0; lane < W; lane++) q[lane] = sine[lane ^ exchange] * p[lane ^ exchange];
      for (std::size_t lane = 0; lane < W; lane++) p[lane] *= cosine[lane];
      support.push_back(support[i] ^ mask);
    }
  }
  if (!cleared && n_rows < rows) std::memset(state + n_rows * row_bytes, 0, (rows - n_rows) * row_bytes);
}

// ---- expectations and lam ------------------------------------------------------------------------------------------

// cotangents (B, M), or (1, M) for all samples; nullptr: no lam. expectations (B, M), or nullptr.
template <class Real> void Run<Real>::observe(const double* cotangents, bool per_row, double* expectations) {
  psi = stored(v.stored_states() - 1);
  lam = nullptr;
  bool same_weights = !per_row;
  for (int u = 0; u < units; u++) same_weights = same_weights && bundle.unit[u].count == int(W >> b);
  if (cotangents) {
    worker.lam.reserve(lam_stride * std::size_t(units) + kSkew * row_bytes);
    lam = worker.lam.get() + kSkew * row_bytes;
    load_weights(cotangents, per_row, same_weights);
  }
  // small states go side by side, large ones are cut into chunks
  const int together = s.row_bits <= kChunkBits ? units : 1;
  for (int u = 0; u < units; u += together) observe_units(u, together, same_weights, expectations);
}

// Weights of the strings in the order of v.observed, [unit, or one for all][string][lane]; 0 for lanes without a sample.
template <class Real> void Run<Real>::load_weights(const double* cotangents, bool per_row, bool same) {
  const std::size_t M = v.strings.size(), sets = same ? 1 : std::size_t(units);
  worker.weight.reserve((sets * M + 1) * W * sizeof(Real));
  Real* weight = worker.weight.template as<Real>();
  for (std::size_t u = 0; u < sets; u++) {
    const Unit& unit = bundle.unit[u];
    for (std::size_t i = 0; i < W >> b; i++) {
      const bool used = int(i) < unit.count;
      const double* row = cotangents + (per_row && used ? (std::size_t(unit.first) + i) * M : 0);
      for (std::size_t m = 0; m < M; m++)
        std::fill_n(weight + (u * M + m) * W + (i << b), std::size_t(1) << b, used ? Real(row[v.observed[m]]) : Real(0));
    }
  }
}

// `count` units from the first one.
template <class Real> void Run<Real>::observe_units(int first_unit, int count, bool same_weights, double* expectations) {
  const std::size_t M = v.strings.size(), D = v.n_diagonal, u0 = std::size_t(first_unit);
  const char* state = psi + psi_stride * u0;
  char* bra = lam ? lam + lam_stride * u0 : nullptr;
  const std::size_t weight_stride = same_weights ? 0 : M * W;
  const Real* weight = bra ? worker.weight.template as<Real>() + weight_stride * u0 : nullptr;
  const int bits = std::min(s.row_bits, kChunkBits);
  const std::size_t chunks = rows >> bits, sum_stride = M * W, context_stride = sum_stride * std::size_t(count);
  const std::size_t contexts = std::min<std::size_t>(chunks, kContexts);
  worker.expectation.reserve((contexts * context_stride + W) * sizeof(Real));
  Real* sums = worker.expectation.template as<Real>();
  std::memset(sums, 0, contexts * context_stride * sizeof(Real));
  each_context(chunks, [&](int context, int n, Worker& w) {
    w.observe.reserve((2 * W * sizeof(Real) << bits) + W * sizeof(Real) * std::size_t(bits + 1) + 8 * D + 64);
    Real* work = w.observe.template as<Real>();
    std::uint32_t* mask = reinterpret_cast<std::uint32_t*>(work + (2 * W << bits) + W * std::size_t(bits + 1));
    std::uint8_t* lane_mask = reinterpret_cast<std::uint8_t*>(mask + D);
    std::uint8_t* sign = lane_mask + D;
    for (std::size_t i = 0; i < D; i++) {
      const Mask z = v.strings[v.observed[i]].z;
      mask[i] = std::uint32_t(s.row_of(z) & ((Mask(1) << bits) - 1)), lane_mask[i] = std::uint8_t(s.lane_of(z));
    }
    Real* context_sums = sums + context_stride * std::size_t(context);
    const std::size_t first = context * chunks / n, last = (context + 1) * chunks / n;
    for (std::size_t chunk = first; chunk < last; chunk++) {
      for (std::size_t i = 0; i < D; i++)
        sign[i] = std::uint8_t(v.string_minus[v.observed[i]] ^ parity_of((chunk << bits) & s.row_of(v.strings[v.observed[i]].z)));
      const std::size_t offset = (chunk << bits) * row_bytes;
      k.observe({state + offset, bra ? bra + offset : nullptr, std::uint32_t(bits), int(D), mask, lane_mask, sign, weight,
                 expectations ? context_sums : nullptr, work, count, psi_stride, lam_stride, weight_stride, sum_stride});
    }
    for (std::size_t u = 0; u < std::size_t(count); u++)
      for (std::size_t r = D; r < M; r++) {
        const StringData& t = v.strings[v.observed[r]];
        k.string({state + psi_stride * u, bra ? bra + lam_stride * u : nullptr, first << bits, (last - first) << bits, s.row_of(t.x),
                  s.row_of(t.z), s.lane_of(t.x), s.lane_of(t.z), t.n_y, Real(v.string_minus[v.observed[r]] ? -1 : 1),
                  bra ? weight + weight_stride * u + r * W : nullptr, expectations ? context_sums + sum_stride * u + r * W : nullptr});
      }
  });
  if (!expectations) return;
  const std::size_t per_sample = std::size_t(1) << b;
  for (std::size_t u = 0; u < std::size_t(count); u++) {
    const Unit& unit = bundle.unit[u0 + u];
    double* to = expectations + std::size_t(unit.first) * M;
    const Real* of_unit = sums + sum_stride * u;
    for (std::size_t r = 0; r < M; r++) {
      const std::size_t m = v.observed[r], lane_mask = r < D ? std::size_t(s.lane_of(v.strings[m].z)) : 0;
      for (int i = 0; i < unit.count; i++) {
        double total = 0;
        for (std::size_t context = 0; context < contexts; context++) {
          const Real* sum = of_unit + context_stride * context + r * W + std::size_t(i) * per_sample;
          for (std::size_t low = 0; low < per_sample; low++) total += parity_of(low & lane_mask) ? -double(sum[low]) : double(sum[low]);
        }
        to[std::size_t(i) * M + m] = total * v.expectation_factor;
      }
    }
  }
}

// ---- gradients -----------------------------------------------------------------------------------------------------

// Accumulators to sums over samples, per-sample gradients, drift and the bra at the start.
template <class Real> void Run<Real>::collect(int u, const Real* acc, const Gradients& out, double* unit_sums, double* raw) {
  const Unit& unit = bundle.unit[u];
  const char* state = psi + psi_stride * std::size_t(u);
  char* bra = lam + lam_stride * std::size_t(u);
  const std::size_t R = v.raw_acc.size(), per_sample = std::size_t(1) << b;
  k.sum_lanes(acc, v.raw_acc.data(), b ? v.raw_lane.data() : nullptr, v.raw_factor.data(), R, unit.count << b, unit_sums);
  auto sample_sum = [&](std::size_t index, std::size_t lane_mask, int sample) {
    double total = 0;
    for (std::size_t lane = std::size_t(sample) * per_sample; lane < (std::size_t(sample) + 1) * per_sample; lane++) {
      const double x = double(acc[index * W + lane]);
      total += parity_of(lane & lane_mask) ? -x : x;
    }
    return total;
  };
  const std::size_t n_slots = std::size_t(c.plan.n_per_sample);
  for (std::size_t r = 0; out.per_sample && r < s.sample_rows.size(); r++) {
    const SampleRow& row = s.sample_rows[r];
    double* to = out.per_sample + std::size_t(unit.first) * n_slots + row.slot;
    for (int i = 0; i < unit.count; i++)
      to[std::size_t(i) * n_slots] += v.sample_factor[r] * sample_sum(std::size_t(row.acc), std::size_t(row.lane_mask), i);
  }
  if (raw)
    for (int i = 0; i < unit.count; i++)
      for (std::size_t r = 0; r < R; r++)
        raw[std::size_t(unit.first + i) * R + r] = v.raw_factor[r] * sample_sum(v.raw_acc[r], v.raw_lane[r], i);
  if (out.initial) {
    auto* to = static_cast<std::complex<Real>*>(out.initial);
    for (int i = 0; i < unit.count; i++)
      for (std::size_t r = 0; r < rows; r++) {
        const Real* p = reinterpret_cast<const Real*>(bra + s.scatter.row(r) * row_bytes);
        for (std::size_t low = 0; low < per_sample; low++) {
          const std::size_t lane = std::size_t(i) * per_sample + low;
          to[(std::size_t(unit.first + i) << s.n) + (r << b | low)] = {Real(p[lane] * v.lam_end), Real(p[W + lane] * v.lam_end)};
        }
      }
  }
  if (!out.drift) return;
  const bool reversed = c.settings.mode != Mode::kCheckpoint && !v.keep;
  if (reversed) write_initial(u, bra);
  for (int i = 0; i < unit.count; i++)
    out.drift[unit.first + i] =
        reversed ? std::sqrt(k.distance(state, bra, rows, v.psi_end, int(std::size_t(i) * per_sample), int(per_sample))) : 0.0;
}

}  // namespace qmltrain
