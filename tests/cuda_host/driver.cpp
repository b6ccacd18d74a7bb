// SPDX-License-Identifier: GPL-3.0-or-later
// The functions of NVIDIA's driver that engine/cuda calls, for a machine without one: memory is the host's, and the
// kernels run on the processor (host.cpp).
//
// It is as asynchronous as a driver may be: what is submitted to the stream happens only once somebody waits for it, so
// that what relies on an earlier end is found out. What a driver refuses while a stream is captured is refused here. New
// memory is full of a pattern.
#include "kernels.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using Address = std::uint64_t;
using Work = std::function<void()>;

enum Result {
    success = 0,
    invalid_value = 1,
    out_of_memory = 2,
    invalid_image = 200,
    invalid_context = 201,
    invalid_handle = 400,
    not_found = 500,
    capture_unsupported = 900,
    capture_invalidated = 901,
};

struct Module {
    std::vector<std::string> kernels;
};

struct Function {
    std::string name;
    const std::vector<std::size_t>* parameters;
};

struct Graph {
    std::vector<Work> work;
};

struct Settings {
    int major = 9, minor = 0, version = 13000, pools = 1;
    std::size_t memory = std::size_t{1} << 30;
    unsigned seed = 0;
} settings;

int context, stream, pool;  // only their addresses count
thread_local void* current = nullptr;
std::map<Address, std::size_t> allocations, pinned;
std::size_t allocated = 0;
std::deque<Work> submitted;
std::unique_ptr<Graph> captured;
bool capture_broken = false;
std::map<std::string, std::pair<int, int>> failures;  // of a function: after how many calls, and with what
std::vector<std::string> run_kernels;
std::FILE* record = nullptr;  // see replay.cpp

int fails(const char* function) {
    const auto found = failures.find(function);
    if (found == failures.end() || found->second.first-- > 0) return success;
    const int code = found->second.second;
    failures.erase(found);
    return code;
}

void finish() {
    while (!submitted.empty()) {
        const Work work = std::move(submitted.front());
        submitted.pop_front();
        work();
    }
}

void submit(Work work) {
    if (captured)
        captured->work.push_back(std::move(work));
    else
        submitted.push_back(std::move(work));
}

bool within(const std::map<Address, std::size_t>& blocks, Address address, std::size_t size) {
    auto after = blocks.upper_bound(address);
    return after != blocks.begin() && (--after, address + size <= after->first + after->second);
}

void note(char kind, Address address, std::size_t size, const void* data) {
    if (record == nullptr) return;
    const std::uint64_t head[3] = {static_cast<std::uint64_t>(kind), address, size};
    std::fwrite(head, sizeof head, 1, record);
    if (data != nullptr) std::fwrite(data, 1, size, record);
}

int allocate(Address* address, std::size_t size) {
    if (size == 0) return invalid_value;
    if (allocated + size > settings.memory) return out_of_memory;
    void* const block = std::malloc(size);
    std::memset(block, 0xa5, size);
    *address = reinterpret_cast<Address>(block);
    allocations[*address] = size, allocated += size;
    note('a', *address, size, nullptr);
    return success;
}

void release(Address address) {
    note('f', address, 0, nullptr);
    allocated -= allocations[address];
    allocations.erase(address);
    std::free(reinterpret_cast<void*>(address));
}

// The checks that each function which uses the stream begins with.
#define ENTER(name)                                      \
    do {                                                 \
        if (const int code = fails(name)) return code;   \
        if (current != &context) return invalid_context; \
    } while (false)
#define ENTER_UNCAPTURED(name)                                           \
    do {                                                                 \
        ENTER(name);                                                     \
        if (captured) return capture_broken = true, capture_unsupported; \
    } while (false)

}  // namespace

