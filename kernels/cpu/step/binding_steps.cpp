// Spans of training steps for Python: a recipe becomes a chain, arrays become pointers.
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <numeric>
#include <tuple>

#include "../host/binding_program.hpp"
#include "../ranks/binding_node_memory.hpp"
#include "activations.hpp"
#include "steps.hpp"

using namespace nanobind::literals;

namespace qmltrain {

namespace {

using Ints1 = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Bytes1 = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class T, class Array> std::vector<T> list_of(const Array& array) {
  return std::vector<T>(array.data(), array.data() + array.size());
}

// kinds (columns): 0 linear, 1 arccos, 2 product, with indices starts[c] .. starts[c + 1] of features
std::vector<InputLayers::Column> input_columns(const Ints1& kinds, const Ints1& starts, const Ints1& indices,
                                               const Vector1& centres, std::int64_t n_features) {
  const std::size_t n = kinds.size();
  expect(starts.size() == n + 1 && centres.size() == n && starts(0) == 0 && starts(n) == std::int64_t(indices.size()),
         "columns of input layers: wrong shapes");
  std::vector<InputLayers::Column> columns;
  for (std::size_t c = 0; c < n; c++) {
    expect(kinds(c) >= 0 && kinds(c) <= 2 && starts(c) < starts(c + 1), "columns of input layers: wrong numbers");
    InputLayers::Column column{InputLayers::Column::Kind(kinds(c)), {}, centres(c)};
    for (std::int64_t i = starts(c); i < starts(c + 1); i++) {
      const std::int64_t k = indices(std::size_t(i));
      expect(k >= 0 && k < n_features, "columns of input layers: no such feature");
      column.indices.push_back(k);
    }
    columns.push_back(std::move(column));
  }
  return columns;
}

// numbers (slots, 2): scale, offset; indices (slots, 3): weight, bias, feature; -1: none
AngleColumns columns_of(const Numbers& numbers, const Ints& indices, int n_slots, std::int64_t n_circuit,
                        bool of_samples, std::int64_t n_features, const char* what) {
  expect(numbers.shape(1) == 2 && indices.shape(1) == 3 && numbers.shape(0) == indices.shape(0) &&
             numbers.shape(0) == std::size_t(n_slots), what);
  AngleColumns columns;
  for (std::size_t i = 0; i < numbers.shape(0); i++) {
    columns.scale.push_back(numbers(i, 0)), columns.offset.push_back(numbers(i, 1));
    columns.weight.push_back(indices(i, 0)), columns.bias.push_back(indices(i, 1));
    columns.feature.push_back(indices(i, 2));
    expect(indices(i, 0) < n_circuit && indices(i, 1) < n_circuit, what);
    expect(!of_samples || (indices(i, 2) >= 0 && indices(i, 2) < n_features), what);
  }
  return columns;
}

using Gather = decltype(Ranks::gather);

// A call of Python's, its exception kept for the end of the span.
template <class Call> auto held(Call call) {
  const InPython held;
  if (PyErr_Occurred()) throw Interrupted();
  try {
    return call();
  } catch (nb::python_error& error) {
    error.restore();
    throw Interrupted();
  }
}

std::int64_t sum_of(const std::vector<std::int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t(0));
}

// Of qmltrain.engines.ranks.Ranks
Gather gather_in_python(const nb::object& gather) {
  return [&gather](int word, double* numbers, const std::vector<std::int64_t>& counts) {
    return held([&] {
      const nb::ndarray<nb::numpy, double, nb::ndim<1>> array(numbers, {std::size_t(sum_of(counts))});
      return nb::cast<int>(gather(word, nb::cast(array, nb::rv_policy::reference), counts));  // no copy: it is filled
    });
  };
}

// The same without Python (qmltrain.engines.ranks.NodeGather). refuse: raises what words of ranks say that came for
// something else.
Gather gather_in_memory(NodeMemory& memory, std::int64_t exchange, const nb::object& refuse) {
  return [&memory, exchange, &refuse](int word, double* numbers, const std::vector<std::int64_t>& counts) {
    constexpr int W = NodeMemory::kWords;
    const std::int64_t own[W] = {exchange, word, sum_of(counts)};
    std::vector<std::int64_t> words(std::size_t(memory.ranks()) * W);
    std::int64_t joined = 0;
    bool together = true;
    memory.gather(own, words.data(), numbers, counts, [&](const std::int64_t*) {
      for (std::size_t i = 0; i < words.size(); i += W) {
        together = together && words[i] == own[0] && words[i + 2] == own[2];
        joined |= words[i + 1];
      }
      return together && !(joined & kRankAbandoned);
    });
    if (!together)
      held([&] {
        const nb::ndarray<nb::numpy, std::int64_t, nb::ndim<2>> array(words.data(), {words.size() / W, std::size_t(W)});
        refuse(nb::cast(array, nb::rv_policy::copy));
        throw std::logic_error("ranks at different places are refused");
      });
    return int(joined);
  };
}

class StepsHandle {
 public:
  StepsHandle(StepsProgram& program, std::int64_t n_circuit, std::int64_t n_amplitudes, std::int64_t n_features,
              Ints1 input_sizes, const std::string& input_activation, bool input_bias, double input_scale,
              Ints1 column_kinds, Ints1 column_starts, Ints1 column_indices, Vector1 column_centres,
              Numbers shared_numbers, Ints shared_indices, Numbers sample_numbers, Ints sample_indices,
              double pad_with, bool normalize, int copies,
              Ints1 observable_start, Ints1 observable_string, Vector1 observable_value, Vector1 observable_constant,
              const std::string& head, std::vector<int> head_hidden, const std::string& head_activation,
              bool head_bias, int n_outputs, const std::string& loss, int n_classes, double delta,
              Vector1 class_weights, const std::string& optimizer, Vector1 optimizer_numbers, Ints1 layers,
              std::int64_t n_layers, Bytes1 frozen, double clip_norm, bool one_bundle)
      : n_features_(n_features), n_classes_(n_classes), weighted_(class_weights.size() > 0) {
    std::optional<InputLayers> before;
    std::int64_t n_columns = n_features;  // of a sample, as states and angles take them
    if (input_sizes.size()) {
      const std::vector<int> sizes = list_of<int>(input_sizes);
      expect(sizes.size() >= 2 && sizes.front() == n_features && *std::min_element(sizes.begin(), sizes.end()) >= 1,
             "input layers: wrong sizes");
      auto columns = input_columns(column_kinds, column_starts, column_indices, column_centres, sizes.back());
      before.emplace(sizes, activation_of(input_activation), input_bias, input_scale, std::move(columns));
      n_columns = std::int64_t(before->n_columns());
    }
    InputAngles angles(
        columns_of(shared_numbers, shared_indices, program.n_shared(), n_circuit, false, 0,
                   "shared angles: wrong shapes"),
        columns_of(sample_numbers, sample_indices, program.n_per_sample(), n_circuit, true, n_columns,
                   "angles of samples: wrong shapes"));
    std::optional<InputStates> states;
    if (program.amplitude_encoded()) {
      expect(copies >= 1 && program.n_qubits() % copies == 0, "copies of amplitudes: no whole number of qubits each");
      states = InputStates{program.n_qubits() / copies, copies, std::size_t(n_amplitudes), pad_with, normalize};
      expect(n_amplitudes <= n_columns && std::size_t(n_amplitudes) <= states->size(), "amplitudes: too many");
    }
    const std::size_t K = observable_constant.size(), entries = observable_string.size();
    expect(K >= 1 && observable_start.size() == K + 1 && observable_value.size() == entries &&
               observable_start(0) == 0 && observable_start(K) == std::int64_t(entries), "observables: wrong shapes");
    for (std::size_t i = 0; i < entries; i++)
      expect(observable_string(i) >= 0 && observable_string(i) < program.n_strings(), "observables: no such string");
    for (std::size_t k = 0; k < K; k++)
      expect(observable_start(k) <= observable_start(k + 1), "observables: starts must rise");
    expect(n_outputs >= 1, "head: a wrong number of outputs");
    for (int size : head_hidden) expect(size >= 1, "head: a layer without outputs");
    expect(class_weights.size() == 0 || class_weights.size() == std::size_t(n_classes), "class weights: wrong shape");
    auto chain = std::make_unique<Chain>(
        *step_kernels(program.set_name()).kernels, std::move(before), std::move(angles), states,
        Observables(std::size_t(program.n_strings()), list_of<std::int32_t>(observable_start),
                    list_of<std::int32_t>(observable_string), list_of<double>(observable_value),
                    list_of<double>(observable_constant)),
        make_head(head, int(K), n_outputs, {std::move(head_hidden), head_activation, head_bias}),
        Loss(loss, n_outputs, n_classes, delta, list_of<double>(class_weights)));
    const std::size_t P = layers.size();
    expect(P == std::size_t(n_circuit) + chain->n_parameters_around(), "layers: one for each parameter");
    for (std::size_t p = 0; p < P; p++) expect(layers(p) >= 0 && layers(p) < n_layers, "layers: no such layer");
    expect(frozen.size() == 0 || frozen.size() == P, "frozen: one for each parameter");
    auto moves = std::make_unique<Optimizer>(optimizer, list_of<double>(optimizer_numbers), P);
    StepRecipe recipe{std::size_t(n_circuit), std::size_t(program.n_shared()), list_of<std::int64_t>(layers),
                      std::size_t(n_layers), list_of<std::uint8_t>(frozen), clip_norm, one_bundle};
    steps_ = std::make_unique<Steps>(program.engine(), *step_kernels(program.set_name()).kernels, std::move(recipe),
                                     std::move(chain), std::move(moves));
  }

