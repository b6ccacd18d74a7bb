// SPDX-License-Identifier: GPL-3.0-or-later
// Runs the kernels of engine/cuda on the host, see shim.h.
//
// Under ThreadSanitizer each thread of a block is one of its fibres, and only what orders threads on a GPU orders them
// here: __syncthreads within a block, and one launch, or one block, after another. Shuffles and votes order nothing. Races
// between the blocks of one launch are not looked for.
#include "shim.h"

#include "kernels.h"

#include "../../engine/cuda/smalti.cu"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <ucontext.h>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#else
#include <csetjmp>
#endif

Index threadIdx, blockIdx, blockDim, gridDim;

namespace shim {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr std::size_t kStack = 256 * 1024;
#else
constexpr std::size_t kStack = 64 * 1024;
#endif
constexpr int kLanes = 32;

struct Fibre {
    ucontext_t context{};
#if defined(__SANITIZE_THREAD__)
    void* watched = __tsan_create_fiber(0);
#else
    std::jmp_buf here{};
#endif
    std::unique_ptr<char[]> stack{new char[kStack]};
    bool begun = false, left = false;
    Operation waits = Operation::none;
    bool predicate = false;
    unsigned mask = 0;
    std::uint64_t value = 0;
};

struct Warp {
    std::uint64_t values[kLanes];
    std::uint64_t votes;  // a bit for each lane that came with not 0
};

std::vector<Fibre> all_fibres;  // of the largest block so far: ThreadSanitizer makes a limited number of them
std::size_t threads = 0;        // of the present block
std::vector<Warp> warps;
ucontext_t scheduler_context;
int current = 0, block_count = 0;
void (*body)(void**) = nullptr;
void** body_arguments = nullptr;
std::mt19937 order_of_fibres;

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "block (%u, %u), thread %d: %s\n", blockIdx.x, blockIdx.y, current, what);
    std::abort();
}

// The threads of the present block.
struct Block {
    Fibre* begin() const { return all_fibres.data(); }
    Fibre* end() const { return all_fibres.data() + threads; }
    Fibre& operator[](int i) const { return all_fibres[i]; }
    std::size_t size() const { return threads; }
} const fibres;

#if defined(__SANITIZE_THREAD__)
void* scheduler = nullptr;
char block_tag, grid_tag;  // what barriers, and the ends and starts of blocks, release and acquire

void wait() {
    __tsan_switch_to_fiber(scheduler, __tsan_switch_to_fiber_no_sync);
    swapcontext(&fibres[current].context, &scheduler_context);
}

void enter() {
    __tsan_acquire(&grid_tag);
    body(body_arguments);
    __tsan_release(&grid_tag);
    fibres[current].left = true;
    wait();
}

void go_on(int thread) {
    current = thread;
    threadIdx = {static_cast<unsigned>(thread), 0, 0};
    scheduler = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fibres[thread].watched, __tsan_switch_to_fiber_no_sync);
    swapcontext(&scheduler_context, &fibres[thread].context);
}
#else
std::jmp_buf scheduler;

void enter() {
    body(body_arguments);
    fibres[current].left = true;
    std::longjmp(scheduler, 1);
}

// Back to the scheduler; returns when this fibre may go on.
// Not inlined, so that no variable of a caller lives over a setjmp.
__attribute__((noinline)) void wait() {
    if (!setjmp(fibres[current].here)) std::longjmp(scheduler, 1);
}

__attribute__((noinline)) void go_on(int thread) {
    current = thread;
    threadIdx = {static_cast<unsigned>(thread), 0, 0};
    Fibre& fibre = fibres[thread];
    if (setjmp(scheduler)) return;
    if (fibre.begun) std::longjmp(fibre.here, 1);
    fibre.begun = true;
    swapcontext(&scheduler_context, &fibre.context);
}
#endif

bool at_barrier(const Fibre& f) { return f.waits == Operation::barrier || f.waits == Operation::count; }

