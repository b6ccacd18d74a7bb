// SPDX-License-Identifier: GPL-3.0-or-later
// Sixteen numbers at a time, the pixels of one row of a tile, on the vectors that the instruction set has: one of 16,
// two of 8 or four of 4. Written out, and not left to a compiler that makes vectors of loops: what it made of the same
// loop took up to three times as long after a change elsewhere in the function.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "plan.h"

// Always inlined, except under the sanitizers: their checks in every inlined copy make compiling a matter of minutes.
// All that uses it lies in a namespace of its instruction set, so the linker never takes one set's copy for another's.
#if defined(SMALTI_SANITIZED)
#define SMALTI_ISA_INLINE inline
#else
#define SMALTI_ISA_INLINE SMALTI_INLINE
#endif

namespace smalti {
namespace SMALTI_ISA {

#if defined(__AVX512BW__)
constexpr int kNative = 16;
#elif defined(__AVX2__)
constexpr int kNative = 8;
#else
constexpr int kNative = 4;
#endif

using NativeReals = float __attribute__((vector_size(4 * kNative)));
using NativeInts = std::int32_t __attribute__((vector_size(4 * kNative)));

// Integers, and what a comparison gives: -1 for true, 0 for false. Halves, down to what fits a register.
template <int n>
struct IntLanes {
    using Half = IntLanes<n / 2>;
    Half low, high;
    IntLanes() = default;
    SMALTI_ISA_INLINE IntLanes(Half l, Half h) : low(l), high(h) {}
    SMALTI_ISA_INLINE IntLanes(std::int32_t value) : low(value), high(value) {}
    SMALTI_ISA_INLINE friend IntLanes operator+(IntLanes a, IntLanes b) { return {a.low + b.low, a.high + b.high}; }
    SMALTI_ISA_INLINE friend IntLanes operator-(IntLanes a, IntLanes b) { return {a.low - b.low, a.high - b.high}; }
    SMALTI_ISA_INLINE friend IntLanes operator*(IntLanes a, IntLanes b) { return {a.low * b.low, a.high * b.high}; }
    SMALTI_ISA_INLINE friend IntLanes operator<<(IntLanes a, int bits) { return {a.low << bits, a.high << bits}; }
    SMALTI_ISA_INLINE friend IntLanes operator>>(IntLanes a, int bits) { return {a.low >> bits, a.high >> bits}; }
    SMALTI_ISA_INLINE friend IntLanes operator&(IntLanes a, IntLanes b) { return {a.low & b.low, a.high & b.high}; }
    SMALTI_ISA_INLINE void store(std::int32_t* to) const { low.store(to), high.store(to + n / 2); }
};

template <>
struct IntLanes<kNative> {
    NativeInts v;
    IntLanes() = default;
    SMALTI_ISA_INLINE IntLanes(NativeInts vector) : v(vector) {}
    SMALTI_ISA_INLINE IntLanes(std::int32_t value) : v(value - NativeInts{}) {}
    SMALTI_ISA_INLINE friend IntLanes operator+(IntLanes a, IntLanes b) { return a.v + b.v; }
    SMALTI_ISA_INLINE friend IntLanes operator-(IntLanes a, IntLanes b) { return a.v - b.v; }
    SMALTI_ISA_INLINE friend IntLanes operator*(IntLanes a, IntLanes b) { return a.v * b.v; }
    SMALTI_ISA_INLINE friend IntLanes operator<<(IntLanes a, int bits) { return a.v << bits; }
    SMALTI_ISA_INLINE friend IntLanes operator>>(IntLanes a, int bits) { return a.v >> bits; }
    SMALTI_ISA_INLINE friend IntLanes operator&(IntLanes a, IntLanes b) { return a.v & b.v; }
    SMALTI_ISA_INLINE void store(std::int32_t* to) const { std::memcpy(to, &v, sizeof v); }
};

template <int n>
struct RealLanes {
    using Half = RealLanes<n / 2>;
    Half low, high;
    RealLanes() = default;
    SMALTI_ISA_INLINE RealLanes(Half l, Half h) : low(l), high(h) {}
    SMALTI_ISA_INLINE RealLanes(float value) : low(value), high(value) {}
    SMALTI_ISA_INLINE static RealLanes load(const float* from) { return {Half::load(from), Half::load(from + n / 2)}; }
    SMALTI_ISA_INLINE void store(float* to) const { low.store(to), high.store(to + n / 2); }
    SMALTI_ISA_INLINE friend RealLanes operator+(RealLanes a, RealLanes b) { return {a.low + b.low, a.high + b.high}; }
    SMALTI_ISA_INLINE friend RealLanes operator-(RealLanes a, RealLanes b) { return {a.low - b.low, a.high - b.high}; }
    SMALTI_ISA_INLINE friend RealLanes operator*(RealLanes a, RealLanes b) { return {a.low * b.low, a.high * b.high}; }
    SMALTI_ISA_INLINE friend RealLanes operator/(RealLanes a, RealLanes b) { return {a.low / b.low, a.high / b.high}; }
    SMALTI_ISA_INLINE friend IntLanes<n> operator<(RealLanes a, RealLanes b) {
        return {a.low < b.low, a.high < b.high};
    }
    SMALTI_ISA_INLINE friend IntLanes<n> operator<=(RealLanes a, RealLanes b) {
        return {a.low <= b.low, a.high <= b.high};
    }
    SMALTI_ISA_INLINE friend RealLanes choose(IntLanes<n> mask, RealLanes a, RealLanes b) {
        return {choose(mask.low, a.low, b.low), choose(mask.high, a.high, b.high)};
    }
    SMALTI_ISA_INLINE friend IntLanes<n> truncated(RealLanes a) { return {truncated(a.low), truncated(a.high)}; }
};

template <>
struct RealLanes<kNative> {
    NativeReals v;
    RealLanes() = default;
    SMALTI_ISA_INLINE RealLanes(NativeReals vector) : v(vector) {}
    SMALTI_ISA_INLINE RealLanes(float value) : v(value - NativeReals{}) {}
    SMALTI_ISA_INLINE static RealLanes load(const float* from) {
        NativeReals v;
        std::memcpy(&v, from, sizeof v);
        return v;
    }
    SMALTI_ISA_INLINE void store(float* to) const { std::memcpy(to, &v, sizeof v); }
    SMALTI_ISA_INLINE friend RealLanes operator+(RealLanes a, RealLanes b) { return a.v + b.v; }
    SMALTI_ISA_INLINE friend RealLanes operator-(RealLanes a, RealLanes b) { return a.v - b.v; }
    SMALTI_ISA_INLINE friend RealLanes operator*(RealLanes a, RealLanes b) { return a.v * b.v; }
    SMALTI_ISA_INLINE friend RealLanes operator/(RealLanes a, RealLanes b) { return a.v / b.v; }
    SMALTI_ISA_INLINE friend IntLanes<kNative> operator<(RealLanes a, RealLanes b) { return NativeInts(a.v < b.v); }
    SMALTI_ISA_INLINE friend IntLanes<kNative> operator<=(RealLanes a, RealLanes b) { return NativeInts(a.v <= b.v); }
    SMALTI_ISA_INLINE friend RealLanes choose(IntLanes<kNative> mask, RealLanes a, RealLanes b) {
        return mask.v ? a.v : b.v;
    }
    SMALTI_ISA_INLINE friend IntLanes<kNative> truncated(RealLanes a) {
        return __builtin_convertvector(a.v, NativeInts);
    }
};

template <int n>
SMALTI_ISA_INLINE RealLanes<n> number(IntLanes<n> a) {
    if constexpr (n == kNative)
        return __builtin_convertvector(a.v, NativeReals);
    else
        return {number(a.low), number(a.high)};
}

// The same bits as another type.
template <int n>
SMALTI_ISA_INLINE IntLanes<n> bits_of(RealLanes<n> a) {
    if constexpr (n == kNative)
        return NativeInts(a.v);
    else
        return {bits_of(a.low), bits_of(a.high)};
}

template <int n>
SMALTI_ISA_INLINE RealLanes<n> real_of_bits(IntLanes<n> a) {
    if constexpr (n == kNative)
        return NativeReals(a.v);
    else
        return {real_of_bits(a.low), real_of_bits(a.high)};
}

using Reals = RealLanes<kTile>;
using Ints = IntLanes<kTile>;

SMALTI_ISA_INLINE Reals smaller(Reals a, Reals b) { return choose(a <= b, a, b); }
SMALTI_ISA_INLINE Reals larger(Reals a, Reals b) { return choose(a <= b, b, a); }
SMALTI_ISA_INLINE Reals least(Reals a, Reals b) { return smaller(a, b); }
SMALTI_ISA_INLINE Reals most(Reals a, Reals b) { return larger(a, b); }
SMALTI_ISA_INLINE Reals magnitude(Reals a) { return larger(a, Reals(0.0f) - a); }

// The base-2 logarithm of positive normal numbers, to about two units in the last place. A number is 2^e m with m about 1,
// and log2 m = 2 / ln 2 (s + s^3 / 3 + s^5 / 5 ...) with s = (m - 1) / (m + 1).
SMALTI_ISA_INLINE Reals log2(Reals x) {
    constexpr std::int32_t kRootHalf = 0x3f3504f3;
    const Ints exponent = (bits_of(x) - Ints(kRootHalf)) >> 23;
    const Reals m = real_of_bits(bits_of(x) - (exponent << 23));
    const Reals s = (m - 1.0f) / (m + 1.0f), square = s * s;
    const float unit = 2.88539008f;  // 2 / ln 2
    const Reals series =
        unit + square * (unit / 3 + square * (unit / 5 + square * (unit / 7 + square * Reals(unit / 9))));
    return number(exponent) + s * series;
}

// 2 to the power of x, from -126 to 127: the whole part goes into the exponent, the rest into Taylor's series.
SMALTI_ISA_INLINE Reals exp2(Reals x) {
    const float shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number, which its lowest bits hold
    const Reals shifted = x + shift;
    const Reals f = x - (shifted - shift);
    const Ints whole = bits_of(shifted) - Ints(0x4b400000);
    Reals series = 1.52527338e-5f;  // ln 2 ^ 7 / 7!
    for (const float factor :
         {1.54035304e-4f, 1.33335581e-3f, 9.61812911e-3f, 5.55041087e-2f, 2.40226507e-1f, 6.93147181e-1f, 1.0f})
        series = series * f + factor;
    return real_of_bits(bits_of(series) + (whole << 23));
}

// Positive normal numbers to a power.
SMALTI_ISA_INLINE Reals pow(Reals x, float exponent) { return exp2(exponent * log2(x)); }

// 0, 1, 2 ...: the columns of a row, or the rows of a tile.
SMALTI_ISA_INLINE Reals ascending() {
    alignas(64) static constexpr float kNumbers[kTile] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return Reals::load(kNumbers);
}

}  // namespace SMALTI_ISA
}  // namespace smalti
