// SPDX-License-Identifier: GPL-3.0-or-later
// The mathematics of one sprite at one pixel, once, for every back end.
//
// Canvas: x right, y down, the center of pixel (row i, column j) at (j + 0.5, i + 0.5). A sprite's affine map takes the
// canvas to template coordinates (u, v); the template's bitmap fills [-1, 1]^2. Texels are premultiplied 16-bit values
// (65535 is 1). Every mip level covers [-1, 1]^2 exactly and is stored with a transparent margin of kMargin texels, so
// that bilinear interpolation fades an edge out over one texel and needs no test of bounds: a sprite reaches half a
// texel of the coarser level in use beyond [-1, 1], and there its value is exactly 0.
//
// Everything here is branch-free inside a pixel.
#pragma once

#include "types.h"

namespace smalti {

constexpr int kTile = 16;  // side of a tile in pixels

// Two texels: a sprite reaches half a texel of the coarser level past the edge, which is up to one texel of the finer
// one, and interpolation then reads one texel further.
constexpr int kMargin = 2;

// Added to the level of detail. At 0 a sprite would sample the level with one texel per pixel, and bilinear
// interpolation would blur it by a texel more; a little finer is closest to the area average that renderers and image
// editors converge to (figures in docs/forward-model.md).
constexpr double kLodOffset = -0.6;

static_assert(kMargin == 2, "engine/raster/atlas.py: MARGIN = 2");
static_assert(kLodOffset == -0.6, "engine/raster/atlas.py: LOD_OFFSET = -0.6");

constexpr float kTexelOne = 65535.0f, kTexelScale = 1.0f / kTexelOne;

static_assert(kTexelOne == 65535.0f, "engine/raster/atlas.py: TEXEL_ONE = 65535");

// One mip level of one template. `base` is the index of its first stored texel, margin included.
struct Level {
    int base;
    int width;
    int height;
};

// A level as a sprite samples it: texel coordinate = template coordinate * half + offset.
struct Sampler {
    int base;
    int stride;
    float half_width;
    float half_height;
    float offset_x;
    float offset_y;
};

SMALTI_INLINE Sampler sampler_of(const Level& level) {
    Sampler s;
    s.base = level.base;
    s.stride = level.width + 2 * kMargin;
    s.half_width = 0.5f * static_cast<float>(level.width);
    s.half_height = 0.5f * static_cast<float>(level.height);
    // The center of texel 0 lies at half a texel, and the stored texels begin kMargin before it.
    s.offset_x = s.half_width - 0.5f + kMargin;
    s.offset_y = s.half_height - 0.5f + kMargin;
    return s;
}

// Where a sprite is: u = a (px - x) + b (py - y), v = d (px - x) + e (py - y), in pixels that are drawn. About the
// center, single precision is enough on any canvas.
template <class R>
struct Placement {
    R a, b, d, e, x, y;
};

// From a map u = a px + b py + c, v = d px + e py + f. Not finite where the map cannot be inverted.
template <class R>
SMALTI_INLINE Placement<R> placement_of(const R* affine) {
    const R a = affine[0], b = affine[1], c = affine[2], d = affine[3], e = affine[4], f = affine[5];
    const R determinant = a * e - b * d;
    return {a, b, d, e, (b * f - e * c) / determinant, (d * c - a * f) / determinant};
}

// Whether a sprite can be drawn: every number is finite and the map can be inverted.
template <class R>
SMALTI_INLINE bool is_drawable(const Placement<R>& p, float opacity, const float* tint) {
    const R determinant = p.a * p.e - p.b * p.d;
    const R sum = p.a + p.b + p.d + p.e + p.x + p.y;
    return is_finite(sum) && is_finite(opacity + tint[0] + tint[1] + tint[2]) && is_finite(R(1) / determinant);
}

// The mip levels that a sprite samples, and how far it reaches.
struct View {
    float extent_u, extent_v;  // |u| and |v| beyond which the sprite is 0
    float fraction;            // weight of the coarse level
    int lod_free;              // whether the level of detail follows the scale (it is not clamped)
    Sampler fine, coarse;
};

// `levels`: those of the sprite's template, `count` of them.
template <class R>
SMALTI_INLINE View view_of(const Placement<R>& p, const Level* levels, int count, R lod_bias) {
    // Texels per pixel: the square root of the ratio of areas.
    const R texels = fabs(p.a * p.e - p.b * p.d) * R(0.25) * R(levels[0].width) * R(levels[0].height);
    const R unclamped = R(0.5) * log2(texels) + R(kLodOffset) + lod_bias;
    const R lod = least(most(unclamped, R(0)), R(count - 1));
    const int fine = least(static_cast<int>(lod), count - 1);
    View v;
    v.lod_free = unclamped > R(0) && unclamped < R(count - 1);
    v.fraction = static_cast<float>(lod - R(fine));
    const int coarse = v.fraction > 0.0f ? least(fine + 1, count - 1) : fine;
    v.fine = sampler_of(levels[fine]);
    v.coarse = sampler_of(levels[coarse]);
    v.extent_u = 1.0f + 1.0f / static_cast<float>(levels[coarse].width);
    v.extent_v = 1.0f + 1.0f / static_cast<float>(levels[coarse].height);
    return v;
}

// The gradient by a placement's a, b, d and e, with the center held constant, and by u and v, summed over all pixels.
template <class R>
struct PlacementGradient {
    R a, b, d, e, u, v;
};

// From a gradient that was summed over u = a px + b py + c, with c held constant.
template <class R>
SMALTI_INLINE PlacementGradient<R> about_centre(const Placement<R>& p, const PlacementGradient<R>& g) {
    return {g.a - p.x * g.u, g.b - p.y * g.u, g.d - p.x * g.v, g.e - p.y * g.v, g.u, g.v};
}

// Adds the gradient by way of the level of detail, log2(|determinant| * constant) / 2.
template <class R>
SMALTI_INLINE void add_lod(const Placement<R>& p, R lod, PlacementGradient<R>& g) {
    const R scale = R(0.72134752044448170) * lod / (p.a * p.e - p.b * p.d);  // 1 / (2 ln 2)
    g.a += scale * p.e, g.b -= scale * p.d, g.d -= scale * p.b, g.e += scale * p.a;
}

// Below, R is the type of a real number: float, or a vector of them where a back end computes several pixels at once.
SMALTI_INLINE int truncated(float value) { return static_cast<int>(value); }
SMALTI_INLINE float number(int value) { return static_cast<float>(value); }

// A value with its derivatives by template coordinates and by level of detail.
template <class R>
struct Sample {
    R value, du, dv, dlod;
};

// Where a bilinear lookup reads and with which weights.
template <class R, class I>
struct Footprint {
    I index;
    R fx, fy;
};

// Coordinates are positive where a sprite is drawn, so truncation is the floor.
template <class R>
SMALTI_INLINE auto footprint_of(const Sampler& s, R u, R v) {
    const R tx = u * s.half_width + s.offset_x;
    const R ty = v * s.half_height + s.offset_y;
    const auto ix = truncated(tx), iy = truncated(ty);
    using I = decltype(truncated(tx));
    return Footprint<R, I>{iy * I(s.stride) + (ix + I(s.base)), tx - number(ix), ty - number(iy)};
}

// Bilinear interpolation of four corners (left/right, top/bottom), with derivatives by u and v.
template <class R>
SMALTI_INLINE Sample<R> bilinear(const Sampler& s, R fx, R fy, R lt, R rt, R lb, R rb) {
    const R top = lt + fx * (rt - lt);
    const R bottom = lb + fx * (rb - lb);
    return {top + fy * (bottom - top), ((rt - lt) + fy * ((rb - lb) - (rt - lt))) * s.half_width,
            (bottom - top) * s.half_height, R(0.0f)};
}

// Trilinear: the finer and the coarser level mixed by the fraction of the level of detail.
template <class R>
SMALTI_INLINE Sample<R> between_levels(const Sample<R>& fine, const Sample<R>& coarse, float fraction) {
    return {fine.value + fraction * (coarse.value - fine.value), fine.du + fraction * (coarse.du - fine.du),
            fine.dv + fraction * (coarse.dv - fine.dv), coarse.value - fine.value};
}

// Red, green and blue weighted by a gradient, with the derivatives of that sum.
template <class R>
SMALTI_INLINE Sample<R> weighted_colour(R gr, const Sample<R>& r, R gg, const Sample<R>& g, R gb, const Sample<R>& b) {
    return {gr * r.value + gg * g.value + gb * b.value, gr * r.du + gg * g.du + gb * b.du,
            gr * r.dv + gg * g.dv + gb * b.dv, gr * r.dlod + gg * g.dlod + gb * b.dlod};
}

}  // namespace smalti