  bool as_matrix(int batch) { return steps_->as_matrix(batch); }

  // (steps done, why the span ended)
  std::tuple<std::size_t, std::string> run(Numbers features, Vector1 targets, Ints1 rows, Ints1 offsets,
                                           Vector1 learning_rates, double seconds, std::int64_t steps_before,
                                           Out parameters, std::vector<Out> optimizer, Out metrics, Out layer_norms,
                                           Ints1 gradient_steps, Out gradients, Ints1 parameter_steps, Out after,
                                           nb::callable stop, int rank, int n_ranks, nb::object gather,
                                           NodeMemoryHandle* memory, std::int64_t exchange, nb::object refuse) {
    const std::size_t T = learning_rates.size(), P = steps_->size(), N = features.shape(0);
    expect(T >= 1 && offsets.size() == T + 1 && offsets(0) >= 0 && offsets(T) <= std::int64_t(rows.size()),
           "offsets: wrong shape");
    for (std::size_t t = 0; t < T; t++) expect(offsets(t) < offsets(t + 1), "offsets: a batch without samples");
    expect(features.shape(1) == std::size_t(n_features_) && targets.size() == N, "samples: wrong shapes");
    for (std::int64_t i = offsets(0); i < offsets(T); i++) {
      const std::int64_t row = rows(std::size_t(i));
      expect(row >= 0 && row < std::int64_t(N), "rows: no such sample");
      if (!weighted_) continue;  // weights are looked up by the number of the class
      expect(targets(std::size_t(row)) >= 0 && targets(std::size_t(row)) < n_classes_, "targets: no such class");
    }
    expect(n_ranks >= 1 && rank >= 0 && rank < n_ranks, "ranks: no such rank");
    expect(parameters.size() == P && optimizer.size() == steps_->n_optimizer_arrays(), "parameters: wrong shapes");
    for (const Out& array : optimizer) expect(array.size() == P, "arrays of the optimiser: wrong shapes");
    expect(metrics.size() == 5 * T, "metrics: wrong shape");
    expect(layer_norms.size() == 0 || layer_norms.size() == T * steps_->n_layers(), "layer norms: wrong shape");
    expect(gradients.size() == gradient_steps.size() * P && after.size() == parameter_steps.size() * P,
           "rows of gradients or parameters: wrong shapes");
    Span span{};
    span.n_steps = T, span.features = features.data(), span.targets = targets.data();
    span.n_features = std::size_t(n_features_), span.rows = rows.data(), span.offsets = offsets.data();
    span.learning_rates = learning_rates.data(), span.seconds = seconds, span.steps_before = steps_before;
    span.parameters = parameters.data();
    for (const Out& array : optimizer) span.optimizer.push_back(array.data());
    double* m = metrics.data();
    span.losses = m, span.norms = m + T, span.drifts = m + 2 * T, span.loss_sums = m + 3 * T, span.hits = m + 4 * T;
    span.layer_norms = layer_norms.size() ? layer_norms.data() : nullptr;
    span.gradient_steps = gradient_steps.data(), span.n_gradients = gradient_steps.size();
    span.parameter_steps = parameter_steps.data(), span.n_parameters = parameter_steps.size();
    span.gradients = gradients.data(), span.after = after.data();
    const auto asked = [&] {
      const InPython held;
      if (PyErr_CheckSignals() != 0) return true;
      try {
        return nb::cast<bool>(stop());
      } catch (nb::python_error& error) {
        error.restore();
        return true;
      }
    };
    Ranks ranks;
    ranks.rank = rank, ranks.size = n_ranks;
    if (memory) {
      expect(memory->places().ranks() == n_ranks && memory->places().rank() == rank, "memory: of other ranks");
      ranks.gather = gather_in_memory(memory->places(), exchange, refuse);
    } else {
      ranks.gather = gather_in_python(gather);
    }
    std::size_t done = 0;
    SpanEnd end = SpanEnd::kDone;
    guarded([&] { end = steps_->run(span, asked, done, ranks); });
    if (PyErr_Occurred()) throw nb::python_error();
    const char* names[] = {"done", "time", "stopped", "not finite"};
    return {done, names[int(end)]};
  }

