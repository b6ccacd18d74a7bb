// SPDX-License-Identifier: GPL-3.0-or-later
// From sprites to tiles: pairs of both are counted, numbered sprite by sprite, and listed tile by tile in stacking
// order.
//
// Numbers grow with the sprite, so a tile's list is in stacking order once its numbers are in order; and gradients of
// pairs, each in the place of its number, are added up in an order that never changes: no atomics, the same bits each
// time.
#pragma once

#include "projected_sprite.cuh"

namespace smalti {

// The sum over the lanes up to and with this one.
template <class Number>
__device__ inline Number sum_up_to_lane(Number value) {
    for (int step = 1; step < kWarp; step *= 2) {
        const Number other = __shfl_up_sync(kAllLanes, value, step);
        if (lane_of_warp() >= step) value += other;
    }
    return value;
}

// The first lane whose `reached`, which grows from lane to lane, is above a number; the last lane if none is.
__device__ inline int lane_above(int reached, int number) {
    int lane = 0;
    for (int step = kWarp / 2; step > 0; step /= 2)
        if (__shfl_sync(kAllLanes, reached, lane + step - 1) <= number) lane += step;
    return lane;
}

// The pairs of one sprite, by the lanes of one warp: visit(tile, how many of the sprite's pairs come before). Each lane
// computes a row of tiles; the tiles of these rows are then dealt out one by one, for a sprite that is few rows of many
// tiles to keep all lanes at work. Returns how many pairs there are, to all lanes.
template <class Visit>
__device__ int for_each_tile(const ProjectedSprite& s, int width, int height, int tiles_x, Visit visit) {
    const int lane = lane_of_warp();
    int before = 0;
    Outline<float> outline;
    outline.first_row = 1, outline.last_row = 0;
    if (s.drawn) outline = outline_of(s.placement, s.view.extent_u, s.view.extent_v, height);
    for (int top = outline.first_row; top <= outline.last_row; top += kWarp) {
        const int row = top + lane;
        Span span{1, 0};
        if (row <= outline.last_row) span = span_of(outline, row, width);
        const int count = span.last - span.first + 1, reached = sum_up_to_lane(count);
        // The number of the first tile of this lane's row, less how many tiles come before it.
        const int start = row * tiles_x + span.first - (reached - count);
        const int total = __shfl_sync(kAllLanes, reached, kWarp - 1);
        for (int from = 0; from < total; from += kWarp) {
            const int i = from + lane;
            const int tile = __shfl_sync(kAllLanes, start, lane_above(reached, i)) + i;
            if (i < total) visit(tile, before + i);
        }
        before += total;
    }
    return before;
}

// Sprite k, by one warp. tile_pairs [tiles] must be 0 before; the scan leaves it so.
__device__ void count_pairs_of(int k, const ProjectedSprite& sprite, int width, int height, int tiles_x,
                               int* sprite_pairs, int* tile_pairs) {
    const int pairs =
        for_each_tile(sprite, width, height, tiles_x, [&](int tile, int) { atomicAdd(tile_pairs + tile, 1); });
    if (lane_of_warp() == 0) sprite_pairs[k] = pairs;
}

// What the host reads after a step: how many pairs there are, and whether they fit.
struct Status {
    int pairs;
    int overflow;  // 1 once a step had more pairs than there is room for; stays 1 until the host has made room
    int skipped;   // steps since then: none of them changed anything
    int mismatch;  // 1 once other pairs were listed than had been counted: never, unless a compiler is at fault
};

static_assert(sizeof(Status) == 4 * sizeof(int), "engine/cuda/binning.py: STATUS_WORDS = 4");

// Whether the lists of pairs cannot be used.
__device__ inline bool is_unusable(const Status* status) { return status->overflow || status->mismatch; }

constexpr int kScanned = 8;  // counts of each thread in one round of a scan

// Aligned, so that it is read and written 16 bytes at a time.
struct alignas(16) Counts {
    int values[kScanned];
};

// `counts` from `first` on, 0 from `count` on. `first` is a multiple of kScanned.
__device__ inline Counts load_counts(const int* counts, int first, int count) {
    if (count - first >= kScanned) return reinterpret_cast<const Counts*>(counts)[first / kScanned];
    Counts loaded{};
    for (int i = 0; i < kScanned; ++i)
        if (first + i < count) loaded.values[i] = counts[first + i];
    return loaded;
}

__device__ inline void store_counts(const Counts& stored, int* counts, int first, int count) {
    if (count - first >= kScanned) {
        reinterpret_cast<Counts*>(counts)[first / kScanned] = stored;
        return;
    }
    for (int i = 0; i < kScanned; ++i)
        if (first + i < count) counts[first + i] = stored.values[i];
}

// start[i] = sum of counts before i, for i up to `count`; by one block of 1,024 threads. Returns the sum. Where there is a
// `copy` it gets the same, and the counts are set to 0.
__device__ long long exclusive_scan(int* counts, int count, int* start, int* copy) {
    __shared__ long long of_warp[kWarp];
    __shared__ long long carried;
    const int thread = static_cast<int>(threadIdx.x), lane = lane_of_warp(), warp = thread / kWarp;
    const int warps = static_cast<int>(blockDim.x) / kWarp;
    if (thread == 0) carried = 0;
    __syncthreads();
    for (int base = 0; base < count; base += static_cast<int>(blockDim.x) * kScanned) {
        const int first = base + thread * kScanned;
        Counts own = load_counts(counts, first, count);
        long long sum = 0;
        for (int i = 0; i < kScanned; ++i) sum += own.values[i];
        const long long reached = sum_up_to_lane(sum);
        if (lane == kWarp - 1) of_warp[warp] = reached;
        __syncthreads();
        if (warp == 0) of_warp[lane] = sum_up_to_lane(lane < warps ? of_warp[lane] : 0LL);
        __syncthreads();
        long long before = carried + (warp > 0 ? of_warp[warp - 1] : 0) + reached - sum;
        for (int i = 0; i < kScanned; ++i) {
            const int value = own.values[i];
            own.values[i] = static_cast<int>(before);  // beyond 2^31 the pairs do not fit, and nothing reads this
            before += value;
        }
        if (first < count) {
            store_counts(own, start, first, count);
            if (copy != nullptr) store_counts(own, copy, first, count), store_counts(Counts{}, counts, first, count);
        }
        __syncthreads();
        if (thread == 0) carried += of_warp[warps - 1];
        __syncthreads();
    }
    const long long total = carried;
    if (thread == 0) start[count] = static_cast<int>(total);
    return total;
}

// Block 0 scans the sprites, block 1 the tiles.
__device__ void scan_pairs_of(int sprites, int* sprite_pairs, int* pair_start, int tiles, int* tile_pairs,
                              int* tile_start, int* next, int capacity, Status* status) {
    if (blockIdx.x == 1) {
        exclusive_scan(tile_pairs, tiles, tile_start, next);
        return;
    }
    const long long total = exclusive_scan(sprite_pairs, sprites, pair_start, nullptr);
    if (threadIdx.x != 0) return;
    status->pairs = total > 0x7fffffffLL ? 0x7fffffff : static_cast<int>(total);
    if (total > capacity) status->overflow = 1;
    if (status->overflow) ++status->skipped;
}

// Writes each pair's number into its tile's part of the list, in no order, and the pair's sprite. Where more pairs are
// found than were counted it writes none of them.
__device__ void list_pairs_of(int count, const ProjectedSprite* sprites, int width, int height, int tiles_x,
                              const int* pair_start, const int* tile_start, int* next, Status* status, int* list,
                              int* pair_sprite) {
    const int k = thread_of_grid() / kWarp;
    if (k >= count || status->overflow) return;
    const int first = pair_start[k], last = pair_start[k + 1];
    for_each_tile(sprites[k], width, height, tiles_x, [&](int tile, int i) {
        const int place = atomicAdd(next + tile, 1), pair = first + i;
        if (place < tile_start[tile + 1] && pair < last)
            list[place] = pair, pair_sprite[pair] = k;
        else
            status->mismatch = 1;
    });
}

// Puts a tile's list in order: the place of a number is how many are smaller. A block for each tile.
__device__ void order_pairs_of(const int* tile_start, const int* next, Status* status, const int* list, int* ordered) {
    constexpr int kChunk = 512;
    __shared__ int chunk[kChunk];
    if (status->overflow) return;
    const int first = tile_start[blockIdx.x], last = tile_start[blockIdx.x + 1];
    const int threads = static_cast<int>(blockDim.x), thread = static_cast<int>(threadIdx.x);
    if (thread == 0 && next[blockIdx.x] != last) status->mismatch = 1;  // some that were counted were not listed
    for (int base = first; base < last; base += threads) {
        const int at = base + thread;
        const int mine = at < last ? list[at] : 0;
        int smaller = 0;
        for (int from = first; from < last; from += kChunk) {
            const int count = last - from < kChunk ? last - from : kChunk;
            __syncthreads();
            for (int i = thread; i < count; i += threads) chunk[i] = list[from + i];
            __syncthreads();
            if (at < last)
                for (int i = 0; i < count; ++i) smaller += chunk[i] < mine;
        }
        if (at < last) ordered[first + smaller] = mine;
    }
}

}  // namespace smalti