extern "C" {

// What tests set and ask for. A new device has no failures ahead.

void shim_device(int major, int minor, int version, int pools, std::size_t memory) {
    settings.major = major, settings.minor = minor, settings.version = version, settings.pools = pools;
    settings.memory = memory;
    finish();
    failures.clear();
}

void shim_seed(unsigned seed) { settings.seed = seed; }

// Lets a function fail with a code, after so many calls that do not.
void shim_fail(const char* function, int after, int code) { failures[function] = {after, code}; }

std::size_t shim_allocated() {
    finish();
    return allocated;
}

int shim_run_count() { return static_cast<int>(run_kernels.size()); }

const char* shim_run_name(int i) { return run_kernels[i].c_str(); }

// The sizes of a kernel's parameters; returns how many there are.
int shim_parameters(const char* name, std::size_t* sizes) {
    const std::vector<std::size_t>& found = *shim::parameters_of(name);
    std::copy(found.begin(), found.end(), sizes);
    return static_cast<int>(found.size());
}

// Writes everything that happens from now on to a file, for replay.cpp; null ends that.
void shim_record(const char* path) {
    finish();
    if (record != nullptr) std::fclose(record);
    record = path == nullptr ? nullptr : std::fopen(path, "wb");
}

// The driver's functions.

int cuInit(unsigned) { return fails("cuInit"); }

int cuDriverGetVersion(int* version) { return *version = settings.version, success; }

int cuDeviceGetCount(int* count) { return *count = 1, success; }

int cuDeviceGet(int* device, int index) { return *device = index, fails("cuDeviceGet"); }

int cuDeviceGetName(char* name, int size, int) { return std::snprintf(name, size, "Host GPU"), success; }

int cuDeviceTotalMem_v2(std::size_t* bytes, int) { return *bytes = settings.memory, success; }

int cuDeviceGetAttribute(int* value, int attribute, int) {
    static const std::map<int, int> others{{13, 1'000'000}, {16, 1}};  // clock in kHz, multiprocessors
    const std::map<int, int> set{{75, settings.major}, {76, settings.minor}, {115, settings.pools}};
    *value = set.count(attribute) ? set.at(attribute) : others.count(attribute) ? others.at(attribute) : 0;
    return success;
}

int cuGetErrorName(int code, const char** name) {
    return *name = shim::error_name(code), *name == nullptr ? invalid_value : success;
}

int cuDevicePrimaryCtxRetain(void** made, int) { return *made = &context, fails("cuDevicePrimaryCtxRetain"); }

int cuCtxGetCurrent(void** found) { return *found = current, success; }

int cuCtxPushCurrent_v2(void* pushed) { return current = pushed, success; }

int cuCtxPopCurrent_v2(void** popped) { return *popped = current, current = nullptr, success; }

int cuCtxSynchronize() {
    ENTER_UNCAPTURED("cuCtxSynchronize");
    return finish(), success;
}

int cuModuleLoadData(void** made, const char* image) {
    ENTER("cuModuleLoadData");
    auto module = std::make_unique<Module>();
    if (!shim::read_image(image, module->kernels)) return invalid_image;
    return *made = module.release(), success;  // loaded until the process ends
}

int cuModuleGetFunction(void** made, Module* module, const char* name) {
    ENTER("cuModuleGetFunction");
    for (const std::string& kernel : module->kernels)
        if (kernel == name) return *made = new Function{kernel, shim::parameters_of(name)}, success;
    return not_found;
}

int cuFuncLoad(Function*) { return current == &context ? success : invalid_context; }

int cuFuncGetParamInfo(const Function* function, std::size_t index, std::size_t* offset, std::size_t* size) {
    if (index >= function->parameters->size()) return invalid_value;
    return *offset = 0, *size = (*function->parameters)[index], success;
}

int cuFuncGetAttribute(int* value, int attribute, const Function*) { return *value = 10 * attribute, success; }

int cuFuncSetAttribute(Function*, int attribute, int value) {
    ENTER("cuFuncSetAttribute");
    return attribute == 8 && value <= 99 * 1024 ? success : invalid_value;
}

int cuLaunchKernel(const Function* function, unsigned grid, unsigned grid_y, unsigned grid_z, unsigned block,
                   unsigned block_y, unsigned block_z, unsigned shared, const void* on, void** parameters,
                   void** extra) {
    ENTER("cuLaunchKernel");
    if (on != &stream || extra != nullptr || shared > 99 * 1024) return invalid_handle;
    if (grid == 0 || block == 0 || block > 1024 || grid_y * grid_z * block_y * block_z != 1) return invalid_value;
    std::vector<std::uint64_t> values(function->parameters->size());
    for (std::size_t i = 0; i < values.size(); ++i) std::memcpy(&values[i], parameters[i], (*function->parameters)[i]);
    submit([function, grid, block, values]() mutable {
        run_kernels.push_back(function->name);
        note('l', grid, block, nullptr);
        note('n', values.size(), function->name.size(), function->name.data());
        std::vector<void*> places;
        for (std::size_t i = 0; i < values.size(); ++i) {
            places.push_back(&values[i]);
            note('v', (*function->parameters)[i], 8, &values[i]);
        }
        shim::run(function->name.c_str(), grid, block, places.data(), settings.seed);
    });
    return success;
}

int cuStreamCreate(void** made, unsigned flags) {
    ENTER("cuStreamCreate");
    return *made = &stream, flags == 1 ? success : invalid_value;
}

int cuStreamSynchronize(const void*) {
    ENTER_UNCAPTURED("cuStreamSynchronize");
    return finish(), success;
}

int cuStreamBeginCapture_v2(const void* on, int mode) {
    ENTER_UNCAPTURED("cuStreamBeginCapture_v2");
    if (on != &stream || mode != 1) return invalid_value;
    captured = std::make_unique<Graph>(), capture_broken = false;
    return success;
}

int cuStreamEndCapture(const void*, void** made) {
    ENTER("cuStreamEndCapture");
    if (!captured) return invalid_value;
    *made = captured.release();
    if (capture_broken) return delete static_cast<Graph*>(*made), *made = nullptr, capture_invalidated;
    return success;
}

int cuGraphInstantiateWithFlags(void** made, const Graph* graph, std::uint64_t) {
    ENTER_UNCAPTURED("cuGraphInstantiateWithFlags");
    return *made = new std::shared_ptr<Graph>(std::make_shared<Graph>(*graph)), success;
}

int cuGraphLaunch(const std::shared_ptr<Graph>* graph, const void* on) {
    ENTER_UNCAPTURED("cuGraphLaunch");
    if (on != &stream) return invalid_handle;
    for (const Work& work : (*graph)->work) submitted.push_back(work);
    return success;
}

int cuGraphDestroy(Graph* graph) { return delete graph, success; }

int cuGraphExecDestroy(std::shared_ptr<Graph>* graph) { return delete graph, success; }

int cuMemAlloc_v2(Address* address, std::size_t size) {
    ENTER_UNCAPTURED("cuMemAlloc_v2");
    return finish(), allocate(address, size);
}

int cuMemFree_v2(Address address) {
    ENTER_UNCAPTURED("cuMemFree_v2");
    finish();
    if (allocations.count(address) == 0) return invalid_value;
    return release(address), success;
}

int cuMemAllocAsync(Address* address, std::size_t size, const void* on) {
    ENTER_UNCAPTURED("cuMemAllocAsync");
    return on == &stream && settings.pools ? allocate(address, size) : invalid_value;
}

int cuMemFreeAsync(Address address, const void* on) {
    ENTER_UNCAPTURED("cuMemFreeAsync");
    if (on != &stream || allocations.count(address) == 0) return invalid_value;
    return submit([address] { release(address); }), success;
}

int cuDeviceGetDefaultMemPool(void** found, int) { return *found = &pool, settings.pools ? success : invalid_value; }

int cuMemPoolSetAttribute(const void* of, int attribute, const void*) {
    return of == &pool && attribute == 4 ? success : invalid_value;
}

int cuMemPoolTrimTo(const void* of, std::size_t) { return of == &pool ? success : invalid_value; }

int cuMemHostAlloc(void** made, std::size_t size, unsigned) {
    ENTER_UNCAPTURED("cuMemHostAlloc");
    *made = std::malloc(size);
    return pinned[reinterpret_cast<Address>(*made)] = size, success;
}

int cuMemFreeHost(void* address) {
    ENTER_UNCAPTURED("cuMemFreeHost");
    finish();
    pinned.erase(reinterpret_cast<Address>(address));
    return std::free(address), success;
}

int cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
    ENTER("cuMemGetInfo_v2");
    return *free = settings.memory - allocated, *total = settings.memory, success;
}

