// vectors.cu - everything around the passes: tables, start states, expectation values, bras, sums in a fixed order.
// Compiled with -DREAL only. Launched by qmltrain.engines.cuda.vectors and .fused; the twins in NumPy are in
// tests/engines/cuda/test_vectors.py.
#include "diagonals.cuh"
#include "portable.cuh"

// ---- tables of the shared diagonals, once per step
//
// table[d][e < threads]       = exp(-i pi sum of +-cycles over the entries of thread bits, and of a register bit at 0)
// table[d][threads + r]       = exp(2 i pi sum of cycles over the entries of register bit r alone): its bit at 1
// table[d][threads + 4 + j]   = exp(-i pi sum of +-cycles over the entries of several register bits), -1 times that
//                               where bit j of range[d].z is set
// entry: {coordinate mask: bits 0..3 registers, 4.. threads, index into cycles}
// range[d]: {first entry, entries, signs, unused}; see diagonals.cuh. grid: tables; block: 256
KERNEL __launch_bounds__(256)
    prepare_tables(const int4* range, const int2* entry, const double* cycles, Complex* table, int threads) {
  const int4 mine = range[blockIdx.x];
  const int numbers = threads + RATIOS + JOINT;
  for (int e = threadIdx.x; e < numbers; e += 256) {
    const int ratio = e - threads, joint = ratio - RATIOS;  // which one; negative: none
    double sum = joint >= 0 ? mine.z >> joint & 1 : 0;
    for (int i = 0; i < mine.y; ++i) {
      const int2 term = entry[mine.x + i];
      const unsigned coordinates = (unsigned)term.x, registers = coordinates & 15u;
      const bool alone = __popc(registers) == 1;
      const double value = cycles[term.y];
      if (ratio < 0 && (!registers || alone))
        sum += parity((unsigned)e & (coordinates >> 4)) ? -value : value;
      else if (joint >= 0 && registers && !alone)
        sum += parity((unsigned)joint & registers) ? -value : value;
      else if (ratio >= 0 && joint < 0 && registers == 1u << ratio)
        sum -= 2 * value;
    }
    double sine, cosine;
    sincos_pi(sum, &sine, &cosine);
    Complex factor;
    factor.x = (Real)cosine;
    factor.y = (Real)-sine;
    table[(size_t)blockIdx.x * numbers + e] = factor;
  }
}
EXPORT_KERNEL(prepare_tables)

// ---- per-sample angles, once per chunk: angle = coefficient * slot + offset, in double
//
// shears:     out[sample][column] = {tan(angle/4), sin(angle/2)}, angle reduced to [-pi, pi]
// cycles:     out[sample][column] = angle / 2 pi, reduced to [-1/2, 1/2]         (2 pi more is a global sign)
// affine: {coefficient, offset}; samples beyond the batch get angle 0. grid: ceil(samples * columns / 256); block: 256
__device__ __forceinline__ double reduced_cycles(const double* slots, const int* slot, const double2* affine,
                                                long long sample, int column, int n_slots, long long batch) {
  if (sample >= batch) return 0;
  const double cycles =
      (affine[column].x * slots[sample * n_slots + slot[column]] + affine[column].y) * 0.15915494309189533577;
  return cycles - rint(cycles);
}
KERNEL __launch_bounds__(256) sample_shears(const double* slots, const int* slot, const double2* affine, Complex* out,
                                            int columns, int n_slots, long long batch, long long total) {
  const long long i = blockIdx.x * 256ll + threadIdx.x;
  if (i >= total) return;
  const double cycles = reduced_cycles(slots, slot, affine, i / columns, (int)(i % columns), n_slots, batch);
  double sine, cosine, quarter_sine, quarter_cosine;
  sincos_pi(cycles, &sine, &cosine);  // of angle / 2
  sincos_pi(cycles / 2, &quarter_sine, &quarter_cosine);
  Complex shear;
  shear.x = (Real)(quarter_sine / quarter_cosine);
  shear.y = (Real)sine;
  out[i] = shear;
}
EXPORT_KERNEL(sample_shears)
KERNEL __launch_bounds__(256) sample_cycles(const double* slots, const int* slot, const double2* affine, Real* out,
                                                int columns, int n_slots, long long batch, long long total) {
  const long long i = blockIdx.x * 256ll + threadIdx.x;
  if (i >= total) return;
  out[i] = (Real)reduced_cycles(slots, slot, affine, i / columns, (int)(i % columns), n_slots, batch);
}
EXPORT_KERNEL(sample_cycles)

