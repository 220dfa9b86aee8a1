// GateRuns: arrays of gate runs with the same axes, and the chain rule through them.
#include "gate_runs.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "integer_angle.hpp"

namespace qmltrain {

// A view into v that is aligned for vectors; v has 8 numbers to spare.
static double* aligned(std::vector<double>& v) {
  return reinterpret_cast<double*>((reinterpret_cast<std::uintptr_t>(v.data()) + 63) & ~std::uintptr_t(63));
}

GateRuns::GateRuns(const PlanData& plan, const Arithmetic& arithmetic)
    : gate_runs_(plan.gate_runs), n_shared_(plan.n_shared), arithmetic_(arithmetic) {
  const std::size_t n = gate_runs_.size();
  values_.assign(std::size_t(n_shared_) + 1 + 2 * n, 0);
  alpha = values_.data() + n_shared_ + 1, gamma = alpha + n;
  tangent.assign(n, 0), factor.assign(n, 1);
  cosine.assign(n, 1), sine.assign(n, 0);
  split_xz.assign(n, 0);
  trainable_.assign(n, 0);
  std::map<std::vector<int>, std::vector<int>> by_axes;  // axes, then whether real
  for (std::size_t r = 0; r < n; r++) {
    const GateRunData& run = gate_runs_[r];
    std::vector<int> key;
    for (int k = 0; k < run.count; k++) {
      const AngleData& a = plan.angles[run.first + k];
      key.push_back(a.axis);
      if (a.slot >= 0) trainable_[r] = 1;
    }
    if (run.per_sample) continue;
    key.push_back(run.real);
    by_axes[key].push_back(int(r));
  }
  std::size_t total = 0, most_rotations = 0;
  for (auto& [key, members] : by_axes) {
    SameAxes g;
    g.axes.assign(key.begin(), key.end() - 1);
    g.real = key.back();
    g.runs = members;
    g.padded = (members.size() + 7) / 8 * 8;
    g.first = total;
    const std::size_t k = g.axes.size();
    g.slots.assign(k * g.padded, -1), g.places.assign(k * g.padded, plan.n_shared);
    g.coefficients.assign(k * g.padded, 0), g.offsets.assign(k * g.padded, 0);
    for (std::size_t i = 0; i < members.size(); i++)
      for (std::size_t j = 0; j < k; j++) {
        const AngleData& a = plan.angles[gate_runs_[members[i]].first + j];
        g.slots[j * g.padded + i] = a.slot;
        g.places[j * g.padded + i] = a.slot >= 0 ? a.slot : plan.n_shared;
        g.coefficients[j * g.padded + i] = a.coefficient;
        g.offsets[j * g.padded + i] = a.offset;
      }
    total += k * g.padded;
    longest_ = std::max(longest_, g.padded);
    most_rotations = std::max(most_rotations, k);
    groups_.push_back(std::move(g));
  }
  storage_.assign(3 * total + 8, 0);
  half_angle_ = aligned(storage_), half_sine_ = half_angle_ + total, half_cosine_ = half_sine_ + total;
  for (SameAxes& g : groups_) g.half_sine = half_sine_ + g.first, g.half_cosine = half_cosine_ + g.first;
  scratch_storage_.assign((5 + most_rotations) * longest_ + 8, 0);
  scratch_ = aligned(scratch_storage_);
  n_raw_ = 3 * int(n);
  for (const OperationData& op : plan.operations)
    if (op.diagonal)
      for (int i = op.first; i < op.first + op.count; i++) {
        const TermData& t = plan.terms[i];
        if (t.source == kSlot) term_rows_.push_back({n_raw_++, t.index, t.sign * t.coefficient});
      }
  for (const StartData& s : plan.start)
    for (int i = s.first; i < s.first + s.count; i++) {
      const TermData& t = plan.terms[i];
      if (t.source == kSlot) term_rows_.push_back({n_raw_++, t.index, t.sign * t.coefficient});
    }
  sample_row_.assign(plan.angles.size(), -1);
  for (const GateRunData& run : gate_runs_)
    for (int k = run.first; run.per_sample && k < run.first + run.count; k++) {
      const AngleData& a = plan.angles[k];
      if (a.slot < 0 || a.per_sample) continue;
      sample_row_[k] = n_raw_;
      term_rows_.push_back({n_raw_++, a.slot, a.coefficient});
    }
}

void GateRuns::prepare(const double* shared) {
  std::copy_n(shared, n_shared_, values_.data());
  std::size_t total = 0;
  for (const SameAxes& g : groups_) {
    const std::size_t n = g.axes.size() * g.padded;
    double* half = half_angle_ + g.first;
    const double *angles = values_.data(), *coefficients = g.coefficients.data(), *offsets = g.offsets.data();
    const int* places = g.places.data();
    for (std::size_t i = 0; i < n; i++) half[i] = 0.5 * (offsets[i] + coefficients[i] * angles[places[i]]);
    if (g.real)  // rotations about one axis add up; the first row takes the sum
      for (std::size_t k = 1; k < g.axes.size(); k++)
        for (std::size_t i = 0; i < g.padded; i++) half[i] += half[k * g.padded + i];
    total += n;
  }
  arithmetic_.sine_cosine(total, half_angle_, half_sine_, half_cosine_);
  double *alphas = scratch_, *gammas = alphas + longest_, *cos_half, *sin_half;
  for (const SameAxes& g : groups_) {
    if (g.real) {
      cos_half = g.half_cosine, sin_half = g.half_sine;
    } else {
      cos_half = scratch_ + 2 * longest_, sin_half = cos_half + longest_;
      arithmetic_.euler(g.padded, int(g.axes.size()), g.axes.data(), g.half_sine, g.half_cosine, alphas, gammas,
                        cos_half, sin_half);
    }
    const int* runs = g.runs.data();
    const std::size_t n = g.runs.size();
    for (std::size_t i = 0; i < n && !g.real; i++) alpha[runs[i]] = alphas[i], gamma[runs[i]] = gammas[i];
    // (bytes may be part of anything: a compiler would look for all arrays again after each)
    double *c = cosine.data(), *s = sine.data(), *t = tangent.data(), *f = factor.data();
    std::uint8_t* splits = split_xz.data();
    for (std::size_t i = 0; i < n; i++) {
      const int r = runs[i];
      const double both[] = {cos_half[i], sin_half[i]};  // (no branch: which is larger cannot be foreseen)
      const bool split = std::fabs(both[1]) > std::fabs(both[0]);
      c[r] = both[0], s[r] = both[1];
      t[r] = with_sign(both[!split], split) / both[split];
      f[r] = std::fabs(both[split]);
      splits[r] = split;
    }
  }
}

void GateRuns::slot_gradient(const double* raw, double* gradient) {
  for (const TermRow& t : term_rows_) gradient[t.slot] += t.factor * raw[t.row];
  double *v = scratch_, *gammas = v + 3 * longest_, *along = gammas + longest_;
  for (const SameAxes& g : groups_) {
    const std::size_t n = g.padded, k = g.axes.size();
    if (g.real) {
      for (std::size_t i = 0; i < g.runs.size(); i++)
        for (std::size_t j = 0; j < k; j++)
          if (const int slot = g.slots[j * n + i]; slot >= 0)
            gradient[slot] += g.coefficients[j * n + i] * raw[3 * g.runs[i] + 1];
      continue;
    }
    for (std::size_t i = 0; i < g.runs.size(); i++) {
      const double* p = raw + 3 * g.runs[i];
      v[i] = p[0], v[n + i] = p[1], v[2 * n + i] = p[2];
      gammas[i] = gamma[g.runs[i]];
    }
    for (std::size_t i = g.runs.size(); i < n; i++) v[i] = v[n + i] = v[2 * n + i] = gammas[i] = 0;
    arithmetic_.chain(n, int(k), g.axes.data(), g.half_sine, g.half_cosine, gammas, v, along);
    for (std::size_t j = 0; j < k; j++)
      for (std::size_t i = 0; i < g.runs.size(); i++)
        if (const int slot = g.slots[j * n + i]; slot >= 0)
          gradient[slot] += g.coefficients[j * n + i] * along[j * n + i];
  }
}

}  // namespace qmltrain
