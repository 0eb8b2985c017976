/* Moments of weighted nodes in an orthogonal family,
 *
 *     sums[c, n] = sum_j weights[c, j] p_n(x_j),      p_{-1} = before, p_0 = first,
 *     p_{n+1} = (slope_n x + shift_n) p_n - back_n p_{n-1},
 *
 * the one loop on which the whole package stands. It runs over n, with a block of nodes side by side
 * in vector registers; channels share the p_n. The body is compiled once per instruction set and the
 * best one is chosen when the module is loaded, so a wheel built on any machine is fast on every other.
 */
#ifndef HIPPO_MOMENTS_H
#define HIPPO_MOMENTS_H

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LANES 8
#define ROWS 4                          /* vectors of nodes that advance together */
#define NODE_BLOCK (ROWS * MAX_LANES)   /* arrays of nodes are padded to a multiple of this, with weights of zero */

typedef struct {
    ptrdiff_t n_moments;
    const double *slope, *shift;  /* NULL: slope_n = 1, shift_n = 0, the symmetric families in their cheapest scaling */
    const double *back;
} recurrence_t;

typedef void (*moments_fn)(const recurrence_t *, ptrdiff_t n_nodes, ptrdiff_t n_channels,
                           const double *x, const double *first, const double *before,
                           const double *weights, ptrdiff_t stride, double *sums);
typedef void (*reduce_fn)(ptrdiff_t n, const double *sums, double *out);
typedef void (*kinks_fn)(ptrdiff_t n, const double *y, const double *inverse, double *slope, double *kink);

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

#define NAME(f) f##_baseline
#define TARGET
#define LANES BASELINE_LANES
#include "moments_body.h"
#undef NAME
#undef TARGET
#undef LANES

#ifdef HIPPO_X86
#define NAME(f) f##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 4
#include "moments_body.h"
#undef NAME
#undef TARGET
#undef LANES

#define NAME(f) f##_avx512
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma")))
#define LANES 8
#include "moments_body.h"
#undef NAME
#undef TARGET
#undef LANES
#endif

/* What the chosen instruction set offers: filled once by select_simd. */
static struct simd_t {
    const char *name;
    int lanes;
    moments_fn moments;
    reduce_fn reduce;
    kinks_fn kinks;
} simd;

/* Choose by name ("avx512", "avx2", "baseline"), or the best for NULL; 0 when the machine lacks it. */
static int select_simd(const char *name)
{
#ifdef HIPPO_X86
    __builtin_cpu_init();
    if ((name == NULL || strcmp(name, "avx512") == 0) && __builtin_cpu_supports("avx512f")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        simd.name = "avx512", simd.lanes = 8;
        simd.moments = moments_avx512, simd.reduce = reduce_avx512, simd.kinks = kinks_avx512;
        return 1;
    }
    if ((name == NULL || strcmp(name, "avx2") == 0) && __builtin_cpu_supports("avx2")
        && __builtin_cpu_supports("fma")) {
        simd.name = "avx2", simd.lanes = 4;
        simd.moments = moments_avx2, simd.reduce = reduce_avx2, simd.kinks = kinks_avx2;
        return 1;
    }
#endif
    if (name == NULL || strcmp(name, "baseline") == 0) {
        simd.name = "baseline", simd.lanes = BASELINE_LANES;
        simd.moments = moments_baseline, simd.reduce = reduce_baseline, simd.kinks = kinks_baseline;
        return 1;
    }
    return 0;
}

#endif
