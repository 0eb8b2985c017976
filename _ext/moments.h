/* Moments of weighted nodes in an orthogonal family,
 *
 *     sums[c, n] = sum_j weights[c, j] p_n(x_j),      p_{-1} = before, p_0 = first,
 *     p_{n+1} = (slope_n x + shift_n) p_n - back_n p_{n-1},
 *
 * the one loop on which the whole package stands, and the loops over points that feed it. It runs over n, with rows of
 * vectors of nodes side by side in registers; channels share the p_n. The body is compiled once per instruction set and
 * the best one is chosen when the module is loaded, so a wheel built on any machine is fast on every other.
 */
#ifndef HIPPO_MOMENTS_H
#define HIPPO_MOMENTS_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LANES 8
#define SHARED 4  /* channels that share the p_n of one pass */

typedef struct {
    ptrdiff_t n_moments;
    const double *slope, *shift;  /* NULL: slope_n = 1, shift_n = 0, the symmetric families in their cheapest scaling */
    const double *back;
} recurrence_t;

typedef void (*moments_fn)(const recurrence_t *, ptrdiff_t n_nodes, ptrdiff_t n_channels,
                           const double *x, const double *first, const double *before,
                           const double *weights, ptrdiff_t stride, double *sums);
typedef void (*reduce_fn)(ptrdiff_t n, const double *sums, double *out);
typedef void (*fold_fn)(ptrdiff_t n, double *sums, double *totals);
typedef void (*multiply_add_fn)(ptrdiff_t n, const double *a, const double *x, double *y);
typedef void (*ramp_fn)(ptrdiff_t n, const double *times, double from, double origin, double unit, double base,
                        double width, double high, int exact, double *r);
typedef void (*combine_fn)(ptrdiff_t n, const double *matrix, ptrdiff_t stride, const double *m, double *out);
typedef double (*gaps_fn)(ptrdiff_t n, const double *r, double *gap, double *least);
typedef void (*kinks_fn)(ptrdiff_t n, const double *y, const double *inverse, double *slope, double *kink);
typedef void (*steps_fn)(ptrdiff_t n, const double *y, double *step);
typedef void (*affine_fn)(ptrdiff_t n, const double *r, double middle, double half, double *x, double *place);
typedef void (*pick_fn)(ptrdiff_t n, const double *v, ptrdiff_t n_channels, double *y);
typedef void (*pick_float_fn)(ptrdiff_t n, const float *v, ptrdiff_t n_channels, double *y);
typedef void (*begin_fn)(ptrdiff_t n, const double *r, double *x, double *first, double *before);
typedef void (*fill_fn)(ptrdiff_t n, double value, double *x);
typedef void (*invert_fn)(ptrdiff_t n, const double *gap, double *inverse);

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
#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define HIPPO_SHUFFLE 1
#endif
#endif
#if defined(__aarch64__)
#define BASELINE_ROWS 8  /* vectors of nodes side by side: three registers each, and a few to spare */
#else
#define BASELINE_ROWS 4
#endif

/* Let a loop find extremes in vectors. (MSVC has an OpenMP that does not know of simd.) */
#if defined(__GNUC__)
#define SIMD_EXTREMES(low, high) _Pragma("omp simd reduction(min : low) reduction(max : high)")
#else
#define SIMD_EXTREMES(low, high)
#endif

/* Ask for a line of memory that will be read soon. (A function would be dropped, for it has no effect.) */
#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address, 0, 2)
#else
#define PREFETCH(address) ((void)0)
#endif

#define NAME(f) f##_baseline
#define TARGET
#define LANES BASELINE_LANES
#define ROWS BASELINE_ROWS
#include "moments_body.h"
#undef NAME
#undef TARGET
#undef LANES
#undef ROWS

#ifdef HIPPO_X86
#define NAME(f) f##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 4
#define ROWS 4
#include "moments_body.h"
#undef NAME
#undef TARGET
#undef LANES
#undef ROWS

#define NAME(f) f##_avx512
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))
#define LANES 8
#define ROWS 8
#include "moments_body.h"
#undef NAME
#undef TARGET
#undef LANES
#undef ROWS
#endif

/* What the chosen instruction set offers: filled once by select_simd. */
static struct simd_t {
    const char *name;
    int lanes;
    moments_fn moments;
    reduce_fn reduce;
    fold_fn fold;
    multiply_add_fn multiply_add;
    ramp_fn ramp;
    gaps_fn gaps;
    invert_fn invert;
    kinks_fn kinks;
    steps_fn steps;
    affine_fn affine;
    fill_fn fill;
    pick_fn pick;
    pick_float_fn pick_float;
    begin_fn begin;
    combine_fn combine;
} simd;

#define CHOOSE(set, n) \
    simd = (struct simd_t){#set, n, moments_##set, reduce_##set, fold_##set, multiply_add_##set, ramp_##set, gaps_##set, \
                           invert_##set, kinks_##set, steps_##set, affine_##set, fill_##set, pick_##set, pick_float_##set, \
                           begin_##set, combine_##set}

/* Choose by name ("avx512", "avx2", "baseline"), or the best for NULL; 0 when the machine lacks it. */
static int select_simd(const char *name)
{
#ifdef HIPPO_X86
    __builtin_cpu_init();
    if ((name == NULL || strcmp(name, "avx512") == 0) && __builtin_cpu_supports("avx512f")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        CHOOSE(avx512, 8);
        return 1;
    }
    if ((name == NULL || strcmp(name, "avx2") == 0) && __builtin_cpu_supports("avx2")
        && __builtin_cpu_supports("fma")) {
        CHOOSE(avx2, 4);
        return 1;
    }
#endif
    if (name == NULL || strcmp(name, "baseline") == 0) {
        CHOOSE(baseline, BASELINE_LANES);
        return 1;
    }
    return 0;
}

#endif
