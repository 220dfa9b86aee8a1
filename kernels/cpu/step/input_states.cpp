// InputStates: see input_states.hpp. That rows of a data set can be encoded has been checked with the data; of outputs
// of layers that cannot be, states are not finite.
#include "input_states.hpp"

#include <algorithm>
#include <cmath>

namespace qmltrain {

namespace {

// The largest magnitude of n numbers, an even number of them.
double largest(const double* x, std::size_t n) {
  double a = 0, b = 0;
  for (std::size_t k = 0; k < n; k += 2) {
    const double even = std::fabs(x[k]), odd = std::fabs(x[k + 1]);
    a = even > a ? even : a, b = odd > b ? odd : b;
  }
  return a > b ? a : b;
}

// a . b of n numbers, a power of two: in four sums that do not wait for each other.
double dot(const double* a, const double* b, std::size_t n) {
  if (n == 2) return a[0] * b[0] + a[1] * b[1];
  double sum[4] = {};
  for (std::size_t k = 0; k < n; k += 4)
    for (std::size_t j = 0; j < 4; j++) sum[j] += a[k + j] * b[k + j];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace

void InputStates::states(const SampleRows& numbers, int count, double* to, double* scratch) const {
  if (copies == 1) return of_one_copy(numbers, count, to, nullptr);
  of_one_copy(numbers, count, scratch, nullptr);
  for (std::size_t i = 0; i < std::size_t(count); i++) power(scratch + size() * i, copies, to + whole_size() * i);
}

void InputStates::gradients(const SampleRows& numbers, int count, double* bras, std::size_t n_columns, double* to,
                            double* scratch) const {
  const std::size_t S = size(), B = std::size_t(count);
  double *states = scratch, *norms = states + S * B, *h = norms + B, *others = h + S;
  of_one_copy(numbers, count, states, norms);
  for (std::size_t i = 0; i < B; i++, to += n_columns) {
    const double* s = states + S * i;
    power_gradient(bras + whole_size() * i, s, h, others);
    if (normalize) {
      const double along = dot(h, s, S);
      for (std::size_t k = 0; k < n_features; k++) to[k] += 2.0 * (h[k] - along * s[k]) / norms[i];
    } else {
      for (std::size_t k = 0; k < n_features; k++) to[k] += 2.0 * h[k];
    }
  }
}

// s (count, S), and |p| (count) where norms is not nullptr and states are normalised.
void InputStates::of_one_copy(const SampleRows& numbers, int count, double* to, double* norms) const {
  const std::size_t S = size(), F = n_features;
  for (int i = 0; i < count; i++) {
    const double* x = numbers[i];
    double* state = to + S * std::size_t(i);
    std::copy(x, x + F, state);
    std::fill(state + F, state + S, pad_with);
  }
  if (!normalize) return;
  for (int i = 0; i < count; i++) {  // scaled before squaring, so that no finite row overflows or vanishes
    double* state = to + S * std::size_t(i);
    const double factor = largest(state, S);
    for (std::size_t k = 0; k < S; k++) state[k] /= factor;
    if (norms) norms[i] = factor;
  }
  // Squares are added one after the other, which takes long; so those of a few samples are, side by side.
  constexpr int kBeside = 4;
  for (int begin = 0; begin < count; begin += kBeside) {
    const int n = std::min(kBeside, count - begin);
    const double* states[kBeside];
    for (int j = 0; j < kBeside; j++) states[j] = to + S * std::size_t(begin + std::min(j, n - 1));
    double squares[kBeside] = {};
    for (std::size_t k = 0; k < S; k++)
      for (int j = 0; j < kBeside; j++) squares[j] += states[j][k] * states[j][k];
    for (int j = 0; j < n; j++) {
      double* state = to + S * std::size_t(begin + j);
      const double length = std::sqrt(squares[j]);
      for (std::size_t k = 0; k < S; k++) state[k] /= length;
      if (norms) norms[begin + j] *= length;
    }
  }
}

// s (x) s (x) ... of so many factors: (S^factors).
void InputStates::power(const double* s, int factors, double* to) const {
  const std::size_t S = size();
  std::copy_n(s, S, to);
  std::size_t n = S;
  for (int f = 1; f < factors; f++, n *= S)
    for (std::size_t i = n; i--;) {  // from the end: number i is read before anything is written where it lies
      const double factor = to[i];
      for (std::size_t j = 0; j < S; j++) to[S * i + j] = factor * s[j];
    }
}

// h of one sample from g (N), which is overwritten; others (N / S). The last copy first: its part of h is the product
// of all others with g, and g times s over its index is the g of one copy less.
void InputStates::power_gradient(double* g, const double* s, double* h, double* others) const {
  const std::size_t S = size();
  std::fill_n(h, S, 0.0);
  std::size_t n = whole_size() / S;
  for (int left = copies - 1; left; left--, n /= S) {
    power(s, left, others);
    for (std::size_t i = 0; i < n; i++) {
      const double *row = g + S * i, other = others[i];
      for (std::size_t j = 0; j < S; j++) h[j] += other * row[j];
      g[i] = dot(row, s, S);  // row i + 1 and those behind it lie beyond
    }
  }
  for (std::size_t j = 0; j < S; j++) h[j] += g[j];
}

}  // namespace qmltrain
