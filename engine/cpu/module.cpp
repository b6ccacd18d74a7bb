// SPDX-License-Identifier: GPL-3.0-or-later
// Python's view of the CPU back end. Shapes are checked here; smalti.engine.cpu gives the arrays their meaning.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <memory>
#include <optional>
#include <stdexcept>

#include "composite.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

template <class T, class Shape>
using Array = nb::ndarray<T, Shape, nb::c_contig, nb::device::cpu>;
using Image = Array<float, nb::shape<-1, -1, 4>>;
using ConstImage = Array<const float, nb::shape<-1, -1, 4>>;

static_assert(sizeof(smalti::Level) == 3 * sizeof(std::int32_t), "levels are passed as an array of int32 triples");

// Keeps the arrays alive for as long as a plan refers to them.
struct Inputs {
    Array<const double, nb::shape<-1, 6>> affine;
    Array<const double, nb::shape<-1>> opacity;
    Array<const double, nb::shape<-1, 3>> tint;
    Array<const std::int32_t, nb::shape<-1>> templates;
    Array<const std::uint64_t, nb::shape<-1>> alpha_quads;
    Array<const std::uint64_t, nb::shape<-1>> texels;
    Array<const std::int32_t, nb::shape<-1>> first_level;
    Array<const std::int32_t, nb::shape<-1, 3>> levels;
    std::optional<ConstImage> background;
};

struct Drawing {
    Inputs inputs;
    smalti::Scene scene;
    smalti::Plan plan;
};

void require(bool good, const char* message) {
    if (!good) throw std::invalid_argument(message);
}

Drawing* forward(Inputs in, Image image, double mix, double lod_bias, double stop, int threads) {
    const std::size_t n = in.affine.shape(0), templates = in.first_level.shape(0) - 1;
    require(in.opacity.shape(0) == n && in.tint.shape(0) == n && in.templates.shape(0) == n,
            "affine, opacity, tint and template must have one entry for each sprite");
    require(in.alpha_quads.shape(0) == in.texels.shape(0), "alpha_quads and texels must have one entry for each texel");
    require(image.shape(0) > 0 && image.shape(1) > 0, "the image is empty");
    require(!in.background ||
                (in.background->shape(0) == image.shape(0) && in.background->shape(1) == image.shape(1)),
            "the background must have the image's size");
    for (std::size_t k = 0; k < n; ++k)
        require(in.templates.data()[k] >= 0 && static_cast<std::size_t>(in.templates.data()[k]) < templates,
                "a sprite refers to a template that does not exist");

    auto drawing = std::make_unique<Drawing>(Drawing{std::move(in), {}, {}});
    const Inputs& kept = drawing->inputs;
    smalti::Scene& s = drawing->scene;
    s.sprites = static_cast<std::int64_t>(n);
    s.affine = kept.affine.data(), s.opacity = kept.opacity.data(), s.tint = kept.tint.data();
    s.templates = kept.templates.data(), s.alpha_quads = kept.alpha_quads.data(), s.texels = kept.texels.data();
    s.first_level = kept.first_level.data();
    s.levels = reinterpret_cast<const smalti::Level*>(kept.levels.data());
    s.height = static_cast<int>(image.shape(0)), s.width = static_cast<int>(image.shape(1));
    s.background = kept.background ? kept.background->data() : nullptr;
    s.mix = static_cast<float>(mix), s.lod_bias = lod_bias, s.stop = static_cast<float>(stop);
    {
        nb::gil_scoped_release unlocked;
        drawing->plan = smalti::forward(s, threads, image.data());
    }
    return drawing.release();
}

void backward(const Drawing& drawing, ConstImage grad_image, Array<double, nb::shape<-1, 6>> grad_affine,
              Array<double, nb::shape<-1>> grad_opacity, Array<double, nb::shape<-1, 3>> grad_tint, int threads) {
    const smalti::Scene& s = drawing.scene;
    require(static_cast<int>(grad_image.shape(0)) == s.height && static_cast<int>(grad_image.shape(1)) == s.width,
            "the gradient must have the image's size");
    const std::size_t n = static_cast<std::size_t>(s.sprites);
    require(grad_affine.shape(0) == n && grad_opacity.shape(0) == n && grad_tint.shape(0) == n,
            "the gradients must have one entry for each sprite");
    nb::gil_scoped_release unlocked;
    smalti::backward(s, drawing.plan, threads, grad_image.data(),
                     {grad_affine.data(), grad_opacity.data(), grad_tint.data()});
}

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "The CPU back end's kernels; use smalti.engine.raster.composite.";
    m.def("instruction_set", &smalti::instruction_set);
    nb::class_<Drawing>(m, "Drawing", "A finished forward pass: what the backward pass needs of it.")
        .def_prop_ro("sprites", [](const Drawing& d) { return d.scene.sprites; });
    m.def(
        "forward",
        [](Array<const double, nb::shape<-1, 6>> affine, Array<const double, nb::shape<-1>> opacity,
           Array<const double, nb::shape<-1, 3>> tint, Array<const std::int32_t, nb::shape<-1>> templates,
           Array<const std::uint64_t, nb::shape<-1>> alpha_quads, Array<const std::uint64_t, nb::shape<-1>> texels,
           Array<const std::int32_t, nb::shape<-1>> first_level, Array<const std::int32_t, nb::shape<-1, 3>> levels,
           std::optional<ConstImage> background, Image image, double mix, double lod_bias, double stop, int threads) {
            return forward(Inputs{affine, opacity, tint, templates, alpha_quads, texels, first_level, levels, background},
                           image, mix, lod_bias, stop, threads);
        },
        "affine"_a, "opacity"_a, "tint"_a, "templates"_a, "alpha_quads"_a, "texels"_a, "first_level"_a, "levels"_a,
        "background"_a.none(), "image"_a, "mix"_a, "lod_bias"_a, "stop"_a, "threads"_a,
        nb::rv_policy::take_ownership);
    m.def("backward", &backward, "drawing"_a, "grad_image"_a, "grad_affine"_a, "grad_opacity"_a, "grad_tint"_a,
          "threads"_a);
}
