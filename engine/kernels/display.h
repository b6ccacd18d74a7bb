// SPDX-License-Identifier: GPL-3.0-or-later
// What a loss compares: display-encoded values, and a noise background where the target is transparent.
#pragma once

#include "sprite.h"

namespace smalti {

struct Encoded {
    float value, slope;
};

// The sRGB curve (IEC 61966-2-1) at a linear value, and its slope.
SMALTI_INLINE Encoded encoded(float linear) {
    if (linear <= 0.0031308f) return {12.92f * linear, 12.92f};
    const float power = pow(linear, 1.0f / 2.4f);
    return {1.055f * power - 0.055f, 1.055f / 2.4f * power / linear};
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
