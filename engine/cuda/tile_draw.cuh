// SPDX-License-Identifier: GPL-3.0-or-later
// The walk through a tile's sprites front to back, which all passes begin with, and the pass that only draws.
//
// The way back to front needs each pixel's transmittance above each sprite. It is not stored, but recovered by dividing
// the transmittance below by 1 - alpha, from the bottom. Where a pixel's transmittance nearly ends (it falls below
// kCut) that would divide nothing by nothing: its value above that one sprite is kept. Above it no factor is smaller
// than kCut; below it, where only a pixel that never stops goes on, what rounding can lose is less than kCut.
#pragma once

#include "tile_sample.cuh"

namespace smalti {

constexpr float kCut = 1e-4f;

// A pixel after the walk front to back.
struct FrontToBack {
    float transmittance;         // below all sprites that are visible in this pixel
    float transmittance_at_cut;  // above the sprite at `cut`
    float colour[3];
    int end;  // place of the lowest sprite that is visible in this pixel
    int cut;  // place of the sprite at which the transmittance falls below kCut, or -1
    int top;  // place of the lowest sprite that the block visited
};

// `with_colour`: whether the picture is computed. entries [sprites]: where not null, candidates are passed over.
template <Colour kind, bool with_colour>
SMALTI_INLINE FrontToBack front_to_back(const Canvas& canvas, const Lists& lists, const TilePixel& pixel,
                                        const StackEntry* entries, const Batch& batch) {
    const float bitmap_share = kind == Colour::tint ? 0.0f : canvas.mix, tint_share = 1.0f - bitmap_share;
    float transmittance = pixel.within ? 1.0f : 0.0f, transmittance_at_cut = 0.0f, colour[3] = {0.0f, 0.0f, 0.0f};
    bool open = pixel.within;
    int end = pixel.within ? pixel.first : pixel.last, cut = -1, top = pixel.last;
    while (top > pixel.first) {
        if (__syncthreads_count(open) == 0) break;
        const int from = top - kBatch > pixel.first ? top - kBatch : pixel.first, count = top - from;
        stage(lists, from, count, batch);
        for (int i = count - 1; i >= 0; --i) {
            const ProjectedSprite& s = batch.sprites[i];
            if (entries != nullptr && entries[lists.pair_sprite[batch.pairs[i]]].role != Role::drawn) continue;
            const Local at = localise(pixel, s);
            if (!open || !(fabs(at.u) <= s.view.extent_u && fabs(at.v) <= s.view.extent_v)) continue;
            const ColourSample c = sample<kind>(canvas, s, at.u, at.v);
            const float through = transmittance * s.opacity * kTexelScale, weight = through * c.a.value;
            if (with_colour) {
                colour[0] += contribution<kind>(weight, tint_share * s.tint[0], through, bitmap_share, c.r.value);
                colour[1] += contribution<kind>(weight, tint_share * s.tint[1], through, bitmap_share, c.g.value);
                colour[2] += contribution<kind>(weight, tint_share * s.tint[2], through, bitmap_share, c.b.value);
            }
            const float below = transmittance * attenuation(s.opacity, c.a.value);
            if (below < kCut && cut < 0) cut = from + i, transmittance_at_cut = transmittance;
            transmittance = below;
            if (transmittance < canvas.stop) open = false, end = from + i;
        }
        top = from;
        __syncthreads();
    }
    return {transmittance, transmittance_at_cut, {colour[0], colour[1], colour[2]}, end, cut, top};
}

// A quotient to about a unit in the last place; the divisor is above 2^-126. IEEE's division has three times the
// instructions, for divisors that are not.
SMALTI_INLINE float quotient(float dividend, float divisor) {
#if defined(__CUDACC_RTC__)
    float reciprocal;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(reciprocal) : "f"(divisor));
#else
    const float reciprocal = 1.0f / divisor;
#endif
    const float estimate = dividend * reciprocal;
    return fma(reciprocal, fma(-divisor, estimate, dividend), estimate);
}

// The transmittance above the sprite at a place, from that below it.
SMALTI_INLINE float transmittance_above(const FrontToBack& front, int place, float below, float factor) {
    return place == front.cut ? front.transmittance_at_cut : (factor > 0.0f ? quotient(below, factor) : 0.0f);
}

SMALTI_INLINE void load_background(const Canvas& canvas, const TilePixel& pixel, long long index,
                                   float (&background)[4]) {
    for (int channel = 0; channel < 4; ++channel) background[channel] = 0.0f;
    if (pixel.within && canvas.background != nullptr)
        for (int channel = 0; channel < 4; ++channel) background[channel] = canvas.background[4 * index + channel];
}

// One channel of the finished pixel.
SMALTI_INLINE float rendered(const FrontToBack& front, int channel, float background) {
    return (channel < 3 ? front.colour[channel] : 1.0f - front.transmittance) + front.transmittance * background;
}

// image [height, width, 4]
template <Colour kind>
__device__ void draw_tile(const Canvas& canvas, const Lists& lists, float* image) {
    __shared__ ProjectedSprite staged[kBatch];
    __shared__ int pairs[kBatch];
    if (is_unusable(lists.status)) return;
    const Batch batch{staged, pairs};
    const TilePixel pixel = pixel_of_thread(canvas, lists);
    const FrontToBack front = front_to_back<kind, true>(canvas, lists, pixel, nullptr, batch);
    const long long index = index_of(canvas, pixel);
    float background[4];
    load_background(canvas, pixel, index, background);
    if (!pixel.within) return;
    for (int channel = 0; channel < 4; ++channel)
        image[4 * index + channel] = rendered(front, channel, background[channel]);
}

}  // namespace smalti
