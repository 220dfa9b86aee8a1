// Activations of dense layers, by the names of qmltrain/training/activations.py.
#pragma once
#include <stdexcept>
#include <string>

#include "step_kernels.hpp"

namespace qmltrain {

// Throws std::invalid_argument for a name that is not known.
inline ActivationKind activation_of(const std::string& name) {
  if (name == "none") return kIdentity;
  if (name == "tanh") return kTanh;
  if (name == "relu") return kRelu;
  if (name == "sigmoid") return kSigmoid;
  throw std::invalid_argument("no activation is called " + name);
}

}  // namespace qmltrain