 private:
  std::unique_ptr<Steps> steps_;
  std::int64_t n_features_;
  int n_classes_;
  bool weighted_;
};

}  // namespace

void bind_steps(nb::module_& m) {
  m.def("native_heads", &head_names);
  m.def("native_losses", &loss_names);
  m.def("native_optimizers", &optimizer_names);
  nb::class_<StepsHandle>(m, "Steps")
      .def(nb::init<StepsProgram&, std::int64_t, std::int64_t, std::int64_t, Ints1, const std::string&, bool, double,
                    Ints1, Ints1, Ints1, Vector1, Numbers, Ints, Numbers, Ints, double, bool, int,
                    Ints1, Ints1, Vector1, Vector1, const std::string&, std::vector<int>, const std::string&, bool, int,
                    const std::string&, int, double, Vector1,
                    const std::string&, Vector1, Ints1, std::int64_t, Bytes1, double, bool>(),
           nb::keep_alive<1, 2>(), "program"_a, nb::kw_only(), "n_circuit"_a, "n_amplitudes"_a, "n_features"_a,
           "input_sizes"_a, "input_activation"_a, "input_bias"_a, "input_scale"_a, "column_kinds"_a, "column_starts"_a,
           "column_indices"_a, "column_centres"_a, "shared_numbers"_a,
           "shared_indices"_a, "sample_numbers"_a, "sample_indices"_a, "pad_with"_a, "normalize"_a, "copies"_a,
           "observable_start"_a, "observable_string"_a, "observable_value"_a, "observable_constant"_a, "head"_a,
           "head_hidden"_a, "head_activation"_a, "head_bias"_a, "n_outputs"_a, "loss"_a, "n_classes"_a, "delta"_a,
           "class_weights"_a, "optimizer"_a, "optimizer_numbers"_a, "layers"_a, "n_layers"_a, "frozen"_a, "clip_norm"_a, "one_bundle"_a)
      .def("as_matrix", &StepsHandle::as_matrix, "batch"_a)
      .def("run", &StepsHandle::run, nb::kw_only(), "features"_a, "targets"_a, "rows"_a, "offsets"_a,
           "learning_rates"_a, "seconds"_a, "steps_before"_a, "parameters"_a, "optimizer"_a, "metrics"_a,
           "layer_norms"_a, "gradient_steps"_a, "gradients"_a, "parameter_steps"_a, "after"_a, "stop"_a, "rank"_a = 0,
           "n_ranks"_a = 1, "gather"_a = nb::none(), "memory"_a = nb::none(), "exchange"_a = 0,
           "refuse"_a = nb::none());
}

}  // namespace qmltrain
