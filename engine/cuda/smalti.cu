// SPDX-License-Identifier: GPL-3.0-or-later
// The kernels that the host launches, see engine/cuda/binning.py and fused_step.py. Arrays are contiguous; shapes stand
// beside them.
#include "binning.cuh"
#include "picture_terms.cuh"
#include "tile_backward.cuh"
#include "tile_candidates.cuh"
#include "tile_draw.cuh"
#include "update.cuh"

using namespace smalti;

// From maps: affine [count, 6], opacity [count], tint [count, 3] to sprites [count]. A thread for each sprite.
extern "C" __global__ void project_maps(int count, const double* affine, const double* opacity, const double* tint,
                                        const int* templates, const int* first_level, const Level* levels,
                                        const float* luma, float lod_bias, float shade, ProjectedSprite* sprites) {
    const int k = thread_of_grid();
    if (k >= count) return;
    const float colour[3] = {static_cast<float>(tint[3 * k]), static_cast<float>(tint[3 * k + 1]),
                             static_cast<float>(tint[3 * k + 2])};
    sprites[k] = project(placement_of(affine + 6 * k), static_cast<float>(opacity[k]), colour, templates[k],
                         {first_level, levels, luma}, static_cast<double>(lod_bias), shade);
}

// From parameters, each [count] (tint [count, 3]); extent [count, 2]. Counts their pairs too. A warp for each sprite, in
// blocks of 256 threads, of which the first warp places those of all.
extern "C" __global__ void __launch_bounds__(kTileThreads)
    place_parameters(int count, float* x, float* y, float* log_scale, float* theta, float* opacity, float* tint,
                     const float* extent, const int* templates, const int* first_level, const Level* levels,
                     const float* luma, float shade, const Control* control, ProjectedSprite* sprites, int width,
                     int height, int tiles_x, int* sprite_pairs, int* tile_pairs) {
    __shared__ ProjectedSprite placed[kTileWarps];
    const int thread = static_cast<int>(threadIdx.x), first = static_cast<int>(blockIdx.x) * kTileWarps;
    if (thread < kTileWarps && first + thread < count) {
        const int k = first + thread;
        const Extent<float> of_one{extent[2 * k], extent[2 * k + 1]};
        const RasterInput<float> input = raster_input(parameters_of({x, y, log_scale, theta, opacity, tint}, k), of_one,
                                                      control->pixel, control->alpha_max);
        ProjectedSprite s = project(input.placement, input.opacity, input.tint, templates[k],
                                    {first_level, levels, luma}, control->lod_bias, shade);
        const float aspect = of_one.height / of_one.width;
        s.squared_aspect = aspect * aspect;
        placed[thread] = sprites[k] = s;
    }
    __syncthreads();
    const int warp = thread / kWarp;
    if (first + warp < count)
        count_pairs_of(first + warp, placed[warp], width, height, tiles_x, sprite_pairs, tile_pairs);
}

// A warp for each sprite.
extern "C" __global__ void count_pairs(int count, const ProjectedSprite* sprites, int width, int height, int tiles_x,
                                       int* sprite_pairs, int* tile_pairs) {
    const int k = thread_of_grid() / kWarp;
    if (k < count) count_pairs_of(k, sprites[k], width, height, tiles_x, sprite_pairs, tile_pairs);
}

// Two blocks of 1,024 threads.
extern "C" __global__ void __launch_bounds__(1024)
    scan_pairs(int count, int* sprite_pairs, int* pair_start, int tiles, int* tile_pairs, int* tile_start, int* next,
               int capacity, Status* status) {
    scan_pairs_of(count, sprite_pairs, pair_start, tiles, tile_pairs, tile_start, next, capacity, status);
}

// A warp for each sprite.
extern "C" __global__ void list_pairs(int count, const ProjectedSprite* sprites, int width, int height, int tiles_x,
                                      const int* pair_start, const int* tile_start, int* next, Status* status,
                                      int* list, int* pair_sprite) {
    list_pairs_of(count, sprites, width, height, tiles_x, pair_start, tile_start, next, status, list, pair_sprite);
}

// A block for each tile.
extern "C" __global__ void order_pairs(const int* tile_start, const int* next, Status* status, const int* list,
                                       int* ordered) {
    order_pairs_of(tile_start, next, status, list, ordered);
}

// The passes over the tiles: a block of 256 threads for each tile, of 128 where a thread has two pixels. Their first arguments are `Bins.lists` and
// `canvas_arguments` in engine/cuda/binning.py.
#define SMALTI_TILE_ARGUMENTS                                                                          \
    const ProjectedSprite *sprites, const int *pair_sprite, const int *tile_start, const int *ordered, \
        const Status *status, int width, int height, int tiles_x, float stop, float mix, float shade,  \
        const std::uint64_t *alpha_quads, const std::uint64_t *texels, const float *background
#define SMALTI_CANVAS \
    Canvas { width, height, tiles_x, stop, mix, shade, alpha_quads, texels, background }
#define SMALTI_LISTS \
    Lists { sprites, pair_sprite, tile_start, ordered, status }

