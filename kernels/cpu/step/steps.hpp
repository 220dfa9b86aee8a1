// Steps: spans of training steps, each forward, head, loss, backward, update, without going back to Python.
//
// Where a span ends never changes a bit of what it computes: a step depends on the parameters, the optimiser's arrays
// and its batch alone.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "../host/step_engine.hpp"
#include "chain.hpp"
#include "layer_norms.hpp"
#include "optimizers.hpp"
#include "rank_shares.hpp"
#include "thread_choice.hpp"
#include "tree_sums.hpp"

namespace qmltrain {

// What is fixed for a training, beside the chain.
struct StepRecipe {
  std::size_t n_circuit, n_shared;   // parameters of the circuit, its shared slots
  std::vector<std::int64_t> layer;   // (P)
  std::size_t n_layers;
  std::vector<std::uint8_t> frozen;  // (P), or empty
  double clip_norm;                  // 0: none
  bool one_bundle;                   // states of several threads' bundles do not fit into memory
};

// Arrays of the caller's. T steps; T', T'' of them whose gradients and parameters are stored.
struct Span {
  std::size_t n_steps;
  const double *features, *targets;
  std::size_t n_features;
  const std::int64_t *rows, *offsets;   // rows offsets[t] .. offsets[t + 1] are the batch of step t
  const double* learning_rates;         // (T)
  double seconds;                       // no step begins later than that after the first
  std::int64_t steps_before;            // of the optimiser
  double* parameters;                   // (P): the state, moved on
  std::vector<double*> optimizer;       // arrays (P), as Optimizer has them
  // rows to fill
  double *losses, *norms, *drifts, *loss_sums, *hits;  // (T)
  double* layer_norms;                                 // (T, n_layers), or nullptr
  const std::int64_t *gradient_steps, *parameter_steps;  // (T'), (T''): numbers of steps in the span, ascending
  std::size_t n_gradients, n_parameters;                 // T', T''
  double *gradients, *after;                             // (T', P), (T'', P)
};

enum class SpanEnd { kDone, kTime, kStopped, kNotFinite };

class Steps {
 public:
  Steps(StepEngine& engine, const StepKernels& kernels, StepRecipe recipe, std::unique_ptr<Chain> chain,
        std::unique_ptr<Optimizer> optimizer);
  std::size_t size() const { return recipe_.layer.size(); }
  std::size_t n_layers() const { return recipe_.n_layers; }
  bool as_matrix(int batch) { return engine_.as_matrix(batch, chain_->wants_sample_gradients()); }
  std::size_t n_optimizer_arrays() const { return optimizer_->n_arrays(); }

  // Runs steps until the span ends; `done` of them are whole, the rest left no trace. `stop` is asked every 50 ms.
  // kNotFinite: step number `done` met a number that is NaN or infinite. With several ranks spans of all end together,
  // as soon as that of one does, and have the bits of one rank's.
  SpanEnd run(const Span& span, const std::function<bool()>& stop, std::size_t& done, const Ranks& ranks = {});

 private:
  bool step(const Span& span, std::size_t t, std::size_t& gradients, std::size_t& after);
  bool gradient(const Batch& batch);
  bool own_sums(const Batch& batch, const std::shared_ptr<const StepAngles>& angles);
  bool sums_of_ranks(const Batch& batch, const std::shared_ptr<const StepAngles>& angles);
  double add_blocks(const Batch& batch, const std::shared_ptr<const StepAngles>& angles, std::size_t first,
                    std::size_t end);
  std::size_t blocks_together() const;

  StepEngine& engine_;
  const StepKernels& kernels_;
  StepRecipe recipe_;
  std::unique_ptr<Chain> chain_;
  std::unique_ptr<Optimizer> optimizer_;
  LayerNorms norms_;
  ThreadChoice threads_;
  TreeSums tree_;
  Padded parameters_, gradient_;
  std::vector<std::int64_t> frozen_;   // (P, padded) -1 or 0
  std::vector<double> slots_, sums_, block_sums_;
  std::shared_ptr<StepAngles> angles_[2];
  int turn_ = 0;
  double largest_drift_ = 0;
  const Ranks* ranks_ = nullptr;        // while a span runs; nullptr: one
  std::function<int()> own_word_;       // what this rank says beside how its part went
  int heard_ = 0;                       // what all said in the last step
  std::vector<double> of_ranks_;        // of each rank its largest drift and its nodes
};

}  // namespace qmltrain
