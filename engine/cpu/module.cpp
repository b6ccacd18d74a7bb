// SPDX-License-Identifier: GPL-3.0-or-later
// The Python bindings of the CPU back end. Shapes are checked here; smalti.engine.cpu gives the arrays their meaning.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>

#include <array>
#include <memory>
#include <stdexcept>

#include "composite.h"
#include "optimise.h"
#include "picture_loss.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;
using Image = Array<float, nb::shape<-1, -1, 4>>;
using ConstImage = Array<const float, nb::shape<-1, -1, 4>>;
using ConstAffine = Array<const double, nb::shape<-1, 6>>;
using ConstNumbers = Array<const double, nb::shape<-1>>;
using ConstColours = Array<const double, nb::shape<-1, 3>>;
using Affine = Array<double, nb::shape<-1, 6>>;
using Numbers = Array<double, nb::shape<-1>>;
using Colours = Array<double, nb::shape<-1, 3>>;
using Extents = Array<const double, nb::shape<-1, 2>>;
using CoefficientRows = Array<double, nb::shape<-1, smalti::kCoefficients>>;
using Entries = Array<const std::int32_t, nb::shape<-1, 2>>;
using Indices = Array<const std::int32_t, nb::shape<-1>>;
using Texels = Array<const std::uint64_t, nb::shape<-1>>;
using Levels = Array<const std::int32_t, nb::shape<-1, 3>>;
using Lumas = Array<const float, nb::shape<-1>>;

template <class T>
using Planes = Array<T, nb::shape<3, -1, -1>>;
template <class T>
using Plane = Array<T, nb::shape<-1, -1>>;

static_assert(sizeof(smalti::Level) == 3 * sizeof(std::int32_t), "engine/raster/atlas.py: levels: int32 [L, 3]");

void require(bool good, const char* message) {
    if (!good) throw std::invalid_argument(message);
}

bool has_size(const ConstImage& image, const smalti::Scene& scene) {
    return static_cast<int>(image.shape(0)) == scene.height && static_cast<int>(image.shape(1)) == scene.width;
}

// A scene that keeps its arrays alive. One for `optimise` has no affine, opacity and tint: those follow from
// parameters.
struct OwnedScene {
    std::optional<ConstAffine> affine;
    std::optional<ConstNumbers> opacity;
    std::optional<ConstColours> tint;
    Indices templates;
    Texels alpha_quads, texels;
    Indices first_level;
    Levels levels;
    Lumas luma;
    std::optional<ConstImage> background;
    smalti::Scene view;

    OwnedScene(std::optional<ConstAffine> affine_, std::optional<ConstNumbers> opacity_,
               std::optional<ConstColours> tint_, Indices templates_, Texels alpha_quads_, Texels texels_,
               Indices first_level_, Levels levels_, Lumas luma_, std::optional<ConstImage> background_, int height,
               int width, double mix, double shade, double lod_bias, double stop, int first_row)
        : affine(affine_),
          opacity(opacity_),
          tint(tint_),
          templates(templates_),
          alpha_quads(alpha_quads_),
          texels(texels_),
          first_level(first_level_),
          levels(levels_),
          luma(luma_),
          background(background_),
          view{} {
        check(height, width, first_row);
        view.sprites = static_cast<std::int64_t>(templates.shape(0));
        if (affine) view.affine = affine->data(), view.opacity = opacity->data(), view.tint = tint->data();
        view.templates = templates.data(), view.alpha_quads = alpha_quads.data(), view.texels = texels.data();
        view.first_level = first_level.data();
        view.levels = reinterpret_cast<const smalti::Level*>(levels.data());
        view.luma = luma.data(), view.shade = static_cast<float>(shade);
        view.height = height, view.width = width, view.first_row = first_row;
        view.mix = static_cast<float>(mix), view.lod_bias = lod_bias, view.stop = static_cast<float>(stop);
        require(!background || has_size(*background, view), "the background must have the image's size");
        view.background = background ? background->data() : nullptr;
    }

    // The scene, with its sprites.
    const smalti::Scene& complete() const {
        require(view.affine != nullptr, "this scene has no affine, opacity and tint");
        return view;
    }

    std::size_t sprites() const { return static_cast<std::size_t>(view.sprites); }

