// SPDX-License-Identifier: GPL-3.0-or-later
// One pixel under one sprite: what the sprite adds to it, the gradient, and how a picture is compared with its goal.
//
// With g the gradient of the loss by a pixel's premultiplied color, q the template's alpha, p its color, o the
// opacity, m the mix, T the transmittance above: a = o q, g.c = o ((1 - m) (g.tint) q + m (g.p)) + g_a a, and
//   dL/dq = o T X, X = (1 - m) g.tint + g_a - behind       dL/d(g.p) = o m T
//   behind <- g.c + (1 - a) behind = behind + a X + o m (g.p)
// where `behind` is the color behind the sprite weighted by g, accumulated back to front. It is built by adding, not
// by dividing transmittances, so that an opaque sprite gets a gradient from what it hides.
//
// A shaded sprite shows its tint with the bitmap's light and shade: its tint is lowered by the bitmap's mean luma, p
// stands for the bitmap's share of color and luma together, with m = 1, and the sum is kept from 0 to q (see
// docs/forward-model.md). Where it is cut off at q, a channel's gradient goes to q; where it is cut off at 0, nowhere.
//
// R is float or a vector of floats; numbers of the sprite itself are float.
#pragma once

#include "sprite.h"

namespace smalti {

// What a sprite shows: its tint, its bitmap's colors, some of each, or its tint with the bitmap's shade.
enum class Colour { tint, mixed, bitmap, shaded };

template <Colour kind>
constexpr bool kShowsTint = kind != Colour::bitmap;
template <Colour kind>
constexpr bool kShowsBitmap = kind != Colour::tint;

// The weights of red, green and blue in luma (Rec. 709).
constexpr float kRedLuma = 0.2126f, kGreenLuma = 0.7152f, kBlueLuma = 0.0722f;

static_assert(kRedLuma == 0.2126f && kGreenLuma == 0.7152f && kBlueLuma == 0.0722f,
              "engine/colour.py: LUMA = (0.2126, 0.7152, 0.0722)");

// What a shaded sprite shows of its bitmap: a share of each color, and one of their luma. With derivatives.
template <class R>
SMALTI_INLINE void shade_colours(Sample<R>& r, Sample<R>& g, Sample<R>& b, float colour_share, float luma_share) {
    const Sample<R> luma =
        weighted_colour(R(luma_share * kRedLuma), r, R(luma_share * kGreenLuma), g, R(luma_share * kBlueLuma), b);
    const auto shaded = [&](const Sample<R>& s) {
        return Sample<R>{colour_share * s.value + luma.value, colour_share * s.du + luma.du,
                         colour_share * s.dv + luma.dv, colour_share * s.dlod + luma.dlod};
    };
    r = shaded(r), g = shaded(g), b = shaded(b);
}

// A channel of a shaded sprite, from 0 to `most`. `value` may be on either side of that.
template <class R>
SMALTI_INLINE R within_alpha(R value, R most) {
    const R zero(0.0f);
    return choose(value < zero, zero, choose(most < value, most, value));
}

// The gradient by a channel of a shaded sprite, divided into that by its unlimited value and that by alpha.
template <class R>
struct Limited {
    R value, alpha;
};

template <class R>
SMALTI_INLINE Limited<R> limited_gradient(R gradient, R value, R most) {
    const R zero(0.0f), high = choose(most < value, gradient, zero);
    return {choose(value < zero, zero, gradient - high), high};
}

// A sprite's contribution to one channel: its tint times `weight` = o q T, its bitmap's color times `through` = o T.
template <Colour kind, class R>
SMALTI_INLINE R contribution(R weight, float shared_tint, R through, float bitmap_share, R bitmap) {
    if constexpr (!kShowsBitmap<kind>) return weight * shared_tint;
    if constexpr (!kShowsTint<kind>) return through * bitmap;
    if constexpr (kind == Colour::shaded) return within_alpha(weight * shared_tint + through * bitmap, weight);
    return weight * shared_tint + bitmap_share * through * bitmap;
}

// dL by u, v, level of detail and opacity, and by how much `behind` grows.
template <class R>
struct PixelGradient {
    R du, dv, lod, opacity, behind;
};

// `tinted`: (1 - m) g.tint. q: alpha, and p: g.p, with their derivatives.
template <Colour kind, bool levels, class R>
SMALTI_INLINE PixelGradient<R> backward_pixel(R tinted, R gradient_alpha, R behind, R t, const Sample<R>& q,
                                              const Sample<R>& p, float opacity, float bitmap_share) {
    R x = gradient_alpha - behind;
    if constexpr (kShowsTint<kind>) x = x + tinted;
    const R w = t * x, ow = opacity * w;
    PixelGradient<R> out{ow * q.du, ow * q.dv, R(0.0f), w * q.value, opacity * q.value * x};
    if constexpr (levels) out.lod = ow * q.dlod;
    if constexpr (kShowsBitmap<kind>) {
        const R mt = bitmap_share * t, omt = opacity * mt;
        out.du = out.du + omt * p.du;
        out.dv = out.dv + omt * p.dv;
        if constexpr (levels) out.lod = out.lod + omt * p.dlod;
        out.opacity = out.opacity + mt * p.value;
        out.behind = out.behind + opacity * bitmap_share * p.value;
    }
    return out;
}

// One channel of a rendered pixel against its goal: squared or absolute difference, and `scale` times its slope.
template <class R>
struct Compared {
    R loss, slope;
};

template <class R>
SMALTI_INLINE Compared<R> compared(R rendered, R goal, float scale, bool absolute) {
    const R d = rendered - goal, zero(0.0f), one(1.0f);
    if (!absolute) return {d * d, 2.0f * scale * d};
    const R sign = choose(zero < d, one, zero) - choose(d < zero, one, zero);
    return {sign * d, scale * sign};
}

}  // namespace smalti
