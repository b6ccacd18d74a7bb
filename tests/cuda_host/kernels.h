// SPDX-License-Identifier: GPL-3.0-or-later
// The kernels of engine/cuda by name, run on the host.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace shim {

std::vector<std::string> kernel_names();

// Sizes of a kernel's parameters in bytes; null where there is no kernel of this name.
const std::vector<std::size_t>* parameters_of(const char* name);

// Runs a kernel: blocks of a grid one after another, the threads of each in orders that `seed` draws. The kernel exists,
// and a grid and a block have one dimension.
void run(const char* name, unsigned grid, unsigned block, void** arguments, unsigned seed);

// The names of those kernels that an image has: machine code (an ELF file), PTX, or the mark of one that has all. Returns
// false where it is none of them.
bool read_image(const char* image, std::vector<std::string>& kernels);

// NVIDIA's name for a fault, null where it is not known here.
const char* error_name(int code);

}  // namespace shim
