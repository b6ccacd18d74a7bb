// SPDX-License-Identifier: GPL-3.0-or-later
#include "composite.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "neighbourhood.h"
#include "pool.h"
#if defined(SMALTI_X86)
#include "x86_features.h"
#endif

namespace smalti {
namespace {

struct Kernels {
    TileKernels tiles;
    BandKernels<float> bands;
};

Kernels choose() {
#if defined(SMALTI_X86)
    [[maybe_unused]] const X86Features features = x86_features();
#if defined(SMALTI_HAS_AVX512)
    if (features.avx512) return {avx512_kernels(), avx512_band_kernels()};
#endif
#if defined(SMALTI_HAS_AVX2)
    if (features.avx2) return {avx2_kernels(), avx2_band_kernels()};
#endif
#endif
#if defined(SMALTI_HAS_BASELINE)
    return {baseline_kernels(), baseline_band_kernels()};
#else
    throw std::runtime_error("these kernels were built for another processor's instruction set; build them again here");
#endif
}

const Kernels& chosen() {
    static const Kernels value = choose();
    return value;
}

const TileKernels& kernels() { return chosen().tiles; }

// One sprite's gradient from those of its pairs, always added in the same order.
RasterGradient<double> reduce_gradient(const Plan& plan, const PairGradient* pairs, std::int64_t k) {
    const ProjectedSprite& s = plan.sprites[k];
    RasterGradient<double> sum{};
    double lod = 0.0;
    for (std::int64_t p = plan.pair_start[k]; p < plan.pair_start[k + 1]; ++p) {
        const PairGradient& g = pairs[p];
        const double x = (plan.pair_tile[p] % plan.tiles_x) * kTile + 0.5;
        const double y = plan.first_row + (plan.pair_tile[p] / plan.tiles_x) * kTile + 0.5;
        PlacementGradient<double>& to = sum.placement;
        to.u += g.du, to.a += g.du_column + x * g.du, to.b += g.du_row + y * g.du;
        to.v += g.dv, to.d += g.dv_column + x * g.dv, to.e += g.dv_row + y * g.dv;
        lod += g.lod, sum.opacity += g.opacity;
        for (int i = 0; i < 3; ++i) sum.tint[i] += g.tint[i];
    }
    if (s.drawn && s.view.lod_free && lod != 0.0) add_lod(s.placement, lod, sum.placement);
    return sum;
}

void reduce_gradients(const Scene& scene, const Plan& plan, const PairGradient* pairs, int threads,
                      const Gradients& to) {
    constexpr std::int64_t kChunk = 256;
    parallel_for((scene.sprites + kChunk - 1) / kChunk, threads, [&](std::int64_t chunk, int) {
        for (std::int64_t k = chunk * kChunk; k < std::min(scene.sprites, (chunk + 1) * kChunk); ++k) {
            const RasterGradient<double> g = reduce_gradient(plan, pairs, k);
            const PlacementGradient<double>& p = g.placement;
            const double affine[6] = {p.a, p.b, p.u, p.d, p.e, p.v};
            std::copy_n(affine, 6, to.affine + 6 * k);
            to.opacity[k] = g.opacity;
            std::copy_n(g.tint, 3, to.tint + 3 * k);
        }
    });
}

}  // namespace

const char* instruction_set() { return kernels().name; }

const BandKernels<float>& float_band_kernels() { return chosen().bands; }

Plan forward(const Scene& scene, int threads, float* image) {
    Plan plan;
    make_plan(scene, threads, plan);
    parallel_for(plan.tiles(), threads,
                 [&](std::int64_t tile, int) { kernels().forward(scene, plan, static_cast<int>(tile), image); });
    return plan;
}

PixelWeights pixel_weights(const Scene& scene, int threads, float least) {
    Plan plan;
    make_plan(scene, threads, plan);
    std::vector<std::vector<PixelWeight>> of_tiles(plan.tiles());
    parallel_for(plan.tiles(), threads, [&](std::int64_t tile, int) {
        kernels().pixel_weights(scene, plan, static_cast<int>(tile), least, of_tiles[tile]);
    });
    PixelWeights all;
    all.start.assign(scene.sprites + 1, 0);
    for (const auto& some : of_tiles)
        for (const PixelWeight& one : some) ++all.start[one.sprite + 1];
    std::partial_sum(all.start.begin(), all.start.end(), all.start.begin());
    all.pixel.resize(all.start.back()), all.weight.resize(all.start.back());
    std::vector<std::int64_t> next(all.start.begin(), all.start.end() - 1);
    for (const auto& some : of_tiles)
        for (const PixelWeight& one : some) {
            const std::int64_t at = next[one.sprite]++;
            all.pixel[at] = one.pixel, all.weight[at] = one.weight;
        }
    return all;
}

void backward(const Scene& scene, const Plan& plan, int threads, const float* grad_image, const Gradients& out) {
    std::vector<PairGradient> pairs(plan.pair_tile.size());
    std::vector<Scratch> scratch(std::max(threads, 1));
    parallel_for(plan.tiles(), threads, [&](std::int64_t tile, int worker) {
        kernels().backward(scene, plan, static_cast<int>(tile), grad_image, pairs.data(), scratch[worker]);
    });
    reduce_gradients(scene, plan, pairs.data(), threads, out);
}

void show(const Scene& scene, int threads, const Goal& goal, Workspace& work, float* shown, float* expected) {
    Scene alone = scene;
    alone.background = nullptr;
    work.image.resize(4 * static_cast<std::size_t>(scene.height) * scene.width);
    float* const image = work.image.data();
    parallel_for(work.plan.tiles(), threads, [&](std::int64_t index, int) {
        const int tile = static_cast<int>(index);
        kernels().forward(alone, work.plan, tile, image);
        kernels().show(scene, work.plan, tile, goal, image, shown, expected);
    });
}

double differentiate(const Scene& scene, int threads, const Goal& goal, const double* gates, Workspace& work) {
    const Plan& plan = work.plan;
    const bool is_first = work.open.size() != static_cast<std::size_t>(plan.tiles());
    if (is_first) work.open.assign(plan.tiles(), 1);
    const auto is_open = [&](std::int64_t tile) {
        if (gates == nullptr) return true;
        for (std::int64_t at = plan.tile_start[tile]; at < plan.tile_start[tile + 1]; ++at)
            if (gates[plan.pair_sprite[plan.tile_pair[at]]] != 0.0) return true;
        return false;
    };
    work.pairs.resize(plan.pair_tile.size());
    if (work.scratch.size() < static_cast<std::size_t>(std::max(threads, 1))) work.scratch.resize(std::max(threads, 1));
    // Any thread may get the deepest tile next time.
    std::size_t values = 0, rows = 0;
    for (const Scratch& s : work.scratch)
        values = std::max(values, s.values.size()), rows = std::max(rows, s.rows.capacity());
    for (Scratch& s : work.scratch) s.values.resize(values), s.rows.reserve(rows);
    work.losses.resize(plan.tiles());
    parallel_for(plan.tiles(), threads, [&](std::int64_t tile, int worker) {
        const bool was_open = work.open[tile] != 0;
        work.open[tile] = is_open(tile);
        if (!was_open && !work.open[tile]) return;  // what has left a tile has changed it too
        work.losses[tile] =
            kernels().step(scene, plan, static_cast<int>(tile), goal, work.pairs.data(), work.scratch[worker]);
    });
    // In the order of the tiles, so that the sum does not depend on the threads.
    return std::accumulate(work.losses.begin(), work.losses.end(), 0.0);
}

RasterGradient<double> reduce_gradient(const Workspace& work, std::int64_t k) {
    return reduce_gradient(work.plan, work.pairs.data(), k);
}

double step(const Scene& scene, int threads, const Goal& goal, const Gradients& out) {
    Workspace work;
    make_plan(scene, threads, work.plan);
    const double loss = differentiate(scene, threads, goal, nullptr, work);
    reduce_gradients(scene, work.plan, work.pairs.data(), threads, out);
    return loss;
}

void evaluate_candidates(const Scene& scene, int threads, const float* goal, const StackEntry* entries,
                         double* removal_errors, double* coefficients) {
    Plan plan;
    make_plan(scene, threads, plan);
    std::vector<float> errors(plan.pair_tile.size());
    std::vector<Coefficients<float>> of_pairs(entries ? plan.pair_tile.size() : 0);
    std::vector<Scratch> scratch(std::max(threads, 1));
    parallel_for(plan.tiles(), threads, [&](std::int64_t tile, int worker) {
        kernels().candidates(scene, plan, static_cast<int>(tile), goal, entries, errors.data(), of_pairs.data(),
                             scratch[worker]);
    });
    for (std::int64_t k = 0; k < scene.sprites; ++k) {
        const std::int64_t first = plan.pair_start[k], last = plan.pair_start[k + 1];
        const bool drawn = !entries || entries[k].role == Role::drawn;
        removal_errors[k] = drawn ? std::accumulate(errors.begin() + first, errors.begin() + last, 0.0) : 0.0;
        if (!entries) continue;
        double* const to = coefficients + kCoefficients * k;
        std::fill_n(to, kCoefficients, 0.0);
        if (drawn) continue;
        for (std::int64_t p = first; p < last; ++p) {
            const Coefficients<float>& c = of_pairs[p];
            const float parts[kCoefficients] = {c.squares, c.cross[0], c.cross[1], c.cross[2], c.own,
                                                c.tint[0], c.tint[1],  c.tint[2],  c.match};
            for (int i = 0; i < kCoefficients; ++i) to[i] += parts[i];
        }
    }
}

}  // namespace smalti
