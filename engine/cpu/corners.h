// SPDX-License-Identifier: GPL-3.0-or-later
// The texels of a row of lookups, brought one lookup at a time and transposed into lanes for each corner and channel.
//
// A lookup's corners lie side by side in memory, so one load brings several. Gather instructions would bring one or two
// each, and some processors run them lane by lane, slower than loads.
#pragma once

#include "lanes.h"

namespace smalti {
namespace SMALTI_ISA {

using U16x8 = std::uint16_t __attribute__((vector_size(16)));
SMALTI_ISA_INLINE U16x8 zip_low(U16x8 a, U16x8 b) { return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
SMALTI_ISA_INLINE U16x8 zip_high(U16x8 a, U16x8 b) { return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }

SMALTI_ISA_INLINE U16x8 load_two(const std::uint64_t* from) {
    U16x8 v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

SMALTI_ISA_INLINE U16x8 load_one(const std::uint64_t* from) {
    using U64x2 = std::uint64_t __attribute__((vector_size(16)));
    return reinterpret_cast<U16x8>(U64x2{*from, 0});
}

#if defined(__AVX2__)

using U16x16 = std::uint16_t __attribute__((vector_size(32)));

// Each half by itself, as the processor does it.
SMALTI_ISA_INLINE U16x16 zip_low(U16x16 a, U16x16 b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27);
}
SMALTI_ISA_INLINE U16x16 zip_high(U16x16 a, U16x16 b) {
    return __builtin_shufflevector(a, b, 4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31);
}
SMALTI_ISA_INLINE U16x16 join(U16x8 a, U16x8 b) {
    return reinterpret_cast<U16x16>(
        _mm256_inserti128_si256(_mm256_castsi128_si256(reinterpret_cast<__m128i>(a)), reinterpret_cast<__m128i>(b), 1));
}
SMALTI_ISA_INLINE Reals reals(U16x16 texels) {
    const __m256i t = reinterpret_cast<__m256i>(texels);
#if defined(__AVX512BW__)
    return number(Ints(reinterpret_cast<NativeInts>(_mm512_maskz_cvtepu16_epi32(0xffff, t))));
#else
    const auto half = [](__m128i x) { return IntLanes<8>(reinterpret_cast<NativeInts>(_mm256_cvtepu16_epi32(x))); };
    return number(Ints(half(_mm256_castsi256_si128(t)), half(_mm256_extracti128_si256(t, 1))));
#endif
}

#else

SMALTI_ISA_INLINE RealLanes<8> reals(U16x8 texels) {
    const U16x8 zero{};
    const auto half = [](U16x8 x) { return number(IntLanes<4>(reinterpret_cast<NativeInts>(x))); };
    return {half(zip_low(texels, zero)), half(zip_high(texels, zero))};
}

#endif

// The vectors of the first half are interleaved with those of the second. n times of this transpose 2^n vectors.
template <int count, class Vector>
SMALTI_ISA_INLINE void interleave(Vector (&x)[count]) {
    Vector y[count];
    for (int i = 0; i < count / 2; ++i) {
        y[2 * i] = zip_low(x[i], x[i + count / 2]);
        y[2 * i + 1] = zip_high(x[i], x[i + count / 2]);
    }
    for (int i = 0; i < count; ++i) x[i] = y[i];
}

// The four alphas of each lookup (see Scene::alpha_quads): left and right of the upper row, then of the lower.
SMALTI_ISA_INLINE void fetch_alphas(const std::uint64_t* quads, const std::int32_t* index, Reals (&corners)[4]) {
    const auto two = [&](int a, int b) { return zip_low(load_one(quads + index[a]), load_one(quads + index[b])); };
#if defined(__AVX2__)
    U16x16 x[4];
    for (int i = 0; i < 4; ++i) x[i] = join(two(i, i + 4), two(i + 8, i + 12));
    interleave(x);
    interleave(x);
    for (int i = 0; i < 4; ++i) corners[i] = reals(x[i]);
#else
    U16x8 x[4], y[4];
    for (int i = 0; i < 4; ++i) x[i] = two(i, i + 4), y[i] = two(i + 8, i + 12);
    interleave(x);
    interleave(x);
    interleave(y);
    interleave(y);
    for (int i = 0; i < 4; ++i) corners[i] = Reals(reals(x[i]), reals(y[i]));
#endif
}

// Two neighboring texels of each lookup: red, green, blue and alpha of the left one, then of the right one.
SMALTI_ISA_INLINE void fetch_texels(const std::uint64_t* texels, const std::int32_t* index, Reals (&corners)[8]) {
#if defined(__AVX512BW__)
    __m512i x[4];
    for (int i = 0; i < 4; ++i) {
        const auto at = [&](int lookup) { return reinterpret_cast<__m128i>(load_two(texels + index[lookup])); };
        x[i] = _mm512_castsi128_si512(at(i));
        x[i] = _mm512_inserti32x4(x[i], at(i + 4), 1);
        x[i] = _mm512_inserti32x4(x[i], at(i + 8), 2);
        x[i] = _mm512_inserti32x4(x[i], at(i + 12), 3);
    }
    const __m512i a = _mm512_unpacklo_epi16(x[0], x[2]), b = _mm512_unpackhi_epi16(x[0], x[2]);
    const __m512i c = _mm512_unpacklo_epi16(x[1], x[3]), d = _mm512_unpackhi_epi16(x[1], x[3]);
    const __m512i y[4] = {_mm512_unpacklo_epi16(a, c), _mm512_unpackhi_epi16(a, c), _mm512_unpacklo_epi16(b, d),
                          _mm512_unpackhi_epi16(b, d)};
    const __m512i zero = _mm512_setzero_si512();
    for (int i = 0; i < 4; ++i) {
        corners[2 * i] = number(Ints(reinterpret_cast<NativeInts>(_mm512_unpacklo_epi16(y[i], zero))));
        corners[2 * i + 1] = number(Ints(reinterpret_cast<NativeInts>(_mm512_unpackhi_epi16(y[i], zero))));
    }
#elif defined(__AVX2__)
    U16x16 x[8];
    for (int i = 0; i < 8; ++i) x[i] = join(load_two(texels + index[i]), load_two(texels + index[i + 8]));
    for (int stage = 0; stage < 3; ++stage) interleave(x);
    for (int i = 0; i < 8; ++i) corners[i] = reals(x[i]);
#else
    U16x8 x[8], y[8];
    for (int i = 0; i < 8; ++i) x[i] = load_two(texels + index[i]), y[i] = load_two(texels + index[i + 8]);
    for (int stage = 0; stage < 3; ++stage) interleave(x), interleave(y);
    for (int i = 0; i < 8; ++i) corners[i] = Reals(reals(x[i]), reals(y[i]));
#endif
}

}  // namespace SMALTI_ISA
}  // namespace smalti
