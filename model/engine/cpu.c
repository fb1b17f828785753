/* Which of the kernel's builds this processor can run.
 *
 * By CPUID and not by __builtin_cpu_supports: zig's runtime answers 0 to whatever that asks, and compilers before GCC 11
 * do not know the levels.
 */
#include "kernel.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum { BASELINE = 1, V3 = 3, V4 = 4, V4_VNNI = 5 };

/* What -march=x86-64-v3 and -v4 let a compiler use, by leaf of CPUID and register. */
#define V3_LEAF1_ECX                                                                                                   \
    (bit_SSE3 | bit_SSSE3 | bit_FMA | bit_CMPXCHG16B | bit_SSE4_1 | bit_SSE4_2 | bit_MOVBE | bit_POPCNT | bit_OSXSAVE |  \
     bit_AVX | bit_F16C)
#define V3_LEAF7_EBX (bit_BMI | bit_AVX2 | bit_BMI2)
#define V3_EXTENDED_ECX (bit_LAHF_LM | bit_LZCNT)
#define V4_LEAF7_EBX (bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL)

/* Registers that the operating system saves when it switches threads: a bit each in XCR0. */
#define YMM_SAVED 0x06u /* with XMM */
#define ZMM_SAVED 0xe6u /* with those, the masks and the upper sixteen */

static int has(uint32_t bits, uint32_t wanted) { return (bits & wanted) == wanted; }

static uint32_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static int32_t level(void) {
    uint32_t a, b, c, d, saved, vnni;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, V3_LEAF1_ECX)) return BASELINE;
    if (!__get_cpuid(0x80000001u, &a, &b, &c, &d) || !has(c, V3_EXTENDED_ECX)) return BASELINE;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, V3_LEAF7_EBX)) return BASELINE;
    vnni = has(c, bit_AVX512VNNI);
    saved = saved_registers(); /* there is one: OSXSAVE is among what the first leaf was asked for */
    if (!has(saved, YMM_SAVED)) return BASELINE;
    if (!has(b, V4_LEAF7_EBX) || !has(saved, ZMM_SAVED)) return V3; /* macOS saves ZMM on first use only, so V3 there */
    return vnni ? V4_VNNI : V4;
}
#else
static int32_t level(void) { return 0; }
#endif

/* The x86-64 level of the processor and its operating system: 4 with AVX-512, and 5 with its VNNI, 3 with AVX2 and FMA,
 * else 1. 0 on other processors. Call it in the build `any`: the others may use instructions that the answer is about. */
API int32_t cpu_level(void) { return level(); }
