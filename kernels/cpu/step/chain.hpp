// Chain: the links of a training step around the circuit, in their order, and the way back through them.
//
//   features --InputLayers--> columns --InputAngles, InputStates--> circuit --Observables--> --Head--> --Loss--> value
//   sums of a unit, beside the circuit's raw sums:
//   [head's parameters | weights and biases of encodings | input layers' parameters | loss's parameters | loss, hits]
#pragma once
#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>

#include "../host/sample_chain.hpp"
#include "batch.hpp"
#include "heads.hpp"
#include "input_angles.hpp"
#include "input_layers.hpp"
#include "input_states.hpp"
#include "losses.hpp"

namespace qmltrain {

class Chain final : public SampleChain {
 public:
  // states: of amplitude-encoded circuits.
  Chain(const StepKernels& kernels, std::optional<InputLayers> layers, InputAngles angles,
        std::optional<InputStates> states, Observables observables, std::unique_ptr<Head> head, Loss loss)
      : kernels_(kernels), layers_(std::move(layers)), angles_(std::move(angles)), states_(std::move(states)),
        observables_(std::move(observables)), head_(std::move(head)), loss_(std::move(loss)) {}

  // The batch of the next step, and its parameters: those of circuit, head, input layers, loss; shared (S) is filled.
  void begin(const Batch& batch, const double* parameters, std::size_t n_circuit, double* shared) {
    batch_ = batch, head_parameters_ = parameters + n_circuit;
    layers_parameters_ = head_parameters_ + head_->n_parameters();
    loss_parameters_ = layers_parameters_ + n_layers_parameters();
    angles_.set(parameters, shared);
    finite_ = true;
  }
  // Whether all angles, states that layers made, and expectations of samples were finite. (A diagonal makes integers of
  // its angles, a hinge may be constant: a NaN would be lost.)
  bool finite() const { return finite_; }
  // From the gradient of shared slots (S) and the sums over the batch to the gradient (P), which is set.
  void gradient(const double* slots, const double* sums, std::size_t n_circuit, double* parameters) const {
    std::fill_n(parameters, n_circuit, 0.0);
    angles_.gradient(slots, sums + head_->n_parameters(), parameters);
    double* around = std::copy_n(sums, head_->n_parameters(), parameters + n_circuit);
    std::copy_n(sums + at_layers(), n_layers_parameters() + loss_.n_parameters(), around);
  }
  double loss_of(const double* sums) const { return sums[n_sums() - 2]; }
  double hits_of(const double* sums) const { return sums[n_sums() - 1]; }
  std::size_t n_parameters_around() const {
    return head_->n_parameters() + n_layers_parameters() + loss_.n_parameters();
  }

  std::size_t n_sums() const override { return at_layers() + n_layers_parameters() + loss_.n_sums(); }

  void inputs(int first, int count, double* per_sample, double* initial, Buffer& scratch) const override {
    const std::size_t of_sample = n_columns(), of_layers = layers_ ? padded(layers_->n_scratch()) : 0;
    const std::size_t of_columns = layers_ ? padded(std::size_t(count) * of_sample) : 0;
    scratch.reserve((of_layers + of_columns + (states_ ? states_->n_scratch(count) : 0)) * sizeof(double));
    double *own = scratch.as<double>(), *columns = own + of_layers, *of_states = columns + of_columns;
    for (int i = 0; layers_ && i < count; i += kSideBySide)
      layers_->columns(kernels_, layers_parameters_, batch_, first + i, std::min(kSideBySide, count - i),
                       columns + std::size_t(i) * of_sample, own);
    const SampleRows numbers = layers_ ? SampleRows{columns, nullptr, of_sample} : batch_.samples(first);
    angles_.sample_angles(numbers, count, per_sample);
    require_finite(per_sample, std::size_t(count) * angles_.n_per_sample());
    if (!states_) return;
    states_->states(numbers, count, initial, of_states);
    if (layers_) require_finite(initial, std::size_t(count) * states_->whole_size());
  }

