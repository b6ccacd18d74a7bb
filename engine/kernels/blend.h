// SPDX-License-Identifier: GPL-3.0-or-later
// One pixel under one sprite: what it adds, what it learns, what it is worth, and how a picture is compared.
//
// With g the gradient of the loss by a pixel's premultiplied colour, q the template's alpha, p its colour, o the opacity,
// m the mix, T the transmittance above: a = o q, g.c = o ((1 - m) (g.tint) q + m (g.p)) + g_a a, and
//   dL/dq = o T X, X = (1 - m) g.tint + g_a - behind       dL/d(g.p) = o m T
//   behind <- g.c + (1 - a) behind = behind + a X + o m (g.p)
// where `behind` is the colour behind the sprite seen through g, carried from the bottom upwards. It is built by adding,
// not by dividing transmittances, so that an opaque sprite still learns what it hides.
//
// R is float or a vector of floats; numbers of the sprite itself are float.
#pragma once

#include "sprite.h"

namespace smalti {

// What a sprite shows: its tint, its bitmap's colours, or some of each.
enum class Colour { tint, mixed, bitmap };

template <Colour kind>
constexpr bool kShowsTint = kind != Colour::bitmap;
template <Colour kind>
constexpr bool kShowsBitmap = kind != Colour::tint;

SMALTI_INLINE float choose(bool condition, float a, float b) { return condition ? a : b; }

// A sprite's part of one channel: its tint by `weight` = o q T, its bitmap's colour by `through` = o T.
template <Colour kind, class R>
SMALTI_INLINE R shown(R weight, float painted_tint, R through, float own, R bitmap) {
    if constexpr (!kShowsBitmap<kind>) return weight * painted_tint;
    if constexpr (!kShowsTint<kind>) return through * bitmap;
    return weight * painted_tint + own * through * bitmap;
}

// dL by u, v, level of detail and opacity, and what `behind` grows by.
template <class R>
struct Lesson {
    R du, dv, lod, opacity, behind;
};

// `tinted`: (1 - m) g.tint. q: alpha, and p: g.p, with their derivatives.
template <Colour kind, bool levels, class R>
SMALTI_INLINE Lesson<R> lesson(R tinted, R gradient_alpha, R behind, R t, const Sample<R>& q, const Sample<R>& p,
                               float opacity, float own) {
    R x = gradient_alpha - behind;
    if constexpr (kShowsTint<kind>) x = x + tinted;
    const R w = t * x, ow = opacity * w;
    Lesson<R> out{ow * q.du, ow * q.dv, R(0.0f), w * q.value, opacity * q.value * x};
    if constexpr (levels) out.lod = ow * q.dlod;
    if constexpr (kShowsBitmap<kind>) {
        const R mt = own * t, omt = opacity * mt;
        out.du = out.du + omt * p.du;
        out.dv = out.dv + omt * p.dv;
        if constexpr (levels) out.lod = out.lod + omt * p.dlod;
        out.opacity = out.opacity + mt * p.value;
        out.behind = out.behind + opacity * own * p.value;
    }
    return out;
}

// How much the squared error of one channel would grow if a sprite were taken away, exactly: a picture is linear in each
// opacity alone, so without the sprite a pixel's colour is less by d = o T (c' - q behind), c' the colour at opacity 1,
// and its squared error changes by d (d - 2 e). Here `behind` is the true colour behind, which grows by `more`.
template <class R>
struct Removal {
    R cost, more;
};

template <class R>
SMALTI_INLINE Removal<R> removal(R colour, R q, R behind, R t, R error, float opacity) {
    const R more = opacity * (colour - q * behind), d = t * more;
    return {d * (d - 2.0f * error), more};
}

// What a sprite that is not there would do, at whatever opacity o and tint. With s = o tint, a channel of a pixel would
// change by P s + o R, where P = (1 - m) q T and R = T (m p - q behind), or T q (1 - behind) for alpha; so with w the
// change that is wanted, the squared error changes by a quadratic of the four numbers o and s:
//   squares |s|^2 + 2 o (cross . s) + own o^2 - 2 (tint . s) - 2 match o
// whose coefficients, sums over pixels, are these. The least of it says how the sprite would be painted best.
template <class R>
struct Trial {
    R squares, cross[3], own, tint[3], match;

    // `weight`: P, `alone`: R; channel 3 is alpha, which the tint does not touch.
    template <Colour kind>
    SMALTI_INLINE void add(int channel, R weight, R alone, R wanted) {
        own = own + alone * alone;
        match = match + alone * wanted;
        if (!kShowsTint<kind> || channel == 3) return;
        if (channel == 0) squares = squares + weight * weight;
        cross[channel] = cross[channel] + weight * alone;
        tint[channel] = tint[channel] + weight * wanted;
    }
};

// One channel of a picture against what it should be: squared or absolute difference, and `scale` times its slope.
template <class R>
struct Compared {
    R loss, slope;
};

template <class R>
SMALTI_INLINE Compared<R> compared(R found, R want, float scale, bool absolute) {
    const R d = found - want, zero(0.0f), one(1.0f);
    if (!absolute) return {d * d, 2.0f * scale * d};
    const R sign = choose(zero < d, one, zero) - choose(d < zero, one, zero);
    return {sign * d, scale * sign};
}

}  // namespace smalti
