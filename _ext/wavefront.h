/* One implicit step of c' = A c + B f after the other, for A = -(diag(d) + tril(p q^T, -1)):
 *
 *     (I - a h A) c_k = (I + (1 - a) h A) c_{k-1} + h B f_k.
 *
 * Two running sums replace both matrix products, so a step costs O(order), but every coefficient waits for the one before
 * it. A wavefront over time keeps the vector lanes busy all the same: each lane makes a step of its own, one coefficient
 * behind its neighbour.
 */
#ifndef HIPPO_WAVEFRONT_H
#define HIPPO_WAVEFRONT_H

#include <stddef.h>
#include "moments.h"

typedef struct {
    const double *d, *p, *q, *b;  /* reversed, with lanes - 1 zeros on both sides */
} factors_t;

typedef void (*wavefront_fn)(ptrdiff_t order, double implicit, const factors_t *, const double *step, const double *f,
                             double *c, double *states, ptrdiff_t stride, ptrdiff_t n_states);

#define NAME(f) f##_baseline
#define TARGET
#define LANES BASELINE_LANES
#include "wavefront_body.h"
#undef NAME
#undef TARGET
#undef LANES

#ifdef HIPPO_X86
#define NAME(f) f##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 4
#include "wavefront_body.h"
#undef NAME
#undef TARGET
#undef LANES

#define NAME(f) f##_avx512
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")))
#define LANES 8
#include "wavefront_body.h"
#undef NAME
#undef TARGET
#undef LANES
#endif

static wavefront_fn select_wavefront(void)
{
#ifdef HIPPO_X86
    if (simd.lanes == 8)
        return wavefront_avx512;
    if (simd.lanes == 4)
        return wavefront_avx2;
#endif
    return wavefront_baseline;
}

#endif
