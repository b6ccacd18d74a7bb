// SPDX-License-Identifier: GPL-3.0-or-later
// Removal errors of a tile's sprites, and the coefficients of its candidates (see kernels/candidate.h).
#pragma once

#include "tile_draw.cuh"

namespace smalti {

// The finished pixel, and its difference from the goal [height, width, 4].
SMALTI_INLINE void difference_from(const float* goal, long long index, const FrontToBack& front,
                                   const float (&background)[4], float (&picture)[4], float (&difference)[4]) {
    for (int channel = 0; channel < 4; ++channel) {
        picture[channel] = rendered(front, channel, background[channel]);
        difference[channel] = picture[channel] - goal[4 * index + channel];
    }
}

// A sprite's color at opacity 1, by channel; channel 3 is alpha.
template <Colour kind>
SMALTI_INLINE float colour_of(const ProjectedSprite& s, const ColourSample& c, const Shares& shares, int channel) {
    const float q = kTexelScale * c.a.value;
    if (channel == 3) return q;
    const float bitmap[3] = {c.r.value, c.g.value, c.b.value};
    float colour = shares.tint * s.tint[channel] * q;
    if (kShowsBitmap<kind>) colour += shares.bitmap * kTexelScale * bitmap[channel];
    return kind == Colour::shaded ? within_alpha(colour, q) : colour;
}

// A sprite that is removed from one pixel, by channel: what it added to the color behind it. Returns the change of the
// squared error. `t`: transmittance above it.
template <Colour kind>
SMALTI_INLINE float remove_from_pixel(const ProjectedSprite& s, const ColourSample& c, const Shares& shares, float t,
                                      const float (&behind)[4], const float (&difference)[4], float (&added)[4]) {
    float error = 0.0f;
    for (int channel = 0; channel < 4; ++channel) {
        const Removal<float> r = removal(colour_of<kind>(s, c, shares, channel), kTexelScale * c.a.value,
                                         behind[channel], t, difference[channel], s.opacity);
        error += r.error;
        added[channel] = r.added;
    }
    return error;
}

// pair_errors [pairs].
template <Colour kind>
__device__ void removal_tile(const Canvas& canvas, const Lists& lists, const float* goal, float* pair_errors) {
    __shared__ ProjectedSprite staged[kBatch];
    __shared__ int pairs[kBatch];
    __shared__ WarpSums<kRemovalSums, 1> of_warp;
    if (is_unusable(lists.status)) return;
    const Batch batch{staged, pairs};
    const int lane = lane_of_warp(), warp = static_cast<int>(threadIdx.x) / kWarp;
    const auto of_thread = pixels_of_thread<1>(canvas, lists);
    FrontToBack fronts[1];
    const int top = front_to_back<kind, true>(canvas, lists, of_thread, nullptr, batch, fronts);
    const FrontToBack& front = fronts[0];
    const bool within = of_thread.within[0];
    const Shares shares = shares_of<kind>(canvas);
    float behind[4], picture[4], difference[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    const long long index = index_of(canvas, of_thread, 0);
    load_background(canvas, within, index, behind);
    if (within) difference_from(goal, index, front, behind, picture, difference);

    // Removing an occluded sprite changes nothing.
    clear_pairs<kRemovalSums, 1>(lists, of_thread.first, top, pair_errors);

    // Back to front. `behind` is the color behind.
    float transmittance = front.transmittance;
    for (int from = top; from < of_thread.last; from += kBatch) {
        const int count = of_thread.last - from < kBatch ? of_thread.last - from : kBatch;
        __syncthreads();
        stage<1>(lists, from, count, batch);
        for (int i = 0; i < count; ++i) {
            const ProjectedSprite& s = batch.sprites[i];
            const Local at = localise(of_thread, 0, s);
            const bool touched = reaches(s, at, from + i >= front.end);
            float error = 0.0f;
            if (touched) {
                const ColourSample c = sample<kind>(canvas, s, at.u, at.v);
                transmittance = transmittance_above(front, from + i, transmittance, attenuation(s.opacity, c.a.value));
                float added[4];
                error = remove_from_pixel<kind>(s, c, shares, transmittance, behind, difference, added);
                for (int channel = 0; channel < 4; ++channel) behind[channel] += added[channel];
            }
            if (!__any_sync(kAllLanes, touched)) {
                if (lane == 0) of_warp[warp][i][0] = 0.0f;
            } else {
                for (int step = kWarp / 2; step > 0; step /= 2) error += __shfl_xor_sync(kAllLanes, error, step);
                if (lane == 0) of_warp[warp][i][0] = error;
            }
        }
        __syncthreads();
        store_pairs<kRemovalSums, 1>(of_warp, batch, count, pair_errors);
    }
}

// State of a pixel while candidates are evaluated, back to front. What the current sprite adds to `behind` (`added`)
// and to the picture (`part`) is committed to `behind` only when the next sprite comes, because candidates for its
// place have the same behind them. The same holds for how much it attenuates (`factor`) the transmittance of those
// below it onto the background (`transmittance_below`).
struct Evaluation {
    float background[4], picture[4], difference[4], behind[4];
    float transmittance_below = 1.0f, factor = 1.0f;
    float added[4] = {0.0f, 0.0f, 0.0f, 0.0f}, part[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    int sprite = -1;  // the current one, the same for the whole block

    SMALTI_INLINE void commit_current(int next) {
#pragma unroll
        for (int channel = 0; channel < 4; ++channel)
            behind[channel] += added[channel], added[channel] = part[channel] = 0.0f;
        transmittance_below *= factor, factor = 1.0f, sprite = next;
    }
};

// The finished pixel to start from.
SMALTI_INLINE void start_evaluation(Evaluation& e, const Canvas& canvas, const TilePixels<1>& of_thread,
                                    const float* goal, const FrontToBack& front) {
    for (int channel = 0; channel < 4; ++channel) e.picture[channel] = e.difference[channel] = 0.0f;
    const long long index = index_of(canvas, of_thread, 0);
    load_background(canvas, of_thread.within[0], index, e.background);
    if (of_thread.within[0]) difference_from(goal, index, front, e.background, e.picture, e.difference);
    for (int channel = 0; channel < 4; ++channel) e.behind[channel] = e.background[channel];
}

// A candidate in one pixel. `above`: transmittance above it; sums [kCandidateSums].
template <Colour kind>
SMALTI_INLINE void evaluate_in_pixel(const Evaluation& e, Role role, const ProjectedSprite& s, const ColourSample& c,
                                     const Shares& shares, float above, float* sums) {
    const float q = kTexelScale * c.a.value;
    const float bitmap[4] = {c.r.value, c.g.value, c.b.value, 0.0f};
    Coefficients<float> sum{};
#pragma unroll
    for (int channel = 0; channel < 4; ++channel) {
        const float back = role == Role::top      ? e.picture[channel] - e.part[channel]
                           : role == Role::bottom ? e.background[channel]
                                                  : e.behind[channel];
        float shown = channel == 3 ? q : shares.bitmap * kTexelScale * bitmap[channel];
        // A candidate's tint is not known yet, so what it is lowered by is all that stands there.
        if (kind == Colour::shaded && channel < 3) shown += shares.tint * s.tint[channel] * q;
        sum.add<kind>(channel, shares.tint * above * q, above * (shown - q * back),
                      e.part[channel] - e.difference[channel]);
    }
    sums[1] = sum.squares, sums[5] = sum.own, sums[9] = sum.match;
    sums[2] = sum.cross[0], sums[3] = sum.cross[1], sums[4] = sum.cross[2];
    sums[6] = sum.tint[0], sums[7] = sum.tint[1], sums[8] = sum.tint[2];
}

// pair_sums [pairs, kCandidateSums]; entries [sprites].
template <Colour kind>
__device__ void candidates_tile(const Canvas& canvas, const Lists& lists, const float* goal, const StackEntry* entries,
                                float* pair_sums) {
    __shared__ ProjectedSprite staged[kBatch];
    __shared__ int pairs[kBatch];
    __shared__ WarpSums<kCandidateSums, 1> of_warp;
    if (is_unusable(lists.status)) return;
    const Batch batch{staged, pairs};
    const auto of_thread = pixels_of_thread<1>(canvas, lists);
    FrontToBack fronts[1];
    front_to_back<kind, true>(canvas, lists, of_thread, entries, batch, fronts);
    const FrontToBack& front = fronts[0];
    const Shares shares = shares_of<kind>(canvas);
    Evaluation e;
    start_evaluation(e, canvas, of_thread, goal, front);

    // Back to front, from the lowest place of all: candidates for the top may be in the list below occluded sprites.
    float transmittance = front.transmittance;
    for (int from = of_thread.first; from < of_thread.last; from += kBatch) {
        const int count = of_thread.last - from < kBatch ? of_thread.last - from : kBatch;
        __syncthreads();
        stage<1>(lists, from, count, batch);
        for (int i = 0; i < count; ++i) {
            const ProjectedSprite& s = batch.sprites[i];
            const Local at = localise(of_thread, 0, s);
            const int k = lists.pair_sprite[batch.pairs[i]], replaces = entries[k].replaces;
            const Role role = entries[k].role;
            // A candidate may reach tiles that the sprite it replaces does not reach.
            if (role == Role::drawn || replaces != e.sprite) e.commit_current(role == Role::drawn ? k : -1);
            // The transmittance above a candidate.
            const float above = role == Role::top      ? 1.0f
                                : role == Role::bottom ? transmittance * e.transmittance_below
                                                       : transmittance;
            const bool visible =
                role == Role::top || (from + i >= front.end && (role != Role::bottom || above >= canvas.stop));
            const bool touched = reaches(s, at, of_thread.within[0] && visible);
            float sums[kReduced<kCandidateSums>] = {};
            if (touched && role != Role::drawn) {
                evaluate_in_pixel<kind>(e, role, s, sample<kind>(canvas, s, at.u, at.v), shares, above, sums);
            } else if (touched) {
                const ColourSample c = sample<kind>(canvas, s, at.u, at.v);
                e.factor = attenuation(s.opacity, c.a.value);
                transmittance = transmittance_above(front, from + i, transmittance, e.factor);
                sums[0] = remove_from_pixel<kind>(s, c, shares, transmittance, e.behind, e.difference, e.added);
                for (int channel = 0; channel < 4; ++channel) e.part[channel] = transmittance * e.added[channel];
            }
            store_warp_sums<kCandidateSums, 1>(touched, sums, i, of_warp);
        }
        __syncthreads();
        store_pairs<kCandidateSums, 1>(of_warp, batch, count, pair_sums);
    }
}

}  // namespace smalti
