// SPDX-License-Identifier: GPL-3.0-or-later
// What all passes over a tile share: a sprite as seen from the tile, its samples, and the state of the tile's pixels.
// Included by tiles.cpp, once for each instruction set.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <type_traits>

#include "../kernels/blend.h"
#include "corners.h"
#include "tiles.h"

namespace smalti {
namespace SMALTI_ISA {
namespace {

struct alignas(64) Row {
    float v[kTile];
};

// A sprite as seen from the first pixel of a tile, in single precision: its position is taken in double precision
// before, so that a small sprite far from the canvas's origin loses nothing.
struct Local {
    float a, b, c, d, e, f;
    float extent_u, extent_v, fraction, opacity;
    float tint[3];
    Sampler fine, coarse;
};

SMALTI_ISA_INLINE Local localise(const ProjectedSprite& s, double x, double y) {
    const Placement<double>& p = s.placement;
    Local l;
    l.a = static_cast<float>(p.a), l.b = static_cast<float>(p.b);
    l.d = static_cast<float>(p.d), l.e = static_cast<float>(p.e);
    l.c = static_cast<float>(p.a * (x - p.x) + p.b * (y - p.y));
    l.f = static_cast<float>(p.d * (x - p.x) + p.e * (y - p.y));
    l.extent_u = s.view.extent_u, l.extent_v = s.view.extent_v, l.fraction = s.view.fraction, l.opacity = s.opacity;
    for (int i = 0; i < 3; ++i) l.tint[i] = s.tint[i];
    l.fine = s.view.fine, l.coarse = s.view.coarse;
    return l;
}

// Which rows of the tile hold a pixel inside the sprite. Columns where |u| and |v| stay within the extents form an
// interval in each row; a row without one is left out. Rounding may include a row too many, never miss one.
SMALTI_ISA_INLINE unsigned rows_touched(const Local& s) {
    const float steep = 1e30f;
    const float ia = fabs(s.a) > 1e-30f ? 1.0f / s.a : steep;
    const float id = fabs(s.d) > 1e-30f ? 1.0f / s.d : steep;
    const Reals u = s.c + s.b * ascending(), v = s.f + s.e * ascending();
    const Reals u0 = (-s.extent_u - u) * ia, u1 = (s.extent_u - u) * ia;
    const Reals v0 = (-s.extent_v - v) * id, v1 = (s.extent_v - v) * id;
    const float slack = 1e-2f, end = static_cast<float>(kTile - 1);
    Reals first = larger(smaller(u0, u1), smaller(v0, v1)) - slack;
    Reals last = smaller(larger(u0, u1), larger(v0, v1)) + slack;
    // Written so that an interval that is not a number, which extreme maps give, becomes the whole row.
    first = choose(Reals(0.0f) < first, smaller(first, static_cast<float>(kTile)), 0.0f);
    last = choose(last < end, last, end);
    // Not negative, so truncation is the floor; the first column is the ceiling.
    alignas(64) std::int32_t touched[kTile];
    (number(truncated(first + 0.99999f)) <= last).store(touched);
    unsigned rows = 0;
    for (int i = 0; i < kTile; ++i) rows |= (static_cast<unsigned>(touched[i]) & 1u) << i;
    return rows;
}

// Where a row of pixels samples a sprite's template: `levels` is 1 where the level of detail lies on a single level, as
// for all sprites larger than their bitmap.
template <int levels>
struct TexelFootprint {
    Reals scale;  // kTexelScale where the sprite is drawn, else 0
    Footprint<Reals, Ints> at[levels];
};

// Pixels outside sample the template's center, which is always a valid place to read.
template <int levels>
SMALTI_ISA_INLINE TexelFootprint<levels> texel_footprint(const Local& s, int i, Reals t, float stop) {
    const float u_row = s.c + s.b * static_cast<float>(i), v_row = s.f + s.e * static_cast<float>(i);
    const Reals u = s.a * ascending() + u_row, v = s.d * ascending() + v_row;
    const Ints drawn = (magnitude(u) <= s.extent_u) & (magnitude(v) <= s.extent_v) & (stop <= t);
    const Reals valid_u = choose(drawn, u, 0.0f), valid_v = choose(drawn, v, 0.0f);
    TexelFootprint<levels> footprint;
    footprint.scale = choose(drawn, Reals(kTexelScale), 0.0f);
    footprint.at[0] = footprint_of(s.fine, valid_u, valid_v);
    if constexpr (levels > 1) footprint.at[1] = footprint_of(s.coarse, valid_u, valid_v);
    return footprint;
}

// The alphas of a row of pixels, in 16-bit units.
template <int levels>
SMALTI_ISA_INLINE Sample<Reals> sample_alpha(const Scene& scene, const Local& s,
                                             const TexelFootprint<levels>& footprint) {
    Sample<Reals> samples[levels];
    for (int level = 0; level < levels; ++level) {
        const Footprint<Reals, Ints>& at = footprint.at[level];
        alignas(64) std::int32_t index[kTile];
        Reals corners[4];
        at.index.store(index);
        fetch_alphas(scene.alpha_quads, index, corners);
        samples[level] =
            bilinear(level == 0 ? s.fine : s.coarse, at.fx, at.fy, corners[0], corners[1], corners[2], corners[3]);
    }
    return levels == 1 ? samples[0] : between_levels(samples[0], samples[levels - 1], s.fraction);
}

// The same for red, green, blue and alpha; of a shaded sprite, what it shows of its bitmap.
struct ColourSamples {
    Sample<Reals> channel[4];
};

template <Colour kind, int levels>
SMALTI_ISA_INLINE ColourSamples sample_colours(const Scene& scene, const Local& s,
                                               const TexelFootprint<levels>& footprint) {
    ColourSamples samples[levels];
    for (int level = 0; level < levels; ++level) {
        const Sampler& sampler = level == 0 ? s.fine : s.coarse;
        const Footprint<Reals, Ints>& at = footprint.at[level];
        alignas(64) std::int32_t index[kTile];
        Reals upper[8], lower[8];
        at.index.store(index);
        fetch_texels(scene.texels, index, upper);
        fetch_texels(scene.texels + sampler.stride, index, lower);
        for (int channel = 0; channel < 4; ++channel)
            samples[level].channel[channel] =
                bilinear(sampler, at.fx, at.fy, upper[channel], upper[4 + channel], lower[channel], lower[4 + channel]);
    }
    if constexpr (levels > 1)
        for (int channel = 0; channel < 4; ++channel)
            samples[0].channel[channel] =
                between_levels(samples[0].channel[channel], samples[1].channel[channel], s.fraction);
    if constexpr (kind == Colour::shaded) {
        auto& [red, green, blue, alpha] = samples[0].channel;
        shade_colours(red, green, blue, scene.mix, (1.0f - scene.mix) * scene.shade);
    }
    return samples[0];
}

// State of a tile's pixels on the way front to back through the stack.
struct State {
    Row transmittance[kTile];
    unsigned active_rows;  // rows in which some pixel is not finished
};

SMALTI_ISA_INLINE void update_active_rows(State& state, float stop) {
    unsigned active = 0;
    for (int i = 0; i < kTile; ++i) {
        float most = 0.0f;
        for (int lane = 0; lane < kTile; ++lane) most = std::max(most, state.transmittance[i].v[lane]);
        active |= static_cast<unsigned>(most >= stop) << i;
    }
    state.active_rows &= active;
}

constexpr int kCheckEvery = 4;  // sprites between two updates of the active rows

struct TileArea {
    int x, y, columns, rows;
};

SMALTI_ISA_INLINE TileArea area_of(const Scene& scene, const Plan& plan, int tile) {
    TileArea t;
    t.x = (tile % plan.tiles_x) * kTile, t.y = (tile / plan.tiles_x) * kTile;
    t.columns = std::min(kTile, scene.width - t.x), t.rows = std::min(kTile, scene.height - t.y);
    return t;
}

SMALTI_ISA_INLINE void reset(State& state, const TileArea& area) {
    for (int i = 0; i < kTile; ++i)
        for (int lane = 0; lane < kTile; ++lane)
            state.transmittance[i].v[lane] = i < area.rows && lane < area.columns ? 1.0f : 0.0f;
    state.active_rows = area.rows == kTile ? 0xffffu : (1u << area.rows) - 1u;
}

// The weight of the bitmap's own colors, a constant where it can be one.
template <Colour kind>
SMALTI_ISA_INLINE float bitmap_share_of(const Scene& scene) {
    return kind == Colour::tint ? 0.0f : kind == Colour::mixed ? scene.mix : 1.0f;
}

// And of the tint.
template <Colour kind>
SMALTI_ISA_INLINE float tint_share_of(const Scene& scene) {
    return 1.0f - (kind == Colour::shaded ? scene.mix : bitmap_share_of<kind>(scene));
}

template <Colour kind>
using Constant = std::integral_constant<Colour, kind>;

template <class Body>
SMALTI_ISA_INLINE auto by_colour(const Scene& scene, const Body& body) {
    if (!(scene.mix < 1.0f)) return body(Constant<Colour::bitmap>{});
    if (scene.shade > 0.0f) return body(Constant<Colour::shaded>{});
    return scene.mix > 0.0f ? body(Constant<Colour::mixed>{}) : body(Constant<Colour::tint>{});
}

SMALTI_ISA_INLINE void add(float* to, Reals value) { (Reals::load(to) + value).store(to); }

// Rounding must never bring a transmittance below 0: with a stop of 0 it would end the pixel.
SMALTI_ISA_INLINE void attenuate(float* transmittance, Reals t, Reals weight) {
    larger(t - weight, 0.0f).store(transmittance);
}

SMALTI_ISA_INLINE float total(const Row& row) {
    float sum = 0.0f;
    for (int lane = 0; lane < kTile; ++lane) sum += row.v[lane];
    return sum;
}

SMALTI_ISA_INLINE float total_by_column(const Row& row) {
    float sum = 0.0f;
    for (int lane = 0; lane < kTile; ++lane) sum += row.v[lane] * static_cast<float>(lane);
    return sum;
}

}  // namespace
}  // namespace SMALTI_ISA
}  // namespace smalti
