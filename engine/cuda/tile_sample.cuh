// SPDX-License-Identifier: GPL-3.0-or-later
// What all passes over a tile share: where a thread's pixels are, how sprites are brought to them and sampled, and how a
// block adds up numbers. A tile of 16 x 16 pixels is a block of threads with one or two pixels each (`pixels`).
#pragma once

#include "../kernels/candidate.h"
#include "binning.cuh"

namespace smalti {

constexpr int kTileThreads = kTile * kTile;  // with a pixel each
constexpr int kTileWarps = kTileThreads / kWarp;
constexpr int kTileBlocks = 4;       // on one multiprocessor at a time, at least: bounds the registers of a thread
constexpr int kCandidateBlocks = 2;  // the same for candidates, which need more registers and are rarely evaluated
constexpr int kBatch = 32;           // sprites that are brought to shared memory together: one for each lane
constexpr int kRowsApart = 4;        // of the pixels of a thread
// Pixels of a thread where a tile is drawn or a step made. Two halve what is paid once for a sprite: its record, the sums
// over a warp. The other passes keep more numbers of a pixel, and take one.
constexpr int kStepPixels = 2;

// Partial sums over a pair's pixels: PlacementGradient (6), level of detail, opacity, tint (3).
constexpr int kGradientSums = 11;
// The same where the only changes are those of parameters: SimilarityGradient (8).
constexpr int kStepSums = 8;
// Partial sums where candidates are evaluated: the removal error, then the coefficients.
constexpr int kCandidateSums = 1 + kCoefficients;
constexpr int kRemovalSums = 1;

// How many numbers a warp adds up together to come to these sums: a power of two.
template <int sums>
constexpr int kReduced = sums > 8 ? 16 : 8;

static_assert(kStepSums == 8, "engine/cuda/binning.py: STEP_SUMS = 8");
static_assert(kBatch == kWarp, "reaching() has a lane for each sprite of a batch");
static_assert(kStepPixels == 2, "engine/cuda/binning.py: STEP_PIXELS = 2");
static_assert(kTileThreads == 256, "engine/cuda/binning.py: THREADS = 256");
static_assert(kGradientSums == 11, "engine/cuda/binning.py: GRADIENT_SUMS = 11");

struct Canvas {
    int width, height, tiles_x;
    float stop, mix, shade;
    const std::uint64_t* alpha_quads;  // [texels], see Atlas.alpha_quads
    const std::uint64_t* texels;       // [texels], see Atlas.words
    const float* background;           // [height, width, 4], or null for transparent
};

// The weights of a sprite's tint and of its bitmap; a shaded sprite's samples have the bitmap's in them.
struct Shares {
    float tint, bitmap;
};

template <Colour kind>
SMALTI_INLINE Shares shares_of(const Canvas& canvas) {
    const float mix = kind == Colour::tint ? 0.0f : canvas.mix;
    return {1.0f - mix, kind == Colour::shaded ? 1.0f : mix};
}

struct Lists {
    const ProjectedSprite* sprites;
    const int* pair_sprite;
    const int* tile_start;
    const int* ordered;
    const Status* status;
};

// The pixels of a thread, one below the other, and their tile's part of the list.
template <int pixels>
struct TilePixels {
    int tile, column, row;  // of the first
    bool within[pixels];    // whether they are on the canvas
    float x, y;             // center of the first
    int first, last;
};

template <int pixels>
__device__ inline TilePixels<pixels> pixels_of_thread(const Canvas& canvas, const Lists& lists) {
    const int lane = lane_of_warp(), warp = static_cast<int>(threadIdx.x) / kWarp;
    TilePixels<pixels> p;
    p.tile = static_cast<int>(blockIdx.x);
    // A warp takes 8 x 4 pixels, or 8 x 8: fewer warps meet a sprite than if it took rows of 16.
    p.column = (p.tile % canvas.tiles_x) * kTile + warp % 2 * 8 + lane % 8;
    p.row = (p.tile / canvas.tiles_x) * kTile + warp / 2 * (kRowsApart * pixels) + lane / 8;
    for (int j = 0; j < pixels; ++j) p.within[j] = p.column < canvas.width && p.row + j * kRowsApart < canvas.height;
    p.x = static_cast<float>(p.column) + 0.5f, p.y = static_cast<float>(p.row) + 0.5f;
    p.first = lists.tile_start[p.tile], p.last = lists.tile_start[p.tile + 1];
    return p;
}

// The number of a thread's pixel j on the canvas, not kept in a register throughout.
template <int pixels>
SMALTI_INLINE long long index_of(const Canvas& canvas, const TilePixels<pixels>& p, int j) {
    return static_cast<long long>(p.row + j * kRowsApart) * canvas.width + p.column;
}

// A pixel's position relative to a sprite's center, and in template coordinates.
struct Local {
    float x, y, u, v;
};

template <int pixels>
SMALTI_INLINE Local localise(const TilePixels<pixels>& of_thread, int j, const ProjectedSprite& s) {
    const Placement<float>& p = s.placement;
    const float x = of_thread.x - p.x, y = of_thread.y + static_cast<float>(j * kRowsApart) - p.y;
    const float u = p.a * x + p.b * y, v = p.d * x + p.e * y;
    return {x, y, u, v};
}

// Whether a sprite reaches a pixel, which may be `visible` or not. No branches: two comparisons and a predicate.
SMALTI_INLINE bool reaches(const ProjectedSprite& s, const Local& at, bool visible) {
    return visible & (fabs(at.u) <= s.view.extent_u) & (fabs(at.v) <= s.view.extent_v);
}

struct Texel {
    float r, g, b, a;
};

__device__ inline Texel texel_of(std::uint64_t word) {
    return {number(static_cast<int>(word & 0xffffu)), number(static_cast<int>((word >> 16) & 0xffffu)),
            number(static_cast<int>((word >> 32) & 0xffffu)), number(static_cast<int>(word >> 48))};
}

__device__ inline Sample<float> sample_alpha(const std::uint64_t* quads, const Sampler& s, float u, float v) {
    const auto at = footprint_of(s, u, v);
    const Texel q = texel_of(__ldg(quads + at.index));
    return bilinear(s, at.fx, at.fy, q.r, q.g, q.b, q.a);
}

struct ColourSample {
    Sample<float> r, g, b, a;
};

__device__ inline ColourSample sample_colours(const std::uint64_t* texels, const Sampler& s, float u, float v) {
    const auto at = footprint_of(s, u, v);
    const std::uint64_t* const upper = texels + at.index;
    const std::uint64_t* const lower = upper + s.stride;
    const Texel lt = texel_of(__ldg(upper)), rt = texel_of(__ldg(upper + 1));
    const Texel lb = texel_of(__ldg(lower)), rb = texel_of(__ldg(lower + 1));
    return {bilinear(s, at.fx, at.fy, lt.r, rt.r, lb.r, rb.r), bilinear(s, at.fx, at.fy, lt.g, rt.g, lb.g, rb.g),
            bilinear(s, at.fx, at.fy, lt.b, rt.b, lb.b, rb.b), bilinear(s, at.fx, at.fy, lt.a, rt.a, lb.a, rb.a)};
}

// A sprite's template at a pixel, in 16-bit units; of the tint alone only alpha is sampled, of a shaded sprite, what it shows
// of its bitmap.
template <Colour kind>
__device__ ColourSample sample(const Canvas& canvas, const ProjectedSprite& s, float u, float v) {
    ColourSample c{};
    if (kind == Colour::tint) {
        c.a = sample_alpha(canvas.alpha_quads, s.view.fine, u, v);
        if (s.view.fraction > 0.0f)
            c.a = between_levels(c.a, sample_alpha(canvas.alpha_quads, s.view.coarse, u, v), s.view.fraction);
        return c;
    }
    c = sample_colours(canvas.texels, s.view.fine, u, v);
    if (s.view.fraction > 0.0f) {
        const ColourSample coarse = sample_colours(canvas.texels, s.view.coarse, u, v);
        c.r = between_levels(c.r, coarse.r, s.view.fraction);
        c.g = between_levels(c.g, coarse.g, s.view.fraction);
        c.b = between_levels(c.b, coarse.b, s.view.fraction);
        c.a = between_levels(c.a, coarse.a, s.view.fraction);
    }
    if constexpr (kind == Colour::shaded) shade_colours(c.r, c.g, c.b, canvas.mix, (1.0f - canvas.mix) * canvas.shade);
    return c;
}

// From 16-bit units to 0 .. 1.
__device__ inline Sample<float> scaled(const Sample<float>& s) {
    return {kTexelScale * s.value, kTexelScale * s.du, kTexelScale * s.dv, kTexelScale * s.dlod};
}

// The factor by which a sprite attenuates the transmittance.
__device__ inline float attenuation(float opacity, float alpha) {
    const float left = 1.0f - opacity * kTexelScale * alpha;
    return left > 0.0f ? left : 0.0f;  // rounding may bring it below
}

// One exchange between lanes: afterwards a lane holds sums of `width` numbers.
template <int width, int count>
SMALTI_INLINE void exchange(float (&v)[count]) {
    constexpr int kApart = width * (kWarp / count);
    const bool upper = (lane_of_warp() & kApart) != 0;
#pragma unroll
    for (int i = 0; i < width; ++i) {
        const float keep = upper ? v[i + width] : v[i], send = upper ? v[i] : v[i + width];
        v[i] = keep + __shfl_xor_sync(kAllLanes, send, kApart);
    }
}

// Adds up 8 or 16 numbers over a warp, with 9 or 16 shuffles: each exchange halves how many a lane still holds. Afterwards
// the lanes from i * (32 / count) on hold the sum of number i. (Not a loop over the widths: NVRTC does not unroll it, and
// keeps the numbers in local memory.)
template <int count>
__device__ inline float warp_sums(float (&v)[count]) {
    static_assert(count == 8 || count == 16);
    if constexpr (count == 16) exchange<8>(v);
    exchange<4>(v);
    exchange<2>(v);
    exchange<1>(v);
    float sum = v[0];
    if constexpr (count == 8) sum += __shfl_xor_sync(kAllLanes, sum, 2);
    return sum + __shfl_xor_sync(kAllLanes, sum, 1);
}

template <int pixels>
__device__ float block_sum(float value) {
    __shared__ float of_warp[kTileWarps / pixels];
    for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
    if (lane_of_warp() == 0) of_warp[threadIdx.x / kWarp] = value;
    __syncthreads();
    float sum = 0.0f;
    for (int i = 0; i < kTileWarps / pixels; ++i) sum += of_warp[i];
    __syncthreads();
    return sum;
}

// A batch of sprites in shared memory, [kBatch] each.
struct Batch {
    ProjectedSprite* sprites;
    int* pairs;
};

// Brings `count` places of the list, from `from` upwards, to shared memory.
template <int pixels>
__device__ void stage(const Lists& lists, int from, int count, const Batch& batch) {
    __shared__ int sprites[kBatch];
    const int thread = static_cast<int>(threadIdx.x);
    if (thread < count) {
        batch.pairs[thread] = lists.ordered[from + thread];
        sprites[thread] = lists.pair_sprite[batch.pairs[thread]];
    }
    __syncthreads();
    for (int i = thread; i < count * kSpriteParts; i += kTileThreads / pixels) {
        const ProjectedSprite* const sprite = lists.sprites + sprites[i / kSpriteParts];
        reinterpret_cast<SpritePart*>(batch.sprites)[i] = reinterpret_cast<const SpritePart*>(sprite)[i % kSpriteParts];
    }
    __syncthreads();
}

// Which sprites of a batch may reach a warp's pixels, a bit for each; the others reach none of them.
template <int pixels>
__device__ unsigned reaching(const TilePixels<pixels>& of_thread, const Batch& batch, int count) {
    const int lane = lane_of_warp();
    bool near = false;
    if (lane < count) {
        const ProjectedSprite& s = batch.sprites[lane];
        const Placement<float>& p = s.placement;
        // From the middle of the warp's pixels to their outer edges, half a pixel beyond their centers: more than
        // rounding can change.
        constexpr float kHalfWidth = 4.0f, kHalfHeight = 0.5f * kRowsApart * pixels;
        const float x = of_thread.x - static_cast<float>(lane % 8) + (kHalfWidth - 0.5f) - p.x;
        const float y = of_thread.y - static_cast<float>(lane / 8) + (kHalfHeight - 0.5f) - p.y;
        near = fabs(p.a * x + p.b * y) <= s.view.extent_u + kHalfWidth * fabs(p.a) + kHalfHeight * fabs(p.b) &&
               fabs(p.d * x + p.e * y) <= s.view.extent_v + kHalfWidth * fabs(p.d) + kHalfHeight * fabs(p.e);
    }
    return __ballot_sync(kAllLanes, near);
}

// Writes 0 for the pairs of the places from `first` up to `end`.
template <int sums, int pixels>
__device__ void clear_pairs(const Lists& lists, int first, int end, float* pair_sums) {
    for (int i = first * sums + static_cast<int>(threadIdx.x); i < end * sums; i += kTileThreads / pixels)
        pair_sums[lists.ordered[i / sums] * sums + i % sums] = 0.0f;
}

// Sums of each warp over a batch, in shared memory.
template <int sums, int pixels>
using WarpSums = float[kTileWarps / pixels][kBatch][sums];

// Writes 0 for the sprites of a batch that reach none of a warp's pixels.
template <int sums, int pixels>
__device__ void clear_warp_sums(unsigned reached, WarpSums<sums, pixels>& of_warp) {
    const int lane = lane_of_warp(), warp = static_cast<int>(threadIdx.x) / kWarp;
    if (reached >> lane & 1u) return;
    for (int i = 0; i < sums; ++i) of_warp[warp][lane][i] = 0.0f;
}

// The sums over a warp of the numbers that the lanes which touch a sprite have, at its place in the batch.
template <int sums, int pixels>
__device__ void store_warp_sums(bool touched, float (&numbers)[kReduced<sums>], int place,
                                WarpSums<sums, pixels>& of_warp) {
    constexpr int kLanes = kWarp / kReduced<sums>;
    const int lane = lane_of_warp(), warp = static_cast<int>(threadIdx.x) / kWarp;
    if (!__any_sync(kAllLanes, touched)) {
        if (lane < sums) of_warp[warp][place][lane] = 0.0f;
        return;
    }
    const float sum = warp_sums(numbers);
    if (lane % kLanes == 0 && lane / kLanes < sums) of_warp[warp][place][lane / kLanes] = sum;
}

// The sums of a batch over the block, always added in the same order, into each pair's place.
template <int sums, int pixels>
__device__ void store_pairs(const WarpSums<sums, pixels>& of_warp, const Batch& batch, int count, float* pair_sums) {
    for (int i = static_cast<int>(threadIdx.x); i < count * sums; i += kTileThreads / pixels) {
        float sum = 0.0f;
        for (int warp = 0; warp < kTileWarps / pixels; ++warp) sum += of_warp[warp][i / sums][i % sums];
        pair_sums[batch.pairs[i / sums] * sums + i % sums] = sum;
    }
}

}  // namespace smalti
