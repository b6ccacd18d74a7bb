// SPDX-License-Identifier: GPL-3.0-or-later
// Which vector instructions this x86 processor and its operating system offer. Compilers' own functions for it need a
// library of theirs that is not there on Windows.
#pragma once

#include <cpuid.h>

namespace smalti {

struct X86Features {
    bool avx2;    // with FMA
    bool avx512;  // F, DQ, BW and VL
};

inline X86Features x86_features() {
    X86Features found{};
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return found;
    const bool fma = (c & bit_FMA) != 0;
    unsigned kept = 0, upper = 0;  // registers that the system keeps for each thread
    __asm__("xgetbv" : "=a"(kept), "=d"(upper) : "c"(0));
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
    const unsigned of_avx = 0x06, of_avx512 = 0xe6;
    const unsigned wide = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    found.avx2 = (kept & of_avx) == of_avx && fma && (b & bit_AVX2);
    found.avx512 = (kept & of_avx512) == of_avx512 && (b & wide) == wide;
    return found;
}

}  // namespace smalti