int cuMemcpyHtoDAsync_v2(Address to, const void* from, std::size_t size, const void* on) {
    ENTER_UNCAPTURED("cuMemcpyHtoDAsync_v2");
    if (on != &stream || !within(allocations, to, size)) return invalid_value;
    const auto copy = [to, size](const void* source) {
        note('u', to, size, source);
        std::memcpy(reinterpret_cast<void*>(to), source, size);
    };
    if (within(pinned, reinterpret_cast<Address>(from), size)) return submit([copy, from] { copy(from); }), success;
    const auto* const bytes = static_cast<const char*>(from);
    return submit([copy, kept = std::vector<char>(bytes, bytes + size)] { copy(kept.data()); }), success;
}

int cuMemcpyDtoHAsync_v2(void* to, Address from, std::size_t size, const void* on) {
    ENTER_UNCAPTURED("cuMemcpyDtoHAsync_v2");
    if (on != &stream) return invalid_value;
    finish();
    return std::memcpy(to, reinterpret_cast<const void*>(from), size), success;
}

int cuMemsetD8Async(Address to, unsigned char value, std::size_t size, const void* on) {
    ENTER("cuMemsetD8Async");
    if (on != &stream || !within(allocations, to, size)) return invalid_value;
    submit([to, value, size] {
        note('m', to, size, nullptr);
        std::memset(reinterpret_cast<void*>(to), value, size);
    });
    return success;
}

}  // extern "C"