  private:
    void check(int height, int width, int first_row) const {
        const std::size_t n = templates.shape(0), count = first_level.shape(0) - 1;
        require(affine.has_value() == opacity.has_value() && opacity.has_value() == tint.has_value(),
                "affine, opacity and tint belong together");
        require(!affine || (affine->shape(0) == n && opacity->shape(0) == n && tint->shape(0) == n),
                "affine, opacity, tint and template must have one entry for each sprite");
        require(alpha_quads.shape(0) == texels.shape(0), "alpha_quads and texels must have one entry for each texel");
        require(luma.shape(0) == count, "one luma for each template");
        require(height > 0 && width > 0, "the image is empty");
        require(first_row >= 0 && first_row % smalti::kTile == 0, "strips begin at a row of tiles");
        for (std::size_t k = 0; k < n; ++k)
            require(templates.data()[k] >= 0 && static_cast<std::size_t>(templates.data()[k]) < count,
                    "a sprite refers to a template that does not exist");
    }
};

// Output arrays for gradients.
smalti::Gradients gradients_of(const OwnedScene& scene, const Affine& affine, const Numbers& opacity,
                               const Colours& tint) {
    const std::size_t n = scene.sprites();
    require(affine.shape(0) == n && opacity.shape(0) == n && tint.shape(0) == n,
            "the gradients must have one entry for each sprite");
    return {affine.data(), opacity.data(), tint.data()};
}

smalti::Goal goal_of(const OwnedScene& scene, const ConstImage& image, double scale, bool encoded) {
    require(has_size(image, scene.view), "the goal must have the scene's size");
    smalti::Goal goal;
    goal.image = image.data(), goal.scale = static_cast<float>(scale), goal.encoded = encoded;
    return goal;
}

smalti::Plan forward(const OwnedScene& scene, Image image, int threads) {
    require(has_size(ConstImage(image), scene.view), "the image must have the scene's size");
    nb::gil_scoped_release unlocked;
    return smalti::forward(scene.complete(), threads, image.data());
}

// A vector as an array that owns it.
template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> array_of(std::vector<T>&& values) {
    auto* const kept = new std::vector<T>(std::move(values));
    const nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    return {kept->data(), {kept->size()}, owner};
}

nb::tuple pixel_weights(const OwnedScene& scene, double least, int threads) {
    smalti::PixelWeights found;
    {
        nb::gil_scoped_release unlocked;
        found = smalti::pixel_weights(scene.complete(), threads, static_cast<float>(least));
    }
    return nb::make_tuple(array_of(std::move(found.start)), array_of(std::move(found.pixel)),
                          array_of(std::move(found.weight)));
}

void backward(const OwnedScene& scene, const smalti::Plan& plan, ConstImage grad_image, Affine affine, Numbers opacity,
              Colours tint, int threads) {
    require(has_size(grad_image, scene.view), "the gradient must have the scene's size");
    const smalti::Gradients to = gradients_of(scene, affine, opacity, tint);
    nb::gil_scoped_release unlocked;
    smalti::backward(scene.complete(), plan, threads, grad_image.data(), to);
}

double loss_and_gradients(const OwnedScene& scene, ConstImage image, bool absolute, bool encoded, double scale,
                          Affine affine, Numbers opacity, Colours tint, int threads) {
    smalti::Goal goal = goal_of(scene, image, scale, encoded);
    goal.absolute = absolute;
    const smalti::Gradients to = gradients_of(scene, affine, opacity, tint);
    nb::gil_scoped_release unlocked;
    return smalti::step(scene.complete(), threads, goal, to);
}

void evaluate_candidates(const OwnedScene& scene, ConstImage goal, std::optional<Entries> entries,
                         Numbers removal_errors, CoefficientRows coefficients, int threads) {
    require(has_size(goal, scene.view), "the goal must have the scene's size");
    const std::size_t n = scene.sprites();
    require(removal_errors.shape(0) == n && (!entries || (entries->shape(0) == n && coefficients.shape(0) == n)),
            "one entry, removal error and row of coefficients for each sprite");
    const auto* const list = entries ? reinterpret_cast<const smalti::StackEntry*>(entries->data()) : nullptr;
    nb::gil_scoped_release unlocked;
    smalti::evaluate_candidates(scene.complete(), threads, goal.data(), list, removal_errors.data(),
                                coefficients.data());
}

