// SPDX-License-Identifier: GPL-3.0-or-later
// Removal errors and candidates in one tile: how the squared error changes if a sprite is removed, or a candidate
// inserted. Included by tiles.cpp.
#pragma once

#include "../kernels/candidate.h"
#include "tile_backward.h"

namespace smalti {
namespace SMALTI_ISA {
namespace {

// Four planes of a tile: of its picture, or of what lies behind a sprite.
using Planes = Row[4][kTile];

// State of a tile while sprites and candidates are evaluated, back to front.
struct Evaluation {
    Planes picture, difference;      // all sprites drawn, and that minus the goal
    Planes behind;                   // everything below the current sprite
    const bool has_candidates;       // if not, `background`, `transmittance_below` and `alpha` are not kept
    Planes background;               // below all sprites
    Row transmittance_below[kTile];  // of the sprites below the current one, onto the background
    // Of the current sprite: what it adds to `behind`, and to the picture (0 outside its rows), and its alpha. It is
    // committed to `behind` and `transmittance_below` only when the next sprite comes, because candidates for its place
    // have the same behind them.
    Planes added, part;
    Row alpha[kTile];
    unsigned rows = 0;
    std::int64_t sprite = -1;

    explicit Evaluation(bool with_candidates) : has_candidates(with_candidates) {}
};

void commit_current(Evaluation& e) {
    for (unsigned rows = e.rows; rows; rows &= rows - 1) {
        const int i = __builtin_ctz(rows);
        for (int channel = 0; channel < 4; ++channel) {
            add(e.behind[channel][i].v, Reals::load(e.added[channel][i].v));
            Reals(0.0f).store(e.part[channel][i].v);
        }
        if (!e.has_candidates) continue;
        const Reals below = Reals::load(e.transmittance_below[i].v);
        attenuate(e.transmittance_below[i].v, below, below * Reals::load(e.alpha[i].v));
    }
    e.rows = 0, e.sprite = -1;
}

// By how much the squared error grows if a sprite is removed (see candidate.h); it becomes the current one.
template <Colour kind>
float removal_error(const Scene& scene, const Local& s, unsigned all_rows, const float* stored, Evaluation& e) {
    const float opacity = s.opacity, bitmap_share = bitmap_share_of<kind>(scene),
                tint_share = tint_share_of<kind>(scene);
    Reals sum = 0.0f;
    for (unsigned rows = all_rows; rows; rows &= rows - 1, stored += stored_rows(kind) * kTile) {
        const int i = __builtin_ctz(rows);
        const Reals q = Reals::load(stored + kAlpha * kTile), t = Reals::load(stored + kTransmittance * kTile);
        if (e.has_candidates) (opacity * q).store(e.alpha[i].v);
        for (int channel = 0; channel < 4; ++channel) {
            const float tint = channel < 3 ? tint_share * s.tint[channel] : 1.0f;
            Reals colour = tint * q;
            if (kShowsBitmap<kind> && channel < 3)
                colour = colour + bitmap_share * Reals::load(stored + (kColours + 4 * channel) * kTile);
            if (kind == Colour::shaded && channel < 3) colour = within_alpha(colour, q);
            const Removal<Reals> r = removal(colour, q, Reals::load(e.behind[channel][i].v), t,
                                             Reals::load(e.difference[channel][i].v), opacity);
            sum = sum + r.error;
            r.added.store(e.added[channel][i].v);
            (t * r.added).store(e.part[channel][i].v);
        }
    }
    e.rows = all_rows;
    Row lanes;
    sum.store(lanes.v);
    return total(lanes);
}

// The coefficients of a candidate (see candidate.h). `transmittance`: above what it replaces, for each of its rows;
// unused on top.
template <Colour kind, int levels>
void evaluate_candidate(const Scene& scene, const Local& s, unsigned rows, int columns, Role role,
                        const float* transmittance, const Evaluation& e, Coefficients<float>& out) {
    const bool on_top = role == Role::top, at_bottom = role == Role::bottom;
    const Planes& behind = on_top ? e.picture : at_bottom ? e.background : e.behind;
    const float bitmap_share = bitmap_share_of<kind>(scene), tint_share = tint_share_of<kind>(scene);
    const Reals all = choose(ascending() < static_cast<float>(columns), Reals(1.0f), 0.0f);
    Coefficients<Reals> sums{};
    for (; rows; rows &= rows - 1) {
        const int i = __builtin_ctz(rows);
        Reals t = all;
        if (!on_top) t = Reals::load(transmittance), transmittance += kTile;
        if (at_bottom) t = t * Reals::load(e.transmittance_below[i].v);
        const TexelFootprint<levels> footprint = texel_footprint<levels>(s, i, t, scene.stop);
        Reals q, p[3];
        if constexpr (kShowsBitmap<kind>) {
            const ColourSamples samples = sample_colours<kind>(scene, s, footprint);
            q = footprint.scale * samples.channel[3].value;
            for (int channel = 0; channel < 3; ++channel)
                p[channel] = bitmap_share * footprint.scale * samples.channel[channel].value;
            // A candidate's tint is not known yet, so what it is moved by is all that stands there.
            if constexpr (kind == Colour::shaded)
                for (int channel = 0; channel < 3; ++channel)
                    p[channel] = p[channel] + tint_share * s.tint[channel] * q;
        } else {
            q = footprint.scale * sample_alpha(scene, s, footprint).value;
        }
        for (int channel = 0; channel < 4; ++channel) {
            const Reals part = Reals::load(e.part[channel][i].v);
            const Reals under = Reals::load(behind[channel][i].v), back = on_top ? under - part : under;
            const Reals to_goal = part - Reals::load(e.difference[channel][i].v);
            const Reals shown = channel == 3 ? q : kShowsBitmap<kind> ? p[channel] : Reals(0.0f);
            sums.add<kind>(channel, tint_share * t * q, t * (shown - q * back), to_goal);
        }
    }
    Row lanes;
    const auto sum = [&](Reals values) {
        values.store(lanes.v);
        return total(lanes);
    };
    out.squares = sum(sums.squares), out.own = sum(sums.own), out.match = sum(sums.match);
    for (int i = 0; i < 3; ++i) out.cross[i] = sum(sums.cross[i]), out.tint[i] = sum(sums.tint[i]);
}

// Walks front to back through the sprites, and stores the transmittance above what candidates replace.
template <Colour kind>
std::int64_t front_to_back_past_candidates(const Scene& scene, const Plan& plan, int tile, const TileArea& area,
                                           const StackEntry* entries, State& state, Row (*colour)[kTile],
                                           Scratch& scratch) {
    const std::int64_t first = plan.tile_start[tile], last = plan.tile_start[tile + 1];
    scratch.rows.assign(static_cast<std::size_t>(last - first), 0);
    scratch.used = 0;
    std::int64_t at = last - 1;
    for (int visited = 0; at >= first && state.active_rows; --at) {
        const std::int32_t k = plan.pair_sprite[plan.tile_pair[at]];
        const Role role = entries ? entries[k].role : Role::drawn;
        if (role == Role::top) continue;
        const Local s = localise(plan.sprites[k], area.x + 0.5, scene.first_row + area.y + 0.5);
        const unsigned rows = rows_touched(s) & state.active_rows;
        const int kept = role == Role::drawn ? stored_rows(kind) : 1;
        scratch.rows[at - first] = static_cast<int>(rows);
        const std::size_t needed = scratch.used + static_cast<std::size_t>(__builtin_popcount(rows)) * kept * kTile;
        if (scratch.values.size() < needed) scratch.values.resize(std::max(needed, 2 * scratch.values.size()));
        float* stored = scratch.values.data() + scratch.used;
        scratch.used = needed;
        if (role != Role::drawn) {
            for (unsigned left = rows; left; left &= left - 1, stored += kTile)
                Reals::load(state.transmittance[__builtin_ctz(left)].v).store(stored);
            continue;
        }
        if (s.fraction > 0.0f)
            front_to_back_rows<kind, 2, true>(scene, s, rows, state, colour, stored);
        else
            front_to_back_rows<kind, 1, true>(scene, s, rows, state, colour, stored);
        if (++visited % kCheckEvery == 0) update_active_rows(state, scene.stop);
    }
    return at + 1;
}

// From the composited sprites: the picture, its difference from the goal, and the background, which is behind all
// sprites.
void start_evaluation(const Scene& scene, const TileArea& area, const float* goal, const State& state, Evaluation& e) {
    for (int i = 0; i < area.rows; ++i) {
        const std::int64_t start = static_cast<std::int64_t>(area.y + i) * scene.width + area.x;
        for (int j = 0; j < area.columns; ++j) {
            const float t = state.transmittance[i].v[j];
            e.picture[3][i].v[j] = 1.0f - t;
            for (int channel = 0; channel < 4; ++channel) {
                const float under = scene.background ? scene.background[4 * (start + j) + channel] : 0.0f;
                e.behind[channel][i].v[j] = under;
                e.picture[channel][i].v[j] += t * under;
                e.difference[channel][i].v[j] = e.picture[channel][i].v[j] - goal[4 * (start + j) + channel];
            }
        }
    }
    if (!e.has_candidates) return;
    std::memcpy(e.background, e.behind, sizeof e.background);
    for (Row& row : e.transmittance_below) std::fill(std::begin(row.v), std::end(row.v), 1.0f);
}

template <Colour kind>
void candidates_as(const Scene& scene, const Plan& plan, int tile, const float* goal, const StackEntry* entries,
                   float* removal_errors, Coefficients<float>* coefficients, Scratch& scratch) {
    const TileArea area = area_of(scene, plan, tile);
    const std::int64_t first = plan.tile_start[tile], last = plan.tile_start[tile + 1];
    State state;
    Evaluation e(entries != nullptr);
    reset(state, area);
    const unsigned all_rows = state.active_rows;
    std::memset(e.difference, 0, sizeof e.difference);
    std::memset(e.behind, 0, sizeof e.behind);
    std::memset(e.picture, 0, sizeof e.picture);
    std::memset(e.part, 0, sizeof e.part);
    const std::int64_t lowest =
        front_to_back_past_candidates<kind>(scene, plan, tile, area, entries, state, e.picture, scratch);
    start_evaluation(scene, area, goal, state, e);
    for (std::int64_t at = first; at < last; ++at) {
        const std::uint32_t pair = plan.tile_pair[at];
        const std::int32_t k = plan.pair_sprite[pair];
        const StackEntry entry = entries ? entries[k] : StackEntry{};
        const Local s = localise(plan.sprites[k], area.x + 0.5, scene.first_row + area.y + 0.5);
        const bool on_top = entry.role == Role::top;
        const unsigned rows = on_top ? rows_touched(s) & all_rows : static_cast<unsigned>(scratch.rows[at - first]);
        const int kept = on_top ? 0 : entry.role == Role::drawn ? stored_rows(kind) : 1;
        scratch.used -= static_cast<std::size_t>(__builtin_popcount(rows)) * kept * kTile;
        const float* const stored = scratch.values.data() + scratch.used;
        if (entry.role == Role::drawn) {
            commit_current(e);
            // Removing an occluded sprite changes nothing.
            removal_errors[pair] = at < lowest ? 0.0f : removal_error<kind>(scene, s, rows, stored, e);
            e.sprite = k;
            continue;
        }
        if (entry.replaces != e.sprite) commit_current(e);  // the sprite that it replaces does not reach this tile
        if (s.fraction > 0.0f)
            evaluate_candidate<kind, 2>(scene, s, rows, area.columns, entry.role, stored, e, coefficients[pair]);
        else
            evaluate_candidate<kind, 1>(scene, s, rows, area.columns, entry.role, stored, e, coefficients[pair]);
    }
}

void candidates(const Scene& scene, const Plan& plan, int tile, const float* goal, const StackEntry* entries,
                float* removal_errors, Coefficients<float>* coefficients, Scratch& scratch) {
    if (plan.tile_start[tile] == plan.tile_start[tile + 1]) return;
    by_colour(scene, [&](auto kind) {
        candidates_as<kind()>(scene, plan, tile, goal, entries, removal_errors, coefficients, scratch);
    });
}

}  // namespace
}  // namespace SMALTI_ISA
}  // namespace smalti
