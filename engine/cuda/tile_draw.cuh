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
};

// One pixel under one sprite at a place. Returns whether light is left.
template <Colour kind, bool with_colour>
SMALTI_INLINE bool pass_sprite(const Canvas& canvas, const ProjectedSprite& s, const Local& at, int place,
                               FrontToBack& front) {
    const Shares shares = shares_of<kind>(canvas);
    const ColourSample c = sample<kind>(canvas, s, at.u, at.v);
    const float through = front.transmittance * s.opacity * kTexelScale, weight = through * c.a.value;
    if (with_colour) {
        front.colour[0] += contribution<kind>(weight, shares.tint * s.tint[0], through, shares.bitmap, c.r.value);
        front.colour[1] += contribution<kind>(weight, shares.tint * s.tint[1], through, shares.bitmap, c.g.value);
        front.colour[2] += contribution<kind>(weight, shares.tint * s.tint[2], through, shares.bitmap, c.b.value);
    }
    const float below = front.transmittance * attenuation(s.opacity, c.a.value);
    if (below < kCut && front.cut < 0) front.cut = place, front.transmittance_at_cut = front.transmittance;
    front.transmittance = below;
    if (below >= canvas.stop) return true;
    front.end = place;
    return false;
}

// Returns the place of the lowest sprite that the block visited. `with_colour`: whether the picture is computed.
// entries [sprites]: where not null, candidates are passed over.
template <Colour kind, bool with_colour, int pixels>
SMALTI_INLINE int front_to_back(const Canvas& canvas, const Lists& lists, const TilePixels<pixels>& of_thread,
                                const StackEntry* entries, const Batch& batch, FrontToBack (&front)[pixels]) {
    bool open[pixels];
    for (int j = 0; j < pixels; ++j) {
        const bool within = open[j] = of_thread.within[j];
        front[j] = {within ? 1.0f : 0.0f, 0.0f, {0.0f, 0.0f, 0.0f}, within ? of_thread.first : of_thread.last, -1};
    }
    int top = of_thread.last;
    while (top > of_thread.first) {
        bool any = false;
        for (int j = 0; j < pixels; ++j) any = any || open[j];
        if (__syncthreads_count(any) == 0) break;
        const int from = top - kBatch > of_thread.first ? top - kBatch : of_thread.first, count = top - from;
        stage<pixels>(lists, from, count, batch);
        unsigned left = reaching(of_thread, batch, count);
        while (left != 0) {
            const int i = kWarp - 1 - __clz(static_cast<int>(left));
            left ^= 1u << i;
            const ProjectedSprite& s = batch.sprites[i];
            if (entries != nullptr && entries[lists.pair_sprite[batch.pairs[i]]].role != Role::drawn) continue;
            Local at[pixels];
            bool touches[pixels];
#pragma unroll
            for (int j = 0; j < pixels; ++j) at[j] = localise(of_thread, j, s), touches[j] = reaches(s, at[j], open[j]);
#pragma unroll
            for (int j = 0; j < pixels; ++j)
                if (touches[j]) open[j] = pass_sprite<kind, with_colour>(canvas, s, at[j], from + i, front[j]);
        }
        top = from;
        __syncthreads();
    }
    return top;
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

SMALTI_INLINE void load_background(const Canvas& canvas, bool within, long long index, float (&background)[4]) {
    for (int channel = 0; channel < 4; ++channel) background[channel] = 0.0f;
    if (within && canvas.background != nullptr)
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
    const auto of_thread = pixels_of_thread<kStepPixels>(canvas, lists);
    FrontToBack front[kStepPixels];
    front_to_back<kind, true>(canvas, lists, of_thread, nullptr, Batch{staged, pairs}, front);
#pragma unroll
    for (int j = 0; j < kStepPixels; ++j) {
        const long long index = index_of(canvas, of_thread, j);
        float background[4];
        load_background(canvas, of_thread.within[j], index, background);
        if (!of_thread.within[j]) continue;
        for (int channel = 0; channel < 4; ++channel)
            image[4 * index + channel] = rendered(front[j], channel, background[channel]);
    }
}

}  // namespace smalti
