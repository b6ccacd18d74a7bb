# SPDX-License-Identifier: GPL-3.0-or-later
"""A source that compiles fast, with kernels that take different amounts of registers and shared memory."""

SMALL = """
#include "twice.h"
extern "C" __global__ void plain(float* a, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) a[i] = twice(a[i]);
}
extern "C" __global__ void sharing(float* a) {
    __shared__ float kept[256];
    kept[threadIdx.x] = a[threadIdx.x];
    __syncthreads();
    a[threadIdx.x] = kept[255 - threadIdx.x];
}
// A bound of 32 registers for 64 numbers that are all needed until the end.
extern "C" __global__ void __launch_bounds__(1024, 2) spilling(float* a) {
    float x[64];
    #pragma unroll
    for (int k = 0; k < 64; ++k) x[k] = a[k * 1024 + threadIdx.x];
    __syncthreads();
    #pragma unroll
    for (int k = 0; k < 64; ++k) a[k * 1024 + threadIdx.x] = x[k] * x[63 - k] + x[(k * 7) % 64];
}
"""
