// SPDX-License-Identifier: GPL-3.0-or-later
// The terms of a loss that look at a pixel's neighbourhood (kernels/structure.h): from planes of the picture and of its
// goal to the gradient by the picture, which the step then adds up with that of the other terms.
//
// A term at one scale is a job; one launch takes all jobs, a block for 16 x 16 pixels of one plane. Blurs are separable,
// in shared memory, and only gather: SSIM keeps three maps between its two passes. Sums are added in one order always.
#pragma once

#include "../kernels/structure.h"
#include "tile_backward.cuh"

namespace smalti {

// A term at one scale. Offsets count numbers of the arrays that the kernels are given.
struct PictureJob {
    int first_block;     // of the launch; the table ends with a job that would begin after its last block
    int height, width;   // of the planes
    int scale;           // how often they were halved
    int with_luminance;  // SSIM's luminance times its structure, or the structure alone
    int unused;
    long long pictures;  // picture [3, height, width], then its goal
    long long weights;   // [height, width]
    long long maps;      // [3, 3, height, width]: of each map its planes
    long long gradient;  // [3, height, width]
};

static_assert(sizeof(PictureJob) == 56, "engine/cuda/step_terms.py: JOB = struct.Struct(\"<6i4q\")");

// A thread's pixel of a job.
struct JobPixel {
    int job, plane, top, left, row, column;
    bool within;
    long long size;  // of a plane
    long long at;    // the pixel's place in it
};

SMALTI_INLINE JobPixel job_pixel(const PictureJob* jobs) {
    JobPixel p;
    const int block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
    p.job = 0;
    while (block >= jobs[p.job + 1].first_block) ++p.job;
    const int height = jobs[p.job].height, width = jobs[p.job].width;
    const int across = (width + kTile - 1) / kTile, tiles = across * ((height + kTile - 1) / kTile);
    const int of_job = block - jobs[p.job].first_block, tile = of_job % tiles;
    p.plane = of_job / tiles;
    p.top = tile / across * kTile, p.left = tile % across * kTile;
    p.row = p.top + thread / kTile, p.column = p.left + thread % kTile;
    p.within = p.row < height && p.column < width;
    p.size = static_cast<long long>(height) * width;
    p.at = static_cast<long long>(p.row) * width + p.column;
    return p;
}

// The colors of the finished picture and of its goal, display-encoded: shown and expected [3, height, width].
template <Colour kind>
__device__ void show_tile(const Canvas& canvas, const Lists& lists, const Comparison& comparison, float* shown,
                          float* expected) {
    __shared__ ProjectedSprite staged[kBatch];
    __shared__ int pairs[kBatch];
    if (is_unusable(lists.status)) return;
    const auto of_thread = pixels_of_thread<kStepPixels>(canvas, lists);
    FrontToBack front[kStepPixels];
    front_to_back<kind, true>(canvas, lists, of_thread, nullptr, Batch{staged, pairs}, front);
    const long long plane = static_cast<long long>(canvas.height) * canvas.width;
#pragma unroll
    for (int j = 0; j < kStepPixels; ++j) {
        const long long index = index_of(canvas, of_thread, j);
        float background[4];
        load_background(canvas, of_thread.within[j], index, background);
        if (!of_thread.within[j]) continue;
        for (int channel = 0; channel < 3; ++channel) {
            const ShownChannel c = shown_channel(comparison, index, front[j], channel, background[channel]);
            shown[channel * plane + index] = c.value, expected[channel * plane + index] = c.goal;
        }
    }
}

// Means of 2 x 2 pixels of planes [planes, height, width]; of fewer at an edge that is cut.
__device__ inline void halve_planes_of(int planes, int height, int width, const float* from, float* to) {
    const int rows = half_of(height), columns = half_of(width);
    const long long i = thread_of_grid(), size = static_cast<long long>(rows) * columns;
    if (i >= planes * size) return;
    const int row = static_cast<int>(i % size) / columns, column = static_cast<int>(i % size) % columns;
    const int lower = 2 * row + 1 < height ? 1 : 0, right = 2 * column + 1 < width ? 1 : 0;
    const float* const at = from + (i / size * height + 2 * row) * width + 2 * column;
    const float* const below = at + static_cast<long long>(lower) * width;
    to[i] = 0.25f * (at[0] + at[right] + below[0] + below[right]);
}

constexpr int kHaloTile = kTile + 2 * kReach;  // side of what a block blurs

// Both pictures, less a half, of the tile of a block, and what SSIM blurs of them along rows: x, y, x y and x^2 + y^2.
// Numbers that are read together lie together.
struct alignas(16) SsimTile {
    float rows[kHaloTile][kTile][4];
    float pictures[kHaloTile][kHaloTile][2];
};

// Brings both pictures to shared memory; edges repeat.
__device__ inline void load_pictures(const JobPixel& p, int height, int width, const float* pictures, SsimTile& tile) {
    for (int i = static_cast<int>(threadIdx.x); i < kHaloTile * kHaloTile; i += kTileThreads) {
        const int row = clamped(p.top - kReach + i / kHaloTile, 0, height - 1);
        const int column = clamped(p.left - kReach + i % kHaloTile, 0, width - 1);
        const float* const at = pictures + p.plane * p.size + static_cast<long long>(row) * width + column;
        float* const to = tile.pictures[i / kHaloTile][i % kHaloTile];
        to[0] = at[0] - 0.5f, to[1] = at[3 * p.size] - 0.5f;
    }
}

__device__ inline void blur_rows(SsimTile& tile) {
    for (int i = static_cast<int>(threadIdx.x); i < kHaloTile * kTile; i += kTileThreads) {
        const float (*const at)[2] = &tile.pictures[i / kTile][i % kTile];
        float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
        for (int k = 0; k < kWindow; ++k) {
            const float tap = static_cast<float>(window_tap(k - kReach)), x = at[k][0], y = at[k][1];
            sum[0] += tap * x, sum[1] += tap * y, sum[2] += tap * (x * y), sum[3] += tap * (x * x + y * y);
        }
        for (int kind = 0; kind < 4; ++kind) tile.rows[i / kTile][i % kTile][kind] = sum[kind];
    }
}

// The sums of the window down a column.
SMALTI_INLINE void blur_column(const SsimTile& tile, int row, int column, float (&sum)[4]) {
    for (int kind = 0; kind < 4; ++kind) sum[kind] = 0.0f;
#pragma unroll
    for (int k = 0; k < kWindow; ++k)
        for (int kind = 0; kind < 4; ++kind)
            sum[kind] += static_cast<float>(window_tap(k - kReach)) * tile.rows[row + k][column][kind];
}

// SSIM of each job, times the weights: sums [blocks], and the maps of that sum's gradient.
__device__ inline void ssim_of(const PictureJob* jobs, const float* pictures, const float* weights, float* maps,
                               float* sums) {
    __shared__ SsimTile tile;
    const JobPixel p = job_pixel(jobs);
    const PictureJob& job = jobs[p.job];
    load_pictures(p, job.height, job.width, pictures + job.pictures, tile);
    __syncthreads();
    blur_rows(tile);
    __syncthreads();
    const int row = static_cast<int>(threadIdx.x) / kTile, column = static_cast<int>(threadIdx.x) % kTile;
    float value = 0.0f;
    if (p.within) {
        float blurred[4];
        blur_column(tile, row, column, blurred);
        const float weight = weights == nullptr ? 1.0f : weights[job.weights + p.at];
        const SsimPoint<float> at = job.with_luminance
                                        ? ssim_point<true>(blurred[0], blurred[1], blurred[2], blurred[3], weight)
                                        : ssim_point<false>(blurred[0], blurred[1], blurred[2], blurred[3], weight);
        float* const to = maps + job.maps + p.plane * p.size + p.at;
        to[0] = at.mean, to[3 * p.size] = at.product, to[6 * p.size] = at.squares;
        value = at.value;
    }
    const float sum = block_sum<1>(value);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// The transpose of the window over edges that repeat, at `at[k * stride]`: beyond the edges lie zeros, and what would fall
// there falls onto the edge.
SMALTI_INLINE float window_sum_back(const float* at, int stride, bool is_first, bool is_last) {
    float sum = 0.0f;
#pragma unroll
    for (int k = 0; k < kWindow; ++k) {
        float tap = static_cast<float>(window_tap(k - kReach));
        if (k >= kReach && is_first) tap += static_cast<float>(window_tail(k - kReach + 1));
        if (k <= kReach && is_last) tap += static_cast<float>(window_tail(kReach - k + 1));
        sum += tap * at[k * stride];
    }
    return sum;
}

// Three maps, zero beyond the edges, and what was blurred back along rows. A warp reads two rows, which must not lie in
// the same banks of shared memory.
struct MapTile {
    static constexpr int kStride = 48;
    float map[3][kHaloTile][kStride];
    float rows[3][kHaloTile][kTile];
};

// The gradient of each job, `factors` [jobs] times its sum's.
__device__ inline void ssim_gradient_of(const PictureJob* jobs, const float* pictures, const float* maps,
                                        const float* factors, float* gradients) {
    __shared__ MapTile tile;
    const JobPixel p = job_pixel(jobs);
    const PictureJob& job = jobs[p.job];
    const int height = job.height, width = job.width;
    for (int i = static_cast<int>(threadIdx.x); i < kHaloTile * kHaloTile; i += kTileThreads) {
        const int row = p.top - kReach + i / kHaloTile, column = p.left - kReach + i % kHaloTile;
        const bool within = row >= 0 && row < height && column >= 0 && column < width;
        const float* const at = maps + job.maps + p.plane * p.size + static_cast<long long>(row) * width + column;
#pragma unroll
        for (int map = 0; map < 3; ++map)
            tile.map[map][i / kHaloTile][i % kHaloTile] = within ? at[3 * map * p.size] : 0.0f;
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kHaloTile * kTile; i += kTileThreads) {
        const int row = i / kTile, column = i % kTile;
        const bool is_first = p.left + column == 0, is_last = p.left + column == width - 1;
#pragma unroll
        for (int map = 0; map < 3; ++map)
            tile.rows[map][row][column] = window_sum_back(&tile.map[map][row][column], 1, is_first, is_last);
    }
    __syncthreads();
    if (!p.within) return;
    const int row = static_cast<int>(threadIdx.x) / kTile, column = static_cast<int>(threadIdx.x) % kTile;
    float by[3];
#pragma unroll
    for (int map = 0; map < 3; ++map)
        by[map] = window_sum_back(&tile.rows[map][row][column], kTile, p.row == 0, p.row == height - 1);
    const float* const at = pictures + job.pictures + p.plane * p.size + p.at;
    const float x = at[0] - 0.5f, y = at[3 * p.size] - 0.5f;
    gradients[job.gradient + p.plane * p.size + p.at] = factors[p.job] * (by[0] + y * by[1] + 2.0f * x * by[2]);
}

// MS-SSIM's factors [scales], from the sums [blocks] of its jobs, one for each scale: `factor` times the gradient of 1 -
// MS-SSIM by these sums. totals [scales]: all weights of a scale. One block of 1,024 threads.
__device__ inline void ms_ssim_factors_of(int scales, const PictureJob* jobs, const float* sums, const double* totals,
                                          float factor, float* factors) {
    __shared__ double of_warp[kMaxScales][kWarp];
    const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
    for (int s = 0; s < scales; ++s) {
        double sum = 0.0;
        for (int i = jobs[s].first_block + thread; i < jobs[s + 1].first_block; i += threads) sum += sums[i];
        for (int step = kWarp / 2; step > 0; step /= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
        if (lane_of_warp() == 0) of_warp[s][thread / kWarp] = sum;
    }
    __syncthreads();
    if (thread != 0) return;
    double likeness[kMaxScales], slopes[kMaxScales];
    for (int s = 0; s < scales; ++s) {
        double sum = 0.0;
        for (int warp = 0; warp < threads / kWarp; ++warp) sum += of_warp[s][warp];
        likeness[s] = sum / totals[s];
    }
    ms_ssim_of(scales, likeness, slopes);
    for (int s = 0; s < scales; ++s) factors[s] = static_cast<float>(-factor * slopes[s] / totals[s]);
}

// The difference of two pictures and what Scharr's operator makes of it, of the tile of a block.
struct EdgeTile {
    static constexpr int kMaps = kTile + 2, kDifference = kTile + 4;
    float difference[kDifference][kDifference];
    float across[kMaps][kMaps], down[kMaps][kMaps];  // zero beyond the edges

    // Both maps at a pixel of theirs.
    SMALTI_INLINE void scharr(int row, int column, float weight) {
        const float side = static_cast<float>(kScharrSide), middle = static_cast<float>(kScharrMiddle);
        const float *const a = &difference[row][column], *const b = a + kDifference, *const c = b + kDifference;
        across[row][column] = weight * (side * (a[2] - a[0] + c[2] - c[0]) + middle * (b[2] - b[0]));
        down[row][column] = weight * (side * (c[0] - a[0] + c[2] - a[2]) + middle * (c[1] - a[1]));
    }

    // The transpose: what reaches a pixel of theirs. The maps' rows and columns beyond the tile hold nothing.
    SMALTI_INLINE float scharr_back(int row, int column) const {
        const float side = static_cast<float>(kScharrSide), middle = static_cast<float>(kScharrMiddle);
        float sum = 0.0f;
        for (int i = 0; i < 3; ++i) {
            const int from = row + i - 1;
            if (from < 0 || from >= kMaps) continue;
            const float of_across = i == 1 ? middle : side;
            const float outer = side * static_cast<float>(1 - i), inner = middle * static_cast<float>(1 - i);
            const float left =
                column > 0 ? of_across * across[from][column - 1] + outer * down[from][column - 1] : 0.0f;
            const float right =
                column + 1 < kMaps ? outer * down[from][column + 1] - of_across * across[from][column + 1] : 0.0f;
            sum += left + inner * down[from][column] + right;
        }
        return sum;
    }
};

// The gradient of the squared gradients of the pictures' difference, times `factors` [jobs] and the weights.
__device__ inline void edges_gradient_of(const PictureJob* jobs, const float* pictures, const float* weights,
                                         const float* factors, float* gradients) {
    __shared__ EdgeTile tile;
    constexpr int kMaps = EdgeTile::kMaps, kDifference = EdgeTile::kDifference;
    const JobPixel p = job_pixel(jobs);
    const PictureJob& job = jobs[p.job];
    const int height = job.height, width = job.width;
    for (int i = static_cast<int>(threadIdx.x); i < kDifference * kDifference; i += kTileThreads) {
        const int row = clamped(p.top - 2 + i / kDifference, 0, height - 1);
        const int column = clamped(p.left - 2 + i % kDifference, 0, width - 1);
        const float* const at =
            pictures + job.pictures + p.plane * p.size + static_cast<long long>(row) * width + column;
        tile.difference[i / kDifference][i % kDifference] = at[0] - at[3 * p.size];
    }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kMaps * kMaps; i += kTileThreads) {
        const int row = p.top - 1 + i / kMaps, column = p.left - 1 + i % kMaps;
        const bool within = row >= 0 && row < height && column >= 0 && column < width;
        const long long at = static_cast<long long>(row) * width + column;
        const float weight = !within ? 0.0f : weights == nullptr ? 1.0f : weights[job.weights + at];
        tile.scharr(i / kMaps, i % kMaps, weight);
    }
    __syncthreads();
    if (!p.within) return;
    // What reaches a pixel beyond an edge falls onto the edge.
    const int row = p.row - p.top + 1, column = p.column - p.left + 1;
    float sum = 0.0f;
    for (int i = p.row == 0 ? -1 : 0; i <= (p.row == height - 1 ? 1 : 0); ++i)
        for (int j = p.column == 0 ? -1 : 0; j <= (p.column == width - 1 ? 1 : 0); ++j)
            sum += tile.scharr_back(row + i, column + j);
    gradients[job.gradient + p.plane * p.size + p.at] = factors[p.job] * sum;
}

// The sum of the gradients of all jobs, those of halved pictures by way of the transpose of halving: to [3, height,
// width]. A thread for each pixel of each plane.
__device__ inline void gather_gradients_of(int count, const PictureJob* jobs, const float* gradients, int height,
                                           int width, float* to) {
    const long long i = thread_of_grid(), size = static_cast<long long>(height) * width;
    if (i >= 3 * size) return;
    const int of_plane = static_cast<int>(i % size), plane = static_cast<int>(i / size);
    float sum = 0.0f;
    for (int k = 0; k < count; ++k) {
        const PictureJob& job = jobs[k];
        int row = of_plane / width, column = of_plane % width, rows = height, columns = width;
        float share = 1.0f;
        for (int s = 0; s < job.scale; ++s) {
            // A pixel is a quarter of the one that it is halved into; at an edge that is cut a half, or all of it.
            if (rows % 2 == 0 || row < rows - 1) share *= 0.5f;
            if (columns % 2 == 0 || column < columns - 1) share *= 0.5f;
            row /= 2, column /= 2, rows = half_of(rows), columns = half_of(columns);
        }
        sum += share * gradients[job.gradient + (static_cast<long long>(plane) * rows + row) * columns + column];
    }
    to[i] = sum;
}

}  // namespace smalti