// Lets a warp go on if all of its lanes wait for each other.
bool release_warp(int warp) {
    const int first = warp * kLanes, last = std::min(first + kLanes, static_cast<int>(fibres.size()));
    int waiting = 0;
    for (int i = first; i < last; ++i) {
        const Fibre& f = fibres[i];
        if (f.left || f.waits == Operation::none || at_barrier(f)) continue;
        ++waiting;
        current = i;
        if (f.mask != 0xffffffffu) fail("only whole warps are known here");
    }
    if (waiting == 0) return false;
    for (int i = first; i < last; ++i) {
        current = i;
        if (fibres[i].left) fail("has left, but its warp asks for it");
        if (at_barrier(fibres[i])) fail("waits at a barrier, and others of its warp at a shuffle");
        if (fibres[i].waits == Operation::none) return false;
        if (fibres[i].waits != fibres[first].waits) fail("is at another operation than its warp");
    }
    warps[warp].votes = 0;
    for (int i = first; i < last; ++i) {
        warps[warp].values[i - first] = fibres[i].value;
        warps[warp].votes |= std::uint64_t{fibres[i].value != 0} << (i - first);
        fibres[i].waits = Operation::none;
    }
    return true;
}

bool release_block() {
    int arrived = 0, count = 0, alive = 0;
    for (const Fibre& f : fibres) {
        alive += !f.left;
        arrived += !f.left && at_barrier(f);
        count += f.predicate && at_barrier(f);
    }
    if (arrived == 0 || arrived < alive) return false;
    if (alive < static_cast<int>(fibres.size())) fail("a thread has left before a barrier that others reach");
    for (Fibre& f : fibres) {
        if (f.waits != fibres[0].waits) fail("threads wait at different barriers");
    }
    block_count = count;
    for (Fibre& f : fibres) f.waits = Operation::none, f.predicate = false;
    return true;
}

__attribute__((noinline)) void prepare(Fibre& f) {
    f.begun = f.left = f.predicate = false;
    f.waits = Operation::none;
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.get(), f.context.uc_stack.ss_size = kStack;
    f.context.uc_link = nullptr;
    makecontext(&f.context, enter, 0);
}

void run_block() {
    for (Fibre& f : fibres) prepare(f);
    std::vector<int> order(threads);
    for (std::size_t i = 0; i < threads; ++i) order[i] = static_cast<int>(i);
    const int warp_count = static_cast<int>(warps.size());
    for (;;) {
        // Each warp in an order of its own, and by itself while it can: as far as it gets without the others.
        std::shuffle(order.begin(), order.end(), order_of_fibres);
        bool all_left = true, moved = false;
        for (const int i : order) {
            if (fibres[i].left) continue;
            all_left = false;
            if (fibres[i].waits != Operation::none) continue;
            go_on(i);
            moved = true;
        }
        if (all_left) return;
        bool released = false;
        for (int warp = 0; warp < warp_count; ++warp) released |= release_warp(warp);
        released |= release_block();
        if (!moved && !released) fail("the block hangs: not all threads reach the same point");
    }
}

template <class... Arguments, std::size_t... index>
void call(void (*kernel)(Arguments...), void** arguments, std::index_sequence<index...>) {
    kernel(*static_cast<Arguments*>(arguments[index])...);
}

template <class... Arguments>
void call(void (*kernel)(Arguments...), void** arguments) {
    call(kernel, arguments, std::index_sequence_for<Arguments...>{});
}

template <class... Arguments>
std::vector<std::size_t> sizes_of(void (*)(Arguments...)) {
    return {sizeof(Arguments)...};
}

struct Kernel {
    const char* name;
    std::vector<std::size_t> parameters;
    void (*body)(void**);
};

#define SHIM_KERNEL(name) {#name, sizes_of(&::name), [](void** arguments) { call(&::name, arguments); }}

