// SPDX-License-Identifier: GPL-3.0-or-later
// Python's view of the CPU back end. Shapes are checked here; smalti.engine.cpu gives the arrays their meaning.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>

#include <memory>
#include <stdexcept>

#include "composite.h"
#include "optimise.h"

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
static_assert(sizeof(smalti::Role) == 2 * sizeof(std::int32_t), "roles are passed as an array of int32 pairs");

void require(bool good, const char* message) {
    if (!good) throw std::invalid_argument(message);
}

bool has_size(const ConstImage& image, const smalti::Scene& scene) {
    return static_cast<int>(image.shape(0)) == scene.height && static_cast<int>(image.shape(1)) == scene.width;
}

// A scene that keeps its arrays alive. One for `optimise` has no sprites' numbers: those follow from the parameters.
struct OwnedScene {
    std::optional<Maps> affine;
    std::optional<Numbers> opacity;
    std::optional<Colours> tint;
    Indices templates;
    Texels alpha_quads, texels;
    Indices first_level;
    Levels levels;
    std::optional<ConstImage> background;
    smalti::Scene view;

    OwnedScene(std::optional<Maps> affine_, std::optional<Numbers> opacity_, std::optional<Colours> tint_,
               Indices templates_, Texels alpha_quads_, Texels texels_, Indices first_level_, Levels levels_,
               std::optional<ConstImage> background_, int height, int width, double mix, double lod_bias, double stop)
        : affine(affine_), opacity(opacity_), tint(tint_), templates(templates_), alpha_quads(alpha_quads_),
          texels(texels_), first_level(first_level_), levels(levels_), background(background_), view{} {
        const std::size_t n = templates.shape(0), count = first_level.shape(0) - 1;
        require(affine.has_value() == opacity.has_value() && opacity.has_value() == tint.has_value(),
                "affine, opacity and tint belong together");
        require(!affine || (affine->shape(0) == n && opacity->shape(0) == n && tint->shape(0) == n),
                "affine, opacity, tint and template must have one entry for each sprite");
        require(alpha_quads.shape(0) == texels.shape(0), "alpha_quads and texels must have one entry for each texel");
        require(height > 0 && width > 0, "the image is empty");
        for (std::size_t k = 0; k < n; ++k)
            require(templates.data()[k] >= 0 && static_cast<std::size_t>(templates.data()[k]) < count,
                    "a sprite refers to a template that does not exist");
        view.sprites = static_cast<std::int64_t>(n);
        if (affine) view.affine = affine->data(), view.opacity = opacity->data(), view.tint = tint->data();
        view.templates = templates.data(), view.alpha_quads = alpha_quads.data(), view.texels = texels.data();
        view.first_level = first_level.data();
        view.levels = reinterpret_cast<const smalti::Level*>(levels.data());
        view.height = height, view.width = width;
        view.mix = static_cast<float>(mix), view.lod_bias = lod_bias, view.stop = static_cast<float>(stop);
        require(!background || has_size(*background, view), "the background must have the image's size");
        view.background = background ? background->data() : nullptr;
    }

    // The scene, with its sprites.
    const smalti::Scene& complete() const {
        require(view.affine != nullptr, "this scene has no sprites' numbers");
        return view;
    }
};

// One kind of parameter, [sprites] or [sprites, 3], with Adam's two means.
struct OwnedMoving {
    Array<double, nb::ndim<1>> value, mean, square;
    double rate;

