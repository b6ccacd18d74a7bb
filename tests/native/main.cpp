// SPDX-License-Identifier: GPL-3.0-or-later
// What the CPU kernels promise, checked where the sanitizers can see every read and write. Exit status 0 if all holds.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "checks.h"
#include "composite.h"
#include "pool.h"
#include "scenes.h"
#include "tiles.h"

int failures = 0;

void expect(bool good, const std::string& what) {
    if (good) return;
    ++failures;
    std::printf("FAILED: %s\n", what.c_str());
}

namespace {

struct Result {
    std::vector<float> image;
    std::vector<double> affine, opacity, tint;
};

// Of each four sprites one is drawn, and the others are candidates to replace it: in place, on top and at the bottom.
std::vector<smalti::StackEntry> entries_of(std::int64_t sprites) {
    std::vector<smalti::StackEntry> entries(static_cast<std::size_t>(sprites));
    for (std::int64_t k = 0; k < sprites; ++k) {
        entries[k].role = static_cast<smalti::Role>(k % 4);
        entries[k].replaces = k % 4 ? static_cast<std::int32_t>(k - k % 4) : -1;
    }
    return entries;
}

// Removal errors of all sprites, then removal errors and coefficients with candidates; the scene's gradient serves as
// the goal.
std::vector<double> evaluated(const OwnedScene& scene, int threads) {
    const std::size_t n = static_cast<std::size_t>(scene.sprites());
    std::vector<double> all(n * (2 + smalti::kCoefficients));
    const float* const goal = scene.grad_image.data();
    smalti::evaluate_candidates(scene.view(), threads, goal, nullptr, all.data(), nullptr);
    smalti::evaluate_candidates(scene.view(), threads, goal, entries_of(scene.sprites()).data(), all.data() + n,
                                all.data() + 2 * n);
    return all;
}

Result run(const OwnedScene& owned, int threads) {
    const smalti::Scene scene = owned.view();
    const std::size_t n = static_cast<std::size_t>(owned.sprites());
    Result r;
    r.image.resize(owned.grad_image.size());
    r.affine.resize(6 * n), r.opacity.resize(n), r.tint.resize(3 * n);
    const smalti::Plan plan = smalti::forward(scene, threads, r.image.data());
    smalti::backward(scene, plan, threads, owned.grad_image.data(), {r.affine.data(), r.opacity.data(), r.tint.data()});
    return r;
}

bool same_result(const Result& a, const Result& b) {
    return same_bits(a.image, b.image) && same_bits(a.affine, b.affine) && same_bits(a.opacity, b.opacity) &&
           same_bits(a.tint, b.tint);
}

void results_are_finite(const OwnedScene& scene) {
    const Result r = run(scene, 1);
    expect(all_finite(r.image), scene.name + ": the image is finite");
    expect(all_finite(r.affine) && all_finite(r.opacity) && all_finite(r.tint), scene.name + ": gradients are finite");
    expect(all_finite(evaluated(scene, 1)), scene.name + ": removal errors and coefficients are finite");
}

// The pass that does all at once must say what drawing, comparing and differentiating one after another says.
void step_equals_its_parts(const OwnedScene& scene) {
    const Result parts = run(scene, 1);
    for (const bool absolute : {false, true}) {
        OwnedScene compared = scene;
        double loss = 0;
        for (std::size_t i = 0; i < parts.image.size(); ++i) {
            const float difference = parts.image[i] - scene.grad_image[i];
            loss += absolute ? std::fabs(difference) : difference * difference;
            compared.grad_image[i] = absolute ? (difference > 0) - (difference < 0) : 2 * difference;
        }
        const Result expected = run(compared, 1);
        Result found = expected;
        const smalti::Gradients to{found.affine.data(), found.opacity.data(), found.tint.data()};
        smalti::Goal goal;
        goal.image = scene.grad_image.data(), goal.absolute = absolute;
        const double total = smalti::step(scene.view(), 3, goal, to);
        expect(std::fabs(total - loss) <= 1e-5 * std::fabs(loss) + 1e-9, scene.name + ": the loss of a whole step");
        const auto close = [](const std::vector<double>& a, const std::vector<double>& b) {
            double difference = 0, size = 0;
            for (std::size_t i = 0; i < a.size(); ++i) difference += std::fabs(a[i] - b[i]), size += std::fabs(b[i]);
            return difference <= 1e-3 * size + 1e-9;
        };
        expect(close(found.affine, expected.affine) && close(found.opacity, expected.opacity) &&
                   close(found.tint, expected.tint),
               scene.name + ": the gradients of a whole step");
    }
}

void threads_change_nothing(const OwnedScene& scene) {
    const Result one = run(scene, 1);
    const std::vector<double> errors = evaluated(scene, 1);
    for (const int threads : {2, 3, 8})
        expect(same_result(one, run(scene, threads)) && same_bits(errors, evaluated(scene, threads)),
               scene.name + ": " + std::to_string(threads) + " threads give the same bits as one");
}

void texels_outside_a_level_change_nothing(OwnedScene scene) {
    const Result before = run(scene, 1);
    scene.fill_gaps(65535);
    expect(same_result(before, run(scene, 1)), scene.name + ": texels outside the levels change nothing");
}

// A sprite that cannot be drawn must not change the picture or the other sprites' gradients, and gets gradient 0.
void broken_sprites_are_left_out(const OwnedScene& scene) {
    OwnedScene rest = scene;
    rest.affine.clear(), rest.opacity.clear(), rest.tint.clear(), rest.templates.clear();
    const Result with = run(scene, 1);
    Result expected;
    for (std::int64_t k = 0; k < scene.sprites(); ++k) {
        const double* m = &scene.affine[6 * k];
        const double* c = &scene.tint[3 * k];
        bool good = std::isfinite(scene.opacity[k]) && std::isfinite(1 / (m[0] * m[4] - m[1] * m[3]));
        for (int i = 0; i < 6; ++i) good = good && std::isfinite(m[i]);
        for (int i = 0; i < 3; ++i) good = good && std::isfinite(c[i]);
        if (good) {
            rest.affine.insert(rest.affine.end(), m, m + 6), rest.opacity.push_back(scene.opacity[k]);
            rest.tint.insert(rest.tint.end(), c, c + 3), rest.templates.push_back(scene.templates[k]);
            expected.affine.insert(expected.affine.end(), &with.affine[6 * k], &with.affine[6 * k] + 6);
            expected.opacity.push_back(with.opacity[k]);
            expected.tint.insert(expected.tint.end(), &with.tint[3 * k], &with.tint[3 * k] + 3);
        } else {
            double sum = std::fabs(with.opacity[k]);
            for (int i = 0; i < 6; ++i) sum += std::fabs(with.affine[6 * k + i]);
            for (int i = 0; i < 3; ++i) sum += std::fabs(with.tint[3 * k + i]);
            expect(sum == 0, scene.name + ": sprite " + std::to_string(k) + " cannot be drawn and has gradient 0");
        }
    }
    expected.image = with.image;
    expect(same_result(expected, run(rest, 1)), scene.name + ": the picture is that without the broken sprites");
}

std::vector<smalti::TileKernels> instruction_sets() {
    std::vector<smalti::TileKernels> found = {smalti::baseline_kernels()};
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(smalti::avx2_kernels());
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        found.push_back(smalti::avx512_kernels());
#endif
    return found;
}

// What one pair of sprite and tile gets from all kernels.
struct PairResults {
    smalti::PairGradient backward, step;
    float removal;
    smalti::Coefficients<float> coefficients;
};
constexpr int kNumbers = sizeof(PairResults) / sizeof(float);

struct Drawn {
    std::vector<float> image;
    std::vector<float> numbers;  // [pairs, kNumbers]
};

Drawn draw_with(const smalti::TileKernels& kernels, const OwnedScene& owned) {
    const smalti::Scene scene = owned.view();
    smalti::Plan plan;
    smalti::make_plan(scene, 1, plan);
    const std::size_t count = plan.pair_tile.size();
    std::vector<smalti::PairGradient> backward(count), step(count);
    std::vector<float> removal(count), unused(count);
    std::vector<smalti::Coefficients<float>> coefficients(count);
    const std::vector<smalti::StackEntry> entries = entries_of(owned.sprites());
    smalti::Scratch scratch;
    Drawn drawn;
    drawn.image.resize(owned.grad_image.size());
    for (int tile = 0; tile < plan.tiles(); ++tile) {
        kernels.forward(scene, plan, tile, drawn.image.data());
        kernels.backward(scene, plan, tile, owned.grad_image.data(), backward.data(), scratch);
        smalti::Goal goal;
        goal.image = owned.grad_image.data();
        kernels.step(scene, plan, tile, goal, step.data(), scratch);
        const float* const image = owned.grad_image.data();
        kernels.candidates(scene, plan, tile, image, entries.data(), unused.data(), coefficients.data(), scratch);
        kernels.candidates(scene, plan, tile, image, nullptr, removal.data(), nullptr, scratch);
    }
    drawn.numbers.resize(count * kNumbers);
    for (std::size_t p = 0; p < count; ++p) {
        const PairResults results{backward[p], step[p], removal[p], coefficients[p]};
        std::memcpy(&drawn.numbers[p * kNumbers], &results, sizeof results);
    }
    return drawn;
}

// Rounding differs: one set fuses a multiplication with an addition, another does not. A pixel on the border between
// two texels may then take the slope of the one or the other, so these numbers are compared on the whole and not one by
// one.
void instruction_sets_agree(const OwnedScene& scene) {
    const std::vector<smalti::TileKernels> sets = instruction_sets();
    const Drawn first = draw_with(sets[0], scene);
    for (std::size_t i = 1; i < sets.size(); ++i) {
        const std::string what = scene.name + ": " + sets[i].name + " agrees with " + sets[0].name;
        const Drawn other = draw_with(sets[i], scene);
        float most = 0;
        for (std::size_t p = 0; p < first.image.size(); ++p)
            most = std::max(most, std::fabs(first.image[p] - other.image[p]));
        // Where a pixel stops is a decision that rounding may change.
        expect(most <= 2e-5f + scene.stop, what + " (image, " + std::to_string(most) + ")");
        for (int number = 0; number < kNumbers; ++number) {
            double difference = 0, size = 0;
            for (std::size_t p = number; p < first.numbers.size(); p += kNumbers) {
                difference += std::fabs(static_cast<double>(first.numbers[p]) - other.numbers[p]);
                size += std::fabs(first.numbers[p]);
            }
            const std::string found = std::to_string(difference) + " of " + std::to_string(size);
            expect(difference <= 1e-2 * size + 1e-6, what + " (number " + std::to_string(number) + ", " + found + ")");
        }
    }
}

void callers_on_several_threads_do_not_disturb_each_other() {
    const std::vector<OwnedScene> scenes = make_scenes();
    std::vector<std::thread> callers;
    std::vector<Result> results(4);
    for (int i = 0; i < 4; ++i) callers.emplace_back([&, i] { results[i] = run(scenes[i], 1 + i); });
    for (std::thread& caller : callers) caller.join();
    for (int i = 0; i < 4; ++i) expect(same_result(results[i], run(scenes[i], 1)), "several callers at once");
}

void a_fault_in_a_loop_reaches_the_caller() {
    std::atomic<int> calls{0};
    bool caught = false;
    try {
        smalti::parallel_for(1000, 4, [&](std::int64_t i, int) {
            ++calls;
            if (i == 7) throw std::runtime_error("seven");
        });
    } catch (const std::runtime_error& fault) {
        caught = std::string(fault.what()) == "seven";
    }
    expect(caught && calls >= 1, "an exception inside a parallel loop reaches the caller");
    calls = 0;
    smalti::parallel_for(1000, 4, [&](std::int64_t, int) { ++calls; });
    expect(calls == 1000, "the loop after a fault runs in full");
}

void print_instruction_sets() {
    std::printf("instruction sets:");
    for (const smalti::TileKernels& set : instruction_sets()) std::printf(" %s", set.name);
    std::printf("\n");
}

void on_all_scenes(void (*check)(const OwnedScene&)) {
    for (const OwnedScene& scene : make_scenes()) check(scene);
}

struct Case {
    const char* name;
    std::function<void()> run;
};

// The names are those of cases.txt, by which CTest and test_native.py ask for them.
const std::vector<Case> cases = {
    {"results_are_finite", [] { on_all_scenes(results_are_finite); }},
    {"step_equals_its_parts", [] { on_all_scenes(step_equals_its_parts); }},
    {"steps_are_finite_and_the_same_on_any_threads",
     [] { on_all_scenes(steps_are_finite_and_the_same_on_any_threads); }},
    {"threads_change_nothing", [] { on_all_scenes(threads_change_nothing); }},
    {"texels_outside_a_level_change_nothing",
     [] {
         for (const OwnedScene& scene : make_scenes()) texels_outside_a_level_change_nothing(scene);
     }},
    {"broken_sprites_are_left_out", [] { on_all_scenes(broken_sprites_are_left_out); }},
    {"instruction_sets_agree",
     [] {
         print_instruction_sets();
         on_all_scenes(instruction_sets_agree);
     }},
    {"callers_on_several_threads_do_not_disturb_each_other", callers_on_several_threads_do_not_disturb_each_other},
    {"a_step_allocates_nothing", a_step_allocates_nothing},
    {"losses_are_finite_and_the_same_on_any_threads", losses_are_finite_and_the_same_on_any_threads},
    {"a_fault_in_a_loop_reaches_the_caller", a_fault_in_a_loop_reaches_the_caller},
};

}  // namespace

// Without an argument: the names of all cases, one in a line. With one: runs that case, 0 where its checks hold.
int main(int count, char** arguments) {
    if (count == 1) {
        for (const Case& each : cases) std::printf("%s\n", each.name);
        return 0;
    }
    for (const Case& each : cases) {
        if (std::string(arguments[1]) != each.name) continue;
        each.run();
        std::printf(failures ? "%d checks failed\n" : "all checks hold\n", failures);
        return failures ? 1 : 0;
    }
    std::printf("there is no case %s\n", arguments[1]);
    return 2;
}
