// SPDX-License-Identifier: GPL-3.0-or-later
// What the shared headers need of a compiler, host's or GPU's.
#pragma once

#if defined(__CUDACC_RTC__)
// NVRTC has no standard headers.
namespace std {
using uint16_t = unsigned short;
using int32_t = int;
using uint32_t = unsigned int;
using int64_t = long long;
using uint64_t = unsigned long long;
}  // namespace std
#else
#include <cmath>
#include <cstdint>
#endif

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define SMALTI_INLINE __device__ __forceinline__
#define SMALTI_ONE_COPY __device__ __noinline__
#elif defined(_MSC_VER)
#define SMALTI_INLINE __forceinline
#define SMALTI_ONE_COPY __declspec(noinline) inline
#else
#define SMALTI_INLINE inline __attribute__((always_inline))
#define SMALTI_ONE_COPY inline __attribute__((noinline))
#endif

namespace smalti {

#if !defined(__CUDACC_RTC__)
using std::ceil, std::cos, std::exp, std::fabs, std::floor, std::fma, std::log2, std::pow, std::sin, std::sqrt;
#endif

template <class R>
SMALTI_INLINE R least(R a, R b) {
    return b < a ? b : a;
}

template <class R>
SMALTI_INLINE R most(R a, R b) {
    return a < b ? b : a;
}

template <class R>
SMALTI_INLINE R clamped(R value, R low, R high) {
    return value < low ? low : (value > high ? high : value);
}

SMALTI_INLINE float choose(bool condition, float a, float b) { return condition ? a : b; }
SMALTI_INLINE double choose(bool condition, double a, double b) { return condition ? a : b; }

// What one number of V is: of a vector of floats, float.
template <class V>
struct NumberType {
    using Type = float;
};
template <>
struct NumberType<double> {
    using Type = double;
};
template <class V>
using NumberOf = typename NumberType<V>::Type;

// Neither infinite nor not a number.
template <class R>
SMALTI_INLINE bool is_finite(R value) {
    return value - value == R(0);
}

}  // namespace smalti
