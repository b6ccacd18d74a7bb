// SPDX-License-Identifier: GPL-3.0-or-later
// Makes the launches of a record again (see `shim_record` in driver.cpp), in a program without Python: under
// ThreadSanitizer. A pointer among a kernel's arguments is of 8 bytes, and nothing else is.
#include "kernels.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

struct Block {
    std::uint64_t size;
    char* memory;
};

std::map<std::uint64_t, Block> blocks;  // by their addresses when they were recorded
std::FILE* file;

struct Entry {
    std::uint64_t kind, address, size;
};

bool read(void* to, std::size_t size) { return std::fread(to, 1, size, file) == size; }

char* relocated(std::uint64_t address) {
    if (address == 0) return nullptr;
    auto after = blocks.upper_bound(address);
    if (after == blocks.begin()) std::abort();
    --after;
    if (address - after->first > after->second.size) std::abort();
    return after->second.memory + (address - after->first);
}

void launch(const Entry& shape) {
    Entry entry;
    if (!read(&entry, sizeof entry)) std::abort();
    std::string name(entry.size, ' ');
    if (!read(name.data(), name.size())) std::abort();
    std::vector<std::uint64_t> values(entry.address);
    std::vector<void*> places;
    for (std::uint64_t& value : values) {
        if (!read(&entry, sizeof entry) || !read(&value, sizeof value)) std::abort();
        if (entry.address == 8) value = reinterpret_cast<std::uint64_t>(relocated(value));
        places.push_back(&value);
    }
    std::printf("%s\n", name.c_str());
    shim::run(name.c_str(), static_cast<unsigned>(shape.address), static_cast<unsigned>(shape.size), places.data(), 1);
}

}  // namespace

int main(int count, char** arguments) {
    file = count == 2 ? std::fopen(arguments[1], "rb") : nullptr;
    if (file == nullptr) return 2;
    Entry entry;
    while (read(&entry, sizeof entry)) {
        if (entry.kind == 'a') {
            char* const memory = static_cast<char*>(std::malloc(entry.size));
            std::memset(memory, 0xa5, entry.size);
            blocks[entry.address] = {entry.size, memory};
        } else if (entry.kind == 'f') {
            std::free(blocks[entry.address].memory);
            blocks.erase(entry.address);
        } else if (entry.kind == 'm') {
            std::memset(relocated(entry.address), 0, entry.size);
        } else if (entry.kind == 'u') {
            if (!read(relocated(entry.address), entry.size)) return 2;
        } else if (entry.kind == 'l') {
            launch(entry);
        } else {
            return 2;
        }
    }
    return 0;
}
