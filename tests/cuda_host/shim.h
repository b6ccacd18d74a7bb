// SPDX-License-Identifier: GPL-3.0-or-later
// What the .cu sources use of CUDA, for a host compiler: they run as they are, without a GPU.
//
// Each thread of a block has a stack of its own (a fibre) and runs until it must wait: for the block at a barrier, for
// its warp at a shuffle or a vote. Fibres go on in a fresh random order each time, so that code which only works in one
// order is found out. What would hang or is undefined on a GPU ends with a message: a barrier that a thread does not
// reach, lanes of one warp at different operations, a lane that has left but is asked for.
#pragma once

#include <cmath>
#include <cstdint>

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __shared__ static

struct Index {
    unsigned x, y, z;
};

extern Index threadIdx, blockIdx, blockDim, gridDim;

namespace shim {

enum class Operation { none, barrier, count, up, from, exchange, vote };

// The whole block waits; returns how many threads came with true.
int wait_for_block(Operation operation, bool predicate);

// The whole warp waits; returns the value that lane `source` of it came with (vote: a bit for each lane that came
// with not 0).
std::uint64_t wait_for_warp(Operation operation, unsigned mask, std::uint64_t value, int source);

int lane();

template <class T>
std::uint64_t bits(T value) {
    static_assert(sizeof(T) <= 8, "a shuffle takes at most 8 bytes");
    std::uint64_t word = 0;
    __builtin_memcpy(&word, &value, sizeof value);
    return word;
}

template <class T>
T value_of(std::uint64_t word) {
    T value;
    __builtin_memcpy(&value, &word, sizeof value);
    return value;
}

}  // namespace shim

inline void __syncthreads() { shim::wait_for_block(shim::Operation::barrier, false); }
inline int __syncthreads_count(int predicate) { return shim::wait_for_block(shim::Operation::count, predicate != 0); }

template <class T>
T __shfl_sync(unsigned mask, T value, int source) {
    return shim::value_of<T>(shim::wait_for_warp(shim::Operation::from, mask, shim::bits(value), source));
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, int delta) {
    const int source = shim::lane() - delta;
    const std::uint64_t other =
        shim::wait_for_warp(shim::Operation::up, mask, shim::bits(value), source < 0 ? shim::lane() : source);
    return shim::value_of<T>(other);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes) {
    const int source = shim::lane() ^ lanes;
    return shim::value_of<T>(shim::wait_for_warp(shim::Operation::exchange, mask, shim::bits(value), source));
}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
    return static_cast<unsigned>(shim::wait_for_warp(shim::Operation::vote, mask, predicate != 0, 0));
}

inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }

inline int __ffs(int value) { return __builtin_ffs(value); }
inline int __clz(int value) { return value == 0 ? 32 : __builtin_clz(static_cast<unsigned>(value)); }

// One thread runs at a time; that it is atomic, ThreadSanitizer must see.
inline int atomicAdd(int* to, int value) { return __atomic_fetch_add(to, value, __ATOMIC_RELAXED); }

template <class T>
T __ldg(const T* from) {
    return *from;
}