// One kind of parameter, [sprites] or [sprites, 3], with Adam's two moments.
struct OwnedParameter {
    Array<double, nb::ndim<1>> value, mean, square;
    double learning_rate;

    smalti::AdamParameter of_size(std::size_t size) const {
        const bool is_frozen = learning_rate == 0.0;
        require(value.shape(0) == size && (is_frozen || (mean.shape(0) == size && square.shape(0) == size)),
                "a parameter and its moments must have one entry for each sprite");
        return {value.data(), mean.data(), square.data(), learning_rate};
    }
};

// All kinds of parameters, in the order of `PARAMETERS` in engine/raster/step.py.
using OwnedParameters = std::array<OwnedParameter, 6>;

// Decay rates and biases of Adam, bounds, size of a pixel, opacity: as in `Step` in engine/raster/step.py.
using AdamNumbers = std::array<double, 4>;
using BoundNumbers = std::array<double, 6>;
using PixelNumbers = std::array<double, 2>;

// The sprites of a step, and where they are drawn.
struct OwnedSprites {
    OwnedParameters parameters;
    Extents extent;
    PixelNumbers pixel;
    double alpha_max;

    smalti::SpriteParameters view(std::size_t n) const {
        require(extent.shape(0) == n, "one extent for each sprite");
        const auto& [x, y, log_scale, theta, opacity, tint] = parameters;
        return {x.of_size(n),       y.of_size(n),        log_scale.of_size(n), theta.of_size(n),
                opacity.of_size(n), tint.of_size(3 * n), extent.data()};
    }
};

// What the picture of a step is compared with.
struct OwnedGoal {
    ConstImage image;
    bool encoded;
    std::optional<std::uint32_t> noise_key;

    smalti::Goal view(const OwnedScene& scene, double scale) const {
        smalti::Goal goal = goal_of(scene, image, scale, encoded);
        goal.on_noise = noise_key.has_value(), goal.noise_key = noise_key.value_or(0);
        return goal;
    }
};

// A loss that is a sum of terms; factors in the order of `PixelFactors`.
struct OwnedTerms {
    std::array<double, 4> pixel;
    double alpha;
    std::optional<Plane<const float>> weights, target_alpha;
    std::optional<Planes<const float>> gradient;

    smalti::LossTerms view(const OwnedScene& scene) const {
        const std::size_t height = static_cast<std::size_t>(scene.view.height);
        const std::size_t width = static_cast<std::size_t>(scene.view.width);
        const auto fits = [&](const auto& plane, int axis) {
            return !plane || (plane->shape(axis) == height && plane->shape(axis + 1) == width);
        };
        require(fits(weights, 0) && fits(target_alpha, 0) && fits(gradient, 1), "the terms must have the goal's size");
        require(alpha == 0.0 || target_alpha, "the term alpha needs the target's");
        const double unit =
            1.0 / smalti::mean_weight(weights ? weights->data() : nullptr, static_cast<std::int64_t>(height * width));
        const auto factor = [&](double value) { return static_cast<float>(unit * value); };
        return {{factor(pixel[0]), factor(pixel[1]), factor(pixel[2]), factor(pixel[3])},
                factor(alpha),
                weights ? weights->data() : nullptr,
                target_alpha ? target_alpha->data() : nullptr,
                gradient ? gradient->data() : nullptr};
    }
};

void prepare(smalti::OptimiserWorkspace& work, const OwnedScene& scene, const OwnedSprites& sprites, int threads) {
    const smalti::SpriteParameters view = sprites.view(scene.sprites());
    nb::gil_scoped_release unlocked;
    smalti::prepare(scene.view, view, {sprites.pixel[0], sprites.pixel[1]}, sprites.alpha_max, threads, work);
}

void show(smalti::OptimiserWorkspace& work, const OwnedScene& scene, const OwnedGoal& goal, Planes<float> shown,
          Planes<float> expected, int threads) {
    const smalti::Goal view = goal.view(scene, 1.0);
    for (const auto* planes : {&shown, &expected})
        require(static_cast<int>(planes->shape(1)) == scene.view.height &&
                    static_cast<int>(planes->shape(2)) == scene.view.width,
                "the planes must have the scene's size");
    require(work.input.size() == scene.sprites(), "the step is not prepared");
    nb::gil_scoped_release unlocked;
    smalti::show(scene.view, threads, view, work.step, shown.data(), expected.data());
}

