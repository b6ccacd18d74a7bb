// SPDX-License-Identifier: GPL-3.0-or-later
// From the gradients of pairs to those of sprites, and Adam.
#pragma once

#include "tile.cuh"

namespace smalti {

// The sums over a sprite's pairs, by the lanes of one warp, always added in the same order; all lanes get them.
template <int numbers>
__device__ void sum_of_pairs(int first, int last, const float* pair_numbers, float (&sum)[kReduced]) {
    for (int i = 0; i < kReduced; ++i) sum[i] = 0.0f;
    for (int pair = first + lane_of_warp(); pair < last; pair += kWarp)
        for (int i = 0; i < numbers; ++i) sum[i] += pair_numbers[pair * numbers + i];
    const float mine = reduced(sum);
    for (int i = 0; i < numbers; ++i) sum[i] = __shfl_sync(kAllLanes, mine, 2 * i);
}

// One sprite's gradient about its centre.
__device__ inline DrawableGradient<float> merged(const Record& r, int first, int last, const float* pair_numbers) {
    float sum[kReduced];
    sum_of_pairs<kPairNumbers>(first, last, pair_numbers, sum);
    DrawableGradient<float> g;
    g.placement = {sum[0], sum[1], sum[2], sum[3], sum[4], sum[5]};
    if (r.drawn && r.view.lod_free) add_lod(r.placement, sum[6], g.placement);
    g.opacity = sum[7];
    for (int i = 0; i < 3; ++i) g.tint[i] = sum[8 + i];
    return g;
}

// What changes from step to step, in the GPU's memory, so that a captured step can be played again. The layout is that of
// `CONTROL` in engine/cuda/__init__.py.
struct Control {
    float rates[6];  // x, y, log_scale, theta, opacity, tint; 0 for what is locked
    Adam<float> adam;
    Bounds<float> bounds;
    Pixel<float> pixel;
    float alpha_max, lod_bias;
    std::uint32_t noise_key;
};

struct ParameterArrays {
    float *x, *y, *log_scale, *theta, *opacity, *tint;
};

__device__ inline Parameters<float> parameters_of(const ParameterArrays& a, int k) {
    return {a.x[k], a.y[k], a.log_scale[k], a.theta[k], a.opacity[k], {a.tint[3 * k], a.tint[3 * k + 1], a.tint[3 * k + 2]}};
}

// One sprite's step. Means and squares [sprites, 8] each: x, y, log_scale, theta, opacity, tint.
__device__ inline void update_one(const Control& control, const Record& r, const Extent<float>& extent,
                                  const DrawableGradient<float>& gradient, int k, const ParameterArrays& arrays,
                                  float* means, float* squares) {
    Parameters<float> p = parameters_of(arrays, k);
    Drawable<float> drawn;
    drawn.placement = r.placement, drawn.opacity = r.opacity;
    for (int i = 0; i < 3; ++i) drawn.tint[i] = r.tint[i];
    const Parameters<float> g = chain(drawn, gradient, control.pixel, control.alpha_max);
    float* const value[8] = {&p.x, &p.y, &p.log_scale, &p.theta, &p.opacity, &p.tint[0], &p.tint[1], &p.tint[2]};
    const float slope[8] = {g.x, g.y, g.log_scale, g.theta, g.opacity, g.tint[0], g.tint[1], g.tint[2]};
    for (int i = 0; i < 8; ++i) {
        const float rate = control.rates[i < 5 ? i : 5];
        // The smallest normal number.
        if (rate != 0.0f) adam_step(control.adam, rate, slope[i], 1.17549435e-38f, *value[i], means[8 * k + i], squares[8 * k + i]);
    }
    keep_in_bounds(control.bounds, extent, control.rates[2] != 0.0f, p);
    arrays.x[k] = p.x, arrays.y[k] = p.y, arrays.log_scale[k] = p.log_scale, arrays.theta[k] = p.theta;
    arrays.opacity[k] = p.opacity;
    for (int i = 0; i < 3; ++i) arrays.tint[3 * k + i] = p.tint[i];
}

}  // namespace smalti
