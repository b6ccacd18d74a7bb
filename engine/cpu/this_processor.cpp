// SPDX-License-Identifier: GPL-3.0-or-later
// Prints the name of the best instruction set of the processor that builds: CMakeLists.txt asks for it.
#include <cstdio>

#include "x86_features.h"

int main() {
    const smalti::X86Features features = smalti::x86_features();
    std::printf("%s", features.avx512 ? "avx512" : features.avx2 ? "avx2" : "baseline");
    return 0;
}
