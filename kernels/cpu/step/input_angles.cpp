// InputAngles: see input_angles.hpp.
#include "input_angles.hpp"

#include <algorithm>

namespace qmltrain {

std::vector<InputAngles::Target> InputAngles::targets(const std::vector<std::int64_t>& parameters,
                                                      const std::vector<double>* factors) {
  std::vector<Target> found;
  for (std::size_t slot = 0; slot < parameters.size(); slot++)
    if (parameters[slot] >= 0) found.push_back({slot, parameters[slot], factors ? (*factors)[slot] : 1.0});
  return found;
}

InputAngles::InputAngles(AngleColumns shared, AngleColumns per_sample)
    : shared_(std::move(shared)), per_sample_(std::move(per_sample)),
      shared_weights_(targets(shared_.weight, &shared_.scale)), shared_biases_(targets(shared_.bias, nullptr)),
      sample_weights_(targets(per_sample_.weight, nullptr)), sample_biases_(targets(per_sample_.bias, nullptr)),
      trainable_encoding_(!sample_weights_.empty() || !sample_biases_.empty()), factor_(per_sample_.scale),
      addend_(per_sample_.offset) {
  for (std::size_t s = 0; s < per_sample_.size(); s++)
    in_order_ = in_order_ && per_sample_.feature[s] == std::int64_t(s);
  shared_in_order_ = shared_biases_.empty() && shared_weights_.size() == shared_.size();
  for (std::size_t s = 0; s < shared_.size(); s++)
    shared_in_order_ = shared_in_order_ && shared_.weight[s] == shared_.weight[0] + std::int64_t(s);
  if (shared_in_order_ && shared_.size()) first_shared_ = std::size_t(shared_.weight[0]);
}

void InputAngles::set(const double* parameters, double* __restrict shared) {
  const std::size_t n = shared_.size();
  const double *scale = shared_.scale.data(), *offset = shared_.offset.data(), *theta = parameters + first_shared_;
  if (shared_in_order_)
    for (std::size_t s = 0; s < n; s++) shared[s] = scale[s] * theta[s] + 0.0 + offset[s];
  else for (std::size_t s = 0; s < n; s++) {
    const std::int64_t w = shared_.weight[s], b = shared_.bias[s];
    shared[s] = shared_.scale[s] * (w < 0 ? 1.0 : parameters[w]) + (b < 0 ? 0.0 : parameters[b]) + shared_.offset[s];
  }
  for (const Target& t : sample_weights_) factor_[t.slot] = per_sample_.scale[t.slot] * parameters[t.parameter];
  for (const Target& t : sample_biases_) addend_[t.slot] = parameters[t.parameter] + per_sample_.offset[t.slot];
}

void InputAngles::sample_angles(const SampleRows& samples, int count, double* __restrict angles) const {
  const std::size_t n = per_sample_.size();
  const std::int64_t* column = per_sample_.feature.data();
  const double *factor = factor_.data(), *addend = addend_.data();
  for (int i = 0; i < count; i++, angles += n) {
    const double* x = samples[i];
    if (in_order_)
      for (std::size_t s = 0; s < n; s++) angles[s] = factor[s] * x[s] + addend[s];
    else
      for (std::size_t s = 0; s < n; s++) angles[s] = factor[s] * x[column[s]] + addend[s];
  }
}

void InputAngles::column_gradients(int count, const double* gradients, std::size_t n_columns, double* columns) const {
  const std::size_t n = per_sample_.size();
  std::fill_n(columns, std::size_t(count) * n_columns, 0.0);
  for (int i = 0; i < count; i++, gradients += n, columns += n_columns)
    for (std::size_t s = 0; s < n; s++) columns[per_sample_.feature[s]] += gradients[s] * factor_[s];
}

void InputAngles::add_sums(const SampleRows& samples, int count, const double* gradients, double* sums) const {
  const std::size_t n = per_sample_.size();
  for (int i = 0; i < count; i++, gradients += n) {
    const double* x = samples[i];
    for (std::size_t s = 0; s < n; s++) {
      sums[s] += gradients[s] * (per_sample_.scale[s] * x[per_sample_.feature[s]]);
      sums[n + s] += gradients[s];
    }
  }
}

void InputAngles::gradient(const double* slots, const double* sums, double* __restrict parameters) const {
  if (shared_in_order_) {
    double* __restrict of_slots = parameters + first_shared_;
    const double* scale = shared_.scale.data();
    for (std::size_t s = 0; s < shared_.size(); s++) of_slots[s] += slots[s] * scale[s];
  } else {
    for (const Target& t : shared_weights_) parameters[t.parameter] += slots[t.slot] * t.factor;
  }
  for (const Target& t : shared_biases_) parameters[t.parameter] += slots[t.slot];
  if (!trainable_encoding_) return;
  for (const Target& t : sample_weights_) parameters[t.parameter] += sums[t.slot];
  for (const Target& t : sample_biases_) parameters[t.parameter] += sums[per_sample_.size() + t.slot];
}

}  // namespace qmltrain
