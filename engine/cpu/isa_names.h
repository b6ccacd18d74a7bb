// SPDX-License-Identifier: GPL-3.0-or-later
// Names made of SMALTI_ISA, for files that are compiled once for each instruction set.
#pragma once

#define SMALTI_JOIN2(a, b) a##b
#define SMALTI_JOIN(a, b) SMALTI_JOIN2(a, b)
#define SMALTI_TEXT2(a) #a
#define SMALTI_TEXT(a) SMALTI_TEXT2(a)
