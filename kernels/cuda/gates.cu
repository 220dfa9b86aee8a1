// gates.cu - the baseline of a benchmark, engine.fusion=false: one in-place launch per gate, states in global memory
// between. It shows what fusion gains; every launch reads and writes each amplitude once. Launched by
// qmltrain.engines.cuda.unfused. Backward un-applies the gate on psi and bra and leaves one row of sums per block.
#include "portable.cuh"

// value * (cosine + i sine)
__device__ __forceinline__ Complex times_phase(Complex value, Real cosine, Real sine) {
  Complex by;
  by.x = cosine;
  by.y = sine;
  return times(by, value);
}

// Sum over the threads of a block in a fixed order; thread 0 gets it. A row never mixes samples: see the grids.
__device__ __forceinline__ Real block_sum(Real value, Real* shared, int width) {
#pragma unroll
  for (int step = 16; step; step >>= 1)
    if (step < width) value += __shfl_xor_sync(~0u, value, step);
  if (width <= 32) return value;
  __syncthreads();
  if (!(threadIdx.x & 31)) shared[threadIdx.x >> 5] = value;
  __syncthreads();
  Real sum = 0;
  const int first = (threadIdx.x / width) * (width / 32);
  for (int w = 0; w < width / 32; ++w) sum += shared[first + w];
  return sum;
}

struct PairArguments {
  Complex *psi, *bra;
  const Real* factor;  // (1 or samples, 6): cos, sin of alpha/2, beta/2, gamma/2
  Real* sums;          // (rows, 3)
  long long pairs;     // of all samples
  int pair_mask, parity_mask, pivot, address_bits, per_sample, measures;
};

// RZ(gamma) RY(beta) RZ(alpha) on the pairs (z, z ^ pair_mask); the bit at z is parity(z & parity_mask). Pairs are
// counted by z without the bit `pivot`, which is the highest of pair_mask. One thread a pair; a row is
// min(256, 2^(n-1)) pairs of one sample. grid: ceil(pairs / 256); block: 256; dynamic shared memory: 8 Real
template <bool BACKWARD> __device__ __forceinline__ void pair_gate(const PairArguments& A) {
  DYNAMIC_SHARED(Real, shared);
  const long long pair = blockIdx.x * 256ll + threadIdx.x;
  const bool inside = pair < A.pairs;
  const int half_bits = A.address_bits - 1;
  const long long sample = inside ? pair >> half_bits : 0;
  const unsigned within = (unsigned)(pair & ((1ll << half_bits) - 1)), low = within & ((1u << A.pivot) - 1u);
  const unsigned lower = ((within ^ low) << 1) | low, upper = lower ^ (unsigned)A.pair_mask;
  const bool swapped = parity(lower & (unsigned)A.parity_mask);
  const long long base = sample << A.address_bits;
  const long long zero = base + (swapped ? upper : lower), one = base + (swapped ? lower : upper);
  const Real* f = A.factor + (A.per_sample ? 6 * sample : 0);
  const Real ca = f[0], sa = f[1], cb = f[2], sb = f[3], cg = f[4], sg = f[5];
  Real x = 0, y = 0, z = 0;
  if (inside) {
    Complex p0 = A.psi[zero], p1 = A.psi[one];
    if (!BACKWARD) {
      p0 = times_phase(p0, ca, -sa);
      p1 = times_phase(p1, ca, sa);
      Complex q0, q1;
      q0.x = cb * p0.x - sb * p1.x;
      q0.y = cb * p0.y - sb * p1.y;
      q1.x = sb * p0.x + cb * p1.x;
      q1.y = sb * p0.y + cb * p1.y;
      A.psi[zero] = times_phase(q0, cg, -sg);
      A.psi[one] = times_phase(q1, cg, sg);
    } else {
      Complex b0 = times_phase(A.bra[zero], cg, sg), b1 = times_phase(A.bra[one], cg, -sg);
      p0 = times_phase(p0, cg, sg);
      p1 = times_phase(p1, cg, -sg);
      x = w_of(b0, p1) + w_of(b1, p0);  // right after the RY
      y = b1.x * p0.x + b1.y * p0.y - b0.x * p1.x - b0.y * p1.y;
      z = w_of(b0, p0) - w_of(b1, p1);
      Complex q0, q1;
      q0.x = cb * p0.x + sb * p1.x;
      q0.y = cb * p0.y + sb * p1.y;
      q1.x = cb * p1.x - sb * p0.x;
      q1.y = cb * p1.y - sb * p0.y;
      A.psi[zero] = times_phase(q0, ca, sa);
      A.psi[one] = times_phase(q1, ca, -sa);
      q0.x = cb * b0.x + sb * b1.x;
      q0.y = cb * b0.y + sb * b1.y;
      q1.x = cb * b1.x - sb * b0.x;
      q1.y = cb * b1.y - sb * b0.y;
      A.bra[zero] = times_phase(q0, ca, sa);
      A.bra[one] = times_phase(q1, ca, -sa);
    }
  }
  if (!BACKWARD || !A.measures) return;
  const int width = half_bits >= 8 ? 256 : 1 << half_bits;
  const Real sums[3] = {block_sum(x, shared, width), block_sum(y, shared, width), block_sum(z, shared, width)};
  if (inside && !(threadIdx.x & (width - 1)))
    for (int i = 0; i < 3; ++i) A.sums[pair / width * 3 + i] = sums[i];
}
KERNEL __launch_bounds__(256) pair_gate_forward(const PairArguments arguments) { pair_gate<false>(arguments); }
KERNEL __launch_bounds__(256) pair_gate_backward(const PairArguments arguments) { pair_gate<true>(arguments); }
EXPORT_KERNEL(pair_gate_forward)
EXPORT_KERNEL(pair_gate_backward)

