// SPDX-License-Identifier: GPL-3.0-or-later
// From the partial sums of pairs to the gradients of sprites, and Adam.
#pragma once

#include "tile_sample.cuh"

namespace smalti {

// The sums over a sprite's pairs, by the lanes of one warp, always added in the same order; all lanes get them.
template <int sums>
__device__ void reduce_pairs(int first, int last, const float* pair_sums, float (&sum)[kReduced<sums>]) {
    for (int i = 0; i < kReduced<sums>; ++i) sum[i] = 0.0f;
    for (int pair = first + lane_of_warp(); pair < last; pair += kWarp)
        for (int i = 0; i < sums; ++i) sum[i] += pair_sums[pair * sums + i];
    const float mine = warp_sums(sum);
    for (int i = 0; i < sums; ++i) sum[i] = __shfl_sync(kAllLanes, mine, i * (kWarp / kReduced<sums>));
}

// One sprite's gradient about its center.
__device__ inline RasterGradient<float> reduce_gradient(const ProjectedSprite& s, int first, int last,
                                                        const float* pair_sums) {
    float sum[kReduced<kGradientSums>];
    reduce_pairs<kGradientSums>(first, last, pair_sums, sum);
    RasterGradient<float> g;
    g.placement = {sum[0], sum[1], sum[2], sum[3], sum[4], sum[5]};
    if (s.drawn && s.view.lod_free) add_lod(s.placement, sum[6], g.placement);
    g.opacity = sum[7];
    for (int i = 0; i < 3; ++i) g.tint[i] = sum[8 + i];
    return g;
}

// Scale times the sum of losses [tiles], always added in the same order, by one block of 256 threads.
__device__ inline void sum_losses_of(int tiles, const float* losses, float scale, double* to) {
    __shared__ double of_warp[kTileWarps];
    double sum = 0.0;
    for (int i = static_cast<int>(threadIdx.x); i < tiles; i += kTileThreads) sum += losses[i];
    for (int step = kWarp / 2; step > 0; step /= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
    if (lane_of_warp() == 0) of_warp[threadIdx.x / kWarp] = sum;
    __syncthreads();
    if (threadIdx.x != 0) return;
    sum = 0.0;
    for (int i = 0; i < kTileWarps; ++i) sum += of_warp[i];
    *to = sum * scale;
}

// What changes from step to step, in the GPU's memory, so that a captured step can be replayed.
struct Control {
    float learning_rates[6];  // x, y, log_scale, theta, opacity, tint; 0 for what is frozen
    Adam<float> adam;
    Bounds<float> bounds;
    Pixel<float> pixel;
    float alpha_max, lod_bias;
    std::uint32_t noise_key;
    int scale_in_pixels;  // the learning rate of log_scale is that of the scale in canvas pixels
    int loss_slot;        // where in an array of losses this step's goes
};

static_assert(sizeof(Control) == 4 * 23, "engine/cuda/fused_step.py: CONTROL = struct.Struct(\"<6f4f6f2f2fIii\")");

// The gradient of what is added to the loss: by the maps from drawn pixels [count, 6], and by the opacities [count]; null
// where nothing is.
struct PenaltyGradient {
    const double* affine;
    const double* opacity;
};

// It about the sprite's center.
__device__ inline RasterGradient<float> penalty_about_centre(const PenaltyGradient& penalty, int k,
                                                             const Placement<float>& placement) {
    const double* const g = penalty.affine + 6 * k;
    const Placement<double> about{0.0, 0.0, 0.0, 0.0, placement.x, placement.y};
    const PlacementGradient<double> centred = about_centre(about, {g[0], g[1], g[3], g[4], g[2], g[5]});
    RasterGradient<float> out{};
    out.placement = {static_cast<float>(centred.a), static_cast<float>(centred.b), static_cast<float>(centred.d),
                     static_cast<float>(centred.e), static_cast<float>(centred.u), static_cast<float>(centred.v)};
    out.opacity = static_cast<float>(penalty.opacity[k]);
    return out;
}

struct ParameterArrays {
    float *x, *y, *log_scale, *theta, *opacity, *tint;
};

__device__ inline Parameters<float> parameters_of(const ParameterArrays& a, int k) {
    return {a.x[k],     a.y[k],       a.log_scale[k],
            a.theta[k], a.opacity[k], {a.tint[3 * k], a.tint[3 * k + 1], a.tint[3 * k + 2]}};
}

// A sprite's gradient by its parameters, from the sums of its pairs [kStepSums] and the penalty. `tint` [count, 3]: the
// parameters, for what is drawn may be lowered (see `project`).
__device__ inline Parameters<float> step_gradient(const Control& control, const ProjectedSprite& s,
                                                  const Extent<float>& extent, const float* sum,
                                                  const PenaltyGradient& penalty, int k, const float* tint) {
    RasterInput<float> input;
    input.placement = s.placement, input.opacity = s.opacity;
    for (int i = 0; i < 3; ++i) input.tint[i] = sigmoid(tint[3 * k + i]);
    const SimilarityGradient<float> by_map{sum[0], sum[1], sum[2], sum[3], sum[4], {sum[5], sum[6], sum[7]}};
    Parameters<float> g =
        parameter_gradient(input, by_map, extent.height / extent.width, control.pixel, control.alpha_max);
    if (penalty.affine == nullptr || !s.drawn) return g;
    const Parameters<float> more =
        parameter_gradient(input, penalty_about_centre(penalty, k, s.placement), control.pixel, control.alpha_max);
    g.x += more.x, g.y += more.y, g.log_scale += more.log_scale, g.theta += more.theta, g.opacity += more.opacity;
    return g;
}

// One sprite's step, this part of the way (gate, above 0). Means and squares [sprites, 8] each: x, y, log_scale, theta, opacity, tint.
__device__ inline void update_one(const Control& control, const Extent<float>& extent, const Parameters<float>& g,
                                  float gate, int k, const ParameterArrays& arrays, float* means, float* squares) {
    Parameters<float> p = parameters_of(arrays, k);
    float* const value[8] = {&p.x, &p.y, &p.log_scale, &p.theta, &p.opacity, &p.tint[0], &p.tint[1], &p.tint[2]};
    const float slope[8] = {g.x, g.y, g.log_scale, g.theta, g.opacity, g.tint[0], g.tint[1], g.tint[2]};
    for (int i = 0; i < 8; ++i) {
        float rate = gate * control.learning_rates[i < 5 ? i : 5];
        if (rate == 0.0f) continue;
        // Adam's steps do not depend on the unit of a gradient, so its length is what changes.
        if (i == 2 && control.scale_in_pixels) rate *= exp(-p.log_scale);
        constexpr float kTiny = 1.17549435e-38f;  // the smallest normal number
        adam_step(control.adam, rate, slope[i], kTiny, *value[i], means[8 * k + i], squares[8 * k + i]);
    }
    const float* const rates = control.learning_rates;
    const Free free{rates[0] != 0.0f, rates[1] != 0.0f, rates[2] != 0.0f, rates[4] != 0.0f, rates[5] != 0.0f};
    keep_in_bounds(control.bounds, extent, free, p);
    arrays.x[k] = p.x, arrays.y[k] = p.y, arrays.log_scale[k] = p.log_scale, arrays.theta[k] = p.theta;
    arrays.opacity[k] = p.opacity;
    for (int i = 0; i < 3; ++i) arrays.tint[3 * k + i] = p.tint[i];
}

}  // namespace smalti
