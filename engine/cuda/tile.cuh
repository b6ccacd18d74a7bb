// SPDX-License-Identifier: GPL-3.0-or-later
// One tile, a block of 16 x 16 threads, a pixel each: the stack is walked down, and up again for gradients.
//
// The way up wants each pixel's transmittance above each sprite. It is not stored, but found again by dividing what is
// below by 1 - alpha, from the bottom. Where a pixel's light nearly ends (it falls below kCut) that would divide nothing by
// nothing: what it was above that one sprite is kept. Above it no factor is smaller than kCut; below it, where only a
// pixel that never stops goes on, what rounding can lose is less than kCut.
#pragma once

#include "../kernels/blend.h"
#include "../kernels/display.h"
#include "record.cuh"

namespace smalti {

constexpr int kTileThreads = kTile * kTile;
constexpr int kTileWarps = kTileThreads / kWarp;
constexpr int kTileBlocks = 4;  // on one multiprocessor at a time, at least: so many registers a thread may have
constexpr int kAppraisalBlocks = 2;  // the same for appraisals, which keep more numbers and come seldom
constexpr int kBatch = 32;  // sprites that are brought to shared memory together
constexpr float kCut = 1e-4f;

// What is summed over a pair's pixels: see PlacementGradient (6), level of detail, opacity, tint (3).
constexpr int kPairNumbers = 11;
constexpr int kReduced = 16;  // the next power of two
// What is summed when sprites and trials are appraised: the cost of removal, then what Trial holds (9).
constexpr int kAppraisalNumbers = 10;

// What a sprite of a list is there for, as `Place` in engine/cpu/tiles.h.
constexpr int kDrawn = 0, kOnTop = 2, kAtBottom = 3;

enum class Pass { draw, differentiate, step, removal, appraise };

struct Canvas {
    int width, height, tiles_x;
    float stop, mix;
    const std::uint64_t* alpha_quads;  // [texels], see Atlas.alpha_quads
    const std::uint64_t* texels;       // [texels], see Atlas.words
    const float* background;           // [height, width, 4], or null for transparent
};

struct Lists {
    const Record* records;
    const int* pair_sprite;
    const int* tile_start;
    const int* ordered;
    const Status* status;
};

// What the picture is compared with, as in the CPU back end.
struct Comparison {
    const float* goal;  // [height, width, 4]
    float scale;
    int absolute, encoded, on_noise;
    std::uint32_t noise_key;
    const int* roles;  // [sprites, 2] what each is there for, and which one it would replace; only to appraise
};

struct Texel {
    float r, g, b, a;
};

__device__ inline Texel texel_of(std::uint64_t word) {
    return {number(static_cast<int>(word & 0xffffu)), number(static_cast<int>((word >> 16) & 0xffffu)),
            number(static_cast<int>((word >> 32) & 0xffffu)), number(static_cast<int>(word >> 48))};
}

__device__ inline Sample<float> alpha_on(const std::uint64_t* quads, const Sampler& s, float u, float v) {
    const auto at = footprint_of(s, u, v);
    const Texel q = texel_of(__ldg(quads + at.index));
    return bilinear(s, at.fx, at.fy, q.r, q.g, q.b, q.a);
}

struct ColourSample {
    Sample<float> r, g, b, a;
};

__device__ inline ColourSample colour_on(const std::uint64_t* texels, const Sampler& s, float u, float v) {
    const auto at = footprint_of(s, u, v);
    const std::uint64_t* const upper = texels + at.index;
    const std::uint64_t* const lower = upper + s.stride;
    const Texel lt = texel_of(__ldg(upper)), rt = texel_of(__ldg(upper + 1));
    const Texel lb = texel_of(__ldg(lower)), rb = texel_of(__ldg(lower + 1));
    return {bilinear(s, at.fx, at.fy, lt.r, rt.r, lb.r, rb.r), bilinear(s, at.fx, at.fy, lt.g, rt.g, lb.g, rb.g),
            bilinear(s, at.fx, at.fy, lt.b, rt.b, lb.b, rb.b), bilinear(s, at.fx, at.fy, lt.a, rt.a, lb.a, rb.a)};
}

// What a pixel sees of a sprite, 0 to 1.
template <Colour kind>
__device__ ColourSample seen(const Canvas& canvas, const Record& r, float u, float v) {
    ColourSample c{};
    if (kind == Colour::tint) {
        c.a = alpha_on(canvas.alpha_quads, r.view.fine, u, v);
        if (r.view.fraction > 0.0f)
            c.a = between_levels(c.a, alpha_on(canvas.alpha_quads, r.view.coarse, u, v), r.view.fraction);
        return c;
    }
    c = colour_on(canvas.texels, r.view.fine, u, v);
    if (r.view.fraction > 0.0f) {
        const ColourSample coarse = colour_on(canvas.texels, r.view.coarse, u, v);
        c.r = between_levels(c.r, coarse.r, r.view.fraction);
        c.g = between_levels(c.g, coarse.g, r.view.fraction);
        c.b = between_levels(c.b, coarse.b, r.view.fraction);
        c.a = between_levels(c.a, coarse.a, r.view.fraction);
    }
    return c;
}

// From 16-bit units.
__device__ inline Sample<float> scaled(const Sample<float>& s) {
    return {kTexelScale * s.value, kTexelScale * s.du, kTexelScale * s.dv, kTexelScale * s.dlod};
}

__device__ inline float light_left(float opacity, float alpha) {
    const float left = 1.0f - opacity * kTexelScale * alpha;
    return left > 0.0f ? left : 0.0f;  // rounding may bring it below
}

// One exchange between lanes that are 2 * width apart: afterwards a lane holds sums of `width` numbers.
template <int width>
SMALTI_INLINE void exchange(float (&v)[kReduced]) {
    const bool upper = (lane_of_warp() & (2 * width)) != 0;
#pragma unroll
    for (int i = 0; i < width; ++i) {
        const float keep = upper ? v[i + width] : v[i], send = upper ? v[i] : v[i + width];
        v[i] = keep + __shfl_xor_sync(kAllLanes, send, 2 * width);
    }
}

// Adds up 16 numbers over a warp, with as many shuffles: each exchange halves how many a lane still holds. Afterwards
// lanes 2 i and 2 i + 1 hold the sum of number i. (Not a loop over the widths: NVRTC does not unroll it, and keeps the
// numbers in local memory.)
__device__ inline float reduced(float (&v)[kReduced]) {
    exchange<8>(v);
    exchange<4>(v);
    exchange<2>(v);
    exchange<1>(v);
    return v[0] + __shfl_xor_sync(kAllLanes, v[0], 1);
}

__device__ inline float block_sum(float value) {
    __shared__ float of_warp[kTileWarps];
    for (int step = kWarp / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
    if (lane_of_warp() == 0) of_warp[threadIdx.x / kWarp] = value;
    __syncthreads();
    float sum = 0.0f;
    for (int i = 0; i < kTileWarps; ++i) sum += of_warp[i];
    __syncthreads();
    return sum;
}

// Brings the records of `count` places of the list, from `from` upwards, to shared memory.
__device__ inline void stage(const Lists& lists, int from, int count, Record* staged, int* pairs) {
    __shared__ int sprites[kBatch];
    const int thread = static_cast<int>(threadIdx.x);
    if (thread < count) {
        pairs[thread] = lists.ordered[from + thread];
        sprites[thread] = lists.pair_sprite[pairs[thread]];
    }
    __syncthreads();
    for (int i = thread; i < count * kRecordParts; i += kTileThreads) {
        const Record* const record = lists.records + sprites[i / kRecordParts];
        reinterpret_cast<RecordPart*>(staged)[i] = reinterpret_cast<const RecordPart*>(record)[i % kRecordParts];
    }
    __syncthreads();
}

// What a pixel knows while sprites and trials are appraised, from the bottom of the stack upwards. What the sprite at hand
// adds to `behind` (`more`) and to the picture (`part`) joins `behind` only when the next sprite comes, because the trials
// that would replace it see what it sees. The same holds for how much it leaves (`left`) of what shows through those below
// it from under all sprites (`clear`).
struct AtHand {
    int sprite = -1;  // the same for the whole block
    float clear = 1.0f, left = 1.0f;
    float more[4] = {0.0f, 0.0f, 0.0f, 0.0f}, part[4] = {0.0f, 0.0f, 0.0f, 0.0f};

    __device__ void settle(float (&behind)[4], int next) {
#pragma unroll
        for (int channel = 0; channel < 4; ++channel)
            behind[channel] += more[channel], more[channel] = part[channel] = 0.0f;
        clear *= left, left = 1.0f, sprite = next;
    }
};

// image: drawn to. grad_image: the gradient to follow. comparison: for a step, for costs of removal and to appraise.
// pair_numbers [pairs, kPairNumbers]; removal writes [pairs], appraise [pairs, kAppraisalNumbers]. losses [tiles].
template <Pass pass, Colour kind>
__device__ void tile_of(const Canvas& canvas, const Lists& lists, const Comparison& comparison, float* image,
                        const float* grad_image, float* pair_numbers, float* losses) {
    constexpr bool kGoesUp = pass != Pass::draw;
    constexpr bool kAppraises = pass == Pass::appraise, kWeighs = kAppraises || pass == Pass::removal;
    constexpr int kNumbers = pass == Pass::removal ? 1 : kAppraises ? kAppraisalNumbers : kPairNumbers;
    __shared__ Record staged[kBatch];
    __shared__ int pairs[kBatch];
    __shared__ float sums[kGoesUp ? kTileWarps : 1][kBatch][kNumbers];
    if (lists.status->overflow) return;

    const int thread = static_cast<int>(threadIdx.x), lane = lane_of_warp(), warp = thread / kWarp;
    const int tile = static_cast<int>(blockIdx.x);
    // A warp takes 8 x 4 pixels: fewer warps meet a sprite than if it took two rows of 16.
    const int column = (tile % canvas.tiles_x) * kTile + warp % 2 * 8 + lane % 8;
    const int row = (tile / canvas.tiles_x) * kTile + warp / 2 * 4 + lane / 8;
    const bool within = column < canvas.width && row < canvas.height;
    const float px = static_cast<float>(column) + 0.5f, py = static_cast<float>(row) + 0.5f;
    const int first = lists.tile_start[tile], last = lists.tile_start[tile + 1];
    const float own = kind == Colour::tint ? 0.0f : canvas.mix, painted = 1.0f - own;

    // Down. `end`: place of the lowest sprite that this pixel sees; `cut`: of that at which its light falls below kCut.
    float light = within ? 1.0f : 0.0f, light_at_cut = 0.0f, colour[3] = {0.0f, 0.0f, 0.0f};
    bool open = within;
    int end = within ? first : last, cut = -1, top = last;
    while (top > first) {
        if (__syncthreads_count(open) == 0) break;
        const int from = top - kBatch > first ? top - kBatch : first, count = top - from;
        stage(lists, from, count, staged, pairs);
        for (int i = count - 1; i >= 0; --i) {
            const Record& r = staged[i];
            if (kAppraises && comparison.roles[2 * lists.pair_sprite[pairs[i]]] != kDrawn) continue;
            const Placement<float>& p = r.placement;
            const float x = px - p.x, y = py - p.y;
            const float u = p.a * x + p.b * y, v = p.d * x + p.e * y;
            if (!open || !(fabs(u) <= r.view.extent_u && fabs(v) <= r.view.extent_v)) continue;
            const ColourSample c = seen<kind>(canvas, r, u, v);
            const float through = light * r.opacity * kTexelScale, weight = through * c.a.value;
            if (pass != Pass::differentiate) {
                colour[0] += shown<kind>(weight, painted * r.tint[0], through, own, c.r.value);
                colour[1] += shown<kind>(weight, painted * r.tint[1], through, own, c.g.value);
                colour[2] += shown<kind>(weight, painted * r.tint[2], through, own, c.b.value);
            }
            const float left = light * light_left(r.opacity, c.a.value);
            if (left < kCut && cut < 0) cut = from + i, light_at_cut = light;
            light = left;
            if (light < canvas.stop) open = false, end = from + i;
        }
        top = from;
        __syncthreads();
    }

    const long long pixel = static_cast<long long>(row) * canvas.width + column;
    float under[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (within && canvas.background != nullptr)
        for (int channel = 0; channel < 4; ++channel) under[channel] = canvas.background[4 * pixel + channel];
    if (pass == Pass::draw) {
        if (within)
            for (int channel = 0; channel < 4; ++channel)
                image[4 * pixel + channel] = (channel < 3 ? colour[channel] : 1.0f - light) + light * under[channel];
        return;
    }

    // What the picture should become here.
    float gradient[4] = {0.0f, 0.0f, 0.0f, 0.0f}, picture[4] = {0.0f, 0.0f, 0.0f, 0.0f}, loss = 0.0f;
    if (pass == Pass::differentiate && within)
        for (int channel = 0; channel < 4; ++channel) gradient[channel] = grad_image[4 * pixel + channel];
    if ((pass == Pass::step || kWeighs) && within) {
        const float goal_alpha = comparison.goal[4 * pixel + 3];
        for (int channel = 0; channel < 4; ++channel) {
            float want = comparison.goal[4 * pixel + channel];
            if (comparison.on_noise) {
                const std::uint32_t place = static_cast<std::uint32_t>(4 * pixel + channel);
                under[channel] = channel < 3 ? noise(comparison.noise_key, place) : 1.0f;
                want += (1.0f - goal_alpha) * under[channel];
            }
            float found = (channel < 3 ? colour[channel] : 1.0f - light) + light * under[channel], slope = 1.0f;
            if (kWeighs) {
                gradient[channel] = found - want;
                picture[channel] = found;
                continue;
            }
            if (comparison.encoded && channel < 3) {
                const Encoded shown = encoded(found);
                found = shown.value, slope = shown.slope;
                if (comparison.on_noise) want = encoded(want).value;
            }
            const Compared<float> c = compared(found, want, comparison.scale, comparison.absolute != 0);
            loss += c.loss;
            gradient[channel] = slope * c.slope;
        }
    }
    if (pass == Pass::step) {
        const float sum = block_sum(loss);
        if (thread == 0) losses[tile] = sum;
    }

    // Sprites that nobody in the tile sees learn nothing; but trials on top of the stack may stand below them in the list.
    if (kAppraises) top = first;
    for (int i = first * kNumbers + thread; i < top * kNumbers; i += kTileThreads)
        pair_numbers[lists.ordered[i / kNumbers] * kNumbers + i % kNumbers] = 0.0f;

    // Up. `behind` is the colour behind, seen through the gradient; for costs of removal, channel by channel.
    float behind[4] = {under[0], under[1], under[2], under[3]};
    AtHand at_hand;
    if (!kWeighs) {
        behind[0] = gradient[0] * under[0] + gradient[1] * under[1] + gradient[2] * under[2] + gradient[3] * under[3];
    }
    for (int from = top; from < last; from += kBatch) {
        const int count = last - from < kBatch ? last - from : kBatch;
        __syncthreads();
        stage(lists, from, count, staged, pairs);
        for (int i = 0; i < count; ++i) {
            const Record& r = staged[i];
            const Placement<float>& at = r.placement;
            const float x = px - at.x, y = py - at.y;
            const float u = at.a * x + at.b * y, v = at.d * x + at.e * y;
            int place = kDrawn;
            if (kAppraises) {
                const int k = lists.pair_sprite[pairs[i]], replaces = comparison.roles[2 * k + 1];
                place = comparison.roles[2 * k];
                // A trial may reach tiles that the sprite which it would replace does not reach.
                if (place == kDrawn || replaces != at_hand.sprite) at_hand.settle(behind, place == kDrawn ? k : -1);
            }
            // The light that reaches a trial.
            const float reaching = place == kOnTop ? 1.0f : place == kAtBottom ? light * at_hand.clear : light;
            const bool open_here =
                place == kOnTop || (from + i >= end && (place != kAtBottom || reaching >= canvas.stop));
            const bool touched = within && open_here && fabs(u) <= r.view.extent_u && fabs(v) <= r.view.extent_v;
            float numbers[kReduced] = {};
            if (touched && kAppraises && place != kDrawn) {
                const ColourSample c = seen<kind>(canvas, r, u, v);
                const float q = kTexelScale * c.a.value;
                const float own_colour[4] = {c.r.value, c.g.value, c.b.value, 0.0f};
                Trial<float> trial{};
#pragma unroll
                for (int channel = 0; channel < 4; ++channel) {
                    const float back = place == kOnTop      ? picture[channel] - at_hand.part[channel]
                                       : place == kAtBottom ? under[channel]
                                                            : behind[channel];
                    const float given = channel == 3 ? q : own * kTexelScale * own_colour[channel];
                    trial.add<kind>(channel, painted * reaching * q, reaching * (given - q * back),
                                    at_hand.part[channel] - gradient[channel]);
                }
                numbers[1] = trial.squares, numbers[5] = trial.own, numbers[9] = trial.match;
                numbers[2] = trial.cross[0], numbers[3] = trial.cross[1], numbers[4] = trial.cross[2];
                numbers[6] = trial.tint[0], numbers[7] = trial.tint[1], numbers[8] = trial.tint[2];
            } else if (touched) {
                const ColourSample c = seen<kind>(canvas, r, u, v);
                const float left = light_left(r.opacity, c.a.value);
                const float t = from + i == cut ? light_at_cut : (left > 0.0f ? light / left : 0.0f);
                light = t;
                const float o = r.opacity, q = kTexelScale * c.a.value;
                if (kWeighs) {
                    const float own_colour[4] = {c.r.value, c.g.value, c.b.value, 0.0f};
                    for (int channel = 0; channel < 4; ++channel) {
                        const bool is_colour = channel < 3;
                        float look = is_colour ? painted * r.tint[channel] * q : q;
                        if (kShowsBitmap<kind> && is_colour) look += own * kTexelScale * own_colour[channel];
                        const Removal<float> found = removal(look, q, behind[channel], t, gradient[channel], o);
                        numbers[0] += found.cost;
                        if (kAppraises)
                            at_hand.more[channel] = found.more, at_hand.part[channel] = t * found.more;
                        else
                            behind[channel] += found.more;
                    }
                    at_hand.left = left;
                } else {
                    const float tinted =
                        painted * (gradient[0] * r.tint[0] + gradient[1] * r.tint[1] + gradient[2] * r.tint[2]);
                    const Sample<float> p = scaled(seen_through(gradient[0], c.r, gradient[1], c.g, gradient[2], c.b));
                    const Lesson<float> learnt =
                        lesson<kind, true>(tinted, gradient[3], behind[0], t, scaled(c.a), p, o, own);
                    behind[0] += learnt.behind;
                    const float weight = painted * o * q * t;
                    const float du = learnt.du, dv = learnt.dv;
                    numbers[0] = du * x, numbers[1] = du * y, numbers[2] = dv * x, numbers[3] = dv * y;
                    numbers[4] = du, numbers[5] = dv, numbers[6] = learnt.lod, numbers[7] = learnt.opacity;
                    numbers[8] = weight * gradient[0], numbers[9] = weight * gradient[1];
                    numbers[10] = weight * gradient[2];
                }
            }
            if (!__any_sync(kAllLanes, touched)) {
                if (lane < kNumbers) sums[warp][i][lane] = 0.0f;
            } else if (pass == Pass::removal) {
                float cost = numbers[0];
                for (int step = kWarp / 2; step > 0; step /= 2) cost += __shfl_xor_sync(kAllLanes, cost, step);
                if (lane == 0) sums[warp][i][0] = cost;
            } else {
                const float sum = reduced(numbers);
                if (lane % 2 == 0 && lane / 2 < kNumbers) sums[warp][i][lane / 2] = sum;
            }
        }
        __syncthreads();
        for (int i = thread; i < count * kNumbers; i += kTileThreads) {
            float sum = 0.0f;
            for (int w = 0; w < kTileWarps; ++w) sum += sums[w][i / kNumbers][i % kNumbers];
            pair_numbers[pairs[i / kNumbers] * kNumbers + i % kNumbers] = sum;
        }
    }
}

}  // namespace smalti