    smalti::Moving of_size(std::size_t size) const {
        require(value.shape(0) == size && (rate == 0.0 || (mean.shape(0) == size && square.shape(0) == size)),
                "a parameter and its means must have one entry for each sprite");
        return {value.data(), mean.data(), square.data(), rate};
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
        .def(nb::init<std::optional<Maps>, std::optional<Numbers>, std::optional<Colours>, Indices, Texels, Texels, Indices,
                      Levels, std::optional<ConstImage>, int, int, double, double, double>(),
             "affine"_a.none(), "opacity"_a.none(), "tint"_a.none(), "templates"_a, "alpha_quads"_a, "texels"_a, "first_level"_a, "levels"_a,
             "background"_a.none(), "height"_a, "width"_a, "mix"_a, "lod_bias"_a, "stop"_a)
        .def_prop_ro("sprites", [](const OwnedScene& s) { return s.view.sprites; });
    nb::class_<smalti::Plan>(m, "Plan", "Which sprites touch which tiles: what the backward pass needs of the forward pass.");
    m.def(
        "forward",
        [](const OwnedScene& scene, Image image, int threads) {
            require(has_size(ConstImage(image), scene.view), "the image must have the scene's size");
            nb::gil_scoped_release unlocked;
            return smalti::forward(scene.complete(), threads, image.data());
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
            smalti::backward(scene.complete(), plan, threads, grad_image.data(), to);
        },
        "scene"_a, "plan"_a, "grad_image"_a, "grad_affine"_a, "grad_opacity"_a, "grad_tint"_a, "threads"_a);
    m.def(
        "appraise",
        [](const OwnedScene& scene, ConstImage goal, std::optional<Array<const std::int32_t, nb::shape<-1, 2>>> roles,
           Array<double, nb::shape<-1>> costs, Array<double, nb::shape<-1, smalti::kTrialSums>> sums, int threads) {
            require(has_size(goal, scene.view), "the goal must have the scene's size");
            const std::size_t n = static_cast<std::size_t>(scene.view.sprites);
            require(costs.shape(0) == n && (!roles || (roles->shape(0) == n && sums.shape(0) == n)),
                    "one role, cost and row of sums for each sprite");
            const auto* const role = roles ? reinterpret_cast<const smalti::Role*>(roles->data()) : nullptr;
            nb::gil_scoped_release unlocked;
            smalti::appraise(scene.complete(), threads, goal.data(), role, costs.data(), sums.data());
        },
        "scene"_a, "goal"_a, "roles"_a.none(), "costs"_a, "sums"_a, "threads"_a);
    m.def(
        "step",
        [](const OwnedScene& scene, ConstImage goal, bool absolute, bool encoded, double scale,
           decltype(Output::affine) affine, decltype(Output::opacity) opacity, decltype(Output::tint) tint, int threads) {
            require(has_size(goal, scene.view), "the goal must have the scene's size");
            const Output output{affine, opacity, tint};
            const smalti::Gradients to = output.for_scene(scene.view);
            smalti::Goal wanted;
            wanted.image = goal.data(), wanted.scale = static_cast<float>(scale);
            wanted.absolute = absolute, wanted.encoded = encoded;
            nb::gil_scoped_release unlocked;
            return smalti::step(scene.complete(), threads, wanted, to);
        },
        "scene"_a, "goal"_a, "absolute"_a, "encoded"_a, "scale"_a, "grad_affine"_a, "grad_opacity"_a, "grad_tint"_a,
        "threads"_a);
    nb::class_<smalti::OptimiserWorkspace>(m, "Workspace", "Memory that steps of the optimiser use again and again.")
        .def(nb::init<>());
    nb::class_<OwnedMoving>(m, "Moving", "One kind of parameter with Adam's means and its rate; 0 locks it.")
        .def(nb::init<Array<double, nb::ndim<1>>, Array<double, nb::ndim<1>>, Array<double, nb::ndim<1>>, double>(),
             "value"_a, "mean"_a, "square"_a, "rate"_a);
    m.def(
        "optimise",
        [](smalti::OptimiserWorkspace& work, const OwnedScene& scene, ConstImage goal, bool encoded,
           std::optional<std::uint32_t> noise_key, double scale, const OwnedMoving& x, const OwnedMoving& y,
           const OwnedMoving& log_scale, const OwnedMoving& theta, const OwnedMoving& opacity, const OwnedMoving& tint,
           Array<const double, nb::shape<-1, 2>> extent, std::tuple<double, double, double, double> adam,
           std::tuple<double, double, double, double, double> bounds, std::tuple<double, double> pixel,
           double alpha_max, int threads) {
            require(has_size(goal, scene.view), "the goal must have the scene's size");
            const std::size_t n = static_cast<std::size_t>(scene.view.sprites);
            require(extent.shape(0) == n, "one extent for each sprite");
            const smalti::Optimised sprites{x.of_size(n),       y.of_size(n),        log_scale.of_size(n),
                                            theta.of_size(n),   opacity.of_size(n),  tint.of_size(3 * n),
                                            extent.data()};
            const smalti::Rule rule{{std::get<0>(adam), std::get<1>(adam), std::get<2>(adam), std::get<3>(adam)},
                                    {std::get<0>(bounds), std::get<1>(bounds), std::get<2>(bounds), std::get<3>(bounds),
                                     std::get<4>(bounds)},
                                    {std::get<0>(pixel), std::get<1>(pixel)}, alpha_max};
            smalti::Goal wanted;
            wanted.image = goal.data(), wanted.scale = static_cast<float>(scale), wanted.encoded = encoded;
            wanted.on_noise = noise_key.has_value(), wanted.noise_key = noise_key.value_or(0);
            nb::gil_scoped_release unlocked;
            return smalti::optimise(scene.view, sprites, rule, threads, wanted, work);
        },
        "workspace"_a, "scene"_a, "goal"_a, "encoded"_a, "noise_key"_a.none(), "scale"_a, "x"_a, "y"_a, "log_scale"_a,
        "theta"_a, "opacity"_a, "tint"_a, "extent"_a, "adam"_a, "bounds"_a, "pixel"_a, "alpha_max"_a, "threads"_a);
}