  void outputs(int first, int count, const double* strings, double* cotangents, double* sums,
               Buffer& scratch) const override {
    const std::size_t K = observables_.size(), C = std::size_t(loss_.n_outputs()), one = kSideBySide;
    scratch.reserve((2 * K * one + 2 * C * one + loss_.n_scratch() + head_->n_scratch()) * sizeof(double));
    double *expectations = scratch.as<double>(), *of_expectations = expectations + K * one;
    double *outputs = of_expectations + K * one, *of_outputs = outputs + C * one;
    double *of_loss = of_outputs + C * one, *of_head = of_loss + loss_.n_scratch();
    const bool plain = observables_.plain();
    batch_.prefetch(first, count, 0);
    if (!plain) observables_.forward(kernels_, count, strings, expectations);
    const double* observed = plain ? strings : expectations;
    const double* head = head_->forward(kernels_, head_parameters_, count, observed, outputs, of_head);
    batch_.prefetch(first, count, 1);
    loss_.add(kernels_, batch_, loss_parameters_, first, count, head, of_outputs, sums + n_sums() - loss_.n_sums(),
              of_loss);
    batch_.prefetch(first, count, 2);
    double* back = head_->backward(kernels_, head_parameters_, count, observed, of_outputs,
                                   plain ? cotangents : of_expectations, of_head, sums);
    if (!plain) observables_.backward(kernels_, count, back, cotangents);
    else if (back != cotangents) std::copy_n(back, K * one, cotangents);
    if (!kernels_.all_finite(strings, observables_.n_strings() * one)) finite_ = false;
    batch_.prefetch(first, count, 3);
  }

  bool wants_sample_gradients() const override { return angles_.trainable_encoding() || layers_; }
  bool wants_bras() const override { return layers_ && states_; }

  void sample_gradients(int first, int count, const double* gradients, double* bras, double* sums,
                        Buffer& scratch) const override {
    double* of_encoding = sums + head_->n_parameters();
    if (!layers_) {
      angles_.add_sums(batch_.samples(first), count, gradients, of_encoding);
      return;
    }
    const std::size_t n = layers_->n_columns(), of_layers = padded(layers_->n_scratch());
    scratch.reserve((of_layers + 2 * kSideBySide * n + (states_ ? states_->n_scratch_back(count) : 0)) * sizeof(double));
    double *own = scratch.as<double>(), *columns = own + of_layers, *of_columns = columns + kSideBySide * n;
    layers_->columns(kernels_, layers_parameters_, batch_, first, count, columns, own);
    const SampleRows numbers{columns, nullptr, n};
    if (angles_.trainable_encoding()) angles_.add_sums(numbers, count, gradients, of_encoding);
    angles_.column_gradients(count, gradients, n, of_columns);
    if (states_) states_->gradients(numbers, count, bras, n, of_columns, of_columns + kSideBySide * n);
    layers_->backward(kernels_, layers_parameters_, count, of_columns, own, sums + at_layers());
  }

 private:
  std::size_t n_columns() const { return layers_ ? layers_->n_columns() : batch_.n_features; }
  // Remembers where numbers of samples are not, and makes them zeros.
  void require_finite(double* numbers, std::size_t n) const {
    if (kernels_.all_finite(numbers, n)) return;
    finite_ = false;
    std::fill_n(numbers, n, 0.0);
  }
  std::size_t n_layers_parameters() const { return layers_ ? layers_->n_parameters() : 0; }
  // Where the sums of the input layers' parameters begin.
  std::size_t at_layers() const { return head_->n_parameters() + angles_.n_sums(); }
  static std::size_t padded(std::size_t numbers) { return (numbers + 7) / 8 * 8; }

  const StepKernels& kernels_;
  std::optional<InputLayers> layers_;
  InputAngles angles_;
  std::optional<InputStates> states_;
  Observables observables_;
  std::unique_ptr<Head> head_;
  Loss loss_;
  Batch batch_;
  const double *head_parameters_ = nullptr, *layers_parameters_ = nullptr, *loss_parameters_ = nullptr;
  mutable std::atomic<bool> finite_{true};
};

}  // namespace qmltrain
