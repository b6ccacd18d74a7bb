// SPDX-License-Identifier: GPL-3.0-or-later
// Random scenes that hold everything a rasteriser can get wrong: the kinds of tests/scenes.py, and broken numbers.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "plan.h"

// A scene that owns its arrays, with the gradient of some loss by its picture.
struct OwnedScene {
    std::string name;
    std::vector<double> affine, opacity, tint;
    std::vector<std::int32_t> templates;
    std::vector<std::uint64_t> alpha_quads, texels;
    std::vector<std::int32_t> first_level;
    std::vector<smalti::Level> levels;
    std::vector<std::int64_t> gaps;  // texels that belong to no level
    int width = 0, height = 0;
    std::vector<float> background;  // empty: transparent
    std::vector<float> luma;        // [templates]
    float mix = 0.0f, shade = 0.0f, stop = 0.0f;
    double lod_bias = 0.0;
    std::vector<float> grad_image;

    std::int64_t sprites() const { return static_cast<std::int64_t>(opacity.size()); }
    smalti::Scene view() const;
    // Writes one value into every texel that no sprite may see.
    void fill_gaps(std::uint16_t value);
};

struct Recipe {
    std::string name;
    int sprites, width, height;
    double smallest, largest;  // half a sprite's width, in pixels
    double least_opacity, most_opacity;
    double opaque;  // share of sprites whose opacity is 1
    double broken;  // share of sprites with a number that is not finite, huge or tiny
    float mix;
    double lod_bias;
    float stop;
    bool background;
    float shade;
};

OwnedScene make_scene(const Recipe& recipe, std::uint64_t seed);

// All of them.
std::vector<OwnedScene> make_scenes();