const Kernel kernels[] = {
    SHIM_KERNEL(project_maps),        SHIM_KERNEL(place_parameters),    SHIM_KERNEL(count_pairs),
    SHIM_KERNEL(scan_pairs),          SHIM_KERNEL(list_pairs),          SHIM_KERNEL(order_pairs),
    SHIM_KERNEL(draw_tint),           SHIM_KERNEL(draw_mixed),          SHIM_KERNEL(differentiate_tint),
    SHIM_KERNEL(differentiate_mixed), SHIM_KERNEL(step_tint),           SHIM_KERNEL(step_mixed),
    SHIM_KERNEL(removal_tint),        SHIM_KERNEL(removal_mixed),       SHIM_KERNEL(reduce_gradients),
    SHIM_KERNEL(candidates_tint),     SHIM_KERNEL(candidates_mixed),    SHIM_KERNEL(reduce_candidates),
    SHIM_KERNEL(reduce_removal),      SHIM_KERNEL(update_parameters),   SHIM_KERNEL(sum_losses),
    SHIM_KERNEL(compare_tint),        SHIM_KERNEL(compare_mixed),       SHIM_KERNEL(show_tint),
    SHIM_KERNEL(show_mixed),          SHIM_KERNEL(step_terms_tint),     SHIM_KERNEL(step_terms_mixed),
    SHIM_KERNEL(halve_planes),        SHIM_KERNEL(measure_ssim),        SHIM_KERNEL(combine_scales),
    SHIM_KERNEL(differentiate_ssim),  SHIM_KERNEL(differentiate_edges), SHIM_KERNEL(gather_gradients),
    SHIM_KERNEL(draw_shaded),         SHIM_KERNEL(show_shaded),         SHIM_KERNEL(differentiate_shaded),
    SHIM_KERNEL(compare_shaded),      SHIM_KERNEL(step_shaded),         SHIM_KERNEL(step_terms_shaded),
    SHIM_KERNEL(removal_shaded),      SHIM_KERNEL(candidates_shaded),
};

const Kernel* kernel_of(const char* name) {
    for (const Kernel& kernel : kernels)
        if (std::strcmp(kernel.name, name) == 0) return &kernel;
    return nullptr;
}

}  // namespace

int lane() { return current % kLanes; }

int wait_for_block(Operation operation, bool predicate) {
    fibres[current].waits = operation, fibres[current].predicate = predicate;
#if defined(__SANITIZE_THREAD__)
    __tsan_release(&block_tag);
    wait();
    __tsan_acquire(&block_tag);
#else
    wait();
#endif
    return block_count;
}

std::uint64_t wait_for_warp(Operation operation, unsigned mask, std::uint64_t value, int source) {
    Fibre& f = fibres[current];
    f.waits = operation, f.mask = mask, f.value = value;
    wait();
    const Warp& warp = warps[current / kLanes];
    return operation == Operation::vote ? warp.votes : warp.values[source];
}

std::vector<std::string> kernel_names() {
    std::vector<std::string> names;
    for (const Kernel& kernel : kernels) names.push_back(kernel.name);
    return names;
}

const std::vector<std::size_t>* parameters_of(const char* name) {
    const Kernel* const kernel = kernel_of(name);
    return kernel == nullptr ? nullptr : &kernel->parameters;
}

void run(const char* name, unsigned grid, unsigned block, void** arguments, unsigned seed) {
    gridDim = {grid, 1, 1}, blockDim = {block, 1, 1};
    order_of_fibres.seed(seed);
    body = kernel_of(name)->body, body_arguments = arguments;
    threads = block;
    if (all_fibres.size() < threads) all_fibres.resize(threads);
    warps.resize((threads + kLanes - 1) / kLanes);
    for (unsigned i = 0; i < grid; ++i) {
        blockIdx = {i, 0, 0};
#if defined(__SANITIZE_THREAD__)
        __tsan_release(&grid_tag);
        run_block();
        __tsan_acquire(&grid_tag);
#else
        run_block();
#endif
    }
}

}  // namespace shim
