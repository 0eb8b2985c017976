/* A memory in coordinates in which its dynamics are normal plus low rank (Modes of _dynamics.py), one implicit step of it
 * and the adjoint of that step: z_j + i z_{K+j} is a complex mode, lambda_j = i frequency_j - damping, and
 *
 *     z' = lambda z - V^T V z + V^T b f.
 *
 * An implicit step, weight a on the new state, is (I - w A) z+ = (I + (1 - a) h A) z + h B f with w = a h. With
 * S = 1 / (1 - w lambda) and q = V S V^T, a system of the size of the rank is left,
 *
 *     (I + w q) sigma = h (b f - V S z),   z+ = S (z / a + V^T sigma) - (1 / a - 1) z,
 *
 * in which nothing large cancels, however long the step: h V S and h (I + w q)^{-1} are bounded where they meet.
 *
 * Where |w lambda| < 1, z+ = z + S (h lambda z + V^T sigma) is the same. There many steps are remembered: the rounding
 * of S / a - 1 / a + 1, a number near 1 and the same in every step, would add up over all of them, as that of small
 * increments does not; what the sum loses of them is carried on (Kahan). Modes are in the order of their frequencies, so
 * that the slow ones are the first. An explicit step, a = 0, knows only slow ones.
 */
#ifndef HIPPO_MODES_H
#define HIPPO_MODES_H

#include "simd.h"

#define MAX_RANK 2

/* Steps after which nothing is left, while their squares do not overflow. */
#define LONGEST_float 1e9
#define LONGEST_double 1e100

/* All arrays are of the precision in use. */
typedef struct {
    ptrdiff_t n_modes;
    int rank;
    double damping, implicit, b[MAX_RANK];
    const void *frequency;  /* (n_modes,) */
    const void *V;          /* (rank, 2 n_modes) */
    const void *origin;     /* (2 n_modes,) the memory of a constant 1 */
} modes_t;

/* What a step of one length needs, for all memories that make it. */
#define STEP_T(REAL) \
    typedef struct { \
        double h, w, q[MAX_RANK][MAX_RANK], inverse[MAX_RANK][MAX_RANK];  /* inverse of I + w q */ \
        REAL ratio;           /* 1 / a - 1 */ \
        REAL decay;           /* the real part of h lambda */ \
        REAL *re, *im;        /* S */ \
        REAL *turn;           /* the imaginary part of h lambda */ \
        ptrdiff_t slow;       /* as many modes, the first ones, are stepped by their increments */ \
    } step_t_##REAL;
STEP_T(float)
STEP_T(double)

#endif