// ---- start states: psi[sample][z], |0> or real amplitudes for z < 2^n (zero above, and in rows beyond the batch)
//
// grid: ceil(total / 256); block: 256; initial: (batch, 2^qubits) or null
KERNEL __launch_bounds__(256)
    start_state(Complex* psi, const Real* initial, int qubits, int address_bits, long long batch, long long total) {
  const long long i = blockIdx.x * 256ll + threadIdx.x;
  if (i >= total) return;
  const long long sample = i >> address_bits, z = i & ((1ll << address_bits) - 1);
  Complex value;
  value.x = value.y = 0;
  if (!initial)
    value.x = z == 0 ? Real(1) : Real(0);
  else if (sample < batch && z < (1ll << qubits))
    value.x = initial[(sample << qubits) + z];
  psi[i] = value;
}
EXPORT_KERNEL(start_state)

// ---- sums over the amplitudes of each sample
//
// A block owns 4096 amplitudes, 16 per thread: a part of one sample (n >= 12) or 2^(12-n) whole samples. Each
// thread adds up its own; one row a part (or sample) comes out: warp butterfly, then warps in order. address_bits >= 4.
constexpr int PART_BITS = 12;

struct ThreadPart {
  long long sample, first;  // amplitudes first + i * stride, i < 16, of this sample
  int stride;
};
__device__ __forceinline__ ThreadPart part_of(int address_bits) {
  ThreadPart s;
  if (address_bits >= PART_BITS) {
    const long long block = blockIdx.x;
    s.sample = block >> (address_bits - PART_BITS);
    s.first = ((block & ((1ll << (address_bits - PART_BITS)) - 1)) << PART_BITS) + threadIdx.x;
    s.stride = 256;
  } else {
    s.stride = 1 << (address_bits - 4);
    s.sample = (blockIdx.x * 256ll + threadIdx.x) / s.stride;
    s.first = threadIdx.x & (s.stride - 1);
  }
  return s;
}
// Sum `mine` over the threads of one row and let one thread store it: out[row * stride]. All threads must call.
__device__ __forceinline__ void store_row(Real mine, Real* shared, int address_bits, long long rows, Real* out,
                                          int stride) {
  const int width = address_bits >= PART_BITS ? 256 : 1 << (address_bits - 4);  // threads a row
#pragma unroll
  for (int step = 1; step < 32; step <<= 1)
    if (step < width) mine += __shfl_xor_sync(~0u, mine, step);
  const int thread = threadIdx.x;
  if (width <= 32) {
    const long long row = (blockIdx.x * 256ll + thread) / width;
    if (!(thread & (width - 1)) && row < rows) out[row * stride] = mine;
    return;
  }
  if (!(thread & 31)) shared[thread >> 5] = mine;
  __syncthreads();
  const int per_row = width / 32, in_block = 8 / per_row;
  if (thread < in_block) {
    Real sum = 0;
    for (int w = 0; w < per_row; ++w) sum += shared[thread * per_row + w];
    const long long row = (long long)blockIdx.x * in_block + thread;
    if (row < rows) out[row * stride] = sum;
  }
  __syncthreads();
}

// A Pauli string moves the amplitude at z to z ^ x with the factor (real, imaginary) * (-1)^parity(z & z_mask); one of
// real, imaginary is zero. string: {x, z_mask, real, imaginary} with factors -1, 0, 1.
//
// rows[row][m] = sum over the part of Re(conj(psi[z ^ x]) factor(z) psi[z])
// grid: ceil(samples * 2^n / 4096); block: 256; dynamic shared memory: 8 Real
KERNEL __launch_bounds__(256) expectations(const Complex* psi, const int4* string, int strings, int address_bits,
                                           long long samples, long long rows, Real* out) {
  DYNAMIC_SHARED(Real, shared);
  const ThreadPart s = part_of(address_bits);
  const bool inside = s.sample < samples;
  const Complex* state = psi + (inside ? s.sample << address_bits : 0);
  Complex mine[16];
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    mine[i].x = mine[i].y = 0;
    if (inside) mine[i] = state[s.first + i * s.stride];
  }
  for (int m = 0; m < strings; ++m) {
    const int4 p = __ldg(string + m);
    Real sum = 0;
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const unsigned z = (unsigned)(s.first + i * s.stride);
      Complex other = mine[i];
      if (p.x && inside) other = state[z ^ (unsigned)p.x];
      const Real even = multiply_add(other.x, mine[i].x, other.y * mine[i].y), odd = -w_of(other, mine[i]);
      const Real value = p.z ? p.z * even : p.w * odd;  // Re((real + i imaginary) conj(other) mine)
      sum += parity(z & (unsigned)p.y) ? -value : value;
    }
    store_row(sum, shared, address_bits, rows, out + m, strings);
  }
}
EXPORT_KERNEL(expectations)

