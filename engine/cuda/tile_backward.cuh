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

// One pixel under one sprite. `t`: transmittance above it; sums [kGradientSums] or [kStepSums].
template <Colour kind, int count>
SMALTI_INLINE void differentiate_pixel(const ProjectedSprite& s, const ColourSample& c, const Local& at, float t,
                                       float bitmap_share, const float (&gradient)[4], float& behind, float* sums) {
    const float tint_share = 1.0f - bitmap_share, o = s.opacity, q = kTexelScale * c.a.value;
    const float tinted = tint_share * (gradient[0] * s.tint[0] + gradient[1] * s.tint[1] + gradient[2] * s.tint[2]);
    const Sample<float> p = scaled(weighted_colour(gradient[0], c.r, gradient[1], c.g, gradient[2], c.b));
    const PixelGradient<float> g =
        backward_pixel<kind, true>(tinted, gradient[3], behind, t, scaled(c.a), p, o, bitmap_share);
    behind += g.behind;
    const float weight = tint_share * o * q * t;
    if constexpr (count == kStepSums) {
        sums[0] = g.du, sums[1] = g.dv;
        // Where the level of detail does not follow the scale, between no two levels, its derivative is 0.
        sums[2] = g.du * at.u + g.dv * at.v + static_cast<float>(kLodOfScale) * g.lod;
        sums[3] = g.du * at.v * s.squared_aspect - g.dv * at.u, sums[4] = g.opacity;
    } else {
        sums[0] = g.du * at.x, sums[1] = g.du * at.y, sums[2] = g.dv * at.x, sums[3] = g.dv * at.y;
        sums[4] = g.du, sums[5] = g.dv, sums[6] = g.lod, sums[7] = g.opacity;
    }
    for (int i = 0; i < 3; ++i) sums[count - 3 + i] = weight * gradient[i];
}

// Where the gradient by the picture comes from.
enum class Source { given, squares, terms };

// grad_image [height, width, 4]: the gradient by the picture; null where the picture is compared with a goal instead,
// and then losses [tiles] gets the tile's loss. pair_sums [pairs, sums_of_pair], kGradientSums or kStepSums.
template <Colour kind, Source source, int sums_of_pair>
__device__ void differentiate_tile(const Canvas& canvas, const Lists& lists, const Comparison& comparison,
                                   const Terms& terms, const float* grad_image, float* pair_sums, float* losses) {
    constexpr bool compares = source != Source::given;
    __shared__ ProjectedSprite staged[kBatch];
    __shared__ int pairs[kBatch];
    __shared__ WarpSums<sums_of_pair> of_warp;
    if (is_unusable(lists.status)) return;
    const Batch batch{staged, pairs};
    const TilePixel pixel = pixel_of_thread(canvas, lists);
    const FrontToBack front = front_to_back<kind, compares>(canvas, lists, pixel, nullptr, batch);
    const float bitmap_share = kind == Colour::tint ? 0.0f : canvas.mix;

    float background[4], gradient[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    const long long index = index_of(canvas, pixel);
    load_background(canvas, pixel, index, background);
    if (compares) {
        float loss = 0.0f;
        if (pixel.within && source == Source::squares)
            loss = compare_pixel(comparison, index, front, background, gradient);
        if (pixel.within && source == Source::terms)
            loss = compare_terms(comparison, terms, index, static_cast<long long>(canvas.height) * canvas.width, front,
                                 background, gradient);
        const float sum = block_sum(loss);
        if (threadIdx.x == 0) losses[pixel.tile] = sum;
    } else if (pixel.within) {
        for (int channel = 0; channel < 4; ++channel) gradient[channel] = grad_image[4 * index + channel];
    }

    // Occluded sprites get zero gradient.
    clear_pairs<sums_of_pair>(lists, pixel.first, front.top, pair_sums);

    // Back to front. `behind` is the color behind, weighted by the gradient.
    float transmittance = front.transmittance;
    float behind = gradient[0] * background[0] + gradient[1] * background[1] + gradient[2] * background[2] +
                   gradient[3] * background[3];
    for (int from = front.top; from < pixel.last; from += kBatch) {
        const int count = pixel.last - from < kBatch ? pixel.last - from : kBatch;
        __syncthreads();
        stage(lists, from, count, batch);
        for (int i = 0; i < count; ++i) {
            const ProjectedSprite& s = batch.sprites[i];
            const Local at = localise(pixel, s);
            const bool touched =
                pixel.within && from + i >= front.end && fabs(at.u) <= s.view.extent_u && fabs(at.v) <= s.view.extent_v;
            float sums[kReduced<sums_of_pair>] = {};
            if (touched) {
                const ColourSample c = sample<kind>(canvas, s, at.u, at.v);
                transmittance = transmittance_above(front, from + i, transmittance, attenuation(s.opacity, c.a.value));
                differentiate_pixel<kind, sums_of_pair>(s, c, at, transmittance, bitmap_share, gradient, behind, sums);
            }
            store_warp_sums<sums_of_pair>(touched, sums, i, of_warp);
        }
        __syncthreads();
        store_pairs<sums_of_pair>(of_warp, batch, count, pair_sums);
    }
}

}  // namespace smalti
