// SPDX-License-Identifier: GPL-3.0-or-later
// The mathematics of one sprite at one pixel, once, for every back end.
//
// Canvas: x right, y down, the centre of pixel (row i, column j) at (j + 0.5, i + 0.5). A sprite's affine map takes the
// canvas to template coordinates (u, v); the template's bitmap fills [-1, 1]^2. Texels are premultiplied 16-bit values
// (65535 is 1). Every mip level covers [-1, 1]^2 exactly and is stored with a transparent margin of kMargin texels, so
// that bilinear interpolation fades an edge out over one texel and needs no test of bounds: a sprite reaches half a
// texel of the coarser level in use beyond [-1, 1], and there its value is exactly 0.
//
// Everything here is branch-free inside a pixel, so that a compiler turns a loop over pixels into vector code.
#pragma once

#include <cstdint>

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define SMALTI_INLINE __device__ __forceinline__
#elif defined(_MSC_VER)
#define SMALTI_INLINE __forceinline
#else
#define SMALTI_INLINE inline __attribute__((always_inline))
#endif

namespace smalti {

// Two texels: a sprite reaches half a texel of the coarser level past the edge, which is up to one texel of the finer
// one, and interpolation then reads one texel further.
constexpr int kMargin = 2;

// Added to the level of detail. At 0 a sprite would sample the level with one texel to a pixel, and bilinear interpolation
// blurs that by a texel more; a little finer is nearest to the area average that renderers and image editors converge to
// (of sprites of flowers and of brush marks at 512 pixels: 40.8 and 37.6 dB at 0, 48.0 and 40.5 dB at -0.6).
constexpr double kLodOffset = -0.6;

constexpr float kTexelScale = 1.0f / 65535.0f;

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
    // The centre of texel 0 lies at half a texel, and the stored texels begin kMargin before it.
    s.offset_x = s.half_width - 0.5f + kMargin;
    s.offset_y = s.half_height - 0.5f + kMargin;
    return s;
}

// A value with its derivatives by template coordinates and by level of detail.
struct Sample {
    float value;
    float du;
    float dv;
    float dlod;
};

// Where a bilinear lookup reads and with which weights. Coordinates are positive, so truncation is the floor.
struct Footprint {
    int index;
    float fx;
    float fy;
};

SMALTI_INLINE Footprint footprint_of(const Sampler& s, float u, float v) {
    const float tx = u * s.half_width + s.offset_x;
    const float ty = v * s.half_height + s.offset_y;
    const int ix = static_cast<int>(tx);
    const int iy = static_cast<int>(ty);
    Footprint f;
    f.index = s.base + iy * s.stride + ix;
    f.fx = tx - static_cast<float>(ix);
    f.fy = ty - static_cast<float>(iy);
    return f;
}

// Bilinear interpolation of four corners (left/right, top/bottom), with derivatives by u and v.
SMALTI_INLINE Sample bilinear(const Sampler& s, const Footprint& f, float lt, float rt, float lb, float rb) {
    const float top = lt + f.fx * (rt - lt);
    const float bottom = lb + f.fx * (rb - lb);
    Sample out;
    out.value = top + f.fy * (bottom - top);
    out.du = ((rt - lt) + f.fy * ((rb - lb) - (rt - lt))) * s.half_width;
    out.dv = (bottom - top) * s.half_height;
    out.dlod = 0.0f;
    return out;
}

// Trilinear: the finer and the coarser level mixed by the fraction of the level of detail.
SMALTI_INLINE Sample between_levels(const Sample& fine, const Sample& coarse, float fraction) {
    Sample out;
    out.value = fine.value + fraction * (coarse.value - fine.value);
    out.du = fine.du + fraction * (coarse.du - fine.du);
    out.dv = fine.dv + fraction * (coarse.dv - fine.dv);
    out.dlod = coarse.value - fine.value;
    return out;
}

// By way of int, for which every instruction set has a conversion.
SMALTI_INLINE float number(unsigned value) { return static_cast<float>(static_cast<int>(value)); }

// Alpha alone. `quads` holds at each texel the alphas of the four texels of a lookup that begins there: its own, its right
// neighbour's, the one's below, and that one's right neighbour's, 16 bits each from the lowest. One read brings all four;
// reading them one by one took a quarter longer. Result in 16-bit units.
SMALTI_INLINE Sample sample_alpha(const std::uint64_t* quads, const Sampler& s, float u, float v) {
    const Footprint f = footprint_of(s, u, v);
    const std::uint64_t q = quads[f.index];
    const unsigned top = static_cast<unsigned>(q), bottom = static_cast<unsigned>(q >> 32);
    return bilinear(s, f, number(top & 0xffffu), number(top >> 16), number(bottom & 0xffffu), number(bottom >> 16));
}


// All four channels of a texel, in 16-bit units; `texels` holds red, green, blue and alpha, 16 bits each from the lowest.
struct Texel {
    float r, g, b, a;
};

SMALTI_INLINE Texel fetch(const std::uint64_t* texels, int index) {
    const std::uint64_t w = texels[index];
    const unsigned rg = static_cast<unsigned>(w), ba = static_cast<unsigned>(w >> 32);
    Texel t;
    t.r = number(rg & 0xffffu);
    t.g = number(rg >> 16);
    t.b = number(ba & 0xffffu);
    t.a = number(ba >> 16);
    return t;
}

// Colour and alpha at one level, values only.
SMALTI_INLINE Texel sample_texel(const std::uint64_t* texels, const Sampler& s, float u, float v) {
    const Footprint f = footprint_of(s, u, v);
    const Texel lt = fetch(texels, f.index), rt = fetch(texels, f.index + 1);
    const Texel lb = fetch(texels, f.index + s.stride), rb = fetch(texels, f.index + s.stride + 1);
    const float wlt = (1.0f - f.fx) * (1.0f - f.fy), wrt = f.fx * (1.0f - f.fy);
    const float wlb = (1.0f - f.fx) * f.fy, wrb = f.fx * f.fy;
    Texel out;
    out.r = wlt * lt.r + wrt * rt.r + wlb * lb.r + wrb * rb.r;
    out.g = wlt * lt.g + wrt * rt.g + wlb * lb.g + wrb * rb.g;
    out.b = wlt * lt.b + wrt * rt.b + wlb * lb.b + wrb * rb.b;
    out.a = wlt * lt.a + wrt * rt.a + wlb * lb.a + wrb * rb.a;
    return out;
}

// The same with derivatives.
struct TexelSample {
    Sample r, g, b, a;
};

SMALTI_INLINE TexelSample sample_texel_slopes(const std::uint64_t* texels, const Sampler& s, float u, float v) {
    const Footprint f = footprint_of(s, u, v);
    const Texel lt = fetch(texels, f.index), rt = fetch(texels, f.index + 1);
    const Texel lb = fetch(texels, f.index + s.stride), rb = fetch(texels, f.index + s.stride + 1);
    TexelSample out;
    out.r = bilinear(s, f, lt.r, rt.r, lb.r, rb.r);
    out.g = bilinear(s, f, lt.g, rt.g, lb.g, rb.g);
    out.b = bilinear(s, f, lt.b, rt.b, lb.b, rb.b);
    out.a = bilinear(s, f, lt.a, rt.a, lb.a, rb.a);
    return out;
}

}  // namespace smalti