double optimise(smalti::OptimiserWorkspace& work, const OwnedScene& scene, const OwnedSprites& owned,
                const OwnedGoal& owned_goal, const OwnedTerms* owned_terms, double scale, AdamNumbers adam,
                BoundNumbers bounds, bool scale_in_pixels, std::optional<ConstAffine> penalty_affine,
                std::optional<ConstNumbers> penalty_opacity, std::optional<ConstNumbers> gates, int threads) {
    smalti::Goal goal = owned_goal.view(scene, scale);
    smalti::LossTerms terms{};
    if (owned_terms) terms = owned_terms->view(scene), goal.terms = &terms;
    const std::size_t n = scene.sprites();
    require(work.input.size() == n, "the step is not prepared");
    require(penalty_affine.has_value() == penalty_opacity.has_value() &&
                (!penalty_affine || (penalty_affine->shape(0) == n && penalty_opacity->shape(0) == n)),
            "one gradient of the penalty for each sprite");
    require(!gates || gates->shape(0) == n, "one gate for each sprite");
    smalti::PenaltyGradient penalty{};
    if (penalty_affine) penalty = {penalty_affine->data(), penalty_opacity->data()};
    const smalti::StepSettings settings{{adam[0], adam[1], adam[2], adam[3]},
                                        {bounds[0], bounds[1], bounds[2], bounds[3], bounds[4], bounds[5]},
                                        {owned.pixel[0], owned.pixel[1]},
                                        owned.alpha_max,
                                        penalty,
                                        gates ? gates->data() : nullptr,
                                        scale_in_pixels};
    const smalti::SpriteParameters sprites = owned.view(n);
    nb::gil_scoped_release unlocked;
    return smalti::optimise(scene.view, sprites, settings, threads, goal, work);
}

// Value of a loss between two pictures, and its gradient added to `gradient`.
template <class R>
double picture_loss(smalti::PictureLossWorkspace<R>& work, Planes<const R> rendered, Planes<const R> goal,
                    std::optional<Plane<const R>> weights, std::array<double, 4> pixel,
                    std::array<double, 3> neighbourhood, Planes<R> gradient, int threads) {
    const std::size_t height = rendered.shape(1), width = rendered.shape(2);
    require(height > 0 && width > 0, "the pictures are empty");
    require(goal.shape(1) == height && goal.shape(2) == width && gradient.shape(1) == height &&
                gradient.shape(2) == width && (!weights || (weights->shape(0) == height && weights->shape(1) == width)),
            "pictures, weights and gradient must have one size");
    const smalti::PictureView<R> pictures{static_cast<int>(height), static_cast<int>(width), rendered.data(),
                                          goal.data(), weights ? weights->data() : nullptr};
    const smalti::PixelFactors<double> of_pixels{pixel[0], pixel[1], pixel[2], pixel[3]};
    const smalti::NeighbourhoodFactors others{neighbourhood[0], neighbourhood[1], neighbourhood[2]};
    nb::gil_scoped_release unlocked;
    double value = 0.0;
    if (pixel != std::array<double, 4>{}) value += smalti::pixel_loss(pictures, of_pixels, gradient.data());
    return value + smalti::neighbourhood_loss(pictures, others, threads, gradient.data(), work);
}

template <class R>
void bind_picture_loss(nb::module_& m, const char* workspace) {
    nb::class_<smalti::PictureLossWorkspace<R>>(m, workspace, "Memory that is used again from picture to picture.")
        .def(nb::init<>());
    m.def("picture_loss", &picture_loss<R>, "workspace"_a, "rendered"_a, "goal"_a, "weights"_a.none(), "pixel"_a,
          "neighbourhood"_a, "gradient"_a, "threads"_a);
}