struct PhaseArguments {
  Complex *psi, *bra;
  const int* mask;         // (terms)
  const Real* cycles;  // (1 or samples, terms)
  Real* sums;              // (rows, terms)
  long long amplitudes;    // of all samples
  int terms, address_bits, per_sample, measures;
};

// exp(-i pi sum_t cycles_t (-1)^parity(z & mask_t)). One thread per amplitude; a row is min(256, 2^n) amplitudes of
// one sample. grid: ceil(amplitudes / 256); block: 256; dynamic shared memory: 8 Real
template <bool BACKWARD> __device__ __forceinline__ void phase_gate(const PhaseArguments& A) {
  DYNAMIC_SHARED(Real, shared);
  const long long i = blockIdx.x * 256ll + threadIdx.x;
  const bool inside = i < A.amplitudes;
  const long long sample = inside ? i >> A.address_bits : 0;
  const unsigned z = (unsigned)(i & ((1ll << A.address_bits) - 1));
  const Real* cycles = A.cycles + (A.per_sample ? sample * A.terms : 0);
  Real w = 0;
  if (inside) {
    Real sum = 0;
    for (int t = 0; t < A.terms; ++t) sum += parity(z & (unsigned)A.mask[t]) ? -cycles[t] : cycles[t];
    Real sine, cosine;
    sincos_pi(sum, &sine, &cosine);
    const Complex psi = A.psi[i];
    A.psi[i] = times_phase(psi, cosine, BACKWARD ? sine : -sine);
    if (BACKWARD) {
      const Complex bra = A.bra[i];
      w = w_of(bra, psi);
      A.bra[i] = times_phase(bra, cosine, sine);
    }
  }
  if (!BACKWARD || !A.measures) return;
  const int width = A.address_bits >= 8 ? 256 : 1 << A.address_bits;
  for (int t = 0; t < A.terms; ++t) {
    const Real sum = block_sum(parity(z & (unsigned)A.mask[t]) ? -w : w, shared, width);
    if (inside && !(threadIdx.x & (width - 1))) A.sums[i / width * A.terms + t] = sum;
  }
}
KERNEL __launch_bounds__(256) phase_gate_forward(const PhaseArguments arguments) { phase_gate<false>(arguments); }
KERNEL __launch_bounds__(256) phase_gate_backward(const PhaseArguments arguments) { phase_gate<true>(arguments); }
EXPORT_KERNEL(phase_gate_forward)
EXPORT_KERNEL(phase_gate_backward)
