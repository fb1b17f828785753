/* Which build of the library this processor can run: library.py asks the baseline build before it opens a wider one. */
#include "kernel.h"

/* 4 for x86-64-v4 (AVX-512), 3 for v3 (AVX2 and FMA), 1 for any other x86-64, 0 for other processors. What the operating
 * system does not save and restore counts as absent. */
API int32_t cpu_level(void) {
#if defined(__x86_64__) || defined(_M_X64)
    __builtin_cpu_init();
    /* All that the compiler may use for each level, not only what is written by hand. */
    int v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
             __builtin_cpu_supports("bmi2");
    int v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512cd");
    return v4 ? 4 : v3 ? 3 : 1;
#else
    return 0;
#endif
}
