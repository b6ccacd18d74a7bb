// SPDX-License-Identifier: GPL-3.0-or-later
// A sprite as the kernels pass it on, and how threads are numbered.
#pragma once

#include "../kernels/cover.h"
#include "../kernels/parameters.h"

namespace smalti {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// One sprite, ready to be drawn. Aligned, so that it is read 16 bytes at a time.
struct alignas(16) Record {
    Placement<float> placement;
    View view;
    float opacity;
    float tint[3];
    int drawn;
    int unused;
};

struct alignas(16) RecordPart {
    int words[4];
};

constexpr int kRecordParts = sizeof(Record) / sizeof(RecordPart);
static_assert(sizeof(Record) == 28 * sizeof(int), "RECORD_WORDS in engine/cuda/__init__.py");

__device__ inline int thread_of_grid() { return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); }

__device__ inline int lane_of_warp() { return static_cast<int>(threadIdx.x) % kWarp; }

template <class R>
__device__ Record record_of(const Placement<R>& p, float opacity, const float* tint, int of_template,
                            const int* first_level, const Level* levels, R lod_bias) {
    Record r{};
    r.placement = {static_cast<float>(p.a), static_cast<float>(p.b), static_cast<float>(p.d),
                   static_cast<float>(p.e), static_cast<float>(p.x), static_cast<float>(p.y)};
    r.opacity = opacity;
    for (int i = 0; i < 3; ++i) r.tint[i] = tint[i];
    r.drawn = is_drawable(p, opacity, tint) && is_drawable(r.placement, opacity, tint);
    if (!r.drawn) return r;
    const int first = first_level[of_template];
    r.view = view_of(p, levels + first, first_level[of_template + 1] - first, lod_bias);
    return r;
}

}  // namespace smalti
