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

// The pairs of one sprite, by the lanes of one warp, a row of tiles each: visit(tile, how many of the sprite's pairs
// come before). Returns how many there are, to all lanes.
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
        const int count = span.last - span.first + 1;
        int reached = count;  // up to and with this lane
        for (int step = 1; step < kWarp; step *= 2) {
            const int other = __shfl_up_sync(kAllLanes, reached, step);
            if (lane >= step) reached += other;
        }
        for (int i = 0; i < count; ++i) visit(row * tiles_x + span.first + i, before + reached - count + i);
        before += __shfl_sync(kAllLanes, reached, kWarp - 1);
    }
    return before;
}

// tile_pairs [tiles] must be 0 before.
__device__ void count_pairs_of(int count, const ProjectedSprite* sprites, int width, int height, int tiles_x,
                               int* sprite_pairs, int* tile_pairs) {
    const int k = thread_of_grid() / kWarp;
    if (k >= count) return;
    const int pairs =
        for_each_tile(sprites[k], width, height, tiles_x, [&](int tile, int) { atomicAdd(tile_pairs + tile, 1); });
    if (lane_of_warp() == 0) sprite_pairs[k] = pairs;
}

// What the host reads after a step: how many pairs there are, and whether they fit.
struct Status {
    int pairs;
    int overflow;  // 1 once a step had more pairs than there is room for; stays 1 until the host has made room
    int skipped;   // steps since then: none of them changed anything
};

// start[i] = sum of counts before i, for i up to `count`; by one block of 1,024 threads. Returns the sum.
__device__ long long exclusive_scan(const int* counts, int count, int* start, int* copy) {
    __shared__ long long of_warp[kWarp];
    __shared__ long long carried;
    const int thread = static_cast<int>(threadIdx.x), lane = lane_of_warp(), warp = thread / kWarp;
    if (thread == 0) carried = 0;
    __syncthreads();
    for (int base = 0; base < count; base += static_cast<int>(blockDim.x)) {
        const int i = base + thread;
        const long long value = i < count ? counts[i] : 0;
        long long reached = value;
        for (int step = 1; step < kWarp; step *= 2) {
            const long long other = __shfl_up_sync(kAllLanes, reached, step);
            if (lane >= step) reached += other;
        }
        if (lane == kWarp - 1) of_warp[warp] = reached;
        __syncthreads();
        if (warp == 0) {
            long long sum = lane < static_cast<int>(blockDim.x) / kWarp ? of_warp[lane] : 0;
            for (int step = 1; step < kWarp; step *= 2) {
                const long long other = __shfl_up_sync(kAllLanes, sum, step);
                if (lane >= step) sum += other;
            }
            of_warp[lane] = sum;
        }
        __syncthreads();
        const long long before = carried + (warp > 0 ? of_warp[warp - 1] : 0) + reached - value;
        // Beyond 2^31 the pairs do not fit anyway, and nothing is read of this.
        if (i < count) {
            start[i] = static_cast<int>(before);
            if (copy != nullptr) copy[i] = static_cast<int>(before);
        }
        __syncthreads();
        if (thread == 0) carried += of_warp[static_cast<int>(blockDim.x) / kWarp - 1];
        __syncthreads();
    }
    const long long total = carried;
    if (thread == 0) start[count] = static_cast<int>(total);
    return total;
}

// Block 0 scans the sprites, block 1 the tiles.
__device__ void scan_pairs_of(int sprites, const int* sprite_pairs, int* pair_start, int tiles, const int* tile_pairs,
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

// Writes each pair's number into its tile's part of the list, in no order, and the pair's sprite.
__device__ void list_pairs_of(int count, const ProjectedSprite* sprites, int width, int height, int tiles_x,
                              const int* pair_start, int* next, const Status* status, int* list, int* pair_sprite) {
    const int k = thread_of_grid() / kWarp;
    if (k >= count || status->overflow) return;
    const int first = pair_start[k];
    for_each_tile(sprites[k], width, height, tiles_x, [&](int tile, int i) {
        list[atomicAdd(next + tile, 1)] = first + i;
        pair_sprite[first + i] = k;
    });
}

// Puts a tile's list in order: the place of a number is how many are smaller. A block for each tile.
__device__ void order_pairs_of(const int* tile_start, const Status* status, const int* list, int* ordered) {
    constexpr int kChunk = 512;
    __shared__ int chunk[kChunk];
    if (status->overflow) return;
    const int first = tile_start[blockIdx.x], last = tile_start[blockIdx.x + 1];
    const int threads = static_cast<int>(blockDim.x), thread = static_cast<int>(threadIdx.x);
    for (int base = first; base < last; base += threads) {
        const int at = base + thread;
        const int mine = at < last ? list[at] : 0;
        int smaller = 0;
        for (int from = first; from < last; from += kChunk) {
            const int count = last - from < kChunk ? last - from : kChunk;
            __syncthreads();
            for (int i = thread; i < count; i += threads) chunk[i] = list[from + i];
            __syncthreads();
            for (int i = 0; i < count; ++i) smaller += chunk[i] < mine;
        }
        if (at < last) ordered[first + smaller] = mine;
    }
}

}  // namespace smalti