#define SMALTI_COMPARISON_ARGUMENTS \
    const float *goal, float scale, int absolute, int encoded, int on_noise, const Control *control
#define SMALTI_COMPARISON Comparison{goal, scale, absolute, encoded, on_noise, on_noise ? control->noise_key : 0u}

// With as many threads on a multiprocessor as where each has one pixel.
#define SMALTI_STEP_BOUNDS __launch_bounds__(kTileThreads / kStepPixels, kTileBlocks * kStepPixels)

#define SMALTI_TILE_KERNELS(name, kind)                                                                               \
    extern "C" __global__ void SMALTI_STEP_BOUNDS draw_##name(SMALTI_TILE_ARGUMENTS, float* image) {                  \
        draw_tile<kind>(SMALTI_CANVAS, SMALTI_LISTS, image);                                                          \
    }                                                                                                                 \
    extern "C" __global__ void SMALTI_STEP_BOUNDS show_##name(SMALTI_TILE_ARGUMENTS, SMALTI_COMPARISON_ARGUMENTS,     \
                                                              float* shown, float* expected) {                        \
        show_tile<kind>(SMALTI_CANVAS, SMALTI_LISTS, SMALTI_COMPARISON, shown, expected);                             \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(kTileThreads, kTileBlocks)                                           \
        differentiate_##name(SMALTI_TILE_ARGUMENTS, const float* grad_image, float* pair_sums) {                      \
        differentiate_tile<kind, Source::given, kGradientSums, 1>(SMALTI_CANVAS, SMALTI_LISTS, Comparison{}, Terms{}, \
                                                                  grad_image, pair_sums, nullptr);                    \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(kTileThreads, kTileBlocks)                                           \
        compare_##name(SMALTI_TILE_ARGUMENTS, SMALTI_COMPARISON_ARGUMENTS, float* pair_sums, float* losses) {         \
        differentiate_tile<kind, Source::squares, kGradientSums, 1>(SMALTI_CANVAS, SMALTI_LISTS, SMALTI_COMPARISON,   \
                                                                    Terms{}, nullptr, pair_sums, losses);             \
    }                                                                                                                 \
    extern "C" __global__ void SMALTI_STEP_BOUNDS step_##name(SMALTI_TILE_ARGUMENTS, SMALTI_COMPARISON_ARGUMENTS,     \
                                                              float* pair_sums, float* losses) {                      \
        differentiate_tile<kind, Source::squares, kStepSums, kStepPixels>(                                            \
            SMALTI_CANVAS, SMALTI_LISTS, SMALTI_COMPARISON, Terms{}, nullptr, pair_sums, losses);                     \
    }                                                                                                                 \
    extern "C" __global__ void SMALTI_STEP_BOUNDS step_terms_##name(                                                  \
        SMALTI_TILE_ARGUMENTS, SMALTI_COMPARISON_ARGUMENTS, float mse, float l1, float huber, float oklab,            \
        float alpha, const float* weights, const float* target_alpha, const float* gradient, float* pair_sums,        \
        float* losses) {                                                                                              \
        const Terms terms{{mse, l1, huber, oklab}, alpha, weights, target_alpha, gradient};                           \
        differentiate_tile<kind, Source::terms, kStepSums, kStepPixels>(                                              \
            SMALTI_CANVAS, SMALTI_LISTS, SMALTI_COMPARISON, terms, nullptr, pair_sums, losses);                       \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(kTileThreads, kTileBlocks)                                           \
        removal_##name(SMALTI_TILE_ARGUMENTS, const float* goal, float* pair_errors) {                                \
        removal_tile<kind>(SMALTI_CANVAS, SMALTI_LISTS, goal, pair_errors);                                           \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(kTileThreads, kCandidateBlocks)                                      \
        candidates_##name(SMALTI_TILE_ARGUMENTS, const float* goal, const StackEntry* entries, float* pair_sums) {    \
        candidates_tile<kind>(SMALTI_CANVAS, SMALTI_LISTS, goal, entries, pair_sums);                                 \
    }

SMALTI_TILE_KERNELS(tint, Colour::tint)
SMALTI_TILE_KERNELS(mixed, Colour::mixed)
SMALTI_TILE_KERNELS(shaded, Colour::shaded)

// grad_affine [count, 6], grad_opacity [count], grad_tint [count, 3]. A warp for each sprite.
extern "C" __global__ void reduce_gradients(int count, const ProjectedSprite* sprites, const int* pair_start,
                                            const Status* status, const float* pair_sums, double* grad_affine,
                                            double* grad_opacity, double* grad_tint) {
    const int k = thread_of_grid() / kWarp;
    if (k >= count || is_unusable(status)) return;
    const ProjectedSprite& s = sprites[k];
    const RasterGradient<float> g = reduce_gradient(s, pair_start[k], pair_start[k + 1], pair_sums);
    if (lane_of_warp() != 0) return;
    const PlacementGradient<float>& p = g.placement;
    double* const affine = grad_affine + 6 * k;
    // From about the center to the origin; nothing may be multiplied by the center of a sprite that is not drawn.
    const double x = s.drawn ? s.placement.x : 0.0f, y = s.drawn ? s.placement.y : 0.0f;
    affine[0] = p.a + x * p.u, affine[1] = p.b + y * p.u, affine[2] = p.u;
    affine[3] = p.d + x * p.v, affine[4] = p.e + y * p.v, affine[5] = p.v;
    grad_opacity[k] = g.opacity;
    for (int i = 0; i < 3; ++i) grad_tint[3 * k + i] = g.tint[i];
}

