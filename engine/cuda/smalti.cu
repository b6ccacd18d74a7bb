// SPDX-License-Identifier: GPL-3.0-or-later
// The kernels that the host launches, see engine/cuda/__init__.py. Arrays are contiguous; shapes stand beside them.
#include "binning.cuh"
#include "tile.cuh"
#include "update.cuh"

using namespace smalti;

// From maps: affine [sprites, 6], opacity [sprites], tint [sprites, 3]. A thread for each sprite.
extern "C" __global__ void place_maps(int sprites, const double* affine, const double* opacity, const double* tint,
                                      const int* templates, const int* first_level, const Level* levels,
                                      float lod_bias, Record* records) {
    const int k = thread_of_grid();
    if (k >= sprites) return;
    const float colour[3] = {static_cast<float>(tint[3 * k]), static_cast<float>(tint[3 * k + 1]),
                             static_cast<float>(tint[3 * k + 2])};
    records[k] = record_of(placement_of(affine + 6 * k), static_cast<float>(opacity[k]), colour, templates[k],
                           first_level, levels, static_cast<double>(lod_bias));
}

// From parameters, each [sprites] (tint [sprites, 3]); extent [sprites, 2]. A thread for each sprite.
extern "C" __global__ void place_parameters(int sprites, float* x, float* y, float* log_scale, float* theta,
                                            float* opacity, float* tint, const float* extent, const int* templates,
                                            const int* first_level, const Level* levels, const Control* control,
                                            Record* records) {
    const int k = thread_of_grid();
    if (k >= sprites) return;
    const Drawable<float> d = drawable(parameters_of({x, y, log_scale, theta, opacity, tint}, k),
                                       Extent<float>{extent[2 * k], extent[2 * k + 1]}, control->pixel,
                                       control->alpha_max);
    records[k] = record_of(d.placement, d.opacity, d.tint, templates[k], first_level, levels, control->lod_bias);
}

// A warp for each sprite.
extern "C" __global__ void count_pairs(int sprites, const Record* records, int width, int height, int tiles_x,
                                       int* sprite_pairs, int* tile_pairs) {
    count_pairs_of(sprites, records, width, height, tiles_x, sprite_pairs, tile_pairs);
}

// Two blocks of 1,024 threads.
extern "C" __global__ void __launch_bounds__(1024) scan_pairs(int sprites, const int* sprite_pairs, int* pair_start, int tiles,
                                      const int* tile_pairs, int* tile_start, int* next, int capacity, Status* status) {
    scan_pairs_of(sprites, sprite_pairs, pair_start, tiles, tile_pairs, tile_start, next, capacity, status);
}

// A warp for each sprite.
extern "C" __global__ void list_pairs(int sprites, const Record* records, int width, int height, int tiles_x,
                                      const int* pair_start, int* next, const Status* status, int* list,
                                      int* pair_sprite) {
    list_pairs_of(sprites, records, width, height, tiles_x, pair_start, next, status, list, pair_sprite);
}

// A block for each tile.
extern "C" __global__ void order_pairs(const int* tile_start, const Status* status, const int* list, int* ordered) {
    order_pairs_of(tile_start, status, list, ordered);
}

// The passes over the tiles: a block of 256 threads for each tile.
#define SMALTI_LISTS                                                                                        \
    const Record *records, const int *pair_sprite, const int *tile_start, const int *ordered, const Status *status
#define SMALTI_CANVAS                                                                                       \
    int width, int height, int tiles_x, float stop, float mix, const std::uint64_t *alpha_quads,            \
        const std::uint64_t *texels, const float *background

#define SMALTI_TILE_KERNELS(name, kind)                                                                               \
    extern "C" __global__ void __launch_bounds__(kTileThreads, kTileBlocks)                                           \
        draw_##name(SMALTI_LISTS, SMALTI_CANVAS, float* image) {                                                      \
        tile_of<Pass::draw, kind>({width, height, tiles_x, stop, mix, alpha_quads, texels, background},               \
                                  {records, pair_sprite, tile_start, ordered, status}, Comparison{}, image, nullptr,  \
                                  nullptr, nullptr);                                                                  \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(kTileThreads, kTileBlocks)                                           \
        differentiate_##name(SMALTI_LISTS, SMALTI_CANVAS, const float* grad_image, float* pair_numbers) {             \
        tile_of<Pass::differentiate, kind>({width, height, tiles_x, stop, mix, alpha_quads, texels, background},      \
                                           {records, pair_sprite, tile_start, ordered, status}, Comparison{},         \
                                           nullptr, grad_image, pair_numbers, nullptr);                               \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(kTileThreads, kTileBlocks)                                           \
        step_##name(SMALTI_LISTS, SMALTI_CANVAS, const float* goal, float scale, int absolute, int encoded,           \
                    int on_noise, const Control* control, float* pair_numbers, float* losses) {                       \
        tile_of<Pass::step, kind>({width, height, tiles_x, stop, mix, alpha_quads, texels, background},               \
                                  {records, pair_sprite, tile_start, ordered, status},                                \
                                  {goal, scale, absolute, encoded, on_noise, on_noise ? control->noise_key : 0u, nullptr}, \
                                  nullptr, nullptr, pair_numbers, losses);                                            \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(kTileThreads, kTileBlocks)                                           \
        removal_##name(SMALTI_LISTS, SMALTI_CANVAS, const float* goal, float* pair_costs) {                           \
        tile_of<Pass::removal, kind>({width, height, tiles_x, stop, mix, alpha_quads, texels, background},            \
                                     {records, pair_sprite, tile_start, ordered, status},                             \
                                     {goal, 1.0f, 0, 0, 0, 0u, nullptr}, nullptr, nullptr, pair_costs, nullptr);      \
    }                                                                                                                 \
    extern "C" __global__ void __launch_bounds__(kTileThreads, kAppraisalBlocks)                                      \
        appraise_##name(SMALTI_LISTS, SMALTI_CANVAS, const float* goal, const int* roles, float* pair_numbers) {      \
        tile_of<Pass::appraise, kind>({width, height, tiles_x, stop, mix, alpha_quads, texels, background},           \
                                      {records, pair_sprite, tile_start, ordered, status},                            \
                                      {goal, 1.0f, 0, 0, 0, 0u, roles}, nullptr, nullptr, pair_numbers, nullptr);     \
    }

