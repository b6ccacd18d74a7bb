// SPDX-License-Identifier: GPL-3.0-or-later
#include "composite.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "pool.h"

namespace smalti {
namespace {

TileKernels choose() {
#if defined(SMALTI_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return avx512_kernels();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2_kernels();
#endif
    return baseline_kernels();
}

const TileKernels& kernels() {
    static const TileKernels chosen = choose();
    return chosen;
}

// One sprite's gradient from those of its pairs, always added in the same order.
void merge(const Plan& plan, const PairGradient* pairs, std::int64_t k, const Gradients& to) {
    const Sprite& s = plan.sprites[k];
    double du = 0, du_x = 0, du_y = 0, dv = 0, dv_x = 0, dv_y = 0, lod = 0, opacity = 0, tint[3] = {0, 0, 0};
    for (std::int64_t p = plan.pair_start[k]; p < plan.pair_start[k + 1]; ++p) {
        const PairGradient& g = pairs[p];
        const double x = (plan.pair_tile[p] % plan.tiles_x) * kTile + 0.5;
        const double y = (plan.pair_tile[p] / plan.tiles_x) * kTile + 0.5;
        du += g.du, du_x += g.du_column + x * g.du, du_y += g.du_row + y * g.du;
        dv += g.dv, dv_x += g.dv_column + x * g.dv, dv_y += g.dv_row + y * g.dv;
        lod += g.lod, opacity += g.opacity;
        for (int i = 0; i < 3; ++i) tint[i] += g.tint[i];
    }
    if (s.lod_free && plan.pair_start[k] < plan.pair_start[k + 1]) {
        // lod = log2(|det| * constant) / 2
        const double scale = 0.5 / std::log(2.0) * lod / (s.a * s.e - s.b * s.d);
        du_x += scale * s.e, du_y -= scale * s.d, dv_x -= scale * s.b, dv_y += scale * s.a;
    }
    double* affine = to.affine + 6 * k;
    affine[0] = du_x, affine[1] = du_y, affine[2] = du, affine[3] = dv_x, affine[4] = dv_y, affine[5] = dv;
    to.opacity[k] = opacity;
    for (int i = 0; i < 3; ++i) to.tint[3 * k + i] = tint[i];
}

void merge_all(const Scene& scene, const Plan& plan, const std::vector<PairGradient>& pairs, int threads,
               const Gradients& to) {
    constexpr std::int64_t kChunk = 256;
    parallel_for((scene.sprites + kChunk - 1) / kChunk, threads, [&](std::int64_t chunk, int) {
        for (std::int64_t k = chunk * kChunk; k < std::min(scene.sprites, (chunk + 1) * kChunk); ++k)
            merge(plan, pairs.data(), k, to);
    });
}

}  // namespace

const char* instruction_set() { return kernels().name; }

Plan forward(const Scene& scene, int threads, float* image) {
    Plan plan = make_plan(scene, threads);
    parallel_for(plan.tiles(), threads, [&](std::int64_t tile, int) {
        kernels().forward(scene, plan, static_cast<int>(tile), image);
    });
    return plan;
}

void backward(const Scene& scene, const Plan& plan, int threads, const float* grad_image, const Gradients& out) {
    std::vector<PairGradient> pairs(plan.pair_tile.size());
    std::vector<Scratch> scratch(std::max(threads, 1));
    parallel_for(plan.tiles(), threads, [&](std::int64_t tile, int worker) {
        kernels().backward(scene, plan, static_cast<int>(tile), grad_image, pairs.data(), scratch[worker]);
    });
    merge_all(scene, plan, pairs, threads, out);
}

double step(const Scene& scene, int threads, const Goal& goal, const Gradients& out) {
    const Plan plan = make_plan(scene, threads);
    std::vector<PairGradient> pairs(plan.pair_tile.size());
    std::vector<Scratch> scratch(std::max(threads, 1));
    std::vector<double> losses(plan.tiles());
    parallel_for(plan.tiles(), threads, [&](std::int64_t tile, int worker) {
        losses[tile] = kernels().step(scene, plan, static_cast<int>(tile), goal, pairs.data(), scratch[worker]);
    });
    merge_all(scene, plan, pairs, threads, out);
    // In the order of the tiles, so that the sum does not depend on the threads.
    return std::accumulate(losses.begin(), losses.end(), 0.0);
}

void removal_costs(const Scene& scene, int threads, const float* goal, double* costs) {
    const Plan plan = make_plan(scene, threads);
    std::vector<float> pairs(plan.pair_tile.size());
    std::vector<Scratch> scratch(std::max(threads, 1));
    parallel_for(plan.tiles(), threads, [&](std::int64_t tile, int worker) {
        kernels().removal(scene, plan, static_cast<int>(tile), goal, pairs.data(), scratch[worker]);
    });
    for (std::int64_t k = 0; k < scene.sprites; ++k)
        costs[k] = std::accumulate(pairs.begin() + plan.pair_start[k], pairs.begin() + plan.pair_start[k + 1], 0.0);
}

}  // namespace smalti
