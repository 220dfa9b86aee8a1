// Losses of a unit's samples: value, cotangent of the mean over the batch, and whether the prediction is the target.
//
// The formulas, and why they are written so, are those of qmltrain/training/losses.py, which judges these.
#pragma once
#include "step_sums.hpp"

namespace {

using qmltrain::LossCall;

constexpr double kOne = 1.0;

// With the greatest output shifted to 0; the prediction is the first of the greatest.
void cross_entropy(const LossCall& call) {
  const std::size_t C = std::size_t(call.n_outputs);
  for (int v = 0; v < vectors(call.count); v++) {
    const VD target = lanes_of(call.targets, 0, v), weight = lanes_of(call.weights, 0, v);
    VD most = lanes_of(call.outputs, 0, v), best{};
    for (std::size_t c = 1; c < C; c++) {
      const VD o = lanes_of(call.outputs, c, v);
      const VL more = o > most;
      best = pick(more, splat(double(c)), best), most = pick(more, o, most);
    }
    VD total{}, of_target{};
    for (std::size_t c = 0; c < C; c++) {
      const VD shifted = lanes_of(call.outputs, c, v) - most, e = exponential(shifted);
      of_target = pick(target == double(c), shifted, of_target);
      lanes_of(call.cotangents, c, v) = e;
      total += e;
    }
    lanes_of(call.values, 0, v) = (logarithm(total) - of_target) * weight;
    lanes_of(call.hits, 0, v) = pick(best == target, lanes_of(call.used, 0, v), VD{});
    const VD factor = weight * call.inverse_batch, inverse = factor / total;
    for (std::size_t c = 0; c < C; c++) {
      VD& cotangent = lanes_of(call.cotangents, c, v);
      cotangent = cotangent * inverse - pick(target == double(c), factor, VD{});
    }
  }
}

struct OneOutput { VD value, cotangent; VL hit; };

// of(output, target) for losses of one output.
template <class Loss> INLINE void one_output(const LossCall& call, Loss of) {
  for (int v = 0; v < vectors(call.count); v++) {
    const VD weight = lanes_of(call.weights, 0, v);
    const OneOutput found = of(lanes_of(call.outputs, 0, v), lanes_of(call.targets, 0, v));
    lanes_of(call.values, 0, v) = found.value * weight;
    lanes_of(call.cotangents, 0, v) = found.cotangent * (weight * call.inverse_batch);
    lanes_of(call.hits, 0, v) = call.classes ? pick(found.hit, lanes_of(call.used, 0, v), VD{}) : VD{};
  }
}

void binary_cross_entropy(const LossCall& call) {
  one_output(call, [](VD z, VD target) {
    const VD one = splat(kOne), decay = exponential(-magnitude(z));
    const VD positive = pick(z > 0.0, z, VD{});
    const VD value = (positive - target * z) + logarithm_of_1_plus(decay);
    const VD sigmoid = pick(z >= 0.0, one, decay) / (decay + 1.0);
    return OneOutput{value, sigmoid - target, pick(z > 0.0, one, VD{}) == target};
  });
}

void squared_error(const LossCall& call) {
  one_output(call, [](VD o, VD target) {
    const VD d = o - target;
    return OneOutput{d * d, 2.0 * d, pick(o > 0.0, splat(kOne), splat(-kOne)) == target};
  });
}

void hinge(const LossCall& call) {
  one_output(call, [](VD o, VD sign) {
    const VD missing = 1.0 - sign * o;
    return OneOutput{pick(missing > 0.0, missing, VD{}), pick(sign * o < 1.0, -sign, VD{}),
                     pick(o > 0.0, splat(kOne), splat(-kOne)) == sign};
  });
}

void huber(const LossCall& call) {
  const VD delta = splat(call.delta);
  one_output(call, [delta](VD o, VD target) {
    const VD d = o - target, distance = magnitude(d), near = pick(distance <= delta, distance, delta);
    return OneOutput{near * (distance - 0.5 * near), pick(distance <= delta, d, pick(d > 0.0, delta, -delta)), VL{}};
  });
}

void expectation(const LossCall& call) {
  one_output(call, [](VD o, VD) { return OneOutput{o, splat(kOne), VL{}}; });
}

void fidelity(const LossCall& call) {
  one_output(call, [](VD o, VD) { return OneOutput{1.0 - o, splat(-kOne), VL{}}; });
}

void unhinged(const LossCall& call) {
  one_output(call, [](VD o, VD sign) {
    return OneOutput{1.0 - sign * o, -sign, pick(o > 0.0, splat(kOne), splat(-kOne)) == sign};
  });
}

// The prediction is the sign of the sum of the outputs.
void weighted_fidelity(const LossCall& call) {
  const std::size_t C = std::size_t(call.n_outputs);
  const double *weights_0 = call.parameters, *weights_1 = weights_0 + C;
  for (int v = 0; v < vectors(call.count); v++) {
    const VD target = lanes_of(call.targets, 0, v), weight = lanes_of(call.weights, 0, v);
    const VD factor = weight * call.inverse_batch;
    VD squares{}, total{};
    for (std::size_t k = 0; k < C; k++) {
      const VD o = lanes_of(call.outputs, k, v), fidelity_0 = 0.5 - 0.5 * o, fidelity_1 = 0.5 + 0.5 * o;
      const VD missing_0 = weights_0[k] * fidelity_0 - (1.0 - target), missing_1 = weights_1[k] * fidelity_1 - target;
      squares += missing_0 * missing_0 + missing_1 * missing_1, total += o;
      lanes_of(call.cotangents, k, v) = 0.5 * (weights_1[k] * missing_1 - weights_0[k] * missing_0) * factor;
      lanes_of(call.of_parameters, k, v) = missing_0 * fidelity_0 * factor;
      lanes_of(call.of_parameters, C + k, v) = missing_1 * fidelity_1 * factor;
    }
    lanes_of(call.values, 0, v) = 0.5 * squares * weight;
    lanes_of(call.hits, 0, v) = pick(pick(total > 0.0, splat(kOne), VD{}) == target, lanes_of(call.used, 0, v), VD{});
  }
}

}  // namespace
