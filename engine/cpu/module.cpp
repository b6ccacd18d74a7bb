// SPDX-License-Identifier: GPL-3.0-or-later
// Python's view of the CPU back end. Shapes are checked here; smalti.engine.cpu gives the arrays their meaning.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <memory>
#include <stdexcept>

#include "composite.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;
using Image = Array<float, nb::shape<-1, -1, 4>>;
using ConstImage = Array<const float, nb::shape<-1, -1, 4>>;
using Maps = Array<const double, nb::shape<-1, 6>>;
using Numbers = Array<const double, nb::shape<-1>>;
using Colours = Array<const double, nb::shape<-1, 3>>;
using Indices = Array<const std::int32_t, nb::shape<-1>>;
using Texels = Array<const std::uint64_t, nb::shape<-1>>;
using Levels = Array<const std::int32_t, nb::shape<-1, 3>>;

static_assert(sizeof(smalti::Level) == 3 * sizeof(std::int32_t), "levels are passed as an array of int32 triples");

void require(bool good, const char* message) {
    if (!good) throw std::invalid_argument(message);
}

bool has_size(const ConstImage& image, const smalti::Scene& scene) {
    return static_cast<int>(image.shape(0)) == scene.height && static_cast<int>(image.shape(1)) == scene.width;
}

// A scene that keeps its arrays alive.
struct OwnedScene {
    Maps affine;
    Numbers opacity;
    Colours tint;
    Indices templates;
    Texels alpha_quads, texels;
    Indices first_level;
    Levels levels;
    std::optional<ConstImage> background;
    smalti::Scene view;

    OwnedScene(Maps affine_, Numbers opacity_, Colours tint_, Indices templates_, Texels alpha_quads_, Texels texels_,
               Indices first_level_, Levels levels_, std::optional<ConstImage> background_, int height, int width,
               double mix, double lod_bias, double stop)
        : affine(affine_), opacity(opacity_), tint(tint_), templates(templates_), alpha_quads(alpha_quads_),
          texels(texels_), first_level(first_level_), levels(levels_), background(background_), view{} {
        const std::size_t n = affine.shape(0), count = first_level.shape(0) - 1;
        require(opacity.shape(0) == n && tint.shape(0) == n && templates.shape(0) == n,
                "affine, opacity, tint and template must have one entry for each sprite");
        require(alpha_quads.shape(0) == texels.shape(0), "alpha_quads and texels must have one entry for each texel");
        require(height > 0 && width > 0, "the image is empty");
        for (std::size_t k = 0; k < n; ++k)
            require(templates.data()[k] >= 0 && static_cast<std::size_t>(templates.data()[k]) < count,
                    "a sprite refers to a template that does not exist");
        view.sprites = static_cast<std::int64_t>(n);
        view.affine = affine.data(), view.opacity = opacity.data(), view.tint = tint.data();
        view.templates = templates.data(), view.alpha_quads = alpha_quads.data(), view.texels = texels.data();
        view.first_level = first_level.data();
        view.levels = reinterpret_cast<const smalti::Level*>(levels.data());
        view.height = height, view.width = width;
        view.mix = static_cast<float>(mix), view.lod_bias = lod_bias, view.stop = static_cast<float>(stop);
        require(!background || has_size(*background, view), "the background must have the image's size");
        view.background = background ? background->data() : nullptr;
    }
};

// Where gradients go.
struct Output {
    Array<double, nb::shape<-1, 6>> affine;
    Array<double, nb::shape<-1>> opacity;
    Array<double, nb::shape<-1, 3>> tint;

    smalti::Gradients for_scene(const smalti::Scene& scene) const {
        const std::size_t n = static_cast<std::size_t>(scene.sprites);
        require(affine.shape(0) == n && opacity.shape(0) == n && tint.shape(0) == n,
                "the gradients must have one entry for each sprite");
        return {affine.data(), opacity.data(), tint.data()};
    }
};

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "The CPU back end's kernels; use smalti.engine.raster.";
    m.def("instruction_set", &smalti::instruction_set);
    nb::class_<OwnedScene>(m, "Scene", "Sprites, their templates, and a canvas with its background.")
        .def(nb::init<Maps, Numbers, Colours, Indices, Texels, Texels, Indices, Levels, std::optional<ConstImage>, int,
                      int, double, double, double>(),
             "affine"_a, "opacity"_a, "tint"_a, "templates"_a, "alpha_quads"_a, "texels"_a, "first_level"_a, "levels"_a,
             "background"_a.none(), "height"_a, "width"_a, "mix"_a, "lod_bias"_a, "stop"_a)
        .def_prop_ro("sprites", [](const OwnedScene& s) { return s.view.sprites; });
    nb::class_<smalti::Plan>(m, "Plan", "Which sprites touch which tiles: what the backward pass needs of the forward pass.");
    m.def(
        "forward",
        [](const OwnedScene& scene, Image image, int threads) {
            require(has_size(ConstImage(image), scene.view), "the image must have the scene's size");
            nb::gil_scoped_release unlocked;
            return smalti::forward(scene.view, threads, image.data());
        },
        "scene"_a, "image"_a, "threads"_a);
    m.def(
        "backward",
        [](const OwnedScene& scene, const smalti::Plan& plan, ConstImage grad_image, decltype(Output::affine) affine,
           decltype(Output::opacity) opacity, decltype(Output::tint) tint, int threads) {
            require(has_size(grad_image, scene.view), "the gradient must have the scene's size");
            const Output output{affine, opacity, tint};
            const smalti::Gradients to = output.for_scene(scene.view);
            nb::gil_scoped_release unlocked;
            smalti::backward(scene.view, plan, threads, grad_image.data(), to);
        },
        "scene"_a, "plan"_a, "grad_image"_a, "grad_affine"_a, "grad_opacity"_a, "grad_tint"_a, "threads"_a);
    m.def(
        "removal_costs",
        [](const OwnedScene& scene, ConstImage goal, Array<double, nb::shape<-1>> costs, int threads) {
            require(has_size(goal, scene.view), "the goal must have the scene's size");
            require(static_cast<std::int64_t>(costs.shape(0)) == scene.view.sprites, "one cost for each sprite");
            nb::gil_scoped_release unlocked;
            smalti::removal_costs(scene.view, threads, goal.data(), costs.data());
        },
        "scene"_a, "goal"_a, "costs"_a, "threads"_a);
    m.def(
        "step",
        [](const OwnedScene& scene, ConstImage goal, bool absolute, double scale, decltype(Output::affine) affine,
           decltype(Output::opacity) opacity, decltype(Output::tint) tint, int threads) {
            require(has_size(goal, scene.view), "the goal must have the scene's size");
            const Output output{affine, opacity, tint};
            const smalti::Gradients to = output.for_scene(scene.view);
            nb::gil_scoped_release unlocked;
            return smalti::step(scene.view, threads, {goal.data(), static_cast<float>(scale), absolute}, to);
        },
        "scene"_a, "goal"_a, "absolute"_a, "scale"_a, "grad_affine"_a, "grad_opacity"_a, "grad_tint"_a, "threads"_a);
}
