// SPDX-License-Identifier: GPL-3.0-or-later
// One pixel under one sprite: the exact change of the squared error if the sprite is removed, or if a candidate that is
// not in the stack is inserted.
#pragma once

#include "blend.h"

namespace smalti {

// What an entry of a list of sprites and candidates is: a sprite that is drawn, or a candidate for one of three
// positions in the stack. The numbers are those of `DRAWN` and `StackPosition` in engine/raster/candidates.py.
enum class Role : std::int32_t { drawn = 0, in_place = 1, top = 2, bottom = 3 };

static_assert(static_cast<int>(Role::drawn) == 0, "engine/raster/candidates.py: DRAWN = 0");
static_assert(static_cast<int>(Role::in_place) == 1, "engine/raster/candidates.py: IN_PLACE = 1");
static_assert(static_cast<int>(Role::top) == 2, "engine/raster/candidates.py: TOP = 2");
static_assert(static_cast<int>(Role::bottom) == 3, "engine/raster/candidates.py: BOTTOM = 3");

struct StackEntry {
    Role role = Role::drawn;
    std::int32_t replaces =
        -1;  // of a candidate: the entry that it replaces, or -1; candidates follow what they replace
};

static_assert(sizeof(StackEntry) == 2 * sizeof(std::int32_t), "engine/raster/candidates.py: entries: int32 [N + M, 2]");

// By how much the squared error of one channel grows if a sprite is removed, exactly: a picture is linear in each
// opacity alone, so without the sprite a pixel's color is less by d = o T (c' - q behind), c' the color at opacity 1,
// and its squared error changes by d (d - 2 e). Here `behind` is the true color behind, which grows by `added`.
template <class R>
struct Removal {
    R error, added;
};

template <class R>
SMALTI_INLINE Removal<R> removal(R colour, R q, R behind, R t, R difference, float opacity) {
    const R added = opacity * (colour - q * behind), d = t * added;
    return {d * (d - 2.0f * difference), added};
}

// What a candidate changes, at whatever opacity o and tint. With s = o tint, a channel of a pixel changes by P s + o R,
// where P = (1 - m) q T and R = T (m p - q behind), or T q (1 - behind) for alpha; so with w the change that leads to
// the goal, the squared error changes by a quadratic of the four numbers o and s:
//   squares |s|^2 + 2 o (cross . s) + own o^2 - 2 (tint . s) - 2 match o
// whose coefficients, sums over pixels, are these. Its minimum is the optimal opacity and tint.
template <class R>
struct Coefficients {
    R squares, cross[3], own, tint[3], match;

    // `weight`: P, `alone`: R; channel 3 is alpha, which the tint does not touch.
    template <Colour kind>
    SMALTI_INLINE void add(int channel, R weight, R alone, R to_goal) {
        own = own + alone * alone;
        match = match + alone * to_goal;
        if (!kShowsTint<kind> || channel == 3) return;
        if (channel == 0) squares = squares + weight * weight;
        cross[channel] = cross[channel] + weight * alone;
        tint[channel] = tint[channel] + weight * to_goal;
    }
};

constexpr int kCoefficients = 9;
static_assert(sizeof(Coefficients<float>) == kCoefficients * sizeof(float),
              "engine/raster/candidates.py: COEFFICIENTS = 9");

}  // namespace smalti
