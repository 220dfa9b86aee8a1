// Linear algebra over GF(2): vectors are masks, functionals f(u) = parity(f & u).
#pragma once
#include <algorithm>
#include <stdexcept>
#include <vector>

#include "plan.hpp"

namespace qmltrain {

// Unit vectors that complete `masks` (independent) to a basis, ascending; no lower ones do.
inline std::vector<Mask> complement(const std::vector<Mask>& masks, int bits) {
  std::vector<Mask> reduced;
  Mask pivots = 0;
  for (Mask m : masks) {
    for (Mask r : reduced)
      if (m >> (63 - __builtin_clzll(r)) & 1) m ^= r;
    if (!m) throw std::logic_error("masks of a group are dependent");
    const int p = 63 - __builtin_clzll(m);
    for (Mask& r : reduced)
      if (r >> p & 1) r ^= m;
    reduced.push_back(m), pivots |= Mask(1) << p;
  }
  std::vector<Mask> basis;
  for (int q = 0; q < bits; q++)
    if (!(pivots >> q & 1)) basis.push_back(Mask(1) << q);
  return basis;
}

inline bool independent(const std::vector<Mask>& masks) {
  std::vector<Mask> reduced;
  for (Mask m : masks) {
    for (Mask r : reduced) m = std::min(m, m ^ r);
    if (!m) return false;
    reduced.push_back(m);
  }
  return true;
}

// Vectors e_i with parity(f_j & e_i) = (i == j), for `bits` independent functionals.
inline std::vector<Mask> dual_basis(std::vector<Mask> f) {
  const std::size_t n = f.size();
  std::vector<Mask> combination(n);  // f_i reduced = sum of the original functionals in combination
  for (std::size_t i = 0; i < n; i++) combination[i] = Mask(1) << i;
  for (std::size_t q = 0; q < n; q++) {  // make f a permutation of unit functionals
    std::size_t i = q;
    while (!(f[i] >> q & 1)) i++;
    std::swap(f[i], f[q]), std::swap(combination[i], combination[q]);
    for (std::size_t j = 0; j < n; j++)
      if (j != q && f[j] >> q & 1) f[j] ^= f[q], combination[j] ^= combination[q];
  }
  // now bit q of u = sum of f_k(u) over k in combination[q], so e_k has bit q exactly when k is in combination[q]
  std::vector<Mask> e(n, 0);
  for (std::size_t q = 0; q < n; q++)
    for (std::size_t k = 0; k < n; k++)
      if (combination[q] >> k & 1) e[k] |= Mask(1) << q;
  return e;
}

inline std::vector<Mask> span(const std::vector<Mask>& basis, std::size_t first, std::size_t count) {
  std::vector<Mask> all(std::size_t(1) << count, 0);
  for (std::size_t i = 1; i < all.size(); i++) {
    const int p = 63 - __builtin_clzll(i);
    all[i] = all[i ^ (std::size_t(1) << p)] ^ basis[first + p];
  }
  return all;
}

}  // namespace qmltrain
