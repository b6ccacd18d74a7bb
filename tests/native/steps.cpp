// SPDX-License-Identifier: GPL-3.0-or-later
// What a whole step of the optimiser promises.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <random>

#include "checks.h"
#include "optimise.h"
#include "picture_loss.h"

// Counts what is allocated, to see that a step allocates nothing.
std::atomic<std::int64_t> allocations{0};

// Not inlined: the compiler would take its malloc for a mismatch of the other's free.
__attribute__((noinline)) void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size ? size : 1)) return memory;
    throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

// Parameters of a scene's size, and the step that moves them.
struct Fit {
    std::vector<double> value[6], mean[6], square[6], extent, gates;
    smalti::OptimiserWorkspace work;
    bool with_terms = false;
    std::vector<float> shown, expected, gradient, plane;

    explicit Fit(const OwnedScene& scene) {
        const std::size_t n = static_cast<std::size_t>(scene.sprites());
        std::mt19937_64 random(5);
        const auto among = [&](double low, double high) {
            return std::uniform_real_distribution<double>(low, high)(random);
        };
        for (int i = 0; i < 6; ++i) {
            value[i].resize(i == 5 ? 3 * n : n);
            mean[i].assign(value[i].size(), 0.0), square[i].assign(value[i].size(), 0.0);
            for (double& v : value[i])
                v = i == 0   ? among(0, scene.width)
                    : i == 1 ? among(0, scene.height)
                    : i == 2 ? among(0, 3)
                             : among(-2, 2);
        }
        extent.assign(2 * n, 1.0);
        gates.assign(n, 0.0);
        for (std::size_t k = 0; k < gates.size(); k += 3) gates[k] = 0.7;
    }

    // Terms of every kind: of pixels, of neighborhoods, of alpha, with weights.
    smalti::LossTerms terms_of(const OwnedScene& scene, const smalti::Scene& view, const smalti::Goal& goal,
                               int threads) {
        const std::size_t pixels = static_cast<std::size_t>(scene.width) * scene.height;
        shown.resize(3 * pixels), expected.resize(3 * pixels), gradient.assign(3 * pixels, 0.0f);
        plane.assign(pixels, 0.5f);
        smalti::show(view, threads, goal, work.step, shown.data(), expected.data());
        smalti::PictureLossWorkspace<float> own;
        const smalti::PictureView<float> pictures{scene.height, scene.width, shown.data(), expected.data(),
                                                  plane.data()};
        smalti::neighbourhood_loss(pictures, {1.0, 1.0, 1.0}, threads, gradient.data(), own);
        return {{0.1f, 0.1f, 0.1f, 0.1f}, 0.1f, plane.data(), plane.data(), gradient.data()};
    }

    double step(const OwnedScene& scene, int number, int threads) {
        const auto parameter = [&](int i) {
            return smalti::AdamParameter{value[i].data(), mean[i].data(), square[i].data(), i == 3 ? 0.0 : 0.05};
        };
        const smalti::SpriteParameters sprites{parameter(0), parameter(1), parameter(2), parameter(3),
                                               parameter(4), parameter(5), extent.data()};
        const double first = 1 - std::pow(0.8, number), second = 1 - std::pow(0.95, number);
        const smalti::StepSettings settings{{0.8, 0.95, first, second},
                                            {-1, 4, 6, 1.0 * scene.width, 1.0 * scene.height, -6},
                                            {1, 1},
                                            1,
                                            {},
                                            with_terms ? gates.data() : nullptr,
                                            false};
        smalti::Goal goal;
        goal.image = scene.grad_image.data();
        const smalti::Scene view = scene.view();
        smalti::prepare(view, sprites, settings.pixel, settings.alpha_max, threads, work);
        smalti::LossTerms terms{};
        if (with_terms) terms = terms_of(scene, view, goal, threads), goal.terms = &terms;
        return smalti::optimise(view, sprites, settings, threads, goal, work);
    }
};

}  // namespace

void steps_are_finite_and_the_same_on_any_threads(const OwnedScene& scene) {
    Fit one(scene), many(scene);
    for (int i = 1; i <= 3; ++i) {
        one.with_terms = many.with_terms = i > 1;
        const double loss = one.step(scene, i, 1);
        expect(std::isfinite(loss) && loss == many.step(scene, i, 3), scene.name + ": the loss of a step");
    }
    for (int i = 0; i < 6; ++i)
        expect(all_finite(one.value[i]) && same_bits(one.value[i], many.value[i]),
               scene.name + ": parameters after steps");
    const Fit start(scene);
    expect(same_bits(one.value[3], start.value[3]), scene.name + ": a frozen parameter stays");
}

void a_step_allocates_nothing() {
    for (const OwnedScene& scene : make_scenes()) {
        Fit fit(scene);
        const std::vector<std::vector<double>> before(fit.value, fit.value + 6);
        const auto step = [&] {
            for (int i = 0; i < 6; ++i) std::copy(before[i].begin(), before[i].end(), fit.value[i].begin());
            const std::int64_t count = allocations;
            fit.step(scene, 1, 2);
            return allocations - count;
        };
        step();
        step();
        const std::int64_t count = step();
        expect(count == 0, scene.name + ": a step allocates nothing");
    }
}