// errors [count]. A warp for each sprite.
extern "C" __global__ void reduce_removal(int count, const int* pair_start, const Status* status,
                                          const float* pair_errors, double* errors) {
    const int k = thread_of_grid() / kWarp;
    if (k >= count || is_unusable(status)) return;
    float sum[kReduced<kRemovalSums>];
    reduce_pairs<kRemovalSums>(pair_start[k], pair_start[k + 1], pair_errors, sum);
    if (lane_of_warp() == 0) errors[k] = sum[0];
}

// scores [count, kCandidateSums]. A warp for each sprite.
extern "C" __global__ void reduce_candidates(int count, const int* pair_start, const Status* status,
                                             const float* pair_sums, double* scores) {
    const int k = thread_of_grid() / kWarp;
    if (k >= count || is_unusable(status)) return;
    float sum[kReduced<kCandidateSums>];
    reduce_pairs<kCandidateSums>(pair_start[k], pair_start[k + 1], pair_sums, sum);
    if (lane_of_warp() != 0) return;
    for (int i = 0; i < kCandidateSums; ++i) scores[kCandidateSums * k + i] = sum[i];
}

// Adam on every parameter; means and squares [count, 8]. A warp for each sprite; and one block more, which adds up the
// losses [tiles] into the one of `sums` that `control` says.
extern "C" __global__ void __launch_bounds__(kTileThreads)
    update_parameters(int count, float* x, float* y, float* log_scale, float* theta, float* opacity, float* tint,
                      float* means, float* squares, const float* extent, const float* gates,
                      const ProjectedSprite* sprites, const int* pair_start, const Status* status,
                      const float* pair_sums, const Control* control, const double* penalty_affine,
                      const double* penalty_opacity, int tiles, const float* losses, float scale, double* sums) {
    if (is_unusable(status)) return;
    if (blockIdx.x == gridDim.x - 1) {
        sum_losses_of(tiles, losses, scale, sums + control->loss_slot);
        return;
    }
    const int k = thread_of_grid() / kWarp;
    if (k >= count || gates[k] == 0.0f) return;
    float sum[kReduced<kStepSums>];
    reduce_pairs<kStepSums>(pair_start[k], pair_start[k + 1], pair_sums, sum);
    if (lane_of_warp() != 0) return;
    const Extent<float> of_one{extent[2 * k], extent[2 * k + 1]};
    const Parameters<float> g =
        step_gradient(*control, sprites[k], of_one, sum, {penalty_affine, penalty_opacity}, k, tint);
    update_one(*control, of_one, g, gates[k], k, {x, y, log_scale, theta, opacity, tint}, means, squares);
}

// Scale times the sum of losses [tiles]. One block of 256 threads.
extern "C" __global__ void __launch_bounds__(kTileThreads)
    sum_losses(int tiles, const float* losses, float scale, const Status* status, double* sum) {
    if (!is_unusable(status)) sum_losses_of(tiles, losses, scale, sum);
}

// The terms that look at a pixel's neighborhood, see picture_terms.cuh and engine/cuda/step_terms.py. Jobs are [count + 1].

// A thread for each pixel of the smaller planes.
extern "C" __global__ void halve_planes(int planes, int height, int width, const float* from, float* to) {
    halve_planes_of(planes, height, width, from, to);
}

// A block of 256 threads for each 16 x 16 pixels of a plane of a job.
extern "C" __global__ void __launch_bounds__(kTileThreads)
    measure_ssim(const PictureJob* jobs, const float* pictures, const float* weights, float* maps, float* sums) {
    ssim_of(jobs, pictures, weights, maps, sums);
}

// One block of 1,024 threads.
extern "C" __global__ void __launch_bounds__(1024) combine_scales(int scales, const PictureJob* jobs, const float* sums,
                                                                  const double* totals, float factor, float* factors) {
    ms_ssim_factors_of(scales, jobs, sums, totals, factor, factors);
}

// Blocks as those of measure_ssim.
extern "C" __global__ void __launch_bounds__(kTileThreads)
    differentiate_ssim(const PictureJob* jobs, const float* pictures, const float* maps, const float* factors,
                       float* gradients) {
    ssim_gradient_of(jobs, pictures, maps, factors, gradients);
}

// Blocks as those of measure_ssim.
extern "C" __global__ void __launch_bounds__(kTileThreads)
    differentiate_edges(const PictureJob* jobs, const float* pictures, const float* weights, const float* factors,
                        float* gradients) {
    edges_gradient_of(jobs, pictures, weights, factors, gradients);
}

// A thread for each pixel of each plane.
extern "C" __global__ void gather_gradients(int count, const PictureJob* jobs, const float* gradients, int height,
                                            int width, float* to) {
    gather_gradients_of(count, jobs, gradients, height, width, to);
}
