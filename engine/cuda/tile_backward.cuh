// SPDX-License-Identifier: GPL-3.0-or-later
// The gradients of a tile's pairs, of a given gradient by the picture or of the loss against a goal.
#pragma once

#include "../kernels/pixel_loss.h"
#include "tile_draw.cuh"

namespace smalti {

// What the picture is compared with, as `Goal` in the CPU back end.
struct Comparison {
    const float* goal;  // [height, width, 4]
    float scale;
    int absolute, encoded, on_noise;
    std::uint32_t noise_key;
};

// A sum of terms that look at one pixel alone, as `LossTerms` in the CPU back end, and the gradient of all others.
struct Terms {
    PixelFactors<float> pixel;
    float alpha;
    const float* weights;       // [height, width], or null for all alike
    const float* target_alpha;  // [height, width], or null
    const float* gradient;      // [3, height, width] by the display-encoded colors, or null
};

// A channel of a pixel of the finished picture and of its goal, display-encoded, and the slope of the curve that encodes.
struct ShownChannel {
    float value, slope, goal;
};

// Noise replaces the background.
SMALTI_INLINE ShownChannel shown_channel(const Comparison& comparison, long long index, const FrontToBack& front,
                                         int channel, float& background) {
    float goal = comparison.goal[4 * index + channel];
    if (comparison.on_noise) {
        const std::uint32_t place = static_cast<std::uint32_t>(4 * index + channel);
        background = channel < 3 ? noise(comparison.noise_key, place) : 1.0f;
        goal += (1.0f - comparison.goal[4 * index + 3]) * background;
    }
    const float value = rendered(front, channel, background);
    if (!comparison.encoded || channel == 3) return {value, 1.0f, goal};
    const CurvePoint<float> shown = encoded(value);
    if (comparison.on_noise) goal = encoded(goal).value;
    return {shown.value, shown.slope, goal};
}

// Compares a pixel with its goal: the gradient by it, and its loss, not scaled.
SMALTI_INLINE float compare_pixel(const Comparison& comparison, long long index, const FrontToBack& front,
                                  float (&background)[4], float (&gradient)[4]) {
    float loss = 0.0f;
    for (int channel = 0; channel < 4; ++channel) {
        const ShownChannel at = shown_channel(comparison, index, front, channel, background[channel]);
        const Compared<float> c = compared(at.value, at.goal, comparison.scale, comparison.absolute != 0);
        loss += c.loss;
        gradient[channel] = at.slope * c.slope;
    }
    return loss;
}

// The same for a sum of terms; returns the squared difference of colors. What lies beneath has no part in the sprites' own
// alpha.
SMALTI_INLINE float compare_terms(const Comparison& comparison, const Terms& terms, long long index, long long plane,
                                  const FrontToBack& front, float (&background)[4], float (&gradient)[4]) {
    float shown[3], slope[3], goal[3], loss = 0.0f;
    for (int channel = 0; channel < 3; ++channel) {
        const ShownChannel at = shown_channel(comparison, index, front, channel, background[channel]);
        shown[channel] = at.value, slope[channel] = at.slope, goal[channel] = at.goal;
        loss += (at.value - at.goal) * (at.value - at.goal);
    }
    const float weight = terms.weights == nullptr ? 1.0f : terms.weights[index];
    const PixelTerms<float> pixel = pixel_terms(shown, goal, terms.pixel);
    for (int channel = 0; channel < 3; ++channel) {
        const float others = terms.gradient == nullptr ? 0.0f : terms.gradient[channel * plane + index];
        gradient[channel] = slope[channel] * (weight * pixel.gradient[channel] + others);
    }
    background[3] = 0.0f;
    if (terms.alpha != 0.0f)
        gradient[3] = 2.0f * terms.alpha * weight * (1.0f - front.transmittance - terms.target_alpha[index]);
    return loss;
}

// The gradient by a sprite's colors before they are kept within its alpha, and what goes to alpha where they are not.
struct ShownGradient {
    float channel[3], alpha;
};

// `q`: the sprite's alpha, from 0 to 1.
template <Colour kind>
SMALTI_INLINE ShownGradient gradient_of_shown(const ProjectedSprite& s, const ColourSample& c, float q,
                                              const Shares& shares, const float (&gradient)[4]) {
    ShownGradient by{{gradient[0], gradient[1], gradient[2]}, 0.0f};
    if constexpr (kind == Colour::shaded) {
        const float bitmap[3] = {c.r.value, c.g.value, c.b.value};
#pragma unroll
        for (int i = 0; i < 3; ++i) {
            const float value = shares.tint * s.tint[i] * q + kTexelScale * bitmap[i];
            const Limited<float> parts = limited_gradient(by.channel[i], value, q);
            by.channel[i] = parts.value, by.alpha += parts.alpha;
        }
    }
    return by;
}

// One pixel under one sprite. `t`: transmittance above it. Adds to sums [kGradientSums] or [kStepSums], which for a thread's
// first pixel (`first`) are still 0.
template <Colour kind, int count, bool first>
SMALTI_INLINE void differentiate_pixel(const ProjectedSprite& s, const ColourSample& c, const Local& at, float t,
                                       const Shares& shares, const float (&gradient)[4], float& behind, float* sums) {
    const auto add = [&](int i, float value) { sums[i] = first ? value : sums[i] + value; };
    const float o = s.opacity, q = kTexelScale * c.a.value;
    const ShownGradient by = gradient_of_shown<kind>(s, c, q, shares, gradient);
    float tinted = shares.tint * (by.channel[0] * s.tint[0] + by.channel[1] * s.tint[1] + by.channel[2] * s.tint[2]);
    if constexpr (kind == Colour::shaded) tinted += by.alpha;
    const Sample<float> p = scaled(weighted_colour(by.channel[0], c.r, by.channel[1], c.g, by.channel[2], c.b));
    const PixelGradient<float> g =
        backward_pixel<kind, true>(tinted, gradient[3], behind, t, scaled(c.a), p, o, shares.bitmap);
    behind += g.behind;
    const float weight = shares.tint * o * q * t;
    if constexpr (count == kStepSums) {
        add(0, g.du), add(1, g.dv);
        // Where the level of detail does not follow the scale, between no two levels, its derivative is 0.
        add(2, g.du * at.u + g.dv * at.v + static_cast<float>(kLodOfScale) * g.lod);
        add(3, g.du * at.v * s.squared_aspect - g.dv * at.u), add(4, g.opacity);
    } else {
        add(0, g.du * at.x), add(1, g.du * at.y), add(2, g.dv * at.x), add(3, g.dv * at.y);
        add(4, g.du), add(5, g.dv), add(6, g.lod), add(7, g.opacity);
    }
    for (int i = 0; i < 3; ++i) add(count - 3 + i, weight * by.channel[i]);
}

// Where the gradient by the picture comes from.
enum class Source { given, squares, terms };

// A thread's pixels on the way back to front.
template <int pixels>
struct BackToFront {
    FrontToBack front[pixels];  // its transmittance is the one below the next sprite
    float gradient[pixels][4];  // by the pixel's color
    float behind[pixels];       // the color behind, weighted by the gradient
};

// Finishes each pixel, and starts with the gradient by it. Returns their losses, not scaled.
template <Source source, int pixels>
SMALTI_INLINE float start_pixels(const Canvas& canvas, const Comparison& comparison, const Terms& terms,
                                 const float* grad_image, const TilePixels<pixels>& of_thread,
                                 BackToFront<pixels>& back) {
    const long long plane = static_cast<long long>(canvas.height) * canvas.width;
    float losses = 0.0f;
    // The comparison by many terms is long, and its code is there once. An index that is only known at run time would then
    // put the pixels into memory, so they are picked.
    [[maybe_unused]] constexpr int kUnrolled = source == Source::terms ? 1 : pixels;
#pragma unroll kUnrolled
    for (int j = 0; j < pixels; ++j) {
        FrontToBack front = back.front[0];
        bool within = of_thread.within[0];
#pragma unroll
        for (int k = 1; k < pixels; ++k)
            if (k == j) front = back.front[k], within = of_thread.within[k];
        const long long index = index_of(canvas, of_thread, j);
        float background[4], gradient[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        load_background(canvas, within, index, background);
        if (within) {
            if constexpr (source == Source::given)
                for (int channel = 0; channel < 4; ++channel) gradient[channel] = grad_image[4 * index + channel];
            if constexpr (source == Source::squares)
                losses += compare_pixel(comparison, index, front, background, gradient);
            if constexpr (source == Source::terms)
                losses += compare_terms(comparison, terms, index, plane, front, background, gradient);
        }
        const float behind = gradient[0] * background[0] + gradient[1] * background[1] + gradient[2] * background[2] +
                             gradient[3] * background[3];
#pragma unroll
        for (int k = 0; k < pixels; ++k) {
            if (k != j) continue;
            back.behind[k] = behind;
            for (int channel = 0; channel < 4; ++channel) back.gradient[k][channel] = gradient[channel];
        }
    }
    return losses;
}

// A thread's pixels under one sprite at a place. Returns whether the sprite has touched one of them.
template <Colour kind, int count, int pixels>
SMALTI_INLINE bool differentiate_pixels(const Canvas& canvas, const ProjectedSprite& s,
                                        const TilePixels<pixels>& of_thread, int place, BackToFront<pixels>& back,
                                        float* sums) {
    const Shares shares = shares_of<kind>(canvas);
    Local at[pixels];
    bool touches[pixels], touched = false;
#pragma unroll
    for (int j = 0; j < pixels; ++j) {
        at[j] = localise(of_thread, j, s);
        touches[j] = reaches(s, at[j], place >= back.front[j].end);
        touched |= touches[j];
    }
#pragma unroll
    for (int j = 0; j < pixels; ++j) {
        if (!touches[j]) continue;
        const ColourSample c = sample<kind>(canvas, s, at[j].u, at[j].v);
        float& t = back.front[j].transmittance;
        t = transmittance_above(back.front[j], place, t, attenuation(s.opacity, c.a.value));
        if (j == 0)
            differentiate_pixel<kind, count, true>(s, c, at[j], t, shares, back.gradient[j], back.behind[j], sums);
        else
            differentiate_pixel<kind, count, false>(s, c, at[j], t, shares, back.gradient[j], back.behind[j], sums);
    }
    return touched;
}

// grad_image [height, width, 4]: the gradient by the picture; null where the picture is compared with a goal instead,
// and then losses [tiles] gets the tile's loss. pair_sums [pairs, sums_of_pair], kGradientSums or kStepSums.
template <Colour kind, Source source, int sums_of_pair, int pixels>
__device__ void differentiate_tile(const Canvas& canvas, const Lists& lists, const Comparison& comparison,
                                   const Terms& terms, const float* grad_image, float* pair_sums, float* losses) {
    constexpr bool compares = source != Source::given;
    __shared__ ProjectedSprite staged[kBatch];
    __shared__ int pairs[kBatch];
    __shared__ WarpSums<sums_of_pair, pixels> of_warp;
    if (is_unusable(lists.status)) return;
    const Batch batch{staged, pairs};
    const auto of_thread = pixels_of_thread<pixels>(canvas, lists);
    BackToFront<pixels> back;
    const int top = front_to_back<kind, compares>(canvas, lists, of_thread, nullptr, batch, back.front);
    const float loss = start_pixels<source>(canvas, comparison, terms, grad_image, of_thread, back);
    if (compares) {
        const float sum = block_sum<pixels>(loss);
        if (threadIdx.x == 0) losses[of_thread.tile] = sum;
    }

    // Occluded sprites get zero gradient.
    clear_pairs<sums_of_pair, pixels>(lists, of_thread.first, top, pair_sums);

    for (int from = top; from < of_thread.last; from += kBatch) {
        const int count = of_thread.last - from < kBatch ? of_thread.last - from : kBatch;
        __syncthreads();
        stage<pixels>(lists, from, count, batch);
        unsigned left = reaching(of_thread, batch, count);
        clear_warp_sums<sums_of_pair, pixels>(left, of_warp);
        for (; left != 0; left &= left - 1) {
            const int i = __ffs(static_cast<int>(left)) - 1;
            float sums[kReduced<sums_of_pair>] = {};
            const bool touched =
                differentiate_pixels<kind, sums_of_pair>(canvas, batch.sprites[i], of_thread, from + i, back, sums);
            store_warp_sums<sums_of_pair, pixels>(touched, sums, i, of_warp);
        }
        __syncthreads();
        store_pairs<sums_of_pair, pixels>(of_warp, batch, count, pair_sums);
    }
}

}  // namespace smalti