// rows[row] = sum over the part of |psi - start|^2, start as in start_state. Same geometry as expectations.
KERNEL __launch_bounds__(256) distances(const Complex* psi, const Real* initial, int qubits, int address_bits,
                                        long long samples, long long rows, Real* out) {
  DYNAMIC_SHARED(Real, shared);
  const ThreadPart s = part_of(address_bits);
  Real sum = 0;
  if (s.sample < samples)
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const long long z = s.first + i * s.stride;
      const Complex value = psi[(s.sample << address_bits) + z];
      Real start = z == 0 ? Real(1) : Real(0);
      if (initial) start = z < (1ll << qubits) ? initial[(s.sample << qubits) + z] : Real(0);
      const Real x = value.x - start;
      sum = multiply_add(x, x, multiply_add(value.y, value.y, sum));
    }
  store_row(sum, shared, address_bits, rows, out, 1);
}
EXPORT_KERNEL(distances)

// bra[z] = sum_m cotangent[sample][column_m] (P_m psi)[z] for samples < batch, zero for others; strings as in
// expectations, sorted by x, column_m the place of string m in the caller's order. cotangent: (batch, strings) double
// grid: ceil(total / 256); block: 256
KERNEL __launch_bounds__(256)
    start_bra(const Complex* psi, Complex* bra, const int4* string, const int* column, int strings,
              const double* cotangent, int address_bits, long long batch, long long total) {
  const long long i = blockIdx.x * 256ll + threadIdx.x;
  if (i >= total) return;
  const long long sample = i >> address_bits;
  const unsigned z = (unsigned)(i & ((1ll << address_bits) - 1));
  const Complex* state = psi + (sample << address_bits);
  const double* c_of_sample = cotangent + sample * strings;
  Complex sum, source = state[z];
  sum.x = sum.y = 0;
  unsigned x = 0;
  for (int m = 0; m < (sample < batch ? strings : 0); ++m) {
    const int4 p = __ldg(string + m);
    if ((unsigned)p.x != x) {
      x = (unsigned)p.x;
      source = state[z ^ x];
    }
    const Real c_m = (Real)c_of_sample[__ldg(column + m)];
    const Real c = parity((z ^ x) & (unsigned)p.y) ? -c_m : c_m;
    const Real real = c * p.z, imaginary = c * p.w;
    sum.x = multiply_add(real, source.x, multiply_add(-imaginary, source.y, sum.x));
    sum.y = multiply_add(real, source.y, multiply_add(imaginary, source.x, sum.y));
  }
  bra[i] = sum;
}
EXPORT_KERNEL(start_bra)

// ---- sums of rows, in double and in one fixed order: eight classes of rows (r mod 8) in order, then the classes
//
// chosen[k] = {c, t}: out[group * out_stride + t] = sum over rows [group * rows_per_group, ...) of
// values[row * row_stride + c * column_stride]; a negative t means minus the sum, at -1 - t
// grid: groups * ceil(columns / 32); block: 256; dynamic shared memory: 256 double
KERNEL __launch_bounds__(256)
    sum_rows(const Real* values, const int2* chosen, double* out, long long rows, long long rows_per_group, int columns,
             long long row_stride, long long column_stride, long long out_stride) {
  DYNAMIC_SHARED(double, partial);
  const int pieces = (columns + 31) / 32, thread = threadIdx.x;
  const long long group = blockIdx.x / pieces;
  const int column = (int)(blockIdx.x % pieces) * 32 + (thread & 31), row_class = thread >> 5;
  const long long first = group * rows_per_group, end = first + rows_per_group < rows ? first + rows_per_group : rows;
  double sum = 0;
  if (column < columns) {
    const Real* from = values + chosen[column].x * column_stride;
    for (long long r = first + row_class; r < end; r += 8) sum += from[r * row_stride];
  }
  partial[thread] = sum;
  __syncthreads();
  if (row_class == 0 && column < columns) {
    for (int c = 1; c < 8; ++c) sum += partial[c * 32 + thread];
    const int target = chosen[column].y;
    out[group * out_stride + (target < 0 ? -1 - target : target)] = target < 0 ? -sum : sum;
  }
}
EXPORT_KERNEL(sum_rows)
