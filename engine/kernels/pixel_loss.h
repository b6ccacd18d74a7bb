// SPDX-License-Identifier: GPL-3.0-or-later
// The terms of a loss that look at one pixel alone: squared, absolute and Huber's difference of its colors, and their
// distance in Oklab (Ottosson, 2020, bottosson.github.io/posts/oklab). V is float, double or a vector of floats.
#pragma once

#include "display.h"

namespace smalti {

constexpr double kHuberDelta = 0.1;  // difference above which Huber's term is linear
constexpr double kToe = 1e-3;        // linear light below which a tangent replaces Oklab's cube root
constexpr double kToeRoot = 0.1;     // its cube root

static_assert(kHuberDelta == 0.1, "engine/pytorch/losses.py: HUBER_DELTA = 0.1");
static_assert(kToe == 1e-3, "engine/pytorch/losses.py: TOE = 1e-3");

// Factors of the terms, each with all that the sum over pixels and channels is multiplied by.
template <class N>
struct PixelFactors {
    N mse, l1, huber, oklab;
};

// The value of one pixel's terms, and its gradient by the rendered colors.
template <class V>
struct PixelTerms {
    V value, gradient[3];
};

// A color in Oklab, and the slopes of its curves, by which a gradient goes back.
template <class V>
struct Oklab {
    V lab[3], of_light[3], of_cone[3];
};

template <class V>
SMALTI_INLINE V weighted(double a, V x, double b, V y, double c, V z) {
    using N = NumberOf<V>;
    return V(N(a)) * x + V(N(b)) * y + V(N(c)) * z;
}

template <class V>
SMALTI_INLINE Oklab<V> oklab_of(const V (&colour)[3]) {
    using N = NumberOf<V>;
    Oklab<V> out;
    V light[3], root[3];
    for (int i = 0; i < 3; ++i) {
        const CurvePoint<V> point = decoded(colour[i]);
        light[i] = point.value, out.of_light[i] = point.slope;
    }
    const V cone[3] = {weighted(0.4122214708, light[0], 0.5363325363, light[1], 0.0514459929, light[2]),
                       weighted(0.2119034982, light[0], 0.6806995451, light[1], 0.1073969566, light[2]),
                       weighted(0.0883024619, light[0], 0.2817188376, light[1], 0.6299787005, light[2])};
    for (int i = 0; i < 3; ++i) {
        const V safe = most(cone[i], V(N(kToe))), cube_root = pow(safe, N(1.0 / 3));
        const auto in_toe = cone[i] <= V(N(kToe));
        const N slope = N(kToeRoot / (3 * kToe));
        root[i] = choose(in_toe, V(N(kToeRoot * 2 / 3)) + V(slope) * cone[i], cube_root);
        out.of_cone[i] = choose(in_toe, V(slope), V(N(1.0 / 3)) * cube_root / safe);
    }
    out.lab[0] = weighted(0.2104542553, root[0], 0.7936177850, root[1], -0.0040720468, root[2]);
    out.lab[1] = weighted(1.9779984951, root[0], -2.4285922050, root[1], 0.4505937099, root[2]);
    out.lab[2] = weighted(0.0259040371, root[0], 0.7827717662, root[1], -0.8086757660, root[2]);
    return out;
}

// Back from a gradient by L, a, b to one by the display-encoded color.
template <class V>
SMALTI_INLINE void oklab_gradient(const Oklab<V>& at, const V (&by_lab)[3], V (&by_colour)[3]) {
    const V cone[3] = {
        at.of_cone[0] * weighted(0.2104542553, by_lab[0], 1.9779984951, by_lab[1], 0.0259040371, by_lab[2]),
        at.of_cone[1] * weighted(0.7936177850, by_lab[0], -2.4285922050, by_lab[1], 0.7827717662, by_lab[2]),
        at.of_cone[2] * weighted(-0.0040720468, by_lab[0], 0.4505937099, by_lab[1], -0.8086757660, by_lab[2])};
    by_colour[0] = at.of_light[0] * weighted(0.4122214708, cone[0], 0.2119034982, cone[1], 0.0883024619, cone[2]);
    by_colour[1] = at.of_light[1] * weighted(0.5363325363, cone[0], 0.6806995451, cone[1], 0.2817188376, cone[2]);
    by_colour[2] = at.of_light[2] * weighted(0.0514459929, cone[0], 0.1073969566, cone[1], 0.6299787005, cone[2]);
}

// Display-encoded colors against their goal's.
template <class V>
SMALTI_INLINE PixelTerms<V> pixel_terms(const V (&rendered)[3], const V (&goal)[3],
                                        const PixelFactors<NumberOf<V>>& factors) {
    using N = NumberOf<V>;
    const V zero(N(0)), one(N(1)), delta{N(kHuberDelta)};
    PixelTerms<V> out{zero, {zero, zero, zero}};
    for (int i = 0; i < 3; ++i) {
        const V d = rendered[i] - goal[i];
        const V sign = choose(zero < d, one, zero) - choose(d < zero, one, zero), size = sign * d;
        const V within = least(size, delta);
        out.value = out.value + V(factors.mse) * d * d + V(factors.l1) * size +
                    V(factors.huber) * within * (size + size - within);
        out.gradient[i] = V(N(2) * factors.mse) * d + V(factors.l1) * sign + V(N(2) * factors.huber) * within * sign;
    }
    if (factors.oklab != N(0)) {
        const Oklab<V> ours = oklab_of(rendered), theirs = oklab_of(goal);
        V by_lab[3], by_colour[3];
        for (int i = 0; i < 3; ++i) {
            const V d = ours.lab[i] - theirs.lab[i];
            out.value = out.value + V(factors.oklab) * d * d;
            by_lab[i] = V(N(2) * factors.oklab) * d;
        }
        oklab_gradient(ours, by_lab, by_colour);
        for (int i = 0; i < 3; ++i) out.gradient[i] = out.gradient[i] + by_colour[i];
    }
    return out;
}

}  // namespace smalti
