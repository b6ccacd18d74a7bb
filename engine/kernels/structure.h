// SPDX-License-Identifier: GPL-3.0-or-later
// The terms of a loss that look at a pixel's neighbourhood: SSIM (Wang et al., 2004) at one scale, which MS-SSIM (Wang et
// al., 2003) takes at several, and the difference of gradients by Scharr's operator.
//
// With B the blur under SSIM's window, over which edges repeat, and x, y the two pictures less a half:
//   luminance = (2 m n + C1) / (m^2 + n^2 + C1), m = B x + 1/2, n = B y + 1/2
//   structure = (2 (B xy - Bx By) + C2) / (B (x^2 + y^2) - (B x)^2 - (B y)^2 + C2)
// Their gradient goes back through three maps, by B x, B xy and B (x^2 + y^2), each under the transpose of B.
#pragma once

#include "types.h"

namespace smalti {

constexpr int kWindow = 11, kReach = kWindow / 2;  // side of SSIM's window, pixels, and how far it reaches
constexpr double kC1 = 0.01 * 0.01, kC2 = 0.03 * 0.03;
constexpr int kMaxScales = 5;            // of MS-SSIM
constexpr double kLeastLikeness = 1e-3;  // below 0 there is no root, and at 0 its slope is infinite
constexpr int kEdgeScales = 2;
constexpr double kScharrSide = 3.0 / 32, kScharrMiddle = 10.0 / 32;

static_assert(kWindow == 11, "engine/pytorch/losses.py: WINDOW, DEVIATION = 11, 1.5");
static_assert(kWindow == 11, "engine/cuda/step_terms.py: WINDOW = 11");
static_assert(kMaxScales == 5, "engine/cuda/step_terms.py: MAX_SCALES = 5");
static_assert(kEdgeScales == 2, "engine/cuda/step_terms.py: EDGE_SCALES = 2");

// SSIM's window at a distance from its center: a Gaussian of standard deviation 1.5 whose 11 values sum to 1.
SMALTI_INLINE constexpr double window_tap(int distance) {
    switch (distance < 0 ? -distance : distance) {
        case 0: return 0.26601172486179436;
        case 1: return 0.2130055377112537;
        case 2: return 0.10936068950970002;
        case 3: return 0.03600077212843083;
        case 4: return 0.007598758135239185;
        case 5: return 0.0010283800844791092;
        default: return 0.0;
    }
}

// What of the window lies at this distance from its center and beyond, on one side. (Written out: NVRTC would add it up at
// run time.)
SMALTI_INLINE constexpr double window_tail(int distance) {
    switch (distance) {
        case 1: return 0.3669941375691028;
        case 2: return 0.15398859985784913;
        case 3: return 0.04462791034814913;
        case 4: return 0.008627138219718295;
        case 5: return 0.0010283800844791092;
        default: return 0.0;
    }
}

// The window sums to 1, and its tails are sums of it.
SMALTI_INLINE constexpr bool is_nearly(double a, double b) { return a - b < 1e-15 && b - a < 1e-15; }
static_assert(is_nearly(window_tap(0) + 2 * window_tail(1), 1.0));
static_assert(is_nearly(window_tail(1), window_tap(1) + window_tail(2)));
static_assert(is_nearly(window_tail(2), window_tap(2) + window_tail(3)));
static_assert(is_nearly(window_tail(3), window_tap(3) + window_tail(4)));
static_assert(is_nearly(window_tail(4), window_tap(4) + window_tail(5)));
static_assert(is_nearly(window_tail(5), window_tap(5)));

// Half of a picture's side, rounded up.
SMALTI_INLINE constexpr int half_of(int length) { return (length + 1) / 2; }

// MS-SSIM's exponent of a scale, the finest first.
SMALTI_INLINE constexpr double scale_exponent(int scale) {
    return scale == 0 ? 0.0448 : scale == 1 ? 0.2856 : scale == 2 ? 0.3001 : scale == 3 ? 0.2363 : 0.1333;
}

// SSIM at one pixel, luminance times structure or structure alone, times the pixel's weight, and its gradient by the
// three maps.
template <class R>
struct SsimPoint {
    R value, mean, product, squares;
};

template <bool with_luminance, class R>
SMALTI_INLINE SsimPoint<R> ssim_point(R p, R q, R blurred_product, R blurred_squares, R weight) {
    const R m = p + R(0.5), n = q + R(0.5);
    const R variances = R(1) / (blurred_squares - p * p - q * q + R(kC2));
    const R structure = (R(2) * (blurred_product - p * q) + R(kC2)) * variances;
    R by_structure = weight, by_mean = R(0), value = structure;
    if constexpr (with_luminance) {
        const R levels = R(1) / (m * m + n * n + R(kC1));
        const R luminance = (R(2) * m * n + R(kC1)) * levels;
        by_mean = weight * structure * R(2) * levels * (n - luminance * m);
        by_structure = weight * luminance, value = luminance * structure;
    }
    const R unit = R(2) * by_structure * variances;
    return {weight * value, by_mean + unit * (structure * p - q), unit, R(-0.5) * unit * structure};
}

// MS-SSIM from how alike two pictures are at each scale; slopes [scales]: its gradient by these.
SMALTI_INLINE double ms_ssim_of(int scales, const double* likeness, double* slopes) {
    double exponents = 0.0, product = 1.0;
    for (int s = 0; s < scales; ++s) exponents += scale_exponent(s);
    for (int s = 0; s < scales; ++s)
        product *= pow(likeness[s] < kLeastLikeness ? kLeastLikeness : likeness[s], scale_exponent(s) / exponents);
    for (int s = 0; s < scales; ++s) {
        const bool is_held = likeness[s] < kLeastLikeness;
        slopes[s] = is_held ? 0.0 : product * scale_exponent(s) / (exponents * likeness[s]);
    }
    return product;
}

}  // namespace smalti