SMALTI_TILE_KERNELS(tint, Colour::tint)
SMALTI_TILE_KERNELS(mixed, Colour::mixed)

// grad_affine [sprites, 6], grad_opacity [sprites], grad_tint [sprites, 3]. A warp for each sprite.
extern "C" __global__ void merge_maps(int sprites, const Record* records, const int* pair_start, const Status* status,
                                      const float* pair_numbers, double* grad_affine, double* grad_opacity,
                                      double* grad_tint) {
    const int k = thread_of_grid() / kWarp;
    if (k >= sprites || status->overflow) return;
    const Record& r = records[k];
    const DrawableGradient<float> g = merged(r, pair_start[k], pair_start[k + 1], pair_numbers);
    if (lane_of_warp() != 0) return;
    const PlacementGradient<float>& p = g.placement;
    double* const affine = grad_affine + 6 * k;
    // From about the centre to the origin; nothing may be multiplied by the centre of a sprite that is not drawn.
    const double x = r.drawn ? r.placement.x : 0.0f, y = r.drawn ? r.placement.y : 0.0f;
    affine[0] = p.a + x * p.u, affine[1] = p.b + y * p.u, affine[2] = p.u;
    affine[3] = p.d + x * p.v, affine[4] = p.e + y * p.v, affine[5] = p.v;
    grad_opacity[k] = g.opacity;
    for (int i = 0; i < 3; ++i) grad_tint[3 * k + i] = g.tint[i];
}

// costs [sprites]. A warp for each sprite.
extern "C" __global__ void merge_costs(int sprites, const int* pair_start, const Status* status,
                                       const float* pair_costs, double* costs) {
    const int k = thread_of_grid() / kWarp;
    if (k >= sprites || status->overflow) return;
    float sum[kReduced];
    sum_of_pairs<1>(pair_start[k], pair_start[k + 1], pair_costs, sum);
    if (lane_of_warp() == 0) costs[k] = sum[0];
}

// appraisals [sprites, kAppraisalNumbers]. A warp for each sprite.
extern "C" __global__ void merge_appraisals(int sprites, const int* pair_start, const Status* status,
                                            const float* pair_numbers, double* appraisals) {
    const int k = thread_of_grid() / kWarp;
    if (k >= sprites || status->overflow) return;
    float sum[kReduced];
    sum_of_pairs<kAppraisalNumbers>(pair_start[k], pair_start[k + 1], pair_numbers, sum);
    if (lane_of_warp() != 0) return;
    for (int i = 0; i < kAppraisalNumbers; ++i) appraisals[kAppraisalNumbers * k + i] = sum[i];
}

// Adam on every parameter; means and squares [sprites, 8]. A warp for each sprite.
extern "C" __global__ void update_parameters(int sprites, float* x, float* y, float* log_scale, float* theta,
                                             float* opacity, float* tint, float* means, float* squares,
                                             const float* extent, const Record* records, const int* pair_start,
                                             const Status* status, const float* pair_numbers, const Control* control) {
    const int k = thread_of_grid() / kWarp;
    if (k >= sprites || status->overflow) return;
    const DrawableGradient<float> g = merged(records[k], pair_start[k], pair_start[k + 1], pair_numbers);
    if (lane_of_warp() != 0) return;
    update_one(*control, records[k], Extent<float>{extent[2 * k], extent[2 * k + 1]}, g, k,
               {x, y, log_scale, theta, opacity, tint}, means, squares);
}

// loss [1] = scale * the sum of losses [tiles], always in the same order. One block of 256 threads.
extern "C" __global__ void __launch_bounds__(kTileThreads)
    sum_losses(int tiles, const float* losses, float scale, const Status* status, double* loss) {
    __shared__ double of_warp[kTileWarps];
    if (status->overflow) return;
    double sum = 0.0;
    for (int i = static_cast<int>(threadIdx.x); i < tiles; i += kTileThreads) sum += losses[i];
    for (int step = kWarp / 2; step > 0; step /= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
    if (lane_of_warp() == 0) of_warp[threadIdx.x / kWarp] = sum;
    __syncthreads();
    if (threadIdx.x != 0) return;
    sum = 0.0;
    for (int i = 0; i < kTileWarps; ++i) sum += of_warp[i];
    *loss = sum * scale;
}
