// SPDX-License-Identifier: GPL-3.0-or-later
// What a loss compares: display-encoded values, and a noise background where the target is transparent. V is float, double
// or a vector of floats.
#pragma once

#include "sprite.h"

namespace smalti {

template <class V>
struct CurvePoint {
    V value, slope;
};

// The sRGB curve (IEC 61966-2-1) at a linear value, and its slope.
template <class V>
SMALTI_INLINE CurvePoint<V> encoded(V linear) {
    using N = NumberOf<V>;
    const V safe = most(linear, V(N(0.0031308))), power = pow(safe, N(1 / 2.4));
    const auto is_dark = linear <= V(N(0.0031308));
    return {choose(is_dark, V(N(12.92)) * linear, V(N(1.055)) * power - V(N(0.055))),
            choose(is_dark, V(N(12.92)), V(N(1.055 / 2.4)) * power / safe)};
}

// Its inverse at an encoded value.
template <class V>
SMALTI_INLINE CurvePoint<V> decoded(V value) {
    using N = NumberOf<V>;
    const V shifted = most(value, V(N(0.04045))) + V(N(0.055));
    const V power = pow(shifted * V(N(1 / 1.055)), N(2.4));
    const auto is_dark = value <= V(N(0.04045));
    return {choose(is_dark, value * V(N(1 / 12.92)), power),
            choose(is_dark, V(N(1 / 12.92)), V(N(2.4)) * power / shifted)};
}

// Fresh noise for each step: a hash (two rounds of multiply and shift, "lowbias32" of C. Wellons' hash prospector) of a
// value's place in the picture, whose upper 24 bits are a number from 0 to 1. `key` names the step.
SMALTI_INLINE std::uint32_t hashed(std::uint32_t x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return x;
}

SMALTI_INLINE float noise(std::uint32_t key, std::uint32_t place) {
    return static_cast<float>(static_cast<int>(hashed(place ^ key) >> 8)) * (1.0f / 16777216.0f);
}

}  // namespace smalti