void bind_operations(nb::module_& m) {
    nb::class_<OwnedScene>(m, "Scene", "Sprites, their templates, and a canvas with its background.")
        .def(nb::init<std::optional<ConstAffine>, std::optional<ConstNumbers>, std::optional<ConstColours>, Indices,
                      Texels, Texels, Indices, Levels, Lumas, std::optional<ConstImage>, int, int, double, double,
                      double, double, int>(),
             "affine"_a.none(), "opacity"_a.none(), "tint"_a.none(), "templates"_a, "alpha_quads"_a, "texels"_a,
             "first_level"_a, "levels"_a, "luma"_a, "background"_a.none(), "height"_a, "width"_a, "mix"_a, "shade"_a,
             "lod_bias"_a, "stop"_a, "first_row"_a = 0)
        .def_prop_ro("sprites", [](const OwnedScene& s) { return s.view.sprites; });
    nb::class_<smalti::Plan>(m, "Plan", "Which sprites touch which tiles: what `backward` needs of the forward pass.");
    m.def("forward", &forward, "scene"_a, "image"_a, "threads"_a);
    m.def("pixel_weights", &pixel_weights, "scene"_a, "least"_a, "threads"_a);
    m.def("backward", &backward, "scene"_a, "plan"_a, "grad_image"_a, "grad_affine"_a, "grad_opacity"_a, "grad_tint"_a,
          "threads"_a);
    m.def("loss_and_gradients", &loss_and_gradients, "scene"_a, "goal"_a, "absolute"_a, "encoded"_a, "scale"_a,
          "grad_affine"_a, "grad_opacity"_a, "grad_tint"_a, "threads"_a);
    m.def("evaluate_candidates", &evaluate_candidates, "scene"_a, "goal"_a, "entries"_a.none(), "removal_errors"_a,
          "coefficients"_a, "threads"_a);
}

void bind_optimiser(nb::module_& m) {
    nb::class_<smalti::OptimiserWorkspace>(m, "Workspace", "Memory that is used again from step to step.")
        .def(nb::init<>());
    nb::class_<OwnedParameter>(m, "AdamParameter",
                               "One kind of parameter with Adam's moments and its learning rate; 0 freezes it.")
        .def(nb::init<Array<double, nb::ndim<1>>, Array<double, nb::ndim<1>>, Array<double, nb::ndim<1>>, double>(),
             "value"_a, "mean"_a, "square"_a, "learning_rate"_a);
    nb::class_<OwnedSprites>(m, "StepSprites", "The sprites of a step, and where they are drawn.")
        .def(nb::init<OwnedParameters, Extents, PixelNumbers, double>(), "parameters"_a, "extent"_a, "pixel"_a,
             "alpha_max"_a);
    nb::class_<OwnedGoal>(m, "StepGoal", "What the picture of a step is compared with.")
        .def(nb::init<ConstImage, bool, std::optional<std::uint32_t>>(), "image"_a, "encoded"_a, "noise_key"_a.none());
    nb::class_<OwnedTerms>(m, "StepTerms", "A loss that is a sum of terms.")
        .def(nb::init<std::array<double, 4>, double, std::optional<Plane<const float>>,
                      std::optional<Plane<const float>>, std::optional<Planes<const float>>>(),
             "pixel"_a, "alpha"_a, "weights"_a.none(), "target_alpha"_a.none(), "gradient"_a.none());
    m.def("prepare", &prepare, "workspace"_a, "scene"_a, "sprites"_a, "threads"_a);
    m.def("show", &show, "workspace"_a, "scene"_a, "goal"_a, "shown"_a, "expected"_a, "threads"_a);
    m.def("optimise", &optimise, "workspace"_a, "scene"_a, "sprites"_a, "goal"_a, "terms"_a.none(), "scale"_a, "adam"_a,
          "bounds"_a, "scale_in_pixels"_a, "penalty_affine"_a.none(), "penalty_opacity"_a.none(), "gates"_a.none(),
          "threads"_a);
    bind_picture_loss<float>(m, "LossWorkspace");
    bind_picture_loss<double>(m, "DoubleLossWorkspace");
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "The CPU back end's kernels; use smalti.engine.raster.";
    // A graph of torch's that is still there when Python ends holds scenes: no leak.
    nb::set_leak_warnings(false);
    m.def("instruction_set", &smalti::instruction_set);
    bind_operations(m);
    bind_optimiser(m);
}
