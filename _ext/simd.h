/* Instruction sets: which there are, which one is in use, and what their vectors are like.
 *
 * Kernels are written once, as the body of a header, and compiled for each of the sets by each_simd.h; a kernel is chosen
 * by the set in use whenever it is called, so that a wheel built on any machine is fast on every other.
 */
#ifndef HIPPO_SIMD_H
#define HIPPO_SIMD_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LANES 8  /* doubles in a vector */

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define HIPPO_X86 1
#endif

#if defined(__GNUC__)
#define BASELINE_LANES 2  /* SSE2, NEON */
#else
#define BASELINE_LANES 1  /* no vector types, e.g. MSVC */
#define __attribute__(x)
#define restrict __restrict
#endif
#define ALWAYS_INLINE inline __attribute__((always_inline))
#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define HIPPO_SHUFFLE 1
#endif
#endif

/* Requests to vectorize a loop whose sums may be reordered. (MSVC has an OpenMP that does not know of simd.) */
#define PRAGMA(x) _Pragma(#x)
#if defined(__GNUC__)
#define SIMD PRAGMA(omp simd)
#define UNROLL PRAGMA(GCC unroll 8)
#define SIMD_SUM(...) PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define SIMD_EXTREMES(low, high) PRAGMA(omp simd reduction(min : low) reduction(max : high))
#else
#define SIMD
#define UNROLL
#define SIMD_SUM(...)
#define SIMD_EXTREMES(low, high)
#endif

/* Ask for a line of memory that will be read soon. (A function would be dropped, for it has no effect.) */
#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address, 0, 2)
#else
#define PREFETCH(address) ((void)0)
#endif

/* f(name) of a body: name_avx2, or, where precisions differ, name_float_avx2. */
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(f) JOIN(f, ISA)
#define TYPED(f) JOIN(f, REAL)
#define FN(f) NAME(TYPED(f))

/* The one of a family of kernels, f_baseline, f_avx2, f_avx512, that belongs to the set in use. */
#ifdef HIPPO_X86
#define IN_USE(f) (simd.lanes == 8 ? JOIN(f, avx512) : simd.lanes == 4 ? JOIN(f, avx2) : JOIN(f, baseline))
#else
#define IN_USE(f) JOIN(f, baseline)
#endif

static struct simd_t {
    const char *name;
    int lanes;
} simd;

/* Choose by name ("avx512", "avx2", "baseline"), or the best for NULL; 0 when the machine lacks it. */
static int select_simd(const char *name)
{
#ifdef HIPPO_X86
    __builtin_cpu_init();
    if ((name == NULL || strcmp(name, "avx512") == 0) && __builtin_cpu_supports("avx512f")
        && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        simd = (struct simd_t){"avx512", 8};
        return 1;
    }
    if ((name == NULL || strcmp(name, "avx2") == 0) && __builtin_cpu_supports("avx2")
        && __builtin_cpu_supports("fma")) {
        simd = (struct simd_t){"avx2", 4};
        return 1;
    }
#endif
    if (name == NULL || strcmp(name, "baseline") == 0) {
        simd = (struct simd_t){"baseline", BASELINE_LANES};
        return 1;
    }
    return 0;
}

#endif
